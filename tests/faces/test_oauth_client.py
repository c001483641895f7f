"""The official client of MCP, given the URL alone."""

import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import msgspec
import pytest
from litestar import Request
from mcp.client.auth import OAuthClientProvider
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl

from aurra.context import Service
from aurra.errors import NotAuthenticated
from aurra.faces import auth, origins
from tests.conftest import Account
from tests.faces.connecting import ORIGIN, browser_of, hidden, parameters, sent_to

CALLBACK = "http://127.0.0.1:3030/callback"


class Storage:
    """What the client keeps."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


def with_resource(service: Service, app: Any) -> Any:
    """The application, and a resource at /mcp that wants a token and does nothing."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] != "/mcp":
            await app(scope, receive, send)
            return
        request: Request[Any, Any, Any] = Request(scope)
        status, headers = 200, list[tuple[bytes, bytes]]()
        try:
            await auth.authenticate(service, request.headers.get("authorization"))
        except NotAuthenticated:
            metadata = origins.resource_metadata(origins.of(service, request))
            status = 401
            headers.append((b"www-authenticate", f'Bearer resource_metadata="{metadata}"'.encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})

    return answer


class Connection(msgspec.Struct):
    """A client, what it keeps, and where it sent a browser."""

    http: httpx2.AsyncClient
    storage: Storage
    sent: list[str]


@contextlib.asynccontextmanager
async def connecting(service: Service, app: Any, key: str, storage: Storage) -> AsyncGenerator[Connection]:
    """A client of /mcp whose user fills in the key."""
    transport = httpx2.ASGITransport(with_resource(service, app))
    sent: list[str] = []
    back: list[dict[str, str]] = []

    async def redirect(url: str) -> None:
        sent.append(url)
        async with browser_of(http) as browser:
            page = await browser.get(url)
            form = {**hidden(page), "api_key": key, "decision": "connect"}
            back.append(parameters(sent_to(await browser.post("/oauth/authorize", data=form))))

    async def callback() -> AuthorizationCodeResult:
        got = back.pop()
        return AuthorizationCodeResult(code=got["code"], state=got["state"], iss=got["iss"])

    metadata = OAuthClientMetadata(client_name="The official client", redirect_uris=[AnyUrl(CALLBACK)])
    provider: Any = OAuthClientProvider(f"{ORIGIN}/mcp", metadata, storage, redirect, callback)
    async with httpx2.AsyncClient(transport=transport, base_url=ORIGIN, auth=provider) as http:
        yield Connection(http, storage, sent)


async def test_the_official_client_connects_and_refreshes(service: Service, app: Any, account: Account) -> None:
    """It finds the server, registers, sends a browser, and is let in; later it refreshes by itself, and where its grant
    has ended it asks again, with the client id that it has."""
    storage = Storage()
    async with connecting(service, app, account.key, storage) as connection:
        assert (await connection.http.post("/mcp")).status_code == 200
        assert len(connection.sent) == 1
        assert parameters(connection.sent[0])["resource"] == f"{ORIGIN}/mcp"
        assert (await connection.http.get("/agent/memories")).status_code == 200
    assert storage.tokens is not None and storage.client is not None
    first, client_id = storage.tokens, storage.client.client_id
    # A process that starts later, when the access token is over: it refreshes where it supposes that to be done.
    async with connecting(service, app, account.key, storage) as connection:
        storage.tokens = first.model_copy(update={"expires_in": -1})
        provider: Any = connection.http.auth
        await provider._initialize()
        provider.context.update_token_expiry(storage.tokens)
        assert (await connection.http.post("/mcp")).status_code == 200
        assert connection.sent == []
    assert storage.tokens.access_token != first.access_token
    form = {"token": storage.tokens.refresh_token, "client_id": client_id}
    async with connecting(service, app, account.key, storage) as connection:
        async with browser_of(connection.http) as plain:
            assert (await plain.post("/oauth/revoke", data=form)).status_code == 200
        assert (await connection.http.post("/mcp")).status_code == 200
        assert len(connection.sent) == 1
        assert parameters(connection.sent[0])["client_id"] == client_id


async def test_a_wrong_key_connects_nobody(service: Service, app: Any, account: Account) -> None:
    """The browser is not sent on."""
    wrong = account.key[:-1] + ("a" if account.key[-1] != "a" else "b")
    async with connecting(service, app, wrong, Storage()) as connection:
        with pytest.raises(AssertionError, match="typing error"):
            await connection.http.post("/mcp")
