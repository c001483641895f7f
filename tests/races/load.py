"""Clients that write and read while something goes wrong, and note how each attempt ended."""

import asyncio
import time
from collections import Counter
from uuid import uuid4

import httpx2

from aurra.keys import Terms, parse_scopes
from aurra.store import migrate
from aurra.store.accounts import open_directory
from tests.plain import connected


class Load:
    """Writers that retry every write under its own key until it is acknowledged, and readers.

    `outcomes` counts answers by status, and connections that were refused or broke, by the name of the error.
    """

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self.key = key
        self.acknowledged: dict[str, str] = {}
        self.padding = ""
        self.outcomes: Counter[str] = Counter()
        self.without_retry_after = 0
        self.slowest = 0.0
        self.successes: list[float] = []
        self.stopping = asyncio.Event()

    async def write(self, number: int, *, keeps_connection: bool) -> None:
        """Writes until told to stop; the last write is carried to its acknowledgement."""
        async with self._client() as kept:
            while not self.stopping.is_set():
                content, key = f"writer {number}: {uuid4()}{self.padding}", uuid4().hex
                while (answer := await self._try_write(kept if keeps_connection else None, content, key)) is None:
                    await asyncio.sleep(0.02)
                self.acknowledged[content] = answer.json()["memory_id"]

    async def read(self) -> None:
        """Lists until told to stop."""
        async with self._client() as client:
            while not self.stopping.is_set():
                await self._try(client, "GET", "/agent/memories?limit=3", {})
                await asyncio.sleep(0.02)

    def first_success_after(self, instant: float) -> float:
        """Seconds from the instant to the first answer after it."""
        return min(success for success in self.successes if success >= instant) - instant

    async def _try_write(self, client: httpx2.AsyncClient | None, content: str, key: str) -> httpx2.Response | None:
        if client is not None:
            return await self._try(client, "POST", "/agent/memories", {"Idempotency-Key": key}, content)
        async with self._client() as fresh:
            return await self._try(fresh, "POST", "/agent/memories", {"Idempotency-Key": key}, content)

    async def _try(
        self, client: httpx2.AsyncClient, method: str, path: str, headers: dict[str, str], content: str | None = None
    ) -> httpx2.Response | None:
        began = time.monotonic()
        try:
            body = None if content is None else {"content": content}
            answer = await client.request(method, self.url + path, json=body, headers=headers)
        except httpx2.TransportError as error:
            self.outcomes[type(error).__name__] += 1
            return None
        finally:
            self.slowest = max(self.slowest, time.monotonic() - began)
        self.outcomes[str(answer.status_code)] += 1
        if answer.status_code == 200:
            self.successes.append(time.monotonic())
            return answer
        self.without_retry_after += answer.status_code == 503 and "Retry-After" not in answer.headers
        return None

    def _client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(headers={"Authorization": f"Bearer {self.key}"}, timeout=60)


async def written(load: Load, more: int) -> None:
    """Returns when so many more writes are acknowledged."""
    goal = len(load.acknowledged) + more
    deadline = time.monotonic() + 60
    while len(load.acknowledged) < goal:
        assert time.monotonic() < deadline, f"no progress: {load.outcomes}"
        await asyncio.sleep(0.005)


async def new_key(dsn: str) -> str:
    """The key of a new account; the database is migrated first."""
    await migrate.migrate(dsn)
    async with open_directory(dsn) as directory:
        account = await directory.create_account(f"load-{uuid4().hex}", "enterprise")
        return (await directory.create_key(account, Terms(scopes=parse_scopes("full")))).raw


async def stored(dsn: str) -> dict[str, str]:
    """Everything the database holds, content to id, past the product; and it is metered once, and verifies."""
    async with connected(dsn) as connection:
        rows = await connection.fetch("SELECT text, memory_id FROM content")
        used = await connection.fetchval("SELECT sum(writes_used) FROM ledger")
    assert used == len(rows) == len({row["text"] for row in rows}), "a write was stored or metered twice"
    async with open_directory(dsn) as directory:
        for account in await directory.list_accounts():
            assert (await directory.verify(account)).first_bad is None
    return {row["text"]: str(row["memory_id"]) for row in rows}
