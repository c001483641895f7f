"""What a sentence claims that can be checked word by word: names, numbers, dates, quotations. Pure.

A claim is said by what is cited, or it is not; how it is written does not matter: "1 March 2026" and "2026-03-01",
"1,200" and "1200", "three" and "3", "3rd" and "third", "KIM" and "Kim's" are equal.
"""

import datetime as dt
import re
from collections.abc import Iterable, Sequence

import msgspec

from aurra import periods
from aurra.instants import WEEKDAYS

_SMALL = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen twenty"""
_TENS = "thirty forty fifty sixty seventy eighty ninety hundred"
_ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
_SPELLED = {word: str(number) for number, word in enumerate(_SMALL.split())} | {
    word: str(10 * number) for number, word in enumerate(_TENS.split(), 3)
}
_SPELLED_ORDINALS = {word: str(number) for number, word in enumerate(_ORDINALS.split(), 1)}
_NOT_COUNTED = frozenset({"one", "zero"})
"""Spelled, these are mostly no numbers ("one of them"): they support a claim and make none."""

_FIGURE = re.compile(r"(?<![\w.])\d{1,3}(?:[,'’\u00a0\u202f]\d{3})+(?:\.\d+)?(?!\d)|\d+(?::\d{2})+|\d+(?:[.,]\d+)*")
_GROUPED = re.compile(r"\d{1,3}(?:[.,'’ \u00a0\u202f]\d{3})+(?!\d)")
_WORD = re.compile(r"[^\W\d_][\w]*(?:[-'’][^\W_]+)*")
_QUOTED = re.compile(r"[\"“]([^\"“”]{2,300})[\"”]")
_POSSESSIVE = re.compile(r"['’]s$|['’]$", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?:^|[.!?…:]['\"”’)]*\s+|[\"“(\n])\s*$")

_STARTERS = """a about according actually additionally after all also although among an and another any are as at
back based because before besides both but by can could currently despite did do does during each
earlier either even every finally first following for former formerly from furthermore given had has
have he her here hers his how however i if in initially instead is it its later many meanwhile
moreover most my neither next no nobody none nor not note nothing now of on once one only or
originally other our out over overall per perhaps previously recently second several she should
similarly since so some sometimes somebody someone soon still such that the their then there
therefore these they third this those though through thus to today together two under unfortunately
until up was we were what when where whereas whether which while who whom whose why will with within
without would yes yet you your"""
STARTERS = frozenset(_STARTERS.split())
"""Words that begin a sentence with a capital and are no names."""
_NEVER_NAMES = frozenset({"i", "i'm", "i've", "i'd", "i'll", "ok", "am", "pm", "mr", "mrs", "ms", "dr"})


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that some pieces of evidence say, ready to be compared with."""

    words: frozenset[str]
    numbers: frozenset[str]
    dates: tuple[periods.Named, ...]
    texts: tuple[str, ...]
    """Each text by itself: a quotation stands in one."""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A text with who said it, whom it is about, and the instants that it is dated by."""

    text: str
    names: tuple[str, ...] = ()
    instants: tuple[dt.datetime, ...] = ()


def said_by(sources: Iterable[Source]) -> Said:
    """What the sources say together; a day that a text names without its year has that of its source."""
    sources = list(sources)
    everything = [part for source in sources for part in (source.text, *source.names)]
    found = [date for source in sources for date in _dates_of(source)]
    return Said(
        words=frozenset(word for part in everything for word in words(part)),
        numbers=frozenset(number for part in everything for number in _numbers_said(part)),
        dates=tuple(found),
        texts=tuple(_flat(source.text) for source in sources),
    )


def unsupported(sentence: str, said: Said, names: Sequence[str] = ()) -> list[str]:
    """The claims of a sentence that nothing cited says, as the sentence writes them: quotations, dates, numbers, names.

    `names` are claims too, whether or not the sentence repeats them.
    """
    missing = [quoted for quoted in _QUOTED.findall(sentence) if not any(_flat(quoted) in text for text in said.texts)]
    left = _QUOTED.sub(lambda found: " " * len(found[0]), sentence)
    for date in periods.find(left):
        written = left[slice(*date.span)].strip()
        # "April" may be a name.
        if not any(date.is_part_of(other) for other in said.dates) and bare(written) not in said.words:
            missing.append(written)
    left = _without(left, [date.span for date in periods.find(left)])
    missing += [figure for figure, number in _numbers_claimed(left) if number not in said.numbers]
    missing += [name for name in names_in(left) if not _is_named(name, said)]
    missing += [name for name in names if not _is_named(name, said)]
    return list(dict.fromkeys(missing))


def words(text: str) -> list[str]:
    """The words of a text as they compare: lower case, without possessives; a hyphenated word is also its parts."""
    found: list[str] = []
    for match in _WORD.finditer(text):
        word = bare(match[0])
        found.append(word)
        found += [part for part in re.split(r"[-'’]", word) if part != word]
    return found


def bare(word: str) -> str:
    """A word in lower case, without a possessive ending."""
    return _POSSESSIVE.sub("", word).casefold()


def names_in(text: str) -> list[str]:
    """The words that are written as names: capitalised, and at the start of a sentence no common word."""
    found: list[str] = []
    for match in _WORD.finditer(text):
        word = _POSSESSIVE.sub("", match[0])
        if not word[0].isupper() or len(word) < 2 or word.casefold() in _NEVER_NAMES:
            continue
        starts = _SENTENCE_END.search(text, 0, match.start())
        if not (starts and (word.casefold() in STARTERS or word.endswith(("ing", "ly")))):
            found.append(word)
    return found


def _is_named(name: str, said: Said) -> bool:
    lowered = bare(name)
    if lowered in said.words:
        return True
    if lowered in WEEKDAYS:
        return any(_weekday(date) == lowered for date in said.dates)
    parts = re.split(r"[-'’]", lowered)
    # "Dogs are allowed" of "a dog is allowed": not a name, the first word of a sentence.
    return all(part in said.words or part.removesuffix("s") in said.words for part in parts)


def _weekday(date: periods.Named) -> str | None:
    if date.year is None or date.month is None or date.day is None:
        return None
    try:
        return WEEKDAYS[dt.date(date.year, date.month, date.day).weekday()]
    except ValueError:
        return None


def _numbers_claimed(text: str) -> list[tuple[str, str]]:
    """Each number as written, and as it compares."""
    found = [(match[0], _plain(match[0])) for match in _FIGURE.finditer(text)]
    for word in _WORD.findall(text):
        number = _SPELLED.get(word.lower())
        if number is not None and word.lower() not in _NOT_COUNTED:
            found.append((word, number))
    return found


def _numbers_said(text: str) -> set[str]:
    """The numbers of a text in every way that they may be read: "1.200" is 1.2 and 1200."""
    found = {_plain(figure) for figure in _FIGURE.findall(text)}
    found |= {re.sub(r"\D", "", grouped).lstrip("0") or "0" for grouped in _GROUPED.findall(text)}
    found |= {_plain(part) for part in re.findall(r"\d+", text)}
    spelled = _SPELLED | _SPELLED_ORDINALS
    return found | {spelled[word] for word in re.findall(r"[a-z]+", text.lower()) if word in spelled}


def _plain(figure: str) -> str:
    """A number without grouping, leading zeros or an empty fraction."""
    if ":" in figure:
        return figure.lstrip("0")
    if re.fullmatch(r"\d{1,3}(?:[,'’\u00a0\u202f]\d{3})+(?:\.\d+)?", figure):
        figure = re.sub(r"[^\d.]", "", figure)
    whole, _, fraction = figure.replace(",", ".").partition(".")
    fraction = fraction if "." in fraction else fraction.rstrip("0")
    return (whole.lstrip("0") or "0") + (f".{fraction}" if fraction else "")


def _dates_of(source: Source) -> list[periods.Named]:
    stamps = [periods.of(at) for at in source.instants]
    found = periods.find(source.text)
    dated = [periods.Named(stamp.year, date.month, date.day) for date in found if date.year is None for stamp in stamps]
    return [*found, *stamps, *dated]


def _flat(text: str) -> str:
    """As quotations compare: lower case, white space as one blank, plain apostrophes."""
    return " ".join(text.casefold().replace("’", "'").split()).strip(" .,;:!?")


def _without(text: str, spans: Iterable[tuple[int, int]]) -> str:
    for start, end in spans:
        text = text[:start] + " " * (end - start) + text[end:]
    return text
