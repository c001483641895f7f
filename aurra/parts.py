"""A long text in parts that an embedder reads whole: cut at the ends of sentences, with a little overlap. Pure."""

import re
from collections.abc import Callable, Iterator

MOST = 32
"""Parts of one text. What it says after them is found by its words alone."""

OVERLAP = 0.25
"""Of the room: a part begins with the last sentence of the one before, where that takes no more."""

LONGEST = 1_000
"""Characters of one sentence; a longer one, or a text without any, is cut between words."""

# Ends of sentences: a mark followed by white space, an ideographic mark, an end of line.
_END = re.compile(r"[.!?…][\"'”’»)\]]*(?=\s)|[。！？｡]|\n")

Length = Callable[[str], int]
"""How much of an embedder's window a text takes."""

Span = tuple[int, int]


def cut(text: str, room: int, length: Length) -> list[str]:
    """The text itself where it fits the room; else its first parts, `MOST` at most, each of which fits."""
    parts: list[str] = []
    held: list[tuple[Span, int]] = []
    for span in _pieces(text, room, length):
        size = length(text[slice(*span)])
        if held and sum(taken for _, taken in held) + size > room:
            parts.append(_joined(text, held))
            if len(parts) == MOST:
                return parts
            taken = held[-1][1]
            held = held[-1:] if taken <= room * OVERLAP and taken + size <= room else []
        held.append((span, size))
    return [*parts, _joined(text, held)] if parts else [text]


def _joined(text: str, held: list[tuple[Span, int]]) -> str:
    return "".join(text[slice(*span)] for span, _ in held).strip()


def _pieces(text: str, room: int, length: Length) -> Iterator[Span]:
    """The sentences, one after the other; those that are too long, in halves between words."""
    for start, end in _sentences(text):
        yield from _halves(text, start, end, room, length)


def _sentences(text: str) -> Iterator[Span]:
    """What is not blank, in sentences of at most `LONGEST` characters."""
    start = 0
    while start < len(text):
        mark = _END.search(text, start, min(len(text), start + LONGEST))
        end = mark.end() if mark else _between_words(text, start, min(len(text), start + LONGEST))
        if text[start:end].strip():
            yield start, end
        start = end


def _halves(text: str, start: int, end: int, room: int, length: Length) -> Iterator[Span]:
    if end - start <= 1 or length(text[start:end]) <= room:
        yield start, end
        return
    middle = _between_words(text, start, (start + end) // 2)
    yield from _halves(text, start, middle, room, length)
    yield from _halves(text, middle, end, room, length)


def _between_words(text: str, start: int, limit: int) -> int:
    """The last place up to `limit` where a word begins; `limit` where that would leave nothing, or the text ends."""
    if limit == len(text):
        return limit
    space = max(text.rfind(white, start + 1, limit) for white in " \t\n")
    return space + 1 if space > start else limit
