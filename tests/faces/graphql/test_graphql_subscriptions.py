"""Transactions as they come, over graphql-transport-ws: none missed, none of another's, while the key lasts."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from msgspec.structs import replace
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from aurra.context import News, Service
from aurra.faces import wire
from aurra.faces.graphql import sockets
from aurra.faces.wire import LimitedProtocol
from tests.conftest import Account, MakeAccount, client_at
from tests.running import running

Json = dict[str, Any]
TRANSACTIONS = "subscription ($since: BigInt) { transactions(since: $since) { id verb } }"
SECONDS = 20


class Socket:
    """A client."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, **message: Any) -> None:
        """A message of the protocol."""
        await self._connection.send(json.dumps(message))

    async def receive(self) -> Json:
        """The next message."""
        async with asyncio.timeout(SECONDS):
            return json.loads(await self._connection.recv())

    async def subscribe(self, id_: str = "1", query: str = TRANSACTIONS, **variables: Any) -> None:
        """Asks for something."""
        await self.send(type="subscribe", id=id_, payload={"query": query, "variables": variables})

    async def transactions(self, count: int) -> list[int]:
        """The numbers of the next transactions."""
        return [(await self.receive())["payload"]["data"]["transactions"]["id"] for _ in range(count)]

    async def end(self) -> tuple[int, str]:
        """Waits for the end: its code and reason."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self.receive()
        assert self._connection.close_code is not None
        return self._connection.close_code, self._connection.close_reason or ""


@contextlib.asynccontextmanager
async def socket_at(url: str, path: str = "/graphql", protocol: str = sockets.PROTOCOL) -> AsyncGenerator[Socket]:
    """A connection that nobody has introduced."""
    there = url.replace("http", "ws", 1) + path
    async with connect(there, subprotocols=[Subprotocol(protocol)]) as connection:
        yield Socket(connection)


@contextlib.asynccontextmanager
async def introduced(url: str, account: Account, path: str = "/graphql") -> AsyncGenerator[Socket]:
    """A connection of an account's key."""
    async with socket_at(url, path) as socket:
        await socket.send(type="connection_init", payload={"Authorization": f"Bearer {account.key}"})
        assert await socket.receive() == {"type": "connection_ack"}
        yield socket


@pytest.mark.parametrize("path", ["/graphql", "/api/v1/graphql"])
async def test_all_transactions_come_in_order_and_none_is_missed(account: Account, url: str, path: str) -> None:
    """From a number on, while five write at once; a client that comes back goes on with the number that it kept."""
    await account.add("before")
    async with introduced(url, account, path) as socket:
        await socket.subscribe(since=0)
        writing = [asyncio.create_task(account.add(f"fact {number}")) for number in range(10)]
        assert await socket.transactions(7) == list(range(1, 8))
        await asyncio.gather(*writing)
    await account.add("while nobody listens")
    async with introduced(url, account, path) as socket:
        await socket.subscribe(since=7)
        assert await socket.transactions(5) == list(range(8, 13))


async def test_without_a_number_it_begins_now(account: Account, url: str) -> None:
    """What is committed afterwards comes; what was, does not."""
    await account.add("before")
    async with introduced(url, account) as socket:
        await socket.subscribe()
        # The answer to a query shows that the subscription before it is under way.
        await socket.subscribe("2", "{ transactions_list { transaction { id } } }")
        assert (await socket.receive())["payload"]["data"]["transactions_list"]["transaction"] == {"id": 1}
        assert await socket.receive() == {"type": "complete", "id": "2"}
        await account.add("after")
        assert await socket.transactions(1) == [2]


async def test_what_another_process_commits_comes_too(account: Account, service: Service, url: str) -> None:
    """Within the seconds of a look; each event has reads of its own under it."""
    query = """subscription { transactions(since: 0) { id memoriesCollection { edges { node { decision
        temporal { is_current } } } } } }"""
    async with introduced(url, account) as socket, client_at(replace(service, news=News()), account) as elsewhere:
        await socket.subscribe(query=query)
        for decision in ("Kim lives in Oslo", "Kim lives in Rome"):
            sent = {"content": decision, "subject": "kim", "attribute": "city"}
            assert (await elsewhere.post("/agent/memories", json=sent)).status_code == 200
            found = (await socket.receive())["payload"]["data"]["transactions"]
            opened = [edge["node"] for edge in found["memoriesCollection"]["edges"]]
            assert {"decision": decision, "temporal": {"is_current": True}} in opened


async def test_a_key_sees_its_tenant_and_its_ceiling(account: Account, make_account: MakeAccount, url: str) -> None:
    """A pinned key gets what touched its tenant; one with a ceiling what it may know of, and then the end."""
    for number in range(4):
        await account.add(f"fact {number}", tenant_id="a" if number % 2 else None)
    pinned = await make_account(of=account.row, tenant_id="a")
    past = await make_account(of=account.row, scopes="audit:read", up_to=3)
    async with introduced(url, pinned) as socket:
        await socket.subscribe(since=0)
        assert await socket.transactions(2) == [2, 4]
        await account.add("of the default tenant")
        await account.add("of its own", tenant_id="a")
        assert await socket.transactions(1) == [6]
    async with introduced(url, past) as socket:
        await socket.subscribe(since=1)
        assert await socket.transactions(2) == [2, 3]
        assert await socket.receive() == {"type": "complete", "id": "1"}


