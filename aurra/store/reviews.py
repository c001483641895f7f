"""The review queue: reading it, and deciding."""

import datetime as dt
from collections.abc import Sequence
from typing import Literal
from uuid import UUID

import msgspec

from aurra.store.pool import Transaction
from aurra.store.queries import load

_Q = load("reviews")


class ReviewRow(msgspec.Struct, frozen=True):
    id: UUID
    tenant_id: str
    tx: int
    at: dt.datetime
    old_memory: UUID
    new_memory: UUID
    verdict: Literal["supersedes", "refines", "independent", "duplicate"]
    confidence: float
    reasoning: str
    classifier: str
    why: Literal["low_confidence", "lower_trust"]
    state: Literal["open", "accepted", "rejected"]
    decided_at: dt.datetime | None
    decided_by: str | None
    decided_tx: int | None
    decided_tx_at: dt.datetime | None
    """The instant of that transaction; where reviews are listed."""


class Shown(msgspec.Struct, frozen=True):
    memory_id: UUID
    version: UUID


async def list_page(
    tx: Transaction, *, tenant_id: str, state: str | None, after: tuple[dt.datetime, UUID] | None, limit: int
) -> list[ReviewRow]:
    """Up to `limit` reviews after a place in the order, newest first; without a state, of all states."""
    return await tx.rows(
        _Q["list_page"],
        ReviewRow,
        tenant_id=tenant_id,
        state=state,
        after_at=after and after[0],
        after_id=after and after[1],
        limit=limit,
    )


async def find(tx: Transaction, review_id: UUID) -> ReviewRow | None:
    """One review, of any tenant of the account."""
    return await tx.row(_Q["find"], ReviewRow, id=review_id)


async def decide(
    tx: Transaction, review_id: UUID, *, state: str, at: dt.datetime, actor: str, number: int | None
) -> None:
    """The review is decided. Called under the ledger's lock, so that one decision wins."""
    await tx.execute(_Q["decide"], id=review_id, state=state, at=at, actor=actor, tx=number)


async def shown(tx: Transaction, number: int, at: dt.datetime, memories: Sequence[UUID]) -> dict[UUID, UUID]:
    """The version to show of each memory that is believed at the transaction."""
    rows = await tx.rows(_Q["shown"], Shown, tx=number, at=at, memories=memories)
    return {row.memory_id: row.version for row in rows}
