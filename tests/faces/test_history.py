"""Versions, transactions and differences: time.md §4, through HTTP."""

import itertools
import json
import random
from typing import Any

import pytest

from aurra.ops import history
from tests.conftest import Account, HandClock, MakeAccount
from tests.faces.wire import NOWHERE, at, nothing_stored, ok, problem, require_instant, same_for_all
from tests.ops.test_past import state, step

CITY = {"subject": "kim", "attribute": "city"}
DIFF = "/agent/diff"
TRANSACTIONS = "/agent/transactions"
VERSION_KEYS = {
    *("version", "decision", "valid_from", "valid_to", "opened_by", "closed_by", "transaction_time_start"),
    *("transaction_time_end", "op", "superseded_by"),
}
ENTRY_KEYS = {"id", "at", "verb", "actor", "reason", "request_id", "model", "writes", "hash"}
OPENED_KEYS = {
    *("memory_id", "version", "decision", "valid_from", "valid_to", "superseded_by", "op"),
    *("tenant_id", "subject", "attribute"),
}
CHANGE_KEYS = {
    *("kind", "tenant_id", "subject", "attribute", "before", "after", "superseded_by"),
    *("transaction", "actor", "reason"),
}
SIDE_KEYS = {"memory_id", "decision", "valid_from", "valid_to", "version"}
NO_NUMBERS = ["0", "99", "-1", "1.5", "x", "٣", "9" * 400, "%00", "é", NOWHERE]
"""Numbers of no transaction of an account that has few."""


async def diff(account: Account, first: int | str, **query: Any) -> list[dict[str, Any]]:
    """The changes after a transaction."""
    return (await account.get(DIFF, **{"from": first}, **query))["changes"]


async def numbers(account: Account, **query: Any) -> list[int]:
    """The transactions of a page."""
    return [one["id"] for one in (await account.get(TRANSACTIONS, **query))["transactions"]]


async def moved(account: Account) -> tuple[str, str]:
    """Kim lived in Oslo since 2020, and lives in Rome since 2022: two transactions."""
    oslo = await account.add("Kim lives in Oslo", valid_from="2020-01-01", **CITY)
    rome = await account.add("Kim lives in Rome", valid_from="2022-01-01", reason="moved", **CITY)
    return oslo, rome


def instant(day: str) -> str:
    """How an answer writes a date."""
    return f"{day}T00:00:00.000000+00:00"


