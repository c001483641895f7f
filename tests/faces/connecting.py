"""A host, and the browser of whoever lets it in, as far as tests of OAuth need them."""

import base64
import hashlib
import html
import re
import secrets
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import msgspec

ORIGIN = "http://aurra"
"""Of the tests' own application."""
CALLBACK = "https://host.example/callback?here=1"
Json = dict[str, Any]


class Host(msgspec.Struct):
    """A client that has registered, and the verifier of the request that it makes."""

    http: httpx2.AsyncClient
    """Its own; browsers are another."""
    client_id: str
    redirect_uri: str = CALLBACK
    verifier: str = msgspec.field(default_factory=lambda: secrets.token_urlsafe(48))
    state: str = msgspec.field(default_factory=lambda: f"a state & {secrets.token_hex(4)}")

    @property
    def origin(self) -> str:
        """Of the service."""
        return str(self.http.base_url).rstrip("/")

    @property
    def challenge(self) -> str:
        """Of its verifier."""
        return base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).decode().rstrip("=")

    def asks(self, **changed: str | None) -> str:
        """The query it sends a browser with; None leaves a parameter out."""
        given = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "state": self.state,
            "code_challenge": self.challenge,
            "code_challenge_method": "S256",
            "resource": f"{self.origin}/mcp",
            **changed,
        }
        return urlencode({name: value for name, value in given.items() if value is not None})

    async def post(self, path: str, **form: str | None) -> httpx2.Response:
        """The answer to a form; None leaves a field out."""
        data = {"client_id": self.client_id, **form}
        return await self.http.post(path, data={name: value for name, value in data.items() if value is not None})

    async def redeem(self, code: str, **changed: str | None) -> httpx2.Response:
        """The answer to a code."""
        form = {"code": code, "redirect_uri": self.redirect_uri, "code_verifier": self.verifier, **changed}
        return await self.post("/oauth/token", grant_type="authorization_code", **form)

    async def refresh(self, tokens: Json, **changed: str | None) -> httpx2.Response:
        """The answer to a refresh token."""
        form = {"refresh_token": tokens["refresh_token"], **changed}
        return await self.post("/oauth/token", grant_type="refresh_token", **form)

    async def connect(self, key: str, *, scope: str | None = None, **filled_in: str) -> Json:
        """The tokens that it has once the key's holder let it in."""
        answer = await self.redeem(await self.let_in(key, scope=scope, **filled_in))
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def let_in(self, key: str, *, scope: str | None = None, **filled_in: str) -> str:
        """The code that it gets back."""
        async with browser_of(self.http) as browser:
            to = parameters(sent_to(await consent(browser, self.asks(scope=scope), key, **filled_in)))
        assert to["state"] == self.state and to["iss"] == self.origin
        return to["code"]

    async def calls(self, tokens: Json, path: str = "/agent/memories") -> httpx2.Response:
        """What a request with its access token answers."""
        return await self.http.get(path, headers={"Authorization": f"Bearer {tokens['access_token']}"})


def browser_of(client: httpx2.AsyncClient) -> httpx2.AsyncClient:
    """A browser without cookies that reaches the same service."""
    transport = client._transport  # pyright: ignore[reportPrivateUsage]
    return httpx2.AsyncClient(transport=transport, base_url=client.base_url)


async def register(http: httpx2.AsyncClient, *redirect_uris: str, name: str = "A host") -> Host:
    """A host with these redirect URIs."""
    uris = list(redirect_uris or (CALLBACK,))
    answer = await http.post("/oauth/register", json={"client_name": name, "redirect_uris": uris})
    assert answer.status_code == 201, answer.text
    return Host(http, answer.json()["client_id"], uris[0])


async def consent(browser: httpx2.AsyncClient, query: str, key: str, **filled_in: str) -> httpx2.Response:
    """What the page answers once the key is filled in and sent."""
    shown = await browser.get(f"/oauth/authorize?{query}")
    assert shown.status_code == 200, shown.text
    return await browser.post(
        "/oauth/authorize", data={**hidden(shown), "api_key": key, "decision": "connect", **filled_in}
    )


def hidden(page: httpx2.Response) -> dict[str, str]:
    """The hidden fields of a page's form."""
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text)
    return {name: html.unescape(value) for name, value in found}


def sent_to(page: httpx2.Response) -> str:
    """Where the page sends the browser."""
    assert page.status_code == 200, page.text
    return page.headers["refresh"].removeprefix("0; url=")


def parameters(url: str) -> dict[str, str]:
    """Those of a URL's query."""
    return dict(parse_qsl(urlsplit(url).query))


def fault(page: httpx2.Response) -> str:
    """What the page says is wrong."""
    found = re.search(r'<p class="bad" role="alert">(.*?)</p>', page.text)
    assert found is not None, page.text
    return html.unescape(found[1])


def refused(answer: httpx2.Response, error: str, status: int = 400) -> None:
    """The answer is that error of RFC 6749, and is stored nowhere."""
    assert (answer.status_code, answer.json()["error"]) == (status, error), answer.text
    assert answer.json()["error_description"]
    assert answer.headers["cache-control"] == "no-store"
