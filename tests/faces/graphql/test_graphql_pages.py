"""Pages of collections: complete both ways while others write, at one moment, with cursors that are their owner's."""

from typing import Any

import pytest

from aurra.context import Context, Service
from aurra.faces.auth import authenticate
from aurra.ops.collections import Asked, Page, read_page, read_pages
from aurra.ops.listings import MEMORIES, TRANSACTIONS
from aurra.ops.nodes import Reader, Times
from tests.conftest import Account, MakeAccount
from tests.faces.graphql.asking import code, data, errors, nodes

PAGE = """query ($first: Int, $after: String, $last: Int, $before: String, $orderBy: [MemoryOrderBy!]) {
  memoriesCollection(first: $first, after: $after, last: $last, before: $before, orderBy: $orderBy) {
    totalCount edges { node { decision topic } cursor }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""
ORDERS: list[Any] = [
    None,
    [{"topic": "AscNullsLast"}],
    [{"external_id": "DescNullsFirst"}, {"created_at": "AscNullsLast"}],
]


@pytest.fixture
async def many(account: Account) -> Account:
    """An account with 23 memories."""
    for number in range(23):
        more = {"external_id": f"e{number % 5}"} if number % 3 else {}
        await account.add(f"fact {number}", topic=f"topic {number % 4}", **more)
    return account


async def page(account: Account, **variables: Any) -> Any:
    """One page."""
    return (await data(account, PAGE, **variables))["memoriesCollection"]


@pytest.mark.parametrize("order", ORDERS, ids=["natural", "one", "two"])
async def test_pages_are_complete_both_ways_while_others_write(many: Account, order: Any) -> None:
    """Forward to the end and back again, each page read after more was written: what was there at first, once each, in
    one order; `totalCount` is of the same moment."""
    whole = [node["decision"] for node in nodes(await page(many, first=100, orderBy=order))]
    assert len(whole) == 23
    forward: list[str] = []
    found = await page(many, first=5, orderBy=order)
    while True:
        forward += [node["decision"] for node in nodes(found)]
        info = found["pageInfo"]
        assert found["totalCount"] == 23
        assert info["hasPreviousPage"] == (len(forward) > 5)
        if not info["hasNextPage"]:
            break
        await many.add(f"later {len(forward)}", topic="topic 0")
        found = await page(many, first=5, after=info["endCursor"], orderBy=order)
    assert forward == whole
    backward = [node["decision"] for node in nodes(found)]
    while found["pageInfo"]["hasPreviousPage"]:
        await many.add(f"later still {len(backward)}", topic="topic 0")
        found = await page(many, last=4, before=found["pageInfo"]["startCursor"], orderBy=order)
        assert found["pageInfo"]["hasNextPage"]
        backward = [node["decision"] for node in nodes(found)] + backward
    assert backward == whole


async def test_the_last_page_needs_no_cursor(many: Account) -> None:
    """`last` alone gives the end of the order, in that order."""
    whole = [node["decision"] for node in nodes(await page(many, first=100))]
    found = await page(many, last=3)
    assert [node["decision"] for node in nodes(found)] == whole[-3:]
    assert found["pageInfo"] | {"startCursor": "", "endCursor": ""} == {
        "hasNextPage": False,
        "hasPreviousPage": True,
        "startCursor": "",
        "endCursor": "",
    }


async def test_every_collection_pages_in_its_natural_order(many: Account) -> None:
    """Two pages of one are one page of two, for each of the collections."""
    await many.post("/agent/conversations", session_id="a", turns=[{"role": "user", "content": "x"}])
    await many.post("/agent/conversations", session_id="b", turns=[{"role": "user", "content": "y"}])
    await many.add("about a", subject="a")
    await many.add("about b", subject="b")
    await many.post("/api-keys", scopes=["query"])
    fields = {"transactions": "id", "subjects": "subject", "conversations": "session_id", "keys": "id"}
    for name, field in fields.items():
        both = f"edges {{ node {{ {field} }} }} pageInfo {{ endCursor hasNextPage }}"
        query = f"query ($n: Int, $after: String) {{ found: {name}Collection(first: $n, after: $after) {{ {both} }} }}"
        whole = nodes((await data(many, query, n=2))["found"])
        first = (await data(many, query, n=1))["found"]
        assert first["pageInfo"]["hasNextPage"]
        second = (await data(many, query, n=1, after=first["pageInfo"]["endCursor"]))["found"]
        assert nodes(first) + nodes(second) == whole and whole[0] != whole[1], name


async def test_a_page_is_of_0_to_100_and_30_if_nothing_is_said(many: Account) -> None:
    """More is refused with a sentence; none is only counted; both ends at once cannot be meant."""
    await many.post("/agent/memories/bulk", memories=[{"content": f"more {number}"} for number in range(20)])
    assert len(nodes(await page(many))) == 30
    assert await page(many, first=0) | {"pageInfo": None} == {"totalCount": 43, "edges": [], "pageInfo": None}
    [error] = await errors(many, PAGE, first=101)
    assert error["message"] == "`first` must lie in 0…100: go on from page to page with `after`."
    assert error["extensions"]["code"] == "out_of_range" and error["extensions"]["param"] == "first"
    assert await code(many, PAGE, last=-1) == "out_of_range"
    assert await code(many, PAGE, last=1, first=1) == "invalid_request"
    assert await code(many, PAGE, last=1, after="x") == "invalid_request"
    assert await code(many, PAGE, first=1, before="x") == "invalid_request"


async def test_a_cursor_is_its_owners_and_its_orders(many: Account, make_account: MakeAccount) -> None:
    """Of another account, another tenant's key, another order, another collection, or made up: refused."""
    cursor = (await page(many, first=2))["pageInfo"]["endCursor"]
    assert len(nodes(await page(many, first=2, after=cursor))) == 2
    other, pinned = await make_account(), await make_account(of=many.row, tenant_id="other")
    transactions = "query ($after: String) { transactionsCollection(after: $after) { totalCount } }"
    assert await code(other, PAGE, after=cursor) == "invalid_cursor"
    assert await code(pinned, PAGE, after=cursor) == "invalid_cursor"
    assert await code(many, PAGE, after=cursor, orderBy=[{"topic": "AscNullsLast"}]) == "invalid_cursor"
    assert await code(many, transactions, after=cursor) == "invalid_cursor"
    assert await code(many, PAGE, after=cursor[:-4] + "AAAA") == "invalid_cursor"


