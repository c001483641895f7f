"""Both clients against the real service and against a scripted one."""

import asyncio
import inspect
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from operator import attrgetter
from typing import Any

import httpx2
import msgspec
import pytest
from aurra_sdk import AsyncAurra, Aurra

from tests.conftest import Account, MakeAccount
from tests.sdk.scripted_server import ScriptedServer

KEY = "aurra_live_canary7f3a91c4e8"
MakeClient = Callable[..., Any]


class Either(msgspec.Struct):
    """One of the two clients, called the same way: `await either("memories.add", content="…")`."""

    client: Aurra | AsyncAurra

    async def __call__(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """What the method returns; of `iterate`, all that it yields."""
        bound: Any = attrgetter(method)(self.client)
        if isinstance(self.client, Aurra):
            return await asyncio.to_thread(lambda: _exhausted(bound(*args, **kwargs)))
        returned = bound(*args, **kwargs)
        return [item async for item in returned] if inspect.isasyncgen(returned) else await returned

    def with_options(self, **options: Any) -> "Either":
        return Either(self.client.with_options(**options))


def _exhausted(returned: Any) -> Any:
    return list(returned) if inspect.isgenerator(returned) else returned


@pytest.fixture(scope="session")
def served(dsn: str) -> Iterator[str]:
    """The URL of `aurra serve` on the tests' database, in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AURRA_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "aurra.main", "serve"],
        env={**environment, "DATABASE_URL": dsn, "PORT": "0"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process, process.stdout as lines:
        try:
            url = next(line.split()[3] for line in lines if "serving on" in line)
            with httpx2.Client(transport=httpx2.HTTPTransport(retries=8)) as client:
                assert client.get(f"{url}/health/ready").status_code == 200
            yield url
        finally:
            process.kill()


@pytest.fixture(params=["async", "sync"])
async def make_either(
    request: pytest.FixtureRequest, app: Any, make_account: MakeAccount
) -> AsyncIterator[Callable[..., Any]]:
    """Makes either client of the real service: the async one inside this process, the sync one over a socket."""
    made: list[Either] = []
    transport = httpx2.AsyncClient(transport=httpx2.ASGITransport(app))

    async def make(of: Account | None = None, **options: Any) -> Either:
        key = (of or await make_account()).key
        if request.param == "sync":
            client = Aurra(key, base_url=request.getfixturevalue("served"), **options)
        else:
            client = AsyncAurra(key, base_url="http://aurra", http_client=transport, **options)
        made.append(Either(client))
        return made[-1]

    yield make
    for either in made:
        await either("close")
    await transport.aclose()


@pytest.fixture
async def either(make_either: Callable[..., Any], account: Account) -> Either:
    """Either client with the key of a fresh account."""
    return await make_either(account)


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    """A scripted server."""
    async with ScriptedServer() as running:
        yield running


@pytest.fixture(params=["async", "sync"])
async def make_scripted(request: pytest.FixtureRequest, server: ScriptedServer) -> AsyncIterator[MakeClient]:
    """Makes either client of the scripted server, with short waits."""
    made: list[Either] = []

    def make(**options: Any) -> Either:
        kind = Aurra if request.param == "sync" else AsyncAurra
        given: dict[str, Any] = {"base_url": server.url, "backoff_seconds": 0.001, **options}
        made.append(Either(kind(KEY, **given)))
        return made[-1]

    yield make
    for either in made:
        await either("close")


@pytest.fixture
def scripted(make_scripted: MakeClient) -> Either:
    """Either client of the scripted server."""
    return make_scripted()
