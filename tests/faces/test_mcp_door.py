"""The door of /mcp: keys, networks, limits and bodies, as everywhere; told in JSON-RPC."""

import asyncio
import json
from typing import Any

import httpx2
import pytest
from msgspec.structs import replace

from aurra.app import build_app
from aurra.context import Service
from aurra.networks import read_setting
from aurra.ops import last_uses
from tests.conftest import Account, MakeAccount, client_at
from tests.faces.mcp_client import GENERATIONS, LEGACY, MODERN, call, refused, request, send
from tests.faces.test_rate_limits import plan_of, turned
from tests.faces.test_signing import MakeSigner, make_signer

__all__ = ["make_signer", "turned"]

METADATA = "/.well-known/oauth-protected-resource/mcp"
JSON = {"Content-Type": "application/json", "Accept": "application/json"}


async def test_without_a_key_it_says_where_tokens_come_from(bare: httpx2.AsyncClient, account: Account) -> None:
    """401 with the address of the metadata at the host that was asked; a key that is refused is an invalid token."""
    response = await send(bare, "tools/list")
    refused(response, 401, "not_authenticated")
    assert response.headers["www-authenticate"] == f'Bearer resource_metadata="http://aurra{METADATA}"'
    for method in ("GET", "DELETE", "PUT"):
        refused(await bare.request(method, "/mcp"), 401, "not_authenticated")

    await account.client.delete(f"/api-keys/{(await account.get('/api-keys'))['api_keys'][0]['id']}")
    response = await send(account.client, "tools/list")
    refused(response, 401, "revoked_key")
    expected = f'Bearer error="invalid_token", resource_metadata="http://aurra{METADATA}"'
    assert response.headers["www-authenticate"] == expected


@pytest.mark.parametrize(
    ("host", "forwarded", "trusted", "origin"),
    [
        ("memory.example:8000", {}, "", "http://memory.example:8000"),
        ("inner", {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "memory.example"}, "", "http://inner"),
        (
            "inner",
            {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "memory.example"},
            "192.0.2.0/24",
            "https://memory.example",
        ),
        ("", {}, "", "http://127.0.0.1:8000"),
        ("[::1]:8000", {}, "", "http://[::1]:8000"),
    ],
)
async def test_the_origin_is_the_clients(
    service: Service, host: str, forwarded: dict[str, str], trusted: str, origin: str
) -> None:
    """What a proxy says is believed where the proxy is trusted; a host that is none is never repeated."""
    app: Any = build_app(replace(service, trusted_proxies=read_setting(trusted, "AURRA_TRUSTED_PROXIES")))

    async def at_port(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "server": ("127.0.0.1", 8000)}, receive, send)

    transport = httpx2.ASGITransport(at_port, client=("192.0.2.9", 40000))
    async with httpx2.AsyncClient(transport=transport, base_url="http://aurra") as client:
        response = await client.post("/mcp", headers={"Host": host, **forwarded}, json={})
    assert response.headers["www-authenticate"] == f'Bearer resource_metadata="{origin}{METADATA}"'


async def test_only_post_is_served(account: Account) -> None:
    """405 for what would open a stream or end a session; 404 below it."""
    for method in ("GET", "DELETE", "PUT"):
        response = await account.client.request(method, "/mcp")
        refused(response, 405, "method_not_allowed")
        assert response.headers["allow"] == "POST"
    refused(await account.client.post("/mcp/sse", json={}), 404, "no_such_path")
    assert (await account.client.post("/mcp/", json={}, headers=JSON)).status_code == 400


@pytest.mark.parametrize("revision", GENERATIONS)
async def test_every_answer_has_the_headers_of_rest(
    make_account: MakeAccount, turned: Service, dsn: str, revision: str
) -> None:
    """X-RateLimit-* and X-Request-Id, the caller's own where it has one; a request is counted once."""
    account = await make_account(plan=await plan_of(dsn, key=600, account=1000))
    async with client_at(turned, account) as client:
        answers = [
            await send(client, "tools/list", {}, revision),
            await send(client, "tools/call", {"name": "nothing"}, revision),
            await client.post("/mcp", content=b"{", headers=JSON),
            await client.get("/mcp"),
        ]
        assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["49", "48", "47", "46"]
        document, headers = request("tools/call", {"name": "memories_list", "arguments": {}}, revision)
        response = await client.post("/mcp", json=document, headers={**headers, "X-Request-Id": "mine-1"})
        assert response.headers.get_list("x-request-id") == ["mine-1"]


async def test_over_the_limit_is_429(make_account: MakeAccount, turned: Service, dsn: str) -> None:
    """With Retry-After, in the header and in the words that a model reads."""
    account = await make_account(plan=await plan_of(dsn, key=12, account=1000))
    async with client_at(turned, account) as client:
        assert (await send(client, "tools/list")).status_code == 200
        response = await send(client, "tools/list")
        error = refused(response, 429, "rate_limited")
        assert f"(Retry-After: {response.headers['retry-after']} s)" in error["message"]


