"""The net difference between two transactions: where another belief holds afterwards, and which transaction made it so.
Pure; no clock, no I/O.

Only versions opened or closed in between matter: elsewhere the same version is believed before and after. They are
played in order on a line of valid time, one line a lane. A *stretch* of it knows what was believed at first, what is
believed now, and the transaction that last changed that; a piece that is opened again beside a cut changes nothing.
"""

import bisect
import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Literal
from uuid import UUID

import msgspec

from aurra.timeline import Instant

Kind = Literal["added", "superseded", "ended", "corrected", "retracted", "restored", "erased"]


class Rectangle(msgspec.Struct, frozen=True):
    """A version as known at the later transaction; an `end` of None is open, a `closed_by` of None still believed."""

    version: UUID
    memory: UUID
    lane: UUID
    content: UUID
    start: Instant
    end: Instant | None
    opened_by: int
    closed_by: int | None
    successor: UUID | None
    replaced_by: UUID | None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Over all of [start, end) the lane held `before`, and now holds `after`; None is nothing."""

    start: Instant
    end: Instant | None
    before: Rectangle | None
    after: Rectangle | None
    transaction: int
    """The newest that changed what is believed somewhere in the interval."""
    successor: UUID | None
    """The memory that took over from the one before."""

    @property
    def memory(self) -> UUID:
        """The memory that is there now, else the one that was."""
        held = self.after or self.before
        assert held is not None
        return held.memory


class _Stretch(msgspec.Struct):
    """From `start` to where the next begins."""

    start: Instant
    before: Rectangle | None = None
    now: Rectangle | None = None
    since: int = 0
    closed: Rectangle | None = None
    """What was closed here last."""
    closed_since: int = 0
    """Since when that was believed here."""


def between(rectangles: Iterable[Rectangle], first: int, last: int) -> list[Change]:
    """The changes over (first, last], lane by lane in valid order; `rectangles` are all that it opened or closed."""
    lanes: dict[UUID, list[Rectangle]] = {}
    for rectangle in rectangles:
        lanes.setdefault(rectangle.lane, []).append(rectangle)
    return [change for held in lanes.values() for change in _of_lane(held, first, last)]


def kind(change: Change, verb: str) -> Kind:
    """What happened, from the verb of its transaction."""
    is_displaced = change.before is not None and (change.after is None or change.after.memory != change.before.memory)
    match verb:
        case "assert":
            return "superseded" if is_displaced else "added"
        case "correct":
            return "superseded" if is_displaced and change.after else "corrected"
        case "supersede":
            return "superseded"
        case "end":
            return "ended"
        case "restore":
            return "restored"
        case _:
            return "retracted"


def holds(change: Change, at: Instant) -> bool:
    """Whether the instant lies inside."""
    return change.start <= at and (change.end is None or at < change.end)


_DAWN = dt.datetime.min.replace(tzinfo=dt.UTC)


def _of_lane(rectangles: Sequence[Rectangle], first: int, last: int) -> list[Change]:
    line = [_Stretch(_DAWN)]
    steps: list[tuple[int, bool, Rectangle]] = []
    for rectangle in rectangles:
        if rectangle.opened_by <= first:
            for stretch in _inside(line, rectangle):
                stretch.before = stretch.now = rectangle
        else:
            steps.append((rectangle.opened_by, True, rectangle))
        if rectangle.closed_by is not None and rectangle.closed_by <= last:
            steps.append((rectangle.closed_by, False, rectangle))
    # A transaction closes before it opens.
    for number, opens, rectangle in sorted(steps, key=lambda step: step[:2]):
        for stretch in _inside(line, rectangle):
            (_open if opens else _close)(stretch, rectangle, number)
    links = {(one.memory, one.end): one.successor for one in rectangles if one.closed_by is None}
    return [_change(run, end, links) for run, end in _runs(line)]


def _inside(line: list[_Stretch], rectangle: Rectangle) -> list[_Stretch]:
    """The stretches of its interval; the line is parted where it begins and ends."""
    first = _part(line, rectangle.start)
    return line[first : len(line) if rectangle.end is None else _part(line, rectangle.end)]


def _part(line: list[_Stretch], at: Instant) -> int:
    """The place of the stretch that begins at the instant."""
    place = bisect.bisect_left(line, at, key=_start)
    if place == len(line) or line[place].start != at:
        line.insert(place, msgspec.structs.replace(line[place - 1], start=at))
    return place


def _start(stretch: _Stretch) -> Instant:
    return stretch.start


def _close(stretch: _Stretch, rectangle: Rectangle, number: int) -> None:
    stretch.closed, stretch.closed_since = rectangle, stretch.since
    stretch.now, stretch.since = None, number


def _open(stretch: _Stretch, rectangle: Rectangle, number: int) -> None:
    is_again = stretch.since == number and _says_the_same(stretch.closed, rectangle)
    stretch.now, stretch.since = rectangle, stretch.closed_since if is_again else number


def _says_the_same(one: Rectangle | None, other: Rectangle | None) -> bool:
    """Whether they are one belief: the same memory with the same content, or nothing."""
    if one is None or other is None:
        return one is other
    return (one.memory, one.content) == (other.memory, other.content)


def _runs(line: Sequence[_Stretch]) -> list[tuple[list[_Stretch], Instant | None]]:
    """Neighbouring stretches that changed from one belief to one other, as long as they go, each run with its end."""
    runs: list[tuple[list[_Stretch], Instant | None]] = []
    ends = [*(stretch.start for stretch in line[1:]), None]
    for stretch, end in zip(line, ends, strict=True):
        if _says_the_same(stretch.before, stretch.now):
            continue
        if runs and runs[-1][1] == stretch.start and _same_change(runs[-1][0][-1], stretch):
            runs[-1][0].append(stretch)
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append(([stretch], end))
    return runs


def _same_change(one: _Stretch, other: _Stretch) -> bool:
    return _says_the_same(one.before, other.before) and _says_the_same(one.now, other.now)


def _change(
    run: Sequence[_Stretch], end: Instant | None, links: dict[tuple[UUID, Instant | None], UUID | None]
) -> Change:
    stretch = run[0]
    return Change(
        start=stretch.start,
        end=end,
        before=stretch.before,
        after=stretch.now,
        transaction=max(one.since for one in run),
        successor=_successor(stretch, links),
    )


def _successor(stretch: _Stretch, links: dict[tuple[UUID, Instant | None], UUID | None]) -> UUID | None:
    """Who took over from what was believed before: who is there now; else who is named where it ends now, or was when
    it was closed."""
    before, now, closed = stretch.before, stretch.now, stretch.closed
    if before is None:
        return None
    if now is not None:
        return now.memory if now.memory != before.memory else None
    if closed is None or closed.memory != before.memory:
        return None
    return links.get((before.memory, stretch.start)) or closed.replaced_by
