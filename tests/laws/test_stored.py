"""The laws of time of which only what is stored, or a search, can tell; each by its number. time.md §8."""

import datetime as dt
import itertools
import random
from typing import Any

import pytest

from tests.conftest import Account
from tests.laws.test_properties import day, random_history
from tests.plain import connected

IMMUTABLE = ("slot", "source", "memory", "content", "embedding", "transaction")
CLOSING = {"tx_to", "tx_to_at", "replaced_by"}
Rows = dict[Any, dict[str, Any]]


async def stored(connection: Any, account: Account, table: str) -> Rows:
    """The account's rows of a table, by their keys; what the driver cannot compare, as text."""
    key = "content_id" if table == "embedding" else "id"
    records = await connection.fetch(f"SELECT to_jsonb(t) AS row, {key} AS key FROM {table} t WHERE company_id = $1",
                                     account.row.id)  # fmt: skip
    return {record["key"]: record["row"] for record in records}


async def versions(connection: Any, account: Account) -> Rows:
    """The account's versions, column by column."""
    records = await connection.fetch("SELECT * FROM version WHERE company_id = $1", account.row.id)
    return {record["id"]: dict(record) for record in records}


@pytest.mark.parametrize("seed", range(3))
async def test_property_01_no_two_versions_overlap_in_the_plane(account: Account, dsn: str, seed: int) -> None:
    """In a lane no two rectangles share an instant of valid time and a transaction."""
    await random_history(account, random.Random(100 + seed), 25)
    async with connected(dsn) as connection:
        rows = list((await versions(connection, account)).values())
    assert len(rows) > 20
    for one, other in itertools.combinations(rows, 2):
        if one["lane"] == other["lane"]:
            together = max(one["tx_from"], other["tx_from"]) < min(
                one["tx_to"] or float("inf"), other["tx_to"] or float("inf")
            )
            end = dt.datetime.max.replace(tzinfo=dt.UTC)
            shared = max(one["valid"].lower, other["valid"].lower) < min(
                one["valid"].upper or end, other["valid"].upper or end
            )
            assert not (together and shared), (one, other)


@pytest.mark.parametrize("seed", range(3))
async def test_property_07_a_version_is_closed_once_and_nothing_else_changes(
    account: Account, dsn: str, seed: int
) -> None:
    """The only update sets `tx_to`, its instant and `replaced_by` of an open version; no row of the model goes."""
    dice = random.Random(700 + seed)
    async with connected(dsn) as connection:
        before, model = await versions(connection, account), dict[str, Rows]()
        closed = 0
        for _ in range(12):
            await random_history(account, dice, 4)
            after = await versions(connection, account)
            for key, was in before.items():
                changed = {name for name in was if was[name] != after[key][name]}
                assert changed <= CLOSING, changed
                assert not changed or (was["tx_to"] is None and after[key]["tx_to"] is not None)
                closed += bool(changed)
            before = after
            for table in IMMUTABLE:
                rows = await stored(connection, account, table)
                assert rows | model.get(table, {}) == rows, table
                model[table] = rows
    assert closed > 5


async def test_property_08_numbers_are_dense_and_instants_increase(account: Account, dsn: str) -> None:
    """1, 2, 3 …, each later than the one before."""
    await random_history(account, random.Random(8), 40)
    async with connected(dsn) as connection:
        records = await connection.fetch(
            "SELECT id, at FROM transaction WHERE company_id = $1 ORDER BY id", account.row.id
        )
    assert [record["id"] for record in records] == list(range(1, len(records) + 1))
    instants = [record["at"] for record in records]
    assert instants == sorted(set(instants))


@pytest.mark.parametrize("seed", range(3))
async def test_property_24_a_search_finds_what_is_in_the_state_and_all_of_it(account: Account, seed: int) -> None:
    """At any point (v, k), and now, a search wide enough finds exactly the pieces of state(v, k): none that is not
    believed then, none lost, whatever index answered. The state is told by the list, piece by piece."""
    dice = random.Random(2400 + seed)
    for number in range(12):
        await account.add(f"a note about city {number}", valid_from=day(dice.randint(0, 40)))
    await random_history(account, dice, 20)
    newest = (await account.get("/agent/memories", limit=1))["transaction"]["id"]
    found = 0
    points: list[dict[str, Any]] = [
        {"as_of": day(dice.randint(-5, 60)), "transaction_as_of": dice.randint(0, newest)} for _ in range(25)
    ]
    for point in [*points, {"as_of": day(20)}, {"transaction_as_of": newest // 2}, {}]:
        listed = (await account.get("/agent/memories", limit=1000, **point))["memories"]
        answer = await account.post("/agent/search", query="which city", limit=1000, **point)
        assert {one["version"] for one in answer["memories"]} == {one["version"] for one in listed}, point
        found += len(listed)
    assert found > 100
