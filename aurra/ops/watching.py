"""Looking whether an account has newer transactions, for all in this process who follow it.

One look a second serves them all, and one more whenever this process commits. Nobody holds a connection meanwhile. What
is seen only wakes them: what each is told, it reads for itself, as far as its key may know of it.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from uuid import UUID

import structlog

from aurra.context import Service, Watch
from aurra.store import ledger

log = structlog.get_logger("aurra")

LOOK_SECONDS = 1.0


@contextlib.asynccontextmanager
async def watching(service: Service, company_id: UUID) -> AsyncGenerator[Watch]:
    """The account is looked at until nobody follows it any more."""
    watch = service.news.watches.setdefault(company_id, Watch())
    watch.followers += 1
    if watch.task is None:
        watch.task = asyncio.create_task(_look(service, company_id, watch))
    try:
        yield watch
    finally:
        watch.followers -= 1
        if not watch.followers:
            del service.news.watches[company_id]
            watch.task.cancel()


async def _look(service: Service, company_id: UUID, watch: Watch) -> None:
    """Looks, until cancelled."""
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await watch.look.wait()
        watch.look.clear()
        try:
            async with service.database.read(company_id) as tx:
                watch.saw((await ledger.head(tx, service.clock())).last_tx)
        except Exception as error:
            # The next look finds what this one would have.
            log.warning("the ledger cannot be looked at", why=type(error).__name__)
