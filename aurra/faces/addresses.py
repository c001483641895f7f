"""Where a request comes from, as far as that can be believed."""

from typing import Any

from litestar import Request

from aurra import networks
from aurra.context import Caller
from aurra.errors import Forbidden
from aurra.networks import Address, Networks

AnyRequest = Request[Any, Any, Any]


def client_address(request: AnyRequest, trusted: Networks) -> Address:
    """The client's address: the right-most of X-Forwarded-For and the socket's peer that is no trusted proxy.

    Without a trusted proxy it is the peer, whatever the header says. `networks.UNKNOWN` where it cannot be told.
    """
    peer = request.client.host if request.client else ""
    hops = [hop for line in request.headers.getall("x-forwarded-for", []) for hop in line.split(",")] if trusted else []
    return networks.first_stranger([*hops, peer], trusted)


def require_allowed(caller: Caller, request: AnyRequest, trusted: Networks) -> None:
    """Returns when the key may be used from where the request comes from; else raises Forbidden."""
    if not caller.networks:
        return
    address = client_address(request, trusted)
    if not networks.contains(caller.networks, address):
        shown = "an address that cannot be told" if address == networks.UNKNOWN else str(address)
        raise Forbidden(f"This key may not be used from {shown}.", code="address_not_allowed")
