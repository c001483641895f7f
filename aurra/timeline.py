"""What closes and what opens: the laws of valid time. Pure; no clock, no I/O.

A *piece* is a version believed now. A lane holds pieces that never overlap. Each verb takes the pieces of a lane (or of
a memory) and returns the pieces afterwards; `difference` turns before and after into versions to close and to open.
Intervals are half-open [start, end); an end of None is open.
"""

import bisect
import datetime as dt
from collections.abc import Container, Iterable, Sequence
from uuid import UUID

import msgspec

Instant = dt.datetime


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """A believed statement: what memory, which content, from when to when, and who took over at its end."""

    version: UUID | None
    """The stored version; None for a piece that this transaction opens."""
    memory: UUID
    lane: UUID
    content: UUID
    start: Instant
    end: Instant | None
    successor: UUID | None = None
    op: str = "assert"


class Closing(msgspec.Struct, frozen=True):
    """A stored version that is believed no longer; `replaced_by` when another memory took all of it."""

    version: UUID
    replaced_by: UUID | None


class Interval(msgspec.Struct, frozen=True):
    """[start, end); an end of None is open."""

    start: Instant
    end: Instant | None


def before(left: Instant | None, right: Instant | None) -> bool:
    """Whether one end comes before another; None is the end of time."""
    return left is not None and (right is None or left < right)


def overlaps(piece: Piece | Interval, other: Interval) -> bool:
    """Whether they share an instant."""
    return before(piece.start, other.end) and before(other.start, piece.end)


def holds(piece: Piece | Interval, at: Instant) -> bool:
    """Whether the instant lies inside."""
    return piece.start <= at and before(at, piece.end)


def covers(piece: Piece | Interval, other: Interval) -> bool:
    """Whether all of `other` lies inside."""
    return piece.start <= other.start and not before(piece.end, other.end)


def claimed(
    pieces: Sequence[Piece], start: Instant, end: Instant | None, early: Container[UUID] = ()
) -> list[Interval]:
    """What an assert takes of its lane.

    With an end: all of [start, end). Open: every instant from `start` on that no memory starting later holds (a memory
    starts with its first believed piece), so that scheduled changes stand; possibly several intervals, at least one.
    `early` are memories that do not stand in the way: they start before all of `pieces`, where these are only a part of
    the lane, or must yield whenever they start.
    """
    if end is not None:
        return [Interval(start, end)]
    if not any(piece.start > start for piece in pieces):
        return [Interval(start, None)]
    first: dict[UUID, Instant] = {}
    for piece in pieces:
        first[piece.memory] = min(piece.start, first.get(piece.memory, piece.start))
    later = sorted(
        (piece for piece in pieces if first[piece.memory] > start and piece.memory not in early),
        key=lambda piece: piece.start,
    )
    free: list[Interval] = []
    at = start
    for piece in later:
        if at < piece.start:
            free.append(Interval(at, piece.start))
        if piece.end is None:
            return free
        at = piece.end
    return [*free, Interval(at, None)]


def assert_into(
    pieces: Sequence[Piece],
    *,
    memory: UUID,
    lane: UUID,
    content: UUID,
    start: Instant,
    end: Instant | None,
    early: Container[UUID] = (),
) -> list[Piece]:
    """The lane after the memory took what it claims; what it displaces is shortened, split, or gone."""
    taken = claimed(pieces, start, end, early)
    kept = [left for piece in pieces for left in _left_over(piece, taken, memory)]
    new = [
        Piece(
            version=None,
            memory=memory,
            lane=lane,
            content=content,
            start=interval.start,
            end=interval.end,
            # A piece that was asserted open and ends, yields to whoever starts there.
            successor=_holder(pieces, interval.end) if end is None else None,
        )
        for interval in taken
    ]
    return sorted([*kept, *new], key=lambda piece: piece.start)


def cut(pieces: Sequence[Piece], boundary: Instant, successor: UUID | None) -> list[Piece]:
    """A memory's pieces after `boundary` ended it: what begins later is gone, what straddles is shortened.

    With a successor (supersede) the last piece left names it; without (end) pieces keep their links.
    """
    op = "end" if successor is None else "supersede"
    left: list[Piece] = []
    for piece in sorted(pieces, key=lambda piece: piece.start):
        if piece.start >= boundary:
            continue
        straddles = before(boundary, piece.end)
        left.append(_changed(piece, end=boundary, successor=piece.successor, op=op) if straddles else piece)
    if successor is not None and left and left[-1].successor != successor:
        left[-1] = _changed(left[-1], end=left[-1].end, successor=successor, op=op)
    return left


