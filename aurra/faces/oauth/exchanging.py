"""Codes and refresh tokens for access tokens (RFC 6749), and an end to them (RFC 7009)."""

import datetime as dt
from typing import Any

import structlog
from litestar import Request

from aurra import keys, oauth
from aurra.context import Caller, Service
from aurra.errors import Forbidden, NotAuthenticated
from aurra.faces import auth, limits, origins
from aurra.faces.auth import Presented
from aurra.faces.oauth import telling
from aurra.faces.oauth.telling import Json, Refused, Told
from aurra.oauth import Kind
from aurra.store import accounts, grants
from aurra.store.accounts import TokenRow
from aurra.store.grants import TokenState

AnyRequest = Request[Any, Any, Any]
log = structlog.get_logger("aurra")

_PRESENTED: dict[str, tuple[str, Kind]] = {
    "authorization_code": ("code", "code"),
    "refresh_token": ("refresh_token", "refresh"),
}
"""By grant type: the field that is presented, and what kind of token it holds."""


async def exchange(service: Service, request: AnyRequest) -> Told:
    """New tokens for a code, or for a refresh token. Raises Refused.

    Whoever presents one that was used before may have stolen it, or have been stolen from: the grant ends.
    """
    form = await telling.form(request)
    if (of := _PRESENTED.get(form.get("grant_type", ""))) is None:
        raise Refused("unsupported_grant_type", "`grant_type` must be authorization_code or refresh_token.")
    field, kind = of
    raw = _required(form, field)
    if oauth.client_of(_required(form, "client_id"), service.cursor_secret) is None:
        raise Refused("invalid_client", "This client is not registered here; register it again.", 401)
    if "resource" in form and not oauth.is_resource(form["resource"], origin := origins.of(service, request)):
        raise Refused("invalid_target", f"`resource` must be {origin}/mcp or {origin}.")
    presented = await _presented(service, request, raw, kind, form)
    return Told(await _issued(service, presented, kind, keys.hash_secret(raw)))


async def revoke(service: Service, request: AnyRequest) -> Told:
    """The grant of a token has ended, with all of its tokens; a token that is not known is no error."""
    form = await telling.form(request)
    raw = _required(form, "token")
    try:
        presented = await auth.find_token(service, raw, "access" if oauth.is_access_token(raw) else "refresh")
    except NotAuthenticated:
        await limits.count_failure(service, request)
        return Told({})
    row = presented.row
    if "client_id" in form and not keys.same_secret(keys.hash_secret(form["client_id"]), row.client_hash):
        raise Refused("invalid_grant", "This token is another client's.")
    async with service.database.begin(row.company_id) as tx:
        if await grants.hold(tx, row.grant_id, presented.at):
            await grants.end(tx, row.grant_id)
    _tell_ended(service, row, "it was revoked")
    return Told({})


def _required(form: dict[str, str], name: str) -> str:
    if name not in form:
        raise Refused("invalid_request", f"`{name}` is missing.")
    return form[name]


async def _presented(service: Service, request: AnyRequest, raw: str, kind: Kind, form: dict[str, str]) -> Presented:
    """What is presented, by the client that it was given to, and within the limits of its key. Failures are counted, as
    those of keys are."""
    found: Presented | None = None

    async def authenticating() -> Caller:
        nonlocal found
        found = await auth.find_token(service, raw, kind)
        _require_fitting(found.row, form, kind)
        return found.caller

    try:
        caller = await limits.admitted(service, request, authenticating())
    except (NotAuthenticated, Forbidden) as error:
        raise Refused("invalid_grant", str(error)) from None
    service.last_uses.note(caller)
    assert found is not None
    return found


def _require_fitting(row: TokenRow, form: dict[str, str], kind: Kind) -> None:
    wrong = ""
    if not keys.same_secret(keys.hash_secret(form["client_id"]), row.client_hash):
        wrong = "It was given to another client."
    elif kind == "code" and form.get("redirect_uri", row.redirect_uri) != row.redirect_uri:
        wrong = "`redirect_uri` is not the one of the authorization."
    elif kind == "code" and not oauth.is_verified(form.get("code_verifier", ""), row.challenge):
        wrong = "`code_verifier` is not the one of the challenge."
    if wrong:
        raise NotAuthenticated(wrong, code="invalid_token")


async def _issued(service: Service, presented: Presented, kind: Kind, token_hash: bytes) -> Json:
    """An access token and a refresh token; what they were had for is used."""
    row = presented.row
    access, refresh = oauth.make_token("access", row.key_id), oauth.make_token("refresh", row.key_id)
    async with service.database.begin(row.company_id) as tx:
        at = service.clock() or await accounts.now(tx)
        state = await grants.find_state(tx, token_hash) if await grants.hold(tx, row.grant_id, at) else None
        is_over = state is None or (state.used_at is None and state.ends_at <= at)
        was_used = state is not None and _was_used(state, kind, at)
        ends_at = min(at + oauth.ACCESS_LASTS, presented.key_ends_at or at + oauth.ACCESS_LASTS)
        if was_used:
            await grants.end(tx, row.grant_id)
        elif not is_over:
            await grants.spend(tx, row.grant_id, kind, at)
            await grants.add_token(tx, row.grant_id, row.key_id, "access", keys.hash_secret(access), ends_at)
            until = at + oauth.REFRESH_LASTS
            await grants.add_token(tx, row.grant_id, row.key_id, "refresh", keys.hash_secret(refresh), until)
            await grants.forget_ended(tx, at)
    # After the COMMIT, which an error inside would have undone.
    if was_used:
        _tell_ended(service, row, f"a {kind} token was used again")
        raise Refused("invalid_grant", "This was used before, so all that was granted with it has ended.")
    if is_over:
        raise Refused("invalid_grant", "This has ended: connect again.")
    return {
        "access_token": access,
        "token_type": "Bearer",
        "expires_in": int((ends_at - at).total_seconds()),
        "refresh_token": refresh,
        "scope": " ".join(scope for scope in oauth.GRANTABLE if scope in presented.caller.scopes),
    }


def _was_used(state: TokenState, kind: Kind, at: dt.datetime) -> bool:
    """Whether its use now is one too many: a refresh token may come again for a moment, since answers get lost."""
    return state.used_at is not None and (kind == "code" or state.used_at + oauth.RETRY < at)


def _tell_ended(service: Service, row: TokenRow, why: str) -> None:
    """Says in the log that a grant ended, and lets this process look its tokens up again."""
    service.callers.forget(row.key_id)
    log.info("access has ended", account=str(row.company_id), key=row.key_id, grant=str(row.grant_id), why=why)
