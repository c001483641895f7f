"""Errors as JSON: RFC 9457 members beside the contract's `detail`."""

import traceback
from http import HTTPStatus
from typing import Any

import msgspec
import structlog

from aurra.errors import AurraError

log = structlog.get_logger("aurra")


def told(error: Exception, request_id: str, method: str) -> AurraError:
    """What a caller is told of anything that was raised. What nobody meant to raise is logged: where it failed, never
    with what, since messages and values may hold content."""
    if isinstance(error, AurraError):
        return error
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    log.error("failed", request_id=request_id, method=method, kind=type(error).__name__, frames=frames[-8:])
    return AurraError("Something failed inside; nothing is known to be stored.")


def body(error: AurraError, request_id: str) -> bytes:
    """The error's JSON."""
    document: dict[str, Any] = {
        "type": f"urn:aurra:error:{error.code}",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "param": error.param,
        "errors": error.errors,
        "request_id": request_id,
        "hint": error.hint,
        **error.extra,
    }
    return msgspec.json.encode(document)


def headers(error: AurraError) -> dict[str, str]:
    """The headers that go with it."""
    found: dict[str, str] = {}
    if error.status == HTTPStatus.UNAUTHORIZED:
        found["WWW-Authenticate"] = 'Bearer error="invalid_token"' if error.code == "invalid_token" else "Bearer"
    if error.status == HTTPStatus.REQUEST_TIMEOUT:
        found["Connection"] = "close"
    if error.retry_after is not None:
        found["Retry-After"] = str(error.retry_after)
    return found
