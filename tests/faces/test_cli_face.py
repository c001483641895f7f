"""The command line as a face: what REST answers, it answers, and what REST refuses, it refuses alike."""

from typing import Any

import pytest

from aurra.ops import OPERATIONS
from tests.conftest import Account, MakeAccount
from tests.isolation.cases import REQUESTS
from tests.parity.face_cli import CliFace

REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("memories.get", {"memory_id": "nothing"}),
    ("memories.add", {}),
    ("memories.add", {"content": "x", "importance_score": 99}),
    ("memories.add", {"content": "x", "importance": "huge"}),
    ("memories.add", {"content": 7}),
    ("memories.add", {"content": "x", "valid_from": "2026-01-01T00:00:00"}),
    ("memories.bulk", {}),
    ("memories.bulk", {"memories": []}),
    ("memories.correct", {"memory_id": "nothing"}),
    ("transactions.diff", {"from": "soon"}),
    ("subjects.get", {"subject": "a/b"}),
    ("conversations.add", {"session_id": "s", "turns": [{"role": "user"}]}),
    ("receipts.list", {"colour": "red"}),
]


@pytest.mark.parametrize(("name", "fields"), REFUSED, ids=lambda value: value if isinstance(value, str) else "")
async def test_what_rest_refuses_is_refused_alike(
    account: Account, url: str, name: str, fields: dict[str, Any]
) -> None:
    """Status, code, detail and hint."""
    op = OPERATIONS[name]
    path = op.path
    rest = dict(fields)
    for parameter in op.path_parameters:
        path = path.replace(f"{{{parameter}}}", str(rest.pop(parameter)).replace("/", "%2F"))
    sent: Any = {"params": rest} if op.method in ("GET", "DELETE") else {"json": rest}
    expected = await account.client.request(op.method, path, **sent)
    told = await CliFace(url).ask(op, fields, api_key=account.key)
    parts = ("status", "code", "detail", "hint", "param")
    assert told.status == expected.status_code
    assert {part: told.body.get(part) for part in parts} == {part: expected.json().get(part) for part in parts}


async def test_without_a_key_it_is_refused(url: str) -> None:
    """401, whatever is asked."""
    told = await CliFace(url).ask(OPERATIONS["plan.status"], {}, api_key=None)
    assert (told.status, told.body["code"]) == (401, "not_authenticated")


async def test_every_operation_can_be_asked(make_account: MakeAccount, url: str) -> None:
    """With the request that means something, or of something that is not there; never with a usage error."""
    account = await make_account()
    for op in OPERATIONS.values():
        if op.name == "keys.revoke":
            continue
        fields = {**dict.fromkeys(op.path_parameters, "nothing"), **REQUESTS.get(op.name, {})}
        told = await CliFace(url).ask(op, fields, api_key=account.key)
        assert told.status in (200, 404) or told.body["code"], op.name


async def test_the_same_idempotency_key_is_answered_the_same(account: Account, url: str) -> None:
    """Given by the face's user."""
    op = OPERATIONS["memories.add"]
    first, second = [
        await CliFace(url).ask(op, {"content": "once"}, api_key=account.key, idempotency_key="key-1") for _ in range(2)
    ]
    assert first == second and first.status == 200
