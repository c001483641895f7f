"""Group commit: writes that wait together are committed together, and each is a transaction of its own. time.md §5."""

import asyncio
import datetime as dt
import itertools
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from aurra.context import Service
from aurra.ops import committing
from tests.conftest import Account
from tests.faces.wire import MEMORIES, PLAN, list_of, ok, problem, require_instant
from tests.plain import connected, execute

MICROSECOND = dt.timedelta(microseconds=1)


async def post(account: Account, **body: Any) -> httpx2.Response:
    return await account.client.post(MEMORIES, json=body)


async def together(account: Account, dsn: str, *requests: tuple[str, dict[str, Any]]) -> list[httpx2.Response]:
    """The answers to requests that share a commit, in order: they wait while another write waits for the ledger."""
    async with connected(dsn) as connection:
        await connection.execute("BEGIN")
        await connection.execute("SELECT 1 FROM ledger WHERE company_id = $1 FOR UPDATE", account.row.id)
        first = asyncio.create_task(post(account, content=f"first {uuid4()}"))
        await asyncio.sleep(0.1)
        tasks: list[asyncio.Task[httpx2.Response]] = []
        for path, body in requests:
            tasks.append(asyncio.create_task(account.client.post(path, json=body)))
            await asyncio.sleep(0.1)
        await connection.execute("COMMIT")
    ok(await first)
    return await asyncio.gather(*tasks)


async def newest(account: Account) -> int:
    return (await account.get(MEMORIES, limit=1))["transaction"]["id"]


def instants(responses: list[httpx2.Response]) -> list[dt.datetime]:
    return sorted(require_instant(ok(response)["transaction"]["at"]) for response in responses)


async def test_writes_that_wait_together_are_committed_together(account: Account) -> None:
    """Of forty at once most share a commit: their instants follow one another by a microsecond, as no clock does."""
    at = instants(await asyncio.gather(*(post(account, content=f"memory {number}") for number in range(40))))
    together = sum(later - earlier == MICROSECOND for earlier, later in itertools.pairwise(at))
    assert together > 20
    assert (await account.get("/agent/transactions/verify"))["checked"] == 40


async def test_one_that_is_refused_is_refused_alone(account: Account) -> None:
    """A request that cannot be gets its error; those before and after it in the same commit are stored."""
    await account.add("Kim speaks Norwegian", subject="kim", attribute="language", cardinality="many")
    bodies: list[dict[str, Any]] = [{"content": f"memory {number}"} for number in range(20)]
    bodies[7] = {"content": "Kim speaks Italian", "subject": "kim", "attribute": "language", "cardinality": "one"}
    responses = await asyncio.gather(*(post(account, **body) for body in bodies))
    problem(responses[7], 400, "invalid_request")
    numbers = sorted(ok(response)["transaction"]["id"] for index, response in enumerate(responses) if index != 7)
    assert numbers == list(range(2, 21))
    assert (await account.get(PLAN))["writes_used"] == 20


async def test_when_the_database_refuses_a_commit_its_writes_run_alone(account: Account, dsn: str) -> None:
    """A row that only the database refuses: its request fails, after the rest was stored, each with its number."""
    poison = f"poison {uuid4()}"
    rule = f"no_{uuid4().hex}"
    await execute(dsn, f"ALTER TABLE content ADD CONSTRAINT {rule} CHECK (text <> '{poison}') NOT VALID")
    try:
        bodies = [f"memory {number}" for number in range(12)]
        bodies[5] = poison
        responses = await asyncio.gather(*(post(account, content=content) for content in bodies))
    finally:
        await execute(dsn, f"ALTER TABLE content DROP CONSTRAINT {rule}")
    assert [response.status_code for response in responses] == [503 if content == poison else 200 for content in bodies]
    assert rule in responses[5].json()["detail"]
    assert await newest(account) == 11
    assert (await account.get("/agent/transactions/verify"))["ok"]


async def test_a_version_opened_and_closed_by_one_commit_is_kept(account: Account) -> None:
    """Transactions of one commit see one another: every state between them can be read."""
    slot = {"subject": "kim", "attribute": "city"}
    responses = await asyncio.gather(*(post(account, content=f"city {number}", **slot) for number in range(30)))
    by_number = {ok(response)["transaction"]["id"]: response.json()["memory_id"] for response in responses}
    for number in range(1, 31):
        at = (await account.get(MEMORIES, transaction_as_of=number, limit=1))["transaction"]["at"]
        shown = await list_of(account, transaction_as_of=number, as_of=at)
        assert [memory["id"] for memory in shown] == [by_number[number]]
        assert len(await list_of(account, transaction_as_of=number, limit=100)) == number


