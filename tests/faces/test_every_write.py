"""What every write does with an Idempotency-Key, and in grace: generated from the registry, so that none is missed."""

import asyncio
import datetime as dt

import pytest

from aurra import keys
from aurra.context import Caller, Context, Service
from aurra.ops import OPERATIONS, Operation, writing
from aurra.types.accounts import AgentSettings
from aurra.types.providers import ProviderChange
from tests.conftest import Account, HandClock, MakeAccount
from tests.faces.every_write import CASES, WRITES, Case, send
from tests.faces.wire import BULK, MEMORIES, PLAN, account_on_plan, at, nothing_stored, ok, problem
from tests.plain import connected

REPLAYED = "idempotent-replayed"
KEYLESS = {
    "memories.search": "reads",
    "memories.query": "asks",
    "receipts.replay": "reads",
    "keys.update": "again",
    "keys.revoke": "again",
}
"""Operations that are no GET and take no key; another one must be entered here, with its reason in the registry."""

each = pytest.mark.parametrize("op", WRITES, ids=[op.name for op in WRITES])


def test_every_operation_says_what_it_does_with_a_key() -> None:
    """Every operation that is no GET has a case here, or stands in the list of those that take no key."""
    assert {op.name for op in WRITES} == set(CASES)
    without = {op.name: op.keyless or "" for op in OPERATIONS.values() if op.method != "GET" and not op.is_idempotent}
    assert set(without) == set(KEYLESS)
    for name, word in KEYLESS.items():
        assert word in without[name], name


async def state(account: Account) -> list[object]:
    """All that a second effect would change."""
    page = await account.get(MEMORIES, limit=1000, include_superseded="true")
    return [
        page["transaction"],
        page["memories"],
        (await account.get(PLAN))["writes_used"],
        await account.get("/agent/settings"),
        await account.get("/agent/provider"),
        (await account.get("/agent/subjects"))["subjects"],
        (await account.get("/agent/conversations"))["conversations"],
    ]


async def change_back(account: Account, op: Operation) -> None:
    """What the operation changed is changed again, so that doing it a second time would show."""
    noun = op.name.partition(".")[0]
    if noun == "settings":
        ok(await account.client.patch("/agent/settings", json={"min_confidence": 0.99}))
    if noun == "provider":
        ok(await account.client.patch("/agent/provider", json={"provider": "openai", "model": "z", "api_key": "sk-9"}))
    if noun == "subjects":
        ok(await account.client.patch("/agent/subjects/kim", json={"external_id": "crm-9"}))


@each
async def test_a_second_request_has_no_second_effect(account: Account, op: Operation) -> None:
    """The same key and request: the same bytes, `Idempotent-Replayed: true`, and nothing else changes. Another request:
    422. A key out of bounds: 400."""
    made = await CASES[op.name](account)
    first = await send(account, op, made.path, made.body, "key-1")
    ok(first)
    assert REPLAYED not in first.headers
    await change_back(account, op)
    before = await state(account)
    for _ in range(2):
        again = await send(account, op, made.path, made.body, "key-1")
        assert again.content == first.content
        assert again.headers[REPLAYED] == "true"
    if made.other:
        problem(await send(account, op, made.path, {**made.body, **made.other}, "key-1"), 422, "idempotency_mismatch")
    else:
        problem(await account.client.post(MEMORIES, json={"content": "x"}, headers={"Idempotency-Key": "key-1"}), 422)
    for key in ("", "x" * 256, "a\tb"):
        refused = await send(account, op, made.path, made.body, key)
        assert problem(refused, 400)["param"] == "Idempotency-Key"
    assert await state(account) == before


@each
async def test_only_success_is_stored_and_for_24_hours(account: Account, op: Operation, hand_clock: HandClock) -> None:
    """A refused request leaves its key free; 24 hours of the ledger's clock later it is free again."""
    hand_clock.at = start = at("2040-03-10T12:00:00")
    made = await CASES[op.name](account)
    path, body = made.refused
    assert 400 <= (await send(account, op, path, body, "key-1")).status_code < 500
    first = await send(account, op, made.path, made.body, "key-1")
    ok(first)
    assert REPLAYED not in first.headers
    hand_clock.at = start + dt.timedelta(hours=24) - dt.timedelta(seconds=1)
    assert (await send(account, op, made.path, made.body, "key-1")).content == first.content
    hand_clock.at = start + dt.timedelta(hours=24, seconds=1)
    assert REPLAYED not in (await send(account, op, made.path, made.body, "key-1")).headers


