"""`aurra doctor`: the installation, and invariants of live data."""

from collections.abc import AsyncIterator

import click
import msgspec

from aurra.errors import CannotStart
from aurra.providers.embed import open_embedder
from aurra.settings import Settings
from aurra.store import migrate, provision
from aurra.store.accounts import open_directory


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    is_well: bool
    what: str


async def examine(settings: Settings) -> bool:
    """Prints each finding; whether all is well."""
    well = True
    try:
        async for finding in _findings(settings):
            click.echo(f"{'ok  ' if finding.is_well else 'FAIL'} {finding.what}")
            well = well and finding.is_well
    except CannotStart as error:
        click.echo(f"FAIL {error}")
        return False
    return well


async def _findings(settings: Settings) -> AsyncIterator[Finding]:
    embedder = open_embedder(settings.aurra_embedder)
    if embedder is None:
        yield Finding(True, "embedder: none; search is lexical")
    else:
        size = len((await embedder.embed(["a sentence"]))[0])
        await embedder.close()
        yield Finding(size == embedder.dimension, f"embedder {embedder.name}: {size} dimensions")
    async with provision.database(settings, prepare=False) as dsn:
        waiting = await migrate.pending(dsn)
        yield Finding(True, f"database: {'DATABASE_URL' if settings.dsn else f'embedded in {settings.home}'}")
        yield Finding(not waiting, f"migrations: {', '.join(waiting) + ' pending' if waiting else 'all applied'}")
        if waiting:
            return
        await migrate.require_safe(dsn)
        yield Finding(True, "role aurra_app can neither bypass row-level security nor rewrite the past")
        async for finding in _accounts(dsn):
            yield finding


async def _accounts(dsn: str) -> AsyncIterator[Finding]:
    async with open_directory(dsn) as directory:
        for account in await directory.list_accounts():
            count = await directory.count(account)
            verdict = await directory.verify(account)
            yield Finding(
                verdict.first_bad is None,
                f"account {account.name}: {verdict.checked} transactions verified"
                + (f"; {verdict.first_bad} is wrong: {verdict.why}" if verdict.first_bad else ""),
            )
            yield Finding(
                count.last_tx == count.transactions,
                f"account {account.name}: {count.transactions} transactions, numbered to {count.last_tx}",
            )
            yield Finding(
                count.writes_used == count.memories_in_period,
                f"account {account.name}: {count.memories} memories; this period's meter {count.writes_used}, "
                f"memories first committed in it {count.memories_in_period}",
            )
