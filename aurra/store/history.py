"""Reading history: transactions, what they opened and closed, and versions with what they say."""

import datetime as dt
from collections.abc import Collection, Sequence
from uuid import UUID

import msgspec

from aurra import texts
from aurra.difference import Rectangle
from aurra.store.pool import Transaction
from aurra.store.queries import load

_Q = load("history")


class Number(msgspec.Struct, frozen=True):
    number: int


class EntryRow(msgspec.Struct, frozen=True):
    id: int
    at: dt.datetime
    verb: str
    actor: str
    reason: str | None
    request_id: str
    model: str | None
    writes: int
    opened: int
    closed: int
    erased: int
    hash: bytes


class TouchedRow(msgspec.Struct, frozen=True):
    version: UUID
    is_opened: bool


class StatedRow(msgspec.Struct, frozen=True):
    version: UUID
    memory_id: UUID
    tenant_id: str
    valid_from: dt.datetime
    valid_to: dt.datetime | None
    tx_from: int
    tx_from_at: dt.datetime
    tx_to: int | None
    tx_to_at: dt.datetime | None
    op: str
    superseded_by: UUID | None
    replaced_by: UUID | None
    text: str
    subject: str | None
    attribute: str | None


class SizeRow(msgspec.Struct, frozen=True):
    bytes: int


class ErasedRow(msgspec.Struct, frozen=True):
    memory_id: UUID
    erased_by: int


class CauseRow(msgspec.Struct, frozen=True):
    id: int
    verb: str
    actor: str
    reason: str | None


async def entries_after(
    tx: Transaction, after: int, number: int, tenant_id: str | None, *, limit: int
) -> list[EntryRow]:
    """Transactions after a number and up to another, oldest first; of a tenant, only those that touched it."""
    return await tx.rows(_Q["entries_after"], EntryRow, after=after, tx=number, limit=limit, **scope(tx, tenant_id))


async def entries_before(tx: Transaction, number: int, tenant_id: str | None, *, limit: int) -> list[EntryRow]:
    """Transactions up to a number, newest first; of a tenant, only those that touched it."""
    return await tx.rows(_Q["entries_before"], EntryRow, tx=number, limit=limit, **scope(tx, tenant_id))


async def find_entry(tx: Transaction, number: int, tenant_id: str | None) -> EntryRow | None:
    """One transaction; of a tenant, only if it touched it."""
    return await tx.row(_Q["entry"], EntryRow, id=number, **scope(tx, tenant_id))


async def several(tx: Transaction, numbers: Sequence[int], tenant_id: str | None) -> list[EntryRow]:
    """The transactions of these numbers, in no order; of a tenant, only those that touched it."""
    return await tx.rows(_Q["several"], EntryRow, ids=numbers, **scope(tx, tenant_id))


async def opened_and_closed(tx: Transaction, number: int, tenant_id: str | None) -> list[TouchedRow]:
    """The versions that a transaction opened, then those that it closed, by memory, in valid order."""
    return await tx.rows(_Q["opened_and_closed"], TouchedRow, id=number, tenant_id=tenant_id)


async def size(tx: Transaction, versions: Sequence[UUID]) -> int:
    """Bytes of what the versions say."""
    row = await tx.row(_Q["size"], SizeRow, versions=versions)
    return row.bytes if row else 0


async def stated(tx: Transaction, number: int, versions: Sequence[UUID]) -> list[StatedRow]:
    """The versions with what they say, in the order asked, as known at the transaction."""
    return await tx.rows(_Q["stated"], StatedRow, tx=number, versions=versions)


async def touched(
    tx: Transaction, first: int, last: int, tenant_id: str, at: dt.datetime | None, *, limit: int
) -> list[Rectangle]:
    """A tenant's versions opened or closed over (first, last]; with an instant, only of lanes where one of them holds
    it."""
    return await tx.rows(_Q["touched"], Rectangle, first=first, last=last, tenant_id=tenant_id, at=at, limit=limit)


async def erased(tx: Transaction, first: int, last: int, tenant_id: str, *, limit: int) -> list[ErasedRow]:
    """A tenant's memories erased over (first, last], in that order."""
    digest = texts.tenant_digest(tx.company_id, tenant_id)
    return await tx.rows(_Q["erased"], ErasedRow, first=first, last=last, digest=digest, limit=limit)


async def causes(tx: Transaction, numbers: Collection[int]) -> list[CauseRow]:
    """Who made each of the transactions, by which verb, and why."""
    return await tx.rows(_Q["causes"], CauseRow, ids=sorted(numbers)) if numbers else []


async def shared(tx: Transaction, numbers: Collection[int], tenant_id: str) -> set[int]:
    """Which of the transactions touched another tenant than this one."""
    if not numbers:
        return set()
    rows = await tx.rows(_Q["shared"], Number, ids=sorted(numbers), **scope(tx, tenant_id))
    return {row.number for row in rows}


def scope(tx: Transaction, tenant_id: str | None) -> dict[str, str | bytes | None]:
    """What statements about a tenant's transactions, or with None about all, are run with."""
    digest = None if tenant_id is None else texts.tenant_digest(tx.company_id, tenant_id)
    return {"tenant_id": tenant_id, "digest": digest}