def said(changes: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Of each change its kind, what was, what is, and from when to when."""
    found: list[tuple[Any, ...]] = []
    for change in changes:
        side = change["after"] or change["before"]
        sides = [one and one["decision"] for one in (change["before"], change["after"])]
        found.append((change["kind"], *sides, *(one and one[:10] for one in (side["valid_from"], side["valid_to"]))))
    return found


# ---- versions


@pytest.mark.parametrize("path", ["/memories/{id}/versions", "/agent/memories/{id}/versions"])
async def test_every_version_with_both_intervals(account: Account, path: str) -> None:
    """Every version begun by then, with what it says, in the order of belief."""
    oslo, rome = await moved(account)
    answer = await account.get(path.replace("{id}", oslo))
    assert set(answer) == {"memory_id", "versions", "transaction", "as_of", "warnings"}
    assert (answer["memory_id"], answer["transaction"]["id"]) == (oslo, 2)
    first, second = answer["versions"]
    assert set(first) == set(second) == VERSION_KEYS
    assert (first["decision"], second["decision"]) == ("Kim lives in Oslo", "Kim lives in Oslo")
    assert (first["opened_by"], first["closed_by"], first["op"], first["superseded_by"]) == (1, 2, "assert", None)
    assert (first["valid_from"], first["valid_to"]) == (instant("2020-01-01"), None)
    assert (second["opened_by"], second["closed_by"], second["op"]) == (2, None, "leftover")
    assert (second["valid_to"], second["superseded_by"]) == (instant("2022-01-01"), rome)
    assert first["transaction_time_end"] == second["transaction_time_start"] == answer["transaction"]["at"]
    assert second["transaction_time_end"] is None
    require_instant(first["transaction_time_start"])


async def test_versions_at_an_earlier_transaction_know_no_later_closing(account: Account) -> None:
    """`transaction_as_of`: only versions begun by then; later closings show null."""
    oslo, rome = await moved(account)
    [version] = (await account.get(f"/memories/{oslo}/versions", transaction_as_of=1))["versions"]
    assert (version["closed_by"], version["transaction_time_end"], version["superseded_by"]) == (None, None, None)
    problem(await account.client.get(f"/memories/{rome}/versions", params={"transaction_as_of": 1}), 404, "not_found")


async def test_a_version_that_was_replaced_whole_names_who_took_it(account: Account) -> None:
    """The successor is the memory that took over, also where nothing of the piece is left."""
    old = await account.add("Oslo", valid_from="2020-01-01", **CITY)
    new = await account.add("Rome", valid_from="2020-01-01", **CITY)
    [version] = (await account.get(f"/memories/{old}/versions"))["versions"]
    assert (version["closed_by"], version["superseded_by"]) == (2, new)


async def test_versions_of_foreign_and_unknown_ids_are_the_same_404(
    account: Account, make_account: MakeAccount
) -> None:
    """The one 404."""
    foreign = await (await make_account()).add("of another account")
    south = await account.add("of another tenant", tenant_id="south")
    pinned = await make_account(of=account.row, tenant_id="north")
    same_for_all(
        [
            await client.get(f"/memories/{one}/versions")
            for client, one in (
                (account.client, foreign),
                (account.client, NOWHERE),
                (account.client, "x"),
                (pinned.client, south),
            )
        ]
    )


# ---- transactions


async def test_transactions_are_newest_first_and_since_turns_them_round(account: Account) -> None:
    """Without `since` newest first; with it those after it, oldest first."""
    await moved(account)
    await account.add("a third")
    answer = await account.get(TRANSACTIONS)
    assert set(answer) == {"transactions", "has_more", "next_cursor", "transaction", "as_of", "warnings"}
    assert [one["id"] for one in answer["transactions"]] == [3, 2, 1]
    assert (answer["has_more"], answer["next_cursor"], answer["transaction"]["id"]) == (False, None, 3)
    entry = answer["transactions"][1]
    assert set(entry) == {*ENTRY_KEYS, "opened_count", "closed_count"}
    assert (entry["verb"], entry["reason"], entry["writes"]) == ("assert", "moved", 1)
    assert (entry["opened_count"], entry["closed_count"]) == (2, 1)
    assert entry["actor"].startswith("key ")
    assert len(bytes.fromhex(entry["hash"])) == 32
    require_instant(entry["at"])
    assert [await numbers(account, since=since) for since in (0, 1, 3, 99)] == [[1, 2, 3], [2, 3], [], []]
    assert await numbers(account, limit=2) == [3, 2]
    assert await numbers(account, transaction_as_of=2) == [2, 1]
    assert await numbers(account, transaction_as_of=0) == []


@pytest.mark.parametrize("query", [{}, {"since": 2}])
async def test_pages_show_each_transaction_once_whatever_is_written_meanwhile(
    account: Account, query: dict[str, int]
) -> None:
    """A cursor carries the number that was read, and the direction."""
    for number in range(7):
        await account.add(f"fact {number}")
    seen: list[int] = []
    cursor: str | None = None
    as_of: set[str] = set()
    while True:
        page = await account.get(TRANSACTIONS, limit=2, **({"cursor": cursor} if cursor else query))
        seen += [one["id"] for one in page["transactions"]]
        as_of.add(page["as_of"])
        assert page["transaction"]["id"] == 7
        cursor = page["next_cursor"]
        assert page["has_more"] is (cursor is not None)
        if cursor is None:
            break
        await account.add(f"written meanwhile {len(seen)}")
    assert seen == ([3, 4, 5, 6, 7] if query else [7, 6, 5, 4, 3, 2, 1])
    assert len(as_of) == 1


async def test_a_consumer_that_keeps_its_number_misses_nothing(account: Account) -> None:
    """The ledger is the outbox: what comes after the number that was reached."""
    reached, seen = 0, list[int]()
    for number in range(6):
        await account.add(f"fact {number}")
        if number % 2:
            for one in await numbers(account, since=reached, limit=3):
                seen.append(one)
                reached = one
    assert seen == [1, 2, 3, 4, 5, 6]


async def test_a_cursor_is_of_its_account_and_of_its_list(account: Account, make_account: MakeAccount) -> None:
    """A cursor of another account, of another list, or of nobody is 400."""
    other = await make_account()
    for one in (account, other):
        for number in range(2):
            await one.add(f"fact {number}", subject=f"s{number}")
    paths = (TRANSACTIONS, "/agent/memories", "/agent/subjects")
    cursors = {path: (await account.get(path, limit=1))["next_cursor"] for path in paths}
    for path, kind in itertools.product(paths, paths):
        response = await account.client.get(path, params={"cursor": cursors[kind]})
        assert response.status_code == (200 if path == kind else 400), (path, kind)
        problem(await other.client.get(path, params={"cursor": cursors[kind]}), 400, "invalid_cursor")
    for junk in ("x", cursors[TRANSACTIONS][:-2], "%00", "é"):
        problem(await account.client.get(TRANSACTIONS, params={"cursor": junk}), 400, "invalid_cursor")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"since": "-1"}, 400),
        ({"since": "x"}, 422),
        ({"since": "1.5"}, 422),
        ({"limit": "x"}, 422),
        ({"unknown": "1"}, 400),
        ({"transaction_as_of": "99"}, 400),
        ({"as_of": "2024-01-01T00:00:00"}, 422),
        ({"tenant_id": "\0"}, 400),
    ],
)
async def test_junk_in_a_list_of_transactions(account: Account, query: dict[str, str], status: int) -> None:
    """4xx that names the field."""
    problem(await account.client.get(TRANSACTIONS, params=query), status)


async def test_limits_and_numbers_of_any_size_are_taken(account: Account) -> None:
    """The limit is clamped, a number beyond the newest has nothing after it."""
    await account.add("a fact")
    for limit in ("0", "-5", "1000000"):
        assert await numbers(account, limit=limit) == [1]
    for since in ("9" * 18, "9223372036854775807", "9" * 40):
        response = await account.client.get(TRANSACTIONS, params={"since": since})
        if response.status_code == 200:
            assert ok(response)["transactions"] == []
        else:
            problem(response)


async def test_one_transaction_with_all_that_it_opened_and_closed(account: Account) -> None:
    """Who, when, why, and the versions in full."""
    oslo, rome = await moved(account)
    answer = await account.get(f"{TRANSACTIONS}/2")
    assert set(answer) == {*ENTRY_KEYS, "opened", "closed", "erased", "transaction", "as_of", "warnings"}
    listed = (await account.get(TRANSACTIONS))["transactions"][0]
    assert {name: answer[name] for name in ENTRY_KEYS} == {name: listed[name] for name in ENTRY_KEYS}
    assert answer["erased"] == 0
    left, new = answer["opened"]
    assert set(left) == set(new) == OPENED_KEYS
    assert (left["memory_id"], left["op"], left["superseded_by"]) == (oslo, "leftover", rome)
    assert (left["valid_from"], left["valid_to"]) == (instant("2020-01-01"), instant("2022-01-01"))
    assert (new["memory_id"], new["op"], new["decision"]) == (rome, "assert", "Kim lives in Rome")
    assert (new["subject"], new["attribute"], new["tenant_id"]) == ("kim", "city", None)
    [closed] = answer["closed"]
    assert set(closed) == {*OPENED_KEYS, "replaced_by"}
    assert (closed["memory_id"], closed["valid_to"], closed["replaced_by"]) == (oslo, None, None)
    versions = (await account.get(f"/memories/{oslo}/versions"))["versions"]
    assert [closed["version"], left["version"]] == [version["version"] for version in versions]


async def test_what_is_no_transaction_is_the_same_404(account: Account, make_account: MakeAccount) -> None:
    """No digits, beyond the newest, 0, one of another tenant only: the one 404, whatever was asked."""
    await account.add("of the south", tenant_id="south")
    await account.add("of the default tenant")
    pinned = await make_account(of=account.row, tenant_id="north")
    answers = [await account.client.get(f"{TRANSACTIONS}/{one}") for one in NO_NUMBERS]
    answers += [await pinned.client.get(f"{TRANSACTIONS}/{one}") for one in ("1", "2", *NO_NUMBERS)]
    answers.append(await account.client.get(f"{TRANSACTIONS}/2", params={"transaction_as_of": 1}))
    same_for_all(answers)


async def test_a_pinned_key_sees_only_its_tenants_part(account: Account, make_account: MakeAccount) -> None:
    """Of a transaction over several tenants the versions of its own; of the ledger those that touched it."""
    items = [
        {"content": "north", "tenant_id": "north"},
        {"content": "south", "tenant_id": "south"},
        {"content": "none"},
    ]
    await account.post("/agent/memories/bulk", memories=items)
    await account.add("more of the south", tenant_id="south")
    await account.add("more of none")
    north = await make_account(of=account.row, tenant_id="north")
    assert await numbers(account) == [3, 2, 1]
    assert await numbers(north) == [1]
    assert await numbers(account, tenant_id="south") == [2, 1]
    assert await numbers(account, tenant_id="") == [3, 1]
    assert await numbers(account, tenant_id="nobody") == []
    assert await numbers(account, tenant_id="south", since=1) == [2]
    problem(await north.client.get(TRANSACTIONS, params={"tenant_id": "south"}), 404, "not_found")
    [entry] = (await north.get(TRANSACTIONS))["transactions"]
    assert entry["opened_count"] == 1
    assert [one["decision"] for one in (await north.get(f"{TRANSACTIONS}/1"))["opened"]] == ["north"]
    everything = (await account.get(f"{TRANSACTIONS}/1"))["opened"]
    assert {one["tenant_id"] for one in everything} == {"north", "south", None}


async def test_the_ledger_needs_the_scope_of_audits(account: Account, make_account: MakeAccount) -> None:
    """audit:read for transactions; memories:read for versions and differences."""
    memory_id = await account.add("a fact")
    reader = await make_account(of=account.row, scopes="memories:read")
    for path in (TRANSACTIONS, f"{TRANSACTIONS}/1"):
        problem(await reader.client.get(path), 403, "insufficient_scope")
    ok(await reader.client.get(f"/memories/{memory_id}/versions"))
    assert len(await diff(reader, 0)) == 1
    auditor = await make_account(of=account.row, scopes="audit:read")
    problem(await auditor.client.get(DIFF, params={"from": 0}), 403, "insufficient_scope")


# ---- the difference


async def test_a_difference_names_what_was_and_what_is(account: Account) -> None:
    """As time.md shows it."""
    oslo, rome = await moved(account)
    answer = await account.get(DIFF, **{"from": 1, "to": 2})
    assert set(answer) == {"from", "to", "as_of", "changes", "warnings"}
    assert (answer["from"]["id"], answer["to"]["id"], answer["as_of"]) == (1, 2, None)
    [change] = answer["changes"]
    assert set(change) == CHANGE_KEYS
    assert (change["kind"], change["subject"], change["attribute"]) == ("superseded", "kim", "city")
    assert (change["transaction"], change["reason"], change["superseded_by"]) == (2, "moved", rome)
    assert change["actor"].startswith("key ")
    for side, memory_id, text in (("before", oslo, "Kim lives in Oslo"), ("after", rome, "Kim lives in Rome")):
        assert set(change[side]) == SIDE_KEYS
        assert (change[side]["memory_id"], change[side]["decision"]) == (memory_id, text)
        assert (change[side]["valid_from"], change[side]["valid_to"]) == (instant("2022-01-01"), None)
    assert said(await diff(account, 0)) == [
        ("added", None, "Kim lives in Oslo", "2020-01-01", "2022-01-01"),
        ("added", None, "Kim lives in Rome", "2022-01-01", None),
    ]
    assert await diff(account, 2) == await diff(account, 1, to=1) == []


async def test_the_verbs_by_their_kinds(account: Account) -> None:
    """added, superseded, ended, retracted; the net of several."""
    tea = await account.add("likes tea", valid_from="2020-01-01", subject="kim")
    coffee = await account.add("likes coffee", valid_from="2020-01-01", subject="kim")
    water = await account.add("likes water", valid_from="2020-01-01", subject="kim")
    supersede = {"superseded_by": coffee, "valid_to": "2021-01-01"}
    ok(await account.client.post(f"/memories/{tea}/supersede", json=supersede))
    ok(await account.client.post(f"/memories/{coffee}/supersede", json={"valid_to": "2022-01-01"}))
    ok(await account.client.delete(f"/memories/{water}", params={"reason": "never did"}))
    changes = await diff(account, 3)
    assert said(changes) == [
        ("superseded", "likes tea", None, "2021-01-01", None),
        ("ended", "likes coffee", None, "2022-01-01", None),
        ("retracted", "likes water", None, "2020-01-01", None),
    ]
    assert [change["superseded_by"] for change in changes] == [coffee, None, None]
    assert [change["transaction"] for change in changes] == [4, 5, 6]
    assert changes[2]["reason"] == "never did"
    assert [one[:3] for one in said(await diff(account, 0))] == [
        ("added", None, "likes tea"),
        ("added", None, "likes coffee"),
    ]


async def test_corrections_and_restorations_by_their_kinds(account: Account) -> None:
    """corrected: the same memory with other words or another interval; superseded where it displaced another; restored;
    what is corrected back, or restored to what it was, is no difference."""
    oslo, rome = await moved(account)
    correct = f"/memories/{rome}/correct"
    await account.post(correct, content="Kim lives in Roma", reason="as it is called")
    await account.post(correct, valid_from="2021-01-01", reason="a year before")
    assert said(await diff(account, 2, to=3)) == [
        ("corrected", "Kim lives in Rome", "Kim lives in Roma", "2022-01-01", None)
    ]
    [change] = await diff(account, 3, to=4)
    assert said([change]) == [("superseded", "Kim lives in Oslo", "Kim lives in Roma", "2021-01-01", "2022-01-01")]
    assert (change["before"]["memory_id"], change["superseded_by"], change["reason"]) == (oslo, rome, "a year before")
    await account.post("/agent/transactions/4/restore", reason="it was not")
    [change] = await diff(account, 4)
    assert (change["kind"], change["reason"], change["after"]["memory_id"]) == ("restored", "it was not", oslo)
    assert await diff(account, 3) == []
    await account.post(correct, content="Kim lives in Rome", reason="as it was")
    assert await diff(account, 2) == []
    assert [one[0] for one in said(await diff(account, 3))] == ["corrected"]


async def test_a_difference_at_one_instant(account: Account) -> None:
    """`as_of`: only changes whose interval holds it, as long as they are without it."""
    await moved(account)
    await account.add("Kim lives in Bonn", valid_from="2030-01-01", valid_to="2031-01-01", **CITY)
    assert [one[2] for one in said(await diff(account, 0, as_of="2021-01-01"))] == ["Kim lives in Oslo"]
    assert [one[2] for one in said(await diff(account, 0, as_of="2030-06-01"))] == ["Kim lives in Bonn"]
    assert await diff(account, 0, as_of="2019-01-01") == []
    [change] = await diff(account, 0, as_of="2022-01-01")
    assert said([change]) == [("added", None, "Kim lives in Rome", "2022-01-01", "2030-01-01")]
    assert change in await diff(account, 0)


async def test_a_difference_between_instants(account: Account, hand_clock: HandClock) -> None:
    """`from` and `to` are numbers or instants: the newest transaction at or before."""
    for month, city in ((1, "Oslo"), (2, "Rome"), (3, "Bonn")):
        hand_clock.at = at(f"2040-0{month}-01T00:00:00")
        await account.add(city, **CITY)
    hand_clock.at = at("2040-04-01T00:00:00")
    answer = await account.get(DIFF, **{"from": "2040-01-15", "to": "2040-02-01T00:00:00Z"})
    assert (answer["from"]["id"], answer["to"]["id"]) == (1, 2)
    assert said(answer["changes"]) == [("superseded", "Oslo", "Rome", "2040-02-01", None)]
    everything = await account.get(DIFF, **{"from": "1999-01-01"})
    assert (everything["from"]["id"], everything["to"]["id"]) == (0, 3)


@pytest.mark.parametrize(
    ("query", "status", "param"),
    [
        ({}, 422, "from"),
        ({"from": "2", "to": "1"}, 400, "from"),
        ({"from": "3"}, 400, "from"),
        ({"from": "0", "to": "99"}, 400, "to"),
        ({"from": "9999-01-01"}, 400, "from"),
        ({"from": "soon"}, 422, "from"),
        ({"from": "-1"}, 422, "from"),
        ({"from": "0", "to": "2024-01-01T00:00:00"}, 422, "to"),
        ({"from": "9" * 400}, 400, "from"),
        ({"from": "0", "as_of": "soon"}, 422, "as_of"),
        ({"from_": "0"}, 400, "from_"),
    ],
)
async def test_junk_in_a_difference(account: Account, query: dict[str, str], status: int, param: str) -> None:
    """4xx that names the field as it is sent."""
    await moved(account)
    assert problem(await account.client.get(DIFF, params=query), status)["param"] == param


async def test_a_difference_is_of_one_tenant(account: Account, make_account: MakeAccount) -> None:
    """The default tenant unless another is named; a pinned key's own."""
    await account.add("of the north", tenant_id="north")
    await account.add("of none")
    north = await make_account(of=account.row, tenant_id="north")
    assert [one[2] for one in said(await diff(account, 0))] == ["of none"]
    assert [one[2] for one in said(await diff(account, 0, tenant_id="north"))] == ["of the north"]
    assert [one[2] for one in said(await diff(north, 0))] == ["of the north"]
    problem(await north.client.get(DIFF, params={"from": 0, "tenant_id": "south"}), 404, "not_found")


async def test_changes_come_by_subject_attribute_and_instant(account: Account) -> None:
    """In the order of their names as they compare, what has no subject last."""
    await account.add("no subject")
    for subject, attribute in (("Zoe", "job"), ("zoe", "city"), ("Ada", None), ("bo", "x")):
        await account.add("a fact", **{"subject": subject, **({"attribute": attribute} if attribute else {})})
    assert [(one["subject"], one["attribute"]) for one in await diff(account, 0)] == [
        ("Ada", None),
        ("bo", "x"),
        ("zoe", "city"),
        ("Zoe", "job"),
        (None, None),
    ]


DAYS = [f"2026-{month:02}-{day:02}" for month in range(1, 13) for day in (1, 15)] + ["2025-01-01", "2027-06-01"]


def _believed(memories: list[dict[str, Any]], day: str) -> dict[str, str]:
    """What a state says of one instant: each memory with its words."""
    moment = instant(day)
    return {
        one["id"]: one["decision"]
        for one in memories
        if one["valid_from"] <= moment and (one["valid_to"] is None or moment < one["valid_to"])
    }


def _applied(believed: dict[str, str], changes: list[dict[str, Any]], day: str) -> dict[str, str]:
    moment = instant(day)
    result = dict(believed)
    for change in changes:
        side = change["after"] or change["before"]
        if side["valid_from"] <= moment and (side["valid_to"] is None or moment < side["valid_to"]):
            if change["before"]:
                assert result.pop(change["before"]["memory_id"]) == change["before"]["decision"]
            if change["after"]:
                result[change["after"]["memory_id"]] = change["after"]["decision"]
    return result


async def _undone_or_corrected(account: Account, dice: random.Random, ids: list[str]) -> None:
    """A random correction or restoration; what the service refuses is no step."""
    correct, number = f"/memories/{dice.choice(ids)}/correct", dice.randint(1, len(ids))
    path, body = dice.choice(
        [
            (correct, {"content": f"corrected {dice.randint(0, 9)}"}),
            (correct, {"valid_from": f"2026-{dice.randint(1, 12):02}-01"}),
            (f"{TRANSACTIONS}/{number}/restore", dict[str, str]()),
        ]
    )
    response = await account.client.post(path, json={**body, "reason": "by chance"})
    assert response.status_code < 500, response.text


async def test_a_difference_leads_from_any_state_to_any_later_one(account: Account) -> None:
    """Property 5, through the product: diff(a, b) applied to state(a) is state(b) at every instant."""
    dice = random.Random(20261124)
    ids: list[str] = []
    for _ in range(60):
        await step(account, dice, ids)
        if dice.random() < 0.3:
            await _undone_or_corrected(account, dice, ids)
    newest = (await account.get(TRANSACTIONS, limit=1))["transaction"]["id"]
    states = [(await state(account, number))["memories"] for number in range(newest + 1)]
    pairs = [sorted(dice.sample(range(newest + 1), 2)) for _ in range(30)] + [[0, newest], [newest, newest]]
    for first, last in pairs:
        changes = await diff(account, first, to=last)
        for day in DAYS:
            left = _applied(_believed(states[first], day), changes, day)
            assert left == _believed(states[last], day), (first, last, day)
            named = await diff(account, first, to=last, as_of=day) if day == DAYS[7] else []
            assert all(change in changes for change in named)
        assert all(first < change["transaction"] <= last for change in changes)


async def test_every_read_of_history_is_answered_alike_for_ever(account: Account) -> None:
    """Law 4: asked again with the transaction and the `as_of` that an answer names, it is the same after any writes."""
    dice = random.Random(11)
    ids = list(await moved(account))
    asked: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
    for _ in range(15):
        for _ in range(3):
            await step(account, dice, ids)
        paths = (f"/memories/{dice.choice(ids)}/versions", TRANSACTIONS, f"{TRANSACTIONS}/2", "/agent/subjects")
        for path in (*paths, "/agent/subjects/kim"):
            answer = await account.get(path)
            again = {"transaction_as_of": answer["transaction"]["id"], "as_of": answer["as_of"]}
            asked.append((path, again, answer))
        first = dice.randint(0, 2)
        answer = await account.get(DIFF, **{"from": first})
        asked.append((DIFF, {"from": first, "to": answer["to"]["id"]}, answer))
    for path, again, answer in asked:
        assert await account.get(path, **again) == answer, path


async def test_reads_of_history_take_no_number(account: Account) -> None:
    """Only the verbs take a number."""
    memory_id, _ = await moved(account)
    async with nothing_stored(account):
        for path in (f"/memories/{memory_id}/versions", TRANSACTIONS, f"{TRANSACTIONS}/1", f"{DIFF}?from=0"):
            ok(await account.client.get(path))


async def test_what_no_answer_should_carry_is_400(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many changes, too much text: 400 that says to ask for less; a narrower question is answered."""
    memory_id, _ = await moved(account)
    monkeypatch.setattr(history, "MOST_TOUCHED", 2)
    said = problem(await account.client.get(DIFF, params={"from": 0}), 400, "out_of_range")
    assert (said["param"], "closer together" in said["detail"]) == ("from", True)
    assert len(await diff(account, 0, to=1)) == 1
    monkeypatch.undo()
    monkeypatch.setattr(history, "MOST_BYTES", 33)
    for path in (f"{DIFF}?from=0", f"{TRANSACTIONS}/2", "/agent/subjects/kim", f"/memories/{memory_id}/versions"):
        assert "less at once" in problem(await account.client.get(path), 400)["detail"]
    ok(await account.client.get(f"{TRANSACTIONS}/1"))


# ---- as a page


async def test_a_difference_as_markdown(account: Account) -> None:
    """`Accept: text/markdown` gives a heading with both transactions, and a bullet for each change."""
    await moved(account)
    response = await account.client.get(DIFF, params={"from": 1}, headers={"Accept": "text/markdown"})
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/markdown; charset=utf-8"
    assert response.headers["vary"] == "Accept"
    answer = await account.get(DIFF, **{"from": 1})
    by = f"(transaction 2, {answer['changes'][0]['actor']}, moved)"
    assert response.text.splitlines() == [
        f"# From transaction 1 ({answer['from']['at']}) to transaction 2 ({answer['to']['at']})",
        "",
        f"- **kim / city** superseded, from 2022-01-01: Kim lives in Oslo → Kim lives in Rome {by}",
    ]
    nothing = await account.client.get(DIFF, params={"from": 2}, headers={"Accept": "text/markdown"})
    assert nothing.text.splitlines()[-1] == "Nothing changed."


async def test_what_callers_wrote_is_no_markdown(account: Account) -> None:
    """Escaped, and on its line: no bullet, link, heading or HTML of a memory's own."""
    await account.add("a *b* [c](http://d)\n- <script>\n# h `x` | y", subject="k_i_m", reason="one\ntwo **three**")
    response = await account.client.get(DIFF, params={"from": 0}, headers={"Accept": "text/markdown"})
    [line] = [line for line in response.text.splitlines() if line.startswith("-")]
    assert line.startswith(r"- **k\_i\_m** added, from ")
    assert r": a \*b\* \[c\](http://d) - \<script\> \# h \`x\` \| y (" in line
    assert line.endswith(r"one two \*\*three\*\*)")
    ended = ok(await account.client.delete(f"/memories/{(await diff(account, 0))[0]['after']['memory_id']}"))
    page = await account.client.get(DIFF, params={"from": 1}, headers={"Accept": "text/markdown"})
    assert ended["status"] == "retracted"
    assert " → nothing (transaction 2" in page.text


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("text/html", "application/json"),
        ("application/json, text/markdown;q=0.5", "application/json"),
        ("*/*;q=0.8, text/markdown;q=0.1", "application/json"),
        ("text/markdown;q=0", "application/json"),
        ("text/markdown", "text/markdown"),
        ("Text/Markdown; q=1.0", "text/markdown"),
        ("text/markdown, */*;q=0.1", "text/markdown"),
        ("text/markdown, application/json;q=0.9", "text/markdown"),
        ("text/html, text/markdown;q=0.9, */*;q=0.1", "text/markdown"),
        (",;q=,text/markdown;q=inf", "text/markdown"),
    ],
)
async def test_markdown_is_for_those_who_prefer_it(account: Account, accept: str | None, kind: str) -> None:
    """JSON unless the header names Markdown and gives JSON no more weight; errors are problems either way."""
    headers = {} if accept is None else {"Accept": accept}
    response = await account.client.get(DIFF, params={"from": 0}, headers=headers)
    assert (response.status_code, response.headers["content-type"].split(";")[0]) == (200, kind)
    problem(await account.client.get(DIFF, params={"from": 9}, headers=headers), 400, "transaction_in_the_future")
    listed = await account.client.get(TRANSACTIONS, headers=headers)
    assert listed.headers["content-type"] == "application/json"


