"""Killed in mid-write under load: nothing acknowledged is lost, and the meter is the number of rows."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import msgspec
import pytest

from aurra.store.embedded import EmbeddedPostgres
from tests.plain import own_database
from tests.races.cutting import POINTS, wire_to
from tests.running import Running, aurra, environment_of, running

WRITERS = 8


class Load:
    """Writers that retry every write under its own key until it is acknowledged."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.acknowledged: dict[str, str] = {}
        self.codes = set[str]()
        self.stopping = asyncio.Event()
        self.url = ""

    async def write(self, number: int) -> None:
        """Writes until told to stop; the last write is carried to its acknowledgement."""
        headers = {"Authorization": f"Bearer {self.key}"}
        async with httpx2.AsyncClient(headers=headers, timeout=10) as client:
            while not self.stopping.is_set():
                content = f"writer {number}: {uuid4()}"
                await self._until_acknowledged(client, content)

    async def _until_acknowledged(self, client: httpx2.AsyncClient, content: str) -> None:
        key = uuid4().hex
        while True:
            try:
                answer = await client.post(
                    f"{self.url}/agent/memories", json={"content": content}, headers={"Idempotency-Key": key}
                )
            except httpx2.TransportError:
                await asyncio.sleep(0.02)
                continue
            if answer.status_code == 200:
                self.acknowledged[content] = answer.json()["memory_id"]
                return
            assert answer.status_code in (409, 503), answer.text
            self.codes.add(answer.json()["code"])
            await asyncio.sleep(0.02)


async def stored(url: str, key: str) -> dict[str, str]:
    """Everything the account holds, page by page: content to id."""
    found: dict[str, str] = {}
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=30) as client:
        cursor: dict[str, str] = {}
        while True:
            page = (await client.get(f"{url}/agent/memories", params={"limit": 1000, **cursor})).json()
            for memory in page["memories"]:
                assert memory["decision"] not in found, "a write was stored twice"
                found[memory["decision"]] = memory["id"]
            if not page["has_more"]:
                return found
            cursor = {"cursor": page["next_cursor"]}


async def check(url: str, key: str, load: Load) -> None:
    """Rows = acknowledged = meter = transactions."""
    rows = await stored(url, key)
    assert rows == load.acknowledged
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=30) as client:
        assert (await client.get(f"{url}/plan/status")).json()["writes_used"] == len(rows)
        usage = (await client.get(f"{url}/usage/summary")).json()
        assert (usage["writes"], usage["held"]["memories"]) == (len(rows), len(rows))
        newest = (await client.get(f"{url}/agent/memories", params={"limit": 1})).json()["transaction"]["id"]
    assert newest == len(rows), "numbers are dense"


def new_key(environment: dict[str, str]) -> str:
    aurra(("accounts", "create", "kills"), environment)
    return msgspec.json.decode(aurra(("keys", "create", "--account", "kills", "--json"), environment))["key"]


async def under_load(load: Load, work: Any) -> None:
    """Runs `work` while writers write; afterwards every write they began is acknowledged."""
    async with asyncio.TaskGroup() as group:
        for number in range(WRITERS):
            group.create_task(load.write(number))
        try:
            await work()
        finally:
            load.stopping.set()


async def written(load: Load, more: int) -> None:
    """Returns when so many more writes are acknowledged."""
    goal = len(load.acknowledged) + more
    deadline = time.monotonic() + 60
    while len(load.acknowledged) < goal:
        assert time.monotonic() < deadline, "no progress"
        await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def serving(log: Path, **settings: str) -> AsyncGenerator[Running]:
    """A service that is ready, while this process carries its connections."""
    manager = running(log, **settings)
    service = await asyncio.to_thread(manager.__enter__)
    try:
        yield service
    finally:
        await asyncio.to_thread(manager.__exit__, None, None, None)


KILLED_AT = ["lock:heard", "apply:sent", "commit:before", "commit:done", "commit:heard"]
"""In the short form; the long one takes every point of `POINTS` 13 times."""


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("points", [pytest.param(KILLED_AT, id="short"),
                                    pytest.param(POINTS * 13, id="long", marks=pytest.mark.long)])  # fmt: skip
async def test_a_service_killed_at_a_named_point_loses_nothing(tmp_path: Path, dsn: str, points: list[str]) -> None:
    """T2: SIGKILL of the service at each point of a write's transaction; 8 writers retry under their keys: what was
    acknowledged is there once, and metered once."""
    async with own_database(dsn) as own, wire_to(own) as (wire, through):
        aurra(("migrate",), environment_of(database_url=own))
        settings = {"database_url": through, "aurra_embedder": "none"}
        load = Load(new_key(environment_of(database_url=own)))

        async def work() -> None:
            for point in points:
                async with serving(tmp_path / "log", **settings) as service:
                    load.url = service.url
                    await written(load, 10)
                    await wire.stop_at(point, service.process.kill)
                    await asyncio.to_thread(service.process.wait)
            load.url = last.url

        async with serving(tmp_path / "last", **settings) as last:
            load.url = last.url
            await under_load(load, work)
            await check(last.url, load.key, load)
        await doctor(own, settings)


