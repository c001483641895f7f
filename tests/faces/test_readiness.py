"""Readiness tells the truth, part by part; and a client that takes nothing holds nothing."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import uvicorn

from aurra.app import build_app, open_service
from aurra.context import Service
from aurra.faces.wire import LimitedProtocol, WireState
from aurra.providers.embed.in_use import Unopened
from aurra.settings import read_settings
from aurra.store import migrate
from tests.plain import execute, own_database


@pytest.fixture
async def own(dsn: str) -> AsyncIterator[tuple[str, Service]]:
    """A database of its own, and a service on it."""
    async with own_database(dsn) as url:
        await migrate.migrate(url)
        async with open_service(read_settings({"DATABASE_URL": url, "AURRA_EMBEDDER": "none"}), url) as service:
            yield url, service


async def asked(service: Service) -> httpx2.Response:
    """What a fresh look says; another app, since a look is kept for a moment."""
    app: Any = build_app(service)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://aurra") as client:
        return await client.get("/health/ready")


async def wrong(service: Service) -> set[str]:
    """The parts that are not ready; the answer is 503, with Retry-After, just where there are some."""
    answer = await asked(service)
    parts = answer.json()["parts"]
    found = {part for part, said in parts.items() if said != "ok"}
    assert (answer.status_code == 503) is bool(found)
    assert not found or (answer.headers["Retry-After"] and all(part in answer.json()["detail"] for part in found))
    return found


async def test_each_part_that_is_not_ready_is_named(own: tuple[str, Service]) -> None:
    """Migrations that are pending; not those of a newer release; a role that is not bound; an embedder that cannot be
    opened; the end of the process."""
    url, service = own
    assert await wrong(service) == set()
    await execute(url, "INSERT INTO migration (name, checksum) VALUES ('9999_pre_newer.sql', 'x')")
    assert await wrong(service) == set()
    await execute(url, "DELETE FROM migration WHERE name LIKE '0005%'")
    assert await wrong(service) == {"migrations"}
    await execute(url, "ALTER ROLE aurra_app BYPASSRLS")
    try:
        assert await wrong(service) == {"migrations", "role"}
    finally:
        await execute(url, "ALTER ROLE aurra_app NOBYPASSRLS")
    service.embedder = Unopened("x", 1)
    assert await wrong(service) == {"migrations", "embedder"}
    service.embedder = None
    service.is_draining = True
    assert await wrong(service) == {"process"}


async def test_many_who_ask_are_one_question_to_the_database(own: tuple[str, Service]) -> None:
    """However many ask at once, one connection is used: the others are free for requests."""
    _, service = own
    app: Any = build_app(service)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://aurra") as client:
        answers = await asyncio.gather(*(client.get("/health/ready") for _ in range(100)))
    assert {answer.status_code for answer in answers} == {200}
    # The pool opens a connection when all are taken, and keeps it.
    assert service.database.size == 1


async def test_a_client_that_takes_nothing_of_its_answer_is_let_go() -> None:
    """Megabytes that nobody reads are dropped with their connection, once nothing of them was taken for a while."""

    class Impatient(LimitedProtocol):
        stalled_seconds = 0.2

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": bytes(50_000_000)})

    config = uvicorn.Config(app, lifespan="off", log_config=None)
    config.load()
    state = WireState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Impatient(config, state, {}), "127.0.0.1", 0)
    async with server:
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), limit=1000)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(20):
            while not state.connections:
                await asyncio.sleep(0.01)
            while state.connections:
                await asyncio.sleep(0.01)
        writer.transport.abort()
