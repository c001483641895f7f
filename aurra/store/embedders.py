"""Whose vectors search compares, the switch to another, and the vectors that contents lack meanwhile."""

import datetime as dt
from collections.abc import Sequence
from uuid import UUID

import msgspec

from aurra.changes import Embedded, Erasure, TransactionRow
from aurra.store import accounts, ledger
from aurra.store.chain import StoredEmbedding
from aurra.store.pool import Database, Transaction, half_vector
from aurra.store.queries import load

__all__ = ["StoredEmbedding"]

_Q = load("embedders")
_NOBODY = UUID(int=0)
FIRST = UUID(int=0)
"""Before every content's id."""


class EmbedderRow(msgspec.Struct, frozen=True):
    name: str
    """As it was asked for: `providers.embed.full_name`."""
    model: str
    """As it stands with each vector; empty for `none`."""
    dimension: int
    since: dt.datetime


class Name(msgspec.Struct, frozen=True):
    name: str


class Counted(msgspec.Struct, frozen=True):
    contents: int
    missing: int


class Said(msgspec.Struct, frozen=True):
    """A content, of or about somebody."""

    id: UUID
    who: str | None
    text: str | None
    """None where it has its vector."""


class ModelCount(msgspec.Struct, frozen=True):
    model: str
    dimension: int
    vectors: int


class Pruned(msgspec.Struct, frozen=True):
    vectors: int


async def active(database: Database) -> EmbedderRow | None:
    """Whose vectors search compares; None before the first start."""
    async with database.read(_NOBODY) as tx:
        return await tx.row(_Q["active"], EmbedderRow)


async def filling(database: Database) -> EmbedderRow | None:
    """Whose vectors are being made to replace them."""
    async with database.read(_NOBODY) as tx:
        return await tx.row(_Q["filling"], EmbedderRow)


async def adopt(database: Database, name: str, model: str, dimension: int) -> EmbedderRow:
    """The active one, which is this where there was none; whoever else starts at the same time gets the same."""
    async with database.begin(_NOBODY) as tx:
        await tx.execute(_Q["adopt"], name=name, model=model, dimension=dimension, at=await accounts.now(tx))
    row = await active(database)
    assert row is not None
    return row


async def start(database: Database, name: str, model: str, dimension: int) -> None:
    """This is the one whose vectors are being made; nothing changes where it was already."""
    async with database.begin(_NOBODY) as tx:
        row = await tx.row(_Q["filling"], EmbedderRow)
        if row is not None and (row.name, row.model) == (name, model):
            return
        await tx.execute(_Q["stop_filling"])
        await tx.execute(_Q["start_filling"], name=name, model=model, dimension=dimension, at=await accounts.now(tx))


async def stop(database: Database) -> None:
    """No other is on its way."""
    async with database.begin(_NOBODY) as tx:
        await tx.execute(_Q["stop_filling"])


async def activate(database: Database, name: str, model: str) -> bool:
    """It is the active one, in one transaction; False where somebody had begun to switch to another meanwhile."""
    async with database.begin(_NOBODY) as tx:
        await tx.execute(_Q["retire"], name=name, model=model)
        return await tx.row(_Q["activate"], Name, name=name, model=model, at=await accounts.now(tx)) is not None


async def count(tx: Transaction, model: str) -> Counted:
    """The account's contents, and how many of them lack the model's vector."""
    row = await tx.row(_Q["count_contents"], Counted, model=model)
    assert row is not None
    return row


async def page(tx: Transaction, model: str, after: UUID, limit: int) -> list[Said]:
    """The next contents in the order of their ids, with the texts of those that lack the model's vector."""
    return await tx.rows(_Q["page"], Said, model=model, after=after, limit=limit)


async def add(tx: Transaction, contents: Sequence[UUID], embedded: Sequence[Embedded]) -> None:
    """The contents that are still there have their vectors. The ledger is locked, so that none is being erased."""
    await ledger.lock(tx, None)
    rows = [
        (content, part, vector)
        for content, one in zip(contents, embedded, strict=True)
        for part, vector in enumerate(one.parts)
    ]
    await tx.execute(
        _Q["add_vectors"],
        model=embedded[0].model,
        contents=[content for content, _, _ in rows],
        parts=[part for _, part, _ in rows],
        vectors=[half_vector(vector) for _, _, vector in rows],
    )


async def models_stored(tx: Transaction) -> list[ModelCount]:
    """How many vectors the account has of each model, and of how many numbers they are."""
    return await tx.rows(_Q["models_stored"], ModelCount)


async def prune_derived(tx: Transaction, kept: Sequence[str], limit: int) -> int:
    """Removes vectors of other models that no transaction covers, at most so many; how many went. As the owner."""
    row = await tx.row(_Q["prune_derived"], Pruned, models=kept, limit=limit)
    assert row is not None
    return row.vectors


async def prunable(tx: Transaction, kept: Sequence[str], limit: int) -> list[StoredEmbedding]:
    """Vectors of other models that a transaction covers."""
    return await tx.rows(_Q["prunable"], StoredEmbedding, models=kept, limit=limit)


async def prune_chained(
    tx: Transaction, entry: TransactionRow, erasure: Erasure, rows: Sequence[StoredEmbedding]
) -> None:
    """Writes the transaction that removes those vectors. Raises RuntimeError when others are there than were read."""
    done = await tx.row(
        _Q["prune_chained"],
        Pruned,
        tx=entry.id,
        at=entry.at,
        hash=entry.hash,
        entry=msgspec.json.encode(entry).decode(),
        tombstones=msgspec.json.encode(erasure.tombstones).decode(),
        contents=[row.content_id for row in rows],
        pruned=[row.model for row in rows],
    )
    if done != Pruned(len(rows)):
        raise RuntimeError(f"transaction {entry.id} prunes {len(rows)} vectors and met {done}")
