"""Collections: memories, subjects, transactions, conversations and keys, filtered and sorted by their columns, paged
both ways; of all that a key sees, or of several parents at once."""

import datetime as dt
from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from aurra import instants
from aurra.cursors import CollectionCursor
from aurra.errors import BadRequest
from aurra.ops import paging
from aurra.ops.api_keys import instant_of
from aurra.ops.listings import Collection
from aurra.ops.nodes import Node, Reader, Reading, Times
from aurra.store import collections as store
from aurra.store.collections import MemoryPlace, Name, Order, Placed, Scope, Selection
from aurra.store.pool import Transaction

MOST_ON_A_PAGE = 100
DEFAULT_ON_A_PAGE = 30


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A page that is asked for."""

    limit: int
    backward: bool = False
    """The last ones, rather than the first."""
    cursor: str | None = None
    chosen: Selection = Selection()
    orders: tuple[Order, ...] = ()
    """None is the natural order."""
    counted: bool = False

    @property
    def order(self) -> str:
        """The order, as cursors name it."""
        return ",".join(f"{one.name} {'-+'[one.descending]}{'-+'[one.nulls_first]}" for one in self.orders)


class Edge(msgspec.Struct, frozen=True):
    """A node, and its place."""

    node: Node
    place: CollectionCursor


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Part of a collection, in its order whichever end it is of."""

    edges: list[Edge]
    has_next: bool
    has_previous: bool
    total: int | None
    """All that the filter lets through, where that was asked for."""


class _Row(msgspec.Struct, frozen=True):
    id: str
    key: str


class _Found(msgspec.Struct):
    """Of one parent, one row more than the page holds."""

    rows: list[_Row]
    total: int = 0


def cursor_of(reader: Reader, edge: Edge) -> str:
    """The cursor of an edge: pages go on after it, or before it."""
    return paging.cursor_to(reader.ctx, edge.place)


async def read_page(reader: Reader, of: Collection, times: Times, tenant: str | None, asked: Asked) -> Page:
    """A page of all that the key sees, or of one tenant. Raises BadRequest (invalid_cursor) as lists do."""
    place = _place(reader, of, of.name, asked)
    async with reader.snapshot() as tx:
        if place is not None:
            times = Times(instants.show_optional(place.as_of), place.number)
        moment = await reader.moment(tx, times) if of.has_moment else None
        reading = Reading(moment=moment, tenant_id=tenant)
        found = await _found(reader, tx, of, reading, asked, place)
        [page] = (await _pages(reader, tx, of, of.name, reading, asked, {"": found})).values()
        return page


async def read_pages(
    reader: Reader, of: Collection, name: Name, reading: Reading, parents: Sequence[str], asked: Asked
) -> dict[str, Page | BadRequest]:
    """A page of each parent, at the moment that the parents were read at. A cursor is one of one of them."""
    place = _place(reader, of, name, asked)
    asking = [parent for parent in parents if place is None or place.parent == parent]
    orders = asked.orders or of.natural
    async with reader.snapshot() as tx:
        moment = reading.moment or await reader.moment(tx, Times())
        if place is not None:
            moment = await reader.moment(tx, Times(instants.show_optional(place.as_of), place.number))
        at = Reading(moment=moment, tenant_id=reading.tenant_id)
        rows = await store.list_placed(
            tx,
            name,
            await _scope(reader, tx, of, at),
            asked.chosen,
            _told_apart(of, orders),
            place and place.key,
            parents=asking,
            backward=asked.backward,
            limit=asked.limit + 1,
        )
        found = {parent: _Found([]) for parent in asking}
        for row in rows:
            _take(found[row.parent], row)
        pages = await _pages(reader, tx, of, name, at, asked, found)
    return {parent: pages.get(parent) or _not_its_cursor() for parent in parents}


