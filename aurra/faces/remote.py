"""A service at its address. Nothing here imports the operations: a command against a URL starts at once."""

import asyncio
import contextlib
import random
import secrets
import time
from collections.abc import AsyncGenerator, Generator, Mapping
from typing import Any, cast
from urllib.parse import quote
from uuid import uuid4

import httpx2
import msgspec

from aurra import signing
from aurra.faces.ways import SECONDS, Endpoint, Json, Refused, Reply, Unreachable

_CONNECT_SECONDS = 10.0
_ATTEMPTS = 4
_AGAIN = frozenset({408, 500, 502, 503, 504})
_MOST_WAIT = 60.0
_PAGE = "text/markdown"


class Remote:
    """A service at its address. What is safe to repeat is tried again: reads, writes under their key, and whatever was
    refused before it began (429); `Retry-After` is heeded up to a minute."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http

    async def ask(self, op: Endpoint, arguments: Json, idempotency_key: str | None = None) -> Json:
        """Sends the request, with an Idempotency-Key of its own where none is given."""
        return (await self.reply(op, arguments, idempotency_key)).answer

    async def reply(
        self, op: Endpoint, arguments: Json, idempotency_key: str | None = None, *, as_page: bool = False
    ) -> Reply:
        """Sends the request; see `Reach`."""
        headers = {"Accept": _PAGE if as_page else "application/json"}
        if op.is_idempotent:
            headers["Idempotency-Key"] = idempotency_key or uuid4().hex
        rest = {name: value for name, value in arguments.items() if name not in op.path_parameters}
        sent: Json = {"params": as_query(rest)}
        if op.method not in ("GET", "DELETE"):
            sent = {"content": msgspec.json.encode(rest)}
            headers["Content-Type"] = "application/json"
        response = await self._send(op, _path(op, arguments), headers, sent)
        warning, replayed = response.headers.get("x-plan-warning"), "idempotent-replayed" in response.headers
        if response.status_code == 200 and response.headers.get("content-type", "").startswith(_PAGE):
            return Reply(answer={}, page=response.text, plan_warning=warning, replayed=replayed)
        found = self._object(response)
        if response.status_code != 200:
            raise Refused(response.status_code, found)
        return Reply(answer=found, plan_warning=warning, replayed=replayed)

    def _object(self, response: httpx2.Response) -> Json:
        """The response's JSON object. Raises Unreachable for what Aurra does not answer."""
        try:
            found = msgspec.json.decode(response.content, type=dict[str, Any])
            if response.status_code == 200 or {"detail", "code"} <= found.keys():
                return found
        except msgspec.DecodeError:
            pass
        raise Unreachable(f"{self._http.base_url} answers {response.status_code}, and not as Aurra does.")

    async def _send(self, op: Endpoint, path: str, headers: Mapping[str, str], sent: Json) -> httpx2.Response:
        is_safe = op.is_read_only or op.is_idempotent
        for attempt in range(1, _ATTEMPTS + 1):
            pause = random.uniform(0.1, 0.2) * 2 ** (attempt - 1)  # noqa: S311 - it spreads waits, and guards nothing
            try:
                response = await self._http.request(op.method, path, headers=headers, **sent)
            except httpx2.TransportError as error:
                if not is_safe or attempt == _ATTEMPTS:
                    raise Unreachable(f"{self._http.base_url} cannot be reached ({_why(error)}).") from error
            else:
                if attempt == _ATTEMPTS or not _is_worth_repeating(response, is_safe=is_safe):
                    return response
                wait = response.headers.get("retry-after", "")
                pause = float(wait) if wait.isdigit() else pause
                if pause > _MOST_WAIT:
                    return response
            await asyncio.sleep(pause)
        raise AssertionError("unreachable")


class _Signed(httpx2.Auth):
    """Signs every attempt anew, as `aurra/signing.md` says; the key itself is not sent."""

    requires_request_body = True

    def __init__(self, key_id: str, secret: str) -> None:
        self._key_id, self._secret = key_id, secret

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """The request, with the four headers of its signature."""
        signable = signing.Signable(method=request.method, target=request.url.raw_path, body=request.content)
        timestamp, nonce = str(int(time.time())), secrets.token_urlsafe(24)
        signature = signing.sign(self._secret, signable, key_id=self._key_id, timestamp=timestamp, nonce=nonce)
        values = (self._key_id, timestamp, nonce, signature)
        request.headers.update(dict(zip(signing.HEADERS, values, strict=True)))
        yield request


@contextlib.asynccontextmanager
async def remote(
    url: str, key: str | None, *, signing_secret: str | None = None, seconds: float = SECONDS
) -> AsyncGenerator[Remote]:
    """The service at a URL, with a key, or without one; with its signing secret, requests are signed.

    Raises Unreachable for what is no URL.
    """
    headers = {"User-Agent": "aurra"}
    auth: httpx2.Auth | None = None
    if key and signing_secret:
        # What precedes the id is as long in every key; the service refuses an id that is none.
        auth = _Signed(key.removeprefix("aurra_live_").removeprefix("aurra_test_")[:8], signing_secret)
    elif key:
        headers["Authorization"] = f"Bearer {key}"
    timeout = httpx2.Timeout(seconds, connect=min(seconds, _CONNECT_SECONDS))
    try:
        base = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise Unreachable(f"{url!r} is no URL ({error}).") from error
    async with httpx2.AsyncClient(base_url=base, headers=headers, timeout=timeout, auth=auth) as http:
        yield Remote(http)


def _path(op: Endpoint, arguments: Json) -> str:
    """The operation's path. Raises Refused for an empty parameter: its path would be another operation's."""
    path = op.path
    for name in op.path_parameters:
        text = quote(str(arguments.get(name, "")), safe="")
        if not text:
            raise Refused(404, {"detail": f"`{name}` is empty.", "status": 404, "code": "not_found", "param": name})
        # A client takes these two out of a path, a percent-encoded one it leaves.
        path = path.replace(f"{{{name}}}", text.replace(".", "%2E") if text in (".", "..") else text)
    return path


def as_query(fields: Json) -> list[tuple[str, str]]:
    """Fields as a query string has them: lists repeat, booleans are lower case, null is left out."""
    return [
        (name, str(one).lower() if isinstance(one, bool) else str(one))
        for name, value in fields.items()
        for one in (cast("list[Any]", value) if isinstance(value, list) else [value])
        if one is not None
    ]


def _is_worth_repeating(response: httpx2.Response, *, is_safe: bool) -> bool:
    if response.status_code == 409:
        return b'"idempotency_in_flight"' in response.content
    return response.status_code == 429 or (is_safe and response.status_code in _AGAIN)


def _why(error: httpx2.TransportError) -> str:
    """What went wrong, in words where there are some."""
    return str(error) or type(error).__name__
