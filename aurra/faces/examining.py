"""`aurra doctor`: the installation, and invariants of live data. `aurra secrets rewrap`: all that is sealed, anew."""

import datetime as dt
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import click
import msgspec

from aurra.errors import CannotStart, Unavailable
from aurra.ops.following import open_row
from aurra.providers.embed import full_name, open_embedder
from aurra.sealing import CannotOpen
from aurra.settings import Settings
from aurra.store import embedders, invariants, migrate, pool, provision, signing
from aurra.store.accounts import AccountRow, Directory, now, open_directory
from aurra.store.embedders import EmbedderRow
from aurra.store.invariants import Broken
from aurra.store.pool import Database
from aurra.store.secret_keys import SecretKeys

_LEAST_FREE = 512 * 2**20
"""Bytes that a busy write-ahead log may need before its next checkpoint."""
_MOST_APART = 10.0
"""Seconds between the clocks of service and database."""


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at: the check's name, whether all is well, what was found, and whose it is."""

    check: str
    is_well: bool
    what: str
    account: str | None = None

    def __str__(self) -> str:
        whose = "" if self.account is None else f"account {self.account}: "
        return f"{'ok  ' if self.is_well else 'FAIL'} {whose}{self.what}"


async def examine(settings: Settings, *, as_json: bool = False) -> bool:
    """Prints each finding, or all as one JSON object; whether all is well."""
    found: list[Finding] = []
    try:
        async for finding in _findings(settings):
            found.append(finding)
            if not as_json:
                click.echo(str(finding))
    except CannotStart as error:
        found.append(Finding("start", False, str(error)))
        if not as_json:
            click.echo(str(found[-1]))
    well = all(finding.is_well for finding in found)
    if as_json:
        shown = [{"check": one.check, "ok": one.is_well, "account": one.account, "what": one.what} for one in found]
        click.echo(msgspec.json.encode({"ok": well, "findings": shown}).decode())
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
                resealed, broken = await signing.rewrap(tx, ring, await now(tx))
            changed += resealed
            if broken:
                click.echo(f"FAIL account {account.name}: {_unsignable(broken)}")
                well = False
    click.echo(f"{changed} stored keys are sealed with {ring.first} now; all others were")
    return well


async def _findings(settings: Settings) -> AsyncIterator[Finding]:
    async with provision.database(settings, prepare=False) as dsn:
        waiting = await migrate.pending(dsn)
        yield Finding(
            "database", True, f"database: {'DATABASE_URL' if settings.dsn else f'embedded in {settings.home}'}"
        )
        yield Finding(
            "migrations", not waiting, f"migrations: {', '.join(waiting) + ' pending' if waiting else 'all applied'}"
        )
        if not settings.dsn:
            yield disk(settings.home)
        if waiting:
            return
        await migrate.require_safe(dsn)
        yield Finding("roles", True, "role aurra_app can neither bypass row-level security nor rewrite the past")
        async with open_directory(dsn) as directory:
            async for finding in _whole(directory):
                yield finding
        database = await pool.open_database(dsn, size=1)
        try:
            row = await embedders.active(database)
            yield await _embedder(settings, row)
            async for finding in _accounts(dsn, SecretKeys(settings), database, row):
                yield finding
        finally:
            await database.close()


def disk(home: Path, least_free: int = _LEAST_FREE) -> Finding:
    """That the embedded database has room to grow."""
    free = shutil.disk_usage(home).free
    return Finding("disk", free >= least_free, f"disk: {free // 2**20} MiB are free, and {least_free // 2**20} needed")


async def clocks(directory: Directory, most_apart: float = _MOST_APART) -> Finding:
    """That service and database agree on the time."""
    asked = dt.datetime.now(dt.UTC)
    at = await directory.now()
    apart = abs((at - asked - (dt.datetime.now(dt.UTC) - asked) / 2).total_seconds())
    return Finding("clock", apart <= most_apart, f"clocks of service and database are {apart:.1f} s apart")


async def _whole(directory: Directory) -> AsyncIterator[Finding]:
    """What is asked of the whole database."""
    yield await clocks(directory)
    at = await directory.now()
    for name, law in invariants.OF_ALL.items():
        yield _held(name, law, await directory.check(None, name, at))


def _held(name: str, law: str, broken: Broken, account: str | None = None) -> Finding:
    """Whether an invariant holds."""
    said = f"{law}; broken {broken.wrong} times" + (f", as by {broken.example}" if broken.example else "")
    return Finding(name, not broken.wrong, said if broken.wrong else law, account)


