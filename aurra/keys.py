"""API keys: `aurra_` + `live_` + 8 characters of id + 43 of secret + 6 of checksum. Pure but for the operating system's
randomness.

The checksum (CRC-32, base 62) lets a mistyped key be refused without a look-up. The secret carries 256 random bits, so
its plain SHA-256 is what is stored: there is nothing to guess, and a slow hash would cost 10,000 times more a request.
"""

import datetime as dt
import hashlib
import hmac
import re
import secrets
import string
import zlib
from collections.abc import Iterable
from typing import Any

import msgspec

from aurra import networks
from aurra.errors import BadRequest, CannotStart, Forbidden

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
SCOPES = (
    "memories:read",
    "memories:write",
    "memories:erase",
    "query",
    "webhooks:manage",
    "keys:manage",
    "usage:read",
    "audit:read",
)
BUNDLES: dict[str, tuple[str, ...]] = {
    "full": SCOPES,
    "read_only": ("memories:read", "query", "usage:read", "audit:read"),
}
TRUSTS = {"low": 1, "normal": 2, "high": 3}
"""What a key writes never supersedes what a key of higher trust wrote."""
_ID = re.compile(r"[0-9A-Za-z]{8}")
_FORM = re.compile(r"aurra_(live|test)_([0-9A-Za-z]{8})([0-9A-Za-z]{43})([0-9A-Za-z]{6})")


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a key is called, what it may, until when, and from where."""

    scopes: list[str]
    tenant_id: str | None = None
    """The one tenant it is pinned to; None is not pinned."""
    trust: int = TRUSTS["normal"]
    name: str = ""
    expires_at: dt.datetime | None = None
    networks: list[str] = []
    """CIDRs that it may be used from; none is anywhere."""
    up_to: int | None = None
    """The newest transaction that it may know of."""
    is_signed: bool = False
    """Its requests carry a signature, and no bearer."""


class NewKey(msgspec.Struct, frozen=True):
    """A key just made; `raw` and `signing_secret` are shown once, and not stored as they are."""

    raw: str
    key_id: str
    secret_hash: bytes
    last_four: str
    signing_secret: str | None = None
    """Of a key whose requests are signed."""


def make_key(key_id: str | None = None) -> NewKey:
    """A new key with 256 random bits; with an id, a new secret of that key."""
    key_id = key_id or "".join(secrets.choice(ALPHABET) for _ in range(8))
    secret = base62(secrets.randbits(256), 43)
    body = f"aurra_live_{key_id}{secret}"
    raw = body + base62(zlib.crc32(body.encode()), 6)
    return NewKey(raw, key_id, hash_secret(raw), raw[-4:])


def make_signing_secret() -> str:
    """A new secret to sign requests with: 256 random bits, and a checksum for whoever looks for lost secrets."""
    body = f"aurra_sign_{base62(secrets.randbits(256), 43)}"
    return body + base62(zlib.crc32(body.encode()), 6)


def key_id_of(raw: str) -> str | None:
    """The id inside a key of the right form with the right checksum, else None."""
    if (match := _FORM.fullmatch(raw)) is None:
        return None
    return match[2] if base62(zlib.crc32(raw[:-6].encode()), 6) == match[4] else None


def hash_secret(raw: str) -> bytes:
    """What is stored of a key."""
    return hashlib.sha256(raw.encode()).digest()


def is_key_id(text: str) -> bool:
    """Whether it has the form of a key's id."""
    return _ID.fullmatch(text) is not None


def same_secret(one: bytes, other: bytes | None) -> bool:
    """Whether two hashes are of one secret, in constant time."""
    return other is not None and hmac.compare_digest(one, other)


def parse_scopes(text: str) -> list[str]:
    """The scopes of `full`, `read_only` or a comma-separated list. Raises CannotStart for one that is unknown."""
    try:
        return expand_scopes(filter(None, (part.strip() for part in text.split(","))))
    except ValueError as error:
        raise CannotStart(str(error)) from None


def expand_scopes(names: Iterable[str]) -> list[str]:
    """The scopes of names and bundles, each once. Raises ValueError with a sentence for an unknown one, or for none."""
    scopes: list[str] = []
    for name in names:
        if name not in BUNDLES and name not in SCOPES:
            raise ValueError(f"There is no scope {name!r}: use full, read_only, or some of {', '.join(SCOPES)}.")
        scopes.extend(scope for scope in BUNDLES.get(name, (name,)) if scope not in scopes)
    if not scopes:
        raise ValueError("A key needs at least one scope.")
    return scopes


def excess(own: Terms, asked: Terms) -> str | None:
    """The first field in which `asked` may more than `own` may; None where it may at most as much."""
    beyond = {
        "scopes": not set(asked.scopes) <= set(own.scopes),
        "tenant_id": own.tenant_id is not None and asked.tenant_id != own.tenant_id,
        "trust": asked.trust > own.trust,
        "expires_at": _is_later(asked.expires_at, own.expires_at),
        "networks": bool(own.networks) and not _lie_inside(asked.networks, own.networks),
        "up_to": _is_later(asked.up_to, own.up_to),
        "is_signed": own.is_signed and not asked.is_signed,
    }
    return next((field for field, is_beyond in beyond.items() if is_beyond), None)


def _is_later(asked: Any, own: Any) -> bool:
    """Of limits, None being no limit."""
    return own is not None and (asked is None or asked > own)


def _lie_inside(asked: list[str], own: list[str]) -> bool:
    return bool(asked) and networks.cover(networks.read_networks(own), networks.read_networks(asked))


def require_scope(scopes: frozenset[str], needed: str) -> None:
    """Returns when the key may; else raises Forbidden naming the scope."""
    if needed not in SCOPES:
        raise BadRequest(f"There is no scope {needed!r}.")
    if needed not in scopes:
        raise Forbidden(f"This key lacks the scope `{needed}`.")


def base62(number: int, width: int) -> str:
    """The number in base 62, padded to `width` with zeros."""
    digits = ""
    while number:
        number, digit = divmod(number, 62)
        digits = ALPHABET[digit] + digits
    return digits.rjust(width, "0")
