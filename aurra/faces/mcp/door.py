"""The door of /mcp: who is let in and with what, as everywhere else; what is inside, `serving` answers.

What is refused here is told in the status and the headers that REST has, and in the JSON-RPC error that MCP's clients
read.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec
from litestar import Request, asgi
from litestar.exceptions import NotFoundException
from litestar.handlers import ASGIRouteHandler

from aurra.context import Service
from aurra.errors import AurraError, BadRequest, NotAuthenticated, NotFound
from aurra.faces import origins, problems, receiving
from aurra.faces.mcp.telling import ASKER, BODY_LIMIT, Receive, Send, problem, rpc_error, with_key

AnyRequest = Request[Any, Any, Any]
Message = MutableMapping[str, Any]
Respond = Callable[[Any, Receive, Send], Awaitable[None]]

_imported: list[Respond] = []


def handler(service: Service) -> ASGIRouteHandler:
    """What serves /mcp in the application."""

    async def mount(scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise NotFoundException
        await _serve(service, scope, receive, send)

    return asgi("/mcp", is_mount=True, copy_scope=True)(mount)


async def _serve(service: Service, scope: Any, receive: Receive, send: Send) -> None:
    """Answers one HTTP request; nothing of it goes on afterwards. Never an exception out."""
    request: AnyRequest = Request(scope, receive, send)
    request_id = receiving.request_id_of(request)
    begun = False

    async def tell(message: Message) -> None:
        nonlocal begun
        if message["type"] == "http.response.start":
            begun = True
            message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
        await send(message)

    try:
        receiving.require_single_headers(request)
        # What its key may is looked at for each tool.
        caller, body = await receiving.caller_and_body(service, request, limit=BODY_LIMIT, may=lambda _: None)
        if below := scope["path"].strip("/"):
            raise NotFound(f"There is nothing at /mcp/{below}.", code="no_such_path")
        if request.method != "POST":
            # Nothing is ever sent unasked, and there are no sessions to end.
            raise NotFound(f"/mcp has no {request.method}; send POST.", code="method_not_allowed")
        _require_json(body)
        respond = _imported[0] if _imported else await asyncio.to_thread(_import)
        scope[ASKER] = with_key(service, caller, request_id)
        # White space around a value is no part of it; the server leaves it there, and the library compares.
        scope["headers"] = [(name, value.strip(b" \t")) for name, value in scope["headers"]]
        await respond(scope, _again(body), tell)
    except Exception as error:
        told = problems.told(error, request_id, request.method)
        if not begun:
            await _refuse(service, request, told, tell)


def _import() -> Respond:
    """What needs the library, imported the first time; meanwhile, other requests are served."""
    from aurra.faces.mcp.serving import respond

    _imported.append(respond)
    return respond


def _require_json(body: bytes) -> None:
    """Returns for JSON as it is read everywhere here; the library would take more for it."""
    try:
        msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"The body is not JSON in UTF-8: {error}.", code="malformed_json") from None


def _again(body: bytes) -> Receive:
    """The body that was read, as if it came now; after it, the client is silent."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return waiting.pop() if waiting else await asyncio.get_running_loop().create_future()

    return receive


async def _refuse(service: Service, request: AnyRequest, error: AurraError, send: Send) -> None:
    document = {
        "jsonrpc": "2.0",
        "id": None,
        "error": rpc_error(problem(error, receiving.request_id_of(request), request.method)),
    }
    headers = {**problems.headers(error), "Content-Type": "application/json"}
    if error.code == "method_not_allowed":
        headers["Allow"] = "POST"
    if isinstance(error, NotAuthenticated):
        refused = "" if error.code == NotAuthenticated.default_code else 'error="invalid_token", '
        metadata = origins.resource_metadata(origins.of(service, request))
        headers["WWW-Authenticate"] = f'Bearer {refused}resource_metadata="{metadata}"'
    body = msgspec.json.encode(document)
    headers["Content-Length"] = str(len(body))
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": raw})
    await send({"type": "http.response.body", "body": body, "more_body": False})
