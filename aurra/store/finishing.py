"""Makes what was erased unreadable on disk as well: tables and statistics are written anew, the old log is removed.

The service goes on; while a table is written, requests that need it wait a second and get 503.
"""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID

import msgspec

from aurra.errors import CannotStart
from aurra.store import backups, pool
from aurra.store.backups import Counted, Statement
from aurra.store.pool import Transaction
from aurra.store.queries import load

_Q = load("finishing")
_SNAPSHOT_SECONDS = 60.0
_LOOK_SECONDS = 0.1
_TRIES = 5
_CLEARS_STATISTICS = 180000

Tell = Callable[[str], None]


class Mark(msgspec.Struct, frozen=True):
    xid: str


class Rights(msgspec.Struct, frozen=True):
    version: int
    is_superuser: bool
    owns_database: bool
    may_checkpoint: bool
    may_switch: bool

    @property
    def clears_statistics(self) -> bool:
        """Whether all that the planner knows of rows can be forgotten."""
        return self.owns_database and (self.version >= _CLEARS_STATISTICS or self.is_superuser)


class Place(msgspec.Struct, frozen=True):
    place: str


class Segment(msgspec.Struct, frozen=True):
    name: str


class Done(msgspec.Struct, frozen=True):
    is_done: bool


async def finish(dsn: str, tell: Tell, *, is_ours: bool) -> None:
    """What was erased before is in no page, no statistics and, where the server `is_ours`, no segment of the log any
    more. `tell` hears what was done, and what is left to somebody else. Raises CannotStart when a transaction that may
    still see it does not end within a minute."""
    connection = await pool.connect(dsn)
    tx = Transaction(connection, UUID(int=0))
    try:
        rights = await tx.row(_Q["rights"], Rights)
        assert rights is not None
        await _await_snapshots(tx)
        await connection.execute("SET lock_timeout = '15s'")
        names = [table.name for table in await backups.tables(tx)]
        if rights.clears_statistics and rights.version < _CLEARS_STATISTICS:
            await tx.execute(_Q["delete_statistics"], names=names)
        await connection.execute(f"SET ROLE {pool.OWNER_ROLE}")
        if rights.version >= _CLEARS_STATISTICS:
            await tx.rows(_Q["clear_statistics"], Done, names=names)
        for name in names:
            await _rewrite(connection, tx, "public", name)
        await connection.execute("RESET ROLE")
        tell(f"done: {len(names)} tables and their indexes are written anew, and hold nothing that was deleted")
        if rights.clears_statistics:
            await _rewrite(connection, tx, "pg_catalog", "pg_statistic")
            tell("done: the planner's statistics hold nothing that was deleted")
        else:
            tell("left: the planner's statistics may hold it until the database's owner empties pg_statistic")
        await _leave_log(tx, rights, tell, is_ours=is_ours)
    finally:
        await connection.close()


async def _await_snapshots(tx: Transaction) -> None:
    """Nobody has a snapshot any more in which what was erased is there."""
    mark = await tx.row(_Q["mark"], Mark)
    assert mark is not None
    deadline = asyncio.get_running_loop().time() + _SNAPSHOT_SECONDS
    while (older := await tx.row(_Q["older"], Counted, mark=mark.xid)) and older.rows:
        if asyncio.get_running_loop().time() > deadline:
            raise CannotStart(
                f"{older.rows} transactions have been open for a minute and may still see what was erased: end them "
                "(pg_stat_activity shows them), then run it again."
            )
        await asyncio.sleep(_LOOK_SECONDS)


async def _rewrite(connection: Any, tx: Transaction, schema: str, name: str) -> None:
    made = await tx.row(_Q["rewriting"], Statement, schema=schema, name=name)
    assert made is not None
    for attempt in range(1, _TRIES + 1):
        try:
            await connection.execute(made.text)
        except pool.LockNotAvailable:
            if attempt == _TRIES:
                raise CannotStart(f"The table {name} is in use all the time: try again when there is less.") from None
        else:
            return


async def _leave_log(tx: Transaction, rights: Rights, tell: Tell, *, is_ours: bool) -> None:
    if is_ours:
        await _remove_log(tx)
        tell("done: the write-ahead log begins anew; its segments from before are removed")
        tell("left: backups made before hold it; `aurra restore` erases it again")
        return
    if rights.may_checkpoint and rights.may_switch:
        await tx.execute(_Q["checkpoint"])
        await tx.row(_Q["switch"], Place)
        await tx.execute(_Q["checkpoint"])
        tell("done: the write-ahead log goes on in another segment; the server overwrites those from before in time")
    else:
        tell("left: the write-ahead log holds it until the server has overwritten its segments")
    tell(
        "left: replicas' logs, archived segments and backups go by their own retention; `aurra restore` erases it again"
    )


async def _remove_log(tx: Transaction) -> None:
    """No segment is left that was there before, not even among those kept for the future."""
    await tx.execute(_Q["stop_recycling"])
    try:
        await tx.row(_Q["reload"], Done)
        await tx.execute(_Q["checkpoint"])
        before = {segment.name for segment in await tx.rows(_Q["segments"], Segment)}
        for _ in range(len(before) + 2):
            await tx.row(_Q["step"], Place)
            await tx.row(_Q["switch"], Place)
            await tx.execute(_Q["checkpoint"])
            if not before & {segment.name for segment in await tx.rows(_Q["segments"], Segment)}:
                return
        raise CannotStart("The write-ahead log keeps old segments: something holds them, a replication slot perhaps.")
    finally:
        await tx.execute(_Q["recycle_again"])
        await tx.row(_Q["reload"], Done)
