"""The service inside this process, on an embedded PostgreSQL of its own: operations are called without HTTP, and what
they cost is measured beside other work on the same server."""

import asyncio
import contextlib
import statistics
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

import asyncpg as _asyncpg
import msgspec

from aurra.app import open_service
from aurra.context import Caller, Context, Service
from aurra.keys import SCOPES
from aurra.ops import OPERATIONS, call
from aurra.settings import read_settings
from aurra.store import migrate
from aurra.store.accounts import open_directory
from aurra.store.embedded import EmbeddedPostgres
from aurra.types.accounts import AgentSettings
from aurra.types.common import Request
from tests.bench.running import database_seconds, temporary_home

asyncpg: Any = _asyncpg
T = TypeVar("T")

Send = Callable[[], Awaitable[object]]
"""Sends the next request of its kind."""
Work = Callable[[int], Awaitable[int]]
"""One round's requests, given the round's number; returns how many they were."""


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What some requests took: seconds by the clock, CPU seconds of this process and of PostgreSQL."""

    requests: int
    seconds: float
    cpu: float
    database_cpu: float | None

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds

    @property
    def cpu_each(self) -> float:
        """CPU seconds of this process a request."""
        return self.cpu / self.requests


class Agent:
    """A caller of one account that may do everything."""

    def __init__(self, service: Service, company_id: UUID) -> None:
        self.company_id = company_id
        self._service = service
        self._caller = Caller(
            company_id=company_id,
            key_id="benchkey",
            scopes=frozenset(SCOPES),
            tenant_id=None,
            settings=AgentSettings(),
        )

    async def do(self, operation: str, request: Request) -> Any:
        """The operation's answer, as a face would get it."""
        ctx = Context(service=self._service, caller=self._caller, request_id=uuid4().hex)
        return await call(ctx, OPERATIONS[operation], request)


class Inside:
    """A running service with its database; made by `opened`."""

    def __init__(self, service: Service, dsn: str, home: Path, superuser: Any) -> None:
        self.service = service
        self.superuser = superuser
        """One plain connection, past the product."""
        self.dsn = dsn
        self._home = home

    async def agent(self, name: str, **parts: Any) -> Agent:
        """A caller of a new account on the unlimited plan; `parts` replace those of the service."""
        async with open_directory(self.dsn) as directory:
            account = await directory.create_account(name, "enterprise")
        return Agent(msgspec.structs.replace(self.service, **parts), account.id)

    async def connect(self) -> Any:
        """One more plain connection."""
        return await asyncpg.connect(self.dsn)

    async def rounds(self, works: Mapping[str, Work], times: int) -> dict[str, list[Spent]]:
        """What each work took, in each round. They take turns; a round before the first warms up."""
        spent: dict[str, list[Spent]] = {name: [] for name in works}
        for number in range(times + 1):
            for name, work in works.items():
                took = await self.measure(work, number)
                if number:
                    spent[name].append(took)
        return spent

    async def measure(self, work: Work, number: int) -> Spent:
        """What one round took."""
        database, cpu, began = database_seconds(self._home), time.process_time(), time.perf_counter()
        requests = await work(number)
        seconds, cpu, after = time.perf_counter() - began, time.process_time() - cpu, database_seconds(self._home)
        database_cpu = None if database is None or after is None else after - database
        return Spent(requests=requests, seconds=seconds, cpu=cpu, database_cpu=database_cpu)


@contextlib.asynccontextmanager
async def opened() -> AsyncGenerator[Inside]:
    """A service without embedder over an empty home; both are gone afterwards."""
    with temporary_home() as home, EmbeddedPostgres.open(home) as postgres:
        await migrate.migrate(postgres.dsn)
        superuser = await asyncpg.connect(postgres.dsn)
        try:
            async with open_service(read_settings({"AURRA_EMBEDDER": "none"}), postgres.dsn) as service:
                yield Inside(service, postgres.dsn, home, superuser)
        finally:
            await superuser.close()


def run(work: Coroutine[Any, Any, T]) -> T:
    """Runs it on the event loop that serves, where there is one for this platform."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)


def one_by_one(times: int, send: Send) -> Work:
    """A round of requests, one after the other."""

    async def work(_: int) -> int:
        for _ in range(times):
            await send()
        return times

    return work


def at_once(writers: int, times: int, send: Send) -> Work:
    """A round of as many requests at a time as there are writers, each writer's one after the other."""
    alone = one_by_one(times, send)

    async def work(number: int) -> int:
        return sum(await asyncio.gather(*(alone(number) for _ in range(writers))))

    return work


def ratio(ours: Sequence[Spent], floor: Sequence[Spent], value: Callable[[Spent], float]) -> float:
    """The median over the rounds of what ours is of the floor."""
    return statistics.median(value(one) / value(other) for one, other in zip(ours, floor, strict=True))


def beside(spent: Sequence[Spent]) -> str:
    """CPU milliseconds a request: of this process, and of PostgreSQL."""
    requests = sum(one.requests for one in spent)
    here = 1000 * sum(one.cpu for one in spent) / requests
    database = [one.database_cpu for one in spent if one.database_cpu is not None]
    there = f"{1000 * sum(database) / requests:.2f}" if len(database) == len(spent) else "–"
    return f"{here:.2f} + {there} ms"
