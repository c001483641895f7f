"""Keys of the account. A key makes, changes, rotates and revokes only keys that may at most what it may itself."""

import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import structlog

from aurra import instants, keys
from aurra.context import Context
from aurra.cursors import ApiKeyCursor
from aurra.errors import BadRequest, Conflict, Forbidden, NotAuthenticated, Unprocessable
from aurra.keys import NewKey, Terms
from aurra.ops import checks, key_terms, paging, writing
from aurra.ops.committing import Fingerprint
from aurra.ops.registry import operation
from aurra.store import accounts, api_keys, ledger
from aurra.store.api_keys import ApiKeyRow
from aurra.store.pool import Transaction
from aurra.types.api_keys import (
    ApiKey,
    ApiKeyChange,
    ApiKeyCreate,
    ApiKeyFound,
    ApiKeyGet,
    ApiKeyList,
    ApiKeyMade,
    ApiKeyPage,
    ApiKeyRevoke,
    ApiKeyRotate,
)

log = structlog.get_logger("aurra")

LONGEST_OVERLAP_HOURS = 168
_TRUSTS: dict[int, Any] = {number: name for name, number in keys.TRUSTS.items()}


class _Made(msgspec.Struct, frozen=True):
    """What is remembered of a secret that was made under an Idempotency-Key."""

    key_id: str


@operation("keys.list", "GET", "/api-keys", scope="keys:manage")
async def list_keys(ctx: Context, request: ApiKeyList) -> ApiKeyPage:
    """The keys of the account, newest first, without their secrets.

    A key that is pinned to a tenant sees those that are pinned to the same.
    """
    limit = checks.clamp(request.limit, 20)
    cursor = paging.place_of(ctx, request.cursor, ApiKeyCursor)
    after = cursor and (cursor.at, cursor.key_id)
    async with ctx.database.read(ctx.company_id) as tx:
        rows = await api_keys.list_page(tx, tenant_id=ctx.caller.tenant_id, after=after, limit=limit + 1)
        now = await instant_of(ctx, tx)
    page, last = paging.cut(rows, limit)
    return ApiKeyPage(
        api_keys=[shown_key(row, now) for row in page],
        has_more=last is not None,
        next_cursor=last and paging.cursor_to(ctx, ApiKeyCursor(last.created_at, last.key_id)),
    )


@operation("keys.get", "GET", "/api-keys/{key_id}", scope="keys:manage")
async def get_key(ctx: Context, request: ApiKeyGet) -> ApiKeyFound:
    """One key, without its secret."""
    async with ctx.database.read(ctx.company_id) as tx:
        row = await api_keys.find(tx, request.key_id) if keys.is_key_id(request.key_id) else None
        return ApiKeyFound(api_key=shown_key(_visible(ctx, row), await instant_of(ctx, tx)))


@operation(
    "keys.create",
    "POST",
    "/api-keys",
    scope="keys:manage",
    is_idempotent=True,
    example={"scopes": ["query", "memories:read"], "name": "support agent"},
)
async def create_key(ctx: Context, request: ApiKeyCreate) -> ApiKeyMade:
    """Makes a key that may at most what this one may. Its secret is in this answer and nowhere else.

    A second request with the same Idempotency-Key makes nothing, and is told the id (409 secret_shown_once).
    """
    key = keys.make_key()
    # Where a ring is needed and missing, who asks for a key that signs is told so.
    ring = ctx.service.secret_keys.get() if request.is_signed else ctx.service.secret_keys.find()

    async def make(tx: Transaction, own: ApiKeyRow, at: dt.datetime) -> NewKey:
        terms = key_terms.asked(own.terms, request, at)
        _require_within(own, terms)
        return await accounts.insert_key(tx, key, terms, f"key {own.key_id}", at, ring)

    return await _make_secret(ctx, writing.fingerprint(ctx, "keys.create", request), key, None, make)


