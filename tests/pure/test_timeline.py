"""The laws of valid time, against a plain table that holds one answer an instant."""

import datetime as dt
import itertools
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurra import timeline
from aurra.timeline import Piece

LANE = UUID(int=0)
DAY = dt.timedelta(days=1)
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
LAST = 12
"""Instants 0…12 stand for all of time; the last one for everything after it."""


def at(day: int) -> dt.datetime:
    return START + day * DAY


class Table:
    """The reference: for each instant, who holds it; and where each memory starts."""

    def __init__(self) -> None:
        self.holder: list[int | None] = [None] * (LAST + 1)

    def claim(self, memory: int, start: int, end: int | None) -> None:
        first = {holder: self.holder.index(holder) for holder in self.holder if holder is not None}
        for day in range(start, LAST + 1 if end is None else end):
            holder = self.holder[day]
            if end is not None or holder is None or first[holder] <= start:
                self.holder[day] = memory


def as_table(pieces: list[Piece]) -> list[int | None]:
    table: list[int | None] = [None] * (LAST + 1)
    for piece in pieces:
        for day in range(LAST + 1):
            if timeline.holds(piece, at(day)):
                assert table[day] is None, "two beliefs for one instant"
                table[day] = piece.memory.int
    return table


asserts = st.lists(
    st.tuples(st.integers(0, LAST - 1), st.one_of(st.none(), st.integers(1, LAST))).filter(
        lambda interval: interval[1] is None or interval[1] > interval[0]
    ),
    min_size=1,
    max_size=8,
)


def play(intervals: list[tuple[int, int | None]]) -> list[Piece]:
    pieces: list[Piece] = []
    for number, (start, end) in enumerate(intervals, 1):
        pieces = timeline.assert_into(
            pieces,
            memory=UUID(int=number),
            lane=LANE,
            content=UUID(int=number),
            start=at(start),
            end=None if end is None else at(end),
        )
    return pieces


@given(asserts)
def test_property_03_asserts_agree_with_the_plain_table(intervals: list[tuple[int, int | None]]) -> None:
    """Property 3: replaying the asserts on a per-instant table gives the same answers, and no instant has two."""
    table = Table()
    for number, (start, end) in enumerate(intervals, 1):
        table.claim(number, start, end)
    assert as_table(play(intervals)) == table.holder


@given(asserts)
def test_pieces_of_one_memory_never_touch(intervals: list[tuple[int, int | None]]) -> None:
    """Property 10: between two pieces of a memory there is always an instant of somebody else's."""
    by_memory: dict[UUID, list[Piece]] = {}
    for piece in play(intervals):
        by_memory.setdefault(piece.memory, []).append(piece)
    for pieces in by_memory.values():
        for left, right in itertools.pairwise(pieces):
            assert left.end is not None and left.end < right.start


@given(asserts, st.integers(0, LAST - 1), st.integers(1, LAST))
def test_a_bounded_assert_changes_nothing_outside_it(
    intervals: list[tuple[int, int | None]], start: int, end: int
) -> None:
    """Property 9: an edit of [start, end) leaves every answer outside as it was."""
    if end <= start:
        return
    before = as_table(play(intervals))
    after = as_table(play([*intervals, (start, end)]))
    assert before[:start] == after[:start] and before[end:] == after[end:]
    assert set(after[start:end]) == {len(intervals) + 1}


@given(st.permutations([0, 2, 5, 9]))
def test_open_asserts_with_distinct_starts_commute(starts: list[int]) -> None:
    """Property 11: whatever the order of arrival, each memory holds from its start to the next one's."""
    names = {start: number for number, start in enumerate(starts, 1)}
    expected = [names[max(s for s in starts if s <= day)] for day in range(LAST + 1)]
    assert as_table(play([(start, None) for start in starts])) == expected


