"""The Python SDK, both clients."""

import asyncio
from collections.abc import Awaitable, Callable
from operator import attrgetter
from typing import Any

import httpx2
import msgspec
from aurra_sdk import AsyncAurra, Aurra, AurraError

from aurra.ops import Operation
from tests.parity.face import Json, Told

NO_KEY = "aurra_live_00000000"
"""The clients make no request without one; it is taken off again."""


class AsyncPython:
    """`AsyncAurra`, by the method of the operation's name."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def ask(
        self, op: Operation, fields: Json, *, api_key: str | None, idempotency_key: str | None = None
    ) -> Told:
        """As a program would."""

        async def take_off(request: httpx2.Request) -> None:
            request.headers.pop("authorization")

        hooks = {} if api_key else {"request": [take_off]}
        async with httpx2.AsyncClient(event_hooks=hooks) as http:
            client = AsyncAurra(api_key or NO_KEY, base_url=self._url, max_retries=0, http_client=http)
            return await _told(lambda: attrgetter(op.name)(client)(**_arguments(fields, idempotency_key)))


class Python:
    """`Aurra`, in a thread of its own."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def ask(
        self, op: Operation, fields: Json, *, api_key: str | None, idempotency_key: str | None = None
    ) -> Told:
        """As a script would."""

        def take_off(request: httpx2.Request) -> None:
            request.headers.pop("authorization")

        def work() -> Any:
            with httpx2.Client(event_hooks={} if api_key else {"request": [take_off]}) as http:
                client = Aurra(api_key or NO_KEY, base_url=self._url, max_retries=0, http_client=http)
                return attrgetter(op.name)(client)(**_arguments(fields, idempotency_key))

        return await _told(lambda: asyncio.to_thread(work))


def _arguments(fields: Json, idempotency_key: str | None) -> Json:
    arguments = {"from_" if name == "from" else name: value for name, value in fields.items()}
    return {**arguments, "idempotency_key": idempotency_key} if idempotency_key else arguments


async def _told(work: Callable[[], Awaitable[Any]]) -> Told:
    try:
        answer = await work()
    except AurraError as error:
        assert isinstance(error.body, dict)
        return Told(status=error.status_code or 0, body=error.body)
    return Told(status=200, body=msgspec.json.decode(msgspec.json.encode(answer)))
