"""Verbs on a memory that is there: supersede, end, retract."""

import datetime as dt
from collections.abc import Sequence
from uuid import UUID

from aurra import instants, timeline
from aurra.changes import Changes, Head, Verb, closed_rows, opened_rows
from aurra.context import Context
from aurra.errors import BadRequest, Conflict
from aurra.ids import Ids
from aurra.ops import checks, views, writing
from aurra.ops.registry import operation
from aurra.ops.writing import Decision
from aurra.store import memories
from aurra.store.memories import Identity
from aurra.store.pool import Transaction
from aurra.timeline import Piece
from aurra.types.verbs import Retract, Retracted, Supersede, Superseded

_LONGEST_CHAIN = 10_000


@operation(
    "memories.supersede",
    "POST",
    "/memories/{memory_id}/supersede",
    scope="memories:write",
    ignores_unknown=True,
    aliases=("/agent/memories/{memory_id}/supersede",),
    is_idempotent=True,
)
async def supersede(ctx: Context, request: Supersede) -> Superseded:
    """Ends a memory at a boundary: the world changed. With `superseded_by`, that memory took over."""
    memory_id = checks.parse_id(request.memory_id)
    if request.superseded_by is None and request.valid_to is None:
        raise BadRequest("Send `superseded_by`, `valid_to`, or both.", param="superseded_by")
    successor = _successor_id(request.superseded_by, memory_id)
    given = instants.parse_optional(request.valid_to, "valid_to")

    async def decide(tx: Transaction, head: Head) -> Decision:
        identity = await checks.get_identity(ctx, tx, memory_id)
        pieces = await _believed(tx, identity)
        replacement = await _replacement(ctx, tx, identity, successor)
        boundary = _boundary(pieces, replacement, given, head.at)
        if successor is None:
            _require_longer(pieces, boundary)
        else:
            await _require_free(tx, pieces, memory_id, successor)
        left = timeline.cut(pieces, boundary, successor)
        ended = (left[-1].end if left else None) or boundary
        changes = _changes(head, identity, pieces, left, successor)
        return Decision(
            verb=_verb(ctx, "end" if successor is None else "supersede", request.reason),
            changes=changes,
            answer=lambda transaction: Superseded(
                status="superseded",
                memory_id=str(memory_id),
                superseded_by=request.superseded_by and str(successor),
                valid_to=instants.show(ended),
                transaction=transaction,
                receipt=views.receipt(changes, pieces, dry_run=request.dry_run),
                dry_run=request.dry_run,
            ),
            dry_run=request.dry_run,
        )

    print_ = writing.fingerprint(ctx, "memories.supersede", request)
    with writing.in_flight(ctx, print_):
        return await writing.write(ctx, print_, Superseded, decide)


@operation(
    "memories.retract",
    "DELETE",
    "/memories/{memory_id}",
    scope="memories:write",
    ignores_unknown=True,
    aliases=("/agent/memories/{memory_id}",),
    is_idempotent=True,
)
async def retract(ctx: Context, request: Retract) -> Retracted:
    """Stops believing a memory: the record was wrong. It stays visible at earlier transactions."""
    memory_id = checks.parse_id(request.memory_id)

    async def decide(tx: Transaction, head: Head) -> Decision:
        identity = await checks.get_identity(ctx, tx, memory_id)
        pieces = await _believed(tx, identity)
        changes = _changes(head, identity, pieces, [], None)
        return Decision(
            verb=_verb(ctx, "retract", request.reason),
            changes=changes,
            answer=lambda transaction: Retracted(
                status="retracted",
                memory_id=str(memory_id),
                transaction=transaction,
                receipt=views.receipt(changes, pieces, dry_run=request.dry_run),
                dry_run=request.dry_run,
            ),
            dry_run=request.dry_run,
        )

    print_ = writing.fingerprint(ctx, "memories.retract", request)
    with writing.in_flight(ctx, print_):
        return await writing.write(ctx, print_, Retracted, decide)


def _verb(ctx: Context, verb: str, reason: str | None) -> Verb:
    return Verb(verb=verb, actor=f"key {ctx.caller.key_id}", request_id=ctx.request_id, reason=reason)


def _successor_id(text: str | None, memory_id: UUID) -> UUID | None:
    if text is None:
        return None
    successor = checks.parse_uuid(text, "superseded_by")
    if successor == memory_id:
        raise BadRequest("A memory cannot supersede itself.", param="superseded_by")
    return successor


async def _believed(tx: Transaction, identity: Identity) -> list[Piece]:
    """All pieces of the memory. Raises Conflict (not_believed) when it has none."""
    pieces = [row.piece() for row in await memories.open_of_memory(tx, identity.id)]
    if not pieces:
        raise Conflict(
            f"Nothing of this memory is believed: transaction {identity.last_closed} closed it.", code="not_believed"
        )
    return pieces


async def _replacement(ctx: Context, tx: Transaction, old: Identity, successor: UUID | None) -> list[Piece]:
    """The pieces of the memory that takes over; of the same tenant, and believed."""
    if successor is None:
        return []
    identity = await checks.get_identity(ctx, tx, successor)
    if identity.tenant_id != old.tenant_id:
        raise BadRequest("A memory can only be superseded by one of its own tenant.", param="superseded_by")
    return await _believed(tx, identity)


def _boundary(
    pieces: Sequence[Piece], replacement: Sequence[Piece], given: dt.datetime | None, now: dt.datetime
) -> dt.datetime:
    """`valid_to` if given; else the replacement's start if later than the old one's; else now."""
    first = pieces[0].start
    if given is not None:
        if given <= first:
            raise BadRequest(
                f"`valid_to` must be later than the memory's start, {instants.show(first)}; "
                f"to take the memory back altogether, retract it: DELETE /memories/{pieces[0].memory}.",
                code="empty_interval",
                param="valid_to",
            )
        return given
    if replacement and replacement[0].start > first:
        return replacement[0].start
    return now


def _require_longer(pieces: Sequence[Piece], boundary: dt.datetime) -> None:
    if not any(timeline.before(boundary, piece.end) for piece in pieces):
        ended = instants.show_optional(pieces[-1].end)
        raise Conflict(f"The memory ends at {ended} already.", code="already_ended", param="valid_to")


async def _require_free(tx: Transaction, pieces: Sequence[Piece], memory_id: UUID, successor: UUID) -> None:
    """Returns when the last piece has no believed successor, and the new one does not lead back here."""
    current = pieces[-1].successor
    if current is not None and await memories.open_of_memory(tx, current):
        raise Conflict(
            f"The memory is superseded by {current} already; supersede that one.",
            code="already_superseded",
            param="superseded_by",
        )
    at: UUID | None = successor
    for _ in range(_LONGEST_CHAIN):
        following = await memories.open_of_memory(tx, at) if at else []
        at = following[-1].superseded_by if following else None
        if at is None:
            return
        if at == memory_id:
            raise BadRequest(
                "That would be a circle: the memory itself took over from its successor.", param="superseded_by"
            )


def _changes(
    head: Head, identity: Identity, before: Sequence[Piece], after: Sequence[Piece], successor: UUID | None
) -> Changes:
    closings, opened = timeline.difference(before, after, successor)
    ids = Ids(head.at)
    return Changes(
        closed=closed_rows(closings, head),
        opened=opened_rows(opened, {identity.id: identity.tenant_id}, head, [ids.new() for _ in opened]),
    )
