"""T7: what keeps one belief an instant. The lock, the constraint and the order of reading are each taken away in turn,
on a database of the test's own; what must turn red does, and nothing else. time.md §1, laws 2 and 3.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import msgspec
import pytest

from aurra.app import build_app, open_service
from aurra.keys import Terms, parse_scopes
from aurra.ops import committing
from aurra.ops.committing import Outcome, Write
from aurra.settings import read_settings
from aurra.store import ledger, migrate
from aurra.store import world as world_store
from aurra.store.accounts import AccountRow, open_directory
from aurra.store.verifying import Verdict
from tests.plain import connected, execute
from tests.running import running

CLIENTS = 16
WRITES = 5
PATIENCE = 20
"""Tries of a write that the service has no time for, where every write must be stored in the end."""

OVERLAPS = """SELECT count(*) FROM version a
    JOIN version b ON a.company_id = b.company_id AND a.lane = b.lane AND a.id < b.id
    AND a.valid && b.valid AND int8range(a.tx_from, a.tx_to) && int8range(b.tx_from, b.tx_to) WHERE a.company_id = $1"""


class Played(msgspec.Struct):
    """What came of a race."""

    statuses: dict[int, int]
    """Answers by status code."""
    overlaps: int
    numbers: list[int]
    """The transactions that answers named."""
    refused: int
    """Writes that ran alone, since the database refused their commit."""
    verdict: Verdict


@contextlib.asynccontextmanager
async def database(dsn: str) -> AsyncGenerator[str]:
    """A migrated database of this test's own, gone afterwards."""
    name = f"race_{uuid4().hex}"
    await execute(dsn, f"CREATE DATABASE {name}")
    own = dsn.replace("/aurra?", f"/{name}?")
    assert own != dsn
    try:
        await migrate.migrate(own)
        yield own
    finally:
        await execute(dsn, f"DROP DATABASE {name} WITH (FORCE)")


async def race(dsn: str, slots: int, tries: int = 1) -> Played:
    """Sixteen clients of two services write five times each into every slot of one account, all at once.

    Each slot is there and empty: so two first values are possible where nothing keeps them apart.
    """
    alone, refused = committing._alone, 0  # pyright: ignore[reportPrivateUsage]

    async def counted(write: Write, first: Exception) -> Outcome:
        nonlocal refused
        refused += 1
        return await alone(write, first)

    async with contextlib.AsyncExitStack() as stack:
        directory = await stack.enter_async_context(open_directory(dsn))
        account = await directory.create_account(f"race {uuid4()}", "enterprise")
        key = (await directory.create_key(account, Terms(scopes=parse_scopes("full")))).raw
        clients = [await stack.enter_async_context(_client(stack, await _service(stack, dsn), key)) for _ in range(2)]
        await _empty_slots(clients[0], slots)
        stack.enter_context(pytest.MonkeyPatch.context()).setattr(committing, "_alone", counted)
        answers = await _answers(clients, slots, tries)
        return await _played(dsn, account, answers, refused, await directory.verify(account))


async def race_of_processes(dsn: str, urls: Sequence[str], slots: int) -> Played:
    """The same between services that are processes, over sockets."""
    async with contextlib.AsyncExitStack() as stack:
        directory = await stack.enter_async_context(open_directory(dsn))
        account = await directory.create_account(f"race {uuid4()}", "enterprise")
        key = (await directory.create_key(account, Terms(scopes=parse_scopes("full")))).raw
        headers = {"Authorization": f"Bearer {key}"}
        clients = [
            await stack.enter_async_context(
                httpx2.AsyncClient(base_url=urls[n % len(urls)], headers=headers, timeout=60)
            )
            for n in range(CLIENTS)
        ]
        await _empty_slots(clients[0], slots)
        answers = await _answers(clients, slots, PATIENCE)
        return await _played(dsn, account, answers, 0, await directory.verify(account))


