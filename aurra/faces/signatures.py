"""From the headers of a signed request to a caller."""

import secrets
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import structlog

from aurra import signing
from aurra.context import Caller, Service
from aurra.errors import CannotStart, NotAuthenticated, Unavailable
from aurra.faces import auth
from aurra.sealing import CannotOpen, Sealed
from aurra.signing import MOST_SECONDS, Presented, Signable
from aurra.store import accounts
from aurra.store import signing as store
from aurra.store.accounts import KeyRow

log = structlog.get_logger("aurra")

Headers = Iterable[tuple[bytes, bytes]]
_NAMES = {name.lower().encode(): name for name in signing.HEADERS}
_NOBODYS = secrets.token_hex(32)
"""Compared with where there is no key, so that it takes as long."""


def is_presented(headers: Headers) -> bool:
    """Whether the request says that it is signed."""
    return any(name in _NAMES for name, _ in headers)


def presented(headers: Headers) -> Presented:
    """What a signed request presents. Raises NotAuthenticated for a header that is missing, malformed, there twice, or
    a bearer beside them."""
    if any(name == b"authorization" for name, _ in headers):
        raise NotAuthenticated("A signed request has no Authorization.", code="malformed_signature")
    found = [(_NAMES[name], value.decode("latin-1")) for name, value in headers if name in _NAMES]
    given = signing.presented(dict(found))
    if given is None or len(found) != len(_NAMES):
        raise NotAuthenticated("The headers of the signature are not what they must be.", code="malformed_signature")
    return given


def signable(scope: Any, body: bytes) -> Signable:
    """What the request's signature covers, as it was sent."""
    query = scope["query_string"]
    target = scope["raw_path"] + (b"?" + query if query else b"")
    return Signable(method=scope["method"], target=target, body=body)


async def signer(service: Service, scope: Any, read: Callable[[], Awaitable[bytes]]) -> Caller:
    """The caller who signed the request, whose body is read once its headers have the form.

    Raises NotAuthenticated as `presented` and `authenticate` do.
    """
    given = presented(scope["headers"])
    return await authenticate(service, given, signable(scope, await read()))


async def authenticate(service: Service, given: Presented, request: Signable) -> Caller:
    """The caller whose key signed the request, now and for the first time.

    Raises NotAuthenticated; what is wrong with the key, the clock or the nonce is told to whoever signed, nobody else.
    """
    async with service.database.look_up(given.key_id) as tx:
        rows = await accounts.find_key(tx, given.key_id)
    for row in rows or [None]:
        # As many are compared where a key has none, so that it takes as long.
        is_new, is_outgoing = signing.signers(_secrets(service, row), request, given)
        if row is not None and (is_new or is_outgoing):
            caller = await auth.accepted(service, row, is_outgoing=not is_new)
            await _require_first(service, caller, given)
            return caller
    raise NotAuthenticated("The signature is not one of this key for this request.", code="invalid_signature")


async def _require_first(service: Service, caller: Caller, given: Presented) -> None:
    async with service.database.begin(caller.company_id) as tx:
        kept = await store.keep(
            tx,
            key_id=given.key_id,
            nonce=given.nonce,
            timestamp=int(given.timestamp),
            most=MOST_SECONDS,
            clock=service.clock(),
        )
    if not kept.is_in_time:
        raise NotAuthenticated(
            f"The timestamp {given.timestamp} is more than {MOST_SECONDS} seconds off: the service's clock says "
            f"{int(kept.at.timestamp())}.",
            code="signature_expired",
        )
    if not kept.is_new:
        raise NotAuthenticated("This nonce was used before.", code="nonce_used")


def _secrets(service: Service, row: KeyRow | None) -> tuple[str, str]:
    """The key's signing secret and the one before its last rotation; for each that is not there, one that is nobody's.

    Raises Unavailable where this installation cannot open the secret; one before it that it cannot open signs nothing.
    """
    if row is None or row.signs_with is None:
        return _NOBODYS, _NOBODYS
    if (secret := _find(service, row, row.signs_with)) is None:
        raise Unavailable("Signatures cannot be checked now.", retry_after=60)
    older = _find(service, row, row.signed_with) if row.signed_with is not None else None
    return secret, older or _NOBODYS


def _find(service: Service, row: KeyRow, sealed: Sealed) -> str | None:
    try:
        if (ring := service.secret_keys.find()) is not None:
            return store.opened(row.company_id, row.key_id, sealed, ring)
    except (CannotOpen, CannotStart):
        pass
    # Outside `except`, so that nothing of what is sealed hangs on it.
    log.error("a signing secret cannot be opened", key_id=row.key_id)
    return None
