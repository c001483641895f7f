"""What `client.memories`, `client.settings` and the others have in common."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ParamSpec, cast

from aurra_sdk._async.transport import AsyncTransport
from aurra_sdk._operation import A, Operation, RawResponse

P = ParamSpec("P")


class AsyncResource:
    """The operations of one noun."""

    def __init__(self, transport: AsyncTransport, *, is_raw: bool = False) -> None:
        self._transport = transport
        self._is_raw = is_raw

    async def _call(
        self, operation: Operation[A], arguments: Mapping[str, Any], idempotency_key: str | None = None
    ) -> A:
        raw = await self._transport.send(operation, arguments, idempotency_key)
        return cast("A", raw) if self._is_raw else raw.parsed


def as_raw(method: Callable[P, Awaitable[A]]) -> Callable[P, Awaitable[RawResponse[A]]]:
    """A method of a raw resource, with the type that it really has."""
    return cast("Callable[P, Awaitable[RawResponse[A]]]", method)
