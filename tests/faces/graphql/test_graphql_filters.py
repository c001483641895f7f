"""Filters and orders of collections, each against plain Python over the same rows."""

import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aurra.faces.graphql.collections import NAMES
from aurra.ops import filtering, listings
from aurra.ops.listings import Collection
from aurra.store.queries import load
from tests.conftest import Account, MakeAccount
from tests.faces.graphql.asking import data, errors, nodes
from tests.faces.graphql.evaluating import holds, in_order

WORDS = ["", "a", "A", "ab", "Ab", "aB%", "_b", "a\\b", 'q"q', "é", "Zeile\nzwei", "zz", "日本", "a b", "$.x", "%"]
PATTERNS = [
    "%",
    "_",
    "a%",
    "%b%",
    "_b",
    "a\\%",
    "A_",
    "%\n%",
    "%\\\\%",
    "",
    "ab",
    "é",
    '%"%',
    "日%",
    "a.b",
    "%$.x%",
    "a*",
]
FEW = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
async def filled(make_account: MakeAccount) -> Account:
    """An account with some of everything, with and without each value."""
    account = await make_account(name="first")
    await make_account(of=account.row, name="second", scopes="read_only", trust=1)
    await make_account(of=account.row, name="third", tenant_id="other")
    items: list[dict[str, Any]] = []
    for number in range(36):
        item: dict[str, Any] = {
            "content": f"{WORDS[number % len(WORDS)]} {number % 5}".strip() + ".",
            "topic": WORDS[number % 7] or "General",
            "importance_score": 1 + number % 10,
            "source": WORDS[1 + number % 5],
            "valid_from": f"19{60 + number}-01-0{1 + number % 9}T00:00:00Z",
        }
        item |= {"external_id": WORDS[number % 11] or "none"} if number % 3 else {}
        item |= {"subject": f"who {number % 6}"} if number % 4 else {}
        item |= {"attribute": f"what {number}"} if number % 4 > 1 else {}
        item |= {"session_id": f"s{number % 3}"} if number % 5 else {}
        item |= {"valid_to": "2090-01-01"} if number % 2 else {}
        items.append(item)
    await account.post("/agent/memories/bulk", memories=items[:20], reason="first")
    for item in items[20:]:
        await account.post("/agent/memories", **item)
    for number in range(4):
        turns = [{"role": "user", "content": f"I like tea number {number}."}]
        labels = {"channel": WORDS[1 + number]} if number % 2 else {"external_id": f"E{number}"}
        await account.post("/agent/conversations", session_id=f"c{number}", turns=turns, extraction="never", **labels)
    await account.client.patch("/agent/subjects/who 1", json={"external_id": "x1"})
    await account.client.patch("/agent/subjects/who 2", json={"external_id": "x2"})
    return account


OF = {of.name: of for of in listings.COLLECTIONS}


async def rows_of(account: Account, of: Collection) -> list[dict[str, Any]]:
    """All rows with all their columns, read without a filter."""
    fields = " ".join(of.columns)
    found = await data(account, f"{{ {of.name}Collection(first: 100) {{ edges {{ node {{ {fields} }} }} }} }}")
    return nodes(found[f"{of.name}Collection"])


def values(kind: str, rows: list[Any]) -> st.SearchStrategy[Any]:
    """Values of a column's kind: those that there are, and others."""
    there = sorted({one for one in rows if one is not None}, key=str) if kind != "texts" else []
    if kind == "number":
        return st.sampled_from([*there, -1, 2**40])
    if kind == "instant":
        return st.sampled_from([*there, "1970-01-01T00:00:00.000000+00:00", "2099-01-01T00:00:00.000000+00:00"])
    if kind == "truth":
        return st.booleans()
    if kind == "choice":
        return st.sampled_from(there)
    return st.sampled_from([*there[:20], *WORDS])


