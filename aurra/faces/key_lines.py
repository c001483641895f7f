"""Keys on the command line: what an operator says of one, and how one is shown."""

import datetime as dt
import re

from aurra import instants, keys
from aurra.errors import AurraError, CannotStart
from aurra.keys import Terms
from aurra.networks import read_networks
from aurra.store.accounts import ListedKey

_LASTING = re.compile(r"([0-9]{1,5})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_TRUSTS = {number: name for name, number in keys.TRUSTS.items()}


def terms(
    now: dt.datetime,
    *,
    scopes: str,
    trust: str,
    name: str = "",
    tenant: str | None = None,
    expires_in: str | None = None,
    expires_at: str | None = None,
    networks: tuple[str, ...] = (),
    up_to: int | None = None,
    is_signed: bool = False,
) -> Terms:
    """The terms of the options. Raises CannotStart for one that cannot be."""
    return Terms(
        scopes=keys.parse_scopes(scopes),
        trust=keys.TRUSTS[trust],
        name=name,
        tenant_id=tenant,
        expires_at=_end(now, expires_in, expires_at),
        networks=_networks(networks),
        up_to=up_to,
        is_signed=is_signed,
    )


def _end(now: dt.datetime, lasting: str | None, at: str | None) -> dt.datetime | None:
    if lasting is not None and at is not None:
        raise CannotStart("Give --expires-in or --expires-at, not both.")
    if lasting is not None:
        if (match := _LASTING.fullmatch(lasting)) is None:
            raise CannotStart(f"--expires-in {lasting!r} cannot be read: use 90d, 12h, 30m or 2w.")
        end = now + dt.timedelta(**{_UNITS[match[2]]: int(match[1])})
    elif at is not None:
        try:
            end = instants.parse(at, "--expires-at")
        except AurraError as error:
            raise CannotStart(str(error)) from None
    else:
        return None
    if end <= now:
        raise CannotStart("A key must end later than now.")
    return end


def _networks(texts: tuple[str, ...]) -> list[str]:
    try:
        return [str(network) for network in read_networks(texts)]
    except ValueError as error:
        raise CannotStart(f"--network: {error}; use 192.0.2.0/24, 2001:db8::/32, or an address.") from None


def line(key: ListedKey) -> str:
    """One key on one line, whatever it is called."""
    state = "revoked" if key.revoked_at else "expired" if key.has_ended else "active"
    more = {
        "name": key.name or None,
        "tenant": key.tenant_id,
        "trust": None if key.trust == keys.TRUSTS["normal"] else _TRUSTS[key.trust],
        "networks": ",".join(key.networks) or None,
        "up-to": key.up_to,
        "signs": "yes" if key.is_signed else None,
        "expires": key.expires_at and f"{key.expires_at:%Y-%m-%dT%H:%MZ}",
        "used": key.last_used_at and f"{key.last_used_at:%Y-%m-%dT%H:%MZ}",
    }
    said = [
        f"{name}={ascii(value) if name in ('name', 'tenant') else value}"
        for name, value in more.items()
        if value is not None
    ]
    return " ".join([key.id, key.account, f"…{key.last_four}", ",".join(key.scopes), state, *said])
