"""`AurraStore` against what LangGraph's `BaseStore` says, and beside its own `InMemoryStore`."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import uuid4

import pytest
from aurra_sdk import AsyncAurra, Aurra, ConflictError
from aurra_sdk.integrations.langgraph import AurraStore
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from langgraph.graph import END, START, StateGraph
from langgraph.store.base import (
    BaseStore,
    GetOp,
    InvalidNamespaceError,
    Item,
    ListNamespacesOp,
    MatchCondition,
    NamespaceMatchType,
    Op,
    PutOp,
    SearchOp,
)
from langgraph.store.memory import InMemoryStore
from typing_extensions import TypedDict

KIM = ("users", "kim")


@pytest.fixture
def store(client: Aurra) -> AurraStore:
    """An empty store."""
    return AurraStore(client)


def value_of(item: Item | None) -> Any:
    return None if item is None else item.value


def test_what_is_put_is_got(store: AurraStore) -> None:
    """The value, its place, and when it was put."""
    before = datetime.now(UTC) - timedelta(minutes=1)
    store.put(KIM, "home", {"city": "Oslo", "since": 2019})
    item = store.get(KIM, "home")
    assert item is not None
    assert (item.namespace, item.key, item.value) == (KIM, "home", {"city": "Oslo", "since": 2019})
    assert before < item.created_at == item.updated_at
    assert store.get(KIM, "work") is None
    assert store.get(("users",), "home") is None


def test_a_second_put_replaces_the_first_and_keeps_when_it_was_made(store: AurraStore) -> None:
    """One item a key."""
    store.put(KIM, "home", {"city": "Oslo"})
    first = store.get(KIM, "home")
    store.put(KIM, "home", {"city": "Rome"})
    second = store.get(KIM, "home")
    assert first is not None
    assert second is not None
    assert second.value == {"city": "Rome"}
    assert second.created_at == first.created_at < second.updated_at
    assert [item.value for item in store.search(())] == [{"city": "Rome"}]


def test_a_put_of_the_same_value_changes_nothing(store: AurraStore, client: Aurra) -> None:
    """It is no transaction."""
    store.put(KIM, "home", {"city": "Oslo"})
    before = client.memories.list().transaction.id
    store.put(KIM, "home", {"city": "Oslo"})
    assert client.memories.list().transaction.id == before


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"text": "Kim likes tea", "rank": 1}, {"text": "Kim likes tea", "rank": 2}),
        ({"text": "Kim likes tea"}, {"text": "KIM  likes TEA"}),
        ({"rank": 1}, {"rank": 2}),
        ({}, {"rank": None}),
    ],
)
def test_values_that_read_the_same_are_told_apart(client: Aurra, first: dict[str, Any], second: dict[str, Any]) -> None:
    """To the service, memories of one slot that say the same are one; to a store they are not."""
    store = AurraStore(client, fields=["text"])
    for value in (first, second, first, second, second):
        store.put(KIM, "drink", value)
        assert value_of(store.get(KIM, "drink")) == value


def test_deleting_ends_and_the_past_stays(store: AurraStore, client: Aurra) -> None:
    """The ledger says `end`; what it was can be read at its time, with today's knowledge and with that of then."""
    store.put(KIM, "home", {"city": "Oslo"})
    put = client.memories.list()
    store.delete(KIM, "home")
    assert store.get(KIM, "home") is None
    assert store.search(KIM) == []
    assert store.list_namespaces() == []
    assert put.as_of is not None
    assert value_of(store.at(put.as_of).get(KIM, "home")) == {"city": "Oslo"}
    assert value_of(store.at(put.as_of, put.transaction.id).get(KIM, "home")) == {"city": "Oslo"}
    assert client.transactions.list(limit=1).transactions[0].verb == "end"
    store.delete(KIM, "home")
    store.delete(KIM, "never")
    store.put(KIM, "home", {"city": "Rome"})
    assert value_of(store.get(KIM, "home")) == {"city": "Rome"}


