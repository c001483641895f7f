"""Usage and the history of plans: trust.md §2, to the unit, from the ledger alone."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from aurra import cursors, keys, plans
from aurra.context import Service
from aurra.cursors import KeyUsedCursor, UsageCursor
from aurra.errors import CannotStart
from aurra.store import migrate
from aurra.store.accounts import open_directory
from aurra.store.plans import Change
from tests.conftest import Account, HandClock, MakeAccount
from tests.faces.wire import BULK, MEMORIES, PLAN, account_on_plan, at, ok, problem, require_instant, require_no_null
from tests.plain import connected, execute, own_database

SUMMARY, DETAILS, BY_KEY, HISTORY = "/usage/summary", "/usage/details", "/usage/by-key", "/plan/history"


async def fill(account: Account, count: int, name: str) -> None:
    await account.post(BULK, memories=[{"content": f"{name} {number}"} for number in range(count)])


async def every(account: Account, path: str, items: str, **query: Any) -> list[dict[str, Any]]:
    """All items, page by page."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = await account.get(path, **query, **cursor)
        found += page[items]
        if not page["has_more"]:
            assert page["next_cursor"] is None
            return found
        cursor = {"cursor": page["next_cursor"]}


async def play(account: Account, second: Account, clock: HandClock) -> None:
    """Two months of two keys: 3 + 2 writes in March, 4 + 1 in April, and what costs nothing."""
    clock.at = at("2040-03-30T23:59:59.999999")
    await fill(account, 3, "march")
    clock.at = at("2040-03-31T00:00:00")
    await fill(second, 2, "late march")
    clock.at = at("2040-04-01T00:00:00")
    await fill(account, 4, "april")
    clock.at = at("2040-04-10T12:00:00")
    gone = await second.add("a mistake")
    ok(await second.client.delete(f"/memories/{gone}"))
    ok(await account.client.post(f"/memories/{gone}/erase", json={}))
    ok(await account.client.post(MEMORIES, json={"content": "april 1"}))


async def test_usage_is_the_sum_of_the_ledger(
    account: Account, make_account: MakeAccount, hand_clock: HandClock
) -> None:
    """By day, by verb, by key: each sum is that of the transactions, erasures and duplicates or not."""
    second = await make_account(of=account.row)
    await play(account, second, hand_clock)
    summary = await account.get(SUMMARY)
    require_no_null({**summary, "grace_ends_at": None})
    assert (require_instant(summary["from"]), require_instant(summary["to"])) == (at("2040-04-01"), at("2040-05-01"))
    assert (summary["writes"], summary["transactions"], summary["writes_used"]) == (5, 4, 5)
    assert summary["days"] == [
        {"day": "2040-04-01", "writes": 4, "transactions": 1},
        {"day": "2040-04-10", "writes": 1, "transactions": 3},
    ]
    assert {one["verb"]: one["writes"] for one in summary["verbs"]} == {"assert": 5, "retract": 0, "erase": 0}
    assert (summary["held"]["memories"], summary["held"]["believed"]) == (9, 9)
    whole = await account.get(SUMMARY, **{"from": "2040-03-01", "to": "2040-05-01"})
    assert [one["writes"] for one in whole["days"]] == [3, 2, 4, 1]
    edge = await account.get(SUMMARY, **{"from": "2040-03-31", "to": "2040-04-01"})
    assert (edge["writes"], edge["writes_used"]) == (2, 5)
    ids = [keys.key_id_of(one.key) for one in (account, second)]
    by_key = {one["key_id"]: one for one in await every(account, BY_KEY, "keys", limit=1, **{"from": "2040-03-01"})}
    assert [(by_key[id_]["writes"], by_key[id_]["transactions"]) for id_ in ids] == [(7, 3), (3, 3)]
    assert require_instant(by_key[ids[0]]["last_write_at"]) == at("2040-04-10T12:00:00.000002")


