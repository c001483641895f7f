"""From the Authorization header to a caller: by a key, or by an access token that a key's holder let a host have."""

import datetime as dt
import time
from collections.abc import Sequence

import msgspec

from aurra import keys, oauth
from aurra.context import Caller, Checked, Service, caller_of
from aurra.errors import NotAuthenticated
from aurra.oauth import Kind
from aurra.store import accounts
from aurra.store.accounts import KeyRow, TokenRow


async def authenticate(service: Service, header: str | None) -> Caller:
    """The caller whose key it is, or whose access token. Raises NotAuthenticated with the code of what is wrong."""
    if header is None:
        raise NotAuthenticated("Not authenticated")
    kind, _, raw = header.partition(" ")
    raw = raw.strip()
    if kind.lower() != "bearer" or not raw:
        raise NotAuthenticated("Not authenticated")
    if oauth.is_access_token(raw):
        return await _of_token(service, raw)
    return await of_key(service, raw)


async def of_key(service: Service, raw: str) -> Caller:
    """The caller whose key it is, as it is written. Raises NotAuthenticated, for an access token too."""
    if (key_id := keys.key_id_of(raw)) is None:
        raise NotAuthenticated("This is not an Aurra key: it has the wrong form or a typing error.", code="invalid_key")
    secret_hash = keys.hash_secret(raw)
    if (caller := service.callers.find(secret_hash, service.clock())) is None:
        changes = service.callers.changes
        checked = await _look_up(service, secret_hash, key_id)
        service.callers.keep(secret_hash, checked, changes)
        caller = checked.caller
    return caller


async def _look_up(service: Service, secret_hash: bytes, key_id: str) -> Checked:
    begun = time.monotonic()
    at = service.clock()
    async with service.database.look_up(key_id) as tx:
        row = _of_secret(await accounts.find_key(tx, key_id), secret_hash)
        if row is not None and at is None and (row.expires_at or row.previous_until):
            at = await accounts.now(tx)
    if row is None:
        raise NotAuthenticated("This key is not known here.", code="invalid_key")
    _require_accepted(row, at, is_outgoing=not keys.same_secret(secret_hash, row.secret_hash))
    if row.signing_sealed is not None:
        raise NotAuthenticated(
            "This key signs its requests; its bearer alone is not enough.", code="signature_required"
        )
    return Checked(caller=caller_of(row, secret_hash), begun=begun, at=at, ends_at=_end_of(row, secret_hash))


async def _of_token(service: Service, raw: str) -> Caller:
    token_hash = keys.hash_secret(raw)
    if (caller := service.callers.find(token_hash, service.clock())) is None:
        begun, changes = time.monotonic(), service.callers.changes
        presented = await find_token(service, raw, "access")
        ends_at = min(presented.row.token_ends_at, presented.key_ends_at or presented.row.token_ends_at)
        if ends_at <= presented.at:
            raise NotAuthenticated("This token has ended.", code="invalid_token")
        checked = Checked(caller=presented.caller, begun=begun, at=presented.at, ends_at=ends_at)
        service.callers.keep(token_hash, checked, changes)
        caller = checked.caller
    return caller


class Presented(msgspec.Struct, frozen=True):
    """A token whose key is accepted."""

    row: TokenRow
    caller: Caller
    """With the scopes that were granted, as far as the key has them now."""
    at: dt.datetime
    key_ends_at: dt.datetime | None
    """When the key will be refused, or its secret that was typed; as far as it is known."""


async def find_token(service: Service, raw: str, kind: Kind) -> Presented:
    """The token, where its key is accepted; whether it is used already, or over, is for the caller to see. Raises
    NotAuthenticated (invalid_token)."""
    if (key_id := oauth.key_id_of(raw, kind)) is None:
        raise NotAuthenticated("This token has the wrong form or a typing error.", code="invalid_token")
    token_hash = keys.hash_secret(raw)
    async with service.database.look_up(key_id) as tx:
        row = await accounts.find_token(tx, key_id, token_hash)
        at = service.clock() or await accounts.now(tx)
    if row is None:
        raise NotAuthenticated("This token is not known here, or has ended.", code="invalid_token")
    if _of_secret([row], row.consented_by) is None:
        raise NotAuthenticated("The key was rotated since this access was granted.", code="invalid_token")
    try:
        _require_accepted(row, at, is_outgoing=not keys.same_secret(row.consented_by, row.secret_hash))
    except NotAuthenticated as error:
        raise NotAuthenticated(f"The key of this token is not accepted: {error}", code="invalid_token") from None
    caller = msgspec.structs.replace(
        caller_of(row, token_hash), scopes=frozenset(row.granted_scopes) & frozenset(row.scopes)
    )
    return Presented(row, caller, at, _end_of(row, row.consented_by))


def _end_of(row: KeyRow, secret_hash: bytes) -> dt.datetime | None:
    """When the key with that secret is refused, as far as it is known."""
    is_outgoing = not keys.same_secret(secret_hash, row.secret_hash)
    return min(filter(None, (row.expires_at, row.previous_until if is_outgoing else None)), default=None)


async def accepted(service: Service, row: KeyRow, *, is_outgoing: bool) -> Caller:
    """The caller of a key that was proven to be the caller's, by its secret or the one before its last rotation. Raises
    NotAuthenticated where that is not accepted now."""
    at = service.clock()
    if at is None and (is_outgoing or row.expires_at is not None):
        async with service.database.read(row.company_id) as tx:
            at = await accounts.now(tx)
    _require_accepted(row, at, is_outgoing=is_outgoing)
    return caller_of(row, (is_outgoing and row.previous_hash) or row.secret_hash)


def _of_secret(rows: Sequence[KeyRow], secret_hash: bytes) -> KeyRow | None:
    """The key whose secret it is, or was until it was rotated."""
    for row in rows:
        if keys.same_secret(secret_hash, row.secret_hash) or keys.same_secret(secret_hash, row.previous_hash):
            return row
    return None


def _require_accepted(row: KeyRow, at: dt.datetime | None, *, is_outgoing: bool) -> None:
    """`at` is known where something ends."""
    if row.revoked_at is not None:
        raise NotAuthenticated("This key was revoked.", code="revoked_key")
    if at is None:
        return
    if row.expires_at is not None and row.expires_at <= at:
        raise NotAuthenticated("This key has expired.", code="expired_key")
    if is_outgoing and (row.previous_until is None or row.previous_until <= at):
        raise NotAuthenticated("This key was rotated, and this is its old secret.", code="rotated_key")
