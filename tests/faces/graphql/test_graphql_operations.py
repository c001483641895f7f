"""Every operation of the registry is a field, and answers as REST does."""

import datetime as dt
from typing import Any
from uuid import uuid4

import httpx2
import msgspec
import pytest

from aurra.context import Service
from aurra.faces.graphql import operations
from aurra.faces.graphql.schema import schema
from aurra.ops import OPERATIONS, Operation
from tests.conftest import Account, HandClock, MakeAccount
from tests.faces.graphql.asking import ask, code, data, send
from tests.isolation import cases
from tests.isolation.asking import Answer, Reader, Rest
from tests.isolation.planting import Planted, plant, word
from tests.parity.face_graphql import GraphQL


def test_each_operation_is_one_field_with_all_that_it_takes() -> None:
    """Reads are of Query, others of Mutation; arguments are the request's fields, described as they are."""
    query, mutation, at = (schema().get_type(name) for name in ("Query", "Mutation", "At"))
    assert query and mutation and at
    for op in OPERATIONS.values():
        reads, writes = (op.id in getattr(of, "fields") for of in (query, mutation))  # noqa: B009
        assert (reads, writes) == (op.is_read_only, not op.is_read_only), op.id
        field: Any = getattr(query if reads else mutation, "fields")[op.id]  # noqa: B009
        keys = {operations.KEY} if op.is_idempotent else set[str]()
        fields = msgspec.structs.fields(op.request)
        assert set(field.args) == {one.encode_name for one in fields} | keys
        assert op.summary in field.description and op.scope in field.description
        assert (op.id in getattr(at, "fields")) == operations.has_both_times(op)  # noqa: B009


@pytest.fixture
async def planted(service: Service, make_account: MakeAccount, hand_clock: HandClock) -> tuple[Account, Planted]:
    """An account with something of everything, at an instant that stays."""
    hand_clock.at = dt.datetime(2031, 1, 1, tzinfo=dt.UTC)
    account = await make_account()
    low = await make_account(of=account.row, trust=1)
    found = await plant(service, account, low, word())
    hand_clock.at += dt.timedelta(hours=1)
    return account, found


async def test_each_operation_answers_as_rest_does(planted: tuple[Account, Planted], app: Any) -> None:
    """All fields of the answer, selected one by one, are the JSON of REST; what is refused has its code and status."""
    account, own = planted
    rest = Rest(account)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://aurra") as client:
        face = GraphQL(client)
        for op in OPERATIONS.values():
            fields = cases.request_of(op, own.values)
            if "dry_run" in op.request.__struct_fields__:
                fields["dry_run"] = True
            if not (op.is_read_only or "dry_run" in fields):
                continue
            told = await rest.ask(op, fields, None, "x")
            found = await face.ask(op, fields, api_key=account.key)
            body = msgspec.json.decode(told.body)
            assert found.status == told.status, (op.id, told, found)
            if told.status != 200:
                names = ("code", "detail", "hint", "param")
                assert {name: found.body[name] for name in names} == {name: body[name] for name in names}
                continue
            one, other = (
                Reader().plain(Answer(200, {}, msgspec.json.encode(each, order="sorted").decode()))
                for each in (body, found.body)
            )
            assert one == other, op.id


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("memories.get", {"memory_id": "00000000-0000-0000-0000-000000000000"}),
    ("memories.get", {"memory_id": "nothing"}),
    ("memories.list", {"cursor": "x"}),
    ("memories.list", {"as_of": "yesterday"}),
    ("memories.list", {"transaction_as_of": 10**6}),
    ("memories.add", {}),
    ("memories.add", {"content": "a", "messages": []}),
    ("memories.add", {"content": "a", "importance_score": 11}),
    ("memories.supersede", {"memory_id": "00000000-0000-0000-0000-000000000000"}),
    ("conversations.add", {"session_id": "s", "turns": [], "extraction": "soon"}),
    ("keys.create", {"scopes": ["everything"]}),
    ("keys.create", {"scopes": ["query"], "nonsense": 1}),
    ("keys.create", {"scopes": "query query", "is_signed": "yes"}),
    ("keys.create", {}),
    ("memories.search", {"query": 5}),
    ("settings.update", {"min_confidence": 0.1}),
]