def test_the_past_can_be_read_and_not_changed(store: AurraStore) -> None:
    """Before the change, and after it."""
    store.put(KIM, "home", {"city": "Oslo"})
    then = store.search(KIM)[0].updated_at
    store.put(KIM, "home", {"city": "Rome"})
    past = store.at(then)
    assert value_of(past.get(KIM, "home")) == {"city": "Oslo"}
    assert [item.value for item in past.search((), query="where does Kim live?")] == [{"city": "Oslo"}]
    assert store.at(then - timedelta(days=1)).list_namespaces() == []
    with pytest.raises(ValueError, match="can be read, not changed"):
        past.put(KIM, "home", {"city": "Bern"})
    with pytest.raises(ValueError, match="can be read, not changed"):
        past.delete(KIM, "home")


NAMES = [
    "kim",
    "Kim",
    "KIM",
    " kim",
    "kim ",
    "k m",
    "k  m",
    "é",
    "e\u0301",
    "É",
    "%6b",
    "ß",
    "ss",
    "a:b",
    "a/b",
    "%",
    "\uf900",
    "豈",
    "北",
    "1",
]


def test_names_that_look_alike_are_not_the_same(store: AurraStore) -> None:
    """In case, white space, composition: each namespace and each key is its own."""
    for name in NAMES:
        store.put(("names", name), name, {"name": name})
        store.put(("keys",), name, {"name": name})
    for name in NAMES:
        assert value_of(store.get(("names", name), name)) == {"name": name}
        assert [(item.namespace, item.key) for item in store.search(("names", name))] == [(("names", name), name)]
    assert store.list_namespaces(limit=1000) == sorted([("keys",), *(("names", name) for name in NAMES)])
    assert {item.key for item in store.search(("keys",), limit=100)} == set(NAMES)
    store.put(("keys",), "", {"name": ""})
    assert value_of(store.get(("keys",), "")) == {"name": ""}


def test_a_name_that_is_too_long_is_refused(store: AurraStore) -> None:
    """In one sentence."""
    with pytest.raises(ValueError, match="The key is too long"):
        store.put(KIM, "k" * 701, {"a": 1})
    with pytest.raises(ValueError, match="The namespace is too long"):
        store.put(("n" * 701,), "k", {"a": 1})


def nested(levels: int) -> dict[str, Any]:
    return {"in": nested(levels - 1)} if levels else {}


VALUES: list[dict[str, Any]] = [
    {"a": None, "b": True, "c": [1, 2.5, "x", {"d": []}], "": {"": ""}},
    {"big": 2**80, "small": -1.5e-300, "zero": -0.0, "one": 1.0},
    {"text": "tab\t nul\0 lone\ud800 emoji😀", "key\0": 1},
    nested(60),
]


@pytest.mark.parametrize("value", VALUES)
def test_any_json_comes_back_as_it_went(store: AurraStore, value: dict[str, Any]) -> None:
    """Also what the service would not keep as it is."""
    store.put(KIM, "json", value)
    assert json.dumps(value_of(store.get(KIM, "json"))) == json.dumps(value)


@pytest.mark.parametrize("value", [{"a": {1, 2}}, {"a": datetime(2026, 1, 1, tzinfo=UTC)}, {"a": float("nan")}])
def test_what_is_no_json_is_refused(store: AurraStore, value: dict[str, Any]) -> None:
    """It would not come back as it went."""
    with pytest.raises((TypeError, ValueError)):
        store.put(KIM, "json", value)


FILTERS: list[tuple[dict[str, Any], list[str]]] = [
    ({"kind": "fruit"}, ["apple", "pear"]),
    ({"price": {"$gt": 2}}, ["leek", "pear"]),
    ({"price": {"$gte": 2}}, ["apple", "leek", "pear"]),
    ({"price": {"$lt": 3}}, ["apple"]),
    ({"price": {"$lte": 3}}, ["apple", "leek"]),
    ({"price": {"$gt": 2, "$lt": 4}}, ["leek"]),
    ({"kind": {"$ne": "fruit"}}, ["leek", "salt"]),
    ({"kind": {"$eq": "fruit"}, "price": {"$gte": 4}}, ["pear"]),
    ({"from": {"country": "it"}}, ["pear"]),
    ({"tags": ["a", "b"]}, ["leek"]),
    ({"stock": True}, ["apple"]),
    ({"nothing": "there"}, []),
    ({}, ["apple", "leek", "pear", "salt"]),
]


