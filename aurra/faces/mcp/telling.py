"""What both sides of the door know: who asks, with how much, and how they are told what was wrong."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from aurra.context import Caller, Service
from aurra.errors import Forbidden
from aurra.faces import asking, problems
from aurra.faces.asking import Asked
from aurra.faces.reaching import Reach, Refused
from aurra.ops import Operation
from aurra.ops.registry import MIB, require_may

Json = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

BODY_LIMIT = 8 * MIB
INVALID_REQUEST, INTERNAL, PARSE = -32600, -32603, -32700


class Asker(msgspec.Struct, frozen=True):
    """Who asks in a request: what they may, and how it is done."""

    request_id: str
    may: Callable[[Operation], bool]
    """Whether the operation is for them; what is not, is not shown."""
    run: Callable[[Operation, bytes, str | None], Awaitable[Asked]]
    """The answer to an operation with its fields as JSON, under an idempotency key. Raises AurraError, or Refused."""


ASKER = "aurra.asker"
"""Where a request's scope says who asks."""


def with_key(service: Service, caller: Caller, request_id: str) -> Asker:
    """Whoever presented a key: they may what it may."""

    def may(op: Operation) -> bool:
        try:
            require_may(caller, op)
        except Forbidden:
            return False
        return True

    async def run(op: Operation, fields: bytes, key: str | None) -> Asked:
        # What a key may not, it is not helped to ask for.
        require_may(caller, op)
        return await asking.ask(service, caller, op, fields, request_id=request_id, idempotency_key=key)

    return Asker(request_id, may, run)


def on_this_machine(reach: Reach, request_id: str) -> Asker:
    """Whoever has the machine, and so may do everything."""

    async def run(op: Operation, fields: bytes, key: str | None) -> Asked:
        found = await reach.ask(op, msgspec.json.decode(fields), key)
        return Asked(answer=msgspec.convert(found, op.answer), replayed=False, plan_warning=None)

    return Asker(request_id, lambda _: True, run)


def problem(raised: Exception, request_id: str, method: str) -> Json:
    """The problem as REST has it, with the seconds that REST has in a header; of anything that was raised."""
    if isinstance(raised, Refused):
        return raised.problem
    error = problems.told(raised, request_id, method)
    found: Json = msgspec.json.decode(problems.body(error, request_id))
    return found if error.retry_after is None else {**found, "retry_after": error.retry_after}


def rpc_error(found: Json) -> Json:
    """A JSON-RPC error: what is wrong and what to do as its message, the problem as its data."""
    code = INTERNAL if found["status"] >= 500 else INVALID_REQUEST
    if found["code"] == "malformed_json":
        code = PARSE
    return {"code": code, "message": in_words(found), "data": found}


def in_words(found: Json) -> str:
    """The code, what is wrong, and what to do: for whoever reads it, a person or a model."""
    detail = found["detail"] if isinstance(found["detail"], str) else found["detail"]["message"]
    wait = f" (Retry-After: {found['retry_after']} s)" if "retry_after" in found else ""
    return f"{found['code']}: {detail}\nWhat to do: {found['hint']}{wait}"
