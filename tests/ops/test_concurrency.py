"""Many writers at once: numbers, meter and lanes stay exact. contract.md (metering), time.md §1 and §7."""

import asyncio
import itertools
from typing import Any

import httpx2

from tests.conftest import Account, MakeAccount
from tests.faces.wire import BULK, MEMORIES, PLAN, list_of, ok, problem, require_instant

WRITERS = 50


async def _post(account: Account, **body: Any) -> httpx2.Response:
    return await account.client.post(MEMORIES, json=body)


async def test_fifty_writers_of_one_account_lose_nothing(account: Account) -> None:
    """writes_used == committed memories == listed memories; transaction numbers are dense, instants increase."""
    responses = await asyncio.gather(*(_post(account, content=f"memory {number}") for number in range(WRITERS)))
    answers = [ok(response) for response in responses]
    assert {answer["status"] for answer in answers} == {"saved"}
    by_number = {answer["transaction"]["id"]: answer for answer in answers}
    assert sorted(by_number) == list(range(1, WRITERS + 1))
    instants = [require_instant(by_number[number]["transaction"]["at"]) for number in sorted(by_number)]
    assert all(earlier < later for earlier, later in itertools.pairwise(instants))
    page = await account.get(MEMORIES, limit=1000)
    assert {memory["id"] for memory in page["memories"]} == {answer["memory_id"] for answer in answers}
    assert page["transaction"]["id"] == WRITERS
    assert (await account.get(PLAN))["writes_used"] == WRITERS


async def test_each_transaction_number_shows_exactly_what_was_written_until_then(account: Account) -> None:
    """Transaction order is commit order: at number k there are k memories, and the k-th is the newest."""
    responses = await asyncio.gather(*(_post(account, content=f"memory {number}") for number in range(20)))
    by_number = {ok(response)["transaction"]["id"]: response.json()["memory_id"] for response in responses}
    for number in (0, 1, 7, 13, 20):
        memories = await list_of(account, transaction_as_of=number, limit=100)
        assert [memory["id"] for memory in memories] == [by_number[one] for one in range(number, 0, -1)]


async def test_the_same_fact_written_by_fifty_is_stored_once(account: Account) -> None:
    """One is saved, the others are duplicates of it; one write is metered."""
    answers = [
        ok(one) for one in await asyncio.gather(*(_post(account, content="Kim likes tea") for _ in range(WRITERS)))
    ]
    assert sorted(answer["status"] for answer in answers) == ["duplicate"] * (WRITERS - 1) + ["saved"]
    assert len({answer["memory_id"] for answer in answers}) == 1
    assert (await account.get(PLAN))["writes_used"] == 1


async def test_one_slot_hammered_by_fifty_holds_one_value(account: Account) -> None:
    """Exactly one current value, the last committed; the timeline has no overlap and no hole."""
    slot = {"subject": "kim", "attribute": "city"}
    responses = await asyncio.gather(*(_post(account, content=f"city {number}", **slot) for number in range(WRITERS)))
    answers = [ok(response) for response in responses]
    assert {answer["status"] for answer in answers} == {"saved"}
    last = max(answers, key=lambda answer: answer["transaction"]["id"])
    assert [memory["id"] for memory in await list_of(account)] == [last["memory_id"]]
    timeline = (await account.get(f"/memories/{last['memory_id']}/timeline"))["timeline"]
    in_order = sorted(answers, key=lambda answer: answer["transaction"]["id"])
    assert [memory["id"] for memory in timeline] == [answer["memory_id"] for answer in in_order]
    for piece, following in itertools.pairwise(timeline):
        assert piece["valid_to"] == following["valid_from"]
        assert piece["superseded_by"] == following["id"]
    assert timeline[-1]["valid_to"] is timeline[-1]["superseded_by"] is None
    assert (await account.get(PLAN))["writes_used"] == WRITERS


