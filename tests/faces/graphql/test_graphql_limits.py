"""What a query may ask for, and what a request over HTTP may be."""

import json
import sys
from typing import Any

import httpx2
import pytest
from graphql import get_introspection_query, print_schema

from aurra.faces.graphql.schema import schema
from tests.conftest import Account, MakeAccount
from tests.faces.graphql.asking import ask, data, errors, send

NODE = "{ edges { node { %s } } }"


def nested(levels: int) -> str:
    """A query of so many levels."""
    query = "id"
    while levels > 3:
        query = f"successor {{ {query} }}"
        levels -= 1
    return f"{{ memoriesCollection(first: 1) {{ edges {{ node {{ {query} }} }} }} }}"


async def refusal(account: Account, query: str, **variables: Any) -> str:
    """The message with which a query is refused as too large."""
    [error] = await errors(account, query, **variables)
    assert error["extensions"]["code"] == "query_too_large", error
    assert error["extensions"]["status"] == 400
    return error["message"]


async def test_depth_aliases_and_tokens_are_bounded(account: Account) -> None:
    """12 levels, 30 aliases, 2,000 tokens, 100,000 characters: one more is refused, through fragments too."""
    assert await data(account, nested(11))
    assert await refusal(account, nested(12)) == (
        "The query is nested deeper than 12 levels, at "
        f"`memoriesCollection.edges.node.{'.'.join(['successor'] * 9)}.id`."
    )
    aliases = " ".join(f"a{number}: __typename" for number in range(30))
    assert await data(account, f"{{ {aliases} }}")
    assert await refusal(account, f"{{ {aliases} b: __typename }}") == "The query has more than 30 aliases."
    ten = " ".join(f"a{number}: id" for number in range(10))
    spread = " ".join(f"t{number}: transactionsCollection(first: 1) {NODE % '...ten'}" for number in range(3))
    assert await refusal(account, f"fragment ten on TransactionNode {{ {ten} }} query {{ {spread} }}")
    # What stands around the list are 12 tokens.
    many = "{ memoriesCollection(orderBy: [%s]) { totalCount } }"
    assert await data(account, many % ("{} " * 994))
    assert "2000" in await refusal(account, many % ("{} " * 995))
    assert "too many fields alike" in await refusal(account, "{ " + "__typename " * 1900 + "}")
    assert "100,000" in await refusal(account, "{ __typename } #" + "x" * 100_000)


async def test_nodes_are_counted_before_anything_is_read(account: Account) -> None:
    """Page sizes, multiplied along the nesting: 10,000; the message says how many, and where most of them are."""
    query = """query ($n: Int) { subjectsCollection(first: 50) { edges { node {
        memoriesCollection(first: $n) { edges { node { openedBy { id } } } } } } } }"""
    assert await data(account, query, n=99)
    assert await refusal(account, query, n=100) == (
        "The query may read 10,050 nodes; 10,000 are allowed. Most of them are `subjectsCollection.edges.node."
        "memoriesCollection` with 5,000: give it, or what it is nested in, a smaller `first`."
    )
    assert await refusal(account, query.replace("$n: Int", "$n: Int = 100"))
    # GraphQL takes 100.0 for a whole number, and so does what counts.
    assert "10,050 nodes" in await refusal(account, query, n=100.0)
    # One that is empty is looked for in each of its parents.
    empty = query.replace("first: $n", "first: 0").replace("($n: Int)", "").replace("first: 50", "first: 100")
    assert await data(account, empty)
    within = empty.replace("openedBy { id }", "conversation { memoriesCollection(first: 99) { totalCount } }")
    assert "nodes" in await refusal(account, within.replace("first: 0", "first: 2"))
    lists = " ".join(f"a{number}: memories_list(limit: 1000) {{ has_more }}" for number in range(11))
    assert "11,000 nodes" in await refusal(account, f"{{ {lists} }}")
    # A fragment that doubles with each of its twenty is looked at no longer than it takes to be refused.
    doubling = " ".join(f"fragment f{number} on Query {{ ...f{number + 1} ...f{number + 1} }}" for number in range(20))
    asked = f"{doubling} fragment f20 on Query {{ __typename }} {{ ...f0 }}"
    assert "20,000 fields" in await refusal(account, asked)


async def test_collections_are_bounded_however_empty(account: Account) -> None:
    """Each may read all that there is: 12 are allowed, lists among them."""
    counted = " ".join(f"a{number}: memoriesCollection(first: 0) {{ totalCount }}" for number in range(12))
    assert await data(account, f"{{ {counted} }}")
    assert "12 collections" in await refusal(account, f"{{ {counted} b: memories_list {{ has_more }} }}")


async def test_fragments_are_looked_at_once_for_each_page(account: Account) -> None:
    """What doubles fourteen times is as quick as what stands there once: counted in calls."""
    doubling = " ".join(f"fragment f{one} on MemoryConnection {{ ...f{one + 1} ...f{one + 1} }}" for one in range(10))
    query = (
        f"{doubling} fragment f10 on MemoryConnection {{ totalCount }} {{ memoriesCollection(first: 1) {{ ...f0 }} }}"
    )
    calls = 0

    def count(frame: Any, event: str, _: object) -> None:
        nonlocal calls
        calls += event == "call" and frame.f_code.co_name == "_selected"

    sys.setprofile(count)
    try:
        assert (await data(account, query))["memoriesCollection"] == {"totalCount": 0}
    finally:
        sys.setprofile(None)
    assert 0 < calls < 200


