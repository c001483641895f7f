"""What trust costs: `python -m tests.bench.trust` (`make bench-trust`).

Authentication, row-level security, idempotency and the rate limit, each by itself, in CPU milliseconds a request of
this process and of PostgreSQL together; and how often the database is asked on behalf of a request that is refused. All
in one run on one embedded PostgreSQL; nothing is asserted.
"""

import statistics
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID, uuid4

import httpx2
import msgspec

from aurra.app import build_app
from aurra.context import Context
from aurra.faces import auth
from aurra.keys import Terms
from aurra.ops import OPERATIONS, call
from aurra.store.accounts import open_directory
from aurra.store.plans import Change
from aurra.store.queries import load
from aurra.types.common import Request
from aurra.types.memories import MemoryGet, MemoryWrite
from tests.bench.inside import Inside, Spent, Work, one_by_one, opened, run
from tests.bench.running import table
from tests.counted import Counted

ROUNDS = 7
REQUESTS = 400
REFUSALS = 200
AIM = 1.0
"""CPU milliseconds a request for all of it."""
_LIMIT = 1_000_000
"""Requests a minute: so many that none is refused, and few enough to be counted."""
_STATEMENT = load("memories")["identity"]


class Door:
    """A key of an account whose plan is counted and never reached, and what is asked with it."""

    def __init__(self, inside: Inside, key: str, company_id: UUID) -> None:
        self.service = inside.service
        self.company_id = company_id
        self.header = f"Bearer {key}"
        self.memory_id = ""

    async def do(self, operation: str, request: Request, key: str | None = None) -> Any:
        """The bare operation: its caller is known, nothing is counted."""
        caller = await auth.authenticate(self.service, self.header)
        ctx = Context(service=self.service, caller=caller, request_id=uuid4().hex, idempotency_key=key)
        return await call(ctx, OPERATIONS[operation], request)

    async def authenticate(self) -> object:
        """As every request does."""
        return await auth.authenticate(self.service, self.header)

    async def admit(self) -> object:
        """As every request does."""
        caller = await auth.authenticate(self.service, self.header)
        return await self.service.limiter.admit(self.service.database, caller.company_id, caller.key_id, None)

    async def read(self) -> object:
        """One memory by its id."""
        return await self.do("memories.get", MemoryGet(memory_id=self.memory_id))

    async def store(self) -> object:
        """A memory without a key …"""
        return await self.do("memories.add", MemoryWrite(content=f"fact {uuid4().hex}"))

    async def store_once(self) -> object:
        """… and with one."""
        return await self.do("memories.add", MemoryWrite(content=f"fact {uuid4().hex}"), key=uuid4().hex)


def both(spent: Spent) -> float:
    """CPU milliseconds a request, of this process and of PostgreSQL."""
    return 1000 * (spent.cpu + (spent.database_cpu or 0.0)) / spent.requests


def median(rounds: list[Spent]) -> float:
    """Of all rounds."""
    return statistics.median(map(both, rounds))


def beyond(rounds: Mapping[str, list[Spent]], name: str, floor: str) -> float:
    """What one costs more than the other, the median over the rounds; noise may make it negative."""
    return statistics.median(both(one) - both(other) for one, other in zip(rounds[name], rounds[floor], strict=True))


async def _statement(connection: Any, door: Door, role: str | None) -> Callable[[], Awaitable[object]]:
    """One memory by its key, as the service's role or past row-level security."""
    await connection.execute(f"SET aurra.company_id = '{door.company_id}'")
    if role:
        await connection.execute(f"SET ROLE {role}")
    prepared = await connection.prepare(_STATEMENT.sql)
    known = {"company_id": door.company_id, "memory_id": UUID(door.memory_id), "ceiling": 2**62}
    arguments = [known[name] for name in _STATEMENT.parameters]

    async def send() -> object:
        return await prepared.fetch(*arguments)

    return send


