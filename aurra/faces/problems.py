"""Errors as JSON: RFC 9457 members beside the contract's `detail`."""

from http import HTTPStatus
from typing import Any

import msgspec

from aurra.errors import AurraError


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
        found["WWW-Authenticate"] = "Bearer"
    if error.status == HTTPStatus.REQUEST_TIMEOUT:
        found["Connection"] = "close"
    if error.retry_after is not None:
        found["Retry-After"] = str(error.retry_after)
    return found
