"""Sends operations over HTTP, again where that is safe."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx2

from aurra_sdk import _failures, errors
from aurra_sdk._operation import A, Operation, Prepared, RawResponse, prepare, read
from aurra_sdk._options import Options
from aurra_sdk._retrying import seconds_before_retry
from aurra_sdk._signing import signature


class AsyncTransport:
    """One client's options, and the connections it uses."""

    def __init__(self, options: Options, http: httpx2.AsyncClient) -> None:
        self.options = options
        self.http = http

    async def send(
        self, operation: Operation[A], arguments: Mapping[str, Any], idempotency_key: str | None
    ) -> RawResponse[A]:
        """The answer, after as many attempts as the options allow; every attempt has the same Idempotency-Key, and,
        where it is signed, a signature of its own."""
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
        request = self.http.build_request(
            prepared.method,
            prepared.url,
            params=prepared.params,
            content=prepared.content,
            headers=prepared.headers,
            timeout=self.options.timeout,
        )
        if self.options.signing_secret is not None:
            target, body = request.url.raw_path, prepared.content or b""
            signed = signature(self.options.signing_secret, self.options.api_key, prepared.method, target, body)
            request.headers.update(signed)
        try:
            response = await self.http.send(request)
        except httpx2.RequestError as error:
            raise _failures.of_transport(error, self.options.base_url) from error
        return read(operation, response)
