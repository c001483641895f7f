"""The service's embedder follows the installation's: the row that `aurra embeddings switch` changes is the truth."""

import asyncio
import contextlib

import structlog

from aurra.context import Service
from aurra.errors import CannotStart, Unavailable
from aurra.providers.base import Embedder
from aurra.providers.embed import full_name, open_embedder
from aurra.providers.embed.in_use import InUse, Unopened
from aurra.settings import Settings
from aurra.store import embedders
from aurra.store.embedders import EmbedderRow
from aurra.store.pool import Database

log = structlog.get_logger("aurra")

LOOK_SECONDS = 2.0
"""Between two looks at the row; in each process."""


async def open_first(settings: Settings, database: Database) -> Embedder | None:
    """The installation's embedder; of a fresh one, the settings', which it then is. Raises CannotStart."""
    row = await embedders.active(database)
    if row is None:
        embedder = await open_embedder(settings.aurra_embedder, settings)
        model, dimension = (embedder.name, embedder.dimension) if embedder else ("", 0)
        name = full_name(settings.aurra_embedder, settings)
        row = await embedders.adopt(database, name, model, dimension)
        if row.name == name:
            return embedder and InUse(embedder)
        if embedder is not None:
            await embedder.close()
    _tell_difference(settings, row)
    return await open_row(settings, row)


async def open_row(settings: Settings, row: EmbedderRow) -> Embedder | None:
    """The embedder of a row. Raises CannotStart where it cannot be opened, or would make other vectors."""
    embedder = await open_embedder(row.name, settings, dimension=row.dimension)
    if embedder is None:
        return None
    if embedder.name != row.model:
        await embedder.close()
        raise CannotStart(
            f"The memories' vectors are of {row.model}, and here {row.name} makes those of {embedder.name}: "
            "install the release that made them, or switch with `aurra embeddings switch`."
        )
    return InUse(embedder)


def _tell_difference(settings: Settings, row: EmbedderRow) -> None:
    try:
        configured = full_name(settings.aurra_embedder, settings)
    except CannotStart:
        configured = settings.aurra_embedder
    if configured != row.name:
        log.warning(
            "AURRA_EMBEDDER is for a fresh installation only; `aurra embeddings switch` changes this one's",
            embedder=row.name,
            configured=configured,
        )


async def follow(service: Service) -> None:
    """Keeps the service's embedder the installation's, until cancelled."""
    before: Embedder | None = None
    try:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            # Whoever took it at the last look has begun with it by now.
            before = await _retired(before)
            try:
                row = await embedders.active(service.database)
            except Exception as error:
                # Whatever it is, it is looked again: this process would notice no switch ever after.
                log.warning("the embedder cannot be looked up", why=type(error).__name__)
                continue
            if row is not None and not _is_of(service.embedder, row):
                # From now on, what is still written with the old one is made up for.
                service.vectors_of = row.model
                before, service.embedder = service.embedder, await _opened(service, row)
                log.info("the embedder is another", embedder=row.name)
    finally:
        if before is not None:
            await before.close()


def _is_of(embedder: Embedder | None, row: EmbedderRow) -> bool:
    """Whether it is the row's, and works."""
    return not isinstance(embedder, Unopened) and (embedder.name if embedder else "") == row.model


async def _opened(service: Service, row: EmbedderRow) -> Embedder | None:
    """The row's embedder, ready to answer at once; the old one serves meanwhile."""
    try:
        embedder = await open_row(service.settings, row)
    except CannotStart as error:
        log.error("the embedder cannot be opened; searches and writes get 503", embedder=row.name, why=str(error))
        return Unopened(row.model, row.dimension)
    if embedder is not None:
        # One that does not answer now is the installation's all the same.
        with contextlib.suppress(Unavailable):
            await embedder.embed(["a sentence"])
    return embedder


async def _retired(embedder: Embedder | None) -> None:
    if isinstance(embedder, InUse):
        await embedder.retire()
    elif embedder is not None:
        await embedder.close()
