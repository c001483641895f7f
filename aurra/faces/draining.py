"""The server that ends without cutting anybody off: not ready, then drained, then closed.

From the first signal on `/health/ready` is 503 and every answer closes its connection, while newcomers are still
served: whoever spreads the load has time to look away. That lasts until nothing was asked for a moment, for five
seconds at most. Then nobody new gets in, what was begun is finished, and the sockets close.
"""

import asyncio
import contextlib
import ctypes
import signal
import socket
import struct
import sys
from collections.abc import Generator
from types import FrameType

import uvicorn
from litestar import Litestar

from aurra.context import Service
from aurra.faces.wire import LimitedProtocol, WireState

_NOTICE_SECONDS = 5.0
"""How long newcomers are served after the signal, at most."""
_QUIET_SECONDS = 0.3
"""Without a request for so long, the notice is over."""
_DRAIN_SECONDS = 20
"""For what was begun; with the notice, 25."""
_HANDSHAKE_SECONDS = 0.1
_LONGEST_MESSAGE = 1024 * 1024
"""Bytes of one message of a WebSocket."""


class Server(uvicorn.Server):
    """uvicorn that drains, and that ends by returning. Its own way is to raise the signal again, which would kill the
    process before the embedded database is stopped."""

    def __init__(self, service: Service, app: Litestar) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=LimitedProtocol,
                ws="websockets-sansio",
                ws_max_size=_LONGEST_MESSAGE,
                ws_per_message_deflate=False,
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                # Whom to believe is AURRA_TRUSTED_PROXIES; uvicorn itself would believe whoever is on this machine.
                proxy_headers=False,
                lifespan="off",
                timeout_graceful_shutdown=_DRAIN_SECONDS,
                timeout_keep_alive=65,
            )
        )
        self._service = service
        self._state = WireState()
        self.server_state = self._state
        self.is_alone = True
        """Whether no other process goes on with the listening socket once this one ends."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """The first SIGTERM or SIGINT drains, a second one stops waiting."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.drain)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """As a signal does."""
        self.drain()

    def drain(self) -> None:
        """Not ready from now on, and then drained; the second time, nothing more is waited for."""
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True
        self._service.is_draining = True
        self._state.say_goodbye()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Serves newcomers for a moment, then nobody new, then ends what was begun."""
        await self._give_notice()
        if self.is_alone and not self.force_exit:
            for listener in sockets or []:
                _turn_away_newcomers(listener)
            # Who is let in already is still taken up.
            await asyncio.sleep(_HANDSHAKE_SECONDS)
        await super().shutdown(sockets)

    async def _give_notice(self) -> None:
        loop = asyncio.get_running_loop()
        began = changed = loop.time()
        answered = self._state.total_requests
        while not self.force_exit and loop.time() - began < _NOTICE_SECONDS and loop.time() - changed < _QUIET_SECONDS:
            await asyncio.sleep(0.05)
            if self._state.total_requests != answered:
                answered, changed = self._state.total_requests, loop.time()


# Classic BPF over the TCP header: a segment with SYN set is dropped, all others pass.
_NO_SYN = ((0x30, 0, 0, 13), (0x45, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF))
_SO_ATTACH_FILTER = 26


def _turn_away_newcomers(listener: socket.socket) -> None:
    """Where the kernel can: no new handshake begins, and those under way end. Closed at once, the socket would reset
    connections that nobody has accepted yet; so a late client only finds, a second later, that nobody listens."""
    if sys.platform != "linux":
        return
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in _NO_SYN))
    filter_ = struct.pack("HP", len(_NO_SYN), ctypes.addressof(program))
    # A kernel without it closes as the others do.
    with contextlib.suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filter_)
