"""When each key was used last: noted at every request, written in the background, a few seconds apart."""

import asyncio
import datetime as dt
from uuid import UUID

import structlog

from aurra.context import Service
from aurra.store import accounts, api_keys

log = structlog.get_logger("aurra")

WRITE_SECONDS = 20.0
"""Between two times that this process writes down what it noted: each is within a minute, and no request waits."""


async def keep(service: Service) -> None:
    """Writes down what is noted, again and again, until cancelled."""
    while True:
        await asyncio.sleep(WRITE_SECONDS)
        await write(service)


async def write(service: Service) -> None:
    """What is noted is written, a transaction for each account; what cannot be now is noted again."""
    waiting = service.last_uses.take()
    try:
        for company_id in list(waiting):
            await _write(service, company_id, waiting[company_id])
            del waiting[company_id]
    except Exception as error:
        # Whatever it is, this process would write nothing ever after, or not end well.
        log.warning("the last uses of keys wait", why=type(error).__name__)
    finally:
        for company_id, ages in waiting.items():
            service.last_uses.give_back(company_id, ages)


async def _write(service: Service, company_id: UUID, ages: dict[str, float]) -> None:
    async with service.database.begin(company_id) as tx:
        now = service.clock() or await accounts.now(tx)
        uses = {key_id: now - dt.timedelta(seconds=age) for key_id, age in ages.items()}
        await api_keys.note_uses(tx, uses)
