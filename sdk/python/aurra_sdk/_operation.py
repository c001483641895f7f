"""An operation of the service: from arguments to an HTTP request, from its response to an answer."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Generic, TypeVar, cast
from urllib.parse import quote
from uuid import uuid4

import httpx2
import msgspec
from msgspec import UNSET

from aurra_sdk import _failures, errors
from aurra_sdk._options import Options
from aurra_sdk._records import Record
from aurra_sdk._version import __version__

A = TypeVar("A", bound=Record)


class Operation(msgspec.Struct, Generic[A], frozen=True, kw_only=True):
    """What the registry of the service says of one operation."""

    name: str
    method: str
    path: str
    answer: type[A]
    is_idempotent: bool
    """Takes an Idempotency-Key; one is always sent."""
    is_repeatable: bool
    """Sending it twice is the same as sending it once."""
    has_tenant: bool
    tenant_inside: tuple[str, ...] = ()
    """Fields whose items have a tenant of their own."""


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A request, the same for every attempt."""

    method: str
    url: str
    params: tuple[tuple[str, str], ...]
    content: bytes | None
    headers: dict[str, str]

    def __repr__(self) -> str:
        # Headers have the key, and the rest what is remembered.
        return f"Prepared(method={self.method!r})"


class RawResponse(msgspec.Struct, Generic[A], frozen=True, kw_only=True):
    """An answer together with the response it came in."""

    parsed: A
    status_code: int
    headers: httpx2.Headers

    @property
    def request_id(self) -> str | None:
        """What the service's log calls this request."""
        return self.headers.get("x-request-id")


def prepare(
    operation: Operation[Any], arguments: Mapping[str, Any], options: Options, idempotency_key: str | None = None
) -> Prepared:
    """The request for these arguments, without those that are UNSET. Raises ValueError for an id that is empty."""
    given = {name: value for name, value in arguments.items() if value is not UNSET}
    _fill_tenant(operation, given, options.tenant_id)
    path = re.sub(r"{(\w+)}", lambda match: _segment(match[1], given.pop(match[1])), operation.path)
    in_query = operation.method in ("GET", "DELETE")
    headers = {
        "Accept": "application/json",
        "User-Agent": f"aurra-sdk-python/{__version__}",
    }
    if options.signing_secret is None:
        headers["Authorization"] = f"Bearer {options.api_key}"
    if operation.is_idempotent:
        headers["Idempotency-Key"] = idempotency_key or str(uuid4())
    if not in_query:
        headers["Content-Type"] = "application/json"
    return Prepared(
        method=operation.method,
        url=options.base_url + path,
        params=tuple((name, text) for name, value in given.items() for text in _texts(value)) if in_query else (),
        content=None if in_query else msgspec.json.encode(given),
        headers=headers,
    )


def read(operation: Operation[A], response: httpx2.Response) -> RawResponse[A]:
    """The answer; fields this version does not know are dropped. Raises the AurraError that the response is."""
    if not response.is_success:
        raise _failures.of_response(response)
    try:
        parsed = _decoder(operation.answer).decode(response.content)
    except msgspec.DecodeError as error:
        raise errors.UnexpectedAnswerError(
            f"{response.status_code}, but not what {operation.name} answers: {error}",
            status_code=response.status_code,
            headers=response.headers,
            body=response.text,
        ) from error
    return RawResponse(parsed=parsed, status_code=response.status_code, headers=response.headers)


@cache
def _decoder(answer: type[Record]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(answer)


def _fill_tenant(operation: Operation[Any], given: dict[str, Any], tenant_id: str | None) -> None:
    if tenant_id is None:
        return
    if operation.has_tenant:
        given.setdefault("tenant_id", tenant_id)
    for name in operation.tenant_inside:
        if isinstance(value := msgspec.to_builtins(given.get(name)), list):
            given[name] = [_with_tenant(item, tenant_id) for item in cast("list[Any]", value)]
        elif value is not None:
            given[name] = _with_tenant(value, tenant_id)


def _with_tenant(item: Any, tenant_id: str) -> Any:
    return {"tenant_id": tenant_id, **cast("dict[str, Any]", item)} if isinstance(item, dict) else item


def _segment(name: str, value: object) -> str:
    text = quote(str(value), safe="")
    if text in ("", ".", ".."):
        raise ValueError(f"`{name}` is {text!r}, which is no id.")
    return text


def _texts(value: Any) -> list[str]:
    """A value as the query string says it: none for None, several for a list."""
    plain = msgspec.to_builtins(value)
    if plain is None:
        return []
    if isinstance(plain, list):
        return [text for item in cast("list[Any]", plain) for text in _texts(item)]
    return [str(plain).lower() if isinstance(plain, bool) else str(plain)]