@pytest.mark.parametrize("times", [pytest.param(1, id="short"), pytest.param(12, id="long", marks=pytest.mark.long)])
@pytest.mark.timeout(3600)
async def test_a_connection_cut_at_any_point_loses_nothing(tmp_path: Path, dsn: str, times: int) -> None:
    """The same where only the connection breaks: 503, and the service goes on. Cut during COMMIT, the outcome is not
    known, and the key tells."""
    async with own_database(dsn) as own, wire_to(own) as (wire, through):
        aurra(("migrate",), environment_of(database_url=own))
        settings = {"database_url": through, "aurra_embedder": "none"}
        load = Load(new_key(environment_of(database_url=own)))
        async with serving(tmp_path / "log", **settings) as service:
            load.url = service.url

            async def work() -> None:
                for point in POINTS * times:
                    await wire.stop_at(point)
                    await written(load, 1)

            await under_load(load, work)
            await check(service.url, load.key, load)
            assert "write_outcome_unknown" in load.codes
        await doctor(own, settings)


async def doctor(dsn: str, settings: dict[str, str]) -> None:
    """Raises where the doctor finds an invariant broken: chain, numbers, meter, history of plans."""
    said = await asyncio.to_thread(aurra, ("doctor",), environment_of(**{**settings, "database_url": dsn}))
    assert "FAIL" not in said and "this period's meter" in said


@pytest.mark.parametrize("kills", [pytest.param(3, id="short"), pytest.param(20, id="long", marks=pytest.mark.long)])
async def test_a_killed_postgres_loses_nothing(tmp_path: Path, kills: int) -> None:
    """SIGKILL of the embedded server: the service starts it again, answers 503 meanwhile, and nothing is lost."""
    settings = {"aurra_home": str(tmp_path / "home"), "aurra_embedder": "none"}
    with running(tmp_path / "log", **settings) as service:
        load = Load(new_key(service.environment))
        load.url = service.url

        async def work() -> None:
            for _ in range(kills):
                await written(load, 30)
                _kill_postgres(tmp_path / "home")

        await under_load(load, work)
        await check(service.url, load.key, load)
        assert service.stop() == 0
    assert not (tmp_path / "home" / "postgres" / "data" / "postmaster.pid").exists(), "the last one out stops it"


def _kill_postgres(home: Path) -> None:
    pid = int((home / "postgres" / "data" / "postmaster.pid").read_text().split("\n")[0])
    os.kill(pid, signal.SIGKILL)


async def test_a_stopped_service_finishes_what_it_began(tmp_path: Path) -> None:
    """SIGTERM under load: every acknowledged write is there, and the exit is clean."""
    settings: dict[str, Any] = {"aurra_home": str(tmp_path / "home"), "aurra_embedder": "none"}
    postgres = await asyncio.to_thread(EmbeddedPostgres.open, tmp_path / "home")
    try:
        with running(tmp_path / "log", **settings) as first:
            load = Load(new_key(first.environment))
            load.url = first.url

            async def work() -> None:
                await written(load, 50)
                assert await asyncio.to_thread(first.stop) == 0
                load.url = second.url

            with running(tmp_path / "log", **settings) as second:
                await under_load(load, work)
                await check(second.url, load.key, load)
    finally:
        await asyncio.to_thread(postgres.close)


def started(service: Running) -> str:
    """What the service printed."""
    return service.log.read_text()


def test_a_second_start_keeps_the_data_and_says_so(tmp_path: Path) -> None:
    """`aurra serve --first-key` prints a key once; the next start keeps what is stored."""
    settings = {"aurra_home": str(tmp_path / "home"), "aurra_embedder": "none"}
    with running(tmp_path / "first", "--first-key", **settings) as service:
        key = next(word for word in started(service).split() if word.startswith("AURRA_API_KEY=")).split("=")[1]
        headers = {"Authorization": f"Bearer {key}"}
        assert (
            httpx2.post(f"{service.url}/agent/memories", json={"content": "kept"}, headers=headers).status_code == 200
        )
        assert service.stop() == 0
    with running(tmp_path / "second", "--first-key", **settings) as service:
        assert "your data is kept: 1 memories of account 'default'" in started(service)
        assert "AURRA_API_KEY" not in started(service)
        memories = httpx2.get(f"{service.url}/agent/memories", headers=headers).json()["memories"]
        assert [memory["decision"] for memory in memories] == ["kept"]
        assert service.stop() == 0
