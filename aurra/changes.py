"""The rows of one transaction, as the store writes them. Pure; field names are the columns' names.

A row's hash is SHA-256 of a salt and the row's canonical JSON, in which the salt, the hash, what the database derives
and what only a later transaction adds are left empty.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar
from uuid import UUID

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from aurra import chain
from aurra.chain import Entry, Hashed, Tombstone
from aurra.plans import Meter
from aurra.timeline import Closing, Piece

_MICROSECOND = dt.timedelta(microseconds=1)
NORMAL_TRUST = 2
"""Of a key that was made without another; see `keys.TRUSTS`."""


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

    def under(self, plan: str, writes_limit: int) -> "Head":
        """The same under another plan."""
        return replace(self, plan=plan, writes_limit=writes_limit)

    def after(self, hash_: bytes, meter: Meter) -> "Head":
        """The head once the next transaction is there; the one after it is a microsecond later."""
        return Head(
            last_tx=self.tx,
            last_hash=hash_,
            meter_start=meter.period_start,
            writes_used=meter.writes_used,
            grace_from=meter.grace_from,
            plan=self.plan,
            writes_limit=self.writes_limit,
            last_at=self.at,
            at=self.at + _MICROSECOND,
        )


class SlotRow(msgspec.Struct, frozen=True):
    id: UUID
    tenant_id: str
    subject_key: str
    attribute_key: str
    subject: str
    attribute: str
    cardinality: str
    tx: int
    salt: bytes = b""
    hash: bytes = b""


class SourceRow(msgspec.Struct, frozen=True):
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
    salt: bytes = b""
    hash: bytes = b""
    uri: str | msgspec.UnsetType | None = None
    metadata: dict[str, Any] | msgspec.UnsetType | None = None


class MemoryRow(msgspec.Struct, frozen=True):
    """Salted by its first content's salt."""

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
    hash: bytes = b""
    trust: int | msgspec.UnsetType = NORMAL_TRUST


class ContentRow(msgspec.Struct, frozen=True):
    id: UUID
    memory_id: UUID
    text: str
    summary: str | None
    topic: str
    importance: int
    people: list[str]
    action_items: list[str]
    fingerprint: int
    tx: int
    salt: bytes = b""
    hash: bytes = b""
    indexed: str = ""
    """What the database makes the words of the full-text search from."""


class EmbeddingRow(msgspec.Struct, frozen=True):
    """Salted by its content's salt; of the vector, the bytes that the database stores."""

    content_id: UUID
    model: str
    vector: bytes
    tx: int


class OpenedRow(msgspec.Struct, frozen=True):
    """Salted by its content's salt. Closed already, where a later transaction of the same commit closes it."""

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
    tx_to: int | None = None
    tx_to_at: dt.datetime | None = None
    replaced_by: UUID | None = None
    hash: bytes = b""


class ClosedRow(msgspec.Struct, frozen=True, kw_only=True):
    """Not salted: it says nothing but ids and when."""

    id: UUID
    tx_to: int
    tx_to_at: dt.datetime
    replaced_by: UUID | None

    @property
    def hash(self) -> bytes:
        return chain.salted(b"", self)


class TransactionRow(msgspec.Struct, frozen=True):
    id: int
    at: dt.datetime
    verb: str
    actor: str
    reason: str | None
    reason_salt: bytes | None
    reason_hash: bytes | None
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


class Embedded(msgspec.Struct, frozen=True):
    """A text's vectors, of unit length, one for each of its parts; and whose they are."""

    model: str
    parts: NDArray[np.float32]
    """A row a part, one at least."""


class Vector(msgspec.Struct, frozen=True):
    """The vector of one part of a content as it is stored: half precision."""

    content_id: UUID
    model: str
    part: int
    values: NDArray[np.float16]
    tx: int | None
    """Of the first part, which alone is in the chain; the others are made of the same text."""
    hash: bytes = b""


