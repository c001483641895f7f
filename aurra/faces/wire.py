"""The HTTP protocol of the server, with the limits that uvicorn's own lacks: a request's head is small, and arrives; an
answer is taken; and nobody is cut off when the server ends."""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

_LONGEST_HEAD = 64 * 1024
_HEAD_SECONDS = 15.0
_FIRST_REQUEST_SECONDS = 1.0
"""For the first request of a connection that was let in just before the server ends."""


class WireState(ServerState):
    """What all connections of the server share."""

    is_ending = False

    def say_goodbye(self) -> None:
        """From now on every answer closes its connection, and says so."""
        self.is_ending = True
        for connection in cast(set[Any], self.connections):
            if isinstance(connection, LimitedProtocol):
                connection.close_after_answer()


class LimitedProtocol(HttpToolsProtocol):
    """Ends a connection whose request line and headers pass 64 KiB, or are not complete after 15 seconds; or that takes
    nothing of its answer for 30."""

    stalled_seconds = 30.0
    _was_asked = False
    _in_head = False
    _head_bytes = 0
    _timer: asyncio.TimerHandle | None = None
    _taking: asyncio.TimerHandle | None = None

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        """Its head is complete."""
        self._in_head = False
        super().on_headers_complete()
        self._was_asked = True
        if isinstance(self.server_state, WireState) and self.server_state.is_ending:
            self.close_after_answer()

    def close_after_answer(self) -> None:
        """The answer under way, if there is one, is the connection's last."""
        if self._was_asked and not self.cycle.response_complete:
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """The server ends: an idle connection is closed. One whose request is still on its way gets its answer."""
        if self._was_asked and not self._in_head:
            super().shutdown()
        elif not self._in_head:
            self.loop.call_later(_FIRST_REQUEST_SECONDS, self._close_unasked)

    def _close_unasked(self) -> None:
        if not (self._was_asked or self._in_head or self.transport.is_closing()):
            self.transport.close()

    def pause_writing(self) -> None:
        """The client takes its answer more slowly than it is made."""
        super().pause_writing()
        self._watch(self.transport.get_write_buffer_size() + 1)

    def resume_writing(self) -> None:
        """It has taken most of it."""
        self._stop_watching()
        super().resume_writing()

    def _watch(self, left_before: int) -> None:
        self._stop_watching()
        left = self.transport.get_write_buffer_size()
        if left >= left_before:
            self.transport.abort()
        else:
            self._taking = self.loop.call_later(self.stalled_seconds, self._watch, left)

    def _stop_watching(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

    def data_received(self, data: bytes) -> None:
        """Counts what belongs to a head that is not complete yet."""
        super().data_received(data)
        if not self._in_head:
            self._stop_timer()
            return
        self._head_bytes += len(data)
        if self._head_bytes > _LONGEST_HEAD:
            self._refuse(f"The request line and headers are over {_LONGEST_HEAD} bytes.")
        elif self._timer is None:
            message = f"The headers did not arrive within {_HEAD_SECONDS:.0f} seconds."
            self._timer = self.loop.call_later(_HEAD_SECONDS, self._refuse, message)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is timed any more."""
        self._stop_timer()
        self._stop_watching()
        super().connection_lost(exc)

    def _refuse(self, message: str) -> None:
        self._stop_timer()
        self._in_head = False
        if not self.transport.is_closing():
            self.send_400_response(message)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
