"""Reading memories: the rows that reads show."""

import datetime as dt
from collections.abc import Sequence
from uuid import UUID

import msgspec

from aurra.store.pool import Transaction
from aurra.store.queries import load

_Q = load("memories")
SHOWN_DIALOG = 10_000
"""Characters of a dialog in lists, search and answers, where it stands beside each of its facts."""
WHOLE_DIALOG = 2_000_000
"""Where one memory is shown: more than any request can bring."""


class Identity(msgspec.Struct, frozen=True):
    id: UUID
    tenant_id: str
    slot_id: UUID | None
    lane: UUID
    cardinality: str | None
    created_tx: int
    last_closed: int | None


class Erased(msgspec.Struct, frozen=True):
    number: int
    """The transaction."""
    tenant: bytes
    """The digest of its tenant."""


class ToldBy(msgspec.Struct, frozen=True):
    subject: str | None
    speaker: str | None
    said_at: dt.datetime | None


class Listed(msgspec.Struct, frozen=True):
    version: UUID
    created_at: dt.datetime
    memory_id: UUID
    valid_from: dt.datetime
    characters: int
    """Length of its text."""


class Dialog(msgspec.Struct, frozen=True):
    id: UUID
    text: str


class PieceRow(msgspec.Struct, frozen=True):
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
    summary: str | None
    topic: str
    importance: int
    people: list[str]
    action_items: list[str]
    source: str
    session_id: str | None
    external_id: str | None
    metadata: str | None
    extraction: str | None
    created_at: dt.datetime
    span_from: int | None
    span_to: int | None
    subject: str | None
    attribute: str | None
    cardinality: str | None
    role: str | None
    speaker: str | None
    turn: str | None
    message_id: str | None
    said_at: dt.datetime | None
    source_erased: bool
    """Whether the turn it came from was erased."""
    dialog_id: UUID | None
    """Of an extracted fact, the conversation it came from."""
    trust: int
    dialog: str | None = None


class VersionRow(msgspec.Struct, frozen=True):
    version: UUID
    valid_from: dt.datetime
    valid_to: dt.datetime | None
    tx_from: int
    tx_from_at: dt.datetime
    tx_to: int | None
    tx_to_at: dt.datetime | None
    op: str
    superseded_by: UUID | None
    replaced_by: UUID | None


class MemoryVersionRow(VersionRow, frozen=True):
    memory_id: UUID


class LanePiece(msgspec.Struct, frozen=True):
    version: UUID
    memory_id: UUID
    valid_from: dt.datetime
    valid_to: dt.datetime | None
    superseded_by: UUID | None


class EventRow(msgspec.Struct, frozen=True):
    id: int
    at: dt.datetime
    verb: str
    actor: str
    reason: str | None
    request_id: str
    model: str | None
    opened: int
    closed: int


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """What narrows a list; None narrows nothing. Subject and attribute are comparable names."""

    source: str | None = None
    session_id: str | None = None
    topic: str | None = None
    subject_key: str | None = None
    attribute_key: str | None = None
    external_id: str | None = None


async def find_identity(tx: Transaction, memory_id: UUID) -> Identity | None:
    """What never changes of a memory."""
    return await tx.row(_Q["identity"], Identity, memory_id=memory_id)


async def find_erased(tx: Transaction, memory_id: UUID) -> Erased | None:
    """Who erased a memory, if anybody did."""
    return await tx.row(_Q["erased_by"], Erased, memory_id=memory_id)


async def told_by(tx: Transaction, memory_id: UUID) -> ToldBy:
    """Whom a memory is about, and who said it when."""
    return await tx.row(_Q["told_by"], ToldBy, memory_id=memory_id) or ToldBy(None, None, None)


async def list_page(
    tx: Transaction,
    *,
    number: int,
    valid_at: dt.datetime | None,
    tenant_id: str,
    filters: Filters,
    after: Listed | None,
    limit: int,
) -> list[Listed]:
    """Up to `limit` pieces after a place in the order, newest first."""
    return await tx.rows(
        _Q["list_page" if filters.external_id is None else "list_known_by"],
        Listed,
        external_id=filters.external_id,
        tx=number,
        valid_at=valid_at,
        tenant_id=tenant_id,
        source=filters.source,
        session_id=filters.session_id,
        topic=filters.topic,
        subject_key=filters.subject_key,
        attribute_key=filters.attribute_key,
        after_at=after and after.created_at,
        after_id=after and after.memory_id,
        after_from=after and after.valid_from,
        limit=limit,
    )


async def pieces(
    tx: Transaction, number: int, versions: Sequence[UUID], *, dialog_characters: int = SHOWN_DIALOG
) -> list[PieceRow]:
    """The versions in full, in the order asked, as known at the transaction; dialogs are cut at a length."""
    if not versions:
        return []
    rows = await tx.rows(_Q["pieces"], PieceRow, tx=number, versions=versions)
    wanted = {row.dialog_id for row in rows if row.dialog_id}
    if not wanted:
        return rows
    found = await tx.rows(_Q["dialogs"], Dialog, dialogs=list(wanted), characters=dialog_characters)
    texts = {dialog.id: dialog.text for dialog in found}
    return [msgspec.structs.replace(row, dialog=texts[row.dialog_id]) if row.dialog_id else row for row in rows]


async def versions_of(tx: Transaction, number: int, memory_id: UUID) -> list[VersionRow]:
    """Every version begun at or before the transaction."""
    return await tx.rows(_Q["versions_of"], VersionRow, tx=number, memory_id=memory_id)


async def versions_of_several(
    tx: Transaction, number: int, memories: Sequence[UUID], tenant_id: str | None, *, limit: int
) -> list[MemoryVersionRow]:
    """Up to `limit` versions of each memory begun at or before the transaction, memory by memory."""
    return await tx.rows(
        _Q["versions_of_several"], MemoryVersionRow, tx=number, memories=memories, tenant_id=tenant_id, limit=limit
    )


async def believed_in_lane(tx: Transaction, number: int, lane: UUID) -> list[LanePiece]:
    """What the lane holds at the transaction, in valid order."""
    return await tx.rows(_Q["believed_in_lane"], LanePiece, tx=number, lane=lane)


async def linked(tx: Transaction, number: int, memory_id: UUID) -> list[LanePiece]:
    """One piece of each memory that links join to this one, in valid order."""
    found = await tx.rows(_Q["linked"], LanePiece, tx=number, memory_id=memory_id)
    return sorted(found, key=lambda piece: (piece.valid_from, piece.memory_id))


async def events_of(tx: Transaction, memory_id: UUID) -> list[EventRow]:
    """Transactions that touched the memory, oldest first."""
    return await tx.rows(_Q["events_of"], EventRow, memory_id=memory_id)
