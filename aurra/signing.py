"""Signed requests: what is signed, and how. Pure. `signing.md` says the same for every language.

The signature is HMAC-SHA256, under the key's signing secret, of seven lines: `v1`, key id, timestamp, nonce, method,
raw path and query, SHA-256 of the body.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence

import msgspec

VERSION = "v1"
MOST_SECONDS = 300
"""That a timestamp may be off, either way."""
KEY, TIMESTAMP, NONCE, SIGNATURE = "X-Aurra-Key", "X-Aurra-Timestamp", "X-Aurra-Nonce", "X-Aurra-Signature"
HEADERS = (KEY, TIMESTAMP, NONCE, SIGNATURE)
_FORMS = {
    KEY: re.compile(r"[0-9A-Za-z]{8}"),
    TIMESTAMP: re.compile(r"[0-9]{1,12}"),
    NONCE: re.compile(r"[0-9A-Za-z_-]{16,64}"),
    SIGNATURE: re.compile(r"v1=[0-9a-f]{64}"),
}


class Presented(msgspec.Struct, frozen=True, kw_only=True):
    """What the headers of a signed request say; each in its form, none of it checked yet."""

    key_id: str
    timestamp: str
    nonce: str
    signature: str


class Signable(msgspec.Struct, frozen=True, kw_only=True):
    """What of a request is signed."""

    method: str
    target: bytes
    """Path and query as sent, `?` between; without `?` where there is no query."""
    body: bytes


def presented(headers: dict[str, str]) -> Presented | None:
    """What the headers say, by their names above; None where one is missing or has another form."""
    values = {name: headers.get(name, "") for name in HEADERS}
    if not all(_FORMS[name].fullmatch(value) for name, value in values.items()):
        return None
    return Presented(key_id=values[KEY], timestamp=values[TIMESTAMP], nonce=values[NONCE], signature=values[SIGNATURE])


def canonical(request: Signable, *, key_id: str, timestamp: str, nonce: str) -> bytes:
    """The seven lines, a line feed between each two."""
    body = hashlib.sha256(request.body).hexdigest()
    lines = (VERSION, key_id, timestamp, nonce, request.method)
    return b"\n".join([*(line.encode("ascii") for line in lines), request.target, body.encode("ascii")])


def sign(secret: str, request: Signable, *, key_id: str, timestamp: str, nonce: str) -> str:
    """The value of X-Aurra-Signature."""
    return _signature(secret, canonical(request, key_id=key_id, timestamp=timestamp, nonce=nonce))


def _signature(secret: str, signed: bytes) -> str:
    return f"{VERSION}={hmac.digest(secret.encode(), signed, hashlib.sha256).hex()}"


def is_signed(secret: str, request: Signable, given: Presented) -> bool:
    """Whether the signature is the secret's, in constant time."""
    return signers([secret], request, given)[0]


def signers(secrets: Sequence[str], request: Signable, given: Presented) -> list[bool]:
    """Of each secret whether the signature is its, in a time that depends on their number alone."""
    signed = canonical(request, key_id=given.key_id, timestamp=given.timestamp, nonce=given.nonce)
    return [hmac.compare_digest(_signature(secret, signed), given.signature) for secret in secrets]
