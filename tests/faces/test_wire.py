"""What a client can do to a connection, and bytes that are hardly a request: on a real socket."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator

import pytest

from tests.conftest import MakeAccount
from tests.faces.raw_cases import cases
from tests.running import Running, running

GREEDY = "an answer that nobody reads"
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
Sending = Callable[[asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(scope="module")
def served(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service of its own on the tests' database."""
    log = tmp_path_factory.mktemp("wire") / "log"
    with running(log, database_url=dsn, aurra_embedder="none", aurra_failed_authentications=0) as service:
        yield service
        assert service.stop() == 0


def port_of(service: Running) -> int:
    return int(service.url.rsplit(":", 1)[1])


async def answer_to(service: Running, raw: bytes, seconds: float) -> bytes:
    """What comes back within some seconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(service))
    got = b""
    try:
        writer.write(raw)
        async with asyncio.timeout(seconds):
            while chunk := await reader.read(65536):
                got += chunk
    except (ConnectionError, TimeoutError):
        pass
    finally:
        writer.transport.abort()
    return got


async def test_no_bytes_are_answered_by_a_500(served: Running, make_account: MakeAccount) -> None:
    """More than 400 requests that nobody should send: every one of them is answered by less than 500, or not at all
    where it never ends; and the service has nothing to complain of."""
    account = await make_account()
    made = cases(account.key)
    assert len(made) >= 400
    places = asyncio.Semaphore(32)

    async def send(name: str, raw: bytes) -> tuple[str, list[int]]:
        async with places:
            return name, [int(status) for status in STATUS.findall(await answer_to(served, raw, 1.5))]

    answers = await asyncio.gather(*(send(name, raw) for name, raw in made.items()))
    assert not [one for one in answers if any(status >= 500 for status in one[1])]
    assert sum(bool(statuses) for _, statuses in answers) > 0.85 * len(answers)
    assert (await answer_to(served, b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 5))[9:12] == b"200"
    log = served.log.read_text()
    assert "failed" not in log and "Traceback" not in log and account.key not in log


@pytest.mark.parametrize(
    "headers",
    [
        "Content-Length: 16\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 16",
        "Content-Length: 16\r\nContent-Length: 16",
        "Content-Length: 16\r\nContent-Length: 17",
        "Host: b\r\nContent-Length: 16",
        "Authorization: Bearer x\r\nContent-Length: 16",
        "Transfer-Encoding: gzip, chunked",
    ],
)
async def test_a_request_of_two_readings_is_refused(served: Running, make_account: MakeAccount, headers: str) -> None:
    """A length beside a coding, two lengths, hosts or keys: 400 in the contract's form, and the connection ends."""
    account = await make_account()
    body = b'10\r\n{"content": "x"}\r\n0\r\n\r\n' if "chunked" in headers else b'{"content": "x"}'
    head = f"POST /agent/memories HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {account.key}\r\nConnection: close\r\n"
    raw = f"{head}Content-Type: application/json\r\n{headers}\r\n\r\n".encode() + body
    said = await answer_to(served, raw, 10)
    assert said.startswith(b"HTTP/1.1 400 ") and b'"code":"' in said and b"x-request-id" in said.lower()
    assert await account.decisions() == []


async def ended(service: Running, sending: Sending, *, reads: bool) -> tuple[float, bytes]:
    """How long the service lets a client go on, and what it says to one that reads."""
    loop = asyncio.get_running_loop()
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(service), limit=1024)
    begun = loop.time()
    said = b""
    task = asyncio.ensure_future(sending(writer))
    try:
        async with asyncio.timeout(25):
            if reads:
                while chunk := await reader.read(65536):
                    said += chunk
            else:
                await task
    except (ConnectionError, TimeoutError):
        pass
    finally:
        task.cancel()
        writer.transport.abort()
    return loop.time() - begun, said


def dripping(start: bytes, drop: bytes) -> Sending:
    """Sends a beginning, and then a little every half second until it is stopped."""

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        while not writer.transport.is_closing():
            writer.write(drop)
            await asyncio.sleep(0.5)

    return send


def greedy(request: bytes) -> Sending:
    """Asks for much, again and again, and reads nothing of it."""

    async def send(writer: asyncio.StreamWriter) -> None:
        for _ in range(400):
            writer.write(request)
        while not writer.transport.is_closing():
            writer.write(b"\r\n")
            await asyncio.sleep(0.5)

    return send


async def test_slow_clients_are_not_waited_for(served: Running, make_account: MakeAccount) -> None:
    """Silence, half a head, a head, body or chunks that drip, an answer that nobody reads: ended within 15 seconds, and
    others are served meanwhile."""
    account = await make_account()
    head = f"POST /agent/memories HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {account.key}\r\n"
    write = f"{head}Content-Type: application/json\r\n"
    index = b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n"
    slow = {
        "silence": dripping(b"", b""),
        "half a head": dripping(b"GET / HTTP/1.1\r\nHost: x\r\n", b""),
        "a head that drips": dripping(head.encode(), b"X: y\r\n"),
        "line ends": dripping(b"", b"\r\n"),
        "line ends after a request": dripping(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\r\n"),
        "a body that drips": dripping(f"{write}Content-Length: 1000\r\n\r\n".encode(), b" "),
        "a body that never comes": dripping(f"{write}Content-Length: 1000\r\n\r\n".encode(), b""),
        "chunks that drip": dripping(f"{write}Transfer-Encoding: chunked\r\n\r\n".encode(), b"1\r\n \r\n"),
        "a body that nobody wants": dripping(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n", b" "),
        GREEDY: greedy(index),
    }
    sending = asyncio.gather(*(ended(served, one, reads=name != GREEDY) for name, one in slow.items()))
    await asyncio.sleep(1)
    assert b" 200 " in await answer_to(served, index.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), 5)
    took = dict(zip(slow, await sending, strict=True))
    late = {name: seconds for name, (seconds, _) in took.items() if seconds > 17}
    # Before it is stuck, it is sent some megabytes.
    assert late.keys() <= {GREEDY} and took[GREEDY][0] < 24, late
    for name in (
        "half a head",
        "a head that drips",
        "a body that drips",
        "a body that never comes",
        "chunks that drip",
    ):
        assert took[name][1].startswith(b"HTTP/1.1 408 "), (name, took[name])
        assert b'"too_slow"' in took[name][1]
    assert await account.decisions() == []


async def test_a_head_that_never_ends_is_refused(served: Running) -> None:
    """Megabytes of headers, or of a path, are not collected: the connection ends, and the service goes on."""
    for start, chunk in (
        (b"GET / HTTP/1.1\r\nHost: x\r\n", b"X-Filler: " + b"x" * 8000 + b"\r\n"),
        (b"GET /", b"a" * 8000),
    ):
        _, writer = await asyncio.open_connection("127.0.0.1", port_of(served))
        sent = 0
        writer.write(start)
        try:
            while sent < 50_000_000:
                writer.write(chunk)
                sent += len(chunk)
                await asyncio.wait_for(writer.drain(), 10)
        except (ConnectionError, TimeoutError):
            pass
        assert sent < 20_000_000
        writer.transport.abort()
    long = b"GET /agent/memories HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Long: " + b"y" * 30_000 + b"\r\n\r\n"
    assert b"401" in await answer_to(served, long, 10)