async def _empty_slots(client: httpx2.AsyncClient, slots: int) -> None:
    """Each slot is there, and nothing is believed of it."""
    for slot in range(slots):
        memory = (await _write(client, slot, PATIENCE)).json()["memory_id"]
        await client.post(f"/memories/{memory}/retract", json={})


async def _answers(clients: Sequence[httpx2.AsyncClient], slots: int, tries: int) -> list[httpx2.Response]:
    """Slot by slot, all writes into it at once."""
    return [
        answer
        for slot in range(slots)
        for answer in await asyncio.gather(
            *(_write(clients[n % len(clients)], slot, tries) for n in range(CLIENTS) for _ in range(WRITES))
        )
    ]


async def _service(stack: contextlib.AsyncExitStack, dsn: str) -> Any:
    """The application of a service with connections and waiting writes of its own, as another process would have."""
    settings = read_settings({"AURRA_EMBEDDER": "none"})
    return build_app(await stack.enter_async_context(open_service(settings, dsn)))


def _client(stack: contextlib.AsyncExitStack, app: Any, key: str) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app)
    return httpx2.AsyncClient(transport=transport, base_url="http://aurra", headers={"Authorization": f"Bearer {key}"})


async def _write(client: httpx2.AsyncClient, slot: int, tries: int = 1) -> httpx2.Response:
    """An open assert, now: each takes over from the one before. A machine that has too much to do says so (503), and
    clients ask again under their key."""
    body = {"content": f"value {uuid4()}", "subject": f"subject {slot}", "attribute": "value"}
    key = {"Idempotency-Key": uuid4().hex}
    answer = await client.post("/agent/memories", json=body, headers=key)
    for _ in range(tries - 1):
        if answer.status_code != 503:
            break
        print(f"slot {slot}: {answer.json()['code']}: {answer.json()['detail']}")
        await asyncio.sleep(1)
        answer = await client.post("/agent/memories", json=body, headers=key)
    return answer


async def _played(
    dsn: str, account: AccountRow, answers: Sequence[httpx2.Response], refused: int, verdict: Verdict
) -> Played:
    statuses: dict[int, int] = {}
    for answer in answers:
        statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
    async with connected(dsn) as connection:
        overlaps = await connection.fetchval(OVERLAPS, account.id)
    numbers = sorted(answer.json()["transaction"]["id"] for answer in answers if answer.status_code == 200)
    return Played(statuses=statuses, overlaps=overlaps, numbers=numbers, refused=refused, verdict=verdict)


def require_whole(played: Played, slots: int) -> None:
    """Fails unless every write was stored, with dense numbers, no double belief, and a chain that verifies."""
    assert played.statuses == {200: slots * CLIENTS * WRITES}
    # Two for each slot that was made and emptied.
    assert played.numbers == list(range(2 * slots + 1, 2 * slots + slots * CLIENTS * WRITES + 1))
    assert played.refused == 0
    assert played.overlaps == 0
    assert played.verdict.first_bad is None, played.verdict.why


async def without_constraint(dsn: str) -> None:
    await execute(dsn, "ALTER TABLE version DROP CONSTRAINT version_one_belief_a_lane")


def without_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The head is read as before, and nobody waits for anybody."""
    query = ledger._Q["lock"]  # pyright: ignore[reportPrivateUsage]
    open_query = msgspec.structs.replace(query, sql=query.sql.replace("FOR UPDATE OF l", ""))
    assert open_query != query
    monkeypatch.setitem(ledger._Q, "lock", open_query)  # pyright: ignore[reportPrivateUsage]


def without_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    """The head is overwritten, whatever it has become."""
    query = ledger._Q["apply"]  # pyright: ignore[reportPrivateUsage]
    before = f"last_tx = ${query.parameters.index('before') + 1}"
    blind = msgspec.structs.replace(query, sql=query.sql.replace(before, before.replace("last_tx =", "last_tx >=")))
    assert blind != query
    monkeypatch.setitem(ledger._Q, "apply", blind)  # pyright: ignore[reportPrivateUsage]


def reading_before_locking(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock and the reading change places: what is believed is older than the lock."""

    async def attempt(writes: Sequence[Write]) -> list[Outcome]:
        ctx = writes[0].ctx
        async with ctx.database.begin(ctx.company_id) as tx:
            early = await ledger.head(tx, ctx.service.clock())
            world, answers = await world_store.load(tx, [write.needs for write in writes], early.at)
            head = await ledger.lock(tx, ctx.service.clock())
            return await committing._decided(tx, writes, head, world, answers)  # pyright: ignore[reportPrivateUsage]

    monkeypatch.setattr(committing, "_attempt", attempt)


