"""The way to a service at its address: what is tried again, and what is not."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import msgspec
import pytest

from aurra.faces.remote import remote
from aurra.faces.ways import Refused, Unreachable
from aurra.ops import OPERATIONS

OK = (200, b"{}", "")
READ, WRITE, KEYLESS = (OPERATIONS[name] for name in ("plan.status", "memories.add", "keys.update"))


class Scripted:
    """A server that answers what it is told to, in order, and keeps what it was sent; None hangs up."""

    def __init__(self, *answers: tuple[int, bytes, str] | None) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    def header(self, name: str) -> list[str]:
        """A header of each request."""
        lines = [line for head in self.asked for line in head.split("\r\n")]
        return [line.partition(": ")[2] for line in lines if line.lower().startswith(f"{name}: ")]

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one answer, and the connection is closed."""
        self.asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        answer = self._answers.pop(0)
        if answer is not None:
            status, body, more = answer
            head = f"HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{more}\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def serving(scripted: Scripted) -> AsyncGenerator[str]:
    """Where it answers."""
    async with await asyncio.start_server(scripted.answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def problem(status: int, code: str = "unavailable") -> tuple[int, bytes, str]:
    """A refusal that may be tried again at once."""
    return status, msgspec.json.encode({"detail": "no", "code": code}), "Retry-After: 0\r\n"


async def test_a_read_is_tried_again_where_it_failed() -> None:
    """A lost connection, 503, 429; then it is answered."""
    scripted = Scripted(None, problem(503), problem(429), OK)
    async with serving(scripted) as url, remote(url, "aurra_live_x") as there:
        assert await there.ask(READ, {}) == {}
    assert len(scripted.asked) == 4


async def test_a_write_is_tried_again_under_its_key() -> None:
    """One Idempotency-Key for all attempts; a first one that still runs is waited for."""
    scripted = Scripted(None, problem(409, "idempotency_in_flight"), OK)
    async with serving(scripted) as url, remote(url, "aurra_live_x") as there:
        assert await there.ask(WRITE, {"content": "x"}) == {}
    keys = scripted.header("idempotency-key")
    assert len(keys) == 3 and len(set(keys)) == 1


@pytest.mark.parametrize("answer", [problem(500), problem(404, "not_found"), problem(409, "not_believed")])
async def test_what_may_not_be_repeated_is_not(answer: tuple[int, bytes, str]) -> None:
    """What takes no key is sent once, unless it was refused before it began."""
    scripted = Scripted(problem(429), answer)
    async with serving(scripted) as url, remote(url, "aurra_live_x") as there:
        with pytest.raises(Refused) as refused:
            await there.ask(KEYLESS, {"key_id": "a"})
    assert refused.value.status == answer[0] and len(scripted.asked) == 2


async def test_a_wait_that_is_too_long_is_not_waited() -> None:
    """`Retry-After` of more than a minute: the refusal itself is the answer."""
    scripted = Scripted((429, b'{"detail": "no", "code": "rate_limited"}', "Retry-After: 3600\r\n"))
    async with serving(scripted) as url, remote(url, "aurra_live_x") as there:
        with pytest.raises(Refused, match="rate_limited"):
            await there.ask(READ, {})


async def test_a_lost_write_without_a_key_is_unreachable() -> None:
    """Nobody knows whether it was done, so it is not done again."""
    scripted = Scripted(None)
    async with serving(scripted) as url, remote(url, None) as there:
        with pytest.raises(Unreachable):
            await there.ask(KEYLESS, {"key_id": "a"})
    assert len(scripted.asked) == 1 and scripted.header("authorization") == []


async def test_a_prefix_of_the_address_stays() -> None:
    """A service behind a path."""
    scripted = Scripted(OK)
    async with serving(scripted) as url, remote(f"{url}/behind/", "aurra_live_x") as there:
        await there.ask(READ, {})
    assert scripted.asked[0].startswith("GET /behind/plan/status HTTP")
