"""Reading history: a memory's versions, transactions, the difference between two of them."""

import datetime as dt
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from aurra import difference, instants, pages, texts
from aurra.context import Context
from aurra.cursors import TransactionCursor
from aurra.errors import BadRequest
from aurra.ops import checks, paging, reasons
from aurra.ops.moments import Moment, find, resolve
from aurra.ops.reading import looking_at
from aurra.ops.registry import operation
from aurra.store import history, ledger, memories
from aurra.store.history import CauseRow, EntryRow, StatedRow
from aurra.store.ledger import Numbered
from aurra.store.pool import Transaction
from aurra.types.common import TransactionRef
from aurra.types.history import (
    Change,
    ClosedVersion,
    Diff,
    Difference,
    OpenedVersion,
    Side,
    TransactionEntry,
    TransactionFound,
    TransactionGet,
    TransactionList,
    TransactionPage,
    Version,
    Versions,
)
from aurra.types.memories import MemoryGet

MOST_TOUCHED = 20_000
"""Versions opened or closed between the transactions of one difference."""
MOST_BYTES = 32_000_000
"""Of the texts of one answer that does not page."""


@operation(
    "memories.versions",
    "GET",
    "/memories/{memory_id}/versions",
    scope="memories:read",
    keeps_ceiling=True,
    aliases=("/agent/memories/{memory_id}/versions",),
)
async def versions(ctx: Context, request: MemoryGet) -> Versions:
    """Every version of a memory: what was believed of it, about when, and since when."""
    async with looking_at(ctx, request) as (tx, moment, identity):
        found = await memories.versions_of(tx, moment.number, identity.id)
        rows = await stated(tx, moment.number, [row.version for row in found])
    return Versions(
        memory_id=str(identity.id),
        versions=[shown_version(row) for row in rows],
        transaction=moment.transaction,
        as_of=moment.shown_as_of,
    )


@operation("transactions.list", "GET", "/agent/transactions", scope="audit:read", keeps_ceiling=True)
async def list_transactions(ctx: Context, request: TransactionList) -> TransactionPage:
    """Transactions, newest first; with `since` those after it, oldest first, so that a consumer keeps the number it has
    reached."""
    limit = checks.clamp(request.limit, 20)
    tenant = _tenant(ctx, request.tenant_id)
    if request.since is not None and request.since < 0:
        raise BadRequest("`since` must not be negative.", code="out_of_range", param="since")
    after = paging.place_of(ctx, request.cursor, TransactionCursor)
    last, is_ascending = (after.last, after.is_ascending) if after else (request.since, request.since is not None)
    async with ctx.database.read(ctx.company_id) as tx:
        moment = await resolve(tx, ctx.service.clock(), *paging.times(request, after))
        if is_ascending:
            after_number = min(last or 0, moment.number)
            entries = await history.entries_after(tx, after_number, moment.number, tenant, limit=limit + 1)
        else:
            until = moment.number if last is None else last - 1
            entries = await history.entries_before(tx, until, tenant, limit=limit + 1)
        entries = await reasons.told(ctx, tx, entries)
    page, last = paging.cut(entries, limit)
    return TransactionPage(
        transactions=[shown_entry(row) for row in page],
        has_more=last is not None,
        next_cursor=last and _next(ctx, last, moment, is_ascending=is_ascending),
        transaction=moment.transaction,
        as_of=moment.shown_as_of,
    )


