"""Whether this process can answer requests now, part by part.

The embedder counts as ready once it is open here. One that is asked over the network is not asked for this: its outage
would take every process out at once, also for what needs no new vector, and no restart would mend it.
"""

import asyncio
import time

import msgspec

from aurra.context import Service
from aurra.errors import Unavailable
from aurra.providers.embed.in_use import Unopened
from aurra.store import health

_LOOK_SECONDS = 2.5
_KEPT_SECONDS = 0.5


class Ready(msgspec.Struct, frozen=True):
    """Of each part, `ok` or what is wrong with it."""

    parts: dict[str, str]

    @property
    def is_ready(self) -> bool:
        return all(said == "ok" for said in self.parts.values())


class Readiness:
    """What was found out last, for half a second: however many ask, the database is asked once."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._looking: asyncio.Task[dict[str, str]] | None = None
        self._found: tuple[float, dict[str, str]] | None = None

    async def look(self) -> Ready:
        """The state of every part."""
        service = self._service
        process = "it was told to end, and finishes what was begun" if service.is_draining else "ok"
        embedder = "the installation's cannot be opened here" if isinstance(service.embedder, Unopened) else "ok"
        # Whoever goes away must not stop the look that others wait for.
        database = {} if service.is_draining else await asyncio.shield(self._look_at_database())
        return Ready({"process": process, **database, "embedder": embedder})

    def _look_at_database(self) -> "asyncio.Future[dict[str, str]]":
        if self._looking is not None and not self._looking.done():
            return self._looking
        if self._found is not None and time.monotonic() - self._found[0] < _KEPT_SECONDS:
            known: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()
            known.set_result(self._found[1])
            return known
        self._looking = asyncio.create_task(self._ask())
        return self._looking

    async def _ask(self) -> dict[str, str]:
        database = role = migrations = "ok"
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                found = await health.look(self._service.database)
            role = "ok" if found.is_bound else f"{found.role} is not bound by row-level security"
            migrations = "ok" if not found.pending else f"{len(found.pending)} are pending"
        except Unavailable as error:
            database = str(error).removesuffix("; nothing was stored.").removesuffix(".")
        except TimeoutError:
            database = f"it does not answer within {_LOOK_SECONDS:g} seconds"
        except Exception as error:
            # Whatever it is, nobody would be answered.
            database = f"it refuses the service ({type(error).__name__})"
        parts = {"database": database}
        if database == "ok":
            parts |= {"role": role, "migrations": migrations}
        self._found = (time.monotonic(), parts)
        return parts
