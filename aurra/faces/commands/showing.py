"""Answers for people: details as `name: value`, lists as tables. What others wrote cannot steer the terminal."""

import re
import shutil
import unicodedata
from collections.abc import Sequence
from typing import Any, TypeGuard, cast

import msgspec

Json = dict[str, Any]
_GAP = 2
_TEXT_WIDTH = 24
"""What a column of texts has at least, where there is little room."""
_INSTANT = re.compile(r"(\d{4,5}-\d\d-\d\d)T(\d\d:\d\d:\d\d)\.\d{6}\+00:00")
_STEERING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_NOTHING: tuple[Any, ...] = (None, "", [], {})


class Column(msgspec.Struct):
    """A column of a table."""

    name: str
    width: int
    is_number: bool


def width() -> int:
    """How wide the terminal is; 100 where there is none."""
    return max(40, shutil.get_terminal_size((100, 24)).columns)


def safe(text: str) -> str:
    """The text without what moves a cursor or turns the direction of writing; line feeds stay."""
    return _STEERING.sub(lambda match: match[0].encode("unicode_escape", "surrogatepass").decode(), text)


def details(answer: Json, columns: int, indent: str = "") -> list[str]:
    """What an answer says, a line each: plain values first, then what has parts. What is empty is left out."""
    given = {name: value for name, value in answer.items() if value not in _NOTHING}
    plain = {name: value for name, value in given.items() if _is_plain(value)}
    lines = [line for name, value in plain.items() for line in _line(name, cell(value), indent)]
    for name, value in given.items():
        if name not in plain:
            lines.append(f"{indent}{safe(name)}:")
            lines += _parts(value, columns, indent + "  ")
    return lines


def _parts(value: Any, columns: int, indent: str) -> list[str]:
    if isinstance(value, dict):
        return details(cast("Json", value), columns, indent)
    rows = cast("list[Any]", value)
    if all(isinstance(row, dict) for row in rows):
        shape = layout(rows, columns - len(indent))
        return [indent + line for line in (header(shape), *table(rows, shape))]
    return [f"{indent}{msgspec.json.encode(row).decode()}" for row in rows]


def _line(name: str, text: str, indent: str) -> list[str]:
    """`name: value`; a text of several lines stands below its name."""
    first, *more = text.split("\n")
    if not more:
        return [f"{indent}{safe(name)}: {first}"]
    return [f"{indent}{safe(name)}:", *(f"{indent}  {line}" for line in (first, *more))]


def layout(rows: Sequence[Json], columns: int) -> list[Column]:
    """The columns of a table: in the order in which the rows have them, as many as there is room for.

    Left out is what is empty, what has parts, and what only says the same as a column before. Ids, numbers and
    instants are never cut; texts share the room that is left.
    """
    wanted: list[Column] = []
    least: list[int] = []
    seen: list[list[str]] = []
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row.get(name) for row in rows]
        cells = [_flat(value) for value in values]
        if not all(map(_is_plain, values)) or not any(cells) or cells in seen:
            continue
        seen.append(cells)
        widest = max(_width(name), *map(_width, cells))
        wanted.append(Column(name, widest, all(_is_number(value) for value in values)))
        least.append(max(_width(name), min(widest, _TEXT_WIDTH)) if any(" " in one for one in cells) else widest)
    return _fitted(wanted, least, columns)


def _fitted(wanted: list[Column], least: list[int], columns: int) -> list[Column]:
    chosen: list[tuple[Column, int]] = []
    room = columns
    for column, narrowest in zip(wanted, least, strict=True):
        if narrowest <= room or not chosen:
            chosen.append((column, narrowest))
            room -= narrowest + _GAP
    room += _GAP
    for column, narrowest in chosen:
        more = max(0, min(room, column.width - narrowest))
        column.width, room = narrowest + more, room - more
    return [column for column, _ in chosen]


def header(shape: list[Column]) -> str:
    """The names of the columns."""
    return _joined([_filled(column.name.upper(), column) for column in shape])


def table(rows: Sequence[Json], shape: list[Column]) -> list[str]:
    """A line for each row."""
    return [_joined([_filled(_flat(row.get(column.name)), column) for column in shape]) for row in rows]


def _joined(cells: list[str]) -> str:
    return (" " * _GAP).join(cells).rstrip()


def _filled(text: str, column: Column) -> str:
    text = _cut(text, column.width)
    space = " " * (column.width - _width(text))
    return space + text if column.is_number else text + space


def _cut(text: str, columns: int) -> str:
    """The text, or as much of its beginning as there is room for, and an ellipsis."""
    if _width(text) <= columns:
        return text
    kept, used = "", 0
    for character in text:
        used += _width(character)
        if used >= columns:
            break
        kept += character
    return kept + "…"


def _width(text: str) -> int:
    """How many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0
        if unicodedata.category(character) in ("Mn", "Me", "Cf")
        else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
    )


def _flat(value: Any) -> str:
    return " ".join(cell(value).split())


def cell(value: Any) -> str:
    """A plain value as text; an instant to the second, a transaction with its instant."""
    if value in _NOTHING:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join(cell(one) for one in cast("list[Any]", value))
    if _is_transaction(value):
        return f"{value['id']} ({cell(value['at'])})"
    return safe(_INSTANT.sub(_short, str(value)))


def _short(match: re.Match[str]) -> str:
    return match[1] if match[2] == "00:00:00" and ".000000" in match[0] else f"{match[1]}T{match[2]}Z"


def _is_plain(value: Any) -> bool:
    """Whether it fits a cell."""
    if isinstance(value, list):
        return not any(isinstance(one, dict | list) for one in cast("list[Any]", value))
    return not isinstance(value, dict) or _is_transaction(value)


def _is_transaction(value: Any) -> TypeGuard[Json]:
    return isinstance(value, dict) and cast("Json", value).keys() == {"id", "at"}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
