"""From the Authorization header to a caller."""

import datetime as dt
import time

from aurra import keys
from aurra.context import Caller, Checked, Service, caller_of
from aurra.errors import NotAuthenticated
from aurra.store import accounts
from aurra.store.accounts import KeyRow


async def authenticate(service: Service, header: str | None) -> Caller:
    """The caller whose key it is. Raises NotAuthenticated with the code of what is wrong."""
    if header is None:
        raise NotAuthenticated("Not authenticated")
    kind, _, raw = header.partition(" ")
    raw = raw.strip()
    if kind.lower() != "bearer" or not raw:
        raise NotAuthenticated("Not authenticated")
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
    is_outgoing = not keys.same_secret(secret_hash, row.secret_hash)
    _require_accepted(row, at, is_outgoing=is_outgoing)
    if row.signing_sealed is not None:
        raise NotAuthenticated(
            "This key signs its requests; its bearer alone is not enough.", code="signature_required"
        )
    ends_at = min(filter(None, (row.expires_at, row.previous_until if is_outgoing else None)), default=None)
    return Checked(caller=caller_of(row, secret_hash), begun=begun, at=at, ends_at=ends_at)


async def accepted(service: Service, row: KeyRow, *, is_outgoing: bool) -> Caller:
    """The caller of a key that was proven to be the caller's, by its secret or the one before its last rotation. Raises
    NotAuthenticated where that is not accepted now."""
    at = service.clock()
    if at is None and (is_outgoing or row.expires_at is not None):
        async with service.database.read(row.company_id) as tx:
            at = await accounts.now(tx)
    _require_accepted(row, at, is_outgoing=is_outgoing)
    return caller_of(row, (is_outgoing and row.previous_hash) or row.secret_hash)


def _of_secret(rows: list[KeyRow], secret_hash: bytes) -> KeyRow | None:
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
