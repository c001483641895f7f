"""HTTP to the service under examination: JSON in and out, time-outs, and patience where the service asks for it."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any
from uuid import uuid4

import httpx2
import msgspec

from aurra.conformance.expecting import Broken, KeyRefused, Unreachable

Json = dict[str, Any]

_TIMEOUT = httpx2.Timeout(60, connect=10)
_BUSY = (429, 503)
_MOST_TRIES = 5
_LONGEST_WAIT_SECONDS = 60.0
_SHOWN_CHARACTERS = 200


class Answer(msgspec.Struct, frozen=True):
    """What came back: the status and the JSON object."""

    status: int
    body: Json


class Client:
    """Sends requests with one key. Every change carries an idempotency key, so that it can be sent again."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Json | None = None,
        body: Json | None = None,
        idempotency_key: str | None = None,
    ) -> Answer:
        """The answer, whatever its status; waits and tries again while the service is busy.

        What is None in the query is left out. Raises Unreachable when nobody listens, Broken for what is no JSON
        object.
        """
        headers = {} if method == "GET" else {"Idempotency-Key": idempotency_key or str(uuid4())}
        given = {name: value for name, value in (query or {}).items() if value is not None}
        for tries in range(1, _MOST_TRIES + 1):
            try:
                response = await self._http.request(method, path, params=given, json=body, headers=headers)
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                raise Unreachable(f"Nothing answers at {self._http.base_url}: {error}") from error
            if response.status_code not in _BUSY or tries == _MOST_TRIES:
                return Answer(response.status_code, _object(response, f"{method} {path}"))
            await asyncio.sleep(_wait_seconds(response))
        raise AssertionError("the last try returns")


@contextlib.asynccontextmanager
async def connected(url: str, key: str) -> AsyncGenerator[Client]:
    """A client for the service at the URL, closed at the end.

    Raises Unreachable for what is no URL, KeyRefused for what cannot be a key.
    """
    if not (key.isascii() and key.isprintable()):
        raise KeyRefused("The key holds characters that no key has.")
    try:
        httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise Unreachable(f"{url} is no address: {error}") from error
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(base_url=url.rstrip("/"), headers=headers, timeout=_TIMEOUT) as http:
        yield Client(http)


def _object(response: httpx2.Response, request: str) -> Json:
    try:
        return msgspec.json.decode(response.content, type=Json)
    except (msgspec.DecodeError, UnicodeDecodeError):
        shown = f"{response.status_code} {response.text[:_SHOWN_CHARACTERS]}"
        raise Broken(f"{request} is answered with a JSON object", "a JSON object", shown) from None


def _wait_seconds(response: httpx2.Response) -> float:
    try:
        asked = float(response.headers.get("Retry-After", "1"))
    except ValueError:
        asked = 1.0
    return min(max(asked, 0.1), _LONGEST_WAIT_SECONDS)
