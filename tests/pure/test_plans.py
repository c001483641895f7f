"""Months, grace and blocking, to the unit and to the microsecond."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurra import plans
from aurra.plans import Allowed, Blocked, InGrace, Meter, Stretch

MONTH = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
MICROSECOND = dt.timedelta(microseconds=1)


def at(day: int, hour: int = 0) -> dt.datetime:
    return MONTH + dt.timedelta(days=day - 1, hours=hour)


@given(st.integers(1, 2000), st.integers(1, 60))
def test_writes_end_exactly_at_110_percent(limit: int, cost: int) -> None:
    """Within grace, exactly floor(1.1 × limit) writes fit, however they are batched; a batch is taken whole or not."""
    meter, used = Meter(MONTH, 0, None), 0
    while not isinstance(verdict := plans.admit(limit, meter, cost, at(2)), Blocked):
        meter, used = verdict.meter, used + cost
        assert isinstance(verdict, InGrace) == (used >= limit)
    assert used <= limit * 11 // 10 < used + cost
    assert used == meter.writes_used


def test_grace_begins_when_the_limit_is_reached_and_lasts_seven_days() -> None:
    """The write that reaches the limit starts grace; seven days later to the microsecond, writing ends."""
    verdict = plans.admit(100, Meter(MONTH, 99, None), 1, at(5))
    assert isinstance(verdict, InGrace) and verdict.until == at(12)
    assert isinstance(plans.admit(100, verdict.meter, 1, at(12) - MICROSECOND), InGrace)
    assert isinstance(plans.admit(100, verdict.meter, 1, at(12)), Blocked)


def test_the_next_month_unblocks_at_once() -> None:
    """At the first microsecond of the next month the meter is at nothing."""
    blocked = Meter(MONTH, 110, at(5))
    end = plans.period_after(MONTH)
    assert plans.state(100, blocked, end - MICROSECOND).blocked
    verdict = plans.admit(100, blocked, 1, end)
    assert verdict == Allowed(Meter(end, 1, None))


def test_grace_never_reaches_into_the_next_month() -> None:
    """Grace that starts three days before the month's end is over with it."""
    verdict = plans.admit(100, Meter(MONTH, 99, None), 1, at(29))
    assert isinstance(verdict, InGrace) and verdict.until == dt.datetime(2026, 4, 1, tzinfo=dt.UTC)


def test_a_bigger_plan_unblocks_at_once_and_forgets_the_grace() -> None:
    """Under a bigger limit the same meter is neither blocked nor in grace; the next write forgets when grace began."""
    meter = Meter(MONTH, 110, at(5))
    state = plans.state(1000, meter, at(20))
    assert not state.blocked and not state.in_grace_period and state.writes_remaining == 890
    assert plans.admit(1000, meter, 1, at(20)) == Allowed(Meter(MONTH, 111, None))


def test_what_costs_nothing_is_never_blocked() -> None:
    """Supersede, retract and duplicates go on when writes are blocked; in grace they carry its warning."""
    assert isinstance(plans.admit(100, Meter(MONTH, 110, at(1)), 0, at(20)), Allowed)
    assert plans.admit(100, Meter(MONTH, 105, at(5)), 0, at(6)) == InGrace(Meter(MONTH, 105, at(5)), at(12))


def test_an_unlimited_plan_has_no_grace() -> None:
    """Enterprise: no limit is ever near, and the hard limit does not overflow a JSON reader."""
    state = plans.state(plans.UNLIMITED, Meter(MONTH, 10**9, None), at(2))
    assert not state.in_grace_period and state.hard_limit == plans.UNLIMITED


@pytest.mark.parametrize(
    ("at_", "start"),
    [
        (dt.datetime(2026, 3, 31, 23, 59, 59, 999999, tzinfo=dt.UTC), MONTH),
        (dt.datetime(2026, 4, 1, 1, 30, tzinfo=dt.timezone(dt.timedelta(hours=2))), MONTH),
        (dt.datetime(2026, 12, 31, tzinfo=dt.UTC), dt.datetime(2026, 12, 1, tzinfo=dt.UTC)),
    ],
)
def test_a_period_is_a_calendar_month_in_utc(at_: dt.datetime, start: dt.datetime) -> None:
    """Whatever the offset, the month is UTC's."""
    assert plans.period_of(at_) == start


def test_december_is_followed_by_january() -> None:
    """The month after December is next year's first."""
    assert plans.period_after(dt.datetime(2026, 12, 1, tzinfo=dt.UTC)) == dt.datetime(2027, 1, 1, tzinfo=dt.UTC)


