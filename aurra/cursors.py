"""Signed cursors: the place in the order, both times, the account. Pure.

A cursor is base64url of JSON and its HMAC-SHA256; the account is part of what is signed, so a cursor of another account
is refused like a forged one.
"""

import base64
import binascii
import datetime as dt
import hmac
from hashlib import sha256
from uuid import UUID

import msgspec

from aurra.errors import BadRequest

_MAC_BYTES = 16


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """Where a page ended, and the moment that all pages of the list are read at."""

    created_at: dt.datetime
    memory_id: UUID
    valid_from: dt.datetime
    number: int
    as_of: dt.datetime | None
    everything: bool
    """Whether there is no test of validity."""


def encode(cursor: Cursor, company_id: UUID, secret: bytes) -> str:
    """The opaque text of a cursor."""
    body = msgspec.json.encode(cursor)
    return base64.urlsafe_b64encode(_mac(body, company_id, secret) + body).decode().rstrip("=")


def decode(text: str, company_id: UUID, secret: bytes) -> Cursor:
    """The cursor. Raises BadRequest (invalid_cursor) for one that this account did not get from here."""
    try:
        raw = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if hmac.compare_digest(mac, _mac(body, company_id, secret)):
            return msgspec.json.decode(body, type=Cursor)
    except (UnicodeEncodeError, binascii.Error, ValueError, msgspec.MsgspecError):
        pass
    raise BadRequest("This cursor is not one of this account's.", code="invalid_cursor", param="cursor")


def _mac(body: bytes, company_id: UUID, secret: bytes) -> bytes:
    return hmac.digest(secret, company_id.bytes + body, sha256)[:_MAC_BYTES]
