"""Two whole services on one database: each key once, each plan to the unit, each change of a plan at once."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from aurra.keys import SCOPES
from aurra.keys import Terms as KeyTerms
from aurra.store import migrate
from aurra.store.accounts import AccountRow, open_directory
from aurra.store.plans import Change
from tests.plain import connected, own_database
from tests.running import running

AT_ONCE = 64
MEMORIES = "/agent/memories"
Send = Callable[..., Coroutine[Any, Any, httpx2.Response]]


class Pair:
    """The database of both, and where each answers."""

    def __init__(self, dsn: str, urls: list[str]) -> None:
        self.dsn = dsn
        self.urls = urls

    @contextlib.asynccontextmanager
    async def account(self, name: str, plan: str = "enterprise") -> AsyncGenerator[tuple[AccountRow, Send]]:
        """A fresh account, and a function that sends a write of it to one of the two, 64 at once at most."""
        async with open_directory(self.dsn) as directory:
            row = await directory.create_account(name, plan)
            raw = (await directory.create_key(row, KeyTerms(scopes=list(SCOPES)))).raw
        limits = httpx2.Limits(max_connections=AT_ONCE)
        async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {raw}"}, timeout=30, limits=limits) as client:
            turns = asyncio.Semaphore(AT_ONCE)

            async def send(which: int, body: dict[str, Any], key: str | None = None, path: str = MEMORIES) -> Any:
                headers = {} if key is None else {"Idempotency-Key": key}
                async with turns:
                    return await client.post(f"{self.urls[which % 2]}{path}", json=body, headers=headers)

            yield row, send

    async def set_plan(self, name: str, writes: int) -> None:
        """A plan of so many writes a month."""
        async with open_directory(self.dsn) as directory:
            await directory.set_plan(name, Change(writes_limit=writes))

    async def move(self, account: AccountRow, plan: str) -> None:
        """As `aurra accounts plan` does."""
        async with open_directory(self.dsn) as directory:
            await directory.change_plan(account.name, plan)

    async def require_exact(self, account: AccountRow, writes: int) -> None:
        """Fails unless meter, memories and ledger all say so many, and the chain verifies."""
        async with open_directory(self.dsn) as directory:
            count = await directory.count(account)
            assert (count.writes_used, count.memories, count.memories_in_period) == (writes, writes, writes)
            assert (await directory.verify(account)).first_bad is None
            assert await directory.remembers_plan(account)


@pytest.fixture(scope="module")
async def pair(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    """Two services that are ready."""
    logs = tmp_path_factory.mktemp("pair")
    async with own_database(dsn) as own:
        await migrate.migrate(own)
        settings = {"database_url": own, "aurra_embedder": "none"}
        with _both(logs, settings) as urls:
            yield Pair(own, urls)


@contextlib.contextmanager
def _both(logs: Path, settings: dict[str, str]) -> Any:
    with running(logs / "one", **settings) as one, running(logs / "two", **settings) as two:
        yield [one.url, two.url]


def statuses(answers: Iterable[httpx2.Response]) -> Counter[int]:
    """How many of each."""
    return Counter(answer.status_code for answer in answers)


@pytest.mark.parametrize(
    ("number", "changed"), [pytest.param(40, 40, id="short"), pytest.param(500, 200, id="long", marks=pytest.mark.long)]
)
@pytest.mark.timeout(600)
async def test_duplicates_are_stored_once(pair: Pair, number: int, changed: int) -> None:
    """T1: each key 20 times through both: one row and one unit a key, the rest 409 or the same bytes; with another body
    422, every time."""
    async with pair.account(f"duplicates-{number}") as (account, send):
        sent = await asyncio.gather(
            *(send(copy, {"content": f"memory {n}"}, f"key-{n}") for n in range(number) for copy in range(20))
        )
        of_key = [sent[20 * n : 20 * n + 20] for n in range(number)]
        for answers in of_key:
            assert set(statuses(answers)) <= {200, 409}
            stored = [answer for answer in answers if answer.status_code == 200]
            assert len({answer.content for answer in stored}) == 1
            assert sum("idempotent-replayed" not in answer.headers for answer in stored) == 1
            for answer in answers:
                assert answer.status_code == 200 or int(answer.headers["retry-after"]) >= 1
        await pair.require_exact(account, number)
        other = await asyncio.gather(
            *(send(n, {"content": f"another {n}"}, f"key-{n % number}") for n in range(changed))
        )
        assert statuses(other) == {422: changed}
        await pair.require_exact(account, number)


@pytest.mark.parametrize(
    ("number", "limit"),
    [pytest.param(200, 100, id="short"), pytest.param(1000, 500, id="long", marks=pytest.mark.long)],
)
async def test_a_plan_is_kept_to_the_unit(pair: Pair, number: int, limit: int) -> None:
    """T3: twice as many writes at once as the plan allows: exactly floor(1.1 × limit) are stored, those from the limit
    on with a warning, and the rest are 402."""
    hard = limit * 11 // 10
    await pair.set_plan(f"of-{limit}", limit)
    async with pair.account(f"limited-{limit}", f"of-{limit}") as (account, send):
        answers = await asyncio.gather(*(send(n, {"content": f"memory {n}"}) for n in range(number)))
        assert statuses(answers) == {200: hard, 402: number - hard}
        assert sum("x-plan-warning" in answer.headers for answer in answers) == hard - limit + 1
        await pair.require_exact(account, hard)


async def test_batches_are_taken_whole_or_not_at_all(pair: Pair) -> None:
    """T3: batches of seven beside single writes: none in part, none past the hard limit, none refused that had room."""
    await pair.set_plan("of-60", 60)
    async with pair.account("batches", "of-60") as (account, send):
        sizes = [1 if n % 3 else 7 for n in range(60)]
        answers = await asyncio.gather(
            *(
                send(n, {"memories": [{"content": f"{n}-{m}"} for m in range(size)]}, path=f"{MEMORIES}/bulk")
                for n, size in enumerate(sizes)
            )
        )
        stored = sum(size for size, answer in zip(sizes, answers, strict=True) if answer.status_code == 200)
        assert set(statuses(answers)) == {200, 402}
        refused = {size for size, answer in zip(sizes, answers, strict=True) if answer.status_code == 402}
        assert 66 - min(refused) < stored <= 66
        await pair.require_exact(account, stored)


@pytest.mark.parametrize("times", [pytest.param(4, id="short"), pytest.param(30, id="long", marks=pytest.mark.long)])
@pytest.mark.timeout(600)
async def test_a_change_of_plan_takes_effect_at_once(pair: Pair, times: int) -> None:
    """While writers write through both: once the command is through, not one write more is admitted under the old plan,
    and none is refused under the new one, whoever was waiting for the ledger."""
    await pair.set_plan("of-1", 1)
    async with pair.account(f"moved-{times}") as (account, send):
        stopping = False
        stored = 0

        async def write(number: int) -> None:
            nonlocal stored
            while not stopping:
                answer = await send(number, {"content": f"{number}-{stored}", "topic": str(stored)})
                assert answer.status_code in (200, 402), answer.text
                stored += answer.status_code == 200 and answer.json()["status"] == "saved"

        async with asyncio.TaskGroup() as group:
            for number in range(16):
                group.create_task(write(number))
            try:
                for _ in range(times):
                    goal = stored + 20
                    while stored < goal:
                        await asyncio.sleep(0.001)
                    await pair.move(account, "of-1")
                    first = await _heads(pair.dsn, account)
                    await asyncio.sleep(0.05)
                    assert await _heads(pair.dsn, account) == first
                    assert first[0] == first[1], "a transaction was admitted under the plan before"
                    await pair.move(account, "enterprise")
            finally:
                stopping = True
        await pair.require_exact(account, stored)


async def _heads(dsn: str, account: AccountRow) -> tuple[int, int]:
    """The newest transaction, and the one after which the plan took effect."""
    async with connected(dsn) as connection:
        return tuple(
            await connection.fetchrow(
                """SELECT l.last_tx, (SELECT c.tx FROM plan_change c WHERE c.company_id = $1 ORDER BY c.id DESC LIMIT 1)
                   FROM ledger l WHERE l.company_id = $1""",
                account.id,
            )
        )
