"""A database whose own settings differ from the embedded one's: what it answers must not depend on them."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import httpx2

from aurra.app import build_app, open_service
from aurra.context import Service
from aurra.settings import read_settings
from tests.conftest import Account
from tests.faces.wire import MEMORIES, ok
from tests.plain import execute

SLOT = {"subject": "kim", "attribute": "city"}


@contextlib.asynccontextmanager
async def clients_on(
    dsn: str, account: Account, setting: str, processes: int = 1
) -> AsyncGenerator[list[httpx2.AsyncClient]]:
    """Clients of the account, each of a service of its own, on the database with the setting."""
    await execute(dsn, f"ALTER DATABASE aurra SET {setting}")
    try:
        async with contextlib.AsyncExitStack() as stack:
            clients: list[httpx2.AsyncClient] = []
            for _ in range(processes):
                service = await stack.enter_async_context(open_service(read_settings({"AURRA_EMBEDDER": "none"}), dsn))
                app: Any = build_app(service)
                client = httpx2.AsyncClient(
                    transport=httpx2.ASGITransport(app=app),
                    base_url="http://aurra",
                    headers={"Authorization": f"Bearer {account.key}"},
                )
                clients.append(await stack.enter_async_context(client))
            yield clients
    finally:
        await execute(dsn, "ALTER DATABASE aurra RESET ALL")


async def test_the_time_zone_of_the_database_is_nobodys_business(service: Service, account: Account, dsn: str) -> None:
    """What a later transaction leaves over is hashed as it is verified; instants before zones had whole minutes too."""
    async with clients_on(dsn, account, "timezone = 'Europe/Berlin'") as (client,):
        for start, end in (("1700-01-01", "2030-01-01"), ("2010-01-01", "2020-01-01"), ("2012-01-01", "2013-01-01")):
            body = {"content": f"since {start}", "valid_from": start, "valid_to": end, **SLOT}
            answer = ok(await client.post(MEMORIES, json=body))
        assert {row["valid_from"][-6:] for row in answer["receipt"]["opened"]} == {"+00:00"}
        assert ok(await client.get("/agent/transactions/verify"))["ok"]


async def test_the_isolation_level_of_the_database_is_nobodys_business(
    service: Service, account: Account, dsn: str
) -> None:
    """A write waits for that of another process, and then reads what it wrote: READ COMMITTED, wherever it runs."""
    async with clients_on(dsn, account, "default_transaction_isolation = 'serializable'", processes=2) as clients:
        bodies = [{"content": f"memory {number}"} for number in range(20)]
        sent = [clients[number % 2].post(MEMORIES, json=body) for number, body in enumerate(bodies)]
        assert [response.status_code for response in await asyncio.gather(*sent)] == [200] * 20
