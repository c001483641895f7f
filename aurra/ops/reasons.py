"""Why something was done is told to those who may see all that it was done to."""

from collections.abc import Sequence
from typing import TypeVar

from msgspec.structs import replace

from aurra.context import Context
from aurra.store import history
from aurra.store.history import CauseRow, EntryRow
from aurra.store.memories import EventRow
from aurra.store.pool import Transaction

R = TypeVar("R", EntryRow, EventRow, CauseRow)


async def told(ctx: Context, tx: Transaction, rows: Sequence[R]) -> list[R]:
    """The transactions, without the reason of each that touched another tenant than the one the key is pinned to: it
    was written for both, and may name either."""
    pinned = ctx.caller.tenant_id
    if pinned is None:
        return list(rows)
    shared = await history.shared(tx, {row.id for row in rows if row.reason is not None}, pinned)
    return [replace(row, reason=None) if row.id in shared else row for row in rows]
