"""The client."""

from types import TracebackType
from typing import Self

import httpx2
from msgspec import UNSET, UnsetType

from aurra_sdk._async.resources import AsyncResources
from aurra_sdk._async.transport import AsyncTransport
from aurra_sdk._options import Seconds, read_options


class AsyncAurra(AsyncResources):
    """A client of one Aurra service, with one key. Every operation is a method: `client.memories.add(...)`.

    ```python
    async with AsyncAurra() as client:
        await client.memories.add(content="Kim lives in Oslo", subject="kim", attribute="city")
        found = await client.memories.query("Where does Kim live?")
        print(found.answer)
    ```

    Args:
        api_key: The key, `aurra_…`; else AURRA_API_KEY.
        signing_secret: Of a key whose requests are signed, `aurra_sign_…`; else AURRA_SIGNING_SECRET. Then each request
            is signed, and the key itself is not sent.
        base_url: Where the service is; else AURRA_BASE_URL, else http://127.0.0.1:8000.
        tenant_id: Sent with every call that has a `tenant_id` and is not given one; else AURRA_TENANT_ID. None is the
            default tenant.
        timeout: Seconds that each step of an attempt may take (connecting, sending, waiting for bytes); None is no end.
        max_retries: How often a failed call is tried again. Only calls are repeated that are safe to repeat: reads, and
            writes under their Idempotency-Key.
        backoff_seconds: The first wait between attempts; it doubles up to 8 seconds. `Retry-After` comes first.
        http_client: Connections of your own (proxies, certificates, transports); `close()` leaves them open.

    Raises:
        AurraError: There is no key, or the key or the URL cannot be used.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        signing_secret: str | None = None,
        base_url: str | None = None,
        tenant_id: str | UnsetType | None = UNSET,
        timeout: Seconds = 60.0,
        max_retries: int = 2,
        backoff_seconds: float = 0.5,
        http_client: httpx2.AsyncClient | None = None,
    ) -> None:
        options = read_options(
            api_key=api_key,
            signing_secret=signing_secret,
            base_url=base_url,
            tenant_id=tenant_id,
            timeout=timeout,
            max_retries=max_retries,
            backoff_seconds=backoff_seconds,
        )
        self._owns_http = http_client is None
        self._transport = AsyncTransport(options, http_client or httpx2.AsyncClient())
        super().__init__(self._transport)

    @property
    def base_url(self) -> str:
        """Where the service is, without a slash at the end."""
        return self._transport.options.base_url

    @property
    def tenant_id(self) -> str | None:
        """The tenant of calls that name none; None is the default tenant."""
        return self._transport.options.tenant_id

    def with_options(
        self,
        *,
        tenant_id: str | UnsetType | None = UNSET,
        timeout: Seconds | UnsetType = UNSET,
        max_retries: int | UnsetType = UNSET,
    ) -> Self:
        """A client like this one but for what is given, on the same connections; closing it leaves them open.

        ```python
        async with AsyncAurra() as client:
            plan = await client.with_options(timeout=5, max_retries=0).plan.status()
            print(plan.writes_remaining)
        ```
        """
        now = self._transport.options
        return type(self)(
            now.api_key,
            signing_secret=now.signing_secret,
            base_url=now.base_url,
            tenant_id=now.tenant_id if tenant_id is UNSET else tenant_id,
            timeout=now.timeout if timeout is UNSET else timeout,
            max_retries=now.max_retries if max_retries is UNSET else max_retries,
            backoff_seconds=now.backoff_seconds,
            http_client=self._transport.http,
        )

    async def close(self) -> None:
        """Closes the connections, unless they came as `http_client`; `async with` does it by itself.

        ```python
        client = AsyncAurra()
        await client.close()
        ```
        """
        if self._owns_http:
            await self._transport.http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._transport.options!r})"
