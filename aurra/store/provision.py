"""The database of the settings: a server that is there, or the embedded one, started for as long as it is used."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from aurra.errors import CannotStart
from aurra.settings import Settings
from aurra.store import migrate as migrations
from aurra.store.embedded import EmbeddedPostgres


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
