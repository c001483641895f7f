"""What a client is told once: from its constructor, else from the environment."""

import os
from typing import TypeAlias

import httpx2
import msgspec
from msgspec import UnsetType

from aurra_sdk._signing import key_id_of
from aurra_sdk.errors import AurraError

DEFAULT_BASE_URL = "http://127.0.0.1:8000"
Seconds: TypeAlias = float | httpx2.Timeout | None


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one client."""

    api_key: str
    signing_secret: str | None
    """Of a key whose requests are signed; then the key itself is not sent."""
    base_url: str
    tenant_id: str | None
    timeout: Seconds
    max_retries: int
    backoff_seconds: float

    def __repr__(self) -> str:
        return f"base_url={self.base_url!r}, tenant_id={self.tenant_id!r}"


def read_options(
    *,
    api_key: str | None,
    signing_secret: str | None,
    base_url: str | None,
    tenant_id: str | UnsetType | None,
    timeout: Seconds,
    max_retries: int,
    backoff_seconds: float,
) -> Options:
    """The options; an empty variable counts as not given. Raises AurraError for a key or URL that cannot be used."""
    key = (api_key or os.environ.get("AURRA_API_KEY", "")).strip()
    if not key:
        raise AurraError("There is no API key: give `api_key`, or set AURRA_API_KEY.")
    if not (key.isascii() and key.isprintable()):
        raise AurraError("The API key has characters that no key has; was it copied whole?")
    secret = (signing_secret or os.environ.get("AURRA_SIGNING_SECRET", "")).strip() or None
    if secret is not None:
        key_id_of(key)
    url = (base_url or os.environ.get("AURRA_BASE_URL") or DEFAULT_BASE_URL).rstrip("/")
    try:
        is_web = httpx2.URL(url).scheme in ("http", "https") and bool(httpx2.URL(url).host)
    except httpx2.InvalidURL:
        is_web = False
    if not is_web:
        raise AurraError(f"{url!r} is no base URL: it begins with http:// or https:// and names a host.")
    if tenant_id is msgspec.UNSET:
        tenant_id = os.environ.get("AURRA_TENANT_ID") or None
    return Options(
        api_key=key,
        signing_secret=secret,
        base_url=url,
        tenant_id=tenant_id,
        timeout=timeout,
        max_retries=max_retries,
        backoff_seconds=backoff_seconds,
    )
