"""What an account used: sums over its ledger, to the unit. Reads are not counted; they cost nothing."""

import datetime as dt
from typing import Any

import msgspec

from aurra import instants, plans
from aurra.changes import Head
from aurra.context import Context
from aurra.cursors import KeyUsedCursor, UsageCursor
from aurra.errors import BadRequest
from aurra.ops import checks, metering, paging
from aurra.ops.registry import operation
from aurra.store import ledger, usage
from aurra.store.pool import Transaction
from aurra.store.usage import DetailRow, HeldRow, KeyUsedRow, Span
from aurra.types.accounts import PlanStatus
from aurra.types.common import TransactionRef
from aurra.types.usage import (
    DayUsed,
    Detail,
    Held,
    KeyUsed,
    UsageByKey,
    UsageDetailed,
    UsageDetails,
    UsageOfKeys,
    UsageSummarized,
    UsageSummary,
    VerbUsed,
)


@operation("usage.summary", "GET", "/usage/summary", scope="usage:read")
async def summary(ctx: Context, request: UsageSummary) -> UsageSummarized:
    """Writes and transactions of a span, by day and by verb; what the account holds; where its plan stands."""
    checks.require_whole_account(ctx, "usage and plan are")
    async with ctx.database.read(ctx.company_id) as tx:
        head = await ledger.head(tx, ctx.service.clock())
        span = _span(head, request)
        days = await usage.by_day(tx, span)
        verbs = await usage.by_verb(tx, span)
        held = await usage.held(tx)
    return UsageSummarized(
        from_=instants.show(span.start),
        to=instants.show(span.until),
        writes=sum(row.writes for row in days),
        transactions=sum(row.transactions for row in days),
        days=[DayUsed(day=row.day.isoformat(), writes=row.writes, transactions=row.transactions) for row in days],
        verbs=[VerbUsed(verb=row.verb, writes=row.writes, transactions=row.transactions) for row in verbs],
        held=_held(held),
        transaction=_transaction(head.last_tx, head.last_at),
        **_plan(metering.plan_status(head)),
    )


@operation("usage.details", "GET", "/usage/details", scope="usage:read")
async def details(ctx: Context, request: UsageDetails) -> UsageDetailed:
    """Writes and transactions of a span by day, verb and key, the newest day first."""
    checks.require_whole_account(ctx, "usage and plan are")
    limit = checks.clamp(request.limit, 100)
    place = paging.place_of(ctx, request.cursor, UsageCursor)
    async with ctx.database.read(ctx.company_id) as tx:
        span, read_at = await _spanned(ctx, tx, request, place)
        rows = await usage.details(tx, span, place and (place.day, place.verb, place.actor), limit + 1)
    page, last = paging.cut(rows, limit)
    return UsageDetailed(
        from_=instants.show(span.start),
        to=instants.show(span.until),
        details=[_detail(row) for row in page],
        has_more=last is not None,
        next_cursor=last
        and paging.cursor_to(ctx, UsageCursor(last.day, last.verb, last.actor, span.start, span.until, span.number)),
        transaction=read_at,
    )


@operation("usage.by_key", "GET", "/usage/by-key", scope="usage:read")
async def by_key(ctx: Context, request: UsageByKey) -> UsageOfKeys:
    """Writes and transactions of a span, key by key, and when each key was last used."""
    checks.require_whole_account(ctx, "usage and plan are")
    limit = checks.clamp(request.limit, 100)
    place = paging.place_of(ctx, request.cursor, KeyUsedCursor)
    async with ctx.database.read(ctx.company_id) as tx:
        span, read_at = await _spanned(ctx, tx, request, place)
        rows = await usage.by_key(tx, span, place and place.actor, limit + 1)
    page, last = paging.cut(rows, limit)
    return UsageOfKeys(
        from_=instants.show(span.start),
        to=instants.show(span.until),
        keys=[_key(row) for row in page],
        has_more=last is not None,
        next_cursor=last and paging.cursor_to(ctx, KeyUsedCursor(last.actor, span.start, span.until, span.number)),
        transaction=read_at,
    )


async def _spanned(
    ctx: Context, tx: Transaction, request: UsageSummary, place: UsageCursor | KeyUsedCursor | None
) -> tuple[Span, TransactionRef]:
    """The span of all pages, and the transaction that they are read at."""
    head = await ledger.head(tx, ctx.service.clock())
    if place is None:
        return _span(head, request), _transaction(head.last_tx, head.last_at)
    span = _going_on(head, place)
    read_at = await ledger.find_transaction(tx, span.number)
    assert read_at is not None
    return span, _transaction(read_at.id, read_at.at)


def _going_on(head: Head, place: UsageCursor | KeyUsedCursor) -> Span:
    """The span of the first page. Raises BadRequest for one of a transaction that a restore took back."""
    if place.number > head.last_tx:
        raise BadRequest("This cursor is of a transaction that is not there.", code="invalid_cursor", param="cursor")
    return Span(place.start, place.until, place.number)


def _span(head: Head, request: UsageSummary) -> Span:
    """What is asked for, up to the newest transaction. Raises BadRequest for a span that is empty."""
    start = instants.parse_optional(request.from_, "from") or plans.period_of(head.at)
    until = instants.parse_optional(request.to, "to") or plans.period_after(plans.period_of(head.at))
    if start >= until:
        raise BadRequest("`to` must be later than `from`.", code="empty_interval", param="to")
    return Span(start, until, head.last_tx)


def _plan(status: PlanStatus) -> dict[str, Any]:
    return {name: getattr(status, name) for name in status.__struct_fields__ if name != "warnings"}


def _transaction(number: int, at: dt.datetime) -> TransactionRef:
    return TransactionRef(id=number, at=instants.show(at))


def _held(row: HeldRow) -> Held:
    return Held(**msgspec.structs.asdict(row))


def _detail(row: DetailRow) -> Detail:
    return Detail(
        day=row.day.isoformat(), verb=row.verb, actor=row.actor, writes=row.writes, transactions=row.transactions
    )


def _key(row: KeyUsedRow) -> KeyUsed:
    return KeyUsed(
        key_id=row.key_id,
        actor=row.actor,
        name=row.name,
        writes=row.writes,
        transactions=row.transactions,
        last_write_at=instants.show_optional(row.last_write_at),
        last_used_at=instants.show_optional(row.last_used_at),
        is_revoked=row.is_revoked,
    )