def conditions(of: Collection, rows: list[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """One column, one or two operators."""

    def of_column(name: str) -> st.SearchStrategy[dict[str, Any]]:
        kind = of.kinds[name]
        value = values(kind, [row[name] for row in rows])

        def said(operator: str) -> st.SearchStrategy[Any]:
            if operator == "is":
                return st.sampled_from(filtering.IS)
            if operator in ("in", "contains", "overlaps"):
                return st.lists(value, max_size=4)
            return st.sampled_from(PATTERNS) if operator in ("like", "ilike") else value

        operators = st.lists(st.sampled_from(filtering.OPERATORS[kind]), min_size=1, max_size=2, unique=True)
        return operators.flatmap(lambda chosen: st.fixed_dictionaries({name: _each(chosen, said)}))

    return st.sampled_from(of.columns).flatmap(of_column)


def _each(chosen: list[str], said: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({operator: said(operator) for operator in chosen})


def filters(of: Collection, rows: list[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Trees of conditions."""
    return st.recursive(
        conditions(of, rows),
        lambda inner: st.one_of(
            st.fixed_dictionaries({"and": st.lists(inner, max_size=3)}),
            st.fixed_dictionaries({"or": st.lists(inner, max_size=3)}),
            st.fixed_dictionaries({"not": inner}),
        ),
        max_leaves=5,
    )


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", OF)
@FEW
@given(draw=st.data())
async def test_a_filter_lets_through_what_it_says(filled: Account, name: str, draw: st.DataObject) -> None:
    """Whatever the tree of conditions, and whatever the order, the rows are those that plain Python finds."""
    of = OF[name]
    rows = await rows_of(filled, of)
    named = NAMES[of.name]
    chosen = draw.draw(filters(of, rows))
    directions = st.tuples(st.sampled_from(of.sortable), st.sampled_from(list(filtering.ORDERS)))
    orders = draw.draw(st.lists(directions, max_size=3, unique_by=lambda one: one[0]))
    query = f"""query ($filter: {named}Filter, $orderBy: [{named}OrderBy!]) {{
        {name}Collection(first: 100, filter: $filter, orderBy: $orderBy) {{
            totalCount edges {{ node {{ {" ".join(of.columns)} }} }} }} }}"""
    found = await data(filled, query, filter=chosen, orderBy=[{column: said} for column, said in orders])
    expected = [row for row in rows if holds(chosen, row)]
    if orders:
        key = of.unique if of.unique in of.columns else "subject"
        expected = in_order(expected, orders, key)
    assert nodes(found[f"{name}Collection"]) == expected
    assert found[f"{name}Collection"]["totalCount"] == len(expected)


@pytest.mark.parametrize("name", OF)
async def test_every_column_sorts_both_ways_with_nulls_at_either_end(filled: Account, name: str) -> None:
    """Each column by each direction, as plain Python sorts the rows."""
    of = OF[name]
    rows = await rows_of(filled, of)
    unique = of.unique if of.unique in of.columns else "subject"
    for column in of.sortable:
        asked = [
            f"{said}: {name}Collection(first: 100, orderBy: [{{{column}: {said}}}])"
            f" {{ edges {{ node {{ {unique} }} }} }}"
            for said in filtering.ORDERS
        ]
        found = await data(filled, f"{{ {' '.join(asked)} }}")
        for said in filtering.ORDERS:
            expected = [row[unique] for row in in_order(rows, [(column, said)], unique)]
            assert [node[unique] for node in nodes(found[said])] == expected, (column, said)


async def test_text_is_compared_byte_by_byte_and_instants_by_time(filled: Account) -> None:
    """Of texts, capitals come before small letters; an instant may be written with any offset."""
    found = await data(
        filled,
        """{ memoriesCollection(filter: {topic: {gte: "A", lt: "a"}}) { edges { node { topic } } }
             other: memoriesCollection(filter: {valid_from: {eq: "1960-01-01T02:00:00+02:00"}}) { totalCount } }""",
    )
    assert {node["topic"] for node in nodes(found["memoriesCollection"])} == {"A", "Ab", "General", "_b"}
    assert found["other"]["totalCount"] == 1


@pytest.mark.parametrize(
    ("filter_", "said"),
    [
        ("{topic: {eq: null}}", "`filter.topic.eq` is null, which nothing equals"),
        ("{topic: null}", "`filter.topic` is null"),
        ("{external_id: {in: []}, topic: {like: \"a\\\\\"}}", "ends with a single backslash"),
        ("{created_at: {gt: \"yesterday\"}}", "must be an RFC 3339 instant"),
        (f'{{topic: {{like: "{"x" * 201}"}}}}', "201 characters; 200 are allowed"),
        (f"{{id: {{in: {json.dumps(['x'] * 1001)}}}}}", "has 1001 values; 1000 are allowed"),
        ("{not: " * 10 + "{topic: {eq: \"x\"}}" + "}" * 10, "nested deeper than 10 levels"),
        ("{or: [" + "{topic: {eq: \"x\"}}," * 101 + "]}", "more than 200 conditions and groups"),
        ("{freshness: {gt: 1}}", "unknown field 'freshness'"),
        ("{people: {eq: \"Kim\"}}", "unknown field 'eq'"),
        ("{id: {in: [null]}}", "Expected value of non-null type"),
    ],
)  # fmt: skip
async def test_what_a_filter_cannot_say_is_refused(account: Account, filter_: str, said: str) -> None:
    """Nothing of it is left out in silence; the message names the place."""
    [error] = await errors(account, f"{{ memoriesCollection(filter: {filter_}) {{ totalCount }} }}")
    assert said in error["message"], error["message"]
    assert error["extensions"]["status"] in (400, 422)


async def test_an_order_has_at_most_five_columns_and_none_that_is_long(account: Account) -> None:
    """More are refused; a long text is no column of an order."""
    columns = ("topic", "source", "subject", "attribute", "id", "created_at")
    many = ", ".join(f"{{{column}: AscNullsLast}}" for column in columns)
    [error] = await errors(account, f"{{ memoriesCollection(orderBy: [{many}]) {{ totalCount }} }}")
    assert error["message"] == "`orderBy` has 6 columns; 5 are allowed."
    [error] = await errors(account, "{ memoriesCollection(orderBy: [{decision: AscNullsLast}]) { totalCount } }")
    assert "unknown field 'decision'" in error["message"]


@pytest.mark.parametrize("of", listings.COLLECTIONS, ids=lambda of: of.name)
def test_every_field_is_a_column_or_is_said_not_to_be(of: Collection) -> None:
    """A new field of a Struct must be decided about: in `columns` (and in the statement), or in `left_out`."""
    fields = set(of.shown.__struct_fields__)
    assert fields == set(of.columns) | set(of.left_out), of.name
    assert not set(of.columns) & set(of.left_out)
    assert set(of.unsorted) <= set(of.columns) and of.sortable


def test_every_column_is_in_its_statement() -> None:
    """What the Struct has and the statement does not show would be found by no filter."""
    for of in listings.COLLECTIONS:
        shown = set(re.findall(r"WHEN '(\w+)' THEN", load("collections")[of.name].sql))
        assert shown >= set(of.columns) | {of.unique, *(one.name for one in of.natural)}, of.name
