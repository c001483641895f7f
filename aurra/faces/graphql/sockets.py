"""GraphQL over a WebSocket: the protocol graphql-transport-ws, whose messages and close codes are its own.

A connection belongs to one key, which is looked up again while it lasts: once the key is refused, the connection ends.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator
from typing import Any
from uuid import UUID, uuid4

import msgspec
from graphql import OperationType
from litestar import WebSocket
from litestar.exceptions import WebSocketDisconnect
from litestar.handlers import WebsocketRouteHandler

from aurra import rates
from aurra.context import Caller, Service
from aurra.errors import AurraError, BadRequest, Forbidden, NotAuthenticated, TooManyRequests, Unavailable
from aurra.faces import addresses, auth, decoding, limits
from aurra.faces.graphql import executing
from aurra.faces.graphql.documents import Documents
from aurra.faces.graphql.executing import Asked, Chosen, Outcome
from aurra.faces.graphql.state import State

AnySocket = WebSocket[Any, Any, Any]
PROTOCOL = "graphql-transport-ws"
INIT_SECONDS = 10.0
LOOK_SECONDS = 1.5
"""Between two looks at the key, which is known for three seconds: together less than the five that are promised."""
MOST_OPERATIONS = 20
LONGEST_ID = 200
MOST_OF_A_KEY = 10
MOST_IN_ALL = 1_000
LONGEST = 1024 * 1024
"""Characters of a message."""
_INVALID, _UNAUTHORIZED, _FORBIDDEN, _NO_PROTOCOL, _LATE, _TWICE, _TOO_MANY = 4400, 4401, 4403, 4406, 4408, 4409, 4429
_RESTARTS, _LATER, _TOO_LONG = 1012, 1013, 1009
_encode = msgspec.json.Encoder().encode


class Message(msgspec.Struct):
    """What a client says."""

    type: str
    id: str | None = None
    payload: dict[str, Any] | None = None


class _Closed(Exception):
    """The connection ends, with a code and a word."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Sockets:
    """The connections of this process."""

    def __init__(self, service: Service, documents: Documents) -> None:
        self.service = service
        self.documents = documents
        self.open = 0
        self.of_keys: Counter[tuple[UUID, str]] = Counter()

    def handler(self, paths: list[str]) -> WebsocketRouteHandler:
        """The route handler."""

        async def endpoint(socket: AnySocket) -> None:
            self.open += 1
            try:
                await Connection(self, socket).serve()
            finally:
                self.open -= 1

        return WebsocketRouteHandler(paths, name="graphql_socket")(endpoint)


