"""The database goes away under load, in several ways: only 503, no hang, back by itself (T19)."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote
from uuid import UUID

import httpx2
import pytest

from aurra.app import build_app, open_service
from aurra.context import Service
from aurra.errors import Unavailable
from aurra.settings import read_settings
from aurra.store.embedded import EmbeddedPostgres
from tests.plain import connected, own_database
from tests.races.load import Load, new_key, stored, written
from tests.running import Running, running

LONG_WITH_WORKERS = [pytest.param(10, workers, id=f"long-{workers}", marks=pytest.mark.long) for workers in (1, 2)]
LONG_WAYS = [pytest.param(10, way, id=f"long-{way}", marks=pytest.mark.long) for way in ("cut", "stalled")]
LONGEST_ANSWER = 30
"""Waiting for a turn, and then for a statement that is not answered."""


@contextlib.asynccontextmanager
async def under_load(load: Load) -> AsyncGenerator[None]:
    """Writers and readers go on inside; afterwards every write they began is acknowledged."""
    async with asyncio.TaskGroup() as group:
        for number in range(6):
            group.create_task(load.write(number, keeps_connection=number < 5))
        group.create_task(load.read())
        try:
            await written(load, 30)
            yield
            await written(load, 30)
        finally:
            load.stopping.set()


async def check(load: Load, dsn: str, came_back: float, back_within: float) -> None:
    """Nothing but answers and 503 with Retry-After; back in time, without a restart; nothing lost or stored twice."""
    assert set(load.outcomes) <= {"200", "409", "503"}, load.outcomes
    assert not load.without_retry_after
    assert load.slowest < LONGEST_ANSWER
    assert load.first_success_after(came_back) < back_within
    assert await stored(dsn) == load.acknowledged


def processes_of(home: Path) -> list[int]:
    """The embedded server and all its children."""
    first = int((home / "postgres" / "data" / "postmaster.pid").read_text().split("\n")[0])
    found = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [line.split() for line in found.splitlines()]
    return [first, *(int(pid) for pid, parent in pairs if int(parent) == first)]


def signal_all(home: Path, number: signal.Signals) -> None:
    for pid in processes_of(home):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


@pytest.mark.parametrize(("seconds", "workers"), [pytest.param(2.5, 1, id="short"), *LONG_WITH_WORKERS])
async def test_an_embedded_database_that_stands_still_is_waited_for(
    tmp_path: Path, seconds: float, workers: int
) -> None:
    """SIGSTOP of the server and its children under load, then SIGCONT."""
    home = tmp_path / "home"
    settings: dict[str, Any] = {"aurra_home": home, "aurra_embedder": "none", "aurra_workers": workers}
    with running(tmp_path / "log", **settings) as service, EmbeddedPostgres.open(home) as postgres:
        load = Load(service.url, await new_key(postgres.dsn))
        async with under_load(load):
            signal_all(home, signal.SIGSTOP)
            try:
                await asyncio.sleep(seconds)
                await not_ready(service)
            finally:
                signal_all(home, signal.SIGCONT)
            came_back = time.monotonic()
            await written(load, 30)
        await check(load, postgres.dsn, came_back, 3 if seconds == 10 else 15)


async def not_ready(service: Running) -> None:
    """/health/ready says that it is the database."""
    async with httpx2.AsyncClient(timeout=10) as client:
        answer = await client.get(f"{service.url}/health/ready")
    assert answer.status_code == 503 and answer.json()["parts"]["database"] != "ok", answer.text


@pytest.mark.long
async def test_an_embedded_database_that_dies_is_started_again(tmp_path: Path) -> None:
    """SIGKILL of the server and all its children, with two workers: one of them starts it again."""
    home = tmp_path / "home"
    settings: dict[str, Any] = {"aurra_home": home, "aurra_embedder": "none", "aurra_workers": 2}
    with running(tmp_path / "log", **settings) as service, EmbeddedPostgres.open(home) as postgres:
        load = Load(service.url, await new_key(postgres.dsn))
        async with under_load(load):
            for _ in range(10):
                signal_all(home, signal.SIGKILL)
                died = time.monotonic()
                await written(load, 30)
                print("BACK", load.first_success_after(died), time.monotonic() - died, load.outcomes)
        assert set(load.outcomes) <= {"200", "409", "503"}, load.outcomes
        assert load.outcomes["503"] and not load.without_retry_after
        assert await stored(postgres.dsn) == load.acknowledged


class Proxy:
    """Stands between a service and the database, and can cut or stall what passes."""

    def __init__(self, dsn: str) -> None:
        user, _, where = dsn.partition("@/")
        database, _, query = where.partition("?")
        sockets = unquote(parse_qs(query)["host"][0])
        self._target = f"{sockets}/.s.PGSQL.{parse_qs(query)['port'][0]}"
        self._login, self._database = user, database
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.passes = asyncio.Event()
        self.passes.set()
        self.refuses = False

    @contextlib.asynccontextmanager
    async def url(self) -> AsyncGenerator[str]:
        """Where it listens meanwhile."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            yield f"{self._login}@127.0.0.1:{port}/{self._database}?sslmode=disable"
        finally:
            self.passes.set()
            server.close()
            self.cut()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Every connection breaks."""
        for writer in self._open:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            writer.transport.abort()
            return
        theirs, ours = await asyncio.open_unix_connection(self._target)
        for source, target in ((reader, ours), (theirs, writer)):
            self._open.add(target)
            task = asyncio.create_task(self._pass(source, target))
            self._tasks.add(task)

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                await self.passes.wait()
                target.write(data)
                await target.drain()
        target.transport.abort()
        self._open.discard(target)


@pytest.mark.parametrize(("seconds", "way"), [pytest.param(2.5, "cut", id="short"), *LONG_WAYS])
async def test_a_database_that_cannot_be_reached_is_waited_for(
    dsn: str, tmp_path: Path, seconds: float, way: str
) -> None:
    """DATABASE_URL through a proxy that cuts everything, or lets nothing pass, for a while."""
    async with own_database(dsn) as own:
        proxy = Proxy(own)
        key = await new_key(own)
        async with proxy.url() as url:
            starting = asyncio.to_thread(started, tmp_path / "log", url)
            service, stop = await starting
            try:
                load = Load(service.url, key)
                async with under_load(load):
                    if way == "cut":
                        proxy.refuses = True
                        proxy.cut()
                    else:
                        proxy.passes.clear()
                    await asyncio.sleep(seconds)
                    await not_ready(service)
                    proxy.refuses = False
                    proxy.passes.set()
                    came_back = time.monotonic()
                    await written(load, 30)
                await check(load, own, came_back, 3 if seconds == 10 else 15)
                assert way == "stalled" or load.outcomes["503"]
            finally:
                await asyncio.to_thread(stop)


def started(log: Path, url: str) -> tuple[Running, Callable[[], None]]:
    """A service on the URL, and what stops it. Started in a thread, since the proxy needs this one."""
    stack = contextlib.ExitStack()
    return stack.enter_context(running(log, database_url=url, aurra_embedder="none")), stack.close


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    """A file system of 160 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=160m,mode=711", "tmpfs", str(disk)]
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


