"""What is read without a key: the index, the OpenAPI document, the pages for agents, and the reference for people."""

import hashlib
import time
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any
from uuid import UUID

import msgspec
from litestar import Request, Response
from litestar.handlers import HTTPRouteHandler

from aurra.context import Service
from aurra.faces import assets, guide, openapi, receiving
from aurra.faces.index import index
from aurra.store import plans
from aurra.store.plans import PlanRow

AnyRequest = Request[Any, Any, Any]
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing is loaded from elsewhere, and neither script nor style stands in the page."""
_MARKDOWN = "text/markdown"
_KEPT_SECONDS = 10.0
_NOBODY = UUID(int=0)


class Page(msgspec.Struct, frozen=True):
    """A document as it is sent."""

    content: bytes
    media_type: str
    headers: dict[str, str] = {}


def handlers(service: Service) -> list[HTTPRouteHandler]:
    """The routes of all documents."""
    known = _Plans(service)

    async def guided() -> Page:
        return Page(guide.page(await known.rows()).encode(), _MARKDOWN)

    return [
        _route(["/"], _at_once(_index)),
        _route(["/openapi.json"], _at_once(_openapi)),
        _route(["/docs"], _at_once(_reference)),
        _route(["/docs.md", "/llms-full.txt"], guided),
        _route(["/llms.txt"], _at_once(_llms)),
        *assets.handlers(),
    ]


@cache
def _index() -> Page:
    return Page(msgspec.json.encode(index()), "application/json")


@cache
def _openapi() -> Page:
    return Page(msgspec.json.encode(openapi.document()), "application/json")


@cache
def _llms() -> Page:
    return Page(guide.llms_txt().encode(), _MARKDOWN)


@cache
def _reference() -> Page:
    """The OpenAPI document as a page in which each request can be tried."""
    html = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Aurra: operations</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{assets.address("docs/swagger-ui.css")}">
<link rel="stylesheet" href="{assets.address("docs/page.css")}">
<script src="{assets.address("docs/swagger-ui-bundle.js")}" defer></script>
<script src="{assets.address("docs/start.js")}" defer></script>
</head>
<body>
<noscript>This page needs JavaScript. The same is in <a href="/docs.md">/docs.md</a>.</noscript>
<main id="reference"></main>
</body>
</html>
"""
    headers = {
        "Content-Security-Policy": _POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
    return Page(html.encode(), "text/html", headers)


class _Plans:
    """The plans as they were within the last seconds: however many ask, the database is asked once in that time."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._kept: list[PlanRow] = []
        self._until = 0.0

    async def rows(self) -> list[PlanRow]:
        if time.monotonic() >= self._until:
            async with self._service.database.read(_NOBODY) as tx:
                self._kept = await plans.list_plans(tx)
            self._until = time.monotonic() + _KEPT_SECONDS
        return self._kept


def _at_once(made: Callable[[], Page]) -> Callable[[], Awaitable[Page]]:
    """A page that waits for nothing."""

    async def make() -> Page:
        return made()

    return make


def _route(paths: list[str], make: Callable[[], Awaitable[Page]]) -> HTTPRouteHandler:
    async def document(request: AnyRequest) -> Response[bytes]:
        return await receiving.respond(request, lambda id_: _respond(request, make, id_))

    return HTTPRouteHandler(paths, http_method=["GET", "HEAD"], name=f"document {paths[0]}", include_in_schema=False)(
        document
    )


async def _respond(request: AnyRequest, make: Callable[[], Awaitable[Page]], request_id: str) -> Response[bytes]:
    """The page, or that the one which the client has is still it."""
    page = await make()
    etag = f'W/"{hashlib.sha256(page.content).hexdigest()[:24]}"'
    headers = {"X-Request-Id": request_id, "ETag": etag, "Cache-Control": "no-cache", **page.headers}
    if etag in request.headers.get("if-none-match", ""):
        return Response(b"", status_code=304, headers=headers)
    return Response(page.content, media_type=page.media_type, headers=headers)
