"""What a receiver of webhooks makes of a delivery. They are signed here as the service's will be: Standard Webhooks."""

import base64
import datetime as dt
import json
from typing import Any

import pytest
from aurra_sdk import (
    AsyncAurra,
    Aurra,
    AurraError,
    UnexpectedAnswerError,
    WebhookEvent,
    WebhookSignatureError,
    webhooks,
)
from standardwebhooks import Webhook

from tests.sdk.conftest import KEY

SECRET = f"whsec_{base64.b64encode(b'a secret of an endpoint, 32 byte').decode()}"
OTHER = f"whsec_{base64.b64encode(b'another secret of an endpoint...').decode()}"
EVENT: dict[str, Any] = {"type": "memory.added", "timestamp": "2026-06-02T10:00:00Z", "data": {"memory_id": "m1"}}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AURRA_WEBHOOK_SECRET", raising=False)


def signed(body: str, secret: str = SECRET, at: dt.datetime | None = None) -> dict[str, str]:
    """The headers of a delivery."""
    now = at or dt.datetime.now(dt.UTC)
    signature = Webhook(secret).sign("msg_1", now, body)
    return {"Webhook-Id": "msg_1", "Webhook-Timestamp": str(int(now.timestamp())), "Webhook-Signature": signature}


@pytest.mark.parametrize("kind", [Aurra, AsyncAurra])
def test_a_delivery_is_a_typed_event(kind: type[Aurra | AsyncAurra], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of either client, and as a function without a key; the secret may come from the environment; bytes or text."""
    body = json.dumps(EVENT)
    event = kind(KEY).webhooks.unwrap(body.encode(), signed(body), secret=SECRET)
    assert event == WebhookEvent(id="msg_1", type="memory.added", timestamp=EVENT["timestamp"], data=EVENT["data"])
    assert event["data"]["memory_id"] == "m1"
    monkeypatch.setenv("AURRA_WEBHOOK_SECRET", f"{SECRET}\n")
    assert webhooks.unwrap(body, signed(body)) == event


def test_a_newer_event_is_read_too() -> None:
    """Members that this version does not know are dropped; one of several signatures is enough."""
    body = json.dumps({**EVENT, "more": 1})
    headers = signed(body)
    headers["Webhook-Signature"] = f"v1a,x {signed(body, OTHER)['Webhook-Signature']} {headers['Webhook-Signature']}"
    assert webhooks.unwrap(body, headers, secret=SECRET).type == "memory.added"


def _broken() -> dict[str, tuple[bytes | str, dict[str, str]]]:
    body = json.dumps(EVENT)
    good = signed(body)
    ago = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=6)
    ahead = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=6)
    return {
        "another secret": (body, signed(body, OTHER)),
        "another body": (body.replace("m1", "m2"), good),
        "a body written anew": (json.dumps(EVENT, indent=1), good),
        "too old": (body, signed(body, at=ago)),
        "from the future": (body, signed(body, at=ahead)),
        "another id": (body, {**good, "Webhook-Id": "msg_2"}),
        "no headers": (body, {}),
        "no time": (body, {**good, "Webhook-Timestamp": "soon"}),
        "no version": (body, {**good, "Webhook-Signature": "v1"}),
        "no base64": (body, {**good, "Webhook-Signature": "v1,é"}),
        "no text": (b"\xff\xfe", good),
    }


@pytest.mark.parametrize("name", list(_broken()))
def test_what_is_not_signed_is_refused(name: str) -> None:
    """One typed error, whatever is wrong, which shows neither the secret nor what was sent."""
    payload, headers = _broken()[name]
    with pytest.raises(WebhookSignatureError) as caught:
        webhooks.unwrap(payload, headers, secret=SECRET)
    assert isinstance(caught.value, AurraError)
    assert SECRET not in str(caught.value) and "m1" not in str(caught.value)


def test_a_secret_is_needed_and_must_be_one() -> None:
    """None, and one that is no base64: an AurraError that says so and is no error of the signature."""
    body = json.dumps(EVENT)
    for secret, said in [("", "AURRA_WEBHOOK_SECRET"), ("whsec_é", "copied whole"), ("whsec_", "copied whole")]:
        with pytest.raises(AurraError, match=said) as caught:
            webhooks.unwrap(body, signed(body), secret=secret)
        assert not isinstance(caught.value, WebhookSignatureError)


@pytest.mark.parametrize("body", ["[]", '{"type": "x"}', "no JSON"])
def test_what_is_signed_and_no_event_is_told_apart(body: str) -> None:
    """The sender is who it says, but it is no event of the service."""
    with pytest.raises(UnexpectedAnswerError):
        webhooks.unwrap(body, signed(body), secret=SECRET)
