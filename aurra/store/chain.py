"""The rows that the chain covers: all of them in the order of their transactions, or those of memories to erase."""

import datetime as dt
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from msgspec.structs import replace

from aurra import chain
from aurra.chain import Hashed, Kind, Tombstone
from aurra.changes import (
    ClosedRow,
    ContentRow,
    EmbeddingRow,
    MemoryRow,
    OpenedRow,
    SlotRow,
    SourceRow,
    TransactionRow,
    bare,
    hashed_memory,
)
from aurra.store.pool import Transaction, vector_bytes
from aurra.store.queries import load
from aurra.verifying import Stored

_Q = load("chain")
_BROKEN = b""
"""Of a row whose salt is gone: no entry has it."""


class ChainHead(msgspec.Struct, frozen=True):
    last_tx: int
    last_at: dt.datetime
    last_hash: bytes
    period_start: dt.datetime
    writes_used: int


class Link(msgspec.Struct, frozen=True):
    hash: bytes


class StoredMemory(MemoryRow, frozen=True):
    """With the salt of its first content; metadata and extraction are JSON texts."""

    salt: bytes | None = None


class StoredEmbedding(EmbeddingRow, frozen=True):
    """With the salt of its content; the vector is the driver's."""

    salt: bytes | None = None


class StoredVersion(OpenedRow, frozen=True):
    """With the salt of its content."""

    salt: bytes | None = None


class StoredTombstone(msgspec.Struct, frozen=True):
    kind: Kind
    tx: int
    row_id: UUID
    hash: bytes
    tenant: bytes | None
    erased_by: int

    def tombstone(self) -> Tombstone:
        """As an entry lists it."""
        return Tombstone(kind=self.kind, tx=self.tx, row_id=self.row_id, hash=self.hash, tenant=self.tenant)


class StoredReason(msgspec.Struct, frozen=True):
    id: int
    reason_hash: bytes


class MemoryId(msgspec.Struct, frozen=True):
    id: UUID


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """Every row of some memories, and of what goes with them."""

    memories: list[StoredMemory]
    contents: list[ContentRow]
    embeddings: list[StoredEmbedding]
    versions: list[StoredVersion]
    sources: list[SourceRow]
    slots: list[SlotRow]
    reasons: list[StoredReason]
    others: list[UUID]
    """Memories that stay, though a turn they were made of goes."""


S = TypeVar("S", bound=msgspec.Struct)


async def head(tx: Transaction) -> ChainHead:
    """What the ledger says, as far as may be known. Raises LookupError for an account without one."""
    found = None if tx.up_to is None else await tx.row(_Q["head_up_to"], ChainHead)
    # Before the first transaction there is only the ledger.
    found = found or await tx.row(_Q["head"], ChainHead)
    if found is None:
        raise LookupError("the account has no ledger")
    return found if tx.up_to != 0 else replace(found, last_tx=0, last_hash=chain.GENESIS)


async def hash_of(tx: Transaction, number: int) -> bytes | None:
    """The stored hash of a transaction."""
    found = await tx.row(_Q["hash_of"], Link, after=number)
    return found and found.hash


def of_slot(row: SlotRow) -> Hashed:
    """A slot as the chain knows it."""
    return Hashed("slot", row.id, chain.salted(row.salt, bare(row)))


def of_source(row: SourceRow) -> Hashed:
    """A turn as the chain knows it; its metadata is a JSON text."""
    return Hashed("source", row.id, chain.salted(row.salt, bare(replace(row, metadata=_parsed(row.metadata)))))


def of_content(row: ContentRow) -> Hashed:
    """A content as the chain knows it."""
    return Hashed("content", row.id, chain.salted(row.salt, bare(row)))


def of_memory(row: StoredMemory) -> Hashed:
    """A memory as the chain knows it."""
    if row.salt is None:
        return Hashed("memory", row.id, _BROKEN)
    given = _as(MemoryRow, row, metadata=_parsed(row.metadata), extraction=_parsed(row.extraction))
    return Hashed("memory", row.id, hashed_memory(given, row.salt).hash)


def of_embedding(row: StoredEmbedding) -> Hashed:
    """A vector as the chain knows it."""
    given = _as(EmbeddingRow, row, vector=vector_bytes(row.vector))
    return Hashed("embedding", row.content_id, _BROKEN if row.salt is None else chain.salted(row.salt, given))


def of_opened(row: StoredVersion) -> Hashed:
    """A version's opening as the chain knows it."""
    given = _as(OpenedRow, row, tx_to=None, tx_to_at=None, replaced_by=None)
    return Hashed("opened", row.id, _BROKEN if row.salt is None else chain.salted(row.salt, given))


def of_closed(row: StoredVersion) -> Hashed:
    """A version's closing as the chain knows it."""
    if row.tx_to is None or row.tx_to_at is None:
        return Hashed("closed", row.id, _BROKEN)
    closed = ClosedRow(id=row.id, tx_to=row.tx_to, tx_to_at=row.tx_to_at, replaced_by=row.replaced_by)
    return Hashed("closed", row.id, closed.hash)


