"""REST: every operation of the registry as one endpoint; nothing here knows what any of them does."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import unquote

import msgspec
from litestar import Request, Response
from litestar.handlers import HTTPRouteHandler

from aurra import keys
from aurra.context import Caller, Service
from aurra.errors import AurraError, BadRequest, PayloadTooLarge, TooSlow, UnsupportedMedia
from aurra.faces import asking, auth, decoding, limits, problems, signatures
from aurra.faces.asking import Asked
from aurra.ops import Operation
from aurra.ops.registry import MIB

AnyRequest = Request[Any, Any, Any]
_BODY_SECONDS = 10
_ONCE = (b"authorization", b"host", b"content-length")
_JSON = re.compile(r"application/(?:[\w.-]+\+)?json\s*(?:;.*)?", re.IGNORECASE)
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


async def respond(request: AnyRequest, work: Callable[[str], Any]) -> Response[bytes]:
    """The response of some work, or of the error it raised; never an exception."""
    request_id = request_id_of(request)
    try:
        return await work(request_id)
    except Exception as error:
        return problem(problems.told(error, request_id, request.method), request_id)


def problem(error: AurraError, request_id: str) -> Response[bytes]:
    """An error as a response."""
    return Response(
        problems.body(error, request_id),
        status_code=error.status,
        media_type="application/problem+json",
        headers={"X-Request-Id": request_id, **problems.headers(error)},
    )


def request_id_of(request: AnyRequest) -> str:
    """The caller's own id where it is a sensible one, else a new one; the same for the whole request."""
    state = request.scope["state"]
    if "request_id" not in state:
        state["request_id"] = asking.request_id_of(request.headers)
    return state["request_id"]


async def _run(
    service: Service, op: Operation, request: AnyRequest, path: Mapping[str, str], request_id: str
) -> Response[bytes]:
    require_single_headers(request)
    caller, body = await caller_and_body(
        service, request, limit=None if op.method == "GET" else op.body_limit, require_may=partial(_require_may, op)
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


async def caller_and_body(
    service: Service, request: AnyRequest, *, limit: int | None, require_may: Callable[[Caller], None]
) -> tuple[Caller, bytes]:
    """Who calls, and what they sent: JSON, or nothing; `limit` None is a body that nobody looks at. A signature covers
    the body, so that is read before; else what a key may not, it is not helped to ask for."""
    body = b""

    async def read() -> bytes:
        nonlocal body
        body = await read_body(request, limit or MIB)
        return body

    if signatures.is_presented(request.scope["headers"]):
        caller = await limits.admitted(service, request, signatures.signer(service, request.scope, read))
        service.last_uses.note(caller)
        require_may(caller)
    else:
        authenticating = auth.authenticate(service, request.headers.get("authorization"))
        caller = await limits.admitted(service, request, authenticating)
        service.last_uses.note(caller)
        require_may(caller)
        if limit is not None:
            await read()
    return caller, b"" if limit is None else _as_json(request, body)


def _require_may(op: Operation, caller: Caller) -> None:
    """Returns when the key may be used for this; else raises Forbidden."""
    keys.require_scope(caller.scopes, op.scope)


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


def require_single_headers(request: AnyRequest) -> None:
    """Returns when no two readers could take the request for different ones; else raises BadRequest."""
    names = [name for name, _ in request.scope["headers"] if name in _ONCE]
    for name in _ONCE:
        if names.count(name) > 1:
            text = name.decode().title()
            raise BadRequest(f"The header {text} was sent twice.", code="duplicate_header", param=text)
    # Whoever stands between might read the length by one, and we by the other.
    codings = [value for name, value in request.scope["headers"] if name == b"transfer-encoding"]
    if codings and ([coding.strip().lower() for coding in codings] != [b"chunked"] or b"content-length" in names):
        raise BadRequest("Send Content-Length, or Transfer-Encoding: chunked; not both, and no other coding.")


async def read_body(request: AnyRequest, limit: int) -> bytes:
    """The body, as sent. Raises PayloadTooLarge over the limit."""
    length = request.headers.get("content-length", "0")
    if not re.fullmatch(r"[0-9]{1,15}", length):
        raise BadRequest("Content-Length is not a number of bytes.")
    if int(length) > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in _chunks(request):
                size += len(chunk)
                if size > limit:
                    raise _too_large(limit)
                chunks.append(chunk)
    except TimeoutError:
        raise TooSlow(f"The body did not arrive within {_BODY_SECONDS} seconds.") from None
    return b"".join(chunks)


async def _chunks(request: AnyRequest) -> AsyncGenerator[bytes]:
    """The body as it comes. The framework's own stream is for its routes alone, and not for what is mounted."""
    while (event := await request.receive())["type"] == "http.request":
        yield event["body"]
        if not event["more_body"]:
            return
    raise TooSlow("The client went away before the whole body was there.")


def _as_json(request: AnyRequest, body: bytes) -> bytes:
    """The body without white space around. Raises UnsupportedMedia for what is not plain JSON."""
    if body.strip():
        _require_json(request)
    return body.strip()


def _require_json(request: AnyRequest) -> None:
    kind = request.headers.get("content-type", "")
    if not _JSON.fullmatch(kind.strip()):
        raise UnsupportedMedia(f"The body must be JSON; its Content-Type is {kind or 'missing'!r}.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMedia("The body must not be compressed.")


def _too_large(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The body is over {f'{limit // MIB} MiB' if limit >= MIB else f'{limit // 1024} KiB'}.")
