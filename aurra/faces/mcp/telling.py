"""What both sides of the door know: who asks, with how much, and how they are told what was wrong."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from aurra.context import Caller, Service
from aurra.errors import AurraError
from aurra.faces import problems
from aurra.ops.registry import MIB

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

BODY_LIMIT = 8 * MIB
INVALID_REQUEST, INTERNAL, PARSE = -32600, -32603, -32700


class Asker(msgspec.Struct, frozen=True):
    """Who asks, of which service, and in which request."""

    service: Service
    caller: Caller
    request_id: str


ASKER = "aurra.asker"
"""Where a request's scope says who asks."""


def rpc_error(error: AurraError, request_id: str) -> dict[str, Any]:
    """A JSON-RPC error: what is wrong and what to do as its message, the problem as its data."""
    code = INVALID_REQUEST if error.status < 500 else INTERNAL
    if error.code == "malformed_json":
        code = PARSE
    return {"code": code, "message": in_words(error), "data": problem(error, request_id)}


def problem(error: AurraError, request_id: str) -> dict[str, Any]:
    """The problem as REST has it, with the seconds that REST has in a header."""
    found: dict[str, Any] = msgspec.json.decode(problems.body(error, request_id))
    return found if error.retry_after is None else {**found, "retry_after": error.retry_after}


def in_words(error: AurraError) -> str:
    """The code, what is wrong, and what to do: for whoever reads it, a person or a model."""
    wait = "" if error.retry_after is None else f" (Retry-After: {error.retry_after} s)"
    return f"{error.code}: {error}\nWhat to do: {error.hint}{wait}"
