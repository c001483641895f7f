"""Signs requests, as the service's aurra/signing.md says."""

import hashlib
import hmac
import re
import secrets
import time

from aurra_sdk.errors import AurraError

_KEY = re.compile(r"aurra_(?:live|test)_([0-9A-Za-z]{8})\w*")


def key_id_of(api_key: str) -> str:
    """The id inside a key. Raises AurraError for what is no key of the service."""
    if (match := _KEY.fullmatch(api_key)) is None:
        raise AurraError("The API key has no id, which a signed request names; was it copied whole?")
    return match[1]


def signature(secret: str, api_key: str, method: str, target: bytes, body: bytes) -> dict[str, str]:
    """The headers of one attempt, its timestamp and nonce its own; `target` is path and query as they are sent."""
    key_id, timestamp, nonce = key_id_of(api_key), str(int(time.time())), secrets.token_urlsafe(24)
    lines = ("v1", key_id, timestamp, nonce, method)
    signed = b"\n".join([*(line.encode() for line in lines), target, hashlib.sha256(body).hexdigest().encode()])
    return {
        "X-Aurra-Key": key_id,
        "X-Aurra-Timestamp": timestamp,
        "X-Aurra-Nonce": nonce,
        "X-Aurra-Signature": f"v1={hmac.digest(secret.encode(), signed, 'sha256').hex()}",
    }
