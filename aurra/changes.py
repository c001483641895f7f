"""The rows of one transaction, as the store writes them. Pure; field names are the columns' names."""

import datetime as dt
from collections.abc import Sequence
from typing import Any, TypeVar
from uuid import UUID

import msgspec
import numpy as np
from numpy.typing import NDArray

from aurra import chain
from aurra.plans import Meter
from aurra.timeline import Closing, Piece


class Head(msgspec.Struct, frozen=True):
    """The locked ledger, and the number and instant that the next transaction gets."""

    last_tx: int
    last_hash: bytes
    meter_start: dt.datetime
    writes_used: int
    grace_from: dt.datetime | None
    plan: str
    writes_limit: int
    last_at: dt.datetime
    at: dt.datetime

    @property
    def tx(self) -> int:
        return self.last_tx + 1

    @property
    def meter(self) -> Meter:
        return Meter(self.meter_start, self.writes_used, self.grace_from)


class SlotRow(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    tenant_id: str
    subject_key: str
    attribute_key: str
    subject: str
    attribute: str
    cardinality: str
    tx: int
    salt: bytes
    hash: bytes


class SourceRow(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    tenant_id: str
    session_id: str | None
    dialog_id: UUID
    position: int
    message_id: str | None
    role: str
    name: str | None
    text: str
    said_at: dt.datetime | None
    tx: int
    salt: bytes
    hash: bytes


class MemoryRow(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    tenant_id: str
    slot_id: UUID | None
    subject: str | None
    subject_key: str | None
    lane: UUID
    source: str
    session_id: str | None
    source_id: UUID | None
    span_from: int | None
    span_to: int | None
    external_id: str | None
    metadata: dict[str, Any] | None
    extraction: dict[str, Any] | None
    created_tx: int
    created_at: dt.datetime
    hash: bytes


class ContentRow(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    memory_id: UUID
    text: str
    summary: str | None
    topic: str
    importance: int
    people: list[str]
    action_items: list[str]
    fingerprint: int
    indexed: str
    tx: int
    salt: bytes
    hash: bytes


class OpenedRow(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    tenant_id: str
    memory_id: UUID
    lane: UUID
    content_id: UUID
    valid_from: dt.datetime
    valid_to: dt.datetime | None
    tx_from: int
    tx_from_at: dt.datetime
    op: str
    superseded_by: UUID | None


class ClosedRow(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    tx_to: int
    tx_to_at: dt.datetime
    replaced_by: UUID | None


class TransactionRow(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    at: dt.datetime
    verb: str
    actor: str
    reason: str | None
    reason_salt: bytes | None
    request_id: str
    model: str | None
    writes: int
    hash: bytes


class Verb(msgspec.Struct, frozen=True, kw_only=True):
    """Who does what, why: all of a transaction that is not its rows."""

    verb: str
    actor: str
    request_id: str
    reason: str | None = None
    model: str | None = None


class Vector(msgspec.Struct, frozen=True):
    content_id: UUID
    values: NDArray[np.float32]


class Changes(msgspec.Struct, kw_only=True):
    """Everything one transaction writes. `sealed` adds its entry to the chain."""

    slots: list[SlotRow] = []
    sources: list[SourceRow] = []
    memories: list[MemoryRow] = []
    contents: list[ContentRow] = []
    vectors: list[Vector] = []
    opened: list[OpenedRow] = []
    closed: list[ClosedRow] = []

    @property
    def is_empty(self) -> bool:
        return not (self.opened or self.closed)


Record = TypeVar("Record", SlotRow, SourceRow, MemoryRow, ContentRow)


def hashed(row: Record, salt: bytes) -> Record:
    """The row with its hash: SHA-256 of the salt and the canonical record, which is every field but these two and what
    is only derived."""
    record = {name: value for name, value in msgspec.structs.asdict(row).items() if name not in _NOT_HASHED}
    return msgspec.structs.replace(row, hash=chain.salted(salt, record))


_NOT_HASHED = frozenset({"salt", "hash", "indexed", "fingerprint"})


def opened_rows(pieces: list[Piece], tenants: dict[UUID, str], head: Head, ids: list[UUID]) -> list[OpenedRow]:
    """The versions that pieces become, each with an id of `ids`."""
    return [
        OpenedRow(
            id=version,
            tenant_id=tenants[piece.memory],
            memory_id=piece.memory,
            lane=piece.lane,
            content_id=piece.content,
            valid_from=piece.start,
            valid_to=piece.end,
            tx_from=head.tx,
            tx_from_at=head.at,
            op=piece.op,
            superseded_by=piece.successor,
        )
        for piece, version in zip(pieces, ids, strict=True)
    ]


def closed_rows(closings: list[Closing], head: Head) -> list[ClosedRow]:
    """The closing of each version."""
    return [
        ClosedRow(id=closing.version, tx_to=head.tx, tx_to_at=head.at, replaced_by=closing.replaced_by)
        for closing in closings
    ]


def _by_id(row: OpenedRow | ClosedRow) -> UUID:
    return row.id


def _hashes(rows: Sequence[SlotRow | SourceRow | MemoryRow | ContentRow]) -> list[tuple[UUID, bytes]]:
    return sorted((row.id, row.hash) for row in rows)


def seal(company_id: UUID, head: Head, verb: Verb, changes: Changes, reason_salt: bytes | None) -> TransactionRow:
    """The transaction's own row, its hash over the one before it and everything it writes, each kind by id."""
    entry = {
        "v": 1,
        "company_id": company_id,
        "id": head.tx,
        "at": head.at,
        "verb": verb.verb,
        "actor": verb.actor,
        "request_id": verb.request_id,
        "model": verb.model,
        "reason": chain.salted(reason_salt, verb.reason) if reason_salt else None,
        "writes": len(changes.memories),
        "slots": _hashes(changes.slots),
        "sources": _hashes(changes.sources),
        "memories": _hashes(changes.memories),
        "contents": _hashes(changes.contents),
        "opened": sorted(changes.opened, key=_by_id),
        "closed": sorted(changes.closed, key=_by_id),
    }
    return TransactionRow(
        id=head.tx,
        at=head.at,
        verb=verb.verb,
        actor=verb.actor,
        reason=verb.reason,
        reason_salt=reason_salt,
        request_id=verb.request_id,
        model=verb.model,
        writes=len(changes.memories),
        hash=chain.link(head.last_hash, entry),
    )
