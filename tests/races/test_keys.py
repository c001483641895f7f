"""Keys in two processes of the service on one database: revoked, rotated, and what their logs say."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx2
import msgspec
import pytest

from aurra import sealing, signing
from aurra.keys import SCOPES, Terms
from aurra.signing import Signable
from aurra.store import migrate
from aurra.store.accounts import open_directory
from tests.faces.connecting import register
from tests.faces.wire import PLAN, ok, problem, require_instant
from tests.plain import connected, own_database
from tests.running import Running, running

PATH = "/api-keys"
WITHIN = 5.0
"""Seconds in which a revoked key is refused in every process."""


class Pair(msgspec.Struct):
    """Two processes, and an account's key to manage keys with."""

    processes: tuple[Running, Running]
    client: httpx2.AsyncClient
    key: str

    async def ask(self, process: int, key: str, **headers: str) -> httpx2.Response:
        """What a request with the key answers there."""
        headers["Authorization"] = f"Bearer {key}"
        return await self.client.get(f"{self.processes[process].url}{PLAN}", headers=headers)

    async def manage(self, process: int, method: str, path: str, **body: Any) -> httpx2.Response:
        """What a request about keys answers there."""
        more: dict[str, Any] = {"json": body} if method in ("POST", "PATCH") else {}
        headers = {"Authorization": f"Bearer {self.key}"}
        return await self.client.request(method, f"{self.processes[process].url}{PATH}{path}", headers=headers, **more)

    async def make(self, **fields: Any) -> dict[str, Any]:
        """A key and its secret."""
        return ok(await self.patiently(lambda: self.manage(0, "POST", "", **{"scopes": ["usage:read"], **fields})))

    async def patiently(self, ask: Callable[[], Awaitable[httpx2.Response]]) -> httpx2.Response:
        """The first answer that is not 503: a machine that has too much to do says so, and clients ask again."""
        while (answer := await ask()).status_code == 503:
            await asyncio.sleep(0.5)
        return answer

    @property
    def logs(self) -> str:
        """All that both said."""
        return "".join(process.log.read_text() for process in self.processes)


@pytest.fixture(scope="module")
async def database(dsn: str) -> AsyncIterator[str]:
    """A database of its own, without an embedder."""
    async with own_database(dsn) as own:
        await migrate.migrate(own)
        yield own


@pytest.fixture(scope="module")
def processes(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Running]]:
    """Two processes on it."""
    home = tmp_path_factory.mktemp("keys")
    settings = {"database_url": database, "aurra_log_level": "debug", "aurra_embedder": "none"}
    # All that is refused here comes from one network.
    settings["aurra_failed_authentications"] = "0"
    settings["aurra_secret_keys"] = sealing.new_key()
    with running(home / "first", **settings) as first, running(home / "second", **settings) as second:
        yield first, second


@pytest.fixture
async def pair(processes: tuple[Running, Running], database: str) -> AsyncIterator[Pair]:
    """Both, with a fresh account."""
    async with open_directory(database) as directory:
        account = await directory.create_account(f"keys-{uuid4()}", "enterprise")
        key = await directory.create_key(account, Terms(scopes=list(SCOPES)))
    limits = httpx2.Limits(max_connections=40)
    async with httpx2.AsyncClient(timeout=30, limits=limits) as client:
        yield Pair(processes, client, key.raw)


async def _revoked(pair: Pair, number: int) -> float:
    """Makes a key, has both processes check it, revokes it in one; seconds until the other refused it."""
    made = await pair.make()
    here, there = number % 2, 1 - number % 2
    for process in (here, there):
        ok(await pair.patiently(lambda process=process: pair.ask(process, made["key"])))
    ok(await pair.patiently(lambda: pair.manage(here, "DELETE", f"/{made['api_key']['id']}")))
    revoked = time.monotonic()
    problem(await pair.patiently(lambda: pair.ask(here, made["key"])), 401, "revoked_key")
    while True:
        asked = time.monotonic()
        answer = await pair.ask(there, made["key"])
        if answer.status_code == 401:
            problem(answer, 401, "revoked_key")
            return asked - revoked
        assert answer.status_code == 503 or asked - revoked < WITHIN, "still accepted"
        await asyncio.sleep(0.3)


