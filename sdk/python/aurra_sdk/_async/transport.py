"""Sends operations over HTTP, again where that is safe."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx2

from aurra_sdk import errors
from aurra_sdk._operation import A, Operation, Prepared, RawResponse, prepare, read
from aurra_sdk._options import Options
from aurra_sdk._retrying import seconds_before_retry


class AsyncTransport:
    """One client's options, and the connections it uses."""

    def __init__(self, options: Options, http: httpx2.AsyncClient) -> None:
        self.options = options
        self.http = http

    async def send(
        self, operation: Operation[A], arguments: Mapping[str, Any], idempotency_key: str | None
    ) -> RawResponse[A]:
        """The answer, after as many attempts as the options allow; every attempt has the same Idempotency-Key."""
        prepared = prepare(operation, arguments, self.options, idempotency_key)
        retries = 0
        while True:
            try:
                return await self._attempt(operation, prepared)
            except errors.AurraError as error:
                wait = seconds_before_retry(error, self.options, retries=retries, is_repeatable=operation.is_repeatable)
                if wait is None:
                    raise
            await asyncio.sleep(wait)
            retries += 1

    async def _attempt(self, operation: Operation[A], prepared: Prepared) -> RawResponse[A]:
        try:
            response = await self.http.request(
                prepared.method,
                prepared.url,
                params=prepared.params,
                content=prepared.content,
                headers=prepared.headers,
                timeout=self.options.timeout,
            )
        except httpx2.RequestError as error:
            raise errors.of_transport(error, self.options.base_url) from error
        return read(operation, response)