@pytest.mark.parametrize(("wanted", "keys"), FILTERS)
def test_filters(store: AurraStore, wanted: dict[str, Any], keys: list[str]) -> None:
    """With and without a query."""
    ops: list[Op] = [
        PutOp(("shop",), "apple", {"kind": "fruit", "price": 2, "stock": True}),
        PutOp(
            ("shop",), "pear", {"kind": "fruit", "price": 4.5, "from": {"country": "it", "town": "Pisa"}, "stock": 1}
        ),
        PutOp(("shop",), "leek", {"kind": "vegetable", "price": 3, "tags": ["a", "b"]}),
        PutOp(("shop",), "salt", {"kind": None, "price": "cheap"}),
        PutOp(("other",), "apple", {"kind": "fruit", "price": 2}),
    ]
    store.batch(ops)
    assert sorted(item.key for item in store.search(("shop",), filter=wanted)) == keys
    assert sorted(item.key for item in store.search(("shop",), filter=wanted, query="what is there to eat?")) == keys


def test_an_operator_that_is_none_is_named(store: AurraStore) -> None:
    """With those that there are."""
    store.put(KIM, "a", {"b": 1})
    with pytest.raises(ValueError, match=r"no operator \$like"):
        store.search(KIM, filter={"b": {"$like": 1}})


def test_search_by_meaning(store: AurraStore) -> None:
    """The best first, with scores; below the namespace only; an item that is not indexed comes last, without one."""
    store.put(KIM, "food", {"likes": "spaghetti with tomatoes"})
    store.put(KIM, "music", {"likes": "string quartets by Haydn"})
    store.put(KIM, "secret", {"likes": "spaghetti"}, index=False)
    store.put(("users", "bo", "notes"), "food", {"likes": "pasta and pizza"})
    store.put(("user",), "food", {"likes": "pasta"})
    found = store.search(KIM, query="what does Kim want to eat: pasta?")
    assert [item.key for item in found] == ["food", "music", "secret"]
    assert found[0].score is not None
    assert found[1].score is not None
    assert found[0].score > found[1].score
    assert found[2].score is None
    assert [item.namespace for item in store.search(("users",), query="pasta", limit=2)] != [("user",)]
    assert {item.namespace[0] for item in store.search(("users",), query="pasta")} == {"users"}
    assert store.search(("users", "nobody"), query="pasta") == []
    whole = [item.key for item in store.search(KIM, query="pasta")]
    assert [item.key for item in store.search(KIM, query="pasta", limit=1, offset=1)] == whole[1:2]


def test_only_the_fields_are_found(client: Aurra) -> None:
    """Those of the store, or those that a put names."""
    store = AurraStore(client, fields=["title", "parts[*].text"])
    store.put(KIM, "a", {"title": "On bees", "parts": [{"text": "honey"}, {"text": "wax"}], "note": "zebra"})
    store.put(KIM, "b", {"title": "On bees", "note": "zebra"}, index=["note"])
    store.put(KIM, "c", {"note": "zebra"})
    said = {memory.attribute: memory.decision for memory in client.memories.list(subject="langgraph:users.kim")}
    assert said == {"a": "On bees\nhoney\nwax", "b": "zebra", "c": "c: an item without a text"}
    assert [item.score is None for item in store.search(KIM, query="zebra")] == [False, False, True]


def test_the_last_put_comes_first(store: AurraStore) -> None:
    """Over several namespaces, in pages."""
    for number in range(7):
        store.put(("n", str(number % 3)), str(number), {"number": number})
    store.put(("n", "0"), "0", {"number": 7})
    assert [item.value["number"] for item in store.search(("n",))] == [7, 6, 5, 4, 3, 2, 1]
    assert [item.value["number"] for item in store.search(("n",), limit=2, offset=2)] == [5, 4]
    assert [item.value["number"] for item in store.search((), limit=2, offset=6)] == [1]
    assert store.search((), limit=0) == []


