"""Verbs on a memory that is there: supersede and end, correct, retract.

Each is refused (409 lower_trust) to a key of lower trust than the one that wrote the memory.
"""

from collections.abc import Callable
from uuid import UUID

from msgspec import UNSET

from aurra import instants
from aurra.changes import Changes, Head
from aurra.context import Context
from aurra.errors import BadRequest
from aurra.ops import checks, embedding, views, writing
from aurra.ops.committing import Decision
from aurra.ops.registry import operation
from aurra.planning import changing
from aurra.planning.changing import Retold
from aurra.planning.world import World
from aurra.store import memories
from aurra.store.world import Needs
from aurra.types.common import TransactionRef
from aurra.types.receipts import Receipt
from aurra.types.verbs import Correct, Corrected, Delete, Retract, Retracted, Supersede, Superseded


@operation(
    "memories.supersede",
    "POST",
    "/memories/{memory_id}/supersede",
    scope="memories:write",
    ignores_unknown=True,
    aliases=("/agent/memories/{memory_id}/supersede",),
    is_idempotent=True,
    example={"valid_to": "2026-05-01"},
)
async def supersede(ctx: Context, request: Supersede) -> Superseded:
    """Ends a memory at a boundary: the world changed. With `superseded_by`, that memory took over."""
    memory_id = checks.parse_id(request.memory_id)
    if request.superseded_by is None and request.valid_to is None:
        raise BadRequest("Send `superseded_by`, `valid_to`, or both.", param="superseded_by")
    successor = _successor_id(request.superseded_by, memory_id)
    given = instants.parse_optional(request.valid_to, "valid_to")

    def plan(world: World, head: Head) -> Decision:
        if successor is not None:
            known = changing.memory_of(world, memory_id, ctx.sees, trust=ctx.caller.trust)
            by = changing.memory_of(world, successor, ctx.sees)
            changes, ended = changing.supersede(world, head, known, by, given)
        else:
            assert given is not None
            known = changing.memory_of(world, memory_id, ctx.sees, trust=ctx.caller.trust)
            changes, ended = changing.end(world, head, known, given)
        return _decision(
            ctx,
            request,
            "end" if successor is None else "supersede",
            memory_id,
            changes,
            lambda transaction, receipt: Superseded(
                status="superseded",
                memory_id=str(memory_id),
                superseded_by=None if successor is None else str(successor),
                valid_to=instants.show(ended),
                transaction=transaction,
                receipt=receipt,
                dry_run=request.dry_run,
            ),
        )

    print_ = writing.fingerprint(ctx, "memories.supersede", request)
    with writing.in_flight(ctx, print_):
        needs = Needs(memories=frozenset({memory_id} if successor is None else {memory_id, successor}))
        return await writing.write(ctx, print_, Superseded, needs, plan)


@operation(
    "memories.correct",
    "POST",
    "/memories/{memory_id}/correct",
    scope="memories:write",
    aliases=("/agent/memories/{memory_id}/correct",),
    is_idempotent=True,
    example={"reason": "misheard", "content": "Kim lives in Bergen"},
)
async def correct(ctx: Context, request: Correct) -> Corrected:
    """Puts the record right: what a memory says, or when it holds, was wrong. Its id stays, and what was believed.

    An interval takes its place in the slot as a new memory's does. With several pieces, `version` names the one whose
    interval is wrong.
    """
    memory_id = checks.parse_id(request.memory_id)
    valid_from = instants.parse_optional(request.valid_from, "valid_from")
    valid_to = UNSET if request.valid_to is UNSET else instants.parse_optional(request.valid_to, "valid_to")
    version = None if request.version is None else checks.parse_uuid(request.version, "version")
    if request.content is not None and not request.content.strip():
        raise BadRequest("`content` must not be empty; to take a memory back, retract it.", param="content")
    print_ = writing.fingerprint(ctx, "memories.correct", request)
    with writing.in_flight(ctx, print_):
        if (stored := await writing.find_replay(ctx, print_, Corrected)) is not None:
            return stored
        retold = None if request.content is None else await _retold(ctx, memory_id, request.content)

        def plan(world: World, head: Head) -> Decision:
            known = changing.memory_of(world, memory_id, ctx.sees, trust=ctx.caller.trust)
            changes = changing.correct(
                world,
                head,
                known,
                retold=retold,
                valid_from=valid_from,
                valid_to=valid_to,
                version=version,
                trust=ctx.caller.trust,
            )
            return _decision(
                ctx,
                request,
                "correct",
                memory_id,
                changes,
                lambda transaction, receipt: Corrected(
                    status="unchanged" if changes.is_empty else "corrected",
                    memory_id=str(memory_id),
                    transaction=transaction,
                    receipt=receipt,
                    dry_run=request.dry_run,
                ),
            )

        return await writing.write(ctx, print_, Corrected, Needs(memories=frozenset({memory_id})), plan)


