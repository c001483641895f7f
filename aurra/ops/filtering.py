"""What a filter over a row's columns means: a jsonpath, and the values that it names. Pure.

Columns are named as the fields of the Struct that shows a row; of which kind one is, its type says. What a filter says
that has no meaning here is refused: nothing is left out in silence. As in SQL, a comparison with what is absent is
unknown, `not` of unknown is unknown, and only what is true is let through.
"""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal, cast

import msgspec
from msgspec import inspect as shapes

from aurra import instants
from aurra.errors import BadRequest
from aurra.store.collections import Order, Selection

Kind = Literal["text", "choice", "number", "instant", "truth", "texts"]
Json = Mapping[str, Any]

MOST_PARTS = 200
"""Conditions, and groups of them."""
MOST_LEVELS = 10
MOST_VALUES = 1_000
MOST_ORDERS = 5
LONGEST_PATTERN = 200
"""Characters of `like` and `ilike`."""
_COMPARED = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
OPERATORS: dict[Kind, tuple[str, ...]] = {
    "text": ("eq", "neq", "in", "gt", "gte", "lt", "lte", "like", "ilike", "is"),
    "choice": ("eq", "neq", "in", "is"),
    "number": ("eq", "neq", "in", "gt", "gte", "lt", "lte", "is"),
    "instant": ("eq", "neq", "in", "gt", "gte", "lt", "lte", "is"),
    "truth": ("eq", "neq", "is"),
    "texts": ("contains", "overlaps"),
}
IS = ("NULL", "NOT_NULL")
ORDERS = {
    "AscNullsFirst": (False, True),
    "AscNullsLast": (False, False),
    "DescNullsFirst": (True, True),
    "DescNullsLast": (True, False),
}
"""Whether it descends, and whether nulls come first."""
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@cache
def kinds_of(shown: type[msgspec.Struct], names: tuple[str, ...]) -> dict[str, Kind]:
    """The kind of each column. Raises TypeError for one that no filter can look at."""
    type_ = shapes.type_info(shown)
    assert isinstance(type_, shapes.StructType)
    fields = {field.encode_name: field.type for field in type_.fields}
    return {name: _kind(name, fields[name]) for name in names}


def _kind(name: str, type_: shapes.Type, *, is_instant: bool = False) -> Kind:
    match type_:
        case shapes.Metadata():
            told = cast("Json", type_.extra_json_schema or {})
            return _kind(name, type_.type, is_instant=is_instant or told.get("format") == "date-time")
        case shapes.UnionType():
            [one] = [member for member in type_.types if not isinstance(member, shapes.NoneType)]
            return _kind(name, one, is_instant=is_instant)
        case shapes.StrType():
            return "instant" if is_instant else "text"
        case shapes.LiteralType():
            return "choice"
        case shapes.IntType():
            return "number"
        case shapes.BoolType():
            return "truth"
        case shapes.ListType(item_type=shapes.StrType()):
            return "texts"
        case _:
            raise TypeError(f"`{name}` cannot be a column of a collection")


