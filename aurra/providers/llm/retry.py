"""The one place where calls to a model are repeated: which failures, how often, how long apart, within which budget."""

import asyncio
import email.utils
import math
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx2
import msgspec
from tenacity import AsyncRetrying, RetryCallState, stop_before_delay, wait_exponential_jitter

from aurra.errors import ProviderError
from aurra.providers.llm.http import AddressRefused, AnswerTooLong, EncodingRefused

TRANSIENT = 6
"""Attempts in all while the provider is busy, broken or away."""

UNREACHABLE = 3
"""Attempts in all while nothing listens at its address."""

UNUSABLE = 3
"""Attempts in all while it answers, and not with what was asked."""

LONGEST_RETRY_AFTER = 3600

LAST_START = 0.9
"""Share of the budget after which no attempt begins; the failure before it says more than "timed out" would."""

_backoff = wait_exponential_jitter(multiplier=0.5, max=8, jitter=0.5)


Got = TypeVar("Got")
"""What an attempt gives when it succeeds: anything but a Failure."""


class Failure(msgspec.Struct, frozen=True):
    """What went wrong with one attempt, in words that carry nothing of the request or the answer."""

    kind: str
    refused: bool = False
    attempts: int = 1
    """In all, counting those that failed otherwise: after the last no other is made."""
    wait: float | None = None
    """Seconds that the provider asked to wait."""
    answered: bool = False
    """The provider answered, but not with what was asked; where it is asked again, then at once."""


async def within_budget(provider: str, budget_seconds: float, attempt: Callable[[], Awaitable[Got | Failure]]) -> Got:
    """What the first attempt gives that succeeds. Raises ProviderError for the last failure, and at the latest when the
    budget is used up."""
    retrying = AsyncRetrying(
        sleep=asyncio.sleep,
        retry=_is_worth_repeating,
        wait=_pause,
        stop=stop_before_delay(budget_seconds * LAST_START),
        retry_error_callback=_last,
    )
    try:
        async with asyncio.timeout(budget_seconds):
            outcome: Got | Failure = await retrying(attempt)
    except TimeoutError:
        outcome = Failure(f"timed out after {budget_seconds:g} s")
    if not isinstance(outcome, Failure):
        return outcome
    # Raised outside `except`, so that no exception with a request inside hangs on it.
    raise ProviderError(
        provider,
        f"{provider}: {outcome.kind}",
        refused=outcome.refused,
        answered=outcome.answered,
        retry_after=min(max(1, math.ceil(outcome.wait or 0)), LONGEST_RETRY_AFTER),
    )


def unusable(kind: str) -> Failure:
    """The provider answered, but not with what was asked."""
    return Failure(kind, attempts=UNUSABLE, answered=True)


def failure_of(error: Exception) -> Failure:
    """What an exception of the openai or anthropic library means; both are built on httpx2."""
    response = getattr(error, "response", None)
    if isinstance(response, httpx2.Response):
        return _failure_of_status(response)
    match error if isinstance(error, httpx2.TransportError | AnswerTooLong | EncodingRefused) else error.__cause__:
        case AddressRefused():
            kind = "this server may not connect to that address (see AURRA_LLM_ALLOWED_NETWORKS)"
            return Failure(kind, refused=True)
        case AnswerTooLong():
            return Failure("answered with too much", answered=True)
        case EncodingRefused():
            return Failure("answered compressed, unasked", answered=True)
        case httpx2.TimeoutException():
            return Failure("timed out", attempts=TRANSIENT)
        case httpx2.ConnectError():
            return Failure("could not be reached", attempts=UNREACHABLE)
        case httpx2.TransportError():
            return Failure("the connection broke", attempts=TRANSIENT)
        case _:
            return Failure("could not be asked")


def _failure_of_status(response: httpx2.Response) -> Failure:
    status = response.status_code
    if status == 429 and b'"insufficient_quota"' in response.content:
        return Failure("the quota is used up (429)", refused=True)
    if status in (408, 409, 429) or status >= 500:
        kind = "rate limited (429)" if status == 429 else f"failed ({status})"
        return Failure(kind, attempts=TRANSIENT, wait=_asked_wait(response.headers))
    return Failure(_refusal(status), refused=True)


def _refusal(status: int) -> str:
    match status:
        case 401 | 403:
            return f"refused the key ({status})"
        case 404:
            return "knows no such model or address (404)"
        case _ if status < 400:
            return f"answered with a redirect ({status})"
        case _:
            return f"refused the request ({status})"


def _asked_wait(headers: httpx2.Headers) -> float | None:
    """Seconds, more than 0, from `retry-after-ms` or `Retry-After` (seconds or a date); None when it says nothing."""
    asked = _number(headers.get("retry-after-ms", "")) / 1000
    if asked <= 0:
        asked = _number(headers.get("retry-after", ""))
    if asked <= 0:
        asked = _seconds_until(headers.get("retry-after", ""))
    return asked if asked > 0 else None


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        return 0.0
    return number if math.isfinite(number) else 0.0


def _seconds_until(date: str) -> float:
    try:
        return email.utils.parsedate_to_datetime(date).timestamp() - time.time()
    except (ValueError, OverflowError):
        return 0.0


def _is_worth_repeating(state: RetryCallState) -> bool:
    # A failed outcome is an exception that no attempt may raise, or a cancellation: it passes.
    if state.outcome is None or state.outcome.failed:
        return False
    outcome = _last(state)
    return isinstance(outcome, Failure) and state.attempt_number < outcome.attempts


def _pause(state: RetryCallState) -> float:
    outcome = _last(state)
    if isinstance(outcome, Failure) and outcome.answered:
        return 0.0
    if isinstance(outcome, Failure) and outcome.wait is not None:
        return outcome.wait * random.uniform(1.0, 1.1)  # noqa: S311  (spreads callers; not a secret)
    return _backoff(state)


def _last(state: RetryCallState) -> Any:
    assert state.outcome is not None
    return state.outcome.result()
