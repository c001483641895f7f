"""Ended under load: nobody is cut off, nothing acknowledged is lost; and several workers with their parent (T19)."""

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from aurra.faces.workers import pause_after
from aurra.store.embedded import EmbeddedPostgres
from tests.races.load import Load, new_key, stored, written
from tests.running import Running, running


@contextlib.asynccontextmanager
async def home(path: Path) -> AsyncGenerator[tuple[dict[str, Any], str]]:
    """Settings of an embedded database that runs meanwhile, so that services start at once; and its URL."""
    postgres = await asyncio.to_thread(EmbeddedPostgres.open, path)
    try:
        yield {"aurra_home": path, "aurra_embedder": "none"}, postgres.dsn
    finally:
        await asyncio.to_thread(postgres.close)


@pytest.mark.parametrize("ends", [pytest.param(1, id="short"), pytest.param(20, id="long", marks=pytest.mark.long)])
async def test_a_service_that_ends_cuts_nobody_off(tmp_path: Path, ends: int) -> None:
    """SIGTERM under load, by turns with two processes and with one: clients that keep their connection and clients that
    make one each time see answers, or that nobody listens; never a reset. What was acknowledged is there."""
    async with home(tmp_path / "home") as (settings, dsn):
        load = Load("", await new_key(dsn))

        async def end_again_and_again() -> None:
            for number in range(ends):
                with running(tmp_path / "log", f"--workers={2 - number % 2}", **settings) as service:
                    load.url = service.url
                    await written(load, 40)
                    assert await asyncio.to_thread(service.stop) == 0

        clients = [asyncio.create_task(load.write(number, keeps_connection=number % 2 == 0)) for number in range(6)]
        clients.append(asyncio.create_task(load.read()))
        try:
            await end_again_and_again()
        finally:
            load.stopping.set()
            for client in clients:
                client.cancel()
        # Between one service and the next, nobody listens.
        assert set(load.outcomes) <= {"200", "409", "ConnectError"}, load.outcomes
        # A write whose answer nobody waits for any more, now that all is over, may be there too.
        assert load.acknowledged.items() <= (await stored(dsn)).items()


async def test_a_service_that_ends_is_not_ready_at_once_and_answers_what_was_begun(tmp_path: Path) -> None:
    """After SIGTERM: /health/ready is 503 and names the process, other requests are answered meanwhile, each answer
    closes its connection; a request that was begun before is answered."""
    async with home(tmp_path / "home") as (settings, dsn):
        key = await new_key(dsn)
        with running(tmp_path / "log", **settings) as service:
            port = int(service.url.rpartition(":")[2])
            begun = await asyncio.to_thread(socket.create_connection, ("127.0.0.1", port))
            body = b'{"content": "begun before the end"}'
            head = f"POST /agent/memories HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            begun.sendall(head.encode())
            service.process.send_signal(signal.SIGTERM)
            async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}) as client:
                deadline = time.monotonic() + 5
                while (ready := await client.get(f"{service.url}/health/ready")).status_code == 200:
                    assert time.monotonic() < deadline
                assert ready.status_code == 503 and ready.headers["Retry-After"]
                assert "process" in ready.json()["detail"] and ready.json()["parts"]["process"] != "ok"
                answer = await client.get(f"{service.url}/plan/status")
                assert answer.status_code == 200 and answer.headers["Connection"] == "close"
            begun.sendall(body)
            with begun:
                begun.settimeout(10)
                said = await asyncio.to_thread(begun.recv, 65536)
            assert b" 200 OK" in said and b"connection: close" in said.lower()
            assert await asyncio.to_thread(service.process.wait, 30) == 0
        assert set(await stored(dsn)) == {"begun before the end"}


def workers_of(service: Running) -> list[int]:
    """Pids of the workers of a service."""
    found = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children")
    pids = [int(pid) for pid in found.read_text().split()]
    return [pid for pid in pids if b"worker" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")]


def is_alive(pid: int) -> bool:
    """It runs; a zombie does not."""
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


async def until(holds: Any, what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.05)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds workers in /proc")
async def test_workers_are_replaced_and_do_not_outlive_their_parent(tmp_path: Path) -> None:
    """Two workers serve one socket. A killed one is started again while the other serves; after SIGKILL of the parent
    they end by themselves, and the embedded database with them."""
    settings: dict[str, Any] = {"aurra_home": tmp_path / "home", "aurra_embedder": "none", "aurra_workers": 2}
    with running(tmp_path / "log", "--first-key", **settings) as service:
        assert service.log.read_text().count("export AURRA_API_KEY") == 1, "one first key"
        await until(lambda: len(workers_of(service)) == 2, "two workers")
        first = workers_of(service)
        os.kill(first[0], signal.SIGKILL)
        await until(lambda: len(workers_of(service)) == 2 and first[0] not in workers_of(service), "another worker")
        assert first[1] in workers_of(service)
        assert httpx2.get(f"{service.url}/health/ready").status_code == 200
        left = workers_of(service)
        service.kill()
        await until(lambda: not any(map(is_alive, left)), "the workers end")
    assert not (tmp_path / "home" / "postgres" / "data" / "postmaster.pid").exists(), "the last one out stops it"


@pytest.mark.long
def test_workers_that_cannot_serve_stop_the_start_with_the_reason(tmp_path: Path) -> None:
    """A setting that only a service process finds out about: exit code 1 and its sentence, no start after start."""
    settings: dict[str, Any] = {"aurra_home": tmp_path / "home", "aurra_embedder": "none", "aurra_workers": 2}
    with (
        pytest.raises(RuntimeError, match="AURRA_LLM_PROVIDER"),
        running(tmp_path / "log", **settings, aurra_llm_provider="nonesuch"),
    ):
        pass


def test_the_pause_before_a_restart_grows_to_half_a_minute() -> None:
    """Half a second, then twice as long each time, never over thirty."""
    assert [pause_after(deaths) for deaths in (0, 1, 2, 5, 6, 99)] == [0.5, 1, 2, 16, 30, 30]