async def test_intervals_of_one_slot_written_at_once_never_overlap(account: Account) -> None:
    """Open and bounded asserts with explicit starts, all at once: at each instant at most one value."""
    slot = {"subject": "kim", "attribute": "city"}
    bodies: list[dict[str, Any]] = [
        {"content": f"city {number}", "valid_from": f"20{10 + number % 15}-01-01", **slot} for number in range(30)
    ]
    for number in range(0, 30, 3):
        bodies[number]["valid_to"] = f"20{12 + number % 15}-06-01"
    for response in await asyncio.gather(*(_post(account, **body) for body in bodies)):
        ok(response)
    pieces = await list_of(account, include_superseded="true", limit=1000)
    spans = sorted((piece["valid_from"], piece["valid_to"] or "9999") for piece in pieces)
    assert spans
    for (_, end), (start, _) in itertools.pairwise(spans):
        assert end <= start
    for year in range(2009, 2030):
        assert len(await account.decisions(as_of=f"{year}-03-01")) <= 1


async def test_one_memory_superseded_by_many_at_once_has_one_successor(account: Account) -> None:
    """One wins; the others get 409 already_superseded, never a 500."""
    old = await account.add("old")
    news = [await account.add(f"new {number}") for number in range(10)]
    path = f"/memories/{old}/supersede"
    responses = await asyncio.gather(*(account.client.post(path, json={"superseded_by": new}) for new in news))
    won = [response.json()["superseded_by"] for response in responses if response.status_code == 200]
    assert len(won) == 1
    for response in responses:
        if response.status_code != 200:
            problem(response, 409, "already_superseded")
    memory = (await account.get(f"/memories/{old}"))["memory"]
    assert memory["superseded_by"] == won[0]


async def test_one_memory_retracted_by_many_at_once_is_retracted_once(account: Account) -> None:
    """One wins, the others get 409 not_believed; one transaction is taken."""
    memory_id = await account.add("old")
    responses = await asyncio.gather(*(account.client.delete(f"/memories/{memory_id}") for _ in range(10)))
    assert sorted(response.status_code for response in responses) == [200, *[409] * 9]
    assert (await account.get(MEMORIES))["transaction"]["id"] == 2


async def test_bulks_and_single_writes_at_once_are_each_whole(account: Account) -> None:
    """Every bulk is one transaction, whatever runs beside it."""
    bulks = [
        account.client.post(BULK, json={"memories": [{"content": f"bulk {b} item {n}"} for n in range(5)]})
        for b in range(6)
    ]
    singles = [_post(account, content=f"single {number}") for number in range(20)]
    responses = await asyncio.gather(*bulks, *singles)
    numbers = sorted(ok(response)["transaction"]["id"] for response in responses)
    assert numbers == list(range(1, 27))
    for response in responses[:6]:
        number: int = response.json()["transaction"]["id"]
        shown = await list_of(account, transaction_as_of=number, limit=1000)
        newest = shown[0]["transaction_time_start"]
        assert sum(memory["transaction_time_start"] == newest for memory in shown) == 5
    assert (await account.get(PLAN))["writes_used"] == 50


async def test_reads_during_writes_see_whole_transactions(account: Account) -> None:
    """A read names its moment and is one snapshot: the number in the answer fits the memories it lists."""
    writes = [
        account.client.post(BULK, json={"memories": [{"content": f"bulk {b} item {n}"} for n in range(3)]})
        for b in range(10)
    ]
    reads = [account.client.get(MEMORIES, params={"limit": 1000}) for _ in range(20)]
    mixed = [one for pair in zip(reads, [*writes, *[None] * 10], strict=True) for one in pair if one is not None]
    for response in await asyncio.gather(*mixed):
        body = ok(response)
        if "memories" in body:
            assert len(body["memories"]) == 3 * body["transaction"]["id"]


async def test_accounts_do_not_wait_for_or_see_one_another(make_account: MakeAccount) -> None:
    """Writers of different accounts: each account has its own dense numbers and its own meter."""
    accounts = [await make_account() for _ in range(5)]
    responses = await asyncio.gather(*(_post(one, content=f"memory {n}") for n in range(8) for one in accounts))
    for response in responses:
        ok(response)
    for one in accounts:
        page = await one.get(MEMORIES)
        assert page["transaction"]["id"] == (await one.get(PLAN))["writes_used"] == len(page["memories"]) == 8
        assert {memory["company_id"] for memory in page["memories"]} == {str(one.row.id)}