def test_nothing_is_left_out_of_many(store: AurraStore) -> None:
    """More than a page of the service and than a transaction hold, in more namespaces than are looked at one by one."""
    puts: list[Op] = [PutOp(("many", str(number % 40)), str(number), {"number": number}) for number in range(1100)]
    store.batch(puts)
    assert len(store.search((), limit=5000)) == 1100
    assert len(store.search(("many",), limit=5000)) == 1100
    assert len(store.search(("many", "7"), limit=5000)) == 28
    assert [item.value for item in store.search(("many",), filter={"number": 3})] == [{"number": 3}]
    assert {item.key for item in store.search(("many",), query="number 3", limit=5000)} == set(map(str, range(1100)))
    assert all(item.score is not None for item in store.search(("many", "7"), query="number 7", limit=28))
    assert len(store.list_namespaces(limit=1000)) == 40


def test_batches_read_first_and_the_last_put_counts(store: AurraStore, client: Aurra) -> None:
    """As LangGraph's stores have it; the puts are one transaction."""
    before = client.memories.list().transaction.id
    ops: list[Op] = [
        PutOp(KIM, "a", {"n": 1}),
        GetOp(KIM, "a"),
        PutOp(KIM, "b", {"n": 2}),
        PutOp(KIM, "a", {"n": 3}),
        SearchOp(KIM),
        ListNamespacesOp(match_conditions=(MatchCondition("prefix", ("users",)),)),
    ]
    assert store.batch(ops) == [None, None, None, None, [], []]
    assert client.memories.list().transaction.id == before + 1
    assert value_of(store.get(KIM, "a")) == {"n": 3}


@pytest.mark.parametrize("op", [GetOp(("a.b",), "k"), PutOp(("a", ""), "k", {}), SearchOp(("a.b",))])
def test_labels_are_checked_in_batches_too(store: AurraStore, op: Op) -> None:
    """Nothing of the batch is done."""
    with pytest.raises(InvalidNamespaceError):
        store.batch([PutOp(KIM, "a", {"n": 1}), op])
    assert store.get(KIM, "a") is None


def ends(client: Aurra, key: str) -> datetime | None:
    memory = client.memories.list(subject="langgraph:users.kim", attribute=key)[0]
    return None if memory.valid_to is None else datetime.fromisoformat(memory.valid_to)


def test_an_item_lives_for_its_time(store: AurraStore, client: Aurra) -> None:
    """Then it is gone, and so is what was there before it."""
    store.put(KIM, "code", {"code": "old"})
    store.put(KIM, "code", {"code": "new"}, ttl=60)
    now = datetime.now(UTC)
    for minutes, value in ((59, {"code": "new"}), (62, None), (1_000_000, None)):
        then = store.at(now + timedelta(minutes=minutes))
        assert value_of(then.get(KIM, "code")) == value
        assert len(then.search(KIM)) == len(then.list_namespaces()) == (value is not None)
    store.put(KIM, "code", {"code": "new"}, ttl=None)
    assert ends(client, "code") is None
    for ttl in (50, 20):
        store.put(KIM, "code", {"code": "new"}, ttl=ttl)
        assert value_of(store.get(KIM, "code")) == {"code": "new"}
        assert store.at(now + timedelta(minutes=59)).get(KIM, "code") is None


def test_times_to_live_have_defaults(client: Aurra) -> None:
    """Of the store; a put says otherwise."""
    store = AurraStore(client, ttl={"default_ttl": 10, "refresh_on_read": False})
    store.put(KIM, "a", {"n": 1})
    store.put(KIM, "b", {"n": 1}, ttl=None)
    assert ends(client, "a") is not None
    assert ends(client, "b") is None
    with pytest.raises(ValueError, match="more than 0 minutes"):
        store.put(KIM, "a", {"n": 1}, ttl=0)


