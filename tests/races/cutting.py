"""A wire between a service and its Postgres that stops at a named point of a write's transaction.

A point is `step:moment`. Steps, in order: lock, load, apply, commit. Moments of each: `before` its message goes to
the server; `sent`, as soon as it is on its way; `done`, when the server has answered and the service has not heard; and
`heard`, as soon as the answer is on its way to the service.
"""

import asyncio
import contextlib
import struct
import tempfile
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

STEPS = ("lock", "load", "apply", "commit")
POINTS = [f"{step}:{moment}" for step in STEPS for moment in ("before", "sent", "done", "heard")]
_MARKS = {"FOR UPDATE OF l": "lock", "'answers', (SELECT json_agg": "load", "UPDATE ledger SET last_tx": "apply"}
"""What tells the statements of a write."""


class Wire:
    """Carries connections to the server; `stop_at` names the point at which the next write is stopped."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._point: str | None = None
        self._act: Callable[[], None] = lambda: None
        self._fired = asyncio.Event()

    async def stop_at(self, point: str, act: Callable[[], None] = lambda: None) -> None:
        """Returns when a write came to the point; there `act` was called, and the connection was cut."""
        self._point, self._act, self._fired = point, act, asyncio.Event()
        async with asyncio.timeout(60):
            await self._fired.wait()

    def passes(self, point: str) -> None:
        """Raises ConnectionAbortedError at the point that was named, once."""
        if point == self._point:
            self._point = None
            self._act()
            self._fired.set()
            raise ConnectionAbortedError(point)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side ends it or it is cut."""
        up_reader, up_writer = await asyncio.open_unix_connection(self._upstream)
        talk = _Talk(self)
        ways = {
            asyncio.create_task(talk.to_server(reader, up_writer)),
            asyncio.create_task(talk.to_service(up_reader, writer)),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for end in (writer, up_writer):
                end.transport.abort()


class _Talk:
    """What is said on one connection, message by message."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._statements: dict[bytes, str] = {}
        self._is_write = False
        self._step: str | None = None
        """The step whose answer is awaited."""

    async def to_server(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The service's messages; the first has no type."""
        writer.write(head := await reader.readexactly(4))
        writer.write(await reader.readexactly(struct.unpack("!I", head)[0] - 4))
        while True:
            kind, message = await _message(reader)
            if (step := self._step_of(kind, message[5:])) is not None:
                self._wire.passes(f"{step}:before")
                self._step = step
            writer.write(message)
            await writer.drain()
            if self._step is not None and kind in (b"Q", b"S"):
                self._wire.passes(f"{self._step}:sent")

    async def to_service(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The server's messages; `Z` ends an answer."""
        while True:
            kind, message = await _message(reader)
            step = self._step if kind == b"Z" else None
            if step is not None:
                self._wire.passes(f"{step}:done")
                self._step = None
            writer.write(message)
            await writer.drain()
            if step is not None:
                self._wire.passes(f"{step}:heard")

    def _step_of(self, kind: bytes, body: bytes) -> str | None:
        if kind == b"Q":
            # Jobs commit too, and lock no ledger.
            is_write, self._is_write = self._is_write, False
            return "commit" if is_write and body.startswith(b"COMMIT") else None
        if kind == b"P":
            name, text = body.split(b"\0")[:2]
            step = next((step for mark, step in _MARKS.items() if mark.encode() in text), None)
            if step is not None:
                self._statements[name] = step
        step = self._statements.get(body.split(b"\0")[1]) if kind == b"B" else None
        self._is_write = self._is_write or step == "lock"
        return step


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readexactly(5)
    return head[:1], head + await reader.readexactly(struct.unpack("!I", head[1:])[0] - 4)


@contextlib.asynccontextmanager
async def wire_to(dsn: str) -> AsyncGenerator[tuple[Wire, str]]:
    """A wire to the server of the URL, and the URL that goes through it."""
    sockets = parse_qs(urlsplit(dsn).query)["host"][0]
    port = parse_qs(urlsplit(dsn).query)["port"][0]
    wire = Wire(f"{sockets}/.s.PGSQL.{port}")
    with tempfile.TemporaryDirectory(prefix="aurra-wire-") as directory:
        server = await asyncio.start_unix_server(wire.carry, Path(directory) / f".s.PGSQL.{port}")
        try:
            yield wire, dsn.replace(quote(sockets, safe=""), quote(directory, safe=""))
        finally:
            server.close()