@each
async def test_a_duplicate_of_one_in_flight_is_409(account: Account, op: Operation, dsn: str, service: Service) -> None:
    """While the first waits for the ledger, the same key is 409 with `Retry-After`; afterwards it is a replay."""
    made = await CASES[op.name](account)
    async with connected(dsn) as connection:
        await connection.execute("BEGIN")
        await connection.execute("SELECT 1 FROM ledger WHERE company_id = $1 FOR UPDATE", account.row.id)
        first = asyncio.create_task(send(account, op, made.path, made.body, "key-1"))
        while not service.in_flight:
            assert not first.done(), (await first).text
            await asyncio.sleep(0.001)
        duplicate = await send(account, op, made.path, made.body, "key-1")
        assert int(duplicate.headers["retry-after"]) >= 1
        problem(duplicate, 409, "idempotency_in_flight")
        await connection.execute("COMMIT")
    ok(await first)
    assert (await send(account, op, made.path, made.body, "key-1")).content == (await first).content


@each
async def test_in_grace_every_write_warns(
    make_account: MakeAccount, dsn: str, hand_clock: HandClock, op: Operation
) -> None:
    """In grace every answer of a write has `X-Plan-Warning`, and says the same in its `warnings`."""
    hand_clock.at = at("2040-03-10T12:00:00")
    account = await account_on_plan(make_account, dsn, 50)
    ok(await account.client.post(BULK, json={"memories": [{"content": f"fill {n}"} for n in range(50)]}))
    made: Case = await CASES[op.name](account)
    answer = await send(account, op, made.path, made.body, "key-1")
    assert answer.headers["x-plan-warning"] in ok(answer)["warnings"]
    assert "2040-03-17T12:00:00" in answer.headers["x-plan-warning"]


async def test_settings_are_those_of_the_key_that_asks(account: Account, make_account: MakeAccount) -> None:
    """The same request of another API key changes other settings: it is no replay."""
    second = await make_account(of=account.row)
    headers = {"Idempotency-Key": "key-1"}
    ok(await account.client.patch("/agent/settings", json={"min_confidence": 0.9}, headers=headers))
    response = await second.client.patch("/agent/settings", json={"min_confidence": 0.9}, headers=headers)
    problem(response, 422, "idempotency_mismatch")


async def test_nothing_of_a_stored_key_stands_beside_it(account: Account, service: Service, dsn: str) -> None:
    """The answer and the fingerprint that are kept hold neither the model's key nor a digest that could be guessed."""
    body = {"provider": "openai", "model": "m", "api_key": "ollama"}
    change = ProviderChange(provider="openai", model="m", api_key="ollama")
    ok(await account.client.patch("/agent/provider", json=body, headers={"Idempotency-Key": "key-1"}))
    async with connected(dsn) as connection:
        row = await connection.fetchrow("SELECT * FROM idempotency WHERE company_id = $1", account.row.id)
    assert b"ollama" not in row["answer"]
    caller = Caller(
        company_id=account.row.id,
        key_id=keys.key_id_of(account.key) or "",
        scopes=frozenset(keys.SCOPES),
        tenant_id=None,
        settings=AgentSettings(),
    )
    ctx = Context(service=service, caller=caller, request_id="r", idempotency_key="key-1")
    for more in ([], ["ollama"], ["none"], ["kept"]):
        guessed = writing.fingerprint(ctx, "provider.update", change, *more)
        assert guessed and guessed.digest != row["fingerprint"]


async def test_what_an_erasure_may_concern_goes_with_it(account: Account, dsn: str) -> None:
    """The answer to a label names its subject: after an erasure it is stored no more, and its key says so."""
    erased = await account.add("a secret", subject="Eve Canary", attribute="plan")
    body, headers = {"external_id": "crm-canary"}, {"Idempotency-Key": "key-1"}
    ok(await account.client.patch("/agent/subjects/eve%20canary", json=body, headers=headers))
    ok(await account.client.post(f"/memories/{erased}/erase", json={}))
    async with connected(dsn) as connection:
        kept = await connection.fetch("SELECT answer FROM idempotency WHERE company_id = $1", account.row.id)
    assert not any(b"anary" in row["answer"] for row in kept)
    async with nothing_stored(account):
        again = await account.client.patch("/agent/subjects/eve%20canary", json=body, headers=headers)
        problem(again, 404)
