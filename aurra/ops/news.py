"""Following the ledger: every transaction of an account, as it is committed, in this process or in another.

Who follows keeps a number, so that none is missed however late it is told that there are more.
"""

from collections.abc import AsyncGenerator, Callable

from msgspec.structs import replace

from aurra.context import Context
from aurra.errors import BadRequest
from aurra.ops.history import shown_entry
from aurra.ops.moments import Moment, resolve
from aurra.ops.nodes import Node, Reading
from aurra.ops.watching import watching
from aurra.store import history
from aurra.store.history import EntryRow

_AT_ONCE = 100


async def transactions(current: Callable[[], Context], since: int | None) -> AsyncGenerator[Node]:
    """The transactions after a number, or from now on, oldest first and without end; under a ceiling, up to it.

    `current` gives the context of the next read, or raises what ends it. Raises BadRequest for a negative number.
    """
    if since is not None and since < 0:
        raise BadRequest("`since` must not be negative.", code="out_of_range", param="since")
    ctx = current()
    tenant = None if ctx.caller.tenant_id is None else ctx.tenant(None)
    async with watching(ctx.service, ctx.company_id) as watch:
        place = since
        while True:
            moved = watch.moved
            moment, rows = await _next(current(), tenant, place)
            for row in rows:
                # The key may have changed since they were read.
                up_to = current().caller.up_to
                if up_to is not None and row.id > up_to:
                    return
                yield _node(row, moment, tenant)
            is_all = len(rows) < _AT_ONCE
            place = moment.number if is_all else rows[-1].id
            if is_all and ctx.caller.up_to is not None and place >= ctx.caller.up_to:
                return
            if is_all and watch.newest <= moment.newest:
                await moved.wait()


async def _next(ctx: Context, tenant: str | None, place: int | None) -> tuple[Moment, list[EntryRow]]:
    """The moment, and what came until then; from no place on, nothing yet."""
    async with ctx.database.read(ctx.company_id) as tx:
        moment = await resolve(tx, ctx.service.clock(), None, None)
        if place is None:
            return moment, []
        after = min(place, moment.number)
        return moment, await history.entries_after(tx, after, moment.number, tenant, limit=_AT_ONCE)


def _node(row: EntryRow, moment: Moment, tenant: str | None) -> Node:
    """The transaction, read as of itself."""
    at = replace(moment, number=row.id, at=row.at, valid_at=None, flags_at=row.at, as_of=None, is_latest=False)
    return Node(shown=shown_entry(row), reading=Reading(moment=at, tenant_id=tenant))
