"""The database of the settings: a server that is there, or the embedded one, started for as long as it is used."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import structlog

from aurra.errors import CannotStart
from aurra.settings import Settings
from aurra.store import migrate as migrations
from aurra.store.embedded import EmbeddedPostgres
from aurra.store.pool import Database

log = structlog.get_logger("aurra")
_LOOK_SECONDS = 1.0


@contextlib.asynccontextmanager
async def database(settings: Settings, *, prepare: bool = True) -> AsyncGenerator[str]:
    """The URL of the database, which is running while this is open.

    The embedded one is migrated; of another, pending migrations stop the command, unless `prepare` is off.
    """
    if settings.dsn:
        if prepare and (waiting := await migrations.pending(settings.dsn)):
            raise CannotStart(f"{len(waiting)} migrations are pending: run `aurra migrate`.")
        yield settings.dsn
        return
    postgres = await asyncio.to_thread(EmbeddedPostgres.open, settings.home)
    try:
        if prepare:
            await migrations.migrate(postgres.dsn)
        yield postgres.dsn
    finally:
        await asyncio.to_thread(postgres.close)


@contextlib.asynccontextmanager
async def kept_alive(settings: Settings, database: Database) -> AsyncGenerator[None]:
    """While this is open, an embedded server that died is started again; another server is left alone."""
    if settings.dsn:
        yield
        return
    watch = asyncio.create_task(_watch(settings, database))
    try:
        yield
    finally:
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch


async def _watch(settings: Settings, database: Database) -> None:
    lease: EmbeddedPostgres | None = None
    try:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if await database.is_ready():
                continue
            log.warning("the embedded database does not answer; starting it again")
            try:
                # Adopts the server if it lives after all.
                new = await asyncio.to_thread(EmbeddedPostgres.open, settings.home)
            except CannotStart as error:
                log.error("the embedded database cannot be started", why=str(error))
                continue
            if lease is not None:
                await asyncio.to_thread(lease.close)
            lease = new
    finally:
        if lease is not None:
            lease.close()