def correct_interval(
    pieces: Sequence[Piece], wrong: Piece, start: Instant, end: Instant | None, early: Container[UUID] = ()
) -> list[Piece]:
    """The lane after the interval of one piece was corrected: it takes [start, end) as an assert does.

    Its link is kept while its end stays; one that yields names whom it yields to. Pieces of its own memory never stand
    in its way: those that it meets or touches become one with it.
    """
    others = [piece for piece in pieces if piece.memory != wrong.memory]
    taken = claimed(others, start, end, early)
    kept = [left for piece in others for left in _left_over(piece, taken, wrong.memory)]
    own = [piece for piece in pieces if piece.memory == wrong.memory and piece is not wrong]
    # What ends although it was claimed open, yields to whoever starts there.
    yields: dict[Instant | None, UUID | None] = {
        interval.end: _holder(others, interval.end) for interval in taken if end is None and interval.end
    }
    for interval in taken:
        successor = yields.get(interval.end) or (wrong.successor if interval.end == wrong.end else None)
        same = (interval.start, interval.end, successor) == (wrong.start, wrong.end, wrong.successor)
        new = _changed(wrong, start=interval.start, end=interval.end, successor=successor, op="correct")
        own.append(wrong if same else new)
    joined = [_linked(piece, yields[piece.end]) if piece.end in yields else piece for piece in _joined(own)]
    return sorted([*kept, *joined], key=lambda piece: piece.start)


def retell(pieces: Sequence[Piece], memory: UUID, content: UUID) -> list[Piece]:
    """The lane after a memory's content was corrected: its pieces say something else, over the same intervals."""
    return [
        msgspec.structs.replace(piece, version=None, content=content, op="correct") if piece.memory == memory else piece
        for piece in pieces
    ]


def difference(
    stored: Iterable[Piece], after: Iterable[Piece], successor: UUID | None = None
) -> tuple[list[Closing], list[Piece]]:
    """Which stored versions close and which pieces open, to get from one state to the other.

    A version that its memory lost whole is replaced by the memory that holds its start now; else by `successor`.
    """
    remaining = sorted(after, key=lambda piece: piece.start)
    kept = {piece.version for piece in remaining if piece.version is not None}
    opened = [piece for piece in remaining if piece.version is None]
    starts = [piece.start for piece in remaining]
    closed: list[Closing] = []
    for piece in stored:
        if piece.version is None or piece.version in kept:
            continue
        interval = Interval(piece.start, piece.end)
        # Pieces of a lane do not overlap: those that meet the interval are neighbours in their order.
        first = max(0, bisect.bisect_right(starts, piece.start) - 1)
        last = len(starts) if piece.end is None else bisect.bisect_left(starts, piece.end)
        meeting = [new for new in remaining[first:last] if overlaps(new, interval)]
        whole = all(new.memory != piece.memory for new in meeting)
        taker = meeting[0].memory if meeting else successor
        closed.append(Closing(piece.version, taker if whole else None))
    return closed, opened


def _joined(pieces: Sequence[Piece]) -> list[Piece]:
    """Pieces of one memory, those that meet or touch made one: with the later end, and the link that this end has."""
    joined: list[Piece] = []
    for piece in sorted(pieces, key=lambda piece: piece.start):
        last = joined[-1] if joined else None
        if last is None or before(last.end, piece.start):
            joined.append(piece)
        elif before(last.end, piece.end):
            joined[-1] = _changed(last, end=piece.end, successor=piece.successor, op="correct")
        elif last.end == piece.end and last.successor is None:
            joined[-1] = _linked(last, piece.successor)
    return joined


def _linked(piece: Piece, successor: UUID | None) -> Piece:
    """The piece with this link; itself where it has it."""
    return piece if piece.successor == successor else _changed(piece, end=piece.end, successor=successor, op="correct")


def _left_over(piece: Piece, taken: Sequence[Interval], memory: UUID) -> list[Piece]:
    """What stays of a piece: the part before names the memory that took over, the part after keeps its link."""
    # Intervals that are taken do not overlap: those that meet the piece are neighbours in their order.
    first = max(0, bisect.bisect_right(taken, piece.start, key=_start) - 1)
    last = len(taken) if piece.end is None else bisect.bisect_left(taken, piece.end, key=_start)
    hits = [interval for interval in taken[first:last] if overlaps(piece, interval)]
    if not hits:
        return [piece]
    left: list[Piece] = []
    if piece.start < hits[0].start:
        left.append(_changed(piece, end=hits[0].start, successor=memory, op="leftover"))
    end = hits[-1].end
    if end is not None and before(end, piece.end):
        left.append(_changed(piece, start=end, end=piece.end, successor=piece.successor, op="leftover"))
    return left


def _changed(
    piece: Piece, *, end: Instant | None, successor: UUID | None, op: str, start: Instant | None = None
) -> Piece:
    return Piece(
        version=None,
        memory=piece.memory,
        lane=piece.lane,
        content=piece.content,
        start=start or piece.start,
        end=end,
        successor=successor,
        op=op,
    )


def _holder(pieces: Sequence[Piece], at: Instant | None) -> UUID | None:
    """Who holds the instant, if anybody; the pieces of a lane, in valid order."""
    if at is None or not (index := bisect.bisect_right(pieces, at, key=_start)):
        return None
    last = pieces[index - 1]
    return last.memory if holds(last, at) else None


def _start(piece: Piece | Interval) -> Instant:
    return piece.start
