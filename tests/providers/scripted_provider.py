"""A model's provider on a real socket that does what a test scripts: OpenAI's chat completions, Anthropic's messages.

    async with ScriptedProvider(answer=lambda request: {"facts": []}) as provider:
        provider.script(status(429, {"retry-after-ms": "20"}), hangs())   # the first two requests
        provider.always(says("no JSON"))                                  # the ones after that
        choice = provider.choice()                                        # a ModelChoice that points here

Without a script each request gets `answer(request)` as the protocol and the request want it: text, or a tool call.
"""

import asyncio
import contextlib
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Any, Self

import msgspec

from aurra.providers.base import ModelChoice, Secret

KEY = "sk-canary-7f3a91c4e8"

Answer = Callable[[dict[str, Any]], dict[str, Any]]


class Received(msgspec.Struct, frozen=True):
    """One request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: dict[str, Any]

    @property
    def is_anthropic(self) -> bool:
        return self.path.endswith("/messages")

    @property
    def tool(self) -> dict[str, Any] | None:
        """The tool that must be called: `name` and its schema under `parameters` or `input_schema`."""
        tools = self.body.get("tools")
        return tools[0].get("function", tools[0]) if tools else None

    @property
    def text(self) -> str:
        """All that the model reads, system and user."""
        said = [self.body.get("system", ""), *(message["content"] for message in self.body.get("messages", []))]
        return "\n".join(said)


class Exchange:
    """A request, and the means to answer it well or badly."""

    def __init__(self, request: Received, writer: asyncio.StreamWriter, answer: Answer) -> None:
        self.request = request
        self.answer = answer
        self._writer = writer

    async def head(self, code: int, headers: dict[str, str], length: int) -> None:
        """Sends the status line and the headers, and promises a body of `length` bytes."""
        lines = {"Content-Type": "application/json", "Content-Length": str(length), "Connection": "close", **headers}
        text = f"HTTP/1.1 {code} Scripted\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        await self.send(text.encode() + b"\r\n")

    async def send(self, part: bytes) -> None:
        if self._writer.is_closing():
            raise ConnectionResetError
        self._writer.write(part)
        await self._writer.drain()

    async def reply(self, code: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        await self.head(code, headers or {}, len(body))
        await self.send(body)

    async def hang(self) -> None:
        """Waits until the client hangs up or the provider is closed."""
        await asyncio.get_running_loop().create_future()

    def reset(self) -> None:
        """Ends the connection with RST."""
        raw: socket.socket = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


Behaviour = Callable[[Exchange], Awaitable[None]]


class ScriptedProvider:
    """Listens while it is entered. `requests` are those received, in order. A fault of the script itself is raised at
    the end."""

    def __init__(self, answer: Answer | None = None) -> None:
        self.requests: list[Received] = []
        self._answer: Answer = answer or (lambda _: {})
        self._script: deque[Behaviour] = deque()
        self._always: Behaviour = answers()
        self._over = asyncio.Event()
        self._open: set[asyncio.Task[None]] = set()
        self._faults: list[Exception] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self._over.set()
        await asyncio.gather(*self._open)
        await self._server.wait_closed()
        if self._faults and error is None:
            raise self._faults[0]

    @property
    def base_url(self) -> str:
        """For the OpenAI protocol."""
        return f"{self.root}/v1"

    @property
    def root(self) -> str:
        """For the Anthropic protocol, whose paths begin with /v1."""
        return f"http://127.0.0.1:{self._port}"

    def choice(
        self, provider: str = "openai", *, key: str = KEY, model: str = "scripted-1", **extra: Any
    ) -> ModelChoice:
        """A ModelChoice that points here."""
        base_url = self.root if provider == "anthropic" else self.base_url
        return ModelChoice(
            provider=provider, model=model, api_key=Secret(key) if key else None, base_url=base_url, extra=extra
        )

    def script(self, *behaviours: Behaviour) -> None:
        """The next requests get these, one each."""
        self._script.extend(behaviours)

    def always(self, behaviour: Behaviour) -> None:
        """Requests that the script does not cover get this."""
        self._always = behaviour

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await self._exchange(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        except Exception as fault:
            self._faults.append(fault)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            self._open.discard(task)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await _received(reader)
        self.requests.append(request)
        behaviour = self._script.popleft() if self._script else self._always
        await self._unless_over(reader, behaviour(Exchange(request, writer, self._answer)))

    async def _unless_over(self, reader: asyncio.StreamReader, answering: Awaitable[None]) -> None:
        """Ends when the answer is out, the client has hung up, or the provider is closed."""
        answer = asyncio.ensure_future(answering)
        ends = [answer, asyncio.ensure_future(reader.read()), asyncio.ensure_future(self._over.wait())]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()
        await asyncio.wait(ends)
        if not answer.cancelled():
            answer.result()


async def _received(reader: asyncio.StreamReader) -> Received:
    start, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    method, path, _ = start.split(" ")
    return Received(method, path, headers, msgspec.json.decode(body) if body else {})


def answers() -> Behaviour:
    """What `answer` says, as a tool call where the request has a tool, else as text."""

    async def behave(exchange: Exchange) -> None:
        value = exchange.answer(exchange.request.body)
        tool = exchange.request.tool
        await exchange.reply(200, _called(exchange.request, tool, value) if tool else _said(exchange.request, value))

    return behave


def says(text: str, *, finish_reason: str | None = None) -> Behaviour:
    """This text as the model's words, never a tool call."""

    async def behave(exchange: Exchange) -> None:
        await exchange.reply(200, _said(exchange.request, text, finish_reason=finish_reason))

    return behave