async def test_the_texts_of_turns_are_counted_before_they_are_read(account: Account) -> None:
    """32 MB a request, turns of conversations among them."""
    for session in range(5):
        turns = [{"role": "user", "content": f"{number} " + "x" * 900_000} for number in range(8)]
        body = {"session_id": f"long {session}", "turns": turns, "extraction": "never"}
        await account.post("/agent/conversations", **body)
    query = "query ($n: Int) { conversationsCollection { edges { node { messages(first: $n) { role } } } } }"
    assert await data(account, query, n=6)
    refused = await errors(account, query, n=8)
    assert "32 MB" in refused[0]["message"] and refused[0]["extensions"]["code"] == "query_too_large"


async def test_the_schema_can_be_asked_for(account: Account) -> None:
    """By the usual question of tools; deeper is refused. It is there as a text too, without a key."""
    found = await data(account, get_introspection_query(descriptions=True))
    assert {"memories_add", "memories_erase"} <= {
        field["name"] for one in found["__schema"]["types"] if one["name"] == "Mutation" for field in one["fields"]
    }
    deep = "{ __schema { types { " + "ofType { " * 17 + "name" + " }" * 17 + " } } }"
    assert "18 levels" in await refusal(account, deep)
    response = await account.client.get("/graphql/schema.graphql", headers={"Authorization": ""})
    assert response.text == print_schema(schema())


@pytest.mark.parametrize("path", ["/graphql", "/api/v1/graphql", "/graphql/"])
async def test_both_paths_answer_and_refuse_as_rest_does(bare: httpx2.AsyncClient, account: Account, path: str) -> None:
    """Before the document is looked at, what is wrong is a problem with the status that REST has."""
    key = {"Authorization": f"Bearer {account.key}"}
    query = {"query": "{ __typename }"}
    assert (await bare.post(path, json=query, headers=key)).json() == {"data": {"__typename": "Query"}}
    for headers, code in ((None, "not_authenticated"), ({"Authorization": "Bearer aurra_x"}, "invalid_key")):
        refused = await bare.post(path, json=query, headers=headers or {})
        assert (refused.status_code, refused.json()["code"]) == (401, code)
        assert refused.headers["WWW-Authenticate"] == "Bearer"
        assert refused.headers["Content-Type"] == "application/problem+json"
    wrong: list[tuple[bytes, str, int, str]] = [
        (b"{", "application/json", 400, "malformed_json"),
        (b"[" * 40 + b"]" * 40, "application/json", 400, "too_deep"),
        (b'{"query": "{ __typename }"}', "text/plain", 415, "unsupported_media_type"),
        (b"[]", "application/json", 422, "validation_error"),
        (b"{}", "application/json", 422, "validation_error"),
        (b'{"query": 5}', "application/json", 422, "validation_error"),
        (b'{"query": "{ __typename }", "variables": []}', "application/json", 422, "validation_error"),
        (b'{"query": "\\u0000"}', "application/json", 400, "invalid_text"),
        (b'[{"query": "{ __typename }"}]', "application/json", 422, "validation_error"),
    ]
    for body, kind, status, code in wrong:
        refused = await bare.post(path, content=body, headers={**key, "Content-Type": kind})
        assert (refused.status_code, refused.json()["code"]) == (status, code), body
        assert refused.headers["X-Request-Id"] == refused.json()["request_id"]


async def test_queries_may_be_sent_with_get_and_mutations_may_not(account: Account) -> None:
    """As the specification has it, with variables as JSON."""
    query = "query ($n: BigInt) { memories_list(limit: $n) { has_more } }"
    found = await account.client.get("/graphql", params={"query": query, "variables": json.dumps({"n": 1})})
    assert found.json() == {"data": {"memories_list": {"has_more": False}}}
    mutation = 'mutation { memories_add(content: "x") { memory_id } }'
    refused = await account.client.get("/graphql", params={"query": mutation})
    assert (refused.status_code, refused.json()["code"]) == (405, "method_not_allowed")
    assert await account.decisions() == []
    assert (await account.client.get("/graphql", params={"query": query, "variables": "5"})).status_code == 422
    assert (await account.client.get("/graphql")).json()["code"] == "validation_error"


async def test_the_media_type_decides_the_status_of_what_is_not_executed(account: Account) -> None:
    """With `application/graphql-response+json` a query that is not executed has a status of its own; what fails inside
    has none. With JSON, both are 200."""
    own = {"Accept": "application/graphql-response+json"}
    for query, status in (("{", 400), ("{ nope }", 400), ("{ memories_get { memory { id } } }", 422)):
        response = await send(account.client, query, **own)
        assert response.status_code == status and "data" not in response.json()
        assert response.headers["Content-Type"] == "application/graphql-response+json"
        assert (await send(account.client, query)).status_code == 200
    failed = await send(account.client, '{ memories_get(memory_id: "x") { memory { id } } }', **own)
    assert failed.status_code == 200 and failed.json()["data"] == {"memories_get": None}


async def test_one_operation_of_a_document_is_named(account: Account) -> None:
    """Of several, the one in `operationName`; of none, or one that is not there, nothing is guessed."""
    query = "query a { a: __typename } query b { b: __typename }"
    sent = {"query": query, "operationName": "b"}
    assert (await account.client.post("/graphql", json=sent)).json()["data"] == {"b": "Query"}
    [error] = await errors(account, query)
    assert "several operations" in error["message"]
    found = (await account.client.post("/graphql", json={**sent, "operationName": "c"})).json()
    assert found["errors"][0]["extensions"]["code"] == "invalid_query"


async def test_an_error_inside_tells_nothing_of_it(make_account: MakeAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody meant to raise is 500 `internal`, with the request's id and no word of what it was."""
    account = await make_account()

    async def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr("aurra.ops.collections.read_page", broken)
    answer = await ask(account, "{ memoriesCollection { totalCount } }")
    [error] = answer["errors"]
    assert error["extensions"]["code"] == "internal" and "secret" not in json.dumps(answer)