@pytest.mark.parametrize("rounds", [pytest.param(1, id="short"), pytest.param(10, id="long", marks=pytest.mark.long)])
async def test_a_revoked_key_is_refused_in_every_process(pair: Pair, rounds: int) -> None:
    """100 of 100 within five seconds in the other process, at once in the one that revoked."""
    for _ in range(rounds):
        took = await asyncio.gather(*(_revoked(pair, number) for number in range(100)))
        assert len(took) == 100 and max(took) < WITHIN
        print(f"\nrevoked: {len(took)} of 100, the last after {max(took):.1f} s")


async def test_tokens_of_a_revoked_key_are_refused_in_every_process(pair: Pair) -> None:
    """What hosts were let in with it: in the other process within five seconds, though it was in use there."""
    made = await pair.make(scopes=["usage:read"])
    async with httpx2.AsyncClient(base_url=pair.processes[0].url, timeout=30) as http:
        tokens = await (await register(http)).connect(made["key"])
    access = tokens["access_token"]
    for process in (0, 1):
        ok(await pair.patiently(lambda process=process: pair.ask(process, access)))
    ok(await pair.patiently(lambda: pair.manage(0, "DELETE", f"/{made['api_key']['id']}")))
    revoked = time.monotonic()
    problem(await pair.patiently(lambda: pair.ask(0, access)), 401, "invalid_token")
    while (answer := await pair.ask(1, access)).status_code != 401:
        assert time.monotonic() - revoked < WITHIN, "still accepted"
        await asyncio.sleep(0.3)
    problem(answer, 401, "invalid_token")


class Load:
    """Fifty requests a second with a key, to both processes in turn; whoever calls changes `key` as an agent would."""

    def __init__(self, pair: Pair, key: str) -> None:
        self.pair = pair
        self.keys = [key] * 11
        self.answers: list[int] = []
        self.stopping = False

    async def run(self) -> None:
        """Until told to stop."""
        async with asyncio.TaskGroup() as group:
            for number in range(len(self.keys)):
                group.create_task(self._agent(number))

    async def ask(self, process: int, key: str) -> httpx2.Response:
        """What a request with the key answers there."""
        return await self.pair.ask(process, key)

    async def _agent(self, number: int) -> None:
        turn = number
        while not self.stopping:
            begun = time.monotonic()
            turn += 1
            answer = await self.ask(turn % 2, self.keys[number])
            self.answers.append(answer.status_code)
            await asyncio.sleep(max(0.0, 0.2 - (time.monotonic() - begun)))


async def _instant(dsn: str) -> Any:
    async with connected(dsn) as connection:
        return await connection.fetchval("SELECT clock_timestamp()")


@pytest.mark.parametrize(
    "rotations", [pytest.param(1, id="short"), pytest.param(15, id="long", marks=pytest.mark.long)]
)
async def test_a_rotation_interrupts_nobody(pair: Pair, database: str, rotations: int) -> None:
    """Under 50 requests a second, agents that take over the new secret one after the other during the overlap are never
    refused; after it the old secret is, in both processes."""
    made = await pair.make()
    old, path = made["key"], f"/{made['api_key']['id']}/rotate"
    load = Load(pair, old)
    async with asyncio.TaskGroup() as group:
        group.create_task(load.run())
        try:
            for turn in range(rotations):
                await asyncio.sleep(0.5)
                rotated = ok(await pair.manage(turn % 2, "POST", path, overlap_hours=5 / 3600))
                for number in range(len(load.keys)):
                    load.keys[number] = rotated["key"]
                    await asyncio.sleep(0.35)
                until = require_instant(rotated["api_key"]["previous_until"])
                while (await _instant(database)) < until:
                    await asyncio.sleep(0.05)
                for process in (0, 1):
                    problem(await pair.ask(process, old), 401, "rotated_key")
                old = rotated["key"]
        finally:
            load.stopping = True
    failures = [status for status in load.answers if status != 200]
    print(f"\nrotated {rotations} times under load: {len(load.answers)} requests, {len(failures)} failures")
    assert not failures and len(load.answers) > 100 * rotations


class SignedLoad(Load):
    """The same with a key that signs, by the signing secret that each agent has."""

    def __init__(self, pair: Pair, key_id: str, secret: str) -> None:
        super().__init__(pair, secret)
        self.key_id = key_id

    async def ask(self, process: int, key: str) -> httpx2.Response:
        """What a request that is signed with it answers there."""
        request = Signable(method="GET", target=PLAN.encode(), body=b"")
        at, nonce = str(int(time.time())), uuid4().hex
        made = signing.sign(key, request, key_id=self.key_id, timestamp=at, nonce=nonce)
        headers: dict[str, str] = dict(zip(signing.HEADERS, (self.key_id, at, nonce, made), strict=True))
        return await self.pair.client.get(f"{self.pair.processes[process].url}{PLAN}", headers=headers)


