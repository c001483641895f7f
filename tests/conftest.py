"""One embedded Postgres for all tests, one service on it, a fresh account for each test."""

import asyncio
import contextlib
import datetime as dt
import socket
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import msgspec
import pytest
import uvicorn

from aurra import sealing
from aurra.app import build_app, open_service
from aurra.context import Service
from aurra.keys import Terms, parse_scopes
from aurra.settings import read_settings
from aurra.store import migrate
from aurra.store.accounts import AccountRow, open_directory
from aurra.store.embedded import EmbeddedPostgres


class HandClock:
    """A clock that a test cranks by hand; None leaves time to the database."""

    def __init__(self) -> None:
        self.at: dt.datetime | None = None

    def __call__(self) -> dt.datetime | None:
        return self.at


class Account(msgspec.Struct):
    """A fresh account, and a client that presents its key."""

    row: AccountRow
    key: str
    client: httpx2.AsyncClient

    async def get(self, path: str, **query: Any) -> dict[str, Any]:
        """The JSON of a GET that must succeed."""
        return _json(await self.client.get(path, params=query))

    async def post(self, path: str, /, **body: Any) -> dict[str, Any]:
        """The JSON of a POST that must succeed."""
        return _json(await self.client.post(path, json=body))

    async def add(self, content: str, **fields: Any) -> str:
        """The id of a stored memory."""
        return (await self.post("/agent/memories", content=content, **fields))["memory_id"]

    async def decisions(self, **query: Any) -> list[str]:
        """What the list says, newest first."""
        return [memory["decision"] for memory in (await self.get("/agent/memories", **query))["memories"]]


def _json(response: httpx2.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    return response.json()


def client_at(service: Service, account: Account) -> httpx2.AsyncClient:
    """A client of another service than the tests' own, which presents the account's key."""
    app: Any = build_app(service)
    transport = httpx2.ASGITransport(app)
    return httpx2.AsyncClient(transport=transport, base_url="http://aurra", headers=account.client.headers)


MakeAccount = Callable[..., Awaitable[Account]]


@pytest.fixture(scope="session")
def dsn() -> Iterator[str]:
    """A migrated database on an embedded server."""
    with tempfile.TemporaryDirectory(prefix="aurra-tests-") as home:
        postgres = EmbeddedPostgres.open(Path(home) / "home")
        try:
            yield postgres.dsn
        finally:
            postgres.close()


@pytest.fixture(scope="session")
def clock() -> HandClock:
    """The service's clock; `hand_clock` gives it to one test."""
    return HandClock()


@pytest.fixture
def hand_clock(clock: HandClock) -> Iterator[HandClock]:
    """The service's clock for one test; afterwards the database's runs again."""
    yield clock
    clock.at = None


@contextlib.asynccontextmanager
async def service_on(dsn: str, clock: HandClock) -> AsyncGenerator[Service]:
    """A service on a database, which is migrated first."""
    await migrate.migrate(dsn)
    settings = read_settings(
        {
            # The scripted providers are on this machine.
            "AURRA_LLM_ALLOWED_NETWORKS": "127.0.0.0/8",
            "AURRA_SECRET_KEYS": sealing.new_key(),
            # So are all who fail to authenticate.
            "AURRA_FAILED_AUTHENTICATIONS": "0",
        }
    )
    async with open_service(settings, dsn, clock) as running:
        yield running


@pytest.fixture(scope="session")
async def service(dsn: str, clock: HandClock) -> AsyncIterator[Service]:
    """The service of all tests."""
    async with service_on(dsn, clock) as running:
        yield running


@pytest.fixture(scope="module")
def app(service: Service) -> Any:
    """The ASGI application of the module's service: the one of all tests, or its own."""
    return build_app(service)


@contextlib.asynccontextmanager
async def accounts_on(app: Any, dsn: str) -> AsyncGenerator[MakeAccount]:
    """Makes accounts, each with a key and a client; the clients are closed at the end."""
    clients: list[httpx2.AsyncClient] = []

    async def make(plan: str = "enterprise", scopes: str = "full", of: AccountRow | None = None, **key: Any) -> Account:

        async with open_directory(dsn) as directory:
            row = of or await directory.create_account(f"test-{uuid4()}", plan)
            raw = (await directory.create_key(row, Terms(scopes=parse_scopes(scopes), **key))).raw
        client = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app), base_url="http://aurra", headers={"Authorization": f"Bearer {raw}"}
        )
        clients.append(client)
        return Account(row, raw, client)

    yield make
    for client in clients:
        await client.aclose()


@pytest.fixture
async def make_account(app: Any, dsn: str) -> AsyncIterator[MakeAccount]:
    """Makes accounts, each with a key and a client."""
    async with accounts_on(app, dsn) as make:
        yield make


@pytest.fixture(scope="module")
async def module_accounts(app: Any, dsn: str) -> AsyncIterator[MakeAccount]:
    """Makes accounts that all tests of a module share."""
    async with accounts_on(app, dsn) as make:
        yield make


@pytest.fixture
async def account(make_account: MakeAccount) -> Account:
    """A fresh account on the unlimited plan."""
    return await make_account()


@pytest.fixture
async def bare(app: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """A client without a key."""
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://aurra") as client:
        yield client


@pytest.fixture(scope="module")
async def url(app: Any) -> AsyncIterator[str]:
    """Where the module's application answers, on a socket of its own."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", ws="websockets-sansio"))
    serving = asyncio.create_task(server.serve([listener]))
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    await serving