Reading = Callable[[AurraStore, bool], object]
READINGS: list[Reading] = [
    lambda store, refresh: store.get(KIM, "a", refresh_ttl=refresh),
    lambda store, refresh: store.search(KIM, refresh_ttl=refresh),
    lambda store, refresh: store.search(KIM, query="n", refresh_ttl=refresh),
]


@pytest.mark.parametrize("read", READINGS, ids=["get", "list", "query"])
def test_reading_begins_the_time_anew(store: AurraStore, client: Aurra, read: Reading) -> None:
    """Where it is asked to, if that is a sixtieth of it later; it is the same item, put when it was."""
    store.put(KIM, "a", {"n": 1}, ttl=6000)
    store.put(KIM, "other", {"n": 1})
    memory, soon = client.memories.list(subject="langgraph:users.kim", attribute="a")[0], datetime.now(UTC)
    soon += timedelta(minutes=3000)
    client.memories.correct(memory.id, "as if it had been put long ago", valid_to=soon)
    item = store.get(KIM, "a", refresh_ttl=False)
    read(store, False)
    assert ends(client, "a") == soon
    read(store, True)
    later = ends(client, "a")
    assert later is not None
    assert later - soon > timedelta(minutes=2900)
    before = client.memories.list().transaction.id
    read(store, True)
    assert client.memories.list().transaction.id == before
    assert store.get(KIM, "a") == item


def test_what_was_put_meanwhile_is_not_overwritten_by_a_reading(store: AurraStore, client: Aurra) -> None:
    """The reading that began before finds its version gone, and leaves it be."""
    store.put(KIM, "a", {"n": 1}, ttl=60)
    old = client.memories.list(subject="langgraph:users.kim", attribute="a")[0]
    store.put(KIM, "a", {"n": 2}, ttl=60)
    later = datetime.now(UTC) + timedelta(hours=9)
    with pytest.raises(ConflictError, match="version"):
        client.memories.correct(old.id, "as a reading would", version=old.version, valid_to=later)
    assert value_of(store.get(KIM, "a")) == {"n": 2}


def test_stores_and_tenants_are_apart(store: AurraStore, client: Aurra, other_client: Aurra) -> None:
    """Another source, another tenant, and memories that are of no store."""
    store.put(KIM, "a", {"n": 1})
    client.memories.add(content="Kim lives in Oslo", subject="kim", attribute="city")
    client.memories.add(content="Told by hand", subject="langgraph:users.kim", attribute="by-hand")
    others = [AurraStore(client, source="lang"), AurraStore(client, source="LANGGRAPH"), AurraStore(other_client)]
    for other in others:
        assert other.get(KIM, "a") is None
        assert other.search(()) == other.list_namespaces() == []
        assert other.search((), query="Kim") == []
        other.put(KIM, "a", {"n": 2})
    assert [item.value for item in store.search(())] == [{"n": 1}]
    assert [item.value for item in store.search((), query="Kim")] == [{"n": 1}]


async def test_the_async_methods_are_the_same(async_client: AsyncAurra, client: Aurra) -> None:
    """Over either client; the sync ones are refused over the async client."""
    native, threaded = AurraStore(async_client), AurraStore(client)
    for number, store in enumerate((native, threaded)):
        await store.aput(KIM, f"home-{number}", {"city": "Oslo", "n": number}, ttl=60)
        assert value_of(await store.aget(KIM, f"home-{number}")) == {"city": "Oslo", "n": number}
        assert len(await store.asearch(("users",), query="Oslo")) == 1
        assert await store.alist_namespaces(suffix=("kim",)) == [KIM]
        await store.adelete(KIM, f"home-{number}")
        assert await store.asearch(()) == []
        await store.aerase(KIM)
    await asyncio.gather(*(native.aput(("n",), str(number), {"n": number}) for number in range(20)))
    assert len(await threaded.asearch(("n",), limit=100)) == 20
    with pytest.raises(TypeError, match="async methods only"):
        native.get(KIM, "home")