@operation("transactions.get", "GET", "/agent/transactions/{tx}", scope="audit:read", keeps_ceiling=True)
async def get(ctx: Context, request: TransactionGet) -> TransactionFound:
    """One transaction: who, when, why, and every version that it opened and closed."""
    number = checks.parse_number(request.tx)
    tenant = _tenant(ctx, None)
    async with ctx.database.read(ctx.company_id) as tx:
        moment = await resolve(tx, ctx.service.clock(), request.as_of, request.transaction_as_of)
        entry = await history.find_entry(tx, number, tenant) if 0 < number <= moment.number else None
        if entry is None:
            raise checks.missing("transaction")
        [entry] = await reasons.told(ctx, tx, [entry])
        touched = await history.opened_and_closed(tx, number, tenant)
        rows = await stated(tx, number, [row.version for row in touched])
    opened = sum(row.is_opened for row in touched)
    return TransactionFound(
        id=entry.id,
        at=instants.show(entry.at),
        verb=entry.verb,
        actor=entry.actor,
        reason=entry.reason,
        request_id=entry.request_id,
        model=entry.model,
        writes=entry.writes,
        opened=[OpenedVersion(**_fields(row)) for row in rows[:opened]],
        closed=[ClosedVersion(**_fields(row), replaced_by=_text(row.replaced_by)) for row in rows[opened:]],
        erased=entry.erased,
        hash=entry.hash.hex(),
        transaction=moment.transaction,
        as_of=moment.shown_as_of,
    )


@operation(
    "transactions.diff",
    "GET",
    "/agent/diff",
    scope="memories:read",
    keeps_ceiling=True,
    markdown=pages.difference,
    command="diff {from} {to}",
    example={"from": 1},
)
async def diff(ctx: Context, request: Diff) -> Difference:
    """The net difference after one transaction, up to another: what is believed now in the place of what.

    With `as_of` only what is true at that instant; what was erased has no instant left, and is always named. `Accept:
    text/markdown` gives a page to read.
    """
    tenant = ctx.tenant(request.tenant_id)
    at = instants.parse_optional(request.as_of, "as_of")
    async with ctx.database.read(ctx.company_id) as tx:
        head = await ledger.head(tx, ctx.service.clock())
        last = Numbered(head.last_tx, head.last_at) if request.to is None else await find(tx, head, request.to, "to")
        first = await find(tx, head, request.from_, "from")
        if first.id > last.id:
            raise BadRequest(f"`from` ({first.id}) must not be later than `to` ({last.id}).", param="from")
        changes = await _changes(ctx, tx, first.id, last.id, tenant, at)
    return Difference(
        from_=TransactionRef(id=first.id, at=instants.show(first.at)),
        to=TransactionRef(id=last.id, at=instants.show(last.at)),
        as_of=instants.show_optional(at),
        changes=changes,
    )


async def stated(tx: Transaction, number: int, versions: Sequence[UUID]) -> list[StatedRow]:
    """The versions with what they say, in the order asked. Raises BadRequest for more text than an answer carries."""
    if not versions:
        return []
    if await history.size(tx, versions) > MOST_BYTES:
        raise BadRequest(f"This is more than {MOST_BYTES // 1_000_000} MB of text: ask for less at once.")
    return await history.stated(tx, number, versions)


async def _changes(
    ctx: Context, tx: Transaction, first: int, last: int, tenant: str, at: dt.datetime | None
) -> list[Change]:
    """The changes of a tenant over (first, last], in order. Raises BadRequest when they are too many."""
    touched = await history.touched(tx, first, last, tenant, at, limit=MOST_TOUCHED + 1)
    erased = await history.erased(tx, first, last, tenant, limit=MOST_TOUCHED + 1)
    if len(touched) > MOST_TOUCHED or len(erased) > MOST_TOUCHED:
        raise BadRequest(
            f"More than {MOST_TOUCHED:,} versions changed in between: bring `from` and `to` closer together.",
            code="out_of_range",
            param="from",
        )
    found = [
        change for change in difference.between(touched, first, last) if at is None or difference.holds(change, at)
    ]
    sides = {side.version for change in found for side in (change.before, change.after) if side}
    said = {row.version: row for row in await stated(tx, last, sorted(sides))}
    changes = [change for change in found if not _says_the_same(change, said)]
    numbers = {change.transaction for change in changes} | {row.erased_by for row in erased}
    causes = {row.id: row for row in await reasons.told(ctx, tx, await history.causes(tx, numbers))}
    shown = [_change(change, said, causes[change.transaction], tenant) for change in changes]
    shown += [_erased(row.memory_id, causes[row.erased_by], tenant) for row in erased]
    return sorted(shown, key=_place)


