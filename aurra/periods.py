"""Dates that a text names, and the time that a question asks about. Pure.

A date may lack its day, its year, or all but its year: "1 March 2026", "March 1st", "2026-03", "in 2026".
"""

import datetime as dt
import re

import msgspec

from aurra.instants import MONTHS


class Named(msgspec.Struct, frozen=True):
    """A date as far as a text names it, and where."""

    year: int | None
    month: int | None
    day: int | None
    span: tuple[int, int] = (0, 0)

    def is_part_of(self, other: "Named") -> bool:
        """Whether all that this names, the other names alike."""
        pairs = ((self.year, other.year), (self.month, other.month), (self.day, other.day))
        return all(mine is None or mine == theirs for mine, theirs in pairs)


class Period(msgspec.Struct, frozen=True):
    """A day, a month or a year: [start, end)."""

    start: dt.datetime
    end: dt.datetime
    named: Named


# "May" and "March" are words too: a month is written with a capital, or in capitals.
_MONTH = r"(?P<{0}>" + "|".join(f"{name[:3].title()}(?:{name[3:]}|{name[3:4]}\\.|\\.|(?=\\s))" for name in MONTHS) + ")"
_DAY = r"(?P<{0}>[12]\d|3[01]|0?[1-9])(?:st|nd|rd|th)?"
_YEAR = r"(?P<{0}>(?:19|20)\d\d)"
_DATE = re.compile(
    r"(?<![\w./-])(?:"
    + _YEAR.format("iso_year")
    + r"-(?P<iso_month>0[1-9]|1[0-2])(?:-(?P<iso_day>0[1-9]|[12]\d|3[01]))?(?=$|[^\d-])"
    + "|"
    + _DAY.format("first_day")
    + r"\s+(?:of\s+)?"
    + _MONTH.format("first_month")
    + r"(?:,?\s+"
    + _YEAR.format("first_year")
    + r"\b)?"
    + "|"
    + _MONTH.format("month")
    + r"(?:\s+"
    + _DAY.format("day")
    + r"(?!\d|[.,:]\d))?(?:,?\s+(?:of\s+)?"
    + _YEAR.format("month_year")
    + r"\b)?(?!\w)"
    + "|"
    + _YEAR.format("year")
    + r"(?![\w-]|[.,:]\d))"
)
_PREPOSED = re.compile(r"\b(in|of|since|until|during|last|this|by|before|after|around|early|late)\s+$", re.IGNORECASE)
_LOWER_MONTH = re.compile(r"\b(in|of|since|until|during|last|this) (" + "|".join(MONTHS) + r")\b")
_FULL = re.compile("|".join(MONTHS), re.IGNORECASE)


def find(text: str) -> list[Named]:
    """The dates that a text names, in order. A month alone is written out, and "May" at the start of a sentence is no
    month: "Jan" and "May" are words too."""
    return [date for match in _DATE.finditer(text) if not _is_word(date := _named(match), text)]


def of(at: dt.datetime) -> Named:
    """The day of an instant, in UTC."""
    return Named(at.year, at.month, at.day)


def asked(question: str, at: dt.datetime) -> Period | None:
    """The day, month or year that a question asks about: the last that it names. A month or a day without its year is
    the latest at or before the moment of asking."""
    text = _LOWER_MONTH.sub(lambda found: f"{found[1]} {found[2].title()}", question)
    # "Where does April live?"
    named = [date for date in find(text) if not _is_bare(date) or _PREPOSED.search(text, 0, date.span[0])]
    return _period(named[-1], at) if named else None


def _is_bare(date: Named) -> bool:
    return date.year is None and date.day is None


def _is_word(date: Named, text: str) -> bool:
    written = text[slice(*date.span)].strip()
    begins = not text[: date.span[0]].strip() or text[: date.span[0]].rstrip()[-1] in ".!?"
    return _is_bare(date) and (not _FULL.fullmatch(written) or (begins and written in ("May", "March")))


def _named(match: re.Match[str]) -> Named:
    def part(*names: str) -> str | None:
        return next((match[name] for name in names if match[name]), None)

    year, day = part("iso_year", "first_year", "month_year", "year"), part("iso_day", "first_day", "day")
    month = part("first_month", "month")
    number = int(match["iso_month"]) if match["iso_month"] else _number(month) if month else None
    return Named(int(year) if year else None, number, int(day) if day else None, match.span())


def _number(month: str) -> int:
    return next(number for number, name in enumerate(MONTHS, 1) if name.startswith(month[:3].lower()))


def _period(named: Named, at: dt.datetime) -> Period | None:
    try:
        if named.year is not None:
            return _bounds(named, named.year)
        period = _bounds(named, at.year)
        return period if period.start <= at else _bounds(named, at.year - 1)
    except ValueError:
        # The 30th of February.
        return None


def _bounds(named: Named, year: int) -> Period:
    start = dt.datetime(year, named.month or 1, named.day or 1, tzinfo=dt.UTC)
    if named.day is not None:
        return Period(start, start + dt.timedelta(days=1), named)
    if named.month is None:
        return Period(start, start.replace(year=year + 1), named)
    return Period(start, (start + dt.timedelta(days=32)).replace(day=1), named)
