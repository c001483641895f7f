"""Operation × scope, from the registry: only a key with the declared scope passes."""

import itertools
import re
from collections.abc import Iterable
from typing import Any

import httpx2
import pytest

from aurra.keys import SCOPES, Terms
from aurra.ops import OPERATIONS, Operation
from aurra.store.accounts import open_directory
from tests.conftest import Account
from tests.faces.wire import problem

PATHS = [(op, path) for op in OPERATIONS.values() for path in (op.path, *op.aliases)]
SHORT = [*((scope,) for scope in SCOPES), *itertools.combinations(SCOPES, len(SCOPES) - 1)]
"""Each scope alone, and all but each."""
LONG = [scopes for size in range(1, len(SCOPES) + 1) for scopes in itertools.combinations(SCOPES, size)]


async def ask(client: httpx2.AsyncClient, op: Operation, path: str, key: str | None) -> httpx2.Response:
    """The operation with ids of nothing and an empty body: past the scope it may fail."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    body: dict[str, Any] = {"json": {}} if op.method in ("POST", "PATCH") else {}
    return await client.request(op.method, re.sub(r"{\w+}", "0", path), headers=headers, **body)


async def keys_of(account: Account, dsn: str, sets: Iterable[tuple[str, ...]]) -> dict[tuple[str, ...], str]:
    """A key with each set of scopes."""
    async with open_directory(dsn) as directory:
        return {scopes: (await directory.create_key(account.row, Terms(scopes=list(scopes)))).raw for scopes in sets}


@pytest.mark.parametrize(
    "sets", [pytest.param(SHORT, id="short"), pytest.param(LONG, id="long", marks=pytest.mark.long)]
)
async def test_only_the_declared_scope_passes(
    account: Account, bare: httpx2.AsyncClient, dsn: str, sets: list[tuple[str, ...]]
) -> None:
    """Without it 403 that names it, whatever else the key may; with it neither 401 nor 403."""
    passed = refused = 0
    for scopes, key in (await keys_of(account, dsn, sets)).items():
        for op, path in PATHS:
            answer = await ask(bare, op, path, key)
            if op.scope in scopes:
                assert answer.status_code in (200, 400, 404, 422), (op.name, scopes, answer.text)
                passed += 1
            else:
                said = problem(answer, 403, "insufficient_scope")
                assert op.scope in said["detail"], op.name
                refused += 1
    assert passed + refused == len(sets) * len(PATHS) and passed and refused


async def test_without_a_key_nothing_passes(bare: httpx2.AsyncClient) -> None:
    """401 on every path of every operation, exactly as published."""
    for op, path in PATHS:
        said = problem(await ask(bare, op, path, None), 401, "not_authenticated")
        assert said["detail"] == "Not authenticated", op.name
        problem(await ask(bare, op, path, "aurra_live_" + "0" * 57), 401, "invalid_key")


async def test_what_a_key_may_not_it_is_not_helped_to_ask_for(make_account: Any) -> None:
    """Without the scope a broken request is 403 as well, not a lesson in its fields."""
    account = await make_account(scopes="query")
    for body in (b"{", b"[]", b'{"unknown": 1}', b'{"content": 1}'):
        answer = await account.client.post(
            "/agent/memories", content=body, headers={"Content-Type": "application/json"}
        )
        problem(answer, 403, "insufficient_scope")
