"""What every face over HTTP does before it knows what is asked: who calls, what they sent, how they are answered."""

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from litestar import Request, Response

from aurra.context import Caller, Service
from aurra.errors import AurraError, BadRequest, PayloadTooLarge, TooSlow, UnsupportedMedia
from aurra.faces import asking, auth, limits, problems, signatures
from aurra.ops.registry import MIB

AnyRequest = Request[Any, Any, Any]
_BODY_SECONDS = 10
_ONCE = (b"authorization", b"host", b"content-length")
_JSON = re.compile(r"application/(?:[\w.-]+\+)?json\s*(?:;.*)?", re.IGNORECASE)


async def respond(request: AnyRequest, work: Callable[[str], Awaitable[Response[bytes]]]) -> Response[bytes]:
    """The response of some work, or of the error it raised; never an exception."""
    request_id = request_id_of(request)
    try:
        return await work(request_id)
    except Exception as error:
        return problem(problems.told(error, request_id, request.method), request_id)


def problem(error: AurraError, request_id: str) -> Response[bytes]:
    """An error as a response."""
    return Response(
        problems.body(error, request_id),
        status_code=error.status,
        media_type="application/problem+json",
        headers={"X-Request-Id": request_id, **problems.headers(error)},
    )


def request_id_of(request: AnyRequest) -> str:
    """The caller's own id where it is a sensible one, else a new one; the same for the whole request."""
    state = request.scope["state"]
    if "request_id" not in state:
        state["request_id"] = asking.request_id_of(request.headers)
    return state["request_id"]


async def caller_and_body(
    service: Service, request: AnyRequest, *, may: Callable[[Caller], None], limit: int | None, bucket: str = ""
) -> tuple[Caller, bytes]:
    """Who calls, and what they sent: JSON of up to `limit` bytes, or nothing; None is that no body is read.

    A signature covers the body, so that is read before; else what a key may not, as `may` says, it is not helped to ask
    for. The request counts in a bucket of the caller's limits, and as a use of the key.
    """
    body = b""

    async def read() -> bytes:
        nonlocal body
        body = await read_body(request, MIB if limit is None else limit)
        return body

    if signatures.is_presented(request.scope["headers"]):
        signer = signatures.signer(service, request.scope, read)
        caller = await limits.admitted(service, request, signer, bucket)
        service.last_uses.note(caller)
        may(caller)
    else:
        authenticating = auth.authenticate(service, request.headers.get("authorization"))
        caller = await limits.admitted(service, request, authenticating, bucket)
        service.last_uses.note(caller)
        may(caller)
        if limit is not None:
            await read()
    return caller, _as_json(request, body) if limit is not None else b""


def require_single_headers(request: AnyRequest) -> None:
    """Returns when no header is there twice of which one counts, and the body's length is told in one way."""
    names = [name for name, _ in request.scope["headers"] if name in _ONCE]
    for name in _ONCE:
        if names.count(name) > 1:
            text = name.decode().title()
            raise BadRequest(f"The header {text} was sent twice.", code="duplicate_header", param=text)
    # Whoever stands between might read the length by one, and we by the other.
    codings = [value for name, value in request.scope["headers"] if name == b"transfer-encoding"]
    if codings and ([coding.strip().lower() for coding in codings] != [b"chunked"] or b"content-length" in names):
        raise BadRequest("Send Content-Length, or Transfer-Encoding: chunked; not both, and no other coding.")


async def read_body(request: AnyRequest, limit: int) -> bytes:
    """The body, as sent. Raises PayloadTooLarge over the limit."""
    length = request.headers.get("content-length", "0")
    if not re.fullmatch(r"[0-9]{1,15}", length):
        raise BadRequest("Content-Length is not a number of bytes.")
    if int(length) > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in _chunks(request):
                size += len(chunk)
                if size > limit:
                    raise _too_large(limit)
                chunks.append(chunk)
    except TimeoutError:
        raise TooSlow(f"The body did not arrive within {_BODY_SECONDS} seconds.") from None
    return b"".join(chunks)


async def _chunks(request: AnyRequest) -> AsyncGenerator[bytes]:
    """The body as it comes. The framework's own stream is for its routes alone, and not for what is mounted."""
    while (event := await request.receive())["type"] == "http.request":
        yield event["body"]
        if not event["more_body"]:
            return
    raise TooSlow("The client went away before the whole body was there.")


def _as_json(request: AnyRequest, body: bytes) -> bytes:
    """The body without white space around. Raises UnsupportedMedia for what is not plain JSON."""
    if body.strip():
        _require_json(request)
    return body.strip()


def _require_json(request: AnyRequest) -> None:
    kind = request.headers.get("content-type", "")
    if not _JSON.fullmatch(kind.strip()):
        raise UnsupportedMedia(f"The body must be JSON; its Content-Type is {kind or 'missing'!r}.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMedia("The body must not be compressed.")


def _too_large(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The body is over {f'{limit // MIB} MiB' if limit >= MIB else f'{limit // 1024} KiB'}.")
