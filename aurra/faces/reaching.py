"""How the command line and `aurra mcp` come to the operations: at a service's address, or in this very process."""

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Protocol, cast
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx2
import msgspec

from aurra.context import Caller, Service
from aurra.errors import AurraError
from aurra.faces import asking, problems
from aurra.keys import SCOPES
from aurra.ops import Operation
from aurra.types.accounts import AgentSettings

Json = dict[str, Any]
SECONDS = 60.0
_ATTEMPTS = 3
_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_MOST_WAIT = 30.0


class Refused(Exception):
    """The service refused: its problem, as the contract has it (`detail`, `status`, `code`, `hint`, …)."""

    def __init__(self, status: int, problem: Json) -> None:
        super().__init__(f"{status} {problem.get('code')}")
        self.status = status
        self.problem = problem


class Unreachable(Exception):
    """Nothing answers there, or what answers is no Aurra."""


class Reach(Protocol):
    """A way to the operations."""

    async def ask(self, op: Operation, arguments: Json, idempotency_key: str | None = None) -> Json:
        """The answer to an operation with all of its fields, those of its path too. Raises Refused or Unreachable."""
        ...


class Remote:
    """A service at its address. What is safe to repeat is tried again: reads, and writes under their key."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http

    async def ask(self, op: Operation, arguments: Json, idempotency_key: str | None = None) -> Json:
        """Sends the request, with an Idempotency-Key of its own where none is given."""
        headers = {"Idempotency-Key": idempotency_key or uuid4().hex} if op.is_idempotent else {}
        path = op.path
        for name in op.path_parameters:
            path = path.replace(f"{{{name}}}", quote(str(arguments.get(name, "")), safe=""))
        rest = {name: value for name, value in arguments.items() if name not in op.path_parameters}
        sent: Json = {"params": as_query(rest)} if op.method in ("GET", "DELETE") else {"json": rest}
        response = await self._send(op, path, headers, sent)
        try:
            found = msgspec.json.decode(response.content, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise Unreachable(f"{response.url} answers {response.status_code}, and not as Aurra does.") from error
        if response.status_code != 200:
            raise Refused(response.status_code, found)
        return found

    async def _send(self, op: Operation, path: str, headers: Mapping[str, str], sent: Json) -> httpx2.Response:
        is_safe = op.is_read_only or op.is_idempotent
        for attempt in range(_ATTEMPTS):
            is_last = attempt == _ATTEMPTS - 1 or not is_safe
            try:
                response = await self._http.request(op.method, path, headers=headers, **sent)
            except httpx2.TransportError as error:
                if is_last:
                    raise Unreachable(f"{self._http.base_url} cannot be reached ({type(error).__name__}).") from error
                await asyncio.sleep(_spread(0.3 * 2**attempt))
                continue
            if response.status_code not in _AGAIN or is_last:
                return response
            wait = response.headers.get("retry-after", "")
            await asyncio.sleep(min(float(wait), _MOST_WAIT) if wait.isdigit() else _spread(0.3 * 2**attempt))
        raise AssertionError("unreachable")


class Embedded:
    """A service in this process; who asks has the machine, and so may do everything in the account."""

    def __init__(self, service: Service, company_id: UUID) -> None:
        self._service = service
        self._caller = Caller(
            company_id=company_id, key_id="local", scopes=frozenset(SCOPES), tenant_id=None, settings=AgentSettings()
        )

    async def ask(self, op: Operation, arguments: Json, idempotency_key: str | None = None) -> Json:
        """Runs the operation, decoded as a request's body is."""
        request_id = uuid4().hex
        try:
            asked = await asking.ask(
                self._service,
                self._caller,
                op,
                msgspec.json.encode(arguments),
                request_id=request_id,
                idempotency_key=idempotency_key,
            )
        except Exception as raised:
            error: AurraError = problems.told(raised, request_id, op.method)
            raise Refused(error.status, msgspec.json.decode(problems.body(error, request_id))) from raised
        return msgspec.json.decode(msgspec.json.encode(asked.answer))


@contextlib.asynccontextmanager
async def remote(url: str, key: str) -> AsyncGenerator[Reach]:
    """The service at a URL, with a key."""
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=SECONDS) as http:
        yield Remote(http)


def as_query(fields: Json) -> list[tuple[str, str]]:
    """Fields as a query string has them: lists repeat, booleans are lower case."""
    return [
        (name, str(one).lower() if isinstance(one, bool) else str(one))
        for name, value in fields.items()
        for one in (cast("list[Any]", value) if isinstance(value, list) else [value])
    ]


def _spread(seconds: float) -> float:
    return seconds * random.uniform(0.5, 1.0)  # noqa: S311 - it spreads waits, and guards nothing
