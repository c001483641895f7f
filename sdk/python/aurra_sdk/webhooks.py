"""Reads what the service delivers to a URL of yours: Standard Webhooks. Needs no API key and no client."""

import os
from collections.abc import Mapping
from typing import Any

import msgspec

from aurra_sdk._records import Record
from aurra_sdk.errors import AurraError, UnexpectedAnswerError, WebhookSignatureError

__all__ = ["WebhookEvent", "unwrap"]


class WebhookEvent(Record, kw_only=True):
    """Something that happened."""

    id: str
    """The same whenever this event is delivered again: leave out what you have seen."""
    type: str
    """What happened, such as `memory.added`."""
    timestamp: str
    """When, as an instant in UTC."""
    data: dict[str, Any]
    """What it happened to."""


class _Envelope(msgspec.Struct, kw_only=True):
    type: str
    timestamp: str
    data: dict[str, Any]


def unwrap(payload: bytes | str, headers: Mapping[str, str], *, secret: str | None = None) -> WebhookEvent:
    """The event of a delivery whose signature is good: made with `secret`, else AURRA_WEBHOOK_SECRET, within the last
    five minutes. `payload` is the body as it was received.

    Raises WebhookSignatureError for a signature that is not; AurraError where there is no secret, or none that can be
    one; UnexpectedAnswerError for what is signed and no event.
    """
    # Whoever receives no webhooks does not wait for this import.
    from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook, WebhookVerificationError

    given = (secret or os.environ.get("AURRA_WEBHOOK_SECRET", "")).strip()
    if not given:
        raise AurraError("There is no webhook secret: give `secret`, or set AURRA_WEBHOOK_SECRET.")
    try:
        webhook = Webhook(given)
    except (ValueError, EmptyWebhookSecretError):
        raise AurraError("The webhook secret is none: `whsec_` and base64; was it copied whole?") from None
    by_name = {name.lower(): value for name, value in headers.items()}
    try:
        webhook.verify(payload, by_name, json_parse=False)
    except WebhookVerificationError as error:
        raise WebhookSignatureError(f"This delivery is not to be trusted: {str(error).lower()}.") from error
    except ValueError:
        # A header or a body that cannot be read at all.
        raise WebhookSignatureError("This delivery is not to be trusted: it cannot be read.") from None
    try:
        event = msgspec.json.decode(payload, type=_Envelope)
    except msgspec.DecodeError as error:
        raise UnexpectedAnswerError(f"The delivery is signed, and is no event: {error}") from error
    return WebhookEvent(id=by_name["webhook-id"], type=event.type, timestamp=event.timestamp, data=event.data)
