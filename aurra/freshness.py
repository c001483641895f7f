"""Flags and freshness of a piece at an instant. Pure."""

import datetime as dt

import msgspec


class Standing(msgspec.Struct, frozen=True):
    """How a piece stands at an instant; superseded and expired exclude each other."""

    is_current: bool
    is_expired: bool
    is_superseded: bool
    freshness: float


def standing(
    start: dt.datetime,
    end: dt.datetime | None,
    *,
    has_successor: bool,
    is_believed: bool,
    at: dt.datetime,
    half_life_days: float,
) -> Standing:
    """Freshness halves every `half_life_days` of validity: 1.0 before it starts, 0.0 once it ended."""
    ended = end is not None and end <= at
    started = start <= at
    age_days = (at - start).total_seconds() / 86400
    freshness = 0.0 if ended else 1.0 if not started else round(0.5 ** (age_days / half_life_days), 3)
    return Standing(
        is_current=started and not ended and is_believed,
        is_expired=ended and not has_successor,
        is_superseded=ended and has_successor,
        freshness=freshness,
    )