async def test_two_accounts_do_not_hear_of_one_another(account: Account, make_account: MakeAccount, url: str) -> None:
    """Each gets its own transactions, and no others."""
    other = await make_account()
    async with introduced(url, account) as mine, introduced(url, other) as theirs:
        await mine.subscribe(since=0)
        await theirs.subscribe(since=0)
        await other.add("theirs")
        await account.add("mine")
        await other.add("theirs again")
        assert await mine.transactions(1) == [1]
        assert await theirs.transactions(2) == [1, 2]


async def test_what_is_wrong_with_an_operation_ends_that_alone(
    account: Account, make_account: MakeAccount, url: str
) -> None:
    """Its errors are the contract's; the connection goes on."""
    reader = await make_account(of=account.row, scopes="memories:read")
    async with introduced(url, reader) as socket:
        cases: dict[str, tuple[str, Json]] = {
            "insufficient_scope": (TRANSACTIONS, {}),
            "validation_error": (TRANSACTIONS, {"since": "x"}),
            "malformed_query": ("{", {}),
            "query_too_large": ("{ memoriesCollection(first: 100) { edges { node { versions { version } about {"
                                " memoriesCollection(first: 100) { totalCount } } } } } }", {}),
        }  # fmt: skip
        for code, (query, variables) in cases.items():
            await socket.subscribe(code, query, **variables)
            answer = await socket.receive()
            assert (answer["type"], answer["id"]) == ("error", code)
            assert answer["payload"][0]["extensions"]["code"] == code
        await socket.subscribe("ok", "{ memoriesCollection { totalCount } }")
        assert (await socket.receive())["payload"] == {"data": {"memoriesCollection": {"totalCount": 0}}}
    async with introduced(url, account) as socket:
        await socket.subscribe(since=-1)
        assert (await socket.receive())["payload"][0]["extensions"]["code"] == "out_of_range"


async def test_a_client_ends_a_subscription_and_pings(account: Account, url: str) -> None:
    """After `complete` nothing more of it comes; its id may be used again."""
    async with introduced(url, account) as socket:
        await socket.subscribe(since=0)
        await account.add("one")
        assert await socket.transactions(1) == [1]
        await socket.send(type="complete", id="1")
        await socket.send(type="ping")
        assert await socket.receive() == {"type": "pong"}
        await account.add("two")
        await socket.subscribe(since=1)
        assert await socket.transactions(1) == [2]


async def test_nobody_is_introduced_without_a_key(account: Account, make_account: MakeAccount, url: str) -> None:
    """No key, a wrong one, one from elsewhere; another message first, another protocol, what is no message."""
    elsewhere = await make_account(of=account.row, networks=["192.0.2.0/24"])
    revoked = await make_account(of=account.row)
    key_id = revoked.key.removeprefix("aurra_live_")[:8]
    assert (await account.client.delete(f"/api-keys/{key_id}")).status_code == 200
    introductions: list[tuple[Json, tuple[int, str]]] = [
        ({"type": "connection_init"}, (4401, "not_authenticated")),
        ({"type": "connection_init", "payload": {"Authorization": "Bearer aurra_x"}}, (4401, "invalid_key")),
        ({"type": "connection_init", "payload": {"Authorization": 5}}, (4401, "not_authenticated")),
        (_init(revoked), (4401, "revoked_key")),
        (_init(elsewhere), (4403, "address_not_allowed")),
        ({"type": "subscribe", "id": "1", "payload": {"query": "{ __typename }"}}, (4401, "Unauthorized")),
        ({"type": 5}, (4400, "Invalid message")),
    ]
    for message, end in introductions:
        async with socket_at(url) as socket:
            await socket.send(**message)
            assert await socket.end() == end, message
    async with socket_at(url, protocol="graphql-ws") as socket:
        assert await socket.end() == (4406, "Subprotocol not acceptable")


def _init(account: Account) -> Json:
    return {"type": "connection_init", "payload": {"authorization": f"Bearer {account.key}"}}


async def test_what_is_against_the_protocol_ends_the_connection(account: Account, url: str) -> None:
    """With the codes that the protocol has for it."""
    wrong: list[tuple[list[Json], int]] = [
        ([_init(account)], 4429),
        ([{"type": "nonsense"}], 4400),
        ([{"type": "subscribe", "payload": {"query": "{ __typename }"}}], 4400),
        ([{"type": "subscribe", "id": "1"}], 4400),
        ([{"type": "subscribe", "id": "1", "payload": {"query": 5}}], 4400),
        ([{"type": "subscribe", "id": "1", "payload": {"query": TRANSACTIONS}}] * 2, 4409),
    ]
    for messages, code in wrong:
        async with introduced(url, account) as socket:
            for message in messages:
                await socket.send(**message)
            assert (await socket.end())[0] == code, messages
    async with socket_at(url) as socket:
        await socket.send(type="connection_init", payload={"x": "x" * (1024 * 1024)})
        assert (await socket.end())[0] == 1009


