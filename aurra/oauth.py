"""OAuth 2.1 without the web: what tokens and client ids look like, where a code may be sent, what must match what. Pure
but for the operating system's randomness.

A token names its key, as a key does itself, so that it is found before its account is known: `aurra_oat_` (access),
`aurra_ort_` (refresh) or `aurra_oac_` (code), 8 characters of the key's id, 43 of secret, 6 of checksum. What is stored
is its SHA-256. A client id holds all that its registration said, and its HMAC: the service stores no clients.
"""

import base64
import binascii
import datetime as dt
import hashlib
import hmac
import re
import secrets
import unicodedata
import zlib
from collections.abc import Collection
from typing import Literal
from urllib.parse import SplitResult, urlencode, urlsplit

import msgspec

from aurra import keys

Kind = Literal["code", "access", "refresh"]

CODE_LASTS = dt.timedelta(seconds=60)
ACCESS_LASTS = dt.timedelta(hours=1)
REFRESH_LASTS = dt.timedelta(days=30)
RETRY = dt.timedelta(seconds=30)
"""How long a refresh token is good after its first use, so that an answer that was lost can be had again."""

GRANTABLE = tuple(scope for scope in keys.SCOPES if scope != "keys:manage")
"""No host is let near keys: one that it made would outlive its grant."""

MOST_REDIRECTS = 10
LONGEST_REDIRECT = 500
LONGEST_REDIRECTS = 2000
"""All of a client's together: its id holds them."""
LONGEST_NAME = 100