async def costs(inside: Inside, door: Door) -> tuple[list[list[str]], float]:
    """A row each, and their sum."""
    works: dict[str, Work] = {
        "authentication": one_by_one(5 * REQUESTS, door.authenticate),
        "authentication and rate limit": one_by_one(5 * REQUESTS, door.admit),
        "a memory by its id, the operation alone": one_by_one(REQUESTS, door.read),
        "a stored memory, the operation alone": one_by_one(REQUESTS, door.store),
        "a stored memory, once for its key": one_by_one(REQUESTS, door.store_once),
        "a statement past row-level security": one_by_one(
            5 * REQUESTS, await _statement(await inside.connect(), door, None)
        ),
        "a statement under row-level security": one_by_one(
            5 * REQUESTS, await _statement(await inside.connect(), door, "aurra_app")
        ),
    }
    rounds = await inside.rounds(works, ROUNDS)
    parts = {
        "authentication": median(rounds["authentication"]),
        "rate limit": beyond(rounds, "authentication and rate limit", "authentication"),
        "row-level security": beyond(
            rounds, "a statement under row-level security", "a statement past row-level security"
        ),
        "idempotency": beyond(rounds, "a stored memory, once for its key", "a stored memory, the operation alone"),
    }
    total = sum(parts.values())
    floors = {name: median(rounds[name]) for name in works if name.endswith("the operation alone")}
    rows = [[name, f"{cost:.3f} ms", "", ""] for name, cost in parts.items()]
    rows.append(["together", f"{total:.3f} ms", f"≤ {AIM:g} ms", "yes" if total <= AIM else "NO"])
    for name, cost in floors.items():
        rows.append([name, f"{cost:.3f} ms", "", ""])
        rows.append(["  together, of that", f"{total / cost:.2f} ×", "", ""])
    return rows, total


async def refusals(inside: Inside, key: str, small: str, narrow: str) -> list[list[str]]:
    """How often the database is asked for each request that is refused."""
    database = Counted(inside.service.database)
    service = msgspec.structs.replace(inside.service, database=database)
    transport = httpx2.ASGITransport(build_app(service))  # type: ignore[arg-type]
    rows: list[list[str]] = []
    async with httpx2.AsyncClient(transport=transport, base_url="http://aurra") as client:
        mistyped = f"{key[:-1]}{'0' if key[-1] != '0' else '1'}"
        for name, presented, path, status in (
            ("a key with a typing error", mistyped, "/plan/status", 401),
            ("no key", "", "/plan/status", 401),
            ("a scope that is missing", narrow, "/agent/settings", 403),
            ("too many requests a minute", small, "/plan/status", 429),
        ):
            headers = {"Authorization": f"Bearer {presented}"} if presented else {}
            # What must be learned once is learned before.
            for _ in range(40):
                await client.get(path, headers=headers)
            before, refused = database.asked, 0
            for _ in range(REFUSALS):
                refused += (await client.get(path, headers=headers)).status_code in (status, 429)
            asked = (database.asked - before) / REFUSALS
            # Whatever is asked with it, a key is looked up again every three seconds.
            is_none = asked < 0.05
            rows.append([f"{name}: {refused} refused", f"{asked:.2f} times", "0", "yes" if is_none else "NO"])
    return rows


async def measure() -> str:
    """The table."""
    async with opened() as inside:
        async with open_directory(inside.dsn) as directory:
            every = Change(writes_limit=2**53 - 1, key_requests_per_minute=_LIMIT, account_requests_per_minute=_LIMIT)
            await directory.set_plan("counted", every)
            await directory.set_plan("small", msgspec.structs.replace(every, key_requests_per_minute=12))
            account = await directory.create_account("bench", "counted")
            few = await directory.create_account("few", "small")
            scopes = ["memories:read", "memories:write", "query", "usage:read"]
            key = (await directory.create_key(account, Terms(scopes=scopes))).raw
            narrow = (await directory.create_key(account, Terms(scopes=["usage:read"]))).raw
            small = (await directory.create_key(few, Terms(scopes=scopes))).raw
        door = Door(inside, key, account.id)
        door.memory_id = (await door.do("memories.add", MemoryWrite(content="Kim lives in Oslo"))).memory_id
        rows, _ = await costs(inside, door)
        rows += await refusals(inside, key, small, narrow)
    return table(["CPU a request, this process and PostgreSQL", "value", "aim", "reached"], rows)


def main() -> None:
    """Prints the table."""
    print(run(measure()))


if __name__ == "__main__":
    main()
