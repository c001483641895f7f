"""MCP as its hosts go it: `tools/call` over HTTP."""

from typing import cast

import httpx2

from aurra.ops import Operation
from tests.parity.face import Json, Told

VERSION = "2026-07-28"
META: Json = {"io.modelcontextprotocol/protocolVersion": VERSION, "io.modelcontextprotocol/clientCapabilities": {}}


class McpFace:
    """Asks at a URL, in the revision that has no `initialize`."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http

    async def ask(
        self, op: Operation, fields: Json, *, api_key: str | None, idempotency_key: str | None = None
    ) -> Told:
        """The tool's answer; or its problem, or the door's."""
        arguments = fields if idempotency_key is None else {**fields, "idempotency_key": idempotency_key}
        params: Json = {"name": op.id, "arguments": arguments, "_meta": META}
        headers = {
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": VERSION,
            "Mcp-Method": "tools/call",
            "Mcp-Name": op.id,
        }
        if api_key is not None:
            headers["Authorization"] = f"Bearer {api_key}"
        body: Json = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        response = await self._http.post("/mcp", json=body, headers=headers)
        return _told(response.json())


def _told(answer: Json) -> Told:
    if "error" in answer:
        problem = cast("Json", answer["error"]["data"])
        return Told(problem["status"], problem)
    result = answer["result"]
    if result["isError"]:
        problem = cast("Json", result["_meta"]["aurra/problem"])
        return Told(problem["status"], problem)
    return Told(200, result["structuredContent"])
