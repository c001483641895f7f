"""MCP by the official library: tools, resources and the prompt, for both generations of the protocol.

Hosts in the field begin with `initialize`; from 2026-07-28 on, each request says by itself what it is. The library
tells them apart. Nothing is kept between requests.
"""

import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from mcp.server.caching import CacheableMethod, CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    GetPromptRequestParams,
    PaginatedRequestParams,
    ReadResourceRequestParams,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import BaseModel

from aurra import __version__
from aurra.faces.mcp import resources, tools
from aurra.faces.mcp.telling import ASKER, BODY_LIMIT, Asker, Json, Receive, Send, problem, rpc_error

Context = ServerRequestContext[Any, Any]
Handler = Callable[[Context, Any], Awaitable[Json]]
_NO_RESOURCE = -32002
"""What is not there, until 2025-11-25; invalid parameters since."""
INSTRUCTIONS = """\
Aurra is a memory that never rewrites the past. Read this first.
- Before you answer about people, projects or decisions: `memories_query` answers from memories alone, with citations, \
or says that it does not know; `memories_search` finds memories; `subjects_get` is all about one subject.
- Remember with `memories_add`: one fact in one sentence. With `subject` and `attribute` (kim, city) a new value takes \
over from the old one, which stays readable. Whole conversations: `conversations_add`.
- The world changed: `memories_supersede`. The record was wrong: `memories_correct`, `memories_retract`. Erasing \
(`memories_erase`) is for good; ask first.
- The past: `as_of` (when it was true) and `transaction_as_of` (when it was believed) on every read.
- An error says its code and what to do. Give writes an `idempotency_key` if you may call them again."""

_MINUTE = CacheHint(ttl_ms=60_000)
_KEPT: dict[CacheableMethod, CacheHint] = {
    # What its key may can change meanwhile; then a call is refused, as it would be without.
    "tools/list": _MINUTE,
    "resources/templates/list": _MINUTE,
    "prompts/list": _MINUTE,
    "server/discover": _MINUTE,
    "resources/list": CacheHint(),
    "resources/read": CacheHint(),
}
"""For how long a client may keep an answer; none but for the key that it was given to."""


def _server() -> Server[Any]:
    server: Server[Any] = Server(
        "aurra",
        version=__version__,
        title="Aurra",
        instructions=INSTRUCTIONS,
        get_tool_input_schema=_input_schema,
        cache_hints=_KEPT,
    )
    for method, params, handler in _HANDLERS:
        server.add_request_handler(method, params, _complete(handler))
    # Its traces would hold what was raised, and what was raised may hold content.
    server.middleware.clear()
    return server


def _complete(handler: Handler) -> Handler:
    """A handler whose errors are MCP's, and whose results say that nothing more is asked of the client."""

    async def handle(ctx: Context, params: Any) -> Json:
        try:
            return {"resultType": "complete", **await handler(ctx, params)}
        except MCPError:
            raise
        except Exception as raised:
            raise _told(ctx, raised) from None

    return handle


async def respond(scope: Any, receive: Receive, send: Send) -> None:
    """Answers one HTTP request, whose scope says who asks."""
    # One for each request: it owns the request's tasks, and ends them with it. It keeps nothing anyway.
    manager = StreamableHTTPSessionManager(
        _SERVER,
        stateless=True,
        json_response=True,
        security_settings=_ANY_HOST,
        max_request_body_size=BODY_LIMIT,
    )
    async with manager.run():
        await manager.handle_request(scope, receive, send)


def _asker(ctx: Context) -> Asker:
    request: Any = ctx.request
    return request.scope[ASKER]


async def _list_tools(ctx: Context, params: PaginatedRequestParams) -> Json:
    return {"tools": tools.all_for(_asker(ctx))}


async def _call_tool(ctx: Context, params: CallToolRequestParams) -> Json:
    if (op := tools.find(params.name)) is None:
        raise MCPError(INVALID_PARAMS, f"Unknown tool: {params.name}. tools/list has those that there are.")
    return await tools.call(_asker(ctx), op, params.arguments or {})


def _input_schema(name: str) -> Json | None:
    op = tools.find(name)
    return tools.described(op)["inputSchema"] if op else None


async def _list_resources(ctx: Context, params: PaginatedRequestParams) -> Json:
    return await resources.listed(_asker(ctx), params.cursor)


async def _list_templates(ctx: Context, params: PaginatedRequestParams) -> Json:
    return {"resourceTemplates": resources.templates(_asker(ctx))}


async def _read_resource(ctx: Context, params: ReadResourceRequestParams) -> Json:
    return await resources.read(_asker(ctx), params.uri)


async def _list_prompts(ctx: Context, params: PaginatedRequestParams) -> Json:
    return {"prompts": [resources.PROMPT]}


async def _get_prompt(ctx: Context, params: GetPromptRequestParams) -> Json:
    given = params.arguments or {}
    if params.name != resources.PROMPT["name"]:
        raise MCPError(INVALID_PARAMS, f"Unknown prompt: {params.name}. prompts/list has those that there are.")
    if not given.get("session_id"):
        raise MCPError(INVALID_PARAMS, "`session_id` is required.")
    text = resources.remember_conversation(given["session_id"], given.get("subject"))
    return {
        "description": resources.PROMPT["description"],
        "messages": [{"role": "user", "content": {"type": "text", "text": text}}],
    }


def _told(ctx: Context, raised: Exception) -> MCPError:
    """A protocol error: MCP has no results that say so but those of tools."""
    found = problem(raised, _asker(ctx).request_id, ctx.method)
    said = rpc_error(found)
    if found["status"] == HTTPStatus.NOT_FOUND:
        said["code"] = INVALID_PARAMS if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS else _NO_RESOURCE
    return MCPError(**said)


_HANDLERS: list[tuple[str, type[BaseModel], Handler]] = [
    ("tools/list", PaginatedRequestParams, _list_tools),
    ("tools/call", CallToolRequestParams, _call_tool),
    ("resources/list", PaginatedRequestParams, _list_resources),
    ("resources/templates/list", PaginatedRequestParams, _list_templates),
    ("resources/read", ReadResourceRequestParams, _read_resource),
    ("prompts/list", PaginatedRequestParams, _list_prompts),
    ("prompts/get", GetPromptRequestParams, _get_prompt),
]

# It logs results that do not fit with all that is in them. What fails here is told by us.
logging.getLogger("mcp").setLevel(logging.CRITICAL)
_ANY_HOST = TransportSecuritySettings(enable_dns_rebinding_protection=False)
"""Keys guard this, and browsers have none to send unasked; names of hosts would guard nothing, and keep whoever serves
under a name of their own from being reached. See aurra/decisions/0020."""
_SERVER = _server()
