"""Instants on the wire: RFC 3339 in, UTC with microseconds and `+00:00` out. No clock. The names of months and days."""

import datetime as dt
import re
from typing import Annotated

import msgspec

from aurra.errors import BadRequest, Unprocessable

FIRST = dt.datetime(1, 1, 2, tzinfo=dt.UTC)
"""The earliest instant accepted."""
END = dt.datetime(9999, 12, 31, tzinfo=dt.UTC)
"""The first instant too late; Postgres would store the extremes as infinity."""

MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_PASTED = re.compile(r"(T[\d:.]+) (\d{2}:\d{2})$")
_OFFSET = re.compile(r"T.*?([+ -])(\d{2}):?(\d{2})$", re.IGNORECASE)
_FAR_YEAR = re.compile(r"(0000|[+-]?\d{5,})-\d{2}-\d{2}")
_Aware = Annotated[dt.datetime, msgspec.Meta(tz=True)]


def parse(text: str, param: str) -> dt.datetime:
    """The instant in UTC; a bare date is that day at 00:00 UTC.

    Raises Unprocessable for text that is no RFC 3339 instant with an offset, BadRequest for years outside
    0001-01-02 … 9999-12-30.
    """
    # A `+` pasted into a URL arrives as a space.
    stripped = _PASTED.sub(r"\1+\2", text.strip())
    if _DATE.fullmatch(stripped):
        stripped += "T00:00:00Z"
    try:
        at = msgspec.convert(stripped, _Aware).astimezone(dt.UTC)
    except OverflowError:
        raise _too_far(param) from None
    except msgspec.ValidationError:
        if _FAR_YEAR.match(stripped):
            raise _too_far(param) from None
        raise Unprocessable(
            f"`{param}` must be an RFC 3339 instant with an offset, such as 2026-03-01T09:30:00Z, or a date.",
            param=param,
        ) from None
    if not FIRST <= at < END:
        raise _too_far(param)
    return at


def parse_optional(text: str | None, param: str) -> dt.datetime | None:
    """As `parse`; absent stays absent."""
    return None if text is None else parse(text, param)


def offset_of(text: str) -> dt.timedelta:
    """The offset from UTC that an instant was given with; of what `parse` accepts, and 0 for a bare date."""
    match = _OFFSET.search(text.strip())
    if match is None:
        return dt.timedelta()
    size = dt.timedelta(hours=int(match[2]), minutes=int(match[3]))
    return -size if match[1] == "-" else size


def show(at: dt.datetime) -> str:
    """`2026-03-01T09:30:00.000000+00:00`."""
    return at.astimezone(dt.UTC).isoformat(timespec="microseconds")


def show_optional(at: dt.datetime | None) -> str | None:
    """As `show`; absent stays absent."""
    return None if at is None else show(at)


def _too_far(param: str) -> BadRequest:
    return BadRequest(f"`{param}` must lie between 0001-01-02 and 9999-12-30.", code="out_of_range", param=param)
