"""Filters and orders in plain Python: what the database's way is held to. Three values of truth; None is unknown."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cmp_to_key
from typing import Any

Row = Mapping[str, Any]
Truth = bool | None


def holds(given: Mapping[str, Any], row: Row) -> Truth:
    """Whether a row passes a filter."""
    return _all([_one(name, value, row) for name, value in given.items()])


def _one(name: str, value: Any, row: Row) -> Truth:
    if name == "and":
        return _all([holds(part, row) for part in value])
    if name == "or":
        return _any([holds(part, row) for part in value])
    if name == "not":
        return _not(holds(value, row))
    return _all([_condition(row[name], operator, said) for operator, said in value.items()])


def _condition(found: Any, operator: str, said: Any) -> Truth:
    if operator == "is":
        return (found is None) == (said == "NULL")
    if operator == "in" and not said:
        return False
    if operator == "contains":
        return set(said) <= set(found)
    if operator == "overlaps":
        return bool(set(said) & set(found))
    if found is None:
        return None
    compare: dict[str, Callable[[], bool]] = {
        "eq": lambda: found == said,
        "neq": lambda: found != said,
        "in": lambda: found in said,
        "gt": lambda: found > said,
        "gte": lambda: found >= said,
        "lt": lambda: found < said,
        "lte": lambda: found <= said,
        "like": lambda: re.fullmatch(_regex(said), found, re.DOTALL) is not None,
        "ilike": lambda: re.fullmatch(_regex(said), found, re.DOTALL | re.IGNORECASE) is not None,
    }
    return compare[operator]()


def _regex(like: str) -> str:
    parts = re.findall(r"\\.|%|_|.", like, re.DOTALL)
    special = {"%": ".*", "_": "."}
    return "".join(special.get(part) or re.escape(part[-1]) for part in parts)


def _all(parts: list[Truth]) -> Truth:
    return False if False in parts else None if None in parts else True


def _any(parts: list[Truth]) -> Truth:
    return True if True in parts else None if None in parts else False


def _not(part: Truth) -> Truth:
    return None if part is None else not part


def in_order(rows: Sequence[Row], orders: list[tuple[str, str]], unique: str) -> list[Row]:
    """The rows by columns and their directions, such as `DescNullsLast`; what is alike in all, by what is unique."""

    def compare(one: Row, other: Row) -> int:
        for name, direction in [*orders, (unique, "AscNullsLast")]:
            a, b = one[name], other[name]
            if a == b:
                continue
            if a is None or b is None:
                return -1 if (a is None) == direction.endswith("NullsFirst") else 1
            return -1 if (a < b) == direction.startswith("Asc") else 1
        return 0

    return sorted(rows, key=cmp_to_key(compare))
