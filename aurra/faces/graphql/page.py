"""GraphiQL, for people: at the path itself, from files of this package alone."""

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from graphql import introspection_from_schema, print_schema
from litestar import Request, Response
from litestar.handlers import HTTPRouteHandler

from aurra.errors import NotFound
from aurra.faces import receiving
from aurra.faces.graphql.schema import schema

AnyRequest = Request[Any, Any, Any]
SDL = "/graphql/schema.graphql"
_FILES = Path(__file__).parents[1] / "assets" / "graphiql"
_KINDS = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
}
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
<link rel="stylesheet" href="/graphql/assets/{css}">
</head>
<body>
<div id="graphiql" data-schema="/graphql/assets/{json}">Loading…</div>
<noscript>This page needs JavaScript; the API does not.</noscript>
<script src="/graphql/assets/{js}"></script>
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
        media_type="text/html; charset=utf-8",
        headers={**_headers(request_id), "Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"},
    )


def handlers() -> list[HTTPRouteHandler]:
    """What serves the schema as a text, and the files of the page, each under a name that changes with it."""

    async def asset(request: AnyRequest) -> Response[bytes]:
        name: str = request.path_params["name"]

        async def work(request_id: str) -> Response[bytes]:
            if name not in _assets():
                raise NotFound(f"There is nothing at {request.url.path}.", code="no_such_path")
            content, kind = _assets()[name]
            headers = {**_headers(request_id), "Cache-Control": "public, max-age=31536000, immutable"}
            return Response(content, media_type=kind, headers=headers)

        return await receiving.respond(request, work)

    async def sdl(request: AnyRequest) -> Response[bytes]:
        async def work(request_id: str) -> Response[bytes]:
            return Response(_sdl(), media_type="text/plain; charset=utf-8", headers=_headers(request_id))

        return await receiving.respond(request, work)

    return [_handler("/graphql/assets/{name:str}", "graphql_asset", asset), _handler(SDL, "graphql_schema", sdl)]


def _handler(path: str, name: str, endpoint: Any) -> HTTPRouteHandler:
    return HTTPRouteHandler(path, http_method="GET", name=name, operation_id=name, include_in_schema=False)(endpoint)


def _headers(request_id: str) -> dict[str, str]:
    return {"X-Request-Id": request_id, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


@cache
def _page() -> bytes:
    names = {name.rpartition(".")[2]: name for name in _assets()}
    return _PAGE.format(**names).encode()


@cache
def _sdl() -> bytes:
    return print_schema(schema()).encode()


@cache
def _assets() -> dict[str, tuple[bytes, str]]:
    """Content and type of each file, by a name with its hash in it."""
    return dict(_read())


def _read() -> Iterator[tuple[str, tuple[bytes, str]]]:
    files = [(path, path.read_bytes()) for path in sorted(_FILES.iterdir()) if path.suffix in _KINDS]
    # So that the page knows the schema before it has a key.
    files.append((Path("schema.json"), msgspec.json.encode(introspection_from_schema(schema()))))
    for path, content in files:
        name = f"{path.stem}.{hashlib.sha256(content).hexdigest()[:16]}{path.suffix}"
        yield name, (content, _KINDS[path.suffix])
