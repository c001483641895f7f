"""Every operation answers the same through every face; who may not ask is told the same there.

Generated from the registry: a new operation is asked without a line here, or the build says what it lacks.
"""

import contextlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx2
import msgspec
import pytest

from aurra.context import Service
from aurra.keys import SCOPES, TRUSTS
from aurra.ops import OPERATIONS, Operation
from tests.conftest import Account, MakeAccount
from tests.faces.every_write import WRITES
from tests.isolation.cases import request_of
from tests.isolation.planting import plant, word
from tests.parity.asking import named, plain, written
from tests.parity.face import Face, Json, Told
from tests.parity.face_cli import CliFace
from tests.parity.face_graphql import GraphQL
from tests.parity.face_js import js_face
from tests.parity.face_mcp import McpFace
from tests.parity.face_python import AsyncPython, Python
from tests.parity.face_rest import Rest


@contextlib.asynccontextmanager
async def over_http(url: str, make: Callable[[httpx2.AsyncClient], Face]) -> AsyncGenerator[Face]:
    """A face that needs a client of HTTP."""
    async with httpx2.AsyncClient(base_url=url, timeout=60) as http:
        yield make(http)


FACES: dict[str, Callable[[str], AbstractAsyncContextManager[Face]]] = {
    "python": lambda url: contextlib.nullcontext(AsyncPython(url)),
    "python, sync": lambda url: contextlib.nullcontext(Python(url)),
    "mcp": lambda url: over_http(url, McpFace),
    "graphql": lambda url: over_http(url, GraphQL),
    "command": lambda url: contextlib.nullcontext(CliFace(url)),
    "javascript": js_face,
}
READS = [op for op in OPERATIONS.values() if op.is_read_only]
CHANGES = [op for op in OPERATIONS.values() if not op.is_read_only]
MORE = {
    "limit": 2,
    "as_of": "2098-01-01",
    "include_superseded": True,
    "explain": True,
    "include_proof_tree": True,
    "strict": True,
    "state": "all",
}
"""What may be asked besides, of the operations that have such fields."""
names = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.js] if name == "javascript" else []) for name in FACES]
)


def each(ops: list[Operation]) -> Any:
    """Parametrised over operations."""
    return pytest.mark.parametrize("op", ops, ids=lambda op: op.name)


@pytest.fixture(scope="module")
async def rest(url: str) -> AsyncIterator[Rest]:
    """What the others are compared with."""
    face = Rest(url)
    yield face
    await face.close()


@pytest.fixture
async def face(url: str, name: str) -> AsyncIterator[Face]:
    """The face of that name, at the module's service."""
    async with FACES[name](url) as opened:
        yield opened


class Lived(Account):
    """An account in which there is something of every kind."""

    values: dict[str, list[Any]]


@pytest.fixture(scope="module")
async def lived(module_accounts: MakeAccount, service: Service) -> Lived:
    """One account for all that only reads."""
    account = await module_accounts()
    low = await module_accounts(of=account.row, trust=TRUSTS["low"])
    values = (await plant(service, account, low, word())).values
    # Of the first session there are memories, and no turns.
    return Lived(account.row, account.key, account.client, {**values, "session": values["session"][1:]})


@names
@each(READS)
async def test_a_question_is_answered_the_same(face: Face, rest: Rest, op: Operation, lived: Lived) -> None:
    fields = request_of(op, lived.values)
    for more in ({}, {**MORE, "transaction_as_of": lived.values["number"][0]}):
        has = {field.encode_name for field in msgspec.structs.fields(op.request)}
        asked = {**fields, **{field: value for field, value in more.items() if field in has}}
        expected = await rest.ask(op, asked, api_key=lived.key)
        # Not everything can be asked together, or of the future: then it is refused the same.
        assert more or expected.status == 200, expected.body
        assert _plain(await face.ask(op, asked, api_key=lived.key)) == _plain(expected)


@names
@each(CHANGES)
async def test_a_change_is_made_and_told_the_same(
    face: Face, rest: Rest, op: Operation, make_account: MakeAccount
) -> None:
    expected = await _change(rest, op, await make_account())
    assert expected.status == 200, expected.body
    assert _plain(await _change(face, op, await make_account())) == _plain(expected)


@names
@each(WRITES)
async def test_the_same_key_again_is_answered_the_same_and_changes_nothing(
    face: Face, op: Operation, account: Account
) -> None:
    fields = await written(op, account)
    first = await face.ask(op, fields, api_key=account.key, idempotency_key="once")
    number = (await account.get("/agent/transactions", limit=1))["transactions"]
    again = await face.ask(op, fields, api_key=account.key, idempotency_key="once")
    assert (again.status, again.body) == (first.status, first.body)
    assert (await account.get("/agent/transactions", limit=1))["transactions"] == number


@names
@each(list(OPERATIONS.values()))
async def test_who_may_not_is_told_the_same(
    face: Face, rest: Rest, op: Operation, lived: Lived, refused: dict[str, Account]
) -> None:
    fields = _about(op, lived)
    asked: dict[str, tuple[str | None, int]] = {"no key": (None, 401)}
    asked["a key without the scope"] = (refused[op.scope].key, 403)
    if named(op):
        asked["a key of another account"] = (refused[""].key, 404)
    for who, (key, status) in asked.items():
        expected = await rest.ask(op, fields, api_key=key)
        assert expected.status == status, (who, expected)
        told = await face.ask(op, fields, api_key=key)
        assert (told.status, *_said(told)) == (status, *_said(expected)), who


@pytest.fixture(scope="module")
async def refused(module_accounts: MakeAccount, lived: Lived) -> dict[str, Account]:
    """Keys that may not: one for each scope, that has all others; and one of another account."""
    found = {"": await module_accounts()}
    for scope in SCOPES:
        others = ",".join(one for one in SCOPES if one != scope)
        found[scope] = await module_accounts(scopes=others, of=lived.row)
    return found


def _about(op: Operation, lived: Lived) -> Json:
    values = {**lived.values, "memory": lived.values["memory"][:1]}
    return request_of(op, values)


async def _change(face: Face, op: Operation, account: Account) -> Told:
    return await face.ask(op, await written(op, account), api_key=account.key)


def _plain(told: Told) -> tuple[Any, ...]:
    """An answer without what depends on its moment; of a refusal what it says."""
    if told.status != 200:
        return told.status, *_said(told)
    return told.status, re.sub(r'"freshness":[0-9.e-]+', '"freshness":0', plain(told.body))


def _said(told: Told) -> tuple[Any, ...]:
    """What must be the same of a refusal, whatever the face adds."""
    return (plain({name: told.body.get(name) for name in ("code", "detail", "hint")}),)
