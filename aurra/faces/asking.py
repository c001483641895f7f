"""What every face does between knowing who calls and telling what came of it."""

import re
from collections.abc import Mapping
from uuid import uuid4

import msgspec

from aurra.context import Caller, Context, Service
from aurra.faces import decoding
from aurra.ops import Operation, call
from aurra.types.common import Answer, Request

_GIVEN_ID = re.compile(r"[\w.:-]{1,128}")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, and what a face tells beside it."""

    answer: Answer
    replayed: bool
    """It is the stored one of an earlier request."""
    plan_warning: str | None


async def ask(
    service: Service,
    caller: Caller,
    op: Operation,
    arguments: bytes,
    *,
    request_id: str,
    idempotency_key: str | None = None,
) -> Asked:
    """Runs an operation with all of its fields in one JSON object, those of its path too.

    Raises AurraError, as decoding, the caller's scopes and the operation do.
    """
    decoded, ignored = decoding.decode(op, arguments or b"{}", {}, {})
    return await run(service, caller, op, decoded, ignored, request_id=request_id, idempotency_key=idempotency_key)


async def run(
    service: Service,
    caller: Caller,
    op: Operation,
    request: Request,
    ignored: list[str],
    *,
    request_id: str,
    idempotency_key: str | None,
) -> Asked:
    """Runs an operation with a request that is decoded. `ignored` are the fields that it does not know."""
    ctx = Context(
        service=service,
        caller=caller,
        request_id=request_id,
        idempotency_key=idempotency_key if op.is_idempotent else None,
    )
    answer = await call(ctx, op, request)
    answer.warnings += [f"The field `{name}` is unknown and was ignored." for name in ignored]
    return Asked(answer=answer, replayed=ctx.replayed, plan_warning=ctx.plan_warning)


def request_id_of(headers: Mapping[str, str]) -> str:
    """The caller's own id where it is a sensible one, else a new one."""
    given = headers.get("x-request-id", "")
    return given if _GIVEN_ID.fullmatch(given) else uuid4().hex
