"""Which values and namespaces match, as LangGraph's own stores have it. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

_OPERATORS = ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte")


def matches(value: Mapping[str, Any], wanted: Mapping[str, Any] | None) -> bool:
    """Whether every field of the filter holds of the value.

    A field is compared whole, or by `$eq $ne $gt $gte $lt $lte`; order is that of numbers, or of texts, and nothing
    else is greater or less than anything. Raises ValueError for another operator.
    """
    return all(_holds(value.get(name), condition) for name, condition in (wanted or {}).items())


def is_named(namespace: Sequence[str], kind: Literal["prefix", "suffix"], path: Sequence[str]) -> bool:
    """Whether the namespace begins or ends with the path; `*` in it is any label."""
    if len(namespace) < len(path):
        return False
    part = namespace[: len(path)] if kind == "prefix" else namespace[len(namespace) - len(path) :]
    return all(wanted in ("*", label) for label, wanted in zip(part, path, strict=True))


def _holds(value: Any, condition: Any) -> bool:
    match condition:
        case dict():
            fields = cast("dict[str, Any]", condition)
            if any(name.startswith("$") for name in fields):
                return all(_compares(value, operator, other) for operator, other in fields.items())
            return isinstance(value, dict) and matches(cast("dict[str, Any]", value), fields)
        case list() | tuple():
            wanted = cast("Sequence[Any]", condition)
            items = cast("Sequence[Any]", value) if isinstance(value, (list, tuple)) else None
            return items is not None and len(items) == len(wanted) and all(map(_holds, items, wanted))
        case _:
            return _is_same(value, condition)


def _compares(value: Any, operator: str, other: Any) -> bool:
    match operator:
        case "$eq":
            return _is_same(value, other)
        case "$ne":
            return not _is_same(value, other)
        case "$gt" | "$gte" | "$lt" | "$lte":
            return _is_ordered(value, operator, other)
        case _:
            raise ValueError(f"There is no operator {operator}; use one of {', '.join(_OPERATORS)}.")


def _is_same(value: Any, other: Any) -> bool:
    """Equal in JSON: true is not 1."""
    return isinstance(value, bool) == isinstance(other, bool) and bool(value == other)


def _is_ordered(value: Any, operator: str, other: Any) -> bool:
    if not (_is_number(value) and _is_number(other)) and not (isinstance(value, str) and isinstance(other, str)):
        return False
    match operator:
        case "$gt":
            return value > other
        case "$gte":
            return value >= other
        case "$lt":
            return value < other
        case _:
            return value <= other


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
