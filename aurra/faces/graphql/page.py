"""GraphiQL, for people: at the path itself, from files of this package alone."""

from functools import cache
from typing import Any

import msgspec
from graphql import introspection_from_schema, print_schema
from litestar import Request, Response
from litestar.handlers import HTTPRouteHandler

from aurra.faces import assets, receiving
from aurra.faces.graphql.schema import schema

AnyRequest = Request[Any, Any, Any]
SDL = "/graphql/schema.graphql"
INTROSPECTED = "/graphql/schema.json"
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        # The editor sets styles as it draws.
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Aurra GraphQL</title>
<link rel="stylesheet" href="{css}">
</head>
<body>
<div id="graphiql" data-schema="{schema}">Loading…</div>
<noscript>This page needs JavaScript; the API does not.</noscript>
<script src="{js}"></script>
</body>
</html>
"""


def is_wanted(accept: str) -> bool:
    """Whether a browser asks: it names HTML, and no JSON of its own."""
    return "text/html" in accept.lower() and "json" not in accept.lower()


def response(request_id: str) -> Response[bytes]:
    """The page."""
    return Response(
        _page(),
        media_type="text/html",
        headers={**_headers(request_id), "Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"},
    )


def handlers() -> list[HTTPRouteHandler]:
    """What serves the schema: as a text, and as the page reads it before it has a key."""

    async def sdl(request: AnyRequest) -> Response[bytes]:
        return await receiving.respond(request, lambda id_: _told(_sdl(), "text/plain", id_))

    async def introspected(request: AnyRequest) -> Response[bytes]:
        return await receiving.respond(request, lambda id_: _told(_introspected(), "application/json", id_))

    return [_handler(SDL, "graphql_schema", sdl), _handler(INTROSPECTED, "graphql_introspected", introspected)]


async def _told(content: bytes, kind: str, request_id: str) -> Response[bytes]:
    return Response(content, media_type=kind, headers={**_headers(request_id), "Cache-Control": "no-cache"})


def _handler(path: str, name: str, endpoint: Any) -> HTTPRouteHandler:
    return HTTPRouteHandler(path, http_method="GET", name=name, operation_id=name, include_in_schema=False)(endpoint)


def _headers(request_id: str) -> dict[str, str]:
    return {"X-Request-Id": request_id, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


@cache
def _page() -> bytes:
    files = {kind: assets.address(f"graphiql/graphiql.{kind}") for kind in ("css", "js")}
    return _PAGE.format(**files, schema=INTROSPECTED).encode()


@cache
def _sdl() -> bytes:
    return print_schema(schema()).encode()


@cache
def _introspected() -> bytes:
    return msgspec.json.encode(introspection_from_schema(schema()))
