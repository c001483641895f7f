"""Dates that words name: relative ones resolved beside what was said, and which dates a text names at all. Pure.

English only. What is vague ("recently", "the other day", "a few days ago"), ambiguous ("last Monday" said on a
Wednesday, "next weekend") or quoted from somebody else is left alone: a date that is missing can be asked for, a wrong
one is believed. The library proposes, and a second reckoning of our own must agree. Nothing depends on the machine's
clock or zone: the day that words are said on is an argument.
"""

import datetime as dt
import itertools
import re
from functools import lru_cache
from typing import Literal

import dateparser
import msgspec

from aurra.instants import MONTHS, WEEKDAYS

Grain = Literal["day", "week", "month", "year"]

_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_SUNDAY = 6
_EARLIEST_YEAR, _LATEST_YEAR = 1000, 9000
_LONGEST_SENTENCE = 2_000
"""Characters; what is longer is no sentence, and would take time that grows with its square."""
_MOST_IN_A_SENTENCE = 5
_COUNT = rf"[0-9]{{1,2}}|an?|{'|'.join(_NUMBERS)}"
_FORM = re.compile(
    rf"""(?<![\w'’-])(?:
      (?P<day>(?:the\s+)?day\s+(?:before\s+yesterday|after\s+tomorrow)|yesterday|today|tomorrow|tonight|last\s+night
        |this\s+(?:morning|afternoon|evening))
      |(?P<count>{_COUNT})\s+(?P<unit>day|week|month|year)s?\s+(?P<side>ago|from\s+now)
      |in\s+(?P<in_count>{_COUNT})\s+(?P<in_unit>day|week|month|year)s?
      |(?P<which>last|next|this\s+past|this\s+coming|this)\s+(?P<what>week|month|year|{"|".join(WEEKDAYS)})
    )(?:(?<!today)['’]s)?(?:\s+(?:morning|afternoon|evening|night))?(?![\w'’-])""",
    re.IGNORECASE | re.VERBOSE,
)
_MAYBE_RELATIVE = re.compile(r"day|morrow|night|morning|afternoon|evening|week|month|year", re.IGNORECASE)
"""A sentence without any of these has no relative date; that is known in 4 µs."""
_ROUGHLY = re.compile(
    r"\b(?:about|around|roughly|approximately|nearly|almost|over|under|than|least|most|like|or|to|half|and|only|within)"
    r"\s*$|[-–/]\s*$",
    re.IGNORECASE,
)
_A_SPAN_OF_TIME = re.compile(r"\b(?:the|every|each|any|that|these|all|whole|entire)\s*$", re.IGNORECASE)
_COUNTED_TO = re.compile(r"\b(?:ago|weeks?|fortnight)\s*$", re.IGNORECASE)
"""Of "a year ago today", the day is another."""
_WILL = re.compile(
    r"\b(?:will|shall|gonna|going to|due|starts?|begins?|ends?|expires?|leaves?|arrives?)\b|['’]ll\b", re.I
)
_BLURRED = re.compile(
    rf"\s*\(|\s+(?:of|or|and\s+a\s+half|before|after|ago)\b|\s+(?:on\s+)?(?:{'|'.join(WEEKDAYS)}|today|yesterday|last|this)\b"
    rf"|,?\s+(?:the\s+)?(?:on\s+)?(?:(?:{'|'.join(MONTHS)})\s+)?[0-9]+"
    r"(?![0-9]*\s+(?:day|week|month|year))",
    re.IGNORECASE,
)
_OPENS_A_SENTENCE = re.compile(r"(?:^|[.!?:;\n]|[\"“(])\s*$")
_OFFSETS = {
    "day before yesterday": -2,
    "yesterday": -1,
    "last night": -1,
    "today": 0,
    "tonight": 0,
    "this morning": 0,
    "this afternoon": 0,
    "this evening": 0,
    "tomorrow": 1,
    "day after tomorrow": 2,
}
_SAID_SIMPLY = {"last night": "yesterday", "tonight": "today"}
_WEEK = dt.timedelta(days=7)

_MONTH = rf"(?P<month>{'|'.join(MONTHS)})"
_DAY_OF_MONTH = r"(?P<day>[0-9]{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>(?:1[5-9]|2[01])[0-9]{2})"
_NAMED = tuple(
    re.compile(rf"\b{form}\b", re.IGNORECASE)
    for form in (
        r"(?P<year>[0-9]{4})-(?P<number>[0-9]{2})(?:-(?P<day>[0-9]{2}))?",
        rf"{_MONTH}\s+(?:the\s+)?{_DAY_OF_MONTH}(?:,?\s+{_YEAR})?",
        rf"{_DAY_OF_MONTH}\s+(?:of\s+)?{_MONTH}(?:,?\s+{_YEAR})?",
        rf"{_MONTH}(?:,?\s+(?:of\s+)?{_YEAR})?",
        _YEAR,
    )
)
"""From the most to the least that can be said; what one matched, the next do not see."""
_WEEKDAY = re.compile(rf"\b({'|'.join(WEEKDAYS)})s?\b", re.IGNORECASE)
_SLASHED = re.compile(r"\b[0-9]{1,4}[/.][0-9]{1,2}(?:[/.][0-9]{2,4})\b")
_ALSO_WORDS = frozenset({"may", "march"})
"""Months that are other words in lower case."""


