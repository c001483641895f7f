"""The net difference between two transactions, against states that are compared instant by instant."""

import itertools
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurra import difference, timeline
from aurra.difference import Change, Rectangle
from aurra.timeline import Piece
from tests.pure.test_timeline import LAST, at

LANES = [UUID(int=900 + number) for number in range(2)]
Belief = tuple[UUID, UUID] | None
State = dict[tuple[UUID, int], Belief]
"""By lane and day: the memory and its content."""


class History:
    """What a ledger would hold: each step one transaction, each piece it opens a version."""

    def __init__(self) -> None:
        self.rectangles: dict[UUID, Rectangle] = {}
        self.lanes: dict[UUID, list[Piece]] = {lane: [] for lane in LANES}
        self.number = 0

    def change(self, lane: UUID, after: list[Piece], successor: UUID | None = None) -> None:
        """One transaction that leads a lane to a new state."""
        self.number += 1
        closed, opened = timeline.difference(self.lanes[lane], after, successor)
        for closing in closed:
            self._close(closing.version, closing.replaced_by)
        stored = [piece for piece in after if piece.version is not None]
        for piece in opened:
            version = UUID(int=10_000 + len(self.rectangles))
            self.rectangles[version] = Rectangle(
                version,
                piece.memory,
                lane,
                piece.content,
                piece.start,
                piece.end,
                self.number,
                None,
                piece.successor,
                None,
            )
            stored.append(_stored(piece, version))
        self.lanes[lane] = sorted(stored, key=lambda piece: piece.start)

    def claim(self, lane: UUID, start: int, end: int | None) -> None:
        """An assert of a new memory."""
        memory = UUID(int=self.number + 1)
        pieces = timeline.assert_into(
            self.lanes[lane],
            memory=memory,
            lane=lane,
            content=memory,
            start=at(start),
            end=None if end is None else at(end),
        )
        self.change(lane, pieces)

    def cut(self, lane: UUID, which: int, boundary: int) -> None:
        """A memory of the lane ends."""
        held = sorted({piece.memory for piece in self.lanes[lane]})
        if not held:
            return
        memory = held[which % len(held)]
        others = [piece for piece in self.lanes[lane] if piece.memory != memory]
        mine = [piece for piece in self.lanes[lane] if piece.memory == memory]
        self.change(lane, [*others, *timeline.cut(mine, at(boundary), None)])

    def correct(self, lane: UUID, which: int) -> None:
        """A memory of the lane says something else."""
        held = sorted({piece.memory for piece in self.lanes[lane]})
        if not held:
            return
        memory = held[which % len(held)]
        content = UUID(int=5_000 + self.number)
        after = [
            Piece(version=None, memory=memory, lane=lane, content=content, start=piece.start, end=piece.end)
            if piece.memory == memory
            else piece
            for piece in self.lanes[lane]
        ]
        self.change(lane, after)

    def state(self, number: int) -> State:
        """What each lane held on each day, as believed at the transaction."""
        found: State = {(lane, day): None for lane in LANES for day in range(LAST + 1)}
        for one in self.rectangles.values():
            if one.opened_by <= number and (one.closed_by is None or one.closed_by > number):
                for day in range(LAST + 1):
                    if one.start <= at(day) and (one.end is None or at(day) < one.end):
                        assert found[one.lane, day] is None
                        found[one.lane, day] = (one.memory, one.content)
        return found

    def between(self, first: int, last: int) -> list[Change]:
        """The difference, from the versions that the store would give."""
        touched = [
            _as_known(one, last)
            for one in self.rectangles.values()
            if first < one.opened_by <= last
            or (one.opened_by <= first and one.closed_by is not None and first < one.closed_by <= last)
        ]
        return difference.between(touched, first, last)

    def _close(self, version: UUID, replaced_by: UUID | None) -> None:
        one = self.rectangles[version]
        self.rectangles[version] = _replaced(one, self.number, replaced_by)


def _stored(piece: Piece, version: UUID) -> Piece:
    return Piece(
        version=version,
        memory=piece.memory,
        lane=piece.lane,
        content=piece.content,
        start=piece.start,
        end=piece.end,
        successor=piece.successor,
    )


def _replaced(one: Rectangle, closed_by: int | None, replaced_by: UUID | None) -> Rectangle:
    return Rectangle(
        one.version,
        one.memory,
        one.lane,
        one.content,
        one.start,
        one.end,
        one.opened_by,
        closed_by,
        one.successor,
        replaced_by,
    )


def _as_known(one: Rectangle, number: int) -> Rectangle:
    return one if one.closed_by is None or one.closed_by <= number else _replaced(one, None, None)


def _belief(side: Rectangle | None) -> Belief:
    return None if side is None else (side.memory, side.content)


def _days(change: Change) -> list[int]:
    return [day for day in range(LAST + 1) if difference.holds(change, at(day))]


def _lane(change: Change) -> UUID:
    side = change.after or change.before
    assert side is not None
    return side.lane


def _applied(state: State, changes: list[Change]) -> State:
    """The state after putting each `after` in the place of its `before`, which must be what is there."""
    result = dict(state)
    for change in changes:
        for day in _days(change):
            assert state[_lane(change), day] == _belief(change.before)
            result[_lane(change), day] = _belief(change.after)
    return result


_lanes = st.sampled_from(LANES)
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("claim"), _lanes, st.integers(0, LAST - 1), st.none() | st.integers(1, LAST)),
        st.tuples(st.just("cut"), _lanes, st.integers(0, 5), st.integers(0, LAST)),
        st.tuples(st.just("correct"), _lanes, st.integers(0, 5), st.none()),
    ).filter(lambda step: step[0] != "claim" or step[3] is None or step[3] > step[2]),
    min_size=1,
    max_size=14,
)