@operation(
    "keys.update",
    "PATCH",
    "/api-keys/{key_id}",
    scope="keys:manage",
    keyless="It sets what it is told: again, it changes nothing more.",
    example={"name": "support agent in Oslo"},
)
async def update_key(ctx: Context, request: ApiKeyChange) -> ApiKeyFound:
    """Changes what is given, of a key that may at most what this one may, and then too.

    Takes effect at once in this process, within five seconds in others.
    """
    async with ctx.database.begin(ctx.company_id) as tx:
        own, row = await _lock(ctx, tx, request.key_id)
        at = await instant_of(ctx, tx)
        if row.revoked_at is not None:
            raise Conflict("This key was revoked.", code="key_has_ended")
        terms = key_terms.changed(row.terms, request, at)
        _require_within(own, terms)
        await api_keys.change(tx, row.key_id, terms)
        changed = _there(await api_keys.find(tx, row.key_id))
    fields = [name for name in Terms.__struct_fields__ if getattr(terms, name) != getattr(row.terms, name)]
    _tell(ctx, "a key was changed", row.key_id, fields=fields)
    return ApiKeyFound(api_key=shown_key(changed, at))


@operation(
    "keys.revoke",
    "DELETE",
    "/api-keys/{key_id}",
    scope="keys:manage",
    keyless="A revoked key stays revoked: again, it changes nothing more.",
    is_destructive=True,
)
async def revoke_key(ctx: Context, request: ApiKeyRevoke) -> ApiKeyFound:
    """Refuses a key from now on: at once in this process, within five seconds in others. It stays in the list."""
    async with ctx.database.begin(ctx.company_id) as tx:
        _, row = await _lock(ctx, tx, request.key_id)
        at = await instant_of(ctx, tx)
        await api_keys.revoke(tx, row.key_id, at)
        revoked = _there(await api_keys.find(tx, row.key_id))
    if row.revoked_at is None:
        _tell(ctx, "a key was revoked", row.key_id)
    return ApiKeyFound(api_key=shown_key(revoked, at))


@operation(
    "keys.rotate",
    "POST",
    "/api-keys/{key_id}/rotate",
    scope="keys:manage",
    is_idempotent=True,
    is_destructive=True,
    example={"overlap_hours": 24},
)
async def rotate_key(ctx: Context, request: ApiKeyRotate) -> ApiKeyMade:
    """Gives a key a new secret, which is in this answer and nowhere else. Id and settings stay.

    A key that signs gets a new signing secret beside it. What was there before is accepted for `overlap_hours` more;
    what was on its way out already is not. A second request with the same Idempotency-Key changes nothing (409
    secret_shown_once).
    """
    if not 0 <= request.overlap_hours <= LONGEST_OVERLAP_HOURS:
        raise BadRequest(
            f"`overlap_hours` must lie in 0…{LONGEST_OVERLAP_HOURS}.", code="out_of_range", param="overlap_hours"
        )
    overlap = dt.timedelta(hours=request.overlap_hours)
    key = keys.make_key(request.key_id)

    async def make(tx: Transaction, own: ApiKeyRow, at: dt.datetime) -> NewKey:
        row = _there(await api_keys.find(tx, key.key_id))
        if row.has_ended(at):
            raise Conflict("This key was revoked, or has expired.", code="key_has_ended")
        ring = ctx.service.secret_keys.get() if row.is_signed else None
        return await accounts.replace_secrets(tx, key, row.terms, at + overlap, ring)

    return await _make_secret(ctx, writing.fingerprint(ctx, "keys.rotate", request), key, request.key_id, make)


async def _make_secret(
    ctx: Context,
    print_: Fingerprint | None,
    key: NewKey,
    of: str | None,
    make: Callable[[Transaction, ApiKeyRow, dt.datetime], Awaitable[NewKey]],
) -> ApiKeyMade:
    """Makes a secret once for the request's Idempotency-Key: of the key `of`, or of a new one."""
    with writing.in_flight(ctx, print_):
        async with ctx.database.begin(ctx.company_id) as tx:
            own = (await _lock(ctx, tx, of))[0] if of else await _own(ctx, tx)
            at = await instant_of(ctx, tx)
            if print_ is not None:
                await _claim(tx, print_, key.key_id, at)
            made = await make(tx, own, at)
            row = _there(await api_keys.find(tx, key.key_id))
    _tell(ctx, "a key was rotated" if of else "a key was made", row.key_id)
    return ApiKeyMade(key=made.raw, signing_secret=made.signing_secret, api_key=shown_key(row, at))


