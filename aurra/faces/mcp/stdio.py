"""`aurra mcp`: what a host writes on standard input, line by line, is asked over HTTP; each answer is a line.

Of a service at its URL, or of one in this process, by the same requests. Nothing but JSON-RPC is written; nothing is
kept but the revision of the protocol that `initialize` agreed on, which HTTP wants in a header.
"""

import asyncio
import base64
import contextlib
import os
import queue
import re
import signal
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator
from typing import Any
from uuid import uuid4

import httpx2
import msgspec

from aurra.faces.mcp.telling import ASKER, INTERNAL, INVALID_REQUEST, PARSE, Json, Receive, Send, on_this_machine
from aurra.faces.reaching import Reach

_NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""Methods that say in a header, too, what they are for."""
_PLAIN = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_TIMEOUT = httpx2.Timeout(300, connect=10)
_PAUSES = (0.3, 1.0)
"""Before each repetition of a request that never got there, in seconds."""
_CHUNK = 65536
_LAST_LINES_SECONDS = 5


@contextlib.asynccontextmanager
async def to_service(url: str, key: str) -> AsyncGenerator[httpx2.AsyncClient]:
    """What asks the service at a URL, with a key."""
    base = url.rstrip("/")
    endpoint = base if base.endswith("/mcp") else f"{base}/mcp"
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(base_url=endpoint, headers=headers, timeout=_TIMEOUT) as http:
        yield http


@contextlib.asynccontextmanager
async def to_reach(reach: Reach) -> AsyncGenerator[httpx2.AsyncClient]:
    """What asks in this process, without a key."""
    from aurra.faces.mcp.serving import respond

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        scope[ASKER] = on_this_machine(reach, uuid4().hex)
        await respond(scope, receive, send)

    async with httpx2.AsyncClient(base_url="http://aurra/mcp", transport=httpx2.ASGITransport(app)) as http:
        yield http


class Relay:
    """Lines of JSON-RPC in, lines out. Requests run side by side, as they come."""

    def __init__(self, http: httpx2.AsyncClient, write: Callable[[bytes], None]) -> None:
        self._http = http
        self._write = write
        self._version: str | None = None
        self._under_way: dict[str | int, asyncio.Task[None]] = {}

    async def run(self, lines: AsyncIterator[bytes]) -> None:
        """Returns when there are no more lines and what they asked for is answered."""
        async with asyncio.TaskGroup() as tasks:
            async for line in lines:
                if line.strip():
                    await self._take(line, tasks)

    async def _take(self, line: bytes, tasks: asyncio.TaskGroup) -> None:
        try:
            message = msgspec.json.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self._tell(None, PARSE, "This line is not JSON in UTF-8.")
            return
        match message:
            case {"method": "notifications/cancelled", "params": {"requestId": str() | int() as cancelled}}:
                if (task := self._under_way.get(cancelled)) is not None:
                    task.cancel()
            case {"method": "initialize", "id": str() | int() as id_}:
                # What comes after it is already of the revision that it agrees on.
                await self._ask(id_, message, line)
            case {"method": str(), "id": str() | int() as id_}:
                task = tasks.create_task(self._ask(id_, message, line))
                self._under_way[id_] = task
                task.add_done_callback(lambda _: self._under_way.pop(id_, None))
            case {"jsonrpc": _} if "method" not in message or "id" not in message:
                # Nothing is asked of the host, and nothing that is told would be kept: there is nobody to tell.
                pass
            case _:
                self._tell(None, INVALID_REQUEST, "This line is not one JSON-RPC request or notification.")

    async def _ask(self, id_: str | int, message: Json, line: bytes) -> None:
        try:
            response = await self._post(line, self._headers(message))
        except httpx2.TransportError as error:
            self._tell(id_, INTERNAL, f"{self._http.base_url} cannot be reached ({type(error).__name__}).")
            return
        answer = _answer(response)
        if answer is None:
            said = f"{self._http.base_url} answers {response.status_code}, and not as Aurra does."
            self._tell(id_, INTERNAL, said)
            return
        match message, answer:
            case {"method": "initialize"}, {"result": {"protocolVersion": str() as version}}:
                self._version = version
            case _:
                pass
        # What was refused at the door was refused before it was read.
        self._write(msgspec.json.encode({**answer, "id": id_}))

    async def _post(self, line: bytes, headers: dict[str, str]) -> httpx2.Response:
        for pause in _PAUSES:
            with contextlib.suppress(httpx2.ConnectError):
                return await self._http.post("", content=line, headers=headers)
            await asyncio.sleep(pause)
        return await self._http.post("", content=line, headers=headers)

    def _headers(self, message: Json) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        match message:
            case {"method": method, "params": {"_meta": {"io.modelcontextprotocol/protocolVersion": str() as version}}}:
                headers |= {"MCP-Protocol-Version": _header(version), "Mcp-Method": _header(method)}
                name = message["params"].get(_NAMED.get(method))
                if isinstance(name, str):
                    headers["Mcp-Name"] = _header(name)
            case {"method": method} if self._version is not None and method != "initialize":
                headers["MCP-Protocol-Version"] = self._version
            case _:
                pass
        return headers

    def _tell(self, id_: str | int | None, code: int, message: str) -> None:
        self._write(msgspec.json.encode({"jsonrpc": "2.0", "id": id_, "error": {"code": code, "message": message}}))


def _answer(response: httpx2.Response) -> Json | None:
    """The JSON-RPC answer that a response holds, if it holds one."""
    try:
        found = msgspec.json.decode(response.content, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return found if "result" in found or "error" in found else None


def _header(value: str) -> str:
    """A value as a header can hold it; the protocol says how what is not plain is wrapped."""
    if _PLAIN.fullmatch(value) and not value.startswith("=?base64?"):
        return value
    return f"=?base64?{base64.b64encode(value.encode()).decode()}?="


def run(opening: contextlib.AbstractAsyncContextManager[httpx2.AsyncClient]) -> None:
    """Relays between the host and what is opened, until the host closes its end or says by a signal to stop; then all
    that was opened is closed again."""
    with _standard_streams() as (given, write):
        asyncio.run(_until_told(opening, given, write))


async def _until_told(
    opening: contextlib.AbstractAsyncContextManager[httpx2.AsyncClient], given: int, write: Callable[[bytes], None]
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        # Windows has none of them; there the host ends by closing its end.
        with contextlib.suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    # While it opens, it is not disturbed: half a database would be left.
    async with opening as http:
        await _first_of(Relay(http, write).run(_lines(given)), stop.wait())


async def _first_of(*works: Coroutine[Any, Any, Any]) -> None:
    """Returns when one is done, and the other is cancelled."""
    tasks = [asyncio.create_task(work) for work in works]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    for done in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(done, Exception):
            raise done


async def _lines(given: int) -> AsyncGenerator[bytes]:
    """The lines that are written to a file descriptor. A thread reads them, which nobody waits for at the end: what
    waits for a host cannot be interrupted."""
    loop = asyncio.get_running_loop()
    found: asyncio.Queue[bytes | None] = asyncio.Queue()

    def read() -> None:
        rest: list[bytes] = []
        # Afterwards the loop may be closed.
        with contextlib.suppress(RuntimeError, OSError):
            while chunk := os.read(given, _CHUNK):
                *whole, last = chunk.split(b"\n")
                for line in whole:
                    loop.call_soon_threadsafe(found.put_nowait, b"".join([*rest, line]))
                    rest.clear()
                rest.append(last)
            loop.call_soon_threadsafe(found.put_nowait, b"".join(rest))
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(found.put_nowait, None)

    threading.Thread(target=read, daemon=True).start()
    while (line := await found.get()) is not None:
        yield line


@contextlib.contextmanager
def _standard_streams() -> Generator[tuple[int, Callable[[bytes], None]]]:
    """The descriptor to read from, and what writes a line. Meanwhile whatever else would read or write there, in this
    process and in those that it starts, finds nothing, and standard error."""
    sys.stdout.flush()
    given, taken, nothing = os.dup(0), os.dup(1), os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    waiting: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()

    def write() -> None:
        # A host that is gone reads no more.
        with contextlib.suppress(OSError):
            while (line := waiting.get()) is not None:
                left = memoryview(line + b"\n")
                while left:
                    left = left[os.write(taken, left) :]

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        yield given, waiting.put
    finally:
        waiting.put(None)
        writer.join(_LAST_LINES_SECONDS)
