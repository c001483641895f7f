"""Supersede, end, correct, retract: what each does to a memory that is there. Pure.

Each takes the world and the ledger's head, changes the world, and returns the rows. What cannot be raises the
contract's error; then the caller drops the world that was changed.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from uuid import UUID

import msgspec

from aurra import instants, timeline
from aurra.changes import Changes, Embedded, Head, vector_rows
from aurra.drafts import indexed_as
from aurra.errors import BadRequest, Conflict, NotFound
from aurra.ids import Ids
from aurra.planning import rows
from aurra.planning.world import Known, World
from aurra.timeline import Piece

Sees = Callable[[str | bytes], bool]
"""Whether the caller's key sees a tenant, by its name or by its digest."""


class Retold(msgspec.Struct, frozen=True, kw_only=True):
    """What a memory is to say instead, and what belongs to how it is found."""

    text: str
    who: str | None
    """Its speaker or subject."""
    said_at: dt.datetime | None
    embedded: Embedded | None


def memory_of(world: World, memory_id: UUID, sees: Sees, *, believed: bool = True, trust: int | None = None) -> Known:
    """The memory, if the caller's key sees it. Raises NotFound (memory_erased where it was), and Conflict: not_believed
    for one without a piece, lower_trust where a key of that trust would change what one of higher trust wrote."""
    known = world.memories.get(memory_id)
    if known is None or not sees(known.tenant_id):
        erased = world.erased.get(memory_id)
        if erased and sees(erased[1]):
            raise erased_by(erased[0])
        raise NotFound("There is no such memory.")
    if believed and not world.pieces_of(memory_id):
        raise Conflict(
            f"Nothing of this memory is believed: transaction {known.last_closed} closed it.", code="not_believed"
        )
    if trust is not None and known.trust > trust:
        raise lower_trust(memory_id)
    return known


def lower_trust(memory: UUID) -> Conflict:
    """The 409 of a change to what a key of higher trust wrote."""
    return Conflict(f"A key of higher trust wrote memory {memory}.", code="lower_trust")


def erased_by(number: int) -> NotFound:
    """The 404 of a memory that was erased for good."""
    return NotFound(f"This memory was erased for good, by transaction {number}.", code="memory_erased")


def retract(world: World, head: Head, known: Known) -> Changes:
    """No piece of the memory is believed; holes are not refilled."""
    before = world.lanes[known.lane]
    world.place(known.lane, [piece for piece in before if piece.memory != known.id])
    return world.settle(head, Ids(head.at), {known.lane: before}, Changes())


def end(world: World, head: Head, known: Known, valid_to: dt.datetime) -> tuple[Changes, dt.datetime]:
    """Nothing of the memory holds from `valid_to` on. Raises Conflict (already_ended) where nothing reached past it."""
    pieces = world.pieces_of(known.id)
    boundary = _given(pieces, valid_to)
    if not any(timeline.before(boundary, piece.end) for piece in pieces):
        ended = instants.show_optional(pieces[-1].end)
        raise Conflict(f"The memory ends at {ended} already.", code="already_ended", param="valid_to")
    return _cut(world, head, known, boundary, None)


def supersede(
    world: World, head: Head, known: Known, by: Known, valid_to: dt.datetime | None
) -> tuple[Changes, dt.datetime]:
    """The memory ends where `by` takes over: at `valid_to` if given; else at its start, if later than the memory's own;
    else now. Returns the rows, and where the memory ends. Raises Conflict (already_superseded), BadRequest for a circle
    and another tenant."""
    pieces, replacement = world.pieces_of(known.id), world.pieces_of(by.id)
    if by.tenant_id != known.tenant_id:
        raise BadRequest("A memory can only be superseded by one of its own tenant.", param="superseded_by")
    require_free(world, known.id)
    _require_no_circle(world, known.id, by.id)
    if valid_to is not None:
        boundary = _given(pieces, valid_to)
    else:
        boundary = replacement[0].start if replacement[0].start > pieces[0].start else head.at
    return _cut(world, head, known, boundary, by.id)


