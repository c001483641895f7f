"""What is asked of a key that is made or changed, as terms; whether it may be so is not looked at here."""

import datetime as dt

import msgspec
from msgspec import UNSET

from aurra import instants, keys, networks
from aurra.errors import BadRequest
from aurra.keys import Terms
from aurra.ops import checks
from aurra.types.api_keys import ApiKeyChange, ApiKeyCreate

MOST_NETWORKS = 100
_NEWEST = 10**18


def asked(own: Terms, request: ApiKeyCreate, at: dt.datetime) -> Terms:
    """The terms of a new key; what is not given is as far as the caller's own go."""
    return Terms(
        scopes=_scopes(request.scopes),
        tenant_id=own.tenant_id if request.tenant_id is None else _name(request.tenant_id, "tenant_id"),
        trust=_trust(request.trust) or min(own.trust, keys.TRUSTS["normal"]),
        name=_name(request.name, "name"),
        expires_at=own.expires_at if request.expires_at is None else _future(request.expires_at, at),
        networks=own.networks if request.networks is None else _networks(request.networks),
        up_to=own.up_to if request.up_to is None else _number(request.up_to),
        is_signed=own.is_signed if request.is_signed is None else request.is_signed,
    )


def changed(kept: Terms, request: ApiKeyChange, at: dt.datetime) -> Terms:
    """The terms of a key as they shall be."""
    expires_at, up_to = kept.expires_at, kept.up_to
    if request.expires_at is not UNSET:
        expires_at = None if request.expires_at is None else _future(request.expires_at, at)
    if request.up_to is not UNSET:
        up_to = None if request.up_to is None else _number(request.up_to)
    return msgspec.structs.replace(
        kept,
        scopes=kept.scopes if request.scopes is None else _scopes(request.scopes),
        trust=_trust(request.trust) or kept.trust,
        name=kept.name if request.name is None else _name(request.name, "name"),
        expires_at=expires_at,
        networks=kept.networks if request.networks is None else _networks(request.networks),
        up_to=up_to,
    )


def _scopes(names: list[str]) -> list[str]:
    try:
        return keys.expand_scopes(names)
    except ValueError as error:
        raise BadRequest(str(error), code="out_of_range", param="scopes") from None


def _trust(name: str | None) -> int | None:
    checks.choice(name, tuple(keys.TRUSTS), "trust")
    return None if name is None else keys.TRUSTS[name]


def _name(text: str, param: str) -> str:
    checks.short(text, param)
    return text


def _future(text: str, now: dt.datetime) -> dt.datetime:
    at = instants.parse(text, "expires_at")
    if at <= now:
        raise BadRequest("`expires_at` is past; revoke a key to end it.", code="out_of_range", param="expires_at")
    return at


def _networks(texts: list[str]) -> list[str]:
    if len(texts) > MOST_NETWORKS:
        raise BadRequest(f"`networks` has at most {MOST_NETWORKS}.", code="out_of_range", param="networks")
    try:
        return [str(network) for network in networks.read_networks(texts)]
    except ValueError:
        raise BadRequest(
            "`networks` holds CIDRs such as 192.0.2.0/24 or 2001:db8::/32, and single addresses.",
            code="out_of_range",
            param="networks",
        ) from None


def _number(number: int) -> int:
    if not 0 <= number <= _NEWEST:
        raise BadRequest("`up_to` is a transaction's number, 0 or more.", code="out_of_range", param="up_to")
    return number
