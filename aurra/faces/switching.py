"""`aurra embeddings`: which embedder search compares by, the switch to another, and what is left of earlier ones."""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncGenerator
from typing import Any

import click
import msgspec

from aurra.errors import AurraError, CannotStart, Unavailable
from aurra.ops import embedding
from aurra.ops.following import LOOK_SECONDS
from aurra.providers.base import Embedder
from aurra.providers.embed import full_name, open_embedder
from aurra.settings import Settings
from aurra.store import embedders, pool, provision, pruning
from aurra.store.accounts import AccountRow, Directory, open_directory
from aurra.store.embedders import EmbedderRow
from aurra.store.pool import Database

_LINGER_SECONDS = 2 * LOOK_SECONDS + 1
"""After which every process has noticed; what one writes later, with vectors made before, it makes up for itself."""


class Progress:
    """What a command tells while it works: a bar on a terminal, else lines; with `--json`, an object a line."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._bar: Any = None
        self._done = self._total = 0

    def say(self, event: str, sentence: str, **facts: Any) -> None:
        """One line: the sentence, or the event with its facts."""
        click.echo(msgspec.json.encode({"event": event, **facts}).decode() if self._as_json else sentence)
        sys.stdout.flush()

    def begin(self, total: int) -> None:
        """So much is to be done."""
        self._done, self._total = 0, total
        if not self._as_json and sys.stdout.isatty():
            self._bar = click.progressbar(length=total, label="contents", show_pos=True)
            self._bar.render_progress()

    def advance(self, count: int) -> None:
        """So much more is done; lines are told at each tenth."""
        before, self._done = self._done, self._done + count
        # What was written meanwhile was not foreseen.
        self._total = max(self._total, self._done)
        if self._bar is not None:
            self._bar.length = self._total
            self._bar.update(count)
        elif self._as_json or before * 10 // self._total < self._done * 10 // self._total:
            self.say("progress", f"{self._done:,} of {self._total:,} contents", done=self._done, total=self._total)

    def end(self) -> None:
        """The bar is finished."""
        if self._bar is not None:
            self._bar.render_finish()
            self._bar = None


class Installation(msgspec.Struct, frozen=True):
    """The database, as its operator (accounts) and as the service (their rows)."""

    directory: Directory
    database: Database

    async def fill(self, embedder: Embedder, progress: Progress | None = None) -> int:
        """Every content of every account has its vectors; how many lacked them."""
        return sum(
            [
                await embedding.fill(self.database, account.id, embedder, progress and progress.advance)
                for account in await self.directory.list_accounts()
            ]
        )

    async def missing(self, model: str) -> tuple[int, int]:
        """All contents there are, and how many lack the model's vector."""
        counted = [await self._count(account, model) for account in await self.directory.list_accounts()]
        return sum(count.contents for count in counted), sum(count.missing for count in counted)

    async def stored(self) -> dict[str, int]:
        """How many vectors there are of each model."""
        stored: dict[str, int] = {}
        for account in await self.directory.list_accounts():
            async with self.database.read(account.id) as tx:
                for row in await embedders.models_stored(tx):
                    stored[row.model] = stored.get(row.model, 0) + row.vectors
        return stored

    async def _count(self, account: AccountRow, model: str) -> embedders.Counted:
        async with self.database.read(account.id) as tx:
            return await embedders.count(tx, model)


async def switch(settings: Settings, name: str, progress: Progress, *, prunes: bool) -> None:
    """The installation's embedder is that of this name, and nothing that is stored lacks its vector.

    The service goes on with the old one until then. Killed, and run again, it goes on where it was. Raises CannotStart
    where the new one cannot be opened or does not answer: then nothing has changed.
    """
    async with _installation(settings) as installation:
        name = full_name(name, settings)
        embedder = await open_embedder(name, settings)
        try:
            await _switch(installation, name, embedder, progress)
        finally:
            if embedder is not None:
                await embedder.close()
        if prunes:
            await _prune(installation, progress)


async def _switch(installation: Installation, name: str, embedder: Embedder | None, progress: Progress) -> None:
    model, dimension = (embedder.name, embedder.dimension) if embedder else ("", 0)
    if embedder is not None:
        await _require_answer(embedder)
    is_active = await _is_active(installation.database, name, model, dimension)
    if is_active:
        await embedders.stop(installation.database)
    else:
        await embedders.start(installation.database, name, model, dimension)
    if embedder is not None:
        await _fill(installation, embedder, progress)
    if not is_active:
        if not await embedders.activate(installation.database, name, model):
            raise CannotStart("Somebody began to switch to another embedder meanwhile; the active one is as it was.")
        progress.say("active", f"{name} is the embedder now", embedder=name, model=model, dimension=dimension)
        if embedder is not None:
            await _linger(installation, embedder, progress)
    progress.say("done", f"nothing lacks a vector of {name}" if model else "search goes by words alone", embedder=name)