class Resolved(msgspec.Struct, frozen=True):
    """A relative date: the characters that say it, and what it means, no finer than the words."""

    start: int
    end: int
    first: dt.date
    """The day; of a week its Monday, of a month or a year its first day."""
    grain: Grain

    @property
    def shown(self) -> str:
        """`2026-05-15`, `week of 2026-05-11`, `2026-04`, `2025`."""
        day = self.first.isoformat()
        match self.grain:
            case "day":
                return day
            case "week":
                return f"week of {day}"
            case "month":
                return day[:7]
            case "year":
                return day[:4]


class Named(msgspec.Struct, frozen=True):
    """As much of a date as a text names."""

    year: int | None = None
    month: int | None = None
    day: int | None = None

    def says_no_more_than(self, other: "Named") -> bool:
        """Whether the other has everything that this one has."""
        return self.year in (None, other.year) and self.month in (None, other.month) and self.day in (None, other.day)


def resolve(text: str, base: dt.datetime) -> list[Resolved]:
    """The relative dates of a text that was said at `base`, whose own date is the day it was said on."""
    if len(text) > _LONGEST_SENTENCE or not _EARLIEST_YEAR <= base.year <= _LATEST_YEAR:
        return []
    if not _MAYBE_RELATIVE.search(text):
        return []
    return [
        Resolved(match.start(), match.end(), *meant)
        for match in itertools.islice(_FORM.finditer(text), _MOST_IN_A_SENTENCE)
        if _is_said_plainly(text, match) and (meant := _meaning(match, base.date())) is not None
    ]


def beside(text: str, base: dt.datetime) -> str:
    """The text, each relative date that can be resolved followed by what it is: "last week (week of 2026-05-11)"."""
    parts: list[str] = []
    at = 0
    for one in resolve(text, base):
        parts += [text[at : one.end], f" ({one.shown})"]
        at = one.end
    return "".join([*parts, text[at:]])


def unsupported(text: str, quote: str, base: dt.datetime | None) -> bool:
    """Whether a text names a date that its quote, said at `base`, neither names nor means."""
    meant = [] if base is None else resolve(quote, base)
    allowed = {*_named(quote), *(_as_named(one) for one in meant)}
    if any(not any(one.says_no_more_than(other) for other in allowed) for one in set(_named(text))):
        return True
    weekdays = {match[1].lower() for match in _WEEKDAY.finditer(quote)}
    weekdays |= {WEEKDAYS[one.first.weekday()] for one in meant if one.grain == "day"}
    if any(match[1].lower() not in weekdays for match in _WEEKDAY.finditer(text)):
        return True
    if any(match[0] not in quote for match in _SLASHED.finditer(text)):
        return True
    said = _plain(quote)
    return any(_plain(match[0]) not in said for match in _FORM.finditer(text))


def _named(text: str) -> list[Named]:
    """The dates that a text names, each as far as it does."""
    found: list[Named] = []
    for form in _NAMED:
        for match in form.finditer(text):
            groups = match.groupdict()
            month = groups.get("month")
            if month in _ALSO_WORDS:
                continue
            found.append(
                Named(
                    year=_number(groups.get("year")),
                    month=MONTHS.index(month.lower()) + 1 if month else _number(groups.get("number")),
                    day=_number(groups.get("day")),
                )
            )
        text = form.sub(lambda match: match[0] if match.groupdict().get("month") in _ALSO_WORDS else " | ", text)
    return found


def _number(digits: str | None) -> int | None:
    return None if digits is None else int(digits)


def _as_named(one: Resolved) -> Named:
    return Named(
        year=one.first.year,
        month=None if one.grain == "year" else one.first.month,
        day=one.first.day if one.grain in ("day", "week") else None,
    )


def _plain(text: str) -> str:
    return " ".join(text.split()).lower()


def _is_said_plainly(text: str, match: re.Match[str]) -> bool:
    """Whether the words around leave no doubt: not quoted, not rough, not a span of time, not explained already."""
    before, after = text[: match.start()], text[match.end() :]
    if before.endswith(("'", "‘", '"', "“")) or before.count('"') % 2 or before.count("“") > before.count("”"):
        return False
    if match[0][0].isupper() and not _OPENS_A_SENTENCE.search(before):
        return False  # a title: "USA Today"
    if _BLURRED.match(after) or _COUNTED_TO.search(before):
        return False
    if match["count"] or match["in_count"]:
        return not _ROUGHLY.search(before) and (match["in_count"] is None or _WILL.search(before) is not None)
    return not (match["which"] and _A_SPAN_OF_TIME.search(before))