def correct(
    world: World,
    head: Head,
    known: Known,
    *,
    retold: Retold | None,
    valid_from: dt.datetime | None,
    valid_to: dt.datetime | msgspec.UnsetType | None,
    version: UUID | None,
    trust: int,
) -> Changes:
    """The memory says something else over all its pieces, holds over another interval, or both; what is absent stays.

    An interval displaces others as an assert does. Returns no rows where nothing changes. Raises Conflict:
    several_pieces when it is not said which piece's interval is wrong, lower_trust where what it displaces was written
    by a key of a higher trust than this.
    """
    before = world.lanes[known.lane]
    after, changes, ids = list(before), Changes(), Ids(head.at)
    if valid_from is not None or valid_to is not msgspec.UNSET:
        wrong = _piece(world.pieces_of(known.id), version)
        start = valid_from or wrong.start
        stop = wrong.end if valid_to is msgspec.UNSET else valid_to
        if stop is not None and stop <= start:
            raise BadRequest(
                f"`valid_to` must be later than `valid_from`; they would be {instants.show(start)} and "
                f"{instants.show(stop)}.",
                code="empty_interval",
                param="valid_from" if valid_to is msgspec.UNSET else "valid_to",
            )
        # As for an assert: what a key of lower trust schedules does not end what one of higher trust says.
        yielding = {piece.memory for piece in before if world.trust_of(piece.memory) < known.trust}
        after = timeline.correct_interval(after, wrong, start, stop, yielding)
        require_trust(world, before, after, known.id, trust)
    if retold and retold.text != known.text:
        day = retold.said_at or world.pieces_of(known.id)[0].start
        content = rows.retold(
            head, ids.new(), known, retold.text, indexed_as(day, retold.who, retold.text, known.topic)
        )
        changes.contents.append(content)
        if retold.embedded is not None:
            changes.vectors += vector_rows(content.id, retold.embedded, head.tx, content.salt)
        world.salts[content.id] = content.salt
        after = timeline.retell(after, known.id, content.id)
    world.place(known.lane, after)
    world.settle(head, ids, {known.lane: before}, changes)
    if retold and changes.contents:
        world.retell(known, retold.text)
    return changes


def _cut(
    world: World, head: Head, known: Known, boundary: dt.datetime, successor: UUID | None
) -> tuple[Changes, dt.datetime]:
    before = world.lanes[known.lane]
    left = cut(world, known.id, boundary, successor)
    changes = world.settle(head, Ids(head.at), {known.lane: before}, Changes(), successor)
    return changes, (left[-1].end if left else None) or boundary


def require_trust(world: World, before: Sequence[Piece], after: Sequence[Piece], memory: UUID, trust: int) -> None:
    """Returns when all that other memories lose was written by keys of at most that trust."""
    kept = {id(piece) for piece in after}
    for piece in before:
        if piece.memory != memory and id(piece) not in kept and world.trust_of(piece.memory) > trust:
            raise lower_trust(piece.memory)


def cut(world: World, memory: UUID, boundary: dt.datetime, successor: UUID | None) -> list[Piece]:
    """The memory holds nothing from the boundary on; returns what is left of it. Not yet settled."""
    lane = world.lane_of[memory]
    left = timeline.cut(world.pieces_of(memory), boundary, successor)
    world.place(lane, [*(piece for piece in world.lanes[lane] if piece.memory != memory), *left])
    return left


def _given(pieces: Sequence[Piece], valid_to: dt.datetime) -> dt.datetime:
    """The boundary that was asked for. Raises BadRequest when nothing would be left of the memory."""
    first = pieces[0].start
    if valid_to <= first:
        raise BadRequest(
            f"`valid_to` must be later than the memory's start, {instants.show(first)}; "
            f"to take the memory back altogether, retract it: POST /memories/{pieces[0].memory}/retract.",
            code="empty_interval",
            param="valid_to",
        )
    return valid_to


def require_free(world: World, memory: UUID) -> None:
    """Returns when the memory has no successor that is itself still believed."""
    successor = world.pieces_of(memory)[-1].successor
    if successor is not None and world.pieces_of(successor):
        raise Conflict(
            f"The memory is superseded by {successor} already; supersede that one.",
            code="already_superseded",
            param="superseded_by",
        )


def _require_no_circle(world: World, memory: UUID, successor: UUID) -> None:
    """Returns when the links from the successor do not lead back to the memory."""
    met = {successor}
    at: UUID | None = successor
    while at is not None:
        pieces = world.pieces_of(at)
        at = pieces[-1].successor if pieces else None
        if at == memory:
            raise BadRequest(
                "That would be a circle: the memory itself took over from its successor.", param="superseded_by"
            )
        if at in met:
            return
        if at is not None:
            met.add(at)


def _piece(pieces: Sequence[Piece], version: UUID | None) -> Piece:
    """The piece whose interval is wrong."""
    if version is None and len(pieces) == 1:
        return pieces[0]
    for piece in pieces:
        if piece.version == version:
            return piece
    why = "`version` names none of the memory's pieces"
    if version is None:
        why = f"The memory has {len(pieces)} pieces: name in `version` the one whose interval is wrong"
    raise Conflict(
        f"{why}.",
        code="several_pieces",
        param="version",
        extra={"versions": [str(piece.version) for piece in pieces]},
    )
