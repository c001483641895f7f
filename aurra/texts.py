"""How texts are compared: they are stored as received, and equal when they look equal. Pure."""

import hashlib
import unicodedata
from typing import Any, cast
from uuid import UUID

from aurra.errors import BadRequest

_LONGEST_WORD = 64

LONGEST_NAME = 700
"""Bytes of a name that is part of an index entry; PostgreSQL's entries end at 2,704 bytes."""


def comparable(text: str) -> str:
    """NFC, case-folded, trimmed, runs of white space as one space: subjects, attributes and duplicates compare so."""
    words = text.split()
    return " ".join(words if text.isascii() else map(_composed, words)).casefold()


def fingerprint(text: str) -> int:
    """64 bits of SHA-256 over the comparable text, signed: finds candidates for duplicates."""
    return int.from_bytes(hashlib.sha256(comparable(text).encode()).digest()[:8], "big", signed=True)


def tenant_digest(company_id: UUID, tenant_id: str) -> bytes:
    """SHA-256 of account and tenant: tells a tenant again without naming it."""
    return hashlib.sha256(company_id.bytes + tenant_id.encode()).digest()


def _composed(word: str) -> str:
    """The word in NFC. A word is taken in slices: normalising a long run of combining marks takes quadratic time."""
    slices = (word[start : start + _LONGEST_WORD] for start in range(0, len(word), _LONGEST_WORD))
    return "".join(unicodedata.normalize("NFC", part) for part in slices)


def require_storable(value: Any) -> None:
    """Returns when no text inside, at any depth, has NUL or an unpaired surrogate; else raises BadRequest."""
    match value:
        case str():
            if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value if character > "\ud7ff"):
                raise BadRequest("The text holds a NUL character or an unpaired surrogate.", code="invalid_text")
        case dict():
            for key, inner in cast(dict[str, Any], value).items():
                require_storable(key)
                require_storable(inner)
        case list():
            for inner in cast(list[Any], value):
                require_storable(inner)
        case _:
            pass
