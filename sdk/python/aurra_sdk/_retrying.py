"""Whether a failed call is tried again, and after how long. Pure but for the dice."""

import random

from aurra_sdk._options import Options
from aurra_sdk.errors import APIConnectionError, AurraError

LONGEST_BACKOFF = 8.0
LONGEST_RETRY_AFTER = 60.0


def seconds_before_retry(error: AurraError, options: Options, *, retries: int, is_repeatable: bool) -> float | None:
    """How long to wait before trying again after `retries` retries, or None to give up.

    `Retry-After` is honoured up to a minute; a server that asks for longer is not asked again. Without it, waits double
    from `backoff_seconds` up to 8 s. All are spread, so that clients that failed together do not return together.
    """
    if retries >= options.max_retries or not _is_worth_repeating(error, is_repeatable):
        return None
    spread = random.random()  # noqa: S311 - dice, not a secret
    if error.retry_after is not None:
        return (
            error.retry_after + options.backoff_seconds * spread / 2
            if error.retry_after <= LONGEST_RETRY_AFTER
            else None
        )
    longest = min(LONGEST_BACKOFF, options.backoff_seconds * 2**retries)
    return longest * (1 + spread) / 2


def _is_worth_repeating(error: AurraError, is_repeatable: bool) -> bool:
    """What is not repeatable is tried again only where the server cannot have begun with it."""
    if isinstance(error, APIConnectionError):
        return is_repeatable or not error.was_sent
    if error.status_code is None:
        return False
    if error.status_code == 429:
        return True
    if error.status_code == 409:
        return error.code == "idempotency_in_flight"
    return is_repeatable and (error.status_code == 408 or error.status_code >= 500)
