"""Limits at the door: who is let through, what every answer says of it, and who has guessed keys for too long."""

import contextlib
import ipaddress
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from litestar import Request
from litestar.datastructures import MutableScopeHeaders

from aurra import rates
from aurra.context import Caller, Service
from aurra.errors import Forbidden, NotAuthenticated, TooManyRequests, Unavailable
from aurra.faces import addresses, auth, signatures
from aurra.limiter import Network
from aurra.rates import Standing

AnyRequest = Request[Any, Any, Any]
_TOLD = "rate_headers"
_ASKED = "was_asked"
"""In a request's state: whether its caller was looked for, found or not."""
_OPEN = "/health"


async def admitted(
    service: Service, request: AnyRequest, authenticating: Awaitable[Caller], bucket: str = ""
) -> Caller:
    """The caller, if it is one and within its limits, of which each bucket has its own. Raises NotAuthenticated, or
    TooManyRequests.

    A key that is good is let through however often others failed from its address: many share one.
    """
    request.scope["state"][_ASKED] = True
    try:
        caller = await authenticating
        # Before the limits: from elsewhere, a key that leaked must not use up what its account may.
        addresses.require_allowed(caller, request, service.trusted_proxies)
    except (NotAuthenticated, Forbidden):
        await count_failure(service, request)
        raise
    await admit(service, request.scope, caller, bucket)
    return caller


async def admit(service: Service, scope: Any, caller: Caller, bucket: str = "") -> None:
    """Counts a request of a known caller. Raises TooManyRequests."""
    admission = await service.limiter.admit(service.database, caller.company_id, caller.key_id, service.clock(), bucket)
    scope["state"][_TOLD] = rates.headers(_shown(admission.standings, caller))
    if admission.retry_after is not None:
        raise TooManyRequests(
            "These are more requests a minute than the plan allows.", retry_after=admission.retry_after
        )


def _shown(standings: list[Standing], caller: Caller) -> list[Standing]:
    """What a caller is told of its limits. How much of the account's is left says that others are active now, which a
    key with a ceiling may not know: it is told of its own."""
    return standings if caller.up_to is None else [one for one in standings if one.name == "key"]


async def count_failure(service: Service, request: AnyRequest) -> None:
    """One more failed authentication of the request's network. Raises TooManyRequests where it had too many."""
    burst = service.settings.aurra_failed_authentications
    if not burst:
        return
    network = network_of(addresses.client_address(request, service.trusted_proxies))
    try:
        wait = await service.limiter.fail(service.database, network, burst, service.clock())
    except Unavailable:
        # The request is refused anyway, and as what it is.
        return
    if wait is not None:
        raise TooManyRequests("Too many requests from this network came without a key that counts.", retry_after=wait)


def network_of(address: IPv4Address | IPv6Address) -> Network:
    """The network that fails together: a /24, or of IPv6 a /56, which is what one household has."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return ipaddress.ip_network((address.packed, 24 if address.version == 4 else 56), strict=False)


def teller(service: Service) -> Callable[[Any, Any], Awaitable[None]]:
    """A hook that puts the limits on every answer to a key, whatever the answer is; health checks have none."""

    async def tell(message: Any, scope: Any) -> None:
        if message["type"] != "http.response.start":
            return
        if _ASKED not in scope["state"] and not scope["path"].startswith(_OPEN):
            await _admit_quietly(service, scope)
        headers = MutableScopeHeaders.from_message(message)
        for name, value in scope["state"].get(_TOLD, {}).items():
            headers[name] = value

    return tell


async def _admit_quietly(service: Service, scope: Any) -> None:
    """Counts what no operation answered: a path that is not there, a method it does not have, the index."""
    request: AnyRequest = Request(scope)
    if (authenticating := _caller(service, request)) is None:
        return
    # It was answered already, whatever comes of this.
    with contextlib.suppress(Exception):
        await admitted(service, request, authenticating)


async def _nothing() -> bytes:
    return b""


def _caller(service: Service, request: AnyRequest) -> Awaitable[Caller] | None:
    """Whoever the headers say; None where they say nobody. A signature is known where there is no body to read."""
    headers = request.scope["headers"]
    if signatures.is_presented(headers):
        has_body = any(name in (b"content-length", b"transfer-encoding") and value != b"0" for name, value in headers)
        return None if has_body else signatures.signer(service, request.scope, _nothing)
    given = [value for name, value in headers if name == b"authorization"]
    return auth.authenticate(service, given[0].decode("latin-1")) if len(given) == 1 else None