async def _require_answer(embedder: Embedder) -> None:
    """Returns when it embeds a sentence. Raises CannotStart."""
    try:
        (vector,) = await embedder.embed(["a sentence"])
    except Unavailable as error:
        raise CannotStart(f"{error} Nothing was changed.") from None
    if len(vector) != embedder.dimension:
        raise CannotStart(f"The embedder {embedder.name} makes vectors of {len(vector)} numbers.")


async def _is_active(database: Database, name: str, model: str, dimension: int) -> bool:
    active = await embedders.active(database)
    if active is None or active.name != name:
        return False
    if active.model != model:
        raise CannotStart(
            f"{name} makes vectors of {dimension} numbers now, and the memories' have {active.dimension}: "
            f"switch to {name.partition(' at ')[0]}@{dimension}."
        )
    return True


async def _fill(installation: Installation, embedder: Embedder, progress: Progress) -> None:
    """A whole look over all accounts has found nothing that lacks a vector."""
    _, missing = await installation.missing(embedder.name)
    progress.say(
        "filling",
        f"{missing:,} contents lack a vector of {embedder.name}",
        model=embedder.name,
        dimension=embedder.dimension,
        missing=missing,
    )
    progress.begin(missing)
    try:
        while await installation.fill(embedder, progress):
            pass
    finally:
        progress.end()


async def _linger(installation: Installation, embedder: Embedder, progress: Progress) -> None:
    """What was written by processes that had not noticed yet has its vectors too."""
    until = time.monotonic() + _LINGER_SECONDS
    late = 0
    while True:
        is_last = time.monotonic() >= until
        late += await installation.fill(embedder)
        if is_last:
            break
        await asyncio.sleep(1)
    if late:
        progress.say("late", f"{late:,} contents were written meanwhile", contents=late)


async def status(settings: Settings, progress: Progress) -> None:
    """Tells which embedder is active, which is on its way, and of which others vectors are kept."""
    async with _installation(settings) as installation:
        stored = await installation.stored()
        active = await embedders.active(installation.database)
        if active is None:
            progress.say("fresh", f"none yet; the first start takes {settings.aurra_embedder}")
        for state, row in (("active", active), ("filling", await embedders.filling(installation.database))):
            if row is not None:
                await _tell(installation, state, row, progress)
                stored.pop(row.model, None)
        for model, vectors in stored.items():
            progress.say(
                "kept", f"kept     {model}: {vectors:,} vectors; `aurra embeddings prune` removes them",
                model=model, vectors=vectors,
            )  # fmt: skip


async def _tell(installation: Installation, state: str, row: EmbedderRow, progress: Progress) -> None:
    contents, missing = await installation.missing(row.model) if row.model else (0, 0)
    have = f"{contents - missing:,} of {contents:,} contents"
    progress.say(
        state,
        f"{state:8} {row.name}: {row.model}, {row.dimension} dimensions; {have}"
        if row.model
        else f"{state:8} {row.name}: search goes by words alone",
        embedder=row.name,
        model=row.model,
        dimension=row.dimension,
        since=row.since,
        contents=contents,
        missing=missing,
    )


async def prune(settings: Settings, progress: Progress) -> None:
    """Vectors of models that are neither active nor on their way are gone."""
    async with _installation(settings) as installation:
        await _prune(installation, progress)


async def _prune(installation: Installation, progress: Progress) -> None:
    active = await embedders.active(installation.database)
    if active is None:
        raise CannotStart("No embedder is active yet: the first `aurra serve` takes that of AURRA_EMBEDDER.")
    filling = await embedders.filling(installation.database)
    kept = [row.model for row in (active, filling) if row is not None]
    pruned = sum(
        [
            await pruning.prune(installation.directory, account, kept)
            for account in await installation.directory.list_accounts()
        ]
    )
    progress.say("pruned", f"{pruned:,} vectors of other models are gone", vectors=pruned)


@contextlib.asynccontextmanager
async def _installation(settings: Settings) -> AsyncGenerator[Installation]:
    """Open on the database of the settings. What stops a command on the way is one sentence."""
    try:
        async with provision.database(settings) as dsn, open_directory(dsn) as directory:
            database = await pool.open_database(dsn, size=2)
            try:
                yield Installation(directory, database)
            finally:
                await database.close()
    except AurraError as error:
        raise CannotStart(f"{error} Run the command again: it goes on where it was.") from error
