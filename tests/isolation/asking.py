"""The faces that operations are reached by, and what an answer says beyond what is each asker's own.

A face asks for an operation with the fields of its request, and gives the answer as it went over the wire. Another one
joins by one class here and one line in `faces`.
"""

import contextlib
import re
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Protocol, cast
from urllib.parse import quote

import httpx2
import msgspec
from aurra_sdk import AsyncAurra, AurraError

from aurra.ops import Operation
from tests.conftest import Account
from tests.parity import face as parity
from tests.parity.face_graphql import GraphQL
from tests.parity.face_mcp import McpFace

Json = dict[str, Any]
OWN_HEADERS = re.compile(r"x-request-id|date|content-length|(x-)?ratelimit.*", re.IGNORECASE)
"""Headers that may differ between two who ask the same."""
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_OWN = (
    (re.compile(r"\b[0-9a-f]{64}\b"), "<hash>"),
    (re.compile(r"\bkey [0-9A-Za-z]{8}\b"), "key <id>"),
    # A key that was just made.
    (re.compile(r"aurra_live_[0-9A-Za-z]{57}"), "<key>"),
    (re.compile(r'"id":"[0-9A-Za-z]{8}"'), '"id":"<key id>"'),
    (re.compile(r'"last_four":"[0-9A-Za-z]{4}"'), '"last_four":"<four>"'),
    (re.compile(r'"next_cursor":"[^"]+"'), '"next_cursor":"<cursor>"'),
    (re.compile(r'"request_id":"[0-9a-f]{32}"'), '"request_id":"<id>"'),
)


class Answer(msgspec.Struct, frozen=True):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: str


class Face(Protocol):
    """A way to ask for an operation."""

    async def ask(self, op: Operation, fields: Json, key: str | None, request_id: str) -> Answer:
        """The answer to a request, with an Idempotency-Key or none."""
        ...


class Rest:
    """Plain HTTP, by one of the operation's paths."""

    def __init__(self, account: Account, path: int = 0) -> None:
        self._client = account.client
        self._path = path

    async def ask(self, op: Operation, fields: Json, key: str | None, request_id: str) -> Answer:
        """As a client in any language would."""
        paths = (op.path, *op.aliases)
        path = paths[self._path % len(paths)]
        for name in op.path_parameters:
            path = path.replace(f"{{{name}}}", quote(str(fields[name]), safe=""))
        rest = {name: value for name, value in fields.items() if name not in op.path_parameters}
        headers = {"X-Request-Id": request_id, **({"Idempotency-Key": key} if key else {})}
        sent: Json = {"params": _query(rest)} if op.method in ("GET", "DELETE") else {"json": rest}
        return _answer(await self._client.request(op.method, path, headers=headers, **sent))


class Sdk:
    """The generated client."""

    def __init__(self, account: Account, app: Any) -> None:
        self._seen: list[httpx2.Response] = []
        self._request_id = ""
        http = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app), event_hooks={"request": [self._name], "response": [self._see]}
        )
        self._client = AsyncAurra(account.key, base_url="http://aurra", http_client=http, max_retries=0)

    async def _name(self, request: httpx2.Request) -> None:
        request.headers["X-Request-Id"] = self._request_id

    async def _see(self, response: httpx2.Response) -> None:
        await response.aread()
        self._seen.append(response)

    async def ask(self, op: Operation, fields: Json, key: str | None, request_id: str) -> Answer:
        """By the method of the operation's name."""
        arguments = {"from_" if name == "from" else name: value for name, value in fields.items()}
        if key is not None:
            arguments["idempotency_key"] = key
        self._request_id = request_id
        self._seen.clear()
        with contextlib.suppress(AurraError):
            await attrgetter(op.name)(self._client)(**arguments)
        [response] = self._seen
        return _answer(response)


class Spoken:
    """A face of the parity test: all that its answer has, and none of its own headers."""

    def __init__(self, account: Account, face: Callable[[httpx2.AsyncClient], parity.Face]) -> None:
        self._face = face(account.client)
        self._key = account.key

    async def ask(self, op: Operation, fields: Json, key: str | None, request_id: str) -> Answer:
        """As its users do."""
        told = await self._face.ask(op, fields, api_key=self._key, idempotency_key=key)
        return Answer(told.status, {}, msgspec.json.encode(told.body).decode())


def faces(account: Account, app: Any) -> dict[str, Face]:
    """Every face, for the account's key."""
    return {
        "rest": Rest(account),
        "rest by another path": Rest(account, path=1),
        "sdk": Sdk(account, app),
        "graphql": Spoken(account, GraphQL),
        "mcp": Spoken(account, McpFace),
    }


def _query(fields: Json) -> list[tuple[str, str]]:
    return [
        (name, str(one).lower() if isinstance(one, bool) else str(one))
        for name, value in fields.items()
        for one in (cast("list[Any]", value) if isinstance(value, list) else [value])
    ]


def _answer(response: httpx2.Response) -> Answer:
    headers = {name: value for name, value in response.headers.items() if not OWN_HEADERS.fullmatch(name)}
    return Answer(response.status_code, headers, response.text)


class Reader:
    """Reads the answers of one who asks: what it sent is put out of the way, wherever it comes back; so is what is its
    own by nature (ids, hashes, cursors), each by its place."""

    def __init__(self) -> None:
        self._sent: dict[str, str] = {}

    def sent(self, value: Any, name: str) -> None:
        """The value was sent; its counterpart of the other asker has the same name."""
        for text in {str(value), msgspec.json.encode(str(value)).decode()[1:-1]}:
            if not text.isdigit():
                self._sent.setdefault(text, name)

    def without_sent(self, answer: Answer) -> str:
        """All of the answer but what was sent."""
        text = f"{answer.status} {sorted(answer.headers.items())} {answer.body}"
        for value in sorted(self._sent, key=len, reverse=True):
            text = text.replace(value, f"<{self._sent[value]}>")
        return text

    def plain(self, answer: Answer) -> str:
        """What must be the same whoever asks."""
        text = self.without_sent(answer)
        places: Mapping[str, str] = {
            found: f"<id {place}>" for place, found in enumerate(dict.fromkeys(_UUID.findall(text)))
        }
        text = _UUID.sub(lambda match: places[match[0]], text)
        for pattern, instead in _OWN:
            text = pattern.sub(instead, text)
        return text