async def test_the_description_names_both_kinds(bare: Any) -> None:
    """OpenAPI: the second content type, and `from` as it is sent."""
    described = (await bare.get("/openapi.json")).json()["paths"][DIFF]["get"]
    assert set(described["responses"]["200"]["content"]) == {"application/json", "text/markdown"}
    assert [one["name"] for one in described["parameters"]] == ["from", "to", "as_of", "tenant_id"]
    assert described["parameters"][0]["in"] == "query"


# ---- erased


async def test_what_was_erased_is_named_without_its_words(account: Account, make_account: MakeAccount) -> None:
    """Erased memories vanish from both states; the difference names them, who erased them and why."""
    oslo, rome = await moved(account)
    await account.add("of the south", tenant_id="south")
    south = await make_account(of=account.row, tenant_id="south")
    north = await make_account(of=account.row, tenant_id="north")
    await account.post(f"/memories/{rome}/erase", reason="asked to")
    assert "Rome" not in json.dumps(await account.get(DIFF, **{"from": 0}))
    changes = await diff(account, 3)
    assert [(one["kind"], one["transaction"], one["reason"]) for one in changes] == [("erased", 4, "asked to")]
    assert changes[0]["actor"].startswith("key ")
    assert changes[0]["before"] == {
        **dict.fromkeys(("decision", "valid_from", "valid_to", "version")),
        "memory_id": rome,
    }
    assert changes[0]["after"] is changes[0]["subject"] is None
    [change, erased] = await diff(account, 1)
    assert (change["kind"], change["after"], change["superseded_by"]) == ("superseded", None, rome)
    assert (change["before"]["memory_id"], erased["kind"]) == (oslo, "erased")
    assert await diff(account, 1, as_of="2021-01-01") == [erased]
    assert await diff(account, 3, tenant_id="south") == []
    found = await account.get(f"{TRANSACTIONS}/4")
    assert (found["verb"], found["erased"], found["opened"], found["closed"]) == ("erase", 1, [], [])
    assert await numbers(account, tenant_id="") == [4, 2, 1]
    assert await numbers(south) == [3]
    assert await numbers(north) == []
    same_for_all([await client.get(f"{TRANSACTIONS}/4") for client in (south.client, north.client)])
    page = await account.client.get(DIFF, params={"from": 3}, headers={"Accept": "text/markdown"})
    assert f"- Memory `{rome}` erased (transaction 4, {changes[0]['actor']}, asked to)" in page.text


