"""The HTTP protocol of the server, with the limits that uvicorn's own lacks: a request's head is small, and arrives."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_LONGEST_HEAD = 64 * 1024
_HEAD_SECONDS = 15.0


class LimitedProtocol(HttpToolsProtocol):
    """Ends a connection whose request line and headers pass 64 KiB, or are not complete after 15 seconds."""

    _in_head = False
    _head_bytes = 0
    _timer: asyncio.TimerHandle | None = None

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        """Its head is complete."""
        self._in_head = False
        super().on_headers_complete()

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