def test_a_clock_that_steps_back_does_not_reopen_an_old_month() -> None:
    """A meter of April stays April's when the clock shows March."""
    meter = Meter(dt.datetime(2026, 4, 1, tzinfo=dt.UTC), 7, None)
    assert plans.roll(meter, at(30)) == meter


class Ledger:
    """What an account's ledger and its history of plans hold, as the service and the operator's commands write them."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.clock = self.last = MONTH
        self.meter = Meter(MONTH, 0, None)
        self.entries: list[tuple[dt.datetime, int]] = []
        self.changes = [(MONTH, 0, limit)]

    @property
    def now(self) -> dt.datetime:
        """The next instant: later than the last, whatever the clock says."""
        return max(self.clock, self.last + MICROSECOND)

    def write(self, cost: int) -> bool:
        """Whether a batch of so many was admitted."""
        at_ = self.now
        verdict = plans.admit(self.limit, self.meter, cost, at_)
        if isinstance(verdict, Blocked):
            return False
        self.meter, self.last = verdict.meter, at_
        self.entries.append((at_, cost))
        return True

    def change(self, limit: int) -> None:
        """Another limit, from now on."""
        at_ = max(self.now, self.changes[-1][0] + MICROSECOND)
        self.limit = limit
        self.meter = plans.state(limit, self.meter, at_).meter
        self.changes.append((at_, len(self.entries), limit))

    def used_in(self, start: dt.datetime, number: int) -> int:
        """Writes of a month, up to a number of transactions."""
        return sum(cost for at_, cost in self.entries[:number] if at_ >= start)

    def stretches(self, start: dt.datetime) -> list[Stretch]:
        """As the store reads them: each limit, and how the month's meter stood to it."""
        ends = [number for _, number, _ in self.changes[1:]] + [len(self.entries)]
        return [
            Stretch(since, limit, self.used_in(start, number), self._reached(start, limit, number, end))
            for (since, number, limit), end in zip(self.changes, ends, strict=True)
        ]

    def _reached(self, start: dt.datetime, limit: int, number: int, end: int) -> dt.datetime | None:
        for later in range(number + 1, end + 1):
            if self.entries[later - 1][0] >= start and self.used_in(start, later) >= limit:
                return self.entries[later - 1][0]
        return None


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, 30)),
        st.tuples(st.just("limit"), st.sampled_from([5, 20, 21, 60, plans.UNLIMITED])),
        # Minutes; backwards too, and over grace and months.
        st.tuples(st.just("clock"), st.integers(-20_000, 20_000)),
    ),
    max_size=40,
)


@given(st.sampled_from([5, 20, 60]), EVENTS)
def test_the_meter_is_the_sum_of_the_ledger_whatever_clock_and_plan_do(
    limit: int, events: list[tuple[str, int]]
) -> None:
    """T3: no batch is taken past 110 % of the limit it met, or after its grace; the meter is the month's sum; and when
    grace began can be told from the ledger and the history of plans alone."""
    ledger = Ledger(limit)
    for kind, value in events:
        if kind == "clock":
            ledger.clock += dt.timedelta(minutes=value)
        elif kind == "limit":
            ledger.change(value)
        else:
            before = plans.state(ledger.limit, ledger.meter, ledger.now)
            room = 0 if before.blocked else before.hard_limit - before.meter.writes_used
            assert ledger.write(value) == (value == 0 or value <= room)
        start = ledger.meter.period_start
        assert ledger.meter.writes_used == ledger.used_in(start, len(ledger.entries))
        asked = ledger.now
        stood = plans.state(ledger.limit, ledger.meter, asked)
        start = stood.meter.period_start
        told = Meter(start, ledger.used_in(start, len(ledger.entries)), plans.grace_since(ledger.stretches(start)))
        assert plans.state(ledger.limit, told, asked) == stood


@pytest.mark.parametrize(
    ("stretches", "grace_from"),
    [
        ([Stretch(MONTH, 10, 0, None)], None),
        ([Stretch(MONTH, 10, 0, at(5))], at(5)),
        # A bigger plan forgets grace; going back begins it anew.
        ([Stretch(MONTH, 10, 0, at(5)), Stretch(at(6), 100, 12, None)], None),
        ([Stretch(MONTH, 10, 0, at(5)), Stretch(at(6), 100, 12, None), Stretch(at(7), 10, 12, None)], at(7)),
        # A plan that is exceeded as well lets it run on.
        ([Stretch(MONTH, 10, 0, at(5)), Stretch(at(6), 11, 12, None)], at(5)),
    ],
)
def test_a_change_of_plan_in_grace(stretches: list[Stretch], grace_from: dt.datetime | None) -> None:
    """Grace runs on while the limit stays exceeded, and begins with the change that makes it so."""
    assert plans.grace_since(stretches) == grace_from