async def test_all_of_a_request_is_read_at_one_moment(account: Account, service: Service) -> None:
    """The moment is taken by the first of a request's reads; what is written after it is in none of the others."""
    await account.add("first", subject="kim")
    caller = await authenticate(service, f"Bearer {account.key}")
    reader = Reader(Context(service=service, caller=caller, request_id="x"))
    asked = Asked(limit=10, counted=True)
    [before] = (await read_page(reader, MEMORIES, Times(), "", asked)).edges
    await account.add("second", subject="kim")
    again = await read_page(reader, MEMORIES, Times(), "", asked)
    assert [edge.node for edge in again.edges] == [before.node] and again.total == 1
    nested = await read_pages(reader, MEMORIES, "memories_of_subjects", before.node.reading, ["kim"], asked)
    assert isinstance(nested["kim"], Page) and nested["kim"].total == 1
    assert (await read_page(reader, TRANSACTIONS, Times(), None, asked)).total == 1


async def test_both_times_hold_for_operations_under_them_too(account: Account) -> None:
    """`at` names both times once: collections and operations under it answer as REST does when it is told the same."""
    await account.add("Kim lives in Oslo", subject="kim", attribute="city", valid_from="2026-01-01")
    await account.add("Kim lives in Rome", subject="kim", attribute="city", valid_from="2026-03-01")
    await account.add("Kim lives in Bergen", subject="kim", attribute="city", valid_from="2026-02-01")
    query = """query ($asOf: Datetime, $tx: IntOrString) { at(asOf: $asOf, transactionAsOf: $tx) {
        memoriesCollection { edges { node { decision temporal { is_current } } } }
        subjectsCollection { totalCount }
        memories_list { memories { decision temporal { is_current } } transaction { id } as_of }
        subjects_get(subject: "kim") { attributes { current { decision } } } } }"""
    for as_of in ("2026-01-15", "2026-02-15T00:00:00Z", "2026-04-01", "2025-01-01"):
        for number in (1, 2, 3):
            found = (await data(account, query, asOf=as_of, tx=number))["at"]
            told = await account.get("/agent/memories", as_of=as_of, transaction_as_of=number)
            shown = [
                {"decision": memory["decision"], "temporal": {"is_current": memory["temporal"]["is_current"]}}
                for memory in told["memories"]
            ]
            assert nodes(found["memoriesCollection"]) == shown == found["memories_list"]["memories"]
            assert found["memories_list"]["transaction"]["id"] == number
            assert found["memories_list"]["as_of"] == told["as_of"]
            assert found["subjectsCollection"]["totalCount"] == len({"kim"} if shown else {})
            profile: list[Any] = found["subjects_get"]["attributes"]
            current: list[Any] = profile[0]["current"] if profile else []
            assert current == [{"decision": memory["decision"]} for memory in told["memories"]]
    assert await code(account, "{ at(transactionAsOf: 9) { memoriesCollection { totalCount } } }") == (
        "transaction_in_the_future"
    )
    assert await code(account, '{ at(asOf: "soon") { memoriesCollection { totalCount } } }') == "validation_error"
