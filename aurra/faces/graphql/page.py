"""GraphiQL, for people: at the path itself, from files of this package alone."""

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from litestar import Request, Response
from litestar.handlers import HTTPRouteHandler

from aurra.errors import NotFound
from aurra.faces import receiving

AnyRequest = Request[Any, Any, Any]
_FILES = Path(__file__).parents[1] / "assets" / "graphiql"
_KINDS = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        # The editor sets styles as it draws.
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self' data:",
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
<div id="graphiql">Loading…</div>
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
    """What serves the files of the page, each under a name that changes with it."""

    async def asset(request: AnyRequest) -> Response[bytes]:
        name: str = request.path_params["name"]

        async def work(request_id: str) -> Response[bytes]:
            if name not in _assets():
                raise NotFound(f"There is nothing at {request.url.path}.", code="no_such_path")
            content, kind = _assets()[name]
            headers = {**_headers(request_id), "Cache-Control": "public, max-age=31536000, immutable"}
            return Response(content, media_type=kind, headers=headers)

        return await receiving.respond(request, work)

    return [
        HTTPRouteHandler(
            "/graphql/assets/{name:str}", http_method="GET", name="graphql_asset", include_in_schema=False
        )(asset)
    ]


def _headers(request_id: str) -> dict[str, str]:
    return {"X-Request-Id": request_id, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


@cache
def _page() -> bytes:
    names = {name.rpartition(".")[2]: name for name in _assets()}
    return _PAGE.format(js=names["js"], css=names["css"]).encode()


@cache
def _assets() -> dict[str, tuple[bytes, str]]:
    """Content and type of each file, by a name with its hash in it."""
    return dict(_read())


def _read() -> Iterator[tuple[str, tuple[bytes, str]]]:
    for path in sorted(_FILES.iterdir()):
        if path.suffix in _KINDS:
            content = path.read_bytes()
            name = f"{path.stem}.{hashlib.sha256(content).hexdigest()[:16]}{path.suffix}"
            yield name, (content, _KINDS[path.suffix])
