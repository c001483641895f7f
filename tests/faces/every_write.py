"""A request for every operation that takes an Idempotency-Key, for what is generated from the registry."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import msgspec

from aurra.ops import OPERATIONS, Operation
from tests.conftest import Account
from tests.faces.wire import BULK, MEMORIES, NOWHERE, SETTINGS

ONCE = ("keys.create", "keys.rotate")
"""Their answer holds a secret that is not kept: a repetition is refused, as test_api_keys.py says."""
WRITES = [op for op in OPERATIONS.values() if op.is_idempotent and op.name not in ONCE]
SLOT = {"subject": "kim", "attribute": "city"}


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A request that succeeds once, another one of the same operation, and one that is refused."""

    path: str
    body: dict[str, Any]
    other: dict[str, Any]
    """What differs in another request; it goes where `body` goes."""
    refused: tuple[str, dict[str, Any]]
    """A path and a body that are refused: 4xx."""


Make = Callable[[Account], Awaitable[Case]]
CASES: dict[str, Make] = {}


def case(name: str) -> Callable[[Make], Make]:
    """Registers how a case of the operation is made."""

    def register(make: Make) -> Make:
        CASES[name] = make
        return make

    return register


async def send(account: Account, op: Operation, path: str, body: dict[str, Any], key: str | None) -> httpx2.Response:
    """The answer to a request with an Idempotency-Key."""
    headers = {} if key is None else {"Idempotency-Key": key}
    if op.method == "DELETE":
        return await account.client.request("DELETE", path, params=body, headers=headers)
    return await account.client.request(op.method, path, json=body, headers=headers)


@case("memories.add")
async def add(account: Account) -> Case:
    return Case(
        path=MEMORIES,
        body={"content": "Kim likes tea"},
        other={"content": "Kim likes coffee"},
        refused=(MEMORIES, {"content": ""}),
    )


@case("memories.bulk")
async def bulk(account: Account) -> Case:
    body = {"memories": [{"content": "Kim likes tea"}]}
    return Case(path=BULK, body=body, other={"mode": "partial"}, refused=(BULK, {"memories": []}))


@case("conversations.add")
async def converse(account: Account) -> Case:
    path = "/agent/conversations"
    return Case(
        path=path,
        body={"session_id": "s", "turns": [{"role": "user", "content": "I live in Oslo."}]},
        other={"session_id": "t"},
        refused=(path, {"session_id": "", "turns": []}),
    )


@case("settings.update")
async def change_settings(account: Account) -> Case:
    return Case(
        path=SETTINGS,
        body={"min_confidence": 0.9},
        other={"min_confidence": 0.95},
        refused=(SETTINGS, {"min_confidence": 2}),
    )


@case("provider.update")
async def change_provider(account: Account) -> Case:
    path = "/agent/provider"
    body = {"provider": "openai", "model": "m", "api_key": "sk-canary-1"}
    return Case(path=path, body=body, other={"api_key": "sk-canary-2"}, refused=(path, {"provider": "nobody"}))


@case("provider.delete")
async def forget_provider(account: Account) -> Case:
    # It has no parameters: another request is another operation.
    return Case(path="/agent/provider", body={}, other={}, refused=("/agent/provider", {"x": "1"}))


@case("subjects.update")
async def label(account: Account) -> Case:
    await account.add("Kim lives in Oslo", **SLOT)
    return Case(
        path="/agent/subjects/kim",
        body={"external_id": "crm-1"},
        other={"external_id": "crm-2"},
        refused=("/agent/subjects/nobody", {"external_id": "crm-1"}),
    )


async def _review(account: Account) -> str:
    await account.client.patch(SETTINGS, json={"review_queue": True})
    await account.add("Kim prefers tea", valid_from="2026-01-01")
    await account.add("Kim prefers coffee", valid_from="2026-02-01", auto_supersede=True)
    return (await account.get("/agent/reviews"))["reviews"][0]["id"]


@case("reviews.accept")
async def accept(account: Account) -> Case:
    path = f"/agent/reviews/{await _review(account)}/accept"
    return Case(path=path, body={}, other={"reason": "x"}, refused=(f"/agent/reviews/{NOWHERE}/accept", {}))


@case("reviews.reject")
async def reject(account: Account) -> Case:
    path = f"/agent/reviews/{await _review(account)}/reject"
    return Case(path=path, body={}, other={"dry_run": True}, refused=(f"/agent/reviews/{NOWHERE}/reject", {}))


def verb(name: str, body: dict[str, Any], other: dict[str, Any]) -> None:
    """A verb on a memory."""

    async def make(account: Account) -> Case:
        memory_id = await account.add("Kim lives in Oslo", valid_from="2026-01-01", **SLOT)
        path = OPERATIONS[name].path
        return Case(
            path=path.format(memory_id=memory_id),
            body=body,
            other=other,
            refused=(path.format(memory_id=NOWHERE), body),
        )

    CASES[name] = make


verb("memories.supersede", {"valid_to": "2026-02-01"}, {"valid_to": "2026-03-01"})
verb("memories.correct", {"content": "Kim lives in Rome", "reason": "x"}, {"reason": "y"})
verb("memories.retract", {}, {"reason": "y"})
verb("memories.delete", {}, {"reason": "y"})
verb("memories.erase", {}, {"reason": "y"})


@case("memories.erase_matching")
async def erase_matching(account: Account) -> Case:
    await account.add("Kim lives in Oslo", **SLOT)
    path = "/agent/erase"
    return Case(path=path, body={"subject": "kim"}, other={"subject": "eve"}, refused=(path, {}))


@case("transactions.restore")
async def restore(account: Account) -> Case:
    memory_id = await account.add("Kim lives in Oslo")
    done = await account.post(f"/memories/{memory_id}/retract")
    path = "/agent/transactions/{}/restore"
    return Case(
        path=path.format(done["transaction"]["id"]), body={}, other={"reason": "y"}, refused=(path.format(999), {})
    )