_PREFIXES: dict[Kind, str] = {"code": "aurra_oac_", "access": "aurra_oat_", "refresh": "aurra_ort_"}
_TOKEN = re.compile(r"([0-9A-Za-z]{8})([0-9A-Za-z]{43})([0-9A-Za-z]{6})")
_CLIENT = "aurra_client_"
_MAC_BYTES = 16
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_NOT_PRIVATE = frozenset(
    {"about", "blob", "chrome", "data", "file", "filesystem", "ftp", "intent", "jar", "javascript", "mailto"}
    | {"resource", "sms", "tel", "urn", "vbscript", "view-source", "ws", "wss"}
)
"""Schemes that are no app's own: a code sent there goes astray, or runs."""
_URI = re.compile(r"[a-z][a-z0-9+.-]*:/[!#-;=?-\[\]_a-z~]*", re.IGNORECASE)
_HOST = re.compile(r"[a-z0-9._-]{1,253}|[0-9a-f:.]{2,45}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


class Client(msgspec.Struct, frozen=True, array_like=True):
    """What a host said of itself when it registered."""

    name: str
    redirect_uris: list[str]


def make_token(kind: Kind, key_id: str) -> str:
    """A new token of a key, with 256 random bits."""
    body = f"{_PREFIXES[kind]}{key_id}{keys.base62(secrets.randbits(256), 43)}"
    return body + _checksum(body)


def key_id_of(raw: str, kind: Kind) -> str | None:
    """The id of the key inside a token of that kind with the right form and checksum, else None."""
    prefix = _PREFIXES[kind]
    match = _TOKEN.fullmatch(raw, len(prefix)) if raw.startswith(prefix) else None
    return match[1] if match is not None and _checksum(raw[:-6]) == match[3] else None


def is_access_token(raw: str) -> bool:
    """Whether it begins as an access token does."""
    return raw.startswith(_PREFIXES["access"])


def _checksum(body: str) -> str:
    return keys.base62(zlib.crc32(body.encode()), 6)


def client_id_of(client: Client, secret: bytes) -> str:
    """The id of a client; the same for the same client."""
    body = msgspec.json.encode(client)
    return _CLIENT + base64.urlsafe_b64encode(_mac(body, secret) + body).decode().rstrip("=")


def client_of(client_id: str, secret: bytes) -> Client | None:
    """The client whose id it is; None for an id that this installation did not give."""
    if not client_id.startswith(_CLIENT):
        return None
    text = client_id.removeprefix(_CLIENT)
    try:
        raw = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if hmac.compare_digest(mac, _mac(body, secret)):
            return msgspec.json.decode(body, type=Client)
    except (UnicodeEncodeError, binascii.Error, msgspec.MsgspecError):
        pass
    return None


def _mac(body: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, b"oauth client " + body, hashlib.sha256)[:_MAC_BYTES]


def proof(secret: bytes, browser: str, request: str) -> str:
    """Goes with the form that asks for consent: that it was shown to this browser, for this request."""
    said = msgspec.json.encode([browser, request])
    return hmac.digest(secret, b"oauth consent " + said, hashlib.sha256).hex()


def shown_name(name: str) -> str:
    """A client's name as it can be shown: one line, nothing invisible, nothing that turns the text around."""
    kept = "".join(
        " " if one.isspace() else one for one in name if one.isspace() or unicodedata.category(one)[0] != "C"
    )
    return " ".join(kept.split())[:LONGEST_NAME]


def require_redirect(uri: str) -> None:
    """Returns for a URI that a code may be sent to; else raises ValueError with a sentence."""
    if len(uri) > LONGEST_REDIRECT or _URI.fullmatch(uri) is None:
        raise ValueError(f"it must be an absolute URI of ASCII characters, and at most {LONGEST_REDIRECT} of them")
    parts = urlsplit(uri)
    if "#" in uri:
        raise ValueError("it must have no fragment")
    if parts.scheme in ("http", "https"):
        if not _names_host(parts):
            raise ValueError("it must name a host, with a port that can be one, and no user")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise ValueError("http is for 127.0.0.1, [::1] and localhost only; use https")
    elif parts.scheme in _NOT_PRIVATE:
        raise ValueError(f"the scheme {parts.scheme} is not an app's own")


def _names_host(parts: SplitResult) -> bool:
    try:
        has_port = parts.port is None or parts.port > 0
    except ValueError:
        return False
    return has_port and "@" not in parts.netloc and _HOST.fullmatch(parts.hostname or "") is not None


def may_redirect(client: Client, uri: str) -> bool:
    """Whether the client registered the URI; on the loopback, with whatever port (RFC 8252)."""
    try:
        # Also of one that was registered: a client's id outlives the release that made it.
        require_redirect(uri)
        if uri in client.redirect_uris:
            return True
        return is_loopback(uri) and any(
            is_loopback(known) and _portless(known) == _portless(uri) for known in client.redirect_uris
        )
    except ValueError:
        return False


def is_loopback(uri: str) -> bool:
    """Whether it leads to a program on the reader's own machine."""
    parts = urlsplit(uri)
    return parts.scheme == "http" and parts.hostname in _LOOPBACK


def _portless(uri: str) -> tuple[str | None, str, str]:
    parts = urlsplit(uri)
    return parts.hostname, parts.path or "/", parts.query


def with_parameters(uri: str, parameters: dict[str, str]) -> str:
    """The URI with more in its query."""
    return f"{uri}{'&' if '?' in uri else '?'}{urlencode(parameters)}"


def is_challenge(text: str) -> bool:
    """Whether it has the form of an S256 challenge."""
    return _CHALLENGE.fullmatch(text) is not None


def is_verified(verifier: str, challenge: str) -> bool:
    """Whether it is the verifier of the challenge (PKCE, S256)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    reckoned = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    return _VERIFIER.fullmatch(verifier) is not None and hmac.compare_digest(reckoned, challenge)


def is_resource(text: str, origin: str) -> bool:
    """Whether it names this service or its /mcp."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    is_here = f"{parts.scheme}://{parts.netloc.lower()}" == origin.lower() and not parts.query and not parts.fragment
    return is_here and parts.path.rstrip("/") in ("", "/mcp")


def asked_scopes(text: str) -> list[str]:
    """The scopes that a host asks for; all that there are for it where it names none that is known."""
    named = [one for name in text.split() for one in keys.BUNDLES.get(name, (name,))]
    return [scope for scope in GRANTABLE if scope in named] or list(GRANTABLE)


def granted_scopes(asked: Collection[str], own: Collection[str], *, read_only: bool) -> list[str]:
    """Of the scopes that are asked for, those that the key has; those that read where no more is meant."""
    most = keys.BUNDLES["read_only"] if read_only else GRANTABLE
    return [scope for scope in GRANTABLE if scope in asked and scope in own and scope in most]