async def _found(
    reader: Reader, tx: Transaction, of: Collection, reading: Reading, asked: Asked, place: CollectionCursor | None
) -> _Found:
    scope = await _scope(reader, tx, of, reading)
    edge, most = place and place.key, asked.limit + 1
    if asked.orders or of.name not in ("memories", "transactions"):
        orders = _told_apart(of, asked.orders or of.natural)
        return _gathered(
            await store.list_placed(
                tx, of.name, scope, asked.chosen, orders, edge, parents=(), backward=asked.backward, limit=most
            )
        )
    # In its natural order what is long is read along an index, as far as the page goes.
    if of.name == "memories":
        after = _memory_place(edge) if edge else None
        listed = await store.list_memories(tx, scope, asked.chosen, after, backward=asked.backward, limit=most)
        found = _Found([_Row(str(row.version), _memory_key(row)) for row in listed])
    else:
        number = int(edge) if edge else None
        entries = await store.list_transactions(tx, scope, asked.chosen, number, backward=asked.backward, limit=most)
        found = _Found([_Row(str(row.id), str(row.id)) for row in entries])
    if asked.counted:
        counting = store.list_placed(tx, of.name, scope, asked.chosen, (), None, parents=(), backward=False, limit=0)
        found.total = _gathered(await counting).total
    return found


def _gathered(rows: Sequence[Placed]) -> _Found:
    found = _Found([])
    for row in rows:
        _take(found, row)
    return found


def _take(found: _Found, row: Placed) -> None:
    found.total = row.total
    if row.id is not None and row.key is not None:
        found.rows.append(_Row(row.id, row.key))


async def _pages(
    reader: Reader,
    tx: Transaction,
    of: Collection,
    name: Name,
    reading: Reading,
    asked: Asked,
    found: dict[str, _Found],
) -> dict[str, Page]:
    """The pages, all their nodes fetched at once."""
    kept = {parent: one.rows[: asked.limit] for parent, one in found.items()}
    ids = list(dict.fromkeys(row.id for rows in kept.values() for row in rows))
    none: Mapping[str, Node] = {}
    fetched: Mapping[str, Node] = await of.fetch(reader, tx, reading, ids) if ids else none
    pages: dict[str, Page] = {}
    for parent, one in found.items():
        more, other = len(one.rows) > asked.limit, asked.cursor is not None
        rows = kept[parent][::-1] if asked.backward else kept[parent]
        edges = [Edge(fetched[row.id], _place_of(name, parent, asked, row.key, reading)) for row in rows]
        pages[parent] = Page(
            edges=edges,
            has_next=other if asked.backward else more,
            has_previous=more if asked.backward else other,
            total=one.total if asked.counted else None,
        )
    return pages


async def _scope(reader: Reader, tx: Transaction, of: Collection, reading: Reading) -> Scope:
    if not of.has_moment:
        return Scope(tenant_id=reader.ctx.caller.tenant_id, now=await instant_of(reader.ctx, tx))
    at = reading.at
    return Scope(tenant_id=reading.tenant_id, number=at.number, at=at.at, valid_at=at.valid_at)


def _told_apart(of: Collection, orders: Sequence[Order]) -> tuple[Order, ...]:
    """The order, in which no two rows are at one place."""
    return (*orders, Order(of.unique, False, False))


def _place(reader: Reader, of: Collection, name: Name, asked: Asked) -> CollectionCursor | None:
    """The place that a cursor names. Raises BadRequest for one of another owner, list or order."""
    if asked.cursor is None:
        return None
    # An empty text is a cursor that was never given.
    place = paging.place_of(reader.ctx, asked.cursor, CollectionCursor)
    if place is None or (place.collection, place.order) != (name, asked.order):
        raise BadRequest("This cursor is of another collection, or of another order.", code="invalid_cursor")
    return place


def _place_of(name: Name, parent: str, asked: Asked, key: str, reading: Reading) -> CollectionCursor:
    moment = reading.moment
    return CollectionCursor(
        name, parent, asked.order, key, moment.number if moment else 0, moment.as_of if moment else None
    )


def _not_its_cursor() -> BadRequest:
    return BadRequest("This cursor is one of another parent.", code="invalid_cursor")


def _memory_key(row: MemoryPlace) -> str:
    return f"{row.created_at.isoformat()}|{row.memory_id}|{row.valid_from.isoformat()}"


def _memory_place(key: str) -> MemoryPlace:
    created_at, memory_id, valid_from = key.split("|")
    id_ = UUID(memory_id)
    return MemoryPlace(id_, dt.datetime.fromisoformat(created_at), id_, dt.datetime.fromisoformat(valid_from))
