"""Secrets that are stored for later: sealed with AES-256-GCM, each bound to what it is for. Pure but for randomness.

A sealed text is the nonce (96 random bits) and what AES-GCM made of it; it opens only under the key that sealed it and
beside the same `bound_to`, so that it is worth nothing anywhere else, and nobody who can write the table can move it.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from aurra.errors import CannotStart

KEY_BYTES = 32
_NONCE_BYTES = 12


class CannotOpen(Exception):
    """The ring lacks the key that sealed it, or it was sealed for something else."""


class Sealed(msgspec.Struct, frozen=True):
    """What may be stored."""

    value: bytes
    by: str
    """Id of the key that sealed it."""


class KeyRing:
    """The installation's keys: the first seals, all open. Its repr shows their ids."""

    __slots__ = ("_keys",)

    def __init__(self, keys: list[bytes]) -> None:
        """At least one key of `KEY_BYTES`."""
        self._keys = {key_id(key): key for key in keys}

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self._keys)})"

    @property
    def first(self) -> str:
        """Id of the key that seals."""
        return next(iter(self._keys))

    def seal(self, secret: str, bound_to: bytes) -> Sealed:
        """The secret, sealed with the first key."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return Sealed(nonce + AESGCM(self._keys[self.first]).encrypt(nonce, secret.encode(), bound_to), self.first)

    def open(self, sealed: Sealed, bound_to: bytes) -> str:
        """The secret. Raises `CannotOpen`."""
        if (key := self._keys.get(sealed.by)) is None:
            raise CannotOpen(f"the key {sealed.by} is not there")
        nonce, rest = sealed.value[:_NONCE_BYTES], sealed.value[_NONCE_BYTES:]
        try:
            return AESGCM(key).decrypt(nonce, rest, bound_to).decode()
        except (InvalidTag, ValueError):
            raise CannotOpen("it was altered, or sealed for something else") from None

    def digest(self, secret: str) -> str:
        """Tells whether two secrets are the same, to nobody without the first key."""
        return hmac.new(self._keys[self.first], b"aurra digest\0" + secret.encode(), hashlib.sha256).hexdigest()


def new_key() -> str:
    """A fresh key as text: base64 of 32 random bytes."""
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def key_id(key: bytes) -> str:
    """Eight hexadecimal digits that name a key and tell nothing of it."""
    return hashlib.sha256(b"aurra secret key\0" + key).hexdigest()[:8]


def parse(text: str, where: str) -> KeyRing:
    """The ring of keys that are separated by commas or white space. Raises CannotStart, which does not repeat them."""
    keys: list[bytes] = []
    for part in filter(None, re.split(r"[\s,]+", text)):
        try:
            keys.append(base64.b64decode(part, validate=True))
        except (binascii.Error, ValueError):
            keys.append(b"")
    if not keys or any(len(key) != KEY_BYTES for key in keys):
        raise CannotStart(
            f"{where} must hold keys of {KEY_BYTES} bytes in base64, commas between: `aurra secrets new` makes one."
        )
    return KeyRing(keys)
