"""An HTTP server on a real socket that does what a test scripts.

async with ScriptedServer() as server:
    server.script(problem(503, "unavailable"), answers(PLAN))   # the first two requests, one each
"""

import asyncio
import contextlib
import socket
import struct
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import msgspec

PLAN: dict[str, Any] = {
    "plan_tier": "starter",
    "writes_used": 49,
    "writes_limit": 50000,
    "writes_remaining": 49951,
    "in_grace_period": False,
    "blocked": False,
    "period_start": "2026-01-01T00:00:00.000000+00:00",
    "period_end": "2026-02-01T00:00:00.000000+00:00",
    "grace_ends_at": None,
}
RETRACTED: dict[str, Any] = {
    "status": "retracted",
    "memory_id": "m1",
    "transaction": {"id": 1, "at": "2026-01-01T00:00:00.000000+00:00"},
    "receipt": {"opened": [], "closed": []},
}


class Received(msgspec.Struct, frozen=True):
    """One request as it came in."""

    method: str
    target: str
    headers: dict[str, str]
    """Names in lower case."""
    body: Any

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query)


Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class ScriptedServer:
    """Listens while it is entered. `requests` are those received, in order; one that the script lacks is reset."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self._script: deque[Behaviour] = deque()
        self._open: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        await asyncio.gather(*self._open)
        await self._server.wait_closed()

    def script(self, *behaviours: Behaviour) -> None:
        """The next requests get these, one each."""
        self._script.extend(behaviours)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            self.requests.append(await _received(reader))
            await (self._script.popleft() if self._script else resets())(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        self._open.discard(task)


async def _received(reader: asyncio.StreamReader) -> Received:
    start, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    method, target, _ = start.split(" ")
    return Received(method, target, headers, msgspec.json.decode(body) if body else None)


def sends(status: int, body: bytes, headers: dict[str, str] | None = None) -> Behaviour:
    """These bytes."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = {"Content-Length": str(len(body)), "Connection": "close", **(headers or {})}
        text = f"HTTP/1.1 {status} Scripted\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        writer.write(text.encode() + b"\r\n" + body)
        await writer.drain()

    return behave


def answers(body: dict[str, Any], headers: dict[str, str] | None = None) -> Behaviour:
    """200 with this JSON."""
    return sends(200, msgspec.json.encode(body), {"Content-Type": "application/json", **(headers or {})})


def problem(status: int, code: str, headers: dict[str, str] | None = None, **members: Any) -> Behaviour:
    """An error as the service writes it."""
    document: dict[str, Any] = {
        "status": status,
        "detail": "It failed.",
        "code": code,
        "param": None,
        "errors": [],
        "request_id": "r-1",
        "hint": "Try something else.",
        **members,
    }
    given = {"Content-Type": "application/problem+json", **(headers or {})}
    return sends(status, msgspec.json.encode(document), given)


def resets() -> Behaviour:
    """RST instead of an answer."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raw: socket.socket = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    return behave


def hangs() -> Behaviour:
    """No answer until the client hangs up."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    return behave