@given(asserts)
def test_a_piece_that_ends_before_another_names_its_successor(intervals: list[tuple[int, int | None]]) -> None:
    """Property 4: following links, `valid_to` grows; a link's memory holds the instant at which the piece ends, or
    did when it was made."""
    pieces = play(intervals)
    for piece in pieces:
        if piece.successor is not None:
            assert piece.end is not None
            followed = [other for other in pieces if other.memory == piece.successor and other.start >= piece.end]
            later = [other for other in followed if other.end is None or other.end > piece.end]
            assert followed == later


@given(asserts, st.integers(0, LAST), st.booleans())
def test_a_cut_ends_everything_at_the_boundary(
    intervals: list[tuple[int, int | None]], boundary: int, has_successor: bool
) -> None:
    """Supersede and end: nothing holds from the boundary on, nothing before it changes, nothing is lengthened."""
    pieces = [piece for piece in play(intervals) if piece.memory == UUID(int=1)]
    successor = UUID(int=99) if has_successor else None
    left = timeline.cut(pieces, at(boundary), successor)
    before, after = as_table(pieces), as_table(left)
    assert after[:boundary] == before[:boundary]
    assert all(holder is None for holder in after[boundary:])
    assert not (has_successor and left) or left[-1].successor == successor


@given(asserts)
def test_the_difference_leads_from_before_to_after(intervals: list[tuple[int, int | None]]) -> None:
    """Closing and opening what `difference` says gives the state that was planned."""
    stored = [
        Piece(
            version=UUID(int=1000 + number),
            memory=piece.memory,
            lane=piece.lane,
            content=piece.content,
            start=piece.start,
            end=piece.end,
            successor=piece.successor,
        )
        for number, piece in enumerate(play(intervals))
    ]
    after = timeline.assert_into(stored, memory=UUID(int=50), lane=LANE, content=UUID(int=50), start=at(3), end=None)
    closed, opened = timeline.difference(stored, after)
    gone = {closing.version for closing in closed}
    result = [piece for piece in stored if piece.version not in gone] + opened
    assert as_table(result) == as_table(after)
    assert all(piece.version is None for piece in opened)


def test_an_older_fact_that_arrives_late_does_not_displace_what_holds_later() -> None:
    """Textbook: known since day 5; learned afterwards that something else held from day 2: it ends on day 5."""
    pieces = play([(5, None), (2, None)])
    assert [(piece.memory.int, piece.start, piece.end) for piece in pieces] == [(2, at(2), at(5)), (1, at(5), None)]
    assert pieces[0].successor == UUID(int=1)


def test_a_bounded_retroactive_edit_leaves_no_hole() -> None:
    """Textbook: an open fact is edited for [3, 6); before and after it the old fact still holds."""
    pieces = play([(0, None), (3, 6)])
    assert [(piece.memory.int, piece.start, piece.end) for piece in pieces] == [
        (1, at(0), at(3)),
        (2, at(3), at(6)),
        (1, at(6), None),
    ]
    assert pieces[0].successor == UUID(int=2) and pieces[2].successor is None


def test_a_gap_between_each_of_many_pieces_is_compared_with_its_neighbours_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An open assert, and its correction, before thousands of scheduled pieces: the work grows with their number."""
    compared, before = 0, timeline.before

    def count(left: dt.datetime | None, right: dt.datetime | None) -> bool:
        nonlocal compared
        compared += 1
        return before(left, right)

    number = 2_000
    monkeypatch.setattr(timeline, "before", count)
    after = [
        Piece(version=None, memory=UUID(int=n), lane=LANE, content=UUID(int=n), start=at(2 * n), end=at(2 * n + 1))
        for n in range(1, number + 1)
    ]
    mine = UUID(int=number + 1)
    after = timeline.assert_into(after, memory=mine, lane=LANE, content=mine, start=at(0), end=None)
    assert [piece.successor for piece in after[:3]] == [UUID(int=1), None, UUID(int=2)]
    assert len(after) == 2 * number + 1
    corrected = timeline.correct_interval(after, after[0], at(1), None)
    assert [(piece.start, piece.successor) for piece in corrected[:2]] == [(at(1), UUID(int=1)), (at(2), None)]
    assert compared < 40 * number