@pytest.mark.parametrize(("name", "fields"), WRONG, ids=[f"{name}-{place}" for place, (name, _) in enumerate(WRONG)])
async def test_what_is_wrong_has_the_code_that_rest_has(
    account: Account, app: Any, name: str, fields: dict[str, Any]
) -> None:
    """The same code and status, wherever it is found: by the operation, by its arguments' types, by their names."""
    op: Operation = OPERATIONS[name]
    if "reason" in op.request.__struct_fields__ and name.endswith("supersede"):
        fields = {**fields, "reason": "x"}
    told = await Rest(account).ask(op, fields, None, "x")
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://aurra") as client:
        found = await GraphQL(client).ask(op, fields, api_key=account.key)
    body = msgspec.json.decode(told.body)
    assert (found.status, found.body["code"]) == (told.status, body["code"]), (told.body, found.body)


async def test_a_write_with_its_key_happens_once(account: Account) -> None:
    """The second answer is the first one, and says so in a header and beside the data; another request is refused."""
    query = 'mutation { memories_add(content: "Kim lives in Oslo", idempotency_key: "k") { memory_id } }'
    first, second = await send(account.client, query), await send(account.client, query)
    assert first.json()["data"] == second.json()["data"]
    assert second.headers["Idempotent-Replayed"] == "true" and "Idempotent-Replayed" not in first.headers
    assert second.json()["extensions"] == {"replayed": ["memories_add"]}
    assert len(await account.decisions()) == 1
    assert await code(account, query.replace("Oslo", "Rome")) == "idempotency_mismatch"


async def test_what_null_says_is_known(account: Account) -> None:
    """Where null takes away, null is not the same as nothing; elsewhere it is nothing."""
    await account.add("a fact", subject="kim")
    label = 'mutation ($id: String) { subjects_update(subject: "kim", external_id: $id) { external_id } }'
    assert (await data(account, label, id="crm-1"))["subjects_update"]["external_id"] == "crm-1"
    answer = await ask(
        account, 'mutation ($id: String) { subjects_update(subject: "kim", external_id: $id) { external_id } }'
    )
    assert answer["errors"][0]["extensions"]["code"] == "validation_error"
    assert (await data(account, label, id=None))["subjects_update"]["external_id"] is None
    assert (await data(account, "{ memories_list(limit: null, topic: null) { has_more } }"))["memories_list"]


async def test_mutations_run_one_after_the_other_and_fail_alone(account: Account) -> None:
    """In the order in which they stand; one that is refused takes nothing of the others with it."""
    answer = await ask(
        account,
        """mutation { one: memories_add(content: "first") { transaction { id } }
                      two: memories_add { transaction { id } }
                      three: memories_add(content: "third") { transaction { id } } }""",
    )
    assert answer["data"] == {"one": {"transaction": {"id": 1}}, "two": None, "three": {"transaction": {"id": 2}}}
    [error] = answer["errors"]
    assert error["path"] == ["two"] and error["extensions"]["status"] == 400


async def test_numbers_of_more_than_32_bits_pass(account: Account) -> None:
    """Limits of plans, and transactions, in and out."""
    status = await data(account, "{ plan_status { writes_limit } }")
    assert status == {"plan_status": {"writes_limit": 2**53 - 1}}
    assert await code(account, "{ memories_list(transaction_as_of: 9007199254740991) { has_more } }") == (
        "transaction_in_the_future"
    )
    assert await code(account, f"{{ transactions_list(since: {2**63}) {{ has_more }} }}") == "validation_error"


async def test_a_bulk_of_megabytes_is_taken_and_what_is_larger_is_not(account: Account) -> None:
    """Up to 8 MiB where the operation takes so much; each operation is held to its own size."""
    query = """mutation ($memories: [MemoryWriteInput!]!) { memories_bulk(memories: $memories) { saved_count } }"""
    memories = [{"content": f"{uuid4()} {'x' * 9000}"} for _ in range(150)]
    assert (await data(account, query, memories=memories))["memories_bulk"] == {"saved_count": 150}
    large = "mutation ($content: String) { memories_add(content: $content) { memory_id } }"
    answer = await ask(account, large, content="x" * 1_100_000)
    assert answer["errors"][0]["extensions"]["code"] == "body_too_large"
    response = await account.client.post("/graphql", json={"query": query, "variables": {"x": "x" * (8 * 1024**2)}})
    assert response.status_code == 413 and response.json()["code"] == "body_too_large"