async def test_details_come_in_pages_of_one_moment(
    account: Account, make_account: MakeAccount, hand_clock: HandClock
) -> None:
    """Page by page the same as at once, the newest day first; what is written between two pages is in none."""
    second = await make_account(of=account.row)
    await play(account, second, hand_clock)
    span = {"from": "2040-03-01", "to": "2040-05-01"}
    whole = (await account.get(DETAILS, **span))["details"]
    assert [(one["day"][5:], one["verb"], one["writes"]) for one in whole] == [
        ("04-10", "assert", 1),
        ("04-10", "erase", 0),
        ("04-10", "retract", 0),
        ("04-01", "assert", 4),
        ("03-31", "assert", 2),
        ("03-30", "assert", 3),
    ]
    first = await account.get(DETAILS, limit=2, **span)
    await fill(account, 5, "between")
    rest = await account.get(DETAILS, cursor=first["next_cursor"])
    assert first["details"] + rest["details"] == whole
    assert rest["transaction"] == first["transaction"]
    assert (rest["from"], rest["to"]) == (first["from"], first["to"])
    sums = Counter[str]()
    for one in await every(account, DETAILS, "details", limit=1, **span):
        sums[one["actor"]] += one["writes"]
    assert sums.total() == (await account.get(SUMMARY, **span))["writes"] == 15


async def test_a_key_that_wrote_nothing_is_listed(account: Account, make_account: MakeAccount) -> None:
    """Every key of the account, and none of another's."""
    silent, stranger = await make_account(of=account.row), await make_account()
    await account.add("one")
    await stranger.add("another account's")
    listed = {one["key_id"]: one["writes"] for one in (await account.get(BY_KEY))["keys"]}
    assert listed == {keys.key_id_of(account.key): 1, keys.key_id_of(silent.key): 0}
    assert (await stranger.get(SUMMARY))["writes"] == 1


@pytest.mark.parametrize("path", [SUMMARY, DETAILS, BY_KEY, HISTORY, f"{PLAN}?as_of=2026-01-01"])
async def test_sums_are_for_keys_of_the_whole_account(account: Account, make_account: MakeAccount, path: str) -> None:
    """A key pinned to a tenant, or with a ceiling in time, learns nothing of the rest: 403, whatever was written. One
    without the scope too."""
    for code, terms in (
        ("insufficient_scope", {"tenant_id": "north"}),
        ("key_has_ceiling", {"up_to": 1}),
        ("insufficient_scope", {"scopes": "memories:read,memories:write"}),
    ):
        key = await make_account(of=account.row, **terms)
        before = await key.client.get(path)
        problem(before, 403, code)
        await account.add(f"more {terms}")
        after = await key.client.get(path)
        assert after.json()["detail"] == before.json()["detail"]
    pinned = await make_account(of=account.row, tenant_id="north")
    assert (await pinned.get(PLAN))["plan_tier"] == "enterprise"


async def test_spans_that_cannot_be_are_refused(account: Account, make_account: MakeAccount) -> None:
    """Empty or reversed: 400; no instant: 422; a cursor of another list or account: 400."""
    for path in (SUMMARY, DETAILS, BY_KEY):
        for query in ({"from": "2040-01-02", "to": "2040-01-02"}, {"from": "2040-01-02", "to": "2040-01-01"}):
            problem(await account.client.get(path, params=query), 400, "empty_interval")
        problem(await account.client.get(path, params={"from": "2040-01-02T00:00:00"}), 422)
    await account.add("one")
    await (await make_account(of=account.row)).add("two")
    cursor = (await account.get(DETAILS, limit=1))["next_cursor"]
    other = await make_account()
    for client, path in ((account.client, BY_KEY), (other.client, DETAILS)):
        problem(await client.get(path, params={"cursor": cursor}), 400, "invalid_cursor")


# ---- what the plan was


async def stood(account: Account, when: str) -> tuple[Any, ...]:
    """Plan, used, limit, in grace, blocked, end of grace, as of an instant."""
    status = await account.get(PLAN, as_of=f"{when}Z")
    names = ("plan_tier", "writes_used", "writes_limit", "in_grace_period", "blocked", "grace_ends_at")
    return tuple(status[name] for name in names)


