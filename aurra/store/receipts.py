"""Receipts of answers: written once, read, never changed; gone with a memory that they name."""

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

import msgspec

from aurra.store.pool import Transaction
from aurra.store.queries import load

_Q = load("receipts")
EVIDENCE_IS_THERE = "receipt_evidence_is_there"
"""The rule that a receipt names only memories which are there."""


class ReceiptRow(msgspec.Struct, frozen=True):
    id: UUID
    tenant_id: str
    key_id: str
    request_id: str
    at: dt.datetime
    tx: int
    valid_at: dt.datetime | None
    request: str
    search_type: str
    embedder: str | None
    ranker: str
    provider: str | None
    model: str | None
    rung: str | None
    prompt_version: str | None
    prompt_hash: bytes | None
    answer: str
    answer_hash: bytes
    grounded: bool
    refused: bool
    known_up_to: int | None
    """The newest transaction that whoever asked could know of."""


class EvidenceRow(msgspec.Struct, frozen=True):
    place: int
    memory_id: UUID
    version_id: UUID
    is_cited: bool


class CountRow(msgspec.Struct, frozen=True):
    receipt_id: UUID
    considered: int
    cited: int


class UseRow(msgspec.Struct, frozen=True):
    id: UUID
    at: dt.datetime
    is_cited: bool
    total: int


class BrokenRow(msgspec.Struct, frozen=True):
    receipt_id: UUID
    memory_id: UUID
    number: int
    at: dt.datetime
    verb: str


class Place(msgspec.Struct, frozen=True):
    """Where a list of receipts goes on: after this one."""

    at: dt.datetime
    id: UUID


async def store(tx: Transaction, row: ReceiptRow, evidence: Sequence[EvidenceRow]) -> None:
    """Writes the receipt. The transaction fails by the rule EVIDENCE_IS_THERE when a memory was erased meanwhile."""
    await tx.execute(
        _Q["store"],
        **msgspec.structs.asdict(row),
        memories=[one.memory_id for one in evidence],
        versions=[one.version_id for one in evidence],
        cited=[one.is_cited for one in evidence],
    )


async def find(tx: Transaction, receipt_id: UUID) -> ReceiptRow | None:
    """One receipt."""
    return await tx.row(_Q["find"], ReceiptRow, id=receipt_id)


async def evidence(tx: Transaction, receipt_id: UUID) -> list[EvidenceRow]:
    """What was considered, in order."""
    return await tx.rows(_Q["evidence"], EvidenceRow, id=receipt_id)


async def page(
    tx: Transaction, tenant_id: str, memory_id: UUID | None, after: Place | None, *, limit: int
) -> list[ReceiptRow]:
    """Up to `limit` receipts of a tenant after a place, newest first; with a memory, those that considered it."""
    where = {"tenant_id": tenant_id, "after_at": after and after.at, "after_id": after and after.id, "limit": limit}
    if memory_id is None:
        return await tx.rows(_Q["page"], ReceiptRow, **where)
    return await tx.rows(_Q["page_of_memory"], ReceiptRow, memory_id=memory_id, **where)


async def counts(tx: Transaction, receipts: Sequence[UUID]) -> dict[UUID, CountRow]:
    """How many memories each considered and cites; a receipt without evidence is not in it."""
    found = await tx.rows(_Q["counts"], CountRow, receipts=receipts) if receipts else []
    return {row.receipt_id: row for row in found}


async def uses(tx: Transaction, memory_id: UUID, *, limit: int) -> list[UseRow]:
    """The newest answers that considered a memory."""
    return await tx.rows(_Q["uses"], UseRow, memory_id=memory_id, limit=limit)


async def broken(tx: Transaction, receipts: Sequence[UUID]) -> dict[UUID, list[BrokenRow]]:
    """Of each receipt that does not stand any more, the cited memories that were corrected or retracted, and when."""
    found = await tx.rows(_Q["broken"], BrokenRow, receipts=receipts) if receipts else []
    by_receipt: dict[UUID, list[BrokenRow]] = defaultdict(list)
    for row in found:
        by_receipt[row.receipt_id].append(row)
    return by_receipt