async def test_bodies_are_limited_and_json(account: Account) -> None:
    """8 MiB, JSON in UTF-8 alone, one of each header that counts."""
    big = await account.client.post("/mcp", content=b"x" * (8 * 1_048_576 + 1), headers=JSON)
    refused(big, 413, "body_too_large")
    document, headers = request("tools/call", {"name": "memories_add", "arguments": {"content": "x" * 7_000_000}})
    assert (await account.client.post("/mcp", json=document, headers=headers)).json()["result"]["isError"]
    refused(await account.client.post("/mcp", content=b"{}", headers={"Accept": "*/*"}), 415, "unsupported_media_type")
    twice = [*account.client.headers.items(), ("Authorization", "Bearer x")]
    async with httpx2.AsyncClient(transport=account.client._transport, base_url="http://aurra") as client:  # pyright: ignore[reportPrivateUsage]
        refused(await client.post("/mcp", content=b"{}", headers=twice), 400, "duplicate_header")


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"a": NaN}', b'{"a": 1e999}', b'{"a": "\\ud800"}', b'{"a": "\xff"}', b"[" * 100_000]
)
async def test_what_is_no_json_is_a_parse_error(account: Account, body: bytes) -> None:
    """-32700 and 400, whatever laxer readers would make of it."""
    for revision in GENERATIONS:
        headers = {**JSON, "MCP-Protocol-Version": revision}
        response = await account.client.post("/mcp", content=body, headers=headers)
        assert refused(response, 400, "malformed_json")["code"] == -32700


@pytest.mark.parametrize("body", ["[]", "{}", "null", "1", '[{"jsonrpc":"2.0","id":1,"method":"ping"}]', '{"id":{}}'])
async def test_what_is_no_request_is_refused(account: Account, body: str) -> None:
    """400 with a JSON-RPC error; no batches."""
    for revision in GENERATIONS:
        headers = {**JSON, "MCP-Protocol-Version": revision}
        response = await account.client.post("/mcp", content=body, headers=headers)
        assert response.status_code in (400, 202), (body, response.text)
        assert response.status_code == 202 or response.json()["error"]["code"] in (-32600, -32602)
        assert response.headers["x-request-id"]


async def test_a_key_works_from_its_networks_alone(account: Account, make_account: MakeAccount) -> None:
    """403 at the door, as everywhere."""
    made = await account.post("/api-keys", scopes=["memories:read"], networks=["192.0.2.0/24"])
    headers = {"Authorization": f"Bearer {made['key']}"}
    document, mcp = request("tools/list")
    refused(await account.client.post("/mcp", json=document, headers={**mcp, **headers}), 403, "address_not_allowed")


async def test_the_use_of_a_key_is_noted(account: Account, service: Service) -> None:
    """As a use of REST is."""
    made = await account.post("/api-keys", scopes=["memories:read"])
    document, headers = request("tools/list")
    headers["Authorization"] = f"Bearer {made['key']}"
    assert (await account.client.post("/mcp", json=document, headers=headers)).status_code == 200
    await last_uses.write(service)
    assert (await account.get(f"/api-keys/{made['api_key']['id']}"))["api_key"]["last_used_at"]


async def test_requests_may_be_signed(make_signer: MakeSigner, bare: httpx2.AsyncClient) -> None:
    """A key that signs signs here, too; another body than the signed one is refused."""
    signer = await make_signer()
    document, headers = request("tools/call", {"name": "memories_list", "arguments": {}})
    sent = signer.sign("POST", "/mcp", json.dumps(document).encode())
    response = await signer.send(sent, more=headers)
    assert response.json()["result"]["isError"] is False
    document["id"] = 2
    other = replace(signer.sign("POST", "/mcp", b"{}"), body=json.dumps(document).encode())
    refused(await signer.send(other, more=headers), 401, "invalid_signature")


async def test_a_client_that_goes_away_breaks_nothing(service: Service, account: Account) -> None:
    """Before its body is whole: told as everywhere, and nobody reads it."""
    app: Any = build_app(service)
    told: list[dict[str, Any]] = []
    events = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> dict[str, Any]:
        return next(events)

    async def keep(message: dict[str, Any]) -> None:
        told.append(message)

    headers = [(b"authorization", f"Bearer {account.key}".encode()), (b"content-type", b"application/json")]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/mcp",
        "raw_path": b"/mcp",
        "query_string": b"",
        "root_path": "",
        "headers": [*headers, (b"host", b"aurra")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "state": {},
    }
    await app(scope, receive, keep)
    assert told[0]["status"] == 408


async def test_browsers_may_ask_from_anywhere(account: Account) -> None:
    """As everywhere: what guards is the key, which no page has unless it was given it."""
    document, headers = request("tools/list", {}, LEGACY)
    origin = {"Origin": "https://app.example"}
    response = await account.client.post("/mcp", json=document, headers={**headers, **origin})
    assert response.status_code == 200 and response.headers["access-control-allow-origin"] == "*"
    assert "WWW-Authenticate" in response.headers["access-control-expose-headers"]
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization, mcp-method"}
    preflight = await account.client.options("/mcp", headers={**origin, **asked})
    assert preflight.status_code == 204 and "mcp-method" in preflight.headers["access-control-allow-headers"]


async def test_requests_do_not_wait_for_one_another(account: Account) -> None:
    """Many at once, of both generations, each with its own answer."""
    calls = [
        call(account.client, "memories_add", MODERN if number % 2 else LEGACY, content=f"memory {number}")
        for number in range(30)
    ]
    answers = await asyncio.gather(*calls)
    assert len({answer["structuredContent"]["memory_id"] for answer in answers}) == 30
