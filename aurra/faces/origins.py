"""Where this service is reached, as its client knows it: scheme, host and port of a request."""

import re
from typing import Any

from litestar import Request

from aurra import networks
from aurra.networks import Networks

AnyRequest = Request[Any, Any, Any]
_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


def origin(request: AnyRequest, trusted_proxies: Networks) -> str:
    """`https://memory.example` or the like, without a slash at its end.

    X-Forwarded-Proto and X-Forwarded-Host are believed where the request's peer is a trusted proxy, and nowhere else.
    A host that can be none is answered with the address that was listened on.
    """
    scheme, host = request.scope["scheme"], request.headers.get("host", "")
    if _comes_from(request, trusted_proxies):
        scheme = _first(request, "x-forwarded-proto") or scheme
        host = _first(request, "x-forwarded-host") or host
    if not _HOST.fullmatch(host):
        host = _listening(request)
    return f"{'https' if scheme.lower() == 'https' else 'http'}://{host}"


def _comes_from(request: AnyRequest, trusted_proxies: Networks) -> bool:
    peer = networks.read_address(request.client.host) if request.client else None
    return peer is not None and networks.contains(trusted_proxies, peer)


def _first(request: AnyRequest, name: str) -> str:
    """What the proxy that is nearest to the client said."""
    return request.headers.get(name, "").split(",")[0].strip()


def _listening(request: AnyRequest) -> str:
    server = request.scope["server"]
    if server is None:
        return "localhost"
    host, port = server
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{port}" if port else shown
