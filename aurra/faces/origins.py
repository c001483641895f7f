"""Where this service is reached, as its client knows it: scheme, host and port of a request."""

import re
from typing import Any

from litestar import Request

from aurra import networks
from aurra.context import Service
from aurra.networks import Networks

AnyRequest = Request[Any, Any, Any]
_HOST = re.compile(r"(?:[a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?")


def of(service: Service, request: AnyRequest) -> str:
    """The origin that the operator set (AURRA_PUBLIC_URL), else the request's."""
    return service.settings.aurra_public_url.rstrip("/") or origin(request, service.trusted_proxies)


def origin(request: AnyRequest, trusted_proxies: Networks) -> str:
    """`https://memory.example` or the like, in lower case, without a slash at its end.

    X-Forwarded-Proto and X-Forwarded-Host are believed where the request's peer is a trusted proxy, and nowhere else.
    A host that can be none is answered with the address that was listened on.
    """
    scheme, host = request.scope["scheme"], request.headers.get("host", "")
    if _comes_from(request, trusted_proxies):
        scheme = _last(request, "x-forwarded-proto") or scheme
        host = _last(request, "x-forwarded-host") or host
    scheme, host = scheme.lower(), host.lower()
    if not _HOST.fullmatch(host):
        host = _listening(request)
    return f"{'https' if scheme == 'https' else 'http'}://{host}"


def resource_metadata(origin: str) -> str:
    """Where it says who gives out tokens for its /mcp: what a 401 there names (RFC 9728)."""
    return f"{origin}/.well-known/oauth-protected-resource/mcp"


def _comes_from(request: AnyRequest, trusted_proxies: Networks) -> bool:
    peer = networks.read_address(request.client.host) if request.client else None
    return peer is not None and networks.contains(trusted_proxies, peer)


def _last(request: AnyRequest, name: str) -> str:
    """What the nearest proxy said. What stands left of it, a client may have written."""
    return ",".join(request.headers.getall(name, [])).split(",")[-1].strip()


def _listening(request: AnyRequest) -> str:
    server = request.scope["server"]
    if server is None:
        return "localhost"
    host, port = server
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{port}" if port else shown