def _says_the_same(change: difference.Change, said: dict[UUID, StatedRow]) -> bool:
    """Whether it leads back to the same words: corrected, and corrected again."""
    if change.before is None or change.after is None or change.before.memory != change.after.memory:
        return False
    return said[change.before.version].text == said[change.after.version].text


def _change(change: difference.Change, said: dict[UUID, StatedRow], cause: CauseRow, tenant: str) -> Change:
    def side(held: difference.Rectangle | None) -> Side | None:
        return held and Side(
            memory_id=str(held.memory),
            decision=said[held.version].text,
            valid_from=instants.show(change.start),
            valid_to=instants.show_optional(change.end),
            version=str(held.version),
        )

    held = change.after or change.before
    named = said[held.version] if held else None
    return Change(
        kind=difference.kind(change, cause.verb),
        tenant_id=tenant or None,
        subject=named and named.subject,
        attribute=named and named.attribute,
        before=side(change.before),
        after=side(change.after),
        superseded_by=_text(change.successor),
        transaction=cause.id,
        actor=cause.actor,
        reason=cause.reason,
    )


def _erased(memory_id: UUID, cause: CauseRow, tenant: str) -> Change:
    return Change(
        kind="erased",
        tenant_id=tenant or None,
        subject=None,
        attribute=None,
        before=Side(memory_id=str(memory_id), decision=None, valid_from=None, valid_to=None, version=None),
        after=None,
        superseded_by=None,
        transaction=cause.id,
        actor=cause.actor,
        reason=cause.reason,
    )


def _place(change: Change) -> tuple[bool, str, str, str, str]:
    """By subject (none comes last), attribute, memory, instant."""
    side = change.after or change.before
    names = (texts.comparable(change.subject or ""), texts.comparable(change.attribute or ""))
    return (change.subject is None, *names, side.memory_id if side else "", (side and side.valid_from) or "")


def _tenant(ctx: Context, asked: str | None) -> str | None:
    """The tenant whose transactions are read; None is all of them, for a key that is not pinned to one."""
    return None if asked is None and ctx.caller.tenant_id is None else ctx.tenant(asked)


def _next(ctx: Context, last: EntryRow, moment: Moment, *, is_ascending: bool) -> str:
    return paging.cursor_to(ctx, TransactionCursor(last.id, is_ascending, moment.number, moment.as_of))


def shown_entry(row: EntryRow) -> TransactionEntry:
    """A ledger's entry as lists show it."""
    return TransactionEntry(
        id=row.id,
        at=instants.show(row.at),
        verb=row.verb,
        actor=row.actor,
        reason=row.reason,
        request_id=row.request_id,
        model=row.model,
        writes=row.writes,
        opened_count=row.opened,
        closed_count=row.closed,
        hash=row.hash.hex(),
    )


def shown_version(row: StatedRow) -> Version:
    """A version with what it says."""
    return Version(
        version=str(row.version),
        decision=row.text,
        valid_from=instants.show(row.valid_from),
        valid_to=instants.show_optional(row.valid_to),
        opened_by=row.tx_from,
        closed_by=row.tx_to,
        transaction_time_start=instants.show(row.tx_from_at),
        transaction_time_end=instants.show_optional(row.tx_to_at),
        op=row.op,
        superseded_by=_text(row.superseded_by or row.replaced_by),
    )


def _fields(row: StatedRow) -> dict[str, Any]:
    return {
        "memory_id": str(row.memory_id),
        "version": str(row.version),
        "decision": row.text,
        "valid_from": instants.show(row.valid_from),
        "valid_to": instants.show_optional(row.valid_to),
        "superseded_by": _text(row.superseded_by),
        "op": row.op,
        "tenant_id": row.tenant_id or None,
        "subject": row.subject,
        "attribute": row.attribute,
    }


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)
