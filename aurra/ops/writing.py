"""The one way to write: idempotency, the ledger lock, the plan, the rows, the answer kept, then COMMIT.

Everything outside the database (embedding, models) has happened before `write` is called.
"""

import asyncio
import contextlib
import hashlib
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import TypeVar

import msgspec

from aurra import chain, instants, plans
from aurra.changes import Changes, Head, Verb, seal
from aurra.context import Context
from aurra.errors import AurraError, BadRequest, Conflict, PlanLimitExceeded, Unavailable, Unprocessable
from aurra.store import ledger
from aurra.store.pool import ConstraintBroken, Transaction
from aurra.types.accounts import PlanStatus
from aurra.types.common import Answer, Request, TransactionRef

A = TypeVar("A", bound=Answer)
_TRIES = 5
_WAIT_SECONDS = 10


class Decision(msgspec.Struct, kw_only=True):
    """What a verb decided under the lock: the rows (None or empty changes nothing), and how to answer."""

    verb: Verb
    changes: Changes | None
    answer: Callable[[TransactionRef], Answer]
    dry_run: bool = False


Decide = Callable[[Transaction, Head], Awaitable[Decision]]


class Fingerprint(msgspec.Struct, frozen=True):
    """An idempotency key and the request it came with."""

    key: str
    digest: bytes


def fingerprint(ctx: Context, operation: str, request: Request) -> Fingerprint | None:
    """SHA-256 over operation, pinned tenant and canonical request, without models' keys; None without an
    Idempotency-Key.

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
    # A key pinned to a tenant writes there: the same request of another key is another request.
    digest = hashlib.sha256(chain.canonical([operation, ctx.caller.tenant_id, canonical])).digest()
    return Fingerprint(key, digest)


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
        return await _stored(ctx, tx, head, print_, answer)


async def write(ctx: Context, print_: Fingerprint | None, answer: type[A], decide: Decide) -> A:
    """Commits what `decide` decides and returns its answer, or the stored answer of the key's first request.

    A race lost to another process is planned again. Raises PlanLimitExceeded, and whatever `decide` raises; then
    nothing is stored.
    """
    for attempt in range(1, _TRIES + 1):
        try:
            async with _turn(ctx), ctx.database.begin(ctx.company_id) as tx:
                return await _commit(ctx, tx, print_, answer, decide)
        except ConstraintBroken as broken:
            if attempt == _TRIES:
                raise Unavailable(
                    f"The write met the rule {broken.constraint} {_TRIES} times; nothing was stored."
                ) from broken
    raise AssertionError("unreachable")


@contextlib.asynccontextmanager
async def _turn(ctx: Context) -> AsyncGenerator[None]:
    """This process writes to one account in one transaction at a time. Raises Unavailable after ten seconds' wait."""
    lock = ctx.service.writers.setdefault(ctx.company_id, asyncio.Lock())
    try:
        async with asyncio.timeout(_WAIT_SECONDS):
            await lock.acquire()
    except TimeoutError:
        raise Unavailable("Too many writes of this account are waiting; nothing was stored.") from None
    try:
        yield
    finally:
        lock.release()


async def _commit(ctx: Context, tx: Transaction, print_: Fingerprint | None, answer: type[A], decide: Decide) -> A:
    head = await ledger.lock(tx, ctx.service.clock())
    if print_ and (stored := await _stored(ctx, tx, head, print_, answer)) is not None:
        return stored
    decision = await decide(tx, head)
    changes = decision.changes
    if decision.dry_run or changes is None or changes.is_empty:
        ctx.plan_warning = plans.warning(_admit(head, changes))
        done = decision.answer(TransactionRef(id=head.last_tx, at=instants.show(head.last_at)))
    else:
        await _apply(ctx, tx, head, decision.verb, changes)
        done = decision.answer(TransactionRef(id=head.tx, at=instants.show(head.at)))
    if ctx.plan_warning:
        done.warnings.append(ctx.plan_warning)
    if print_ and not decision.dry_run:
        await ledger.store_answer(tx, print_.key, print_.digest, msgspec.json.encode(done), head.at)
    return msgspec.convert(done, answer) if not isinstance(done, answer) else done


async def _apply(ctx: Context, tx: Transaction, head: Head, verb: Verb, changes: Changes) -> None:
    verdict = _admit(head, changes)
    ctx.plan_warning = plans.warning(verdict)
    entry = seal(ctx.company_id, head, verb, changes, secrets.token_bytes(32) if verb.reason else None)
    model = ctx.service.embedder.name if ctx.service.embedder else ""
    await ledger.apply(tx, head, entry, changes, verdict.meter, model)


def _admit(head: Head, changes: Changes | None) -> plans.Allowed | plans.InGrace:
    """The plan's verdict on what would be written. Raises PlanLimitExceeded."""
    cost = len(changes.memories) if changes else 0
    match plans.admit(head.writes_limit, head.meter, cost, head.at):
        case plans.Blocked():
            raise plan_exceeded(head, cost)
        case verdict:
            return verdict


def plan_status(head: Head) -> PlanStatus:
    """The plan and its meter at the head's instant."""
    state = plans.state(head.writes_limit, head.meter, head.at)
    return PlanStatus(
        plan_tier=head.plan,
        writes_used=state.meter.writes_used,
        writes_limit=state.writes_limit,
        writes_remaining=state.writes_remaining,
        in_grace_period=state.in_grace_period,
        blocked=state.blocked,
        period_start=instants.show(state.meter.period_start),
        period_end=instants.show(state.period_end),
        grace_ends_at=instants.show_optional(state.grace_ends_at),
    )


def plan_exceeded(head: Head, cost: int) -> PlanLimitExceeded:
    """The 402, with the fields of /plan/status."""
    fields = msgspec.to_builtins(plan_status(head))
    del fields["warnings"]
    state = plans.state(head.writes_limit, head.meter, head.at)
    left = 0 if state.blocked else state.hard_limit - state.meter.writes_used
    message = (
        f"The plan {head.plan} allows {head.writes_limit} writes a month; this request makes {cost}, and {left} are "
        f"left. Reads still work; the next period begins at {fields['period_end']}."
    )
    return PlanLimitExceeded({"error": "plan_limit_exceeded", "message": message, **fields})


async def _stored(ctx: Context, tx: Transaction, head: Head, print_: Fingerprint, answer: type[A]) -> A | None:
    found = await ledger.find_answer(tx, print_.key, head.at)
    if found is None:
        return None
    if found.fingerprint != print_.digest:
        raise Unprocessable(
            "This Idempotency-Key was used with another request.", code="idempotency_mismatch", param="Idempotency-Key"
        )
    ctx.replayed = True
    return msgspec.json.decode(found.answer, type=answer)


def as_item_error(error: AurraError) -> dict[str, object]:
    """An error as an item of a partial bulk shows it."""
    return {"code": error.code, "status": error.status, "detail": error.detail, "param": error.param}
