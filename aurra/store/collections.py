"""Reading collections: where the rows are that a filter lets through, in the order asked for."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from uuid import UUID

import msgspec

from aurra.store import history
from aurra.store.pool import Transaction
from aurra.store.queries import load

_Q = load("collections")


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows: those that a jsonpath over what they show lets through; None is all."""

    path: str | None = None
    values: str = "{}"
    """The path's variables, as JSON."""
    used: tuple[str, ...] = ()
    """Names of what it looks at."""


class Order(msgspec.Struct, frozen=True):
    """One column to sort by."""

    name: str
    descending: bool
    nulls_first: bool


class MemoryPlace(msgspec.Struct, frozen=True):
    version: UUID
    created_at: dt.datetime
    memory_id: UUID
    valid_from: dt.datetime


class TransactionPlace(msgspec.Struct, frozen=True):
    id: int


class Placed(msgspec.Struct, frozen=True):
    parent: str
    total: int
    """All rows of the parent."""
    id: str | None
    """None where there is none on the page."""
    key: str | None
    """Its place in the order."""


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Of what there is, what may be read: of a tenant (None is all), as of both times."""

    tenant_id: str | None
    number: int = 0
    at: dt.datetime | None = None
    """The transaction's instant."""
    valid_at: dt.datetime | None = None
    now: dt.datetime | None = None


async def list_memories(
    tx: Transaction, scope: Scope, chosen: Selection, edge: MemoryPlace | None, *, backward: bool, limit: int
) -> list[MemoryPlace]:
    """Up to `limit` pieces after a place, newest first; or, backwards, before it, oldest first."""
    return await tx.rows(
        _Q["oldest_memories" if backward else "newest_memories"],
        MemoryPlace,
        tx=scope.number,
        tenant_id=scope.tenant_id,
        valid_at=scope.valid_at,
        filter=chosen.path,
        values=chosen.values,
        used=chosen.used,
        edge_at=edge and edge.created_at,
        edge_id=edge and edge.memory_id,
        edge_from=edge and edge.valid_from,
        limit=limit,
    )


async def list_transactions(
    tx: Transaction, scope: Scope, chosen: Selection, edge: int | None, *, backward: bool, limit: int
) -> list[TransactionPlace]:
    """Up to `limit` transactions before a number, newest first; or, backwards, after it, oldest first."""
    return await tx.rows(
        _Q["oldest_transactions" if backward else "newest_transactions"],
        TransactionPlace,
        tx=scope.number,
        filter=chosen.path,
        values=chosen.values,
        used=chosen.used,
        edge=edge,
        limit=limit,
        **history.scope(tx, scope.tenant_id),
    )


Name = Literal[
    "memories",
    "memories_of_subjects",
    "memories_of_conversations",
    "memories_of_transactions",
    "subjects",
    "conversations",
    "transactions",
    "transactions_of_keys",
    "keys",
]


async def list_placed(
    tx: Transaction,
    name: Name,
    scope: Scope,
    chosen: Selection,
    orders: Sequence[Order],
    edge: str | None,
    *,
    parents: Sequence[str],
    backward: bool,
    limit: int,
) -> list[Placed]:
    """Of each parent how many there are, and up to `limit` of them after a key of the order, or backwards before it; a
    parent that has none is not there."""
    arguments: Mapping[str, Any] = {
        **history.scope(tx, scope.tenant_id),
        "tx": scope.number,
        "at": scope.at,
        "valid_at": scope.valid_at,
        "now": scope.now,
        "filter": chosen.path,
        "values": chosen.values,
        "used": list(dict.fromkeys([*chosen.used, *(order.name for order in orders)])),
        "names": [order.name for order in orders],
        "descending": [order.descending for order in orders],
        "nulls_first": [order.nulls_first for order in orders],
        "edge": edge,
        "parents": parents,
        "backward": backward,
        "limit": limit,
    }
    return await tx.rows(_Q[name], Placed, **arguments)
