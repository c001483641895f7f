"""The addresses of OAuth, and what answers at each."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler

from aurra.context import Service
from aurra.faces import receiving
from aurra.faces.oauth import consenting, described, exchanging, registering, telling

AnyRequest = Request[Any, Any, Any]
_WELL_KNOWN = "/.well-known/"


def handlers(service: Service) -> list[HTTPRouteHandler]:
    """A route handler for each. Clients that have not read, or forgot, what the server says of itself go to /authorize,
    /token and /register: MCP's revision of 2025-03-26 has them so, and the official client refreshes there when it was
    started anew."""

    @get([f"{_WELL_KNOWN}oauth-protected-resource{path}" for path in ("", "/mcp")], include_in_schema=False)
    async def resource(request: AnyRequest) -> Response[bytes]:
        return await telling.respond(request, described.resource(service, request))

    @get([f"{_WELL_KNOWN}oauth-authorization-server{path}" for path in ("", "/mcp")], include_in_schema=False)
    async def server(request: AnyRequest) -> Response[bytes]:
        return await telling.respond(request, described.server(service, request))

    @post(["/oauth/register", "/register"], include_in_schema=False)
    async def register(request: AnyRequest) -> Response[bytes]:
        return await telling.respond(request, registering.register(service, request))

    @get(["/oauth/authorize", "/authorize"], include_in_schema=False)
    async def ask(request: AnyRequest) -> Response[bytes]:
        return await receiving.respond(request, lambda id_: consenting.ask(service, request, id_))

    @post(["/oauth/authorize", "/authorize"], include_in_schema=False)
    async def decide(request: AnyRequest) -> Response[bytes]:
        return await receiving.respond(request, lambda id_: consenting.decide(service, request, id_))

    @post(["/oauth/token", "/token"], include_in_schema=False)
    async def token(request: AnyRequest) -> Response[bytes]:
        return await telling.respond(request, exchanging.exchange(service, request))

    @post("/oauth/revoke", include_in_schema=False)
    async def revoke(request: AnyRequest) -> Response[bytes]:
        return await telling.respond(request, exchanging.revoke(service, request))

    return [resource, server, register, ask, decide, token, revoke]
