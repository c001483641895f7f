"""Signed cursors: the place in the order, both times, whose it is. Pure.

A cursor is base64url of JSON and its HMAC-SHA256; owner (the account, or its one tenant that a key is pinned to) and
list (the Struct's name) are part of what is signed, so a cursor of another owner, or of another list, is refused like a
forged one.
"""

import base64
import binascii
import datetime as dt
import hmac
from hashlib import sha256
from typing import TypeVar
from uuid import UUID

import msgspec

from aurra.errors import BadRequest

_MAC_BYTES = 16
S = TypeVar("S", bound=msgspec.Struct)


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """Where a page of memories ended, and the moment that all pages of the list are read at."""

    created_at: dt.datetime
    memory_id: UUID
    valid_from: dt.datetime
    number: int
    as_of: dt.datetime | None
    everything: bool
    """Whether there is no test of validity."""


class TransactionCursor(msgspec.Struct, frozen=True, array_like=True):
    """Where a page of transactions ended, in which direction, and the moment that all pages are read at."""

    last: int
    is_ascending: bool
    number: int
    as_of: dt.datetime | None


class SubjectCursor(msgspec.Struct, frozen=True, array_like=True):
    """Where a page of subjects ended, and the moment that all pages are read at."""

    subject_key: str
    number: int
    as_of: dt.datetime | None


class ConversationCursor(msgspec.Struct, frozen=True, array_like=True):
    """Where a page of conversations ended, and the moment that all pages are read at."""

    created_at: dt.datetime
    session_id: str
    number: int
    as_of: dt.datetime | None


class TurnCursor(msgspec.Struct, frozen=True, array_like=True):
    """Where a page of turns ended, its place in the conversation, and the moment that all pages are read at."""

    turn: UUID
    position: int
    number: int
    as_of: dt.datetime | None


class ReviewCursor(msgspec.Struct, frozen=True, array_like=True):
    """Where a page of reviews ended."""

    at: dt.datetime
    review_id: UUID


class ReceiptCursor(msgspec.Struct, frozen=True, array_like=True):
    """Where a page of receipts ended."""

    at: dt.datetime
    receipt_id: UUID


class ApiKeyCursor(msgspec.Struct, frozen=True, array_like=True):
    """Where a page of keys ended."""

    at: dt.datetime
    key_id: str


class CollectionCursor(msgspec.Struct, frozen=True, array_like=True):
    """A place in a collection, the order that it is a place in, and the moment that all pages are read at."""

    collection: str
    parent: str
    order: str
    key: str
    number: int
    as_of: dt.datetime | None


class UsageCursor(msgspec.Struct, frozen=True, array_like=True):
    """Where a page of usage ended, the span, and the transaction that all pages are read at."""

    day: dt.date
    verb: str
    actor: str
    start: dt.datetime
    until: dt.datetime
    number: int


class KeyUsedCursor(msgspec.Struct, frozen=True, array_like=True):
    """Where a page of keys ended, the span, and the transaction that all pages are read at."""

    actor: str
    start: dt.datetime
    until: dt.datetime
    number: int


class PlanCursor(msgspec.Struct, frozen=True, array_like=True):
    """Where a page of plans ended."""

    id: int


def encode(cursor: msgspec.Struct, owner: bytes, secret: bytes) -> str:
    """The opaque text of a cursor."""
    body = msgspec.json.encode(cursor)
    return base64.urlsafe_b64encode(_mac(body, type(cursor), owner, secret) + body).decode().rstrip("=")


def decode(text: str, kind: type[S], owner: bytes, secret: bytes) -> S:
    """The cursor. Raises BadRequest (invalid_cursor) for one that this owner did not get from this list."""
    try:
        raw = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if hmac.compare_digest(mac, _mac(body, kind, owner, secret)):
            return msgspec.json.decode(body, type=kind)
    except (UnicodeEncodeError, binascii.Error, ValueError, msgspec.MsgspecError):
        pass
    raise BadRequest("This cursor is not one of this account's.", code="invalid_cursor", param="cursor")


def _mac(body: bytes, kind: type[msgspec.Struct], owner: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, owner + kind.__name__.encode() + body, sha256)[:_MAC_BYTES]
