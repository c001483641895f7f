"""What a process holds of the limits of its callers is given back where it is not used."""

import asyncio

import structlog

from aurra.context import Service

log = structlog.get_logger("aurra")

LOOK_SECONDS = 1.0


async def give_back(service: Service) -> None:
    """Gives back, every second, until cancelled."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            await service.limiter.give_back(service.database, service.clock())
        except Exception as error:
            # What could not be given back comes back by itself, a few seconds later.
            log.warning("unused requests cannot be given back", why=type(error).__name__)
