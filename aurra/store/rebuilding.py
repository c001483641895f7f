"""A database made anew from a backup, all of it or nothing, in one transaction."""

import contextlib
from collections.abc import AsyncGenerator
from typing import Any
from uuid import UUID

from aurra.errors import CannotStart
from aurra.store import backups, erasures, migrate, pool
from aurra.store.accounts import AccountRow, Directory
from aurra.store.backups import Backup, Counted, LedgerHead, Statement, TableFacts
from aurra.store.erasures import Erasures
from aurra.store.pool import Transaction
from aurra.store.queries import load
from aurra.store.verifying import Verdict

_Q = load("backups")


class Rebuilding:
    """The rebuilt database before it is committed."""

    def __init__(self, connection: Any, replaced: Erasures | None, columns: dict[str, list[str]]) -> None:
        self.directory = Directory(connection)
        self.replaced = replaced
        """What the database that is replaced knew; None where it was empty."""
        self.columns = columns
        """Of each table, as it is now."""


@contextlib.asynccontextmanager
async def rebuilt(dsn: str, backup: Backup, *, replaces: bool) -> AsyncGenerator[Rebuilding]:
    """Inside, the database holds what the backup holds, migrated and verified; it is committed at the end, and as it
    was before after any error. Raises CannotStart when something is there that must not be replaced, or does not
    verify."""
    waiting = await migrate.pending(dsn)
    connection = await pool.connect(dsn)
    try:
        await migrate.prepare(connection)
        await pool.register_vector(connection)
        async with connection.transaction(isolation="repeatable_read"):
            replaced = await _replaced(connection, waiting, replaces=replaces)
            columns = await _rebuild(connection, backup)
            rebuilding = Rebuilding(connection, replaced, columns)
            await _verify_heads(rebuilding.directory, backup.manifest.accounts)
            yield rebuilding
            for account in await rebuilding.directory.list_accounts():
                await _verified(rebuilding.directory, account)
            await migrate.check_safe(connection)
    finally:
        await connection.close()


async def _replaced(connection: Any, waiting: list[str], *, replaces: bool) -> Erasures | None:
    """What the database knew of erasures, if there is any account in it."""
    tx = Transaction(connection, UUID(int=0))
    serving = await tx.row(_Q["others_serving"], Counted)
    if serving is not None and serving.rows:
        raise CannotStart("A service uses this database: stop it first.")
    known = {table.name for table in await backups.tables(tx)}
    if "account" not in known:
        return None
    await connection.execute(f"SET LOCAL ROLE {pool.OWNER_ROLE}")
    directory = Directory(connection)
    accounts = await directory.list_accounts()
    if accounts and not replaces:
        raise CannotStart(f"The database holds {len(accounts)} accounts already: `--replace` puts the backup in place.")
    if accounts and waiting:
        raise CannotStart("The database that would be replaced is of an older release: run `aurra migrate` first.")
    found = await erasures.read(directory) if accounts else None
    await connection.execute("RESET ROLE")
    return found


async def _rebuild(connection: Any, backup: Backup) -> dict[str, list[str]]:
    made_by = backups.migrations_of(backup.manifest)
    names = {migration.name for migration in made_by}
    tx = Transaction(connection, UUID(int=0))
    await tx.execute(_Q["drop_all"])
    await migrate.build(connection, made_by)
    await connection.execute(backups.TEXT_FORM)
    await _fill(connection, tx, backup)
    await migrate.build(connection, [one for one in migrate.read_migrations() if one.name not in names])
    return {table.name: table.columns for table in await backups.tables(tx)}


async def _fill(connection: Any, tx: Transaction, backup: Backup) -> None:
    """The tables hold the backup's rows, and nothing else. Their owner is not bound by their policies meanwhile, which
    would refuse to copy; nobody else sees the tables yet."""
    there = await backups.tables(tx)
    kept = {(one.name, tuple(one.columns)) for one in there if one.is_kept}
    # A release that did not know what this one keeps out of backups may have made it, beside this one.
    dropped = {one.name for one in there if not one.is_kept}
    copies = [one for one in backup.manifest.tables if one.name not in dropped]
    if kept != {(one.name, tuple(one.columns)) for one in copies}:
        raise CannotStart("The backup's tables are not those that its migrations make.")
    forced = [table for table in there if table.is_forced]
    for table in forced:
        await _force(tx, table, is_forced=False)
    await tx.run(await _statement(tx, "emptying", names=[table.name for table in there]))
    for copy in copies:
        said: str = await connection.copy_to_table(
            copy.name, schema_name="public", columns=copy.columns, source=backup.pieces(copy.name)
        )
        if int(said.split()[-1]) != copy.rows:
            raise CannotStart(f"Of {copy.name}, {said.split()[-1]} rows were restored instead of {copy.rows}.")
    for table in forced:
        await _force(tx, table, is_forced=True)


async def _force(tx: Transaction, table: TableFacts, *, is_forced: bool) -> None:
    await tx.run(await _statement(tx, "forcing", name=table.name, is_forced=is_forced))


async def _statement(tx: Transaction, query: str, **arguments: Any) -> str:
    made = await tx.row(_Q[query], Statement, **arguments)
    assert made is not None
    return made.text


async def _verify_heads(directory: Directory, heads: list[LedgerHead]) -> None:
    """Each chain verifies, and ends where the backup says."""
    wanted = {head.account: head for head in heads}
    accounts = await directory.list_accounts()
    if {account.id for account in accounts} != wanted.keys():
        raise CannotStart("The backup's accounts are not those that its manifest names.")
    for account in accounts:
        found = (await _verified(directory, account)).head
        if (found.last_tx, found.last_hash.hex()) != (wanted[account.id].last_tx, wanted[account.id].hash):
            raise CannotStart(f"The ledger of account {account.name!r} does not end where the backup says.")


async def _verified(directory: Directory, account: AccountRow) -> Verdict:
    verdict = await directory.verify(account)
    if verdict.first_bad is not None:
        raise CannotStart(
            f"The ledger of account {account.name!r} does not verify: {verdict.first_bad}: {verdict.why}."
        )
    return verdict
