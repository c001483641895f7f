"""What the contract's tests share: shapes of answers and of errors, instants, a plan small enough to fill."""

import contextlib
import datetime as dt
from collections.abc import AsyncGenerator, Iterable
from typing import Any

import httpx2
import msgspec

from aurra.errors import CODES
from aurra.store import pool
from tests.conftest import Account, MakeAccount

MEMORIES = "/agent/memories"
BULK = "/agent/memories/bulk"
SEARCH = "/agent/search"
QUERY = "/agent/query"
SETTINGS = "/agent/settings"
PLAN = "/plan/status"
NOWHERE = "00000000-0000-4000-8000-000000000000"
"""A well-formed id of nothing."""

PROBLEM_KEYS = {"type", "title", "status", "detail", "code", "param", "errors", "request_id", "hint"}
PLAN_KEYS = {
    "plan_tier",
    "writes_used",
    "writes_limit",
    "writes_remaining",
    "in_grace_period",
    "blocked",
    "period_start",
    "period_end",
    "grace_ends_at",
}
WRITTEN_KEYS = {
    "status",
    "memory_id",
    "memory_ids",
    "extracted_count",
    "saved_count",
    "company_id",
    "tenant_id",
    "extraction",
    "transaction",
    "auto_supersede",
    "receipt",
    "dry_run",
    "warnings",
}
REPORT_KEYS = {"ran", "skipped_reason", "candidates_examined", "memory_id", "supersession"}
TEMPORAL_KEYS = {
    "valid_from",
    "valid_to",
    "superseded_by",
    "is_current",
    "is_expired",
    "is_superseded",
    "is_known_current",
}
CITATION_KEYS = {"type", "channel", "captured_at", "session_id", "original_message"}
"""Of a memory's `source_citation`, as published; ours come on top."""
OUR_CITATION_KEYS = {"message_id", "speaker", "said_at", "span", "erased"}
MEMORY_KEYS = {
    "id",
    "decision",
    "summary",
    "topic",
    "importance_score",
    "importance",
    "source",
    "channel",
    "session_id",
    "original_message",
    "people",
    "action_items",
    "created_at",
    "company_id",
    "tenant_id",
    "valid_from",
    "valid_to",
    "superseded_by",
    "transaction_time_start",
    "transaction_time_end",
    "freshness",
    "source_citation",
    "temporal",
    "subject",
    "attribute",
    "external_id",
    "metadata",
    "version",
    "trust",
}

_NULLABLE = frozenset(
    {
        *("memory_id", "tenant_id", "channel", "session_id", "original_message", "message_id", "speaker", "said_at"),
        *("valid_to", "superseded_by", "transaction_time_end", "subject", "attribute", "external_id", "metadata"),
        *("next_cursor", "as_of", "supersession", "skipped_reason", "provider", "model", "prompt_version"),
        *("proof_tree", "receipt_id", "quote", "signals", "grace_ends_at", "classifier_model", "superseded_at"),
        *("workspace_id", "org_id", "original_input", "reason", "version", "error", "param"),
        "span",  # An array; one test of its own says so, lest all fail.
    }
)
"""Strings and objects that may be null. Arrays and numbers may not."""