def _as(struct: type[S], row: S, **changed: Any) -> S:
    """The row without what the database adds to it."""
    values = {name: getattr(row, name) for name in struct.__struct_fields__}
    return struct(**{**values, **changed})


def _parsed(text: Any) -> Any:
    return None if text is None else msgspec.json.decode(text)


_WRITTEN: list[tuple[str, type[Any], Callable[[Any], int], Callable[[Any], Hashed]]] = [
    ("slots_written", SlotRow, lambda row: row.tx, of_slot),
    ("sources_written", SourceRow, lambda row: row.tx, of_source),
    ("memories_written", StoredMemory, lambda row: row.created_tx, of_memory),
    ("contents_written", ContentRow, lambda row: row.tx, of_content),
    ("embeddings_written", StoredEmbedding, lambda row: row.tx, of_embedding),
    ("versions_opened", StoredVersion, lambda row: row.tx_from, of_opened),
    ("versions_closed", StoredVersion, lambda row: row.tx_to, of_closed),
]


async def stored(tx: Transaction, after: int) -> AsyncGenerator[Stored]:
    """Each number after `after` of which anything is there, in order, with all that is there of it."""
    written = [_Rows(tx, name, struct, number, after) for name, struct, number, _ in _WRITTEN]
    transactions = _Rows(tx, "entries", TransactionRow, lambda row: row.id, after)
    stones = _Rows(tx, "tombstones_of", StoredTombstone, lambda row: row.tx, after)
    erased = _Rows(tx, "tombstones_by", StoredTombstone, lambda row: row.erased_by, after)
    every = [transactions, stones, erased, *written]
    for rows in every:
        await rows.advance()
    while numbers := [rows.number for rows in every if rows.number is not None]:
        number = min(numbers)
        entries = await transactions.take(number)
        yield Stored(
            number=number,
            transaction=entries[0] if entries else None,
            rows=[
                reckon(row)
                for rows, (_, _, _, reckon) in zip(written, _WRITTEN, strict=True)
                for row in await rows.take(number)
            ],
            tombstones=[row.tombstone() for row in await stones.take(number)],
            erased=[row.tombstone() for row in await erased.take(number)],
        )


class _Rows:
    """The rows of one query in the order of their transactions, taken number by number."""

    def __init__(
        self, tx: Transaction, query: str, struct: type[Any], number: Callable[[Any], int], after: int
    ) -> None:
        self._rows = tx.stream(_Q[query], struct, after=after)
        self._number_of = number
        self._next: Any = None
        self.number: int | None = None
        """Of the next row; None when there is none."""

    async def advance(self) -> None:
        """Moves to the next row."""
        self._next = await anext(self._rows, None)
        self.number = None if self._next is None else self._number_of(self._next)

    async def take(self, number: int) -> list[Any]:
        """All rows of the number."""
        taken: list[Any] = []
        while self.number == number:
            taken.append(self._next)
            await self.advance()
        return taken


async def matching(
    tx: Transaction,
    *,
    memory_id: UUID | None = None,
    tenant_id: str | None = None,
    session_id: str | None = None,
    subject_key: str | None = None,
) -> list[UUID]:
    """Memories that match all that is given, oldest first."""
    found = await tx.rows(
        _Q["memories_matching"],
        MemoryId,
        memory_id=memory_id,
        tenant_id=tenant_id,
        session_id=session_id,
        subject_key=subject_key,
    )
    return [row.id for row in found]


async def turns_matching(tx: Transaction, tenant_id: str, session_id: str | None) -> list[UUID]:
    """All turns of a session, or of the whole tenant."""
    rows = await tx.rows(_Q["sources_matching"], MemoryId, tenant_id=tenant_id, session_id=session_id)
    return [row.id for row in rows]


async def rows_of(tx: Transaction, memories: Sequence[UUID], turns: Sequence[UUID]) -> Rows:
    """Every row of the memories, of the turns, and of the turns that the memories came from."""
    named = await tx.rows(_Q["memories_named"], StoredMemory, memories=memories)
    contents = await tx.rows(_Q["contents_named"], ContentRow, memories=memories)
    versions = await tx.rows(_Q["versions_named"], StoredVersion, memories=memories)
    sources = list({*turns, *(row.source_id for row in named if row.source_id)})
    slots = list({row.slot_id for row in named if row.slot_id})
    numbers = {row.tx_from for row in versions} | {row.tx_to for row in versions if row.tx_to is not None}
    return Rows(
        memories=named,
        contents=contents,
        embeddings=await tx.rows(_Q["embeddings_named"], StoredEmbedding, contents=[row.id for row in contents]),
        versions=versions,
        sources=await tx.rows(_Q["sources_named"], SourceRow, sources=sources),
        slots=await tx.rows(_Q["slots_emptied"], SlotRow, slots=slots, memories=memories),
        reasons=await tx.rows(_Q["reasons_of"], StoredReason, numbers=list(numbers)),
        others=[row.id for row in await tx.rows(_Q["others_of"], MemoryId, sources=sources, memories=memories)],
    )
