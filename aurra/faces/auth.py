"""From the Authorization header to a caller."""

from aurra import keys
from aurra.context import Caller, Service, caller_of
from aurra.errors import NotAuthenticated
from aurra.store import accounts, ledger
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
    if (caller := service.callers.find(secret_hash)) is None:
        caller = await _look_up(service, raw, key_id)
        service.callers.keep(secret_hash, caller)
    return caller


async def _look_up(service: Service, raw: str, key_id: str) -> Caller:
    async with service.database.look_up(key_id) as tx:
        rows = [row for row in await accounts.find_key(tx, key_id) if keys.matches(raw, row.secret_hash)]
    if not rows:
        raise NotAuthenticated("This key is not known here.", code="invalid_key")
    caller = await accepted(service, rows[0])
    if rows[0].signing_sealed is not None:
        raise NotAuthenticated(
            "This key signs its requests; its bearer alone is not enough.", code="signature_required"
        )
    return caller


async def accepted(service: Service, row: KeyRow) -> Caller:
    """The caller of a key that was proven to be the caller's. Raises NotAuthenticated where it is not accepted now."""
    if row.revoked_at is not None:
        raise NotAuthenticated("This key was revoked.", code="revoked_key")
    await _require_not_expired(service, row)
    return caller_of(row)


async def _require_not_expired(service: Service, row: KeyRow) -> None:
    if row.expires_at is None:
        return
    async with service.database.read(row.company_id) as tx:
        now = (await ledger.head(tx, service.clock())).at
    if row.expires_at <= now:
        raise NotAuthenticated("This key has expired.", code="expired_key")
