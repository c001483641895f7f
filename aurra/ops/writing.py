"""The one way to write: with an idempotency key, through the group commit of the account.

Everything outside the database (embedding, models) has happened before `write` is called.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Generator
from typing import TypeVar

import msgspec

from aurra import chain
from aurra.context import Context
from aurra.errors import AurraError, BadRequest, Conflict
from aurra.ops import committing
from aurra.ops.committing import Decide, Decision, Fingerprint, Plan, Write
from aurra.store import ledger
from aurra.store.world import Needs
from aurra.types.common import Answer, Request, TransactionRef

A = TypeVar("A", bound=Answer)


def fingerprint(ctx: Context, operation: str, request: Request, *more: str) -> Fingerprint | None:
    """SHA-256 over operation, pinned tenant, canonical request without keys of models, and what else makes the request
    another one; None without an Idempotency-Key.

    Raises BadRequest for a key that is not 1…255 printable ASCII characters.
    """
    key = ctx.idempotency_key
    if key is None:
        return None
    if not (1 <= len(key) <= 255 and key.isascii() and key.isprintable()):
        raise BadRequest("Idempotency-Key must be 1 to 255 printable ASCII characters.", param="Idempotency-Key")
    canonical = msgspec.to_builtins(request)
    for part in (canonical, *canonical.get("memories", [])):
        if part.get("llm"):
            part["llm"] = {**part["llm"], "api_key": None, "key": None}
    # Of a key that is to be stored, whoever calls says in `more` which it is.
    canonical.pop("api_key", None)
    # A key pinned to a tenant writes there: the same request of another key is another request.
    digest = hashlib.sha256(chain.canonical([operation, ctx.caller.tenant_id, canonical, *more])).digest()
    return Fingerprint(_kept_as(ctx, key), digest)


def _kept_as(ctx: Context, key: str) -> str:
    """The key as it is kept. One that is pinned to a tenant has names of its own, apart from all others of the account:
    else it would be told which of them were used. No caller can send the dot."""
    return key if ctx.caller.tenant_id is None else f"{ctx.owner.hex()}·{key}"


@contextlib.contextmanager
def in_flight(ctx: Context, print_: Fingerprint | None) -> Generator[None]:
    """While open, the same key in this process gets 409: its first request is still running."""
    if print_ is None:
        yield
        return
    mark = (ctx.company_id, print_.key)
    if mark in ctx.service.in_flight:
        raise Conflict(
            "The first request with this Idempotency-Key is still running.", code="idempotency_in_flight", retry_after=1
        )
    ctx.service.in_flight.add(mark)
    try:
        yield
    finally:
        ctx.service.in_flight.discard(mark)


async def find_replay(ctx: Context, print_: Fingerprint | None, answer: type[A]) -> A | None:
    """The stored answer to this key, before anything is embedded or asked of a model."""
    if print_ is None:
        return None
    async with ctx.database.read(ctx.company_id) as tx:
        head = await ledger.head(tx, ctx.service.clock())
        stored = await ledger.find_answer(tx, print_.key, head.at)
    return committing.replay(ctx, stored, print_, answer) if stored else None


async def write(ctx: Context, print_: Fingerprint | None, answer: type[A], needs: Needs, plan: Plan) -> A:
    """Commits what `plan` decides, with whatever else waits, and returns its answer, or the stored answer of the key's
    first request. Raises PlanLimitExceeded, and whatever `plan` raises; then nothing is stored."""
    key = print_.key if print_ else None
    return await _committed(ctx, print_, answer, msgspec.structs.replace(needs, key=key), plan=plan)


async def write_alone(ctx: Context, print_: Fingerprint | None, answer: type[A], decide: Decide) -> A:
    """As `write`, for what must read more under the lock than a plan can say beforehand."""
    return await _committed(ctx, print_, answer, Needs(key=print_.key if print_ else None), decide=decide)


async def once_alone(ctx: Context, print_: Fingerprint | None, answer: type[A], decide: Decide) -> A:
    """As `write_alone`, once for the request's idempotency key. Raises Conflict while its first request is running."""
    with in_flight(ctx, print_):
        return await write_alone(ctx, print_, answer, decide)


def beside_the_ledger(ctx: Context, answer: Callable[[TransactionRef], Answer]) -> Decision:
    """What a write decides that changes labels or settings alone: no transaction, and an answer that goes from the
    store with the next erasure, since it may name what is erased."""
    return Decision(verb=ctx.verb("keep", None), changes=None, answer=answer, quotes=None)


async def _committed(
    ctx: Context,
    print_: Fingerprint | None,
    answer: type[A],
    needs: Needs,
    *,
    plan: Plan | None = None,
    decide: Decide | None = None,
) -> A:
    done: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
    write = Write(ctx=ctx, print_=print_, answer=answer, needs=needs, plan=plan, decide=decide, done=done)
    found = await committing.commit(write)
    assert isinstance(found, answer)
    return found


def as_item_error(error: AurraError) -> dict[str, object]:
    """An error as an item of a partial bulk shows it."""
    return {"code": error.code, "status": error.status, "detail": error.detail, "param": error.param}