class _Making:
    """A filter on its way to a path."""

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        self._kinds = kinds
        self.values: dict[str, Any] = {}
        self.used: set[str] = set()
        self._parts = 0

    def all_of(self, given: Json, at: str, level: int) -> str:
        if level > MOST_LEVELS:
            raise BadRequest(f"`filter` is nested deeper than {MOST_LEVELS} levels.", param="filter")
        self._count()
        return _joined("&&", [self._one(name, value, f"{at}.{name}", level) for name, value in given.items()], True)

    def _count(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise BadRequest(f"`filter` has more than {MOST_PARTS} conditions and groups of them.", param="filter")

    def _one(self, name: str, value: Any, at: str, level: int) -> str:
        if value is None:
            raise BadRequest(f"`{at}` is null: leave it out, or use `is: NULL`.", param=at)
        if name in ("and", "or"):
            parts = [self.all_of(part, f"{at}.{place}", level + 1) for place, part in enumerate(value)]
            return _joined("&&" if name == "and" else "||", parts, name == "and")
        if name == "not":
            return f"!{self.all_of(value, at, level + 1)}"
        self.used.add(name)
        column = f'$."{name}"'
        parts = [self._condition(self._kinds[name], column, op, said, f"{at}.{op}") for op, said in value.items()]
        return _joined("&&", parts, True)

    def _condition(self, kind: Kind, column: str, operator: str, value: Any, at: str) -> str:
        self._count()
        if value is None:
            raise BadRequest(f"`{at}` is null, which nothing equals: use `is: NULL`.", param=at)
        match operator:
            case "eq" | "neq":
                return f"({column} {'==' if operator == 'eq' else '!='} ${self._value(kind, value, at)})"
            case "in" | "overlaps":
                named = self._value(kind, value, at)
                column += "[*]" if operator == "overlaps" else ""
                return f"({column} == ${named}[*])" if value else _FALSE
            case "contains":
                named = self._value(kind, value, at)
                parts = [f"({column}[*] == ${named}[{place}])" for place in range(len(value))]
                return _joined("&&", parts, True)
            case "is":
                return f"{'' if value == 'NULL' else '!'}((exists({column})) is unknown)"
            case "like" | "ilike":
                flags = "s" if operator == "like" else "is"
                return f'({column} like_regex {_pattern(value, at)} flag "{flags}")'
            case _:
                return f"({column} {_COMPARED[operator]} ${self._value(kind, value, at)})"

    def _value(self, kind: Kind, value: Any, at: str) -> str:
        name = f"v{len(self.values)}"
        if isinstance(value, list):
            values = cast("list[Any]", value)
            if len(values) > MOST_VALUES:
                raise BadRequest(f"`{at}` has {len(values)} values; {MOST_VALUES} are allowed.", param=at)
            self.values[name] = [_stored(kind, one, at) for one in values]
        else:
            self.values[name] = _stored(kind, value, at)
        return name


_TRUE, _FALSE = "(1 == 1)", "(1 == 2)"


def _joined(operator: str, parts: Sequence[str], of_none: bool) -> str:
    if not parts:
        return _TRUE if of_none else _FALSE
    return f"({f' {operator} '.join(parts)})"


def _stored(kind: Kind, value: Any, at: str) -> Any:
    """A value as rows show it to filters."""
    if value is None:
        raise BadRequest(f"`{at}` holds null, which nothing equals: use `is: NULL`.", param=at)
    if kind == "instant":
        return (instants.parse(value, at) - _EPOCH) // dt.timedelta(microseconds=1)
    return value


def _pattern(like: str, at: str) -> str:
    """The regular expression of a LIKE pattern, as a literal of a path: % is any text, _ any character, and a backslash
    takes the next as it is."""
    if len(like) > LONGEST_PATTERN:
        raise BadRequest(f"`{at}` has {len(like)} characters; {LONGEST_PATTERN} are allowed.", param=at)
    if re.search(r"(?<!\\)(?:\\\\)*\\$", like):
        raise BadRequest(f"`{at}` ends with a single backslash: double it.", param=at)
    parts = [_piece(found[0]) for found in re.finditer(r"\\.|%+|_|.", like, re.DOTALL)]
    return msgspec.json.encode(f"^{''.join(parts)}$").decode()


def _piece(text: str) -> str:
    if text.startswith("%"):
        return ".*"
    if text == "_":
        return "."
    plain = text[-1]
    return plain if plain.isalnum() or not plain.isascii() else f"\\{plain}"


def selection(given: Json | None, kinds: Mapping[str, Kind]) -> Selection:
    """The rows that a filter lets through. Raises BadRequest for one that says what cannot be meant."""
    if given is None:
        return Selection()
    making = _Making(kinds)
    path = making.all_of(given, "filter", 1)
    return Selection(
        path=f"strict {path}", values=msgspec.json.encode(making.values).decode(), used=tuple(sorted(making.used))
    )


def orders(given: Sequence[Json] | None) -> tuple[Order, ...]:
    """The columns to sort by, in turn; each once. Raises BadRequest for more than five of them."""
    found: dict[str, Order] = {}
    for name, said in ((name, said) for one in given or () for name, said in one.items()):
        if said is None:
            raise BadRequest(f"`orderBy.{name}` is null: leave it out.", param=f"orderBy.{name}")
        found.setdefault(name, Order(name, *ORDERS[said]))
    if len(found) > MOST_ORDERS:
        raise BadRequest(f"`orderBy` has {len(found)} columns; {MOST_ORDERS} are allowed.", param="orderBy")
    return tuple(found.values())
