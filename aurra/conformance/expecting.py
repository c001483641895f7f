"""What a law expects, and how its breach is told: what was looked at, what was wanted, what came."""

from collections.abc import Iterable
from typing import Any, cast

_FLEETING = ("freshness", "warnings")


class Broken(Exception):
    """A law does not hold: `what` was looked at, `wanted` should have come, `got` came."""

    def __init__(self, what: str, wanted: Any, got: Any) -> None:
        super().__init__(what)
        self.what, self.wanted, self.got = what, wanted, got


class NotAllowed(Exception):
    """The key lacks a scope that the law needs; nothing is known about the law."""


class Unreachable(Exception):
    """Nothing that speaks the contract answers at the address; one sentence."""


class KeyRefused(Exception):
    """The service answers and the suite cannot be played with this key; one sentence."""


def expect(actual: Any, wanted: Any, what: str) -> None:
    """Returns when they are equal. Raises Broken, which names the first place where they differ."""
    if actual != wanted:
        place, inner_wanted, inner_actual = _first_difference(wanted, actual, "")
        raise Broken(f"{what} (at {place})" if place else what, inner_wanted, inner_actual)


def lasting(value: Any) -> Any:
    """JSON without what changes by the clock alone."""
    if isinstance(value, dict):
        members = cast(dict[str, Any], value)
        return {name: lasting(inner) for name, inner in members.items() if name not in _FLEETING}
    if isinstance(value, list):
        return [lasting(inner) for inner in cast(list[Any], value)]
    return value


def _first_difference(wanted: Any, actual: Any, place: str) -> tuple[str, Any, Any]:
    for name, inner_wanted, inner_actual in _paired(wanted, actual):
        if inner_wanted != inner_actual:
            return _first_difference(inner_wanted, inner_actual, f"{place}.{name}".lstrip("."))
    return place, wanted, actual


def _paired(wanted: Any, actual: Any) -> Iterable[tuple[Any, Any, Any]]:
    """The members of two objects or two arrays of the same form, side by side; nothing for other values."""
    if isinstance(wanted, dict) and isinstance(actual, dict):
        left, right = cast(dict[str, Any], wanted), cast(dict[str, Any], actual)
        return [(name, left[name], right[name]) for name in left] if left.keys() == right.keys() else []
    if isinstance(wanted, list) and isinstance(actual, list):
        items, others = cast(list[Any], wanted), cast(list[Any], actual)
        return list(zip(range(len(items)), items, others, strict=True)) if len(items) == len(others) else []
    return []