@pytest.mark.parametrize(
    "rotations", [pytest.param(1, id="short"), pytest.param(15, id="long", marks=pytest.mark.long)]
)
async def test_a_rotation_interrupts_nobody_who_signs(pair: Pair, database: str, rotations: int) -> None:
    """The same of a key that signs: in the overlap, what is signed with either secret is accepted by both processes, at
    once; after it nothing is that the old one signs, and a second rotation in the overlap ends the first's."""
    made = await pair.make(is_signed=True)
    key_id, old = made["api_key"]["id"], made["signing_secret"]
    load = SignedLoad(pair, key_id, old)
    async with asyncio.TaskGroup() as group:
        group.create_task(load.run())
        try:
            for turn in range(rotations):
                await asyncio.sleep(0.5)
                rotated = ok(await pair.manage(turn % 2, "POST", f"/{key_id}/rotate", overlap_hours=5 / 3600))
                until = require_instant(rotated["api_key"]["previous_until"])
                for number in range(len(load.keys)):
                    for process, secret in ((0, old), (1, old), (0, rotated["signing_secret"])):
                        asked = await load.ask(process, secret)
                        assert asked.status_code == 200 or (await _instant(database)) >= until, asked.text
                    load.keys[number] = rotated["signing_secret"]
                while (await _instant(database)) < until:
                    await asyncio.sleep(0.05)
                for process in (0, 1):
                    problem(await load.ask(process, old), 401, "rotated_key")
                old = rotated["signing_secret"]
        finally:
            load.stopping = True
    failures = [status for status in load.answers if status != 200]
    print(f"\nrotated {rotations} times under load: {len(load.answers)} signed requests, {len(failures)} failures")
    assert not failures and len(load.answers) > 20 * rotations
    second = ok(await pair.manage(0, "POST", f"/{key_id}/rotate", overlap_hours=1))["signing_secret"]
    third = ok(await pair.manage(1, "POST", f"/{key_id}/rotate", overlap_hours=1))["signing_secret"]
    for process in (0, 1):
        problem(await load.ask(process, old), 401, "invalid_signature")
        for secret in (second, third):
            ok(await load.ask(process, secret))


async def test_the_log_says_who_did_what_and_no_secret(pair: Pair) -> None:
    """Made, changed, rotated, revoked: each a line with the key's id and the doer's, in a log of level debug."""
    made = await pair.make(name="agent")
    key_id = made["api_key"]["id"]
    ok(await pair.manage(1, "PATCH", f"/{key_id}", name="other", trust="low"))
    new = ok(await pair.manage(1, "POST", f"/{key_id}/rotate"))
    ok(await pair.manage(0, "DELETE", f"/{key_id}"))
    problem(await pair.ask(0, new["key"]), 401, "revoked_key")
    problem(await pair.ask(0, new["key"][:-1] + "-"), 401, "invalid_key")
    said = pair.logs
    for event in ("a key was made", "a key was changed", "a key was rotated", "a key was revoked"):
        lines = [msgspec.json.decode(line) for line in said.splitlines() if f'"{event}"' in line and key_id in line]
        assert [(line["key"], line["by"]) for line in lines] == [(key_id, pair.key[11:19])], event
        assert lines[0]["request_id"] and lines[0]["account"]
    assert '"fields": ["trust", "name"]' in said
    for key in (made["key"], new["key"], pair.key):
        assert key[19:-6] not in said


async def test_a_header_that_a_client_forged_is_not_believed(pair: Pair) -> None:
    """By a real server without trusted proxies, not even from this machine."""
    far, near = [(await pair.make(networks=[network]))["key"] for network in ("192.0.2.0/24", "127.0.0.1")]
    for process in (0, 1):
        for header in ("X-Forwarded-For", "X-Real-IP", "Forwarded"):
            value = "for=192.0.2.5" if header == "Forwarded" else "192.0.2.5"
            problem(await pair.ask(process, far, **{header: value}), 403, "address_not_allowed")
            ok(await pair.ask(process, near, **{header: value}))
