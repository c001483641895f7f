"""The hash chain over an account's transactions. Pure.

Each entry's hash is SHA-256 over the hash before it and the entry's canonical JSON (keys sorted, no spaces, instants in
UTC). Texts enter only as salted hashes: whoever erases a text erases its salt with it, so the chain still verifies and
nothing can be guessed back.
"""

import hashlib
from typing import Any

import msgspec

GENESIS = bytes(32)
"""The hash before the first transaction."""

_encoder = msgspec.json.Encoder(order="sorted")


def canonical(value: Any) -> bytes:
    """Canonical JSON: keys sorted, no white space, UTF-8, instants as RFC 3339 in UTC."""
    return _encoder.encode(value)


def salted(salt: bytes, value: Any) -> bytes:
    """SHA-256 of 32 random bytes and the canonical JSON."""
    return hashlib.sha256(salt + canonical(value)).digest()


def link(previous: bytes, entry: dict[str, Any]) -> bytes:
    """The hash of an entry that follows `previous`."""
    return hashlib.sha256(previous + canonical(entry)).digest()
