"""The HTTP protocol of the server, with the limits that uvicorn's own lacks: what a client sends is small and arrives,
and what it is sent it reads. And nobody is cut off when the server ends."""

import asyncio
from typing import Any, Literal, cast
from uuid import uuid4

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from aurra.errors import AurraError, BadRequest, TooSlow
from aurra.faces import problems

_LONGEST_HEAD = 64 * 1024
_HEAD_SECONDS = 15.0
_BODY_SECONDS = 12.0
"""A little more than the application waits, which then answers itself."""
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
    """Ends a connection whose request line and headers pass 64 KiB or are not complete after 15 seconds, whose body is
    not after 12, and one that takes nothing of what it is sent for 12."""

    stalled_seconds = 12.0
    _was_asked = False
    _awaits: Literal["head", "body", "nothing"] = "head"
    _head_bytes = 0
    _is_handed_over = False
    """Whether the connection is a WebSocket's now."""
    _arrival: asyncio.TimerHandle | None = None
    _departure: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there, and must say something."""
        super().connection_made(transport)
        self._start(_HEAD_SECONDS)

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._awaits, self._head_bytes = "head", 0

    def on_headers_complete(self) -> None:
        """Its head is complete."""
        self._awaits = "body"
        self._start(_BODY_SECONDS)
        super().on_headers_complete()
        self._was_asked = True
        if isinstance(self.server_state, WireState) and self.server_state.is_ending:
            self.close_after_answer()

    def handle_websocket_upgrade(self) -> None:
        """From here on the connection has another protocol, and none of the times of this one."""
        self._is_handed_over = True
        self._stop_arrival()
        self._stop_departure()
        super().handle_websocket_upgrade()

    def on_message_complete(self) -> None:
        """All of it is there."""
        self._awaits = "nothing"
        self._stop_arrival()
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Counts what belongs to a head that is not complete yet."""
        super().data_received(data)
        if self._awaits == "body" or self._is_handed_over or self.transport.is_closing():
            return
        # Line ends between two requests begin none, and are waited for as little.
        if self._awaits == "nothing" and not self._is_idle:
            return
        if self._awaits == "head":
            self._head_bytes += len(data)
        if self._head_bytes > _LONGEST_HEAD:
            self._refuse(BadRequest(f"The request line and headers are over {_LONGEST_HEAD} bytes."))
        elif self._arrival is None:
            self._start(_HEAD_SECONDS)

    def on_response_complete(self) -> None:
        """Between two requests, uvicorn's own time-out holds."""
        super().on_response_complete()
        if self._awaits == "nothing":
            self._stop_arrival()

    def pause_writing(self) -> None:
        """The client takes its answer more slowly than it is made."""
        super().pause_writing()
        self._watch(self.transport.get_write_buffer_size() + 1)

    def resume_writing(self) -> None:
        """It has taken most of it."""
        self._stop_departure()
        super().resume_writing()

    def _watch(self, left_before: int) -> None:
        self._stop_departure()
        left = self.transport.get_write_buffer_size()
        if left >= left_before:
            self.transport.abort()
        else:
            self._departure = self.loop.call_later(self.stalled_seconds, self._watch, left)

    def _stop_departure(self) -> None:
        if self._departure is not None:
            self._departure.cancel()
            self._departure = None

    def close_after_answer(self) -> None:
        """The answer under way, if there is one, is the connection's last."""
        if self._was_asked and self.cycle and not self.cycle.response_complete:
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """The server ends: an idle connection is closed. One whose request is still on its way gets its answer."""
        if self._was_asked and not self._is_in_head:
            super().shutdown()
        elif not self._is_in_head:
            self.loop.call_later(_FIRST_REQUEST_SECONDS, self._close_unasked)

    def _close_unasked(self) -> None:
        if not (self._was_asked or self._is_in_head or self.transport.is_closing()):
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is timed any more."""
        self._stop_arrival()
        self._stop_departure()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP, in the form of every other error."""
        self._refuse(BadRequest("The request is not HTTP that can be read."))

    @property
    def _is_in_head(self) -> bool:
        """Whether a request was begun, and its head is not complete."""
        return self._awaits == "head" and self._head_bytes > 0

    @property
    def _is_idle(self) -> bool:
        """Whether no request is being answered."""
        return not self.cycle or self.cycle.response_complete

    @property
    def _may_answer(self) -> bool:
        """Whether an answer from here would be taken as the one to the request that it is about."""
        return self._is_idle or (self._awaits == "body" and not self.pipeline and not self.cycle.response_started)

    def _late(self) -> None:
        self._arrival = None
        if self.transport.is_closing():
            return
        if self.flow.read_paused:
            # It cannot send more until we read on.
            self._start(_BODY_SECONDS)
        elif self._awaits == "head" and self._head_bytes:
            self._refuse(TooSlow(f"The headers did not arrive within {_HEAD_SECONDS:.0f} seconds."))
        else:
            self.transport.abort()

    def _refuse(self, error: AurraError) -> None:
        self._stop_arrival()
        if not self._may_answer:
            self.transport.abort()
        elif not self.transport.is_closing():
            self._answer(error)

    def _answer(self, error: AurraError) -> None:
        request_id = uuid4().hex
        body = problems.body(error, request_id)
        headers = {
            "content-type": "application/problem+json",
            "content-length": str(len(body)),
            "x-request-id": request_id,
            "connection": "close",
        }
        lines = [f"{name}: {value}\r\n".encode() for name, value in headers.items()]
        self.transport.write(b"".join([STATUS_LINE[error.status], *lines, b"\r\n", body]))
        self.transport.close()

    def _start(self, seconds: float) -> None:
        self._stop_arrival()
        self._arrival = self.loop.call_later(seconds, self._late)

    def _stop_arrival(self) -> None:
        if self._arrival is not None:
            self._arrival.cancel()
            self._arrival = None