async def test_a_full_disk_refuses_and_recovers_without_a_restart(small_disk: Path, tmp_path: Path) -> None:
    """The disk of the embedded database is full under load: 503, reads go on, nothing half stored; once there is room,
    writes go on, from the same process."""
    home = small_disk / "home"
    settings: dict[str, Any] = {"aurra_home": home, "aurra_embedder": "none"}
    with running(tmp_path / "log", **settings) as service, EmbeddedPostgres.open(home) as postgres:
        load = Load(service.url, await new_key(postgres.dsn))
        load.padding = "x" * 2000
        async with under_load(load):
            ballast = small_disk / "ballast"
            fill(ballast)
            deadline = time.monotonic() + 60
            while not load.outcomes["503"]:
                assert time.monotonic() < deadline, load.outcomes
                await asyncio.sleep(0.05)
            ballast.unlink()
            await written(load, 30)
        assert set(load.outcomes) <= {"200", "409", "503"}, load.outcomes
        assert not load.without_retry_after
        assert await stored(postgres.dsn) == load.acknowledged


def fill(file: Path) -> None:
    """Nothing more goes onto the disk."""
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as output:
        while output.write(bytes(1 << 16)):
            pass


async def test_an_exhausted_pool_is_503_and_not_ready_while_it_lasts(dsn: str) -> None:
    """All connections are held: requests are refused within the two seconds of the pool, and readiness names it."""
    async with own_database(dsn) as own:
        key = await new_key(own)
        async with served(own, key, AURRA_POOL_SIZE="2") as (service, client):
            await client.get("/plan/status")
            company = next(iter(service.callers._known.values())).caller.company_id  # pyright: ignore[reportPrivateUsage]
            async with service.database.begin(company), service.database.begin(company):
                began = time.monotonic()
                refused = await client.get("/plan/status")
                assert refused.status_code == 503 and refused.headers["Retry-After"]
                assert time.monotonic() - began < 5
                ready = await client.get("/health/ready")
                assert ready.status_code == 503 and "connection" in ready.json()["parts"]["database"]
            assert (await client.get("/plan/status")).status_code == 200
            await asyncio.sleep(0.6)
            assert (await client.get("/health/ready")).status_code == 200


async def test_a_lock_that_is_not_had_is_503(dsn: str) -> None:
    """Somebody else holds the ledger's row: the write is refused after a second, and stored once it is free."""
    async with own_database(dsn) as own:
        key = await new_key(own)
        async with served(own, key) as (_, client):
            async with connected(own) as connection, connection.transaction():
                await connection.execute("SELECT 1 FROM ledger FOR UPDATE")
                refused = await client.post("/agent/memories", json={"content": "waits"})
                assert refused.status_code == 503 and refused.headers["Retry-After"]
                assert refused.json()["code"] == "unavailable"
            assert (await client.post("/agent/memories", json={"content": "waits"})).status_code == 200
        assert set(await stored(own)) == {"waits"}


@pytest.mark.parametrize(
    "state",
    [
        "08006",
        "40001",
        "40P01",
        "53000",
        "53100",
        "53200",
        "53300",
        "55P03",
        "57014",
        "57P01",
        "57P03",
        "58000",
        "58030",
    ],
)
async def test_what_the_database_cannot_do_now_is_503(service: Service, state: str) -> None:
    """Each of these conditions, raised by PostgreSQL in the middle of a transaction."""
    raising = f"DO $$ BEGIN RAISE EXCEPTION 'now' USING ERRCODE = '{state}'; END $$"
    with pytest.raises(Unavailable) as refused:
        async with service.database.begin(UUID(int=0)) as tx:
            await tx.run(raising)
    assert refused.value.status == 503 and refused.value.retry_after


@contextlib.asynccontextmanager
async def served(dsn: str, key: str, **settings: str) -> AsyncGenerator[tuple[Service, httpx2.AsyncClient]]:
    """A service in this process, and its client."""
    read = read_settings({"DATABASE_URL": dsn, "AURRA_EMBEDDER": "none", **settings})
    async with open_service(read, dsn) as service:
        transport = httpx2.ASGITransport(build_app(service))  # type: ignore[arg-type]
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx2.AsyncClient(transport=transport, base_url="http://aurra", headers=headers) as client:
            yield service, client
