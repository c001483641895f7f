"""`aurra doctor`: the installation, and invariants of live data. `aurra secrets rewrap`: all that is sealed, anew."""

from collections.abc import AsyncIterator

import click
import msgspec

from aurra.errors import CannotStart, Unavailable
from aurra.ops.following import open_row
from aurra.providers.embed import full_name, open_embedder
from aurra.sealing import CannotOpen
from aurra.settings import Settings
from aurra.store import embedders, migrate, pool, provision, signing
from aurra.store.accounts import AccountRow, Directory, open_directory
from aurra.store.embedders import EmbedderRow
from aurra.store.pool import Database
from aurra.store.secret_keys import SecretKeys


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


async def rewrap(settings: Settings) -> bool:
    """Every stored key that can be opened is sealed with the first secret key; prints each that was not, or cannot be.

    Whether all could be opened.
    """
    well, changed = True, 0
    if (ring := SecretKeys(settings).find()) is None:
        raise CannotStart("There is no secret key: set AURRA_SECRET_KEYS; `aurra secrets new` makes one.")
    async with provision.database(settings) as dsn, open_directory(dsn) as directory:
        for account in await directory.list_accounts():
            try:
                changed += await directory.rewrap_stored_key(account, ring)
            except CannotOpen as error:
                click.echo(f"FAIL account {account.name}: {_unreadable(error)}")
                well = False
            async with directory.act_on(account) as tx:
                resealed, broken = await signing.rewrap(tx, ring)
            changed += resealed
            if broken:
                click.echo(f"FAIL account {account.name}: {_unsignable(broken)}")
                well = False
    click.echo(f"{changed} stored keys are sealed with {ring.first} now; all others were")
    return well


async def _findings(settings: Settings) -> AsyncIterator[Finding]:
    async with provision.database(settings, prepare=False) as dsn:
        waiting = await migrate.pending(dsn)
        yield Finding(True, f"database: {'DATABASE_URL' if settings.dsn else f'embedded in {settings.home}'}")
        yield Finding(not waiting, f"migrations: {', '.join(waiting) + ' pending' if waiting else 'all applied'}")
        if waiting:
            return
        await migrate.require_safe(dsn)
        yield Finding(True, "role aurra_app can neither bypass row-level security nor rewrite the past")
        database = await pool.open_database(dsn, size=1)
        try:
            row = await embedders.active(database)
            yield await _embedder(settings, row)
            async for finding in _accounts(dsn, SecretKeys(settings), database, row):
                yield finding
        finally:
            await database.close()


async def _embedder(settings: Settings, row: EmbedderRow | None) -> Finding:
    """That the installation's embedder answers, here; of a fresh one, the settings'."""
    name = row.name if row else full_name(settings.aurra_embedder, settings)
    state = "active" if row else "for the first start"
    try:
        embedder = await (open_row(settings, row) if row else open_embedder(name, settings))
        if embedder is None:
            return Finding(True, f"embedder {name}, {state}: search goes by words alone")
        try:
            size = len((await embedder.embed(["a sentence"]))[0])
        finally:
            await embedder.close()
    except (CannotStart, Unavailable) as error:
        return Finding(False, f"embedder {name}, {state}: {error}")
    wanted = row.dimension if row else embedder.dimension
    return Finding(size == wanted, f"embedder {name}, {state}: {embedder.name}, {size} dimensions of {wanted}")


async def _vectors(database: Database, account: AccountRow, row: EmbedderRow) -> Finding:
    """That every content has a vector of the active model, and of its dimension."""
    async with database.read(account.id) as tx:
        counted = await embedders.count(tx, row.model)
        stored = await embedders.models_stored(tx)
    wrong = sum(one.vectors for one in stored if one.model == row.model and one.dimension != row.dimension)
    return Finding(
        not counted.missing and not wrong,
        f"account {account.name}: {counted.missing} of {counted.contents} contents lack a vector of {row.model}"
        + (f"; {wrong} vectors do not have {row.dimension} dimensions" if wrong else "")
        + (f"; `aurra embeddings switch '{row.name}'` makes them" if counted.missing else ""),
    )


async def _accounts(
    dsn: str, secret_keys: SecretKeys, database: Database, row: EmbedderRow | None
) -> AsyncIterator[Finding]:
    async with open_directory(dsn) as directory:
        for account in await directory.list_accounts():
            if row is not None and row.model:
                yield await _vectors(database, account, row)
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
            remembered = await directory.remembers_plan(account)
            yield Finding(
                remembered,
                f"account {account.name}: its history of plans "
                + ("ends with" if remembered else "does not end with")
                + f" the plan in force, {account.plan}",
            )
            if finding := await _stored_key(directory, account, secret_keys):
                yield finding
            async with directory.act_on(account) as tx:
                tried = await signing.try_secrets(tx, secret_keys.find())
            if tried:
                broken = [key_id for key_id, is_open in tried if not is_open]
                said = _unsignable(broken) if broken else f"the signing secrets of {len(tried)} keys open"
                yield Finding(not broken, f"account {account.name}: {said}")


async def _stored_key(directory: Directory, account: AccountRow, secret_keys: SecretKeys) -> Finding | None:
    """Whether the key of the account's model can be opened; None where none is stored."""
    try:
        by = await directory.try_stored_key(account, secret_keys.find())
    except CannotOpen as error:
        return Finding(False, f"account {account.name}: {_unreadable(error)}")
    return Finding(True, f"account {account.name}: the stored key of its model opens with {by}") if by else None


def _unsignable(keys: list[str]) -> str:
    return f"the signing secrets of {', '.join(keys)} cannot be opened"


def _unreadable(error: CannotOpen) -> str:
    return f"the stored key of its model cannot be opened: {error}"