class ConversationRow(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a session besides its turns; what is None stays as it was."""

    tenant_id: str
    session_id: str
    created_at: dt.datetime
    channel: str | None = None
    external_id: str | None = None
    uri: str | None = None
    metadata: dict[str, Any] | None = None
    tx: int
    """The transaction that says so."""

    @property
    def is_labelled(self) -> bool:
        """Whether it says anything."""
        return not (self.channel is None and self.external_id is None and self.uri is None and self.metadata is None)


class ReviewRow(msgspec.Struct, frozen=True, kw_only=True):
    """A supersession that waits for a person."""

    id: UUID
    tenant_id: str
    tx: int
    at: dt.datetime
    old_memory: UUID
    new_memory: UUID
    verdict: str
    confidence: float
    reasoning: str
    classifier: str
    why: str


class JobRow(msgspec.Struct, frozen=True, kw_only=True):
    """Work for later; `arguments` holds ids only."""

    id: UUID
    account: UUID
    kind: str
    arguments: dict[str, Any]


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """Ids of the rows that go for good, and what stays of each."""

    memories: list[UUID]
    contents: list[UUID]
    sources: list[UUID]
    slots: list[UUID]
    tombstones: list[Tombstone]
    tenant: str | None = None
    """Set where everything of a tenant goes: its receipts and labels go too."""


class Changes(msgspec.Struct, kw_only=True):
    """Everything one transaction writes, or, of the verb erase, erases."""

    slots: list[SlotRow] = []
    sources: list[SourceRow] = []
    memories: list[MemoryRow] = []
    contents: list[ContentRow] = []
    vectors: list[Vector] = []
    opened: list[OpenedRow] = []
    closed: list[ClosedRow] = []
    gone: list[Piece] = []
    """The pieces that `closed` closes, one for one."""
    conversations: list[ConversationRow] = []
    reviews: list[ReviewRow] = []
    jobs: list[JobRow] = []
    """These three are outside the chain."""
    erasure: Erasure | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no transaction is needed."""
        return not (self.opened or self.closed or self.sources or self.erasure)


Record = TypeVar("Record", SlotRow, SourceRow, ContentRow)


def hashed(row: Record, salt: bytes) -> Record:
    """The row with its salt and its hash."""
    return replace(row, salt=salt, hash=chain.salted(salt, bare(row)))


def bare(row: Record) -> Record:
    """What of a row its hash covers: not the salt, the hash, nor what the database derives. Columns that came later are
    left out where they say nothing, so that rows written before them hash alike."""
    row = replace(row, salt=b"", hash=b"")
    if isinstance(row, ContentRow):
        return replace(row, indexed="")
    if isinstance(row, SourceRow):
        return replace(row, uri=row.uri or msgspec.UNSET, metadata=row.metadata or msgspec.UNSET)
    return row


def hashed_memory(row: MemoryRow, salt: bytes) -> MemoryRow:
    """The memory's row with its hash; `salt` is its first content's."""
    bare_row = replace(row, hash=b"", trust=msgspec.UNSET if row.trust == NORMAL_TRUST else row.trust)
    return replace(row, hash=chain.salted(salt, bare_row))


def vector_rows(content_id: UUID, embedded: Embedded, tx: int, salt: bytes) -> list[Vector]:
    """The vectors as they are stored, the first with its hash."""
    first, *others = [row.astype(">f2") for row in embedded.parts]
    row = EmbeddingRow(content_id=content_id, model=embedded.model, vector=first.tobytes(), tx=tx)
    return [
        Vector(content_id, embedded.model, 0, first, tx, chain.salted(salt, row)),
        *(Vector(content_id, embedded.model, part, half, None) for part, half in enumerate(others, 1)),
    ]


def opened_rows(
    pieces: Sequence[Piece],
    ids: Sequence[UUID],
    head: Head,
    tenants: Mapping[UUID, str],
    salts: Mapping[UUID, bytes],
) -> list[OpenedRow]:
    """The versions that pieces become, each with an id of `ids`; tenants by memory, salts by content."""
    opened: list[OpenedRow] = []
    for piece, version in zip(pieces, ids, strict=True):
        row = OpenedRow(
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
        opened.append(replace(row, hash=chain.salted(salts[piece.content], row)))
    return opened


def closed_rows(closings: Sequence[Closing], head: Head) -> list[ClosedRow]:
    """The closing of each version."""
    return [
        ClosedRow(id=closing.version, tx_to=head.tx, tx_to_at=head.at, replaced_by=closing.replaced_by)
        for closing in closings
    ]


def seal(company_id: UUID, head: Head, verb: Verb, changes: Changes, reason_salt: bytes | None) -> TransactionRow:
    """The transaction's own row, its hash over the one before it and everything it writes and erases."""
    reason_hash = chain.salted(reason_salt, verb.reason) if reason_salt else None
    entry = Entry(
        company_id=company_id,
        id=head.tx,
        at=head.at,
        verb=verb.verb,
        actor=verb.actor,
        request_id=verb.request_id,
        model=verb.model,
        writes=len(changes.memories),
        reason=reason_hash,
        rows=_rows(changes),
        erased=chain.in_order(changes.erasure.tombstones if changes.erasure else ()),
    )
    return TransactionRow(
        id=head.tx,
        at=head.at,
        verb=verb.verb,
        actor=verb.actor,
        reason=verb.reason,
        reason_salt=reason_salt,
        reason_hash=reason_hash,
        request_id=verb.request_id,
        model=verb.model,
        writes=len(changes.memories),
        hash=chain.link(head.last_hash, entry),
    )


def _rows(changes: Changes) -> list[Hashed]:
    return sorted(
        [
            *(Hashed("slot", row.id, row.hash) for row in changes.slots),
            *(Hashed("source", row.id, row.hash) for row in changes.sources),
            *(Hashed("memory", row.id, row.hash) for row in changes.memories),
            *(Hashed("content", row.id, row.hash) for row in changes.contents),
            *(Hashed("embedding", row.content_id, row.hash) for row in changes.vectors if row.part == 0),
            *(Hashed("opened", row.id, row.hash) for row in changes.opened),
            *(Hashed("closed", row.id, row.hash) for row in changes.closed),
        ]
    )


def merged(transactions: Sequence[Changes]) -> Changes:
    """All rows of several transactions, in order; a version that one opens and a later one closes is born closed."""
    every = Changes(
        slots=[row for changes in transactions for row in changes.slots],
        sources=[row for changes in transactions for row in changes.sources],
        memories=[row for changes in transactions for row in changes.memories],
        contents=[row for changes in transactions for row in changes.contents],
        vectors=[row for changes in transactions for row in changes.vectors],
        conversations=[row for changes in transactions for row in changes.conversations],
        reviews=[row for changes in transactions for row in changes.reviews],
        jobs=[row for changes in transactions for row in changes.jobs],
    )
    opened: dict[UUID, OpenedRow] = {}
    for changes in transactions:
        for row in changes.closed:
            if row.id in opened:
                born = opened[row.id]
                opened[row.id] = replace(born, tx_to=row.tx_to, tx_to_at=row.tx_to_at, replaced_by=row.replaced_by)
            else:
                every.closed.append(row)
        opened.update((row.id, row) for row in changes.opened)
    every.opened = list(opened.values())
    return every
