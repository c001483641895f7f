"""From a response without success, or no response at all, to the error that it is."""

import contextlib
from typing import Any, cast

import httpx2
import msgspec

from aurra_sdk.codes import BY_CODE, BY_STATUS
from aurra_sdk.errors import (
    APIConnectionError,
    APITimeoutError,
    AurraError,
    LLMProviderError,
    ServerError,
)


def of_response(response: httpx2.Response) -> AurraError:
    """The error that a response without success is."""
    body = _body(response)
    problem: dict[str, Any] = body if isinstance(body, dict) else {}
    detail: Any = problem.get("detail")
    is_provider = False
    if isinstance(detail, dict):
        said = cast("dict[str, Any]", detail)
        is_provider = said.get("error") == "llm_provider_error"
        detail = said.get("message")
    status = response.status_code
    kind = BY_STATUS.get(status, ServerError if status >= 500 else AurraError)
    # A code says more than the status, where it is one that goes with it.
    by_code = BY_CODE.get(str(problem.get("code")), kind)
    kind = LLMProviderError if is_provider else kind
    kind = by_code if issubclass(by_code, (kind, LLMProviderError)) else kind
    request_id = problem.get("request_id") or response.headers.get("x-request-id")
    facts = [
        f"{status} {problem.get('code') or response.reason_phrase}",
        *([f"request {request_id}"] if request_id else []),
    ]
    error = kind(
        f"{detail or 'The server said no more.'} ({'; '.join(facts)})",
        status_code=status,
        headers=response.headers,
        body=body,
    )
    if error.hint:
        error.add_note(error.hint)
    return error


def of_transport(error: httpx2.RequestError, base_url: str) -> APIConnectionError:
    """The error that a request without a response is."""
    was_sent = not isinstance(error, (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout))
    if isinstance(error, httpx2.TimeoutException):
        return APITimeoutError(f"{base_url} did not answer in time ({type(error).__name__}).", was_sent=was_sent)
    return APIConnectionError(
        f"{base_url} cannot be reached, or broke off ({type(error).__name__}: {error}).", was_sent=was_sent
    )


def _body(response: httpx2.Response) -> dict[str, Any] | str:
    with contextlib.suppress(msgspec.DecodeError):
        return msgspec.json.decode(response.content, type=dict[str, Any])
    return response.text