async def _embedder(settings: Settings, row: EmbedderRow | None) -> Finding:
    """That the installation's embedder answers, here; of a fresh one, the settings'."""
    name = row.name if row else full_name(settings.aurra_embedder, settings)
    state = "active" if row else "for the first start"
    try:
        embedder = await (open_row(settings, row) if row else open_embedder(name, settings))
        if embedder is None:
            return Finding("embedder", True, f"embedder {name}, {state}: search goes by words alone")
        try:
            size = len((await embedder.embed(["a sentence"]))[0])
        finally:
            await embedder.close()
    except (CannotStart, Unavailable) as error:
        return Finding("embedder", False, f"embedder {name}, {state}: {error}")
    wanted = row.dimension if row else embedder.dimension
    return Finding(
        "embedder", size == wanted, f"embedder {name}, {state}: {embedder.name}, {size} dimensions of {wanted}"
    )


async def _vectors(database: Database, account: AccountRow, row: EmbedderRow) -> Finding:
    """That every content has a vector of the active model, and of its dimension."""
    async with database.read(account.id) as tx:
        counted = await embedders.count(tx, row.model)
        stored = await embedders.models_stored(tx)
    wrong = sum(one.vectors for one in stored if one.model == row.model and one.dimension != row.dimension)
    return Finding(
        "vectors",
        not counted.missing and not wrong,
        f"{counted.missing} of {counted.contents} contents lack a vector of {row.model}"
        + (f"; {wrong} vectors do not have {row.dimension} dimensions" if wrong else "")
        + (f"; `aurra embeddings switch '{row.name}'` makes them" if counted.missing else ""),
        account.name,
    )


async def _accounts(
    dsn: str, secret_keys: SecretKeys, database: Database, row: EmbedderRow | None
) -> AsyncIterator[Finding]:
    async with open_directory(dsn) as directory:
        for account in await directory.list_accounts():
            if row is not None and row.model:
                yield await _vectors(database, account, row)
            async for finding in _ledger(directory, account):
                yield finding
            at = await directory.now()
            for name, law in invariants.OF_ACCOUNTS.items():
                yield _held(name, law, await directory.check(account, name, at), account.name)
            async for finding in sealed(directory, account, secret_keys):
                yield finding


async def _ledger(directory: Directory, account: AccountRow) -> AsyncIterator[Finding]:
    """That the chain, its numbers and the meter say what is stored."""
    count = await directory.count(account)
    verdict = await directory.verify(account)
    yield Finding(
        "chain",
        verdict.first_bad is None,
        f"{verdict.checked} transactions verified"
        + (f"; {verdict.first_bad} is wrong: {verdict.why}" if verdict.first_bad is not None else ""),
        account.name,
    )
    yield Finding(
        "numbers",
        count.last_tx == count.transactions,
        f"{count.transactions} transactions, numbered to {count.last_tx}",
        account.name,
    )
    yield Finding(
        "meter",
        count.writes_used == count.memories_in_period,
        f"{count.memories} memories; this period's meter {count.writes_used}, "
        f"memories first committed in it {count.memories_in_period}",
        account.name,
    )
    remembered = await directory.remembers_plan(account)
    yield Finding(
        "plan_history",
        remembered,
        f"its history of plans {'ends with' if remembered else 'does not end with'} the plan in force, {account.plan}",
        account.name,
    )


async def sealed(directory: Directory, account: AccountRow, secret_keys: SecretKeys) -> AsyncIterator[Finding]:
    """That what the account has sealed can be opened here."""
    if finding := await _stored_key(directory, account, secret_keys):
        yield finding
    async with directory.act_on(account) as tx:
        tried = await signing.try_secrets(tx, secret_keys.find(), await now(tx))
    if tried:
        broken = [key_id for key_id, is_open in tried if not is_open]
        said = _unsignable(broken) if broken else f"the signing secrets of {len(tried)} keys open"
        yield Finding("signing_secrets", not broken, said, account.name)


async def _stored_key(directory: Directory, account: AccountRow, secret_keys: SecretKeys) -> Finding | None:
    """Whether the key of the account's model can be opened; None where none is stored."""
    try:
        by = await directory.try_stored_key(account, secret_keys.find())
    except CannotOpen as error:
        return Finding("stored_key", False, _unreadable(error), account.name)
    return Finding("stored_key", True, f"the stored key of its model opens with {by}", account.name) if by else None


def _unsignable(keys: list[str]) -> str:
    return f"the signing secrets of {', '.join(keys)} cannot be opened"


def _unreadable(error: CannotOpen) -> str:
    return f"the stored key of its model cannot be opened: {error}"
