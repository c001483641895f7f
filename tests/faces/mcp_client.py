"""JSON-RPC as it goes over the wire to /mcp, in both generations of the protocol; and the official client."""

import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.conftest import Account
from tests.parity.face_mcp import META

Json = dict[str, Any]
LEGACY, MODERN = "2025-11-25", "2026-07-28"
GENERATIONS = (LEGACY, MODERN)
_NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}


def request(method: str, params: Json | None = None, revision: str | None = MODERN) -> tuple[Json, dict[str, str]]:
    """The document of a request, and its headers; without a revision it is that of a host that says none."""
    headers = {"Accept": "application/json, text/event-stream"}
    if revision is not None:
        headers["MCP-Protocol-Version"] = revision
    given = dict(params or {})
    if revision == MODERN:
        given["_meta"] = META
        headers["Mcp-Method"] = method
        if method in _NAMED:
            headers["Mcp-Name"] = str(given.get(_NAMED[method]))
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": given}, headers


async def send(
    client: httpx2.AsyncClient, method: str, params: Json | None = None, revision: str | None = MODERN
) -> httpx2.Response:
    """The response to a request, whatever it is."""
    document, headers = request(method, params, revision)
    return await client.post("/mcp", json=document, headers=headers)


async def result(
    client: httpx2.AsyncClient, method: str, params: Json | None = None, revision: str | None = MODERN
) -> Json:
    """The result of a request that must have one."""
    answer = (await send(client, method, params, revision)).json()
    assert "result" in answer, answer
    return answer["result"]


async def call(client: httpx2.AsyncClient, tool: str, revision: str | None = MODERN, /, **arguments: Any) -> Json:
    """The result of a tool, an error of its operation too."""
    return await result(client, "tools/call", {"name": tool, "arguments": arguments}, revision)


def problem_of(called: Json, status: int, code: str) -> Json:
    """The problem of a call that must have failed so."""
    assert called["isError"] and "structuredContent" not in called, called
    problem = called["_meta"]["aurra/problem"]
    assert (problem["status"], problem["code"]) == (status, code), problem
    (content,) = called["content"]
    assert content["text"].startswith(f"{code}: ")
    assert problem["hint"] in content["text"]
    return problem


def refused(response: httpx2.Response, status: int, code: str) -> Json:
    """The JSON-RPC error of a request that was refused at the door."""
    assert response.status_code == status, response.text
    answer = response.json()
    assert (answer["jsonrpc"], answer["id"]) == ("2.0", None)
    assert answer["error"]["data"]["code"] == code
    assert answer["error"]["data"]["request_id"] == response.headers["x-request-id"]
    return answer["error"]


@contextlib.asynccontextmanager
async def official(url: str, account: Account, mode: str) -> AsyncGenerator[Client]:
    """The official client, connected with the account's key."""
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {account.key}"}) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=mode) as client,
    ):
        yield client