def calls(*values: dict[str, Any] | str) -> Behaviour:
    """The tool called once a value; a text is sent as the arguments, as it is."""

    async def behave(exchange: Exchange) -> None:
        await exchange.reply(200, _called(exchange.request, exchange.request.tool or {"name": "none"}, *values))

    return behave


def refuses() -> Behaviour:
    """A refusal as each protocol marks it."""

    async def behave(exchange: Exchange) -> None:
        if exchange.request.is_anthropic:
            body = _anthropic([], "refusal")
        else:
            body = _openai({"role": "assistant", "content": None, "refusal": "I cannot help with that."}, "stop")
        await exchange.reply(200, body)

    return behave


def sends(body: bytes, headers: dict[str, str] | None = None, *, code: int = 200) -> Behaviour:
    """This body, whatever it is."""

    async def behave(exchange: Exchange) -> None:
        await exchange.reply(code, body, headers)

    return behave


def status(code: int, headers: dict[str, str] | None = None, *, message: str = "", error_code: str = "x") -> Behaviour:
    """An error whose body tells the key, the prompt and the memories back, as a careless provider's does."""

    async def behave(exchange: Exchange) -> None:
        request = exchange.request
        echo = f"{message} {request.headers.get('authorization')} {request.text}"
        body = {"error": {"type": "scripted", "code": error_code, "message": echo}}
        await exchange.reply(code, msgspec.json.encode(body), headers)

    return behave


def hangs(*, after: bytes | None = None) -> Behaviour:
    """No answer at all; or the headers, `after`, and then nothing."""

    async def behave(exchange: Exchange) -> None:
        if after is not None:
            await exchange.head(200, {}, len(after) + 1000)
            await exchange.send(after)
        await exchange.hang()

    return behave


def resets() -> Behaviour:
    """Half an answer, then RST."""

    async def behave(exchange: Exchange) -> None:
        await exchange.head(200, {}, 1000)
        await exchange.send(b'{"choices": [')
        exchange.reset()

    return behave


def cuts_short() -> Behaviour:
    """Half an answer that claims to be whole."""

    async def behave(exchange: Exchange) -> None:
        whole = _said(exchange.request, exchange.answer(exchange.request.body))
        await exchange.reply(200, whole[: len(whole) // 2])

    return behave


def trickles(*, every_seconds: float) -> Behaviour:
    """One byte at a time, for ever: each read succeeds in time, the answer never ends."""

    async def behave(exchange: Exchange) -> None:
        await exchange.head(200, {}, 1_000_000)
        async for part in _drops(every_seconds):
            await exchange.send(part)

    return behave


def floods(length: int) -> Behaviour:
    """That many bytes of white space, then an answer."""

    async def behave(exchange: Exchange) -> None:
        await exchange.reply(200, b" " * length + _said(exchange.request, exchange.answer(exchange.request.body)))

    return behave


def by(choose: Callable[[Received], Behaviour]) -> Behaviour:
    """Whatever the function of the request picks."""

    async def behave(exchange: Exchange) -> None:
        await choose(exchange.request)(exchange)

    return behave


def offers_only(rung: str) -> Behaviour:
    """A server that answers 400 to every way of asking for JSON but this one (`repaired`: to all)."""

    def choose(request: Received) -> Behaviour:
        asked = asked_rung(request)
        if asked in (rung, "repaired"):
            return answers()
        param = "tools" if asked == "tool_call" else "response_format"
        return status(400, message=f"`{param}` is not supported with this model ({asked})")

    return by(choose)


def asked_rung(request: Received) -> str:
    """How the request asks for JSON, by the names of Completion.rung."""
    if request.tool:
        return "tool_call"
    return request.body.get("response_format", {}).get("type", "repaired")


async def _drops(every_seconds: float) -> AsyncIterator[bytes]:
    while True:
        yield b" "
        await asyncio.sleep(every_seconds)


def _said(request: Received, value: dict[str, Any] | str, *, finish_reason: str | None = None) -> bytes:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    if request.is_anthropic:
        return _anthropic([{"type": "text", "text": text}], finish_reason or "end_turn")
    return _openai({"role": "assistant", "content": text}, finish_reason or "stop")


def _called(request: Received, tool: dict[str, Any], *values: dict[str, Any] | str) -> bytes:
    if request.is_anthropic:
        blocks = [{"type": "tool_use", "id": "t1", "name": tool["name"], "input": value} for value in values]
        return _anthropic(blocks, "tool_use")
    texts = [value if isinstance(value, str) else msgspec.json.encode(value).decode() for value in values]
    functions = [{"name": tool["name"], "arguments": text} for text in texts]
    tool_calls = [{"id": "c1", "type": "function", "function": function} for function in functions]
    return _openai({"role": "assistant", "content": None, "tool_calls": tool_calls}, "tool_calls")


def _openai(message: dict[str, Any], finish_reason: str) -> bytes:
    return msgspec.json.encode(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1767225600,
            "model": "scripted-1",
            "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
            "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
        }
    )


def _anthropic(content: list[dict[str, Any]], stop_reason: str) -> bytes:
    return msgspec.json.encode(
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "scripted-1",
            "content": content,
            "stop_reason": stop_reason,
            "usage": {"input_tokens": 11, "output_tokens": 7},
        }
    )