def _meaning(match: re.Match[str], said_on: dt.date) -> tuple[dt.date, Grain] | None:
    if match["day"]:
        words = _plain(match["day"]).removeprefix("the ")
        simply = _SAID_SIMPLY.get(words, "today" if words.startswith("this ") else words)
        return _agreed(simply, said_on, "past", said_on + dt.timedelta(days=_OFFSETS[words]), "day")
    if match["count"] or match["in_count"]:
        ahead = match["side"] is None or match["side"].lower() != "ago"
        count, unit = match["count"] or match["in_count"], (match["unit"] or match["in_unit"]).lower()
        return _counted(count.lower(), unit, said_on, ahead=ahead)
    return _which(_plain(match["which"]), match["what"].lower(), said_on)


def _counted(count: str, unit: str, said_on: dt.date, *, ahead: bool) -> tuple[dt.date, Grain] | None:
    """So many days, weeks, months or years ago, or from then on."""
    number = int(count) if count.isdigit() else _NUMBERS.index(count) + 1 if count in _NUMBERS else 1
    steps = number if ahead else -number
    words = f"in {number} {unit}s" if ahead else f"{number} {unit}s ago"
    return _moved(words, unit, steps, said_on)


def _moved(words: str, unit: str, steps: int, said_on: dt.date) -> tuple[dt.date, Grain] | None:
    """What the words mean, if it is as many units away; no finer than the unit."""
    match unit:
        case "day":
            return _agreed(words, said_on, "past", said_on + dt.timedelta(days=steps), "day")
        case "week":
            return _agreed(words, said_on, "past", said_on + steps * _WEEK, "week")
        case "month":
            months = said_on.year * 12 + said_on.month - 1 + steps
            return _agreed(words, said_on, "past", dt.date(months // 12, months % 12 + 1, 1), "month")
        case _:
            return _agreed(words, said_on, "past", dt.date(said_on.year + steps, 1, 1), "year")


def _which(which: str, what: str, said_on: dt.date) -> tuple[dt.date, Grain] | None:
    """Last, this or next week, month, year or day of the week."""
    # On a Sunday it depends on the country whether its week has begun.
    in_doubt = said_on.weekday() == _SUNDAY
    if what in ("month", "year") or (what == "week" and not in_doubt):
        steps = {"last": -1, "this": 0, "next": 1}.get(which)
        return None if steps is None else _moved(f"{which} {what}", what, steps, said_on)
    if what == "week":
        return None
    ahead = (WEEKDAYS.index(what) - said_on.weekday()) % 7
    monday = said_on - dt.timedelta(days=said_on.weekday())
    before, after = said_on - (_WEEK - dt.timedelta(days=ahead)), said_on + dt.timedelta(days=ahead or 7)
    match which:
        case "this past":
            return _agreed(what, said_on, "past", before, "day")
        case "this coming":
            return _agreed(what, said_on, "future", after, "day")
        # Two readings: the nearest one, and the one of the week before or after. Only where they agree is it clear.
        case "last" if before < monday and not in_doubt:
            return _agreed(what, said_on, "past", before, "day")
        case "next" if after >= monday + _WEEK and not in_doubt:
            return _agreed(what, said_on, "future", after, "day")
        case "this" if monday + _WEEK > said_on + dt.timedelta(days=ahead) and ahead and not in_doubt:
            return _agreed(what, said_on, "future", after, "day")
        case _:
            return None


def _agreed(
    words: str, said_on: dt.date, prefer: Literal["past", "future"], expected: dt.date, grain: Grain
) -> tuple[dt.date, Grain] | None:
    """The date, where the library makes of the words what was reckoned here."""
    found = _parsed(words, said_on, prefer)
    if found is None or _floor(found, grain) != _floor(expected, grain):
        return None
    return _floor(found, grain), grain


@lru_cache(maxsize=4096)
def _parsed(words: str, said_on: dt.date, prefer: str) -> dt.date | None:
    """What the library makes of the words; half a millisecond, hence kept."""
    settings = {
        "RELATIVE_BASE": dt.datetime(said_on.year, said_on.month, said_on.day, 12, tzinfo=dt.UTC),
        "TIMEZONE": "UTC",
        "TO_TIMEZONE": "UTC",
        "RETURN_AS_TIMEZONE_AWARE": False,
        "PREFER_DATES_FROM": prefer,
        "PREFER_DAY_OF_MONTH": "first",
        "PREFER_MONTH_OF_YEAR": "current",
        "PARSERS": ["relative-time", "absolute-time"],
    }
    found = dateparser.parse(words, languages=["en"], settings=settings)  # pyright: ignore[reportArgumentType]
    return None if found is None else found.date()


def _floor(day: dt.date, grain: Grain) -> dt.date:
    match grain:
        case "day":
            return day
        case "week":
            return day - dt.timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "year":
            return day.replace(month=1, day=1)