async def test_a_reason_for_several_tenants_is_told_to_whoever_sees_them_all(
    account: Account, make_account: MakeAccount
) -> None:
    """A key that is pinned to one of them is told all else of the transaction, by the list, by number, in a difference
    and in a memory's audit; of what touched its tenant alone, the reason too. Erasing the other's changes nothing."""
    pinned = await make_account(of=account.row, tenant_id="acme")
    items = [{"content": f"{tenant} pays", "tenant_id": tenant} for tenant in ("acme", "globex")]
    made = await account.post("/agent/memories/bulk", memories=items, reason="acme and globex have merged")
    memory = made["items"][0]["memory_id"]
    await account.post(f"{TRANSACTIONS}/1/restore", reason="globex said no")
    await account.post(f"{TRANSACTIONS}/2/restore", reason="globex said yes")
    await account.post(f"/memories/{memory}/correct", content="acme pays 9", reason="misheard")

    async def told(by: Account) -> dict[int, set[str | None]]:
        """The reason of each transaction, as each way tells it."""
        ways: list[tuple[int, str | None]] = []
        for one in (await by.get(TRANSACTIONS))["transactions"]:
            ways.append((one["id"], one["reason"]))
            ways.append((one["id"], (await by.get(f"{TRANSACTIONS}/{one['id']}"))["reason"]))
        for number in (1, 2, 3, 4):
            changes = await diff(by, number - 1, tenant_id="acme", to=number)
            ways += [(one["transaction"], one["reason"]) for one in changes]
        for event in (await by.get(f"/memories/{memory}/audit"))["history"]:
            ways.append((event["details"]["transaction"], event["details"]["reason"]))
        assert len(ways) == 16
        return {number: {reason for at_, reason in ways if at_ == number} for number in (1, 2, 3, 4)}

    said = {1: {"acme and globex have merged"}, 2: {"globex said no"}, 3: {"globex said yes"}, 4: {"misheard"}}
    assert await told(account) == said
    assert await told(pinned) == {1: {None}, 2: {None}, 3: {None}, 4: {"misheard"}}
    assert [one["decision"] for one in (await pinned.get(f"{TRANSACTIONS}/1"))["opened"]] == ["acme pays"]
    erased = await account.post("/agent/erase", tenant_id="globex")
    assert erased["transaction"]["id"] == 5
    assert await told(pinned) == {1: {None}, 2: {None}, 3: {None}, 4: {"misheard"}}