async def test_a_client_that_goes_away_loses_nothing_for_the_others(account: Account) -> None:
    """Cancelled requests are stored whole or not at all; all others are stored, and the chain has no gap."""
    tasks = [asyncio.create_task(post(account, content=f"memory {number}")) for number in range(30)]
    await asyncio.sleep(0.004)
    for task in tasks[::3]:
        task.cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    kept = {ok(one)["memory_id"] for one in done if isinstance(one, httpx2.Response)}
    assert len(kept) >= 20
    stored = await list_of(account, limit=100)
    assert kept <= {memory["id"] for memory in stored}
    assert await newest(account) == len(stored) == (await account.get(PLAN))["writes_used"]
    assert (await account.get("/agent/transactions/verify"))["ok"]


async def test_whoever_runs_alone_is_not_left_waiting_when_the_service_ends(
    service: Service, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task that commits is cancelled between two writes of a refused commit: neither waits for ever."""
    attempt, alone = committing._attempt, asyncio.Event()  # pyright: ignore[reportPrivateUsage]

    async def refuse(writes: Sequence[committing.Write]) -> list[committing.Outcome]:
        if len(writes) > 1:
            alone.set()
            raise RuntimeError("refused")
        if alone.is_set():
            await asyncio.sleep(60)
        return await attempt(writes)

    monkeypatch.setattr(committing, "_attempt", refuse)
    waiting = asyncio.gather(*(post(account, content=f"memory {n}") for n in range(8)), return_exceptions=True)
    await alone.wait()
    await asyncio.sleep(0.05)
    for task in service.tasks:
        task.cancel()
    done = await asyncio.wait_for(waiting, 5)
    assert sum(isinstance(one, asyncio.CancelledError) for one in done) >= 2
    assert account.row.id not in service.writers


async def test_a_dry_run_beside_others_changes_nothing(account: Account) -> None:
    """It shows what would happen at its place in the order, and takes no number."""
    bodies: list[dict[str, Any]] = [{"content": f"memory {n}", "dry_run": n % 2 == 1} for n in range(20)]
    responses = await asyncio.gather(*(post(account, **body) for body in bodies))
    assert [ok(response)["memory_id"] is None for response in responses] == [body["dry_run"] for body in bodies]
    assert await newest(account) == 10
    assert len(await list_of(account, limit=100)) == 10


async def test_what_is_committed_together_is_bounded(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many wait, one commit takes a part of them; the rest follow."""
    assert committing.MOST_TOGETHER <= 100 and committing.MOST_MEMORIES <= 500
    bulks = [
        account.client.post("/agent/memories/bulk", json={"memories": [{"content": f"{b} {n}"} for n in range(200)]})
        for b in range(4)
    ]
    numbers = [ok(response)["transaction"]["id"] for response in await asyncio.gather(*bulks)]
    assert sorted(numbers) == [1, 2, 3, 4]
    assert (await account.get(PLAN))["writes_used"] == 800


async def test_verbs_of_one_commit_build_on_one_another(account: Account) -> None:
    """A memory superseded, corrected and retracted by requests that wait together: each sees what was before it."""
    old, new = await account.add("old"), await account.add("new")
    paths: list[tuple[str, dict[str, Any]]] = [
        (f"/memories/{old}/supersede", {"superseded_by": new}),
        (f"/memories/{old}/supersede", {"superseded_by": new}),
        (f"/memories/{new}/supersede", {"superseded_by": old}),
        (f"/memories/{new}/correct", {"content": "newer", "reason": "typo"}),
        (f"/memories/{new}/retract", {}),
        (f"/memories/{new}/retract", {}),
    ]
    responses = await asyncio.gather(*(account.client.post(path, json=body) for path, body in paths))
    in_order = [response.json().get("code", "ok") for response in responses]
    # Correct embeds first, and so comes after the retractions.
    assert in_order == ["ok", "already_superseded", "invalid_request", "not_believed", "ok", "not_believed"]
    assert await newest(account) == 4


async def test_a_turn_retracted_and_told_again_by_one_commit_keeps_its_source(account: Account, dsn: str) -> None:
    """The new memory has the turn that it came from, as when the retraction was committed before."""
    turn = {"role": "user", "content": "I like tea", "id": "m-1"}
    body: dict[str, Any] = {"messages": [turn], "extraction": "verbatim", "session_id": "s"}
    told = (await account.post(MEMORIES, **body))["memory_ids"][0]
    retracted, again = await together(account, dsn, (f"/memories/{told}/retract", {}), (MEMORIES, body))
    assert require_instant(ok(again)["transaction"]["at"]) - instants([retracted])[0] == MICROSECOND
    citation = (await account.get(f"/memories/{again.json()['memory_ids'][0]}"))["memory"]["source_citation"]
    assert (citation["message_id"], citation["erased"]) == ("m-1", False)


async def test_nothing_outside_the_database_is_called_inside_a_transaction(service: Service, account: Account) -> None:
    """The guard: an embedder that is asked while a transaction is open raises instead of holding it open."""
    embedder = service.embedder
    assert embedder is not None
    assert len(await embedder.embed(["outside"])) == 1
    for opened in (service.database.begin, service.database.read):
        async with opened(account.row.id):
            with pytest.raises(RuntimeError, match="inside a database transaction"):
                await embedder.embed(["inside"])
    assert len(await embedder.embed(["outside again"])) == 1
