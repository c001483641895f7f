"""The hash chain over an account's transactions. Pure.

Each entry's hash is SHA-256 over the hash before it and the entry's canonical JSON (keys sorted, no spaces, instants in
UTC). What a transaction wrote enters as one hash a row. Rows that say something are salted: whoever erases them erases
the salt with them and leaves the hash, so the chain still verifies and nothing can be guessed back.
"""

import hashlib
from collections.abc import Iterable
from typing import Any, Literal
from uuid import UUID

import msgspec

GENESIS = bytes(32)
"""The hash before the first transaction."""

Kind = Literal["slot", "source", "memory", "content", "embedding", "opened", "closed", "reason"]
NO_ROW = UUID(int=0)
"""Stands for the row's id where a row has none: a reason belongs to its transaction."""

_encoder = msgspec.json.Encoder(order="sorted")


class Hashed(msgspec.Struct, frozen=True, order=True, array_like=True):
    """A row as the chain knows it: which table, which row, its hash."""

    kind: Kind
    id: UUID
    hash: bytes


class Tombstone(msgspec.Struct, frozen=True, kw_only=True):
    """What stays of an erased row: the transaction that wrote it, and its hash."""

    kind: Kind
    tx: int
    row_id: UUID
    hash: bytes
    tenant: bytes | None = None
    """Of a memory, whose keys may be told that it was erased: `texts.tenant_digest`."""

    @property
    def hashed(self) -> Hashed:
        return Hashed(self.kind, self.row_id, self.hash)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """All of a transaction that its hash covers."""

    company_id: UUID
    id: int
    at: Any
    verb: str
    actor: str
    request_id: str
    model: str | None
    writes: int
    reason: bytes | None
    """The salted hash of the reason."""
    rows: list[Hashed]
    """Everything it wrote, in order."""
    erased: list[Tombstone] = []
    """Everything it erased, in order."""
    v: int = 2


def canonical(value: Any) -> bytes:
    """Canonical JSON: keys sorted, no white space, UTF-8, instants as RFC 3339 in UTC."""
    return _encoder.encode(value)


def salted(salt: bytes, value: Any) -> bytes:
    """SHA-256 of 32 random bytes and the canonical JSON."""
    return hashlib.sha256(salt + canonical(value)).digest()


def link(previous: bytes, entry: Entry) -> bytes:
    """The hash of an entry that follows `previous`."""
    return hashlib.sha256(previous + canonical(entry)).digest()


def in_order(tombstones: Iterable[Tombstone]) -> list[Tombstone]:
    """Tombstones as an entry lists them."""
    return sorted(tombstones, key=lambda stone: (stone.kind, stone.row_id, stone.tx))