async def test_who_says_nothing_is_not_waited_for(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an introduction the connection ends."""
    monkeypatch.setattr(sockets, "INIT_SECONDS", 0.1)
    async with socket_at(url) as socket:
        assert await socket.end() == (4408, "Connection initialisation timeout")


async def test_connections_and_operations_of_a_key_are_bounded(account: Account, url: str) -> None:
    """Ten connections in a process, twenty operations on one; what ends makes room."""
    async with contextlib.AsyncExitStack() as stack:
        first = await stack.enter_async_context(introduced(url, account))
        for _ in range(sockets.MOST_OF_A_KEY - 1):
            await stack.enter_async_context(introduced(url, account))
        async with socket_at(url) as socket:
            await socket.send(**_init(account))
            assert await socket.end() == (4429, "Too many connections of this key")
        for number in range(sockets.MOST_OPERATIONS + 1):
            await first.subscribe(str(number))
        refused = await first.receive()
        assert (refused["type"], refused["id"]) == ("error", str(sockets.MOST_OPERATIONS))
        assert refused["payload"][0]["extensions"]["code"] == "query_too_large"
    async with introduced(url, account) as socket:
        await socket.subscribe("x" * (sockets.LONGEST_ID + 1))
        assert await socket.end() == (4400, "Invalid message")
    async with introduced(url, account) as socket:
        await socket.subscribe("x" * sockets.LONGEST_ID, query="{ __typename }")
        assert (await socket.receive())["payload"] == {"data": {"__typename": "Query"}}


async def test_a_key_that_is_revoked_ends_its_connections(
    account: Account, make_account: MakeAccount, url: str
) -> None:
    """Within the five seconds in which it is refused everywhere; other keys' go on."""
    leaving = await make_account(of=account.row)
    async with introduced(url, leaving) as gone, introduced(url, account) as stays:
        await gone.subscribe(since=0)
        await stays.subscribe(since=0)
        key_id = leaving.key.removeprefix("aurra_live_")[:8]
        assert (await account.client.delete(f"/api-keys/{key_id}")).status_code == 200
        async with asyncio.timeout(5):
            assert await gone.end() == (4401, "revoked_key")
        await account.add("a fact")
        assert await stays.transactions(1) == [1]


async def test_a_key_that_loses_its_scope_gets_no_more(account: Account, make_account: MakeAccount, url: str) -> None:
    """The subscription ends with the contract's error; the connection goes on."""
    changed = await make_account(of=account.row)
    async with introduced(url, changed) as socket:
        await socket.subscribe(since=0)
        await account.add("one")
        assert await socket.transactions(1) == [1]
        key_id = changed.key.removeprefix("aurra_live_")[:8]
        sent = {"scopes": ["memories:read"]}
        assert (await account.client.patch(f"/api-keys/{key_id}", json=sent)).status_code == 200
        for number in range(SECONDS * 10):
            await account.add(f"more {number}")
            if (message := await socket.receive())["type"] == "error":
                assert message["payload"][0]["extensions"]["code"] == "insufficient_scope"
                break
        else:
            raise AssertionError("it still gets transactions")


async def test_nobody_is_looked_at_when_nobody_follows(account: Account, service: Service, url: str) -> None:
    """One look for all who follow an account, and none when the last has gone."""
    async with introduced(url, account) as one, introduced(url, account) as other:
        await one.subscribe(since=0)
        await other.subscribe(since=0)
        await account.add("a fact")
        assert await one.transactions(1) == await other.transactions(1) == [1]
        watch = service.news.watches[account.row.id]
        assert watch.followers == 2
    async with asyncio.timeout(SECONDS):
        assert watch.task is not None
        with contextlib.suppress(asyncio.CancelledError):
            await watch.task
    assert account.row.id not in service.news.watches


async def test_the_times_of_http_do_not_hold_for_a_socket(
    app: Any, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that was handed over is not ended for the request that it does not send."""
    monkeypatch.setattr(wire, "_HEAD_SECONDS", 0.2)
    config = uvicorn.Config(
        app, http=LimitedProtocol, ws="websockets-sansio", lifespan="off", log_level="error", port=0
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    async with introduced(url, account) as socket:
        await socket.subscribe(since=0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.6):
                await socket.receive()
        await account.add("later")
        assert await socket.transactions(1) == [1]
    server.should_exit = True
    await serving


async def test_a_service_that_ends_says_so(make_account: MakeAccount, dsn: str, tmp_path: Path) -> None:
    """On SIGTERM every connection is closed with 1012, and the process ends as it should."""
    account = await make_account()
    with running(tmp_path / "log", database_url=dsn, aurra_embedder="none") as service:
        async with introduced(service.url, account) as socket:
            await socket.subscribe(since=0)
            await account.add("a fact")
            assert await socket.transactions(1) == [1]
            ended = asyncio.create_task(asyncio.to_thread(service.stop))
            assert (await socket.end())[0] == 1012
            assert await ended == 0
        assert "Traceback" not in (tmp_path / "log").read_text()