def test_puts_of_one_key_at_once(store: AurraStore) -> None:
    """One of them holds afterwards, and deletes at once leave nothing."""

    def put(number: int) -> None:
        store.put(KIM, "a", {"n": number})

    def delete(_: int) -> None:
        store.delete(KIM, "a")

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(put, range(40))) == [None] * 40
        assert len(store.search(())) == 1
        assert list(pool.map(delete, range(8))) == [None] * 8
    assert store.search(()) == []


class State(TypedDict):
    """Of the graph."""

    said: str


def test_a_graph_remembers(store: AurraStore) -> None:
    """A node gets the store that the graph was compiled with."""

    def remember(state: State, *, store: BaseStore) -> Mapping[str, Any]:
        known = store.get(KIM, "last")
        store.put(KIM, "last", {"said": state["said"]})
        return {"said": known.value["said"] if known else "nothing"}

    graph: Any = StateGraph(State)
    graph.add_node("remember", remember)
    graph.add_edge(START, "remember")
    graph.add_edge("remember", END)
    app = graph.compile(store=store)
    assert app.invoke({"said": "hello"}) == {"said": "nothing"}
    assert app.invoke({"said": "again"}) == {"said": "hello"}


labels = st.sampled_from(["a", "b", "A"])
namespaces = st.lists(labels, min_size=1, max_size=3).map(tuple)
keys = st.sampled_from(["k", "K", "l"])
scalars = st.integers(0, 2) | st.sampled_from(["p", "P"])
fields = st.sampled_from(["x", "y"])
values = st.dictionaries(fields, scalars, max_size=2)
compared = st.dictionaries(st.sampled_from(["$eq", "$ne"]), scalars, min_size=1)
filters = st.dictionaries(fields, scalars | compared, max_size=2)
paths = st.lists(labels | st.just("*"), max_size=3).map(tuple)
kinds: st.SearchStrategy[NamespaceMatchType] = st.sampled_from(["prefix", "suffix"])
conditions = st.lists(st.tuples(kinds, paths).map(lambda one: MatchCondition(*one)), max_size=2).map(tuple)
puts = st.tuples(namespaces, keys, values | st.none()).map(lambda one: PutOp(*one))
gets = st.tuples(namespaces, keys).map(lambda one: GetOp(*one))
searches = st.tuples(st.just(()) | namespaces, filters).map(lambda one: SearchOp(*one, limit=100))
listings = st.tuples(conditions, st.none() | st.integers(1, 3)).map(lambda one: ListNamespacesOp(*one))
batched = st.lists(puts | puts | gets | searches | listings, min_size=1, max_size=4)


def shown(result: Any) -> Any:
    """What both stores must agree on: LangGraph's does not say in which order it returns items."""
    if isinstance(result, Item):
        return (result.namespace, result.key, sorted(result.value.items()))
    if isinstance(result, list):
        return sorted(map(shown, cast("list[Any]", result)))
    return result


@settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(batched, min_size=3, max_size=8))
def test_it_does_what_langgraphs_own_store_does(client: Aurra, batches: list[list[Op]]) -> None:
    """Any operations, in any batches: the same answers."""
    ours, theirs = AurraStore(client.with_options(tenant_id=f"test-{uuid4()}")), InMemoryStore()
    for batch in batches:
        assert list(map(shown, ours.batch(batch))) == list(map(shown, answers(theirs, batch)))


def answers(store: InMemoryStore, batch: Sequence[Op]) -> list[Any]:
    """Of LangGraph's store, one after the other, reads first; without the names of namespaces in which there is
    nothing, which it makes by looking for an item, and keeps."""
    answered: dict[int, Any] = {}
    for place, op in sorted(enumerate(batch), key=lambda one: isinstance(one[1], PutOp)):
        for namespace in [name for name, items in store._data.items() if not items]:  # pyright: ignore[reportPrivateUsage]
            del store._data[namespace]  # pyright: ignore[reportPrivateUsage]
        answered[place] = store.batch([op])[0]
    return [answered[place] for place in range(len(batch))]