class Connection:
    """One client, from its first message to its last."""

    def __init__(self, sockets: Sockets, socket: AnySocket) -> None:
        self._sockets = sockets
        self._service = sockets.service
        self._socket = socket
        self._header: str | None = None
        self._caller: Caller | None = None
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._states: dict[str, State] = {}

    async def serve(self) -> None:
        """Returns when the connection has ended."""
        is_offered = PROTOCOL in self._socket.scope["subprotocols"]
        await self._socket.accept(subprotocols=PROTOCOL if is_offered else None)
        try:
            if not is_offered:
                raise _Closed(_NO_PROTOCOL, "Subprotocol not acceptable")
            if self._sockets.open > MOST_IN_ALL:
                raise _Closed(_LATER, "Too many connections")
            async with self._introduced():
                await self._converse()
        except _Closed as end:
            # Whoever is gone by now cannot be told, in whatever way that shows.
            with contextlib.suppress(Exception):
                await self._socket.close(end.code, end.reason)
        except WebSocketDisconnect:
            pass

    @contextlib.asynccontextmanager
    async def _introduced(self) -> AsyncGenerator[None]:
        """The client has said who it is, and counts among the connections of its key."""
        try:
            async with asyncio.timeout(INIT_SECONDS):
                first = await self._receive()
        except TimeoutError:
            raise _Closed(_LATE, "Connection initialisation timeout") from None
        if first.type != "connection_init":
            raise _Closed(_UNAUTHORIZED, "Unauthorized")
        said = {name.lower(): value for name, value in (first.payload or {}).items()}
        header = said.get("authorization", self._socket.headers.get("authorization"))
        self._header = header if isinstance(header, str) else None
        caller = await self._authenticated(is_first=True)
        mine = (caller.company_id, caller.key_id)
        if self._sockets.of_keys[mine] >= MOST_OF_A_KEY:
            raise _Closed(_TOO_MANY, "Too many connections of this key")
        self._sockets.of_keys[mine] += 1
        try:
            await self._send("connection_ack")
            yield
        finally:
            self._sockets.of_keys[mine] -= 1
            if not self._sockets.of_keys[mine]:
                del self._sockets.of_keys[mine]

    async def _authenticated(self, *, is_first: bool) -> Caller:
        """The caller, as its key is now."""
        try:
            authenticating = auth.authenticate(self._service, self._header)
            socket: Any = self._socket
            if is_first:
                self._caller = await limits.admitted(self._service, socket, authenticating, rates.GRAPHQL)
            else:
                self._caller = await authenticating
                addresses.require_allowed(self._caller, socket, self._service.trusted_proxies)
        except NotAuthenticated as error:
            raise _Closed(_UNAUTHORIZED, error.code) from None
        except Forbidden as error:
            raise _Closed(_FORBIDDEN, error.code) from None
        except TooManyRequests as error:
            raise _Closed(_TOO_MANY, error.code) from None
        except Unavailable as error:
            raise _Closed(_LATER, error.code) from None
        self._service.last_uses.note(self._caller)
        return self._caller

    async def _converse(self) -> None:
        """Until the client goes, or the connection must end; then nothing of it is under way."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch())
                while True:
                    await self._heed(await self._receive(), group)
        except BaseExceptionGroup as several:
            # One of them ended it; the others were cancelled.
            raise next((one for one in several.exceptions if isinstance(one, _Closed)), several.exceptions[0]) from None

    async def _watch(self) -> None:
        """Ends the connection when its key is refused, or the process ends."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._service.is_draining:
                raise _Closed(_RESTARTS, "Service restart")
            try:
                caller = await self._authenticated(is_first=False)
            except _Closed as end:
                if end.code == _LATER:
                    # While the database is away nothing is sent either.
                    continue
                raise
            for state in self._states.values():
                state.caller = caller

    async def _heed(self, message: Message, group: asyncio.TaskGroup) -> None:
        match message.type:
            case "ping":
                await self._send("pong")
            case "pong":
                pass
            case "connection_init":
                raise _Closed(_TOO_MANY, "Too many initialisation requests")
            case "subscribe" if message.id:
                if message.id in self._operations:
                    raise _Closed(_TWICE, f"Subscriber for {message.id[:50]} already exists")
                if len(message.id) > LONGEST_ID:
                    raise _Closed(_INVALID, "Invalid message")
                if len(self._operations) >= MOST_OPERATIONS:
                    # Told before more is read: whoever sends and never reads is not waited for in memory.
                    said = BadRequest(
                        f"A connection has {MOST_OPERATIONS} operations at a time.", code="query_too_large"
                    )
                    await self._send("error", message.id, executing.not_chosen(said, uuid4().hex).body["errors"])
                    return
                self._operations[message.id] = group.create_task(self._operate(message.id, message.payload))
            case "complete" if message.id:
                if (operation := self._operations.pop(message.id, None)) is not None:
                    operation.cancel()
            case _:
                raise _Closed(_INVALID, "Invalid message")

    async def _operate(self, id_: str, payload: dict[str, Any] | None) -> None:
        """Does what is asked for, and says so; errors are told to whoever asked."""
        request_id = uuid4().hex
        try:
            asked = msgspec.convert(payload, Asked)
        except msgspec.ValidationError:
            raise _Closed(_INVALID, "Invalid message") from None
        try:
            await self._follow(id_, asked, request_id)
        except (_Closed, WebSocketDisconnect):
            raise
        except Exception as error:
            await self._send("error", id_, executing.not_chosen(error, request_id).body["errors"])
        else:
            await self._send("complete", id_)
        finally:
            if self._operations.get(id_) is asyncio.current_task():
                del self._operations[id_]

    async def _follow(self, id_: str, asked: Asked, request_id: str) -> None:
        assert self._caller is not None
        await limits.admit(self._service, self._socket.scope, self._caller, rates.GRAPHQL)
        chosen = executing.choose(self._sockets.documents, asked)
        state = self._states[id_] = State(self._service, self._caller, request_id)
        try:
            await self._answer(id_, state, chosen)
        finally:
            # Another may have taken the id while this one was being cancelled.
            if self._states.get(id_) is state:
                del self._states[id_]

    async def _answer(self, id_: str, state: State, chosen: Chosen) -> None:
        if chosen.kind is not OperationType.SUBSCRIPTION:
            await self._next(id_, await executing.run(state, chosen))
            return
        results = await executing.follow(state, chosen)
        if isinstance(results, Outcome):
            raise executing.Refused(results)
        async with contextlib.aclosing(results) as coming:
            async for result in coming:
                await self._next(id_, executing.told(state, result))

    async def _next(self, id_: str, outcome: Outcome) -> None:
        if outcome.refused is not None:
            raise executing.Refused(outcome)
        await self._send("next", id_, outcome.body)

    async def _receive(self) -> Message:
        text = await self._socket.receive_text()
        if len(text) > LONGEST:
            raise _Closed(_TOO_LONG, "Message too long")
        try:
            return msgspec.convert(decoding.json_object(text.encode()), Message)
        except (AurraError, msgspec.ValidationError, UnicodeEncodeError):
            raise _Closed(_INVALID, "Invalid message") from None

    async def _send(self, type_: str, id_: str | None = None, payload: Any = None) -> None:
        message: dict[str, Any] = {"type": type_}
        if id_ is not None:
            message["id"] = id_
        if payload is not None:
            message["payload"] = payload
        await self._socket.send_text(_encode(message).decode())
