"""What a plan allows: months, grace, blocking. Pure; `at` is an argument."""

import datetime as dt
from collections.abc import Sequence
from typing import assert_never

import msgspec

GRACE = dt.timedelta(days=7)
UNLIMITED = 9007199254740991
"""2^53 − 1, the largest integer every JSON reader holds exactly."""


class Meter(msgspec.Struct, frozen=True):
    """What the ledger keeps of a period: its start, memories first committed in it, when grace began."""

    period_start: dt.datetime
    writes_used: int
    grace_from: dt.datetime | None


class Allowed(msgspec.Struct, frozen=True):
    """The writes fit; `meter` is what to keep."""

    meter: Meter


class InGrace(msgspec.Struct, frozen=True):
    """The writes fit, and the limit is reached: writing ends at `until`, or at 110 % of the limit."""

    meter: Meter
    until: dt.datetime


class Blocked(msgspec.Struct, frozen=True):
    """The writes are refused, all of them."""


class Stretch(msgspec.Struct, frozen=True):
    """A time under one limit, and how the meter of the month that is asked about stood to it."""

    since: dt.datetime
    writes_limit: int
    used_before: int
    """Writes of the month when it began."""
    reached_at: dt.datetime | None
    """When the first transaction of it took the meter to the limit, if one did."""


class State(msgspec.Struct, frozen=True):
    """Where an account stands at an instant."""

    meter: Meter
    writes_limit: int
    hard_limit: int
    period_end: dt.datetime
    grace_ends_at: dt.datetime | None
    in_grace_period: bool
    blocked: bool

    @property
    def writes_remaining(self) -> int:
        """Writes to the limit; never below 0."""
        return max(0, self.writes_limit - self.meter.writes_used)


def period_of(at: dt.datetime) -> dt.datetime:
    """The first instant of the calendar month (UTC) that holds `at`."""
    return at.astimezone(dt.UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def period_after(start: dt.datetime) -> dt.datetime:
    """The first instant of the month after."""
    return (start + dt.timedelta(days=32)).replace(day=1)


def roll(meter: Meter, at: dt.datetime) -> Meter:
    """The meter as it stands at `at`: a new month starts from nothing; an earlier clock changes nothing."""
    start = period_of(at)
    return Meter(start, 0, None) if start > meter.period_start else meter


def state(writes_limit: int, meter: Meter, at: dt.datetime) -> State:
    """Where the account stands at `at`, under the limit it has now."""
    meter = roll(meter, at)
    end = period_after(meter.period_start)
    reached = meter.writes_used >= writes_limit
    grace_from = (meter.grace_from or at) if reached else None
    # Integers: 1.1 × limit in floating point would be off by one for large limits.
    hard_limit = UNLIMITED if writes_limit >= UNLIMITED else writes_limit * 11 // 10
    ends = min(grace_from + GRACE, end) if grace_from else None
    blocked = reached and (meter.writes_used >= hard_limit or (ends is not None and at >= ends))
    return State(
        meter=Meter(meter.period_start, meter.writes_used, grace_from),
        writes_limit=writes_limit,
        hard_limit=hard_limit,
        period_end=end,
        grace_ends_at=ends,
        in_grace_period=reached and not blocked,
        blocked=blocked,
    )


def admit(writes_limit: int, meter: Meter, cost: int, at: dt.datetime) -> Allowed | InGrace | Blocked:
    """Whether `cost` writes may happen at `at`: all of them or none. What costs nothing is never refused."""
    if writes_limit >= UNLIMITED:
        rolled = roll(meter, at)
        return Allowed(Meter(rolled.period_start, rolled.writes_used + cost, None))
    before = state(writes_limit, meter, at)
    if cost == 0:
        ends = before.grace_ends_at if before.in_grace_period else None
        return Allowed(before.meter) if ends is None else InGrace(before.meter, ends)
    used = before.meter.writes_used + cost
    if before.blocked or used > before.hard_limit:
        return Blocked()
    kept = Meter(before.meter.period_start, used, before.meter.grace_from)
    after = state(writes_limit, kept, at)
    if after.grace_ends_at is None:
        return Allowed(after.meter)
    return InGrace(after.meter, after.grace_ends_at)


def grace_since(stretches: Sequence[Stretch]) -> dt.datetime | None:
    """When the grace of a month began, as `admit` and `state` kept it through all changes of the limit; None without.

    The stretches follow one another; the last is the one in force.
    """
    grace_from: dt.datetime | None = None
    for stretch in stretches:
        was_reached = stretch.used_before >= stretch.writes_limit
        grace_from = grace_from or stretch.since if was_reached else stretch.reached_at
    return grace_from


def warning(verdict: Allowed | InGrace) -> str | None:
    """The sentence for the warning header, if any."""
    match verdict:
        case Allowed():
            return None
        case InGrace(until=until):
            return f"The plan's limit is reached; writes go on until {until.isoformat()} or 110 % of the limit."
        case _:
            assert_never(verdict)
