"""Several service processes on one listening socket, and the process that looks after them.

Each worker has a line to its parent. On it the worker says that it serves, and the parent that all shall drain; when
the line breaks, the parent is gone, and the worker drains too. A worker that ends by itself is started again, after a
pause that grows while it does not stay.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Generator

import structlog

from aurra.errors import CannotStart
from aurra.faces.draining import Server

log = structlog.get_logger("aurra")

_SERVES, _DRAIN = b"s", b"d"
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_STAYED_SECONDS = 60.0
"""A worker that lived so long is no sign of trouble when it ends."""
_END_SECONDS = 60.0
"""Longer than draining, closing the pool and stopping the embedded database take together."""


def pause_after(deaths: int) -> float:
    """Seconds before a worker is started again, after so many short lives in a row."""
    return min(_LONGEST_PAUSE, _SHORTEST_PAUSE * 2 ** min(deaths, 16))


class Line:
    """A worker's end of the line to its parent."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._socket.setblocking(False)

    def tell_serving(self) -> None:
        """The parent hears that this worker serves."""
        with contextlib.suppress(OSError):
            self._socket.send(_SERVES)

    @contextlib.contextmanager
    def heeded(self, server: Server) -> Generator[None]:
        """While open, the parent's word, or its death, drains the server."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._socket, self._heed, server)
        try:
            yield
        finally:
            loop.remove_reader(self._socket)
            self._socket.close()

    def _heed(self, server: Server) -> None:
        try:
            said = self._socket.recv(16)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if not said:
            log.warning("the parent is gone; this worker ends")
            asyncio.get_running_loop().remove_reader(self._socket)
        # All end together, so nobody goes on with the socket.
        server.is_alone = True
        server.drain()


def inherited_listener(descriptor: int) -> socket.socket:
    """The listening socket that the parent opened."""
    with socket.socket(fileno=os.dup(descriptor)) as found:
        family = found.family
    # With the protocol named, asyncio sets TCP_NODELAY.
    return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=descriptor)


class Parent:
    """Looks after the workers of one listening socket until it is told to stop."""

    def __init__(self, count: int, listener: socket.socket, on_serving: Callable[[], None]) -> None:
        self._count = count
        self._listener = listener
        self._on_serving = on_serving
        self._lines: set[socket.socket] = set()
        self._stopping = asyncio.Event()
        self._serves = False
        """Whether any worker ever served."""

    async def lead(self) -> None:
        """Returns when the workers have drained, after SIGTERM or SIGINT; a second signal does not wait for them.
        Raises CannotStart when the first ones cannot serve."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        keeping = [asyncio.create_task(self._keep()) for _ in range(self._count)]
        try:
            await asyncio.gather(*keeping)
        except BaseException:
            self._stop()
            await asyncio.gather(*keeping, return_exceptions=True)
            raise
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def _stop(self) -> None:
        self._stopping.set()
        # Only the workers' copies are left: the last to end closes the socket.
        self._listener.close()
        for line in self._lines:
            with contextlib.suppress(OSError):
                line.send(_DRAIN)

    async def _keep(self) -> None:
        """One worker runs, started again whenever it ends, until all stop."""
        deaths = 0
        while not self._stopping.is_set():
            began = asyncio.get_running_loop().time()
            code = await self._run_one()
            if self._stopping.is_set():
                return
            if code and not self._serves:
                raise CannotStart("The workers cannot serve; what stopped them is said above.")
            lived = asyncio.get_running_loop().time() - began
            deaths = 0 if lived > _STAYED_SECONDS else deaths + 1
            pause = pause_after(deaths - 1) if deaths else _SHORTEST_PAUSE
            log.warning("a worker ended; it is started again", code=code, pause=pause)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stopping.wait()

    async def _run_one(self) -> int:
        """The exit code of one worker, once it has ended."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with ours:
            with theirs:
                worker = await _start(self._listener.fileno(), theirs.fileno())
            self._lines.add(ours)
            if self._stopping.is_set():
                with contextlib.suppress(OSError):
                    ours.send(_DRAIN)
            asyncio.get_running_loop().add_reader(ours, self._hear, ours)
            try:
                return await self._end_of(worker)
            finally:
                asyncio.get_running_loop().remove_reader(ours)
                self._lines.discard(ours)

    async def _end_of(self, worker: asyncio.subprocess.Process) -> int:
        """Its exit code; once all stop, it is not waited for much longer than draining takes."""
        ending = asyncio.create_task(worker.wait())
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait((ending, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        await asyncio.wait((ending,), timeout=_END_SECONDS)
        if not ending.done():
            with contextlib.suppress(ProcessLookupError):
                worker.kill()
        return await ending

    def _hear(self, line: socket.socket) -> None:
        try:
            said = line.recv(16)
        except OSError:
            said = b""
        if not said:
            asyncio.get_running_loop().remove_reader(line)
        elif not self._serves:
            self._serves = True
            self._on_serving()


async def _start(listener: int, line: int) -> asyncio.subprocess.Process:
    """A worker, away from the terminal's signals: its parent alone tells it to stop."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "aurra.main",
        "worker",
        f"--listener={listener}",
        f"--line={line}",
        pass_fds=(listener, line),
        start_new_session=True,
    )
