"""The HTTP client under every adapter: no redirects, bounded answers, only headers of ours, its own time-outs."""

import functools
import ssl
from collections.abc import AsyncIterator, Mapping

import httpx2

from aurra.providers.outgoing import AddressRefused, Checked, Networks

__all__ = ["ANSWER_LIMIT", "AddressRefused", "AnswerTooLong", "EncodingRefused", "checked", "open_client", "seal"]

ANSWER_LIMIT = 4 * 1024 * 1024
"""Bytes of a provider's answer that are read."""

CONNECT_SECONDS = 5.0

_SENT = {"host", "accept", "accept-encoding", "connection", "content-type", "content-length", "anthropic-version"}


class AnswerTooLong(Exception):
    """The provider sent more than is read."""


class EncodingRefused(Exception):
    """The provider compressed its answer unasked; a small one could unpack to any size."""


def open_client(budget_seconds: float, transport: httpx2.AsyncBaseTransport | None) -> httpx2.AsyncClient:
    """A client for one provider. With a transport, every connection is made by it and no proxy is used."""
    return httpx2.AsyncClient(
        transport=transport,
        verify=_tls(),
        follow_redirects=False,
        timeout=httpx2.Timeout(budget_seconds, connect=min(CONNECT_SECONDS, budget_seconds)),
        headers={"Accept-Encoding": "identity"},
    )


def checked(allowed: Networks) -> Checked:
    """A transport that connects to the public Internet and to these networks alone."""
    return Checked(_tls(), allowed)


def seal(client: httpx2.AsyncClient, credentials: Mapping[str, str]) -> None:
    """From now on requests carry these credentials and nothing that a library took from the environment.

    The openai and anthropic libraries add headers and keys from OPENAI_* and ANTHROPIC_* variables; those are the
    operator's, and the base URL may be a stranger's.
    """

    async def keep_ours(request: httpx2.Request) -> None:
        for name in [name for name in request.headers if name.lower() not in _SENT]:
            del request.headers[name]
        request.headers.update({"User-Agent": "aurra", **credentials})

    client.event_hooks = {"request": [keep_ours], "response": [_bound]}


@functools.cache
def _tls() -> ssl.SSLContext:
    # Loading the authorities takes about 20 ms, which each request with a key of its own would pay.
    return httpx2.create_ssl_context()


async def _bound(response: httpx2.Response) -> None:
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise EncodingRefused
    if isinstance(response.stream, httpx2.AsyncByteStream):
        response.stream = _Bounded(response.stream)


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        length = 0
        async for chunk in self._stream:
            length += len(chunk)
            if length > ANSWER_LIMIT:
                raise AnswerTooLong
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