def _played(steps: list[tuple[str, UUID, int, int | None]]) -> History:
    history = History()
    for verb, lane, number, other in steps:
        if verb == "claim":
            history.claim(lane, number, other)
        elif verb == "cut":
            history.cut(lane, number, other or 0)
        else:
            history.correct(lane, number)
    return history


@given(_steps, st.data())
def test_property_05_the_difference_applied_to_one_state_gives_the_other(
    steps: list[tuple[str, UUID, int, int | None]], data: st.DataObject
) -> None:
    """Property 5: the net diff over (a, b] applied to state(a) gives state(b), at every instant."""
    history = _played(steps)
    first = data.draw(st.integers(0, history.number))
    last = data.draw(st.integers(first, history.number))
    assert _applied(history.state(first), history.between(first, last)) == history.state(last)


@given(_steps)
def test_property_05_nothing_differs_from_itself(steps: list[tuple[str, UUID, int, int | None]]) -> None:
    """Property 5: diff(a, a) is empty."""
    history = _played(steps)
    assert [history.between(number, number) for number in range(history.number + 1)] == [[]] * (history.number + 1)


@given(_steps, st.data())
def test_property_05_differences_compose(steps: list[tuple[str, UUID, int, int | None]], data: st.DataObject) -> None:
    """Property 5: one after the other they lead where the whole leads, and the whole names no day that none names."""
    history = _played(steps)
    first, middle, last = sorted(data.draw(st.tuples(*[st.integers(0, history.number)] * 3)))
    one, two, whole = history.between(first, middle), history.between(middle, last), history.between(first, last)
    state = history.state(first)
    assert _applied(_applied(state, one), two) == _applied(state, whole)
    touched = {(_lane(change), day) for change in [*one, *two] for day in _days(change)}
    assert {(_lane(change), day) for change in whole for day in _days(change)} <= touched


@given(_steps, st.data())
def test_changes_are_as_long_as_they_go_and_name_who_made_them(
    steps: list[tuple[str, UUID, int, int | None]], data: st.DataObject
) -> None:
    """No two neighbours say the same, no two meet; the transaction is the newest that changed the belief inside."""
    history = _played(steps)
    first = data.draw(st.integers(0, history.number))
    last = data.draw(st.integers(first, history.number))
    states = {number: history.state(number) for number in range(first, last + 1)}
    for lane in LANES:
        changes = [change for change in history.between(first, last) if _lane(change) == lane]
        for left, right in itertools.pairwise(changes):
            assert left.end is not None
            assert left.end <= right.start
            same = (_belief(left.before), _belief(left.after)) == (_belief(right.before), _belief(right.after))
            assert not (same and left.end == right.start)
        for change in changes:
            days = _days(change)
            newest = max(
                number
                for number in range(first + 1, last + 1)
                if any(states[number][lane, day] != states[number - 1][lane, day] for day in days)
            )
            assert change.transaction == newest


@given(_steps, st.data())
def test_who_took_over_is_the_memory_that_is_there(
    steps: list[tuple[str, UUID, int, int | None]], data: st.DataObject
) -> None:
    """A memory that displaced another is named; one that is itself still there took over from nobody."""
    history = _played(steps)
    first = data.draw(st.integers(0, history.number))
    for change in history.between(first, history.number):
        if change.before is None or change.after is None:
            assert change.before or change.successor is None
        else:
            assert change.successor == (None if change.before.memory == change.after.memory else change.after.memory)


def test_a_cut_beside_it_does_not_change_what_stays() -> None:
    """What is opened again beside a bounded fact is not the bounded fact's doing."""
    history = History()
    history.claim(LANES[0], 0, None)
    history.claim(LANES[0], 3, 6)
    found = [(change.start, change.end, change.transaction) for change in history.between(0, 2)]
    assert found == [(at(0), at(3), 1), (at(3), at(6), 2), (at(6), None, 1)]


def test_the_link_names_who_took_over_from_a_memory_of_its_own_lane() -> None:
    """A superseded memory leaves its lane empty; its last piece names the successor."""
    history = History()
    history.claim(LANES[0], 0, None)
    successor = UUID(int=77)
    history.change(LANES[0], timeline.cut(history.lanes[LANES[0]], at(4), successor), successor)
    [change] = history.between(1, 2)
    assert (change.start, change.after, change.successor) == (at(4), None, successor)
    assert difference.kind(change, "supersede") == "superseded"


@pytest.mark.parametrize(
    ("verb", "before", "after", "kind"),
    [
        ("assert", None, 1, "added"),
        ("assert", 1, 2, "superseded"),
        ("assert", 1, None, "superseded"),
        ("correct", 1, 1, "corrected"),
        ("correct", 1, None, "corrected"),
        ("correct", None, 1, "corrected"),
        ("correct", 1, 2, "superseded"),
        ("supersede", 1, None, "superseded"),
        ("end", 1, None, "ended"),
        ("retract", 1, None, "retracted"),
        ("restore", None, 1, "restored"),
        ("restore", 1, None, "restored"),
        ("restore", 1, 2, "restored"),
    ],
)
def test_the_verb_says_the_kind(verb: str, before: int | None, after: int | None, kind: str) -> None:
    """Supersede where another memory was displaced, else as the verb says."""

    def side(memory: int | None) -> Rectangle | None:
        if memory is None:
            return None
        return Rectangle(UUID(int=1), UUID(int=memory), LANES[0], UUID(int=2), at(0), None, 1, None, None, None)

    change = Change(start=at(0), end=None, before=side(before), after=side(after), transaction=1, successor=None)
    assert difference.kind(change, verb) == kind
