"""Months, grace and blocking, to the unit and to the microsecond."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurra import plans
from aurra.plans import Allowed, Blocked, InGrace, Meter

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
