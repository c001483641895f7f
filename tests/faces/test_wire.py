"""What a client without a key can do to a connection."""

import asyncio
from pathlib import Path

from tests.running import running


async def send(port: int, chunk: bytes, times: int) -> bytes:
    """What the server says while and after a client sends; the connection's end is awaited."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for _ in range(times):
            writer.write(chunk)
            await writer.drain()
    except ConnectionError:
        pass
    try:
        return await asyncio.wait_for(reader.read(), 20)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_a_head_that_never_ends_is_refused(tmp_path: Path) -> None:
    """Megabytes of headers, or of a path, are not collected: the connection ends, and the service goes on."""
    with running(tmp_path / "log", aurra_home=tmp_path / "home", aurra_embedder="none") as service:
        port = int(service.url.rsplit(":", 1)[1])
        for start, chunk in (
            (b"GET / HTTP/1.1\r\nHost: x\r\n", b"X-Filler: " + b"x" * 8000 + b"\r\n"),
            (b"GET /", b"a" * 8000),
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
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
            assert reader is not None
        assert b"401" in await send(
            port,
            b"GET /agent/memories HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Long: " + b"y" * 30_000 + b"\r\n\r\n",
            1,
        )
        assert service.stop() == 0


async def test_half_a_head_is_not_waited_for(tmp_path: Path) -> None:
    """A connection that sends the beginning of a request and nothing more is ended after 15 seconds."""
    with running(tmp_path / "log", aurra_home=tmp_path / "home", aurra_embedder="none") as service:
        port = int(service.url.rsplit(":", 1)[1])
        assert b"400" in await send(port, b"GET / HTTP/1.1\r\nHost: x\r\n", 1)
        assert service.stop() == 0