async def test_what_the_limit_was_is_answered(make_account: MakeAccount, dsn: str, hand_clock: HandClock) -> None:
    """Plan, limit, writes used and grace, as they stood at every instant: the same as was answered then."""
    hand_clock.at = at("2040-03-10")
    account = await account_on_plan(make_account, dsn, 20)
    steps: list[tuple[str, int, str | None]] = [
        ("2040-03-10T12:00:00", 19, None),
        ("2040-03-11T12:00:00", 1, None),
        ("2040-03-18T11:59:59.999999", 1, None),
        ("2040-03-18T12:00:00", 0, None),
        ("2040-03-19T12:00:00", 0, "free"),
        ("2040-03-20T12:00:00", 30, None),
        ("2040-03-21T12:00:00", 0, "tiny-20"),
        ("2040-04-01T00:00:00", 2, None),
    ]
    told: dict[str, tuple[Any, ...]] = {}
    async with open_directory(dsn) as directory:
        for when, count, plan in steps:
            hand_clock.at = at(when)
            if plan:
                await directory.change_plan(account.row.name, plan, at=hand_clock.at)
            if count:
                await fill(account, count, when)
            status = await account.get(PLAN)
            told[when] = await stood(account, when)
            assert told[when][1:3] == (status["writes_used"], status["writes_limit"])
    assert [value[3:5] for value in told.values()] == [
        (False, False),
        (True, False),
        (True, False),
        (False, True),
        (False, False),
        (False, False),
        (False, True),
        (False, False),
    ]
    hand_clock.at = at("2040-06-01")
    for when, value in told.items():
        assert await stood(account, when) == value
    # Past 110 % of the plan that it is back on, it is blocked at once; its grace began with that change.
    assert told["2040-03-21T12:00:00"][5] == "2040-03-28T12:00:00.000000+00:00"
    assert told["2040-03-18T11:59:59.999999"][5] == "2040-03-18T12:00:00.000000+00:00"
    page = await account.get(HISTORY, limit=2)
    rest = await account.get(HISTORY, cursor=page["next_cursor"])
    assert [(one["plan_tier"], one["transaction"], one["cause"]) for one in page["changes"] + rest["changes"]] == [
        ("tiny-20", 4, "moved"),
        ("free", 3, "moved"),
        ("tiny-20", 0, "created"),
    ]


async def test_instants_without_a_plan_are_refused(account: Account, hand_clock: HandClock) -> None:
    """Before the account, and to come: 400; naive: 422."""
    problem(await account.client.get(PLAN, params={"as_of": "2001-01-01"}), 400, "out_of_range")
    hand_clock.at = at("2040-03-10")
    problem(await account.client.get(PLAN, params={"as_of": "2040-03-11"}), 400, "transaction_in_the_future")
    problem(await account.client.get(PLAN, params={"as_of": "2040-03-09T00:00:00"}), 422)


async def test_a_plan_that_is_redefined_holds_at_once_for_all_on_it(
    make_account: MakeAccount, dsn: str, hand_clock: HandClock
) -> None:
    """`plans set`: limits and grace of every account on it, with a row in each history; of no other account."""
    hand_clock.at = at("2040-03-10")
    name = "tiny-9"
    full, empty = await account_on_plan(make_account, dsn, 9), await make_account(plan=name)
    other = await make_account(plan="free")
    await fill(full, 5, "five")
    hand_clock.at = at("2040-03-11")
    async with open_directory(dsn) as directory:
        row = await directory.set_plan(name, Change(writes_limit=5, key_requests_per_minute=7), at=hand_clock.at)
        assert (row.writes_limit, row.key_requests_per_minute, row.account_requests_per_minute) == (5, 7, None)
        assert row.accounts >= 2
        for account in (full, empty, other):
            assert await directory.remembers_plan(account.row)
    status = await full.get(PLAN)
    assert (status["writes_limit"], status["in_grace_period"], status["blocked"]) == (5, False, True)
    assert require_instant(status["grace_ends_at"]) == at("2040-03-18")
    problem(await full.client.post(MEMORIES, json={"content": "x"}), 402)
    assert (await empty.get(PLAN))["writes_limit"] == 5
    for account, causes in ((full, ["redefined", "created"]), (other, ["created"])):
        assert [one["cause"] for one in (await account.get(HISTORY))["changes"]] == causes
    async with open_directory(dsn) as directory:
        await directory.set_plan(name, Change(writes_limit=9), at=hand_clock.at)
    ok(await full.client.post(MEMORIES, json={"content": "x"}))