@operation(
    "memories.retract",
    "POST",
    "/memories/{memory_id}/retract",
    scope="memories:write",
    aliases=("/agent/memories/{memory_id}/retract",),
    is_idempotent=True,
    example={"reason": "it was somebody else"},
)
async def retract(ctx: Context, request: Retract) -> Retracted:
    """Stops believing a memory: the record was wrong. It stays visible at earlier transactions."""
    return await _retract(ctx, request, "memories.retract")


@operation(
    "memories.delete",
    "DELETE",
    "/memories/{memory_id}",
    scope="memories:write",
    ignores_unknown=True,
    aliases=("/agent/memories/{memory_id}",),
    is_idempotent=True,
)
async def delete(ctx: Context, request: Delete) -> Retracted:
    """Retracts a memory, as POST …/retract does. What must go for good is erased."""
    return await _retract(ctx, request, "memories.delete")


async def _retract(ctx: Context, request: Retract | Delete, name: str) -> Retracted:
    memory_id = checks.parse_id(request.memory_id)

    def plan(world: World, head: Head) -> Decision:
        known = changing.memory_of(world, memory_id, ctx.sees, trust=ctx.caller.trust)
        changes = changing.retract(world, head, known)
        return _decision(
            ctx,
            request,
            "retract",
            memory_id,
            changes,
            lambda transaction, receipt: Retracted(
                status="retracted",
                memory_id=str(memory_id),
                transaction=transaction,
                receipt=receipt,
                dry_run=request.dry_run,
            ),
        )

    print_ = writing.fingerprint(ctx, name, request)
    with writing.in_flight(ctx, print_):
        return await writing.write(ctx, print_, Retracted, Needs(memories=frozenset({memory_id})), plan)


def _decision(
    ctx: Context,
    request: Supersede | Correct | Retract | Delete,
    verb: str,
    memory_id: UUID,
    changes: Changes,
    answer: Callable[[TransactionRef, Receipt], Superseded | Corrected | Retracted],
) -> Decision:
    receipt = views.receipt(changes, dry_run=request.dry_run)
    return Decision(
        verb=ctx.verb(verb, request.reason),
        changes=changes,
        answer=lambda transaction: answer(transaction, receipt),
        dry_run=request.dry_run,
        quotes=[memory_id],
    )


def _successor_id(text: str | None, memory_id: UUID) -> UUID | None:
    if text is None:
        return None
    successor = checks.parse_uuid(text, "superseded_by")
    if successor == memory_id:
        raise BadRequest("A memory cannot supersede itself.", param="superseded_by")
    return successor


async def _retold(ctx: Context, memory_id: UUID, text: str) -> Retold:
    """The new content with its vector. Whom a memory is about, and who said it, never changes."""
    async with ctx.database.read(ctx.company_id) as tx:
        await checks.get_identity(ctx, tx, memory_id)
        told = await memories.told_by(tx, memory_id)
    who = told.speaker or told.subject
    (embedded,) = await embedding.embed(ctx.service.embedder, [(who, text)])
    return Retold(text=text, who=who, said_at=told.said_at, embedded=embedded)