def require_no_null(value: Any, at: str = "$") -> None:
    """Fails where something is null that never is: arrays, numbers, booleans, `answer`, `decision`."""
    if isinstance(value, dict):
        for name, inner in value.items():  # pyright: ignore[reportUnknownVariableType]
            if name == "metadata":
                continue
            assert inner is not None or name in _NULLABLE, f"{at}.{name} is null"
            require_no_null(inner, f"{at}.{name}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            assert inner is not None, f"{at}[{index}] is null"
            require_no_null(inner, f"{at}[{index}]")


def require_instant(text: str) -> dt.datetime:
    """The instant of a text; fails unless it is UTC with microseconds and `+00:00`."""
    at = dt.datetime.fromisoformat(text)
    assert text == at.astimezone(dt.UTC).isoformat(timespec="microseconds")
    return at


def require_memory(memory: dict[str, Any]) -> None:
    """Fails unless this is a memory object as the contract lists it."""
    assert set(memory) == MEMORY_KEYS
    assert set(memory["temporal"]) == TEMPORAL_KEYS
    assert set(memory["source_citation"]) == CITATION_KEYS | OUR_CITATION_KEYS
    for name in ("valid_from", "valid_to", "superseded_by"):
        assert memory[name] == memory["temporal"][name]
    for name in ("created_at", "valid_from", "transaction_time_start"):
        require_instant(memory[name])
    assert isinstance(memory["decision"], str)
    assert isinstance(memory["freshness"], float)


def ok(response: httpx2.Response) -> dict[str, Any]:
    """The JSON object of an answer; fails unless it is a 200."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("application/json")
    assert response.headers["x-request-id"]
    answer = response.json()
    assert isinstance(answer, dict)
    return answer  # pyright: ignore[reportUnknownVariableType]


def problem(response: httpx2.Response, status: int | None = None, code: str | None = None) -> dict[str, Any]:
    """The JSON of an error; fails unless it has the contract's form, and the status and code if they are given."""
    said = f"{response.status_code}: {response.text[:500]}"
    assert 400 <= response.status_code < 500, said
    body: dict[str, Any] = response.json()
    assert set(body) >= PROBLEM_KEYS, said
    assert body["code"] in CODES, said
    assert CODES[body["code"]][0] == response.status_code, said
    detail = body["detail"]
    assert detail, said
    assert isinstance(detail if isinstance(detail, str) else detail["message"], str), said
    assert isinstance(body["hint"], str), said
    assert body["hint"], said
    assert isinstance(body["errors"], list), said
    assert body["request_id"] == response.headers["x-request-id"], said
    if response.status_code == 401:
        told = 'Bearer error="invalid_token"' if body["code"] == "invalid_token" else "Bearer"
        assert response.headers["www-authenticate"] == told, said
    if status is not None:
        assert response.status_code == status, said
    if code is not None:
        assert body["code"] == code, said
    return body


def same_for_all(responses: Iterable[httpx2.Response]) -> dict[str, Any]:
    """The error that all answers give; fails unless they are equal, the request's own id apart."""
    bodies = [problem(response, 404, "not_found") for response in responses]
    for body in bodies:
        del body["request_id"]
        body.pop("instance", None)
    assert all(body == bodies[0] for body in bodies)
    return bodies[0]


@contextlib.asynccontextmanager
async def nothing_stored(account: Account) -> AsyncGenerator[None]:
    """Fails when the account's meter, transactions or memories changed inside."""
    before = await _counts(account)
    yield
    assert await _counts(account) == before


async def _counts(account: Account) -> tuple[int, int, int]:
    page = await account.get(MEMORIES, limit=1000, include_superseded="true")
    used = (await account.get(PLAN))["writes_used"]
    return used, page["transaction"]["id"], len(page["memories"])


def at(text: str) -> dt.datetime:
    """An instant, for the clock that a test turns."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


async def list_of(account: Account, **query: Any) -> list[dict[str, Any]]:
    """The memories of a list."""
    return (await account.get(MEMORIES, **query))["memories"]


async def raw_post(account: Account, path: str, body: bytes, **headers: str) -> httpx2.Response:
    """The answer to bytes sent as JSON."""
    return await account.client.post(path, content=body, headers={"Content-Type": "application/json", **headers})


def encoded(value: Any) -> bytes:
    """JSON of a value; unlike the client's own encoder it takes integers of any size."""
    return msgspec.json.encode(value)


async def account_on_plan(make_account: MakeAccount, dsn: str, writes: int) -> Account:
    """An account on a plan of the operator's own, with that many writes a month."""
    plan = f"tiny-{writes}"
    connection = await pool.connect(dsn)
    try:
        await connection.execute(f"SET ROLE {pool.OWNER_ROLE}")
        await connection.execute(
            "INSERT INTO plan (plan, writes_limit) VALUES ($1, $2) ON CONFLICT (plan) DO NOTHING", plan, writes
        )
    finally:
        await connection.close()
    return await make_account(plan=plan)
