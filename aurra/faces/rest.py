"""REST: every operation of the registry as one endpoint; nothing here knows what any of them does."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import msgspec
from litestar import Request, Response
from litestar.handlers import HTTPRouteHandler

from aurra import keys
from aurra.context import Service
from aurra.faces import asking, decoding, receiving
from aurra.faces.asking import Asked
from aurra.faces.receiving import respond
from aurra.ops import Operation

AnyRequest = Request[Any, Any, Any]
_SPANNING = re.compile(r"{(subject|session_id)}")
"""Parameters that may hold slashes. What follows one in its path is meant where it is sent as it is: `…/a%2Fmessages`
is the session `a/messages`, `…/a/messages` the messages of `a`."""
_WEIGHT = re.compile(r"\bq\s*=\s*([01](?:\.[0-9]{0,3})?)")
_encode = msgspec.json.Encoder().encode


def handlers(service: Service, operations: list[Operation]) -> list[HTTPRouteHandler]:
    """A route handler for every path of every operation; one for those that are alike up to a spanning parameter."""
    routes: dict[tuple[str, str], dict[str, Operation]] = {}
    for op in operations:
        for path in (op.path, *op.aliases):
            routes.setdefault((op.method, _route(path)), {})[path] = op
    return [_handler(service, route, by_path) for (_, route), by_path in routes.items()]


def _route(path: str) -> str:
    """The path as the framework takes it; a spanning parameter takes all that follows."""
    spanning = _SPANNING.search(path)
    if spanning is None:
        return re.sub(r"{(\w+)}", r"{\1:str}", path)
    return f"{path[: spanning.start()]}{{{spanning[1]}:path}}"


def _handler(service: Service, route: str, by_path: dict[str, Operation]) -> HTTPRouteHandler:
    longest_first = sorted(by_path, key=len, reverse=True)
    op = by_path[longest_first[-1]]
    name = f"{op.id}_{(op.path, *op.aliases).index(longest_first[-1])}"

    async def endpoint(request: AnyRequest) -> Response[bytes]:
        path = next(path for path in longest_first if _ends_as(request, path))
        parameters = _path_parameters(request, path)
        return await respond(request, lambda id_: _run(service, by_path[path], request, parameters, id_))

    return HTTPRouteHandler(
        route, http_method=op.method, name=name, operation_id=name, status_code=200, include_in_schema=False
    )(endpoint)


def _ends_as(request: AnyRequest, path: str) -> bool:
    """Whether the request's path ends with what follows the spanning parameter, if anything does."""
    spanned, end = _spanned(request, path)
    return not end or (spanned.endswith(end) and spanned != end)


def _path_parameters(request: AnyRequest, path: str) -> dict[str, str]:
    """The path's parameters as sent; the framework would lose slashes of one that spans them."""
    found: dict[str, str] = dict(request.path_params)
    if (spanning := _SPANNING.search(path)) is not None:
        spanned, end = _spanned(request, path)
        found[spanning[1]] = unquote(spanned.removesuffix(end))
    return found


def _spanned(request: AnyRequest, path: str) -> tuple[bytes, bytes]:
    """What the request has, as sent, from the spanning parameter on; and how the path goes on after it."""
    spanning = _SPANNING.search(path)
    if spanning is None:
        return b"", b""
    raw = request.scope["raw_path"].split(b"/", path[: spanning.start()].count("/"))[-1]
    return raw.removesuffix(b"/"), path[spanning.end() :].encode()


async def _run(
    service: Service, op: Operation, request: AnyRequest, path: Mapping[str, str], request_id: str
) -> Response[bytes]:
    receiving.require_single_headers(request)
    caller, body = await receiving.caller_and_body(
        service,
        request,
        may=lambda caller: keys.require_scope(caller.scopes, op.scope),
        limit=op.body_limit if op.method != "GET" else None,
    )
    query = {} if op.method in ("POST", "PATCH") else dict(request.query_params)
    decoded, ignored = decoding.decode(
        op, body or (b"" if query or op.method in ("GET", "DELETE") else b"{}"), path, query
    )
    key = request.headers.get("idempotency-key")
    asked = await asking.run(service, caller, op, decoded, ignored, request_id=request_id, idempotency_key=key)
    headers = _headers(asked, request_id)
    if op.markdown is not None:
        headers["Vary"] = "Accept"
        if _prefers_markdown(request.headers.get("accept", "")):
            page = op.markdown(asked.answer).encode()
            return Response(page, status_code=200, media_type="text/markdown", headers=headers)
    return Response(_encode(asked.answer), status_code=200, media_type="application/json", headers=headers)


def _prefers_markdown(accept: str) -> bool:
    """Whether the header names Markdown, and gives JSON no more weight."""
    weights: dict[str, float] = {}
    for part in accept.split(","):
        kind, _, parameters = part.partition(";")
        weight = _WEIGHT.search(parameters)
        weights.setdefault(kind.strip().lower(), float(weight[1]) if weight else 1.0)
    json = next((weights[kind] for kind in ("application/json", "application/*", "*/*") if kind in weights), 0.0)
    return weights.get("text/markdown", 0.0) > 0 and weights["text/markdown"] >= json


def _headers(asked: Asked, request_id: str) -> dict[str, str]:
    found = {"X-Request-Id": request_id}
    if asked.replayed:
        found["Idempotent-Replayed"] = "true"
    if asked.plan_warning:
        found["X-Plan-Warning"] = asked.plan_warning.encode("ascii", "replace").decode()
    return found
