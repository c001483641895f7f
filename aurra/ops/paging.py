"""Pages of a list: where the page before ended, and the moment that all pages are read at."""

import datetime as dt
from collections.abc import Sequence
from typing import Protocol, TypeVar

import msgspec

from aurra import cursors, instants
from aurra.context import Context

C = TypeVar("C", bound=msgspec.Struct)
R = TypeVar("R")


class Asking(Protocol):
    """A request that may name a moment."""

    as_of: str | None
    transaction_as_of: int | str | None


class Placed(Protocol):
    """A cursor that names the moment of its list."""

    @property
    def number(self) -> int:
        """The transaction."""
        ...

    @property
    def as_of(self) -> dt.datetime | None:
        """The instant that was asked about."""
        ...


def place_of(ctx: Context, cursor: str | None, kind: type[C]) -> C | None:
    """Where the page before ended; None for the first. Raises BadRequest (invalid_cursor) for a cursor that this
    account, or the tenant that the key is pinned to, did not get from this list."""
    return cursors.decode(cursor, kind, ctx.owner, ctx.service.cursor_secret) if cursor else None


def times(request: Asking, place: Placed | None) -> tuple[str | None, int | str | None]:
    """`as_of` and `transaction_as_of`: those of the first page, whatever the request of a later one says."""
    if place is None:
        return request.as_of, request.transaction_as_of
    return instants.show_optional(place.as_of), place.number


def cut(rows: Sequence[R], limit: int) -> tuple[Sequence[R], R | None]:
    """The page, of rows of which one more than `limit` was asked for; and its last row, where more follow it."""
    page = rows[:limit]
    return page, page[-1] if len(rows) > limit else None


def cursor_to(ctx: Context, place: msgspec.Struct) -> str:
    """The cursor of the page after that place."""
    return cursors.encode(place, ctx.owner, ctx.service.cursor_secret)