async def test_a_change_past_the_commands_shows(account: Account, dsn: str) -> None:
    """Where SQL changed the plan, the history does not end with the plan in force, and the doctor says so."""
    async with open_directory(dsn) as directory:
        assert await directory.remembers_plan(account.row)
        await execute(dsn, f"UPDATE account SET plan = 'free' WHERE company_id = '{account.row.id}'")
        assert not await directory.remembers_plan(account.row)
        await directory.change_plan(account.row.name, "free")
        assert await directory.remembers_plan(account.row)


async def test_plans_that_cannot_be_are_refused(account: Account, dsn: str) -> None:
    """A plan with an account on it stays; a new one needs its writes; names and numbers have bounds."""
    async with open_directory(dsn) as directory:
        with pytest.raises(CannotStart, match="accounts are on the plan 'enterprise'"):
            await directory.remove_plan("enterprise")
        for name, change in (
            ("fresh", Change()),
            ("fresh", Change(writes_limit=0)),
            ("fresh", Change(writes_limit=plans.UNLIMITED + 1)),
            ("fresh", Change(writes_limit=1, key_requests_per_minute=0)),
            ("two words", Change(writes_limit=1)),
        ):
            with pytest.raises(CannotStart):
                await directory.set_plan(name, change)
        with pytest.raises(CannotStart, match="There is no plan 'fresh'"):
            await directory.remove_plan("fresh")
        await directory.set_plan("fresh", Change(writes_limit=1))
        await directory.change_plan(account.row.name, "fresh")
        with pytest.raises(CannotStart, match="1 accounts are on the plan 'fresh'"):
            await directory.remove_plan("fresh")
        await directory.change_plan(account.row.name, "enterprise")
        await directory.remove_plan("fresh")
    assert [one["plan_tier"] for one in (await account.get(HISTORY))["changes"]] == [
        "enterprise",
        "fresh",
        "enterprise",
    ]


async def test_accounts_that_were_there_have_a_history(dsn: str, tmp_path: Path) -> None:
    """The migration enters each account's plan as it finds it, since the account's beginning."""
    for file in migrate.DIRECTORY.glob("*.sql"):
        if file.name < "0009":
            shutil.copy(file, tmp_path)
    async with own_database(dsn) as own:
        await migrate.migrate(own, tmp_path)
        await execute(own, "INSERT INTO account VALUES (gen_random_uuid(), 'old', 'starter', '2025-05-01+00')")
        await migrate.migrate(own)
        async with connected(own) as connection:
            [row] = await connection.fetch("SELECT * FROM plan_change")
        async with open_directory(own) as directory:
            assert await directory.remembers_plan(await directory.get_account("old"))
    assert (row["id"], row["tx"], row["cause"], row["plan"], row["at"]) == (1, 0, "found", "starter", at("2025-05-01"))
    assert (row["writes_limit"], row["key_requests_per_minute"], row["account_requests_per_minute"]) == (
        50_000,
        600,
        3000,
    )


async def test_a_cursor_of_a_transaction_that_is_gone_is_refused(account: Account, service: Service) -> None:
    """After a restore the newest transaction is an earlier one: 400 for cursors of the ones that are gone."""
    await account.add("one")
    start, until = at("2040-01-01"), at("2040-02-01")
    for path, place in (
        (DETAILS, UsageCursor(start.date(), "assert", "x", start, until, 99)),
        (BY_KEY, KeyUsedCursor("x", start, until, 99)),
    ):
        cursor = cursors.encode(place, account.row.id.bytes, service.cursor_secret)
        problem(await account.client.get(path, params={"cursor": cursor}), 400, "invalid_cursor")
