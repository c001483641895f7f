"""Every error a call can raise.

AurraError                        the base; raised itself for a status that has no class of its own
├── BadRequestError               400 the request says something that cannot be
├── AuthenticationError           401 no key, or one that is not accepted
├── PlanLimitError                402 writes are blocked by the plan
├── PermissionDeniedError         403 the key's scope does not allow it
├── NotFoundError                 404 nothing of that id is visible to this key
├── ConflictError                 409 the state of the thing forbids it
├── UnprocessableError            422 a field is missing or has the wrong type
├── RateLimitError                429
├── ServerError                   5xx
├── LLMProviderError              the model's provider failed, whatever the status
├── UnexpectedAnswerError         2xx, but not the JSON that the operation answers
├── WebhookSignatureError         a delivery that is not signed as it must be
└── APIConnectionError            no answer; also a built-in ConnectionError
    └── APITimeoutError           no answer in time; also a built-in TimeoutError

Each code of the service has a class below the one of its status, in `aurra_sdk.codes`: `MemoryErasedError`, …
"""

import contextlib
import datetime as dt
import email.utils
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aurra_sdk.codes import ErrorCode


class AurraError(Exception):
    """A call failed. Attributes that the failure does not have are None.

    `detail` is a sentence, or an object with a `message`; `code` is stable; `hint` says what to do next; `body` is the
    whole decoded answer, or its text where it is no JSON.
    """

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        headers: Mapping[str, str] | None = None,
        body: dict[str, Any] | str | None = None,
    ) -> None:
        super().__init__(message)
        problem: dict[str, Any] = body if isinstance(body, dict) else {}
        self.message = message
        self.status_code = status_code
        self.headers: Mapping[str, str] = headers or {}
        self.body = body
        self.code: ErrorCode | None = problem.get("code")
        self.detail: str | dict[str, Any] | None = problem.get("detail")
        self.param: str | None = problem.get("param")
        self.hint: str | None = problem.get("hint")
        self.errors: list[dict[str, Any]] = problem.get("errors") or []
        self.request_id: str | None = problem.get("request_id") or self.headers.get("x-request-id")
        self.retry_after = _retry_after(self.headers.get("retry-after"))
        """Seconds, if the server said when to come again."""

    @property
    def response_body(self) -> dict[str, Any] | str | None:
        """`body`, by the published client's name."""
        return self.body


class BadRequestError(AurraError):
    """400: the request is understood, and says something that cannot be."""


class AuthenticationError(AurraError):
    """401: no key, or a key that is not accepted."""


class PlanLimitError(AurraError):
    """402: the plan blocks writes; `detail` carries the fields of `plan.status()`."""


class PermissionDeniedError(AurraError):
    """403: the key lacks the scope that the message names."""


class NotFoundError(AurraError):
    """404: nothing of that id is visible to this key."""


class ConflictError(AurraError):
    """409: what is stored forbids the change."""


class UnprocessableError(AurraError):
    """422: a field is missing or has the wrong type."""


class RateLimitError(AurraError):
    """429: too many requests; `retry_after` says when to come again."""


class ServerError(AurraError):
    """5xx: the service, or something it depends on, failed."""


class LLMProviderError(AurraError):
    """The model's provider failed (5xx), or refused the caller's own key or model (400)."""

    @property
    def provider(self) -> str | None:
        """Which one."""
        return self.detail.get("provider") if isinstance(self.detail, dict) else None

    @property
    def provider_message(self) -> str | None:
        """What it said."""
        return self.detail.get("message") if isinstance(self.detail, dict) else None


class UnexpectedAnswerError(AurraError):
    """The status says success, the body is not what the operation answers: is there something else at `base_url`?"""


class WebhookSignatureError(AurraError):
    """A delivery is not signed with the secret, or was signed too long ago: answer 400, and do nothing else with it."""


class APIConnectionError(AurraError, ConnectionError):
    """No answer arrived. `was_sent` is False where the request cannot have reached the server."""

    def __init__(self, message: str, *, was_sent: bool = True) -> None:
        super().__init__(message)
        self.was_sent = was_sent


class APITimeoutError(APIConnectionError, TimeoutError):
    """No answer arrived in time."""


def _retry_after(text: str | None) -> float | None:
    """Seconds from now; the header holds seconds or a date."""
    if text is None:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    with contextlib.suppress(ValueError, TypeError):  # a date that is none, or has no time zone
        at = email.utils.parsedate_to_datetime(text)
        return max(0.0, (at - dt.datetime.now(dt.UTC)).total_seconds())
    return None