async def _claim(tx: Transaction, print_: Fingerprint, key_id: str, at: dt.datetime) -> None:
    """Takes the Idempotency-Key. Raises Conflict naming the key whose secret it made before; Unprocessable where the
    request was another."""
    if await api_keys.claim(tx, print_.key, print_.digest, msgspec.json.encode(_Made(key_id)), at):
        return
    stored = await ledger.find_answer(tx, print_.key, at)
    if stored is None or stored.fingerprint != print_.digest:
        raise Unprocessable(
            "This Idempotency-Key was used with another request.", code="idempotency_mismatch", param="Idempotency-Key"
        )
    made = msgspec.json.decode(stored.answer, type=_Made)
    raise Conflict(
        "The first request with this Idempotency-Key was answered; the secret in its answer is not kept.",
        code="secret_shown_once",
        extra={"id": made.key_id},
    )


async def _lock(ctx: Context, tx: Transaction, key_id: str) -> tuple[ApiKeyRow, ApiKeyRow]:
    """The caller's own key as it is now, not as it was seconds ago, and the one to change.

    Raises the one 404 for a key that it does not see; Forbidden for one that may more, and for a caller who came with
    an old secret: one that could rotate its key would never end.
    """
    if not keys.is_key_id(key_id):
        raise checks.missing("key")
    found = await api_keys.lock(tx, key_id, held=ctx.caller.key_id)
    own = await _checked(ctx, tx, found.get(ctx.caller.key_id))
    row = _visible(ctx, found.get(key_id))
    _require_within(own, row.terms, "this key")
    return own, row


async def _own(ctx: Context, tx: Transaction) -> ApiKeyRow:
    """The caller's own key as it is now, which stays so until the transaction ends."""
    return await _checked(ctx, tx, await api_keys.hold(tx, ctx.caller.key_id))


async def _checked(ctx: Context, tx: Transaction, own: ApiKeyRow | None) -> ApiKeyRow:
    """The caller's own key, if it may still change keys."""
    if own is None or own.has_ended(await instant_of(ctx, tx)):
        raise NotAuthenticated("This key was revoked, or has expired, a moment ago.", code="revoked_key")
    if not await api_keys.is_secret_of(tx, own.key_id, ctx.caller.secret_hash):
        raise Forbidden("This is the key's old secret; it changes no keys.", code="outgoing_secret")
    keys.require_scope(frozenset(own.scopes), "keys:manage")
    return own


def _visible(ctx: Context, row: ApiKeyRow | None) -> ApiKeyRow:
    """The key, if this one sees it; else the one 404."""
    if row is None or ctx.caller.tenant_id not in (None, row.tenant_id):
        raise checks.missing("key")
    return row


def _require_within(own: ApiKeyRow, terms: Terms, what: str | None = None) -> None:
    """Raises Forbidden for terms that go beyond those of the caller's own key."""
    if (param := keys.excess(own.terms, terms)) is not None:
        whose = f"`{param}` of {what}" if what else f"`{param}`"
        raise Forbidden(f"{whose} goes beyond what your own key may.", code="exceeds_own_key", param=param)


def _there(row: ApiKeyRow | None) -> ApiKeyRow:
    """A key that this transaction holds, or made."""
    assert row is not None
    return row


async def instant_of(ctx: Context, tx: Transaction) -> dt.datetime:
    """The instant that keys are looked at."""
    return ctx.service.clock() or await accounts.now(tx)


def _tell(ctx: Context, event: str, key_id: str, **more: object) -> None:
    """Says in the log who did what, and lets this process look the key up again."""
    ctx.service.callers.forget(key_id)
    log.info(event, account=str(ctx.company_id), key=key_id, by=ctx.caller.key_id, request_id=ctx.request_id, **more)


def shown_key(row: ApiKeyRow, now: dt.datetime) -> ApiKey:
    """A key without its secrets, as it stands at an instant."""
    state = "revoked" if row.revoked_at else "expired" if row.has_ended(now) else "active"
    overlaps = row.previous_until is not None and row.previous_until > now and state == "active"
    return ApiKey(
        id=row.key_id,
        name=row.name,
        last_four=row.last_four,
        scopes=row.scopes,
        tenant_id=row.tenant_id,
        trust=_TRUSTS[row.trust],
        networks=row.networks,
        up_to=row.up_to,
        is_signed=row.is_signed,
        state=state,
        expires_at=instants.show_optional(row.expires_at),
        revoked_at=instants.show_optional(row.revoked_at),
        previous_until=instants.show_optional(row.previous_until) if overlaps else None,
        created_at=instants.show(row.created_at),
        created_by=row.created_by,
        last_used_at=instants.show_optional(row.last_used_at),
    )