SIZES = [pytest.param(4, 1, id="short"), pytest.param(200, 10, id="long", marks=pytest.mark.long)]


@pytest.mark.parametrize(("slots", "runs"), SIZES)
@pytest.mark.timeout(3600)
async def test_all_stands(dsn: str, slots: int, runs: int) -> None:
    """Two services, sixteen clients, one account: every write is stored, and nothing is believed twice."""
    async with database(dsn) as own:
        for _ in range(runs):
            require_whole(await race(own, slots, PATIENCE), slots)


@pytest.mark.parametrize(("slots", "runs"), SIZES)
@pytest.mark.timeout(3600)
async def test_without_the_constraint_the_lock_suffices(dsn: str, slots: int, runs: int) -> None:
    """The lock alone orders writers: still no double belief."""
    async with database(dsn) as own:
        await without_constraint(own)
        for _ in range(runs):
            require_whole(await race(own, slots, PATIENCE), slots)


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_two_processes(dsn: str, tmp_path: Path) -> None:
    """Two `aurra serve` on one database, ten runs of 200 slots: every write is stored once, with dense numbers, no
    double belief and chains that verify; in the last runs without the constraint, by the lock alone."""
    slots, runs, bare = 200, 10, 2
    async with database(dsn) as own:
        settings = {"database_url": own, "aurra_embedder": "none"}
        with running(tmp_path / "one", **settings) as one, running(tmp_path / "two", **settings) as two:
            for run in range(runs + bare):
                if run == runs:
                    await without_constraint(own)
                require_whole(await race_of_processes(own, (one.url, two.url), slots), slots)
                print(f"run {run + 1}: {slots * CLIENTS * WRITES} writes")


async def test_with_nothing_left_beliefs_numbers_and_chains_break(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No lock, no comparison of the head, no constraint, and numbers that may be taken twice: overlaps, doubled numbers
    and a chain that does not verify. So each of the three is seen where it is."""
    without_lock(monkeypatch)
    without_comparison(monkeypatch)
    async with database(dsn) as own:
        await without_constraint(own)
        await execute(own, "ALTER TABLE transaction DROP CONSTRAINT transaction_pkey CASCADE")
        played = await race(own, 4)
    assert played.overlaps > 0
    assert len(set(played.numbers)) < len(played.numbers)
    assert played.verdict.first_bad is not None


async def test_without_the_lock_numbers_collide_and_the_constraint_stands(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red without the lock: commits are refused, since two took one number, and are planned again. What the database
    compares (the head, the number, what closes) still lets no double belief and no broken chain through."""
    without_lock(monkeypatch)
    async with database(dsn) as own:
        played = await race(own, 4)
    assert played.refused > 0
    assert played.overlaps == 0
    assert played.verdict.first_bad is None


async def test_read_before_the_lock_the_constraint_refuses(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read before the lock is stale; the constraint keeps the second belief out."""
    reading_before_locking(monkeypatch)
    async with database(dsn) as own:
        played = await race(own, 4)
    assert played.overlaps == 0
    assert played.verdict.first_bad is None


async def test_only_without_both_is_anything_believed_twice(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read before the lock, and no constraint: double beliefs. So the race is hard enough to show one."""
    reading_before_locking(monkeypatch)
    async with database(dsn) as own:
        await without_constraint(own)
        played = await race(own, 8)
    assert played.overlaps > 0
