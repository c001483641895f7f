"""The plan: as it stands, as it stood, and what it was."""

import datetime as dt

from aurra import instants, plans
from aurra.changes import Head
from aurra.context import Context
from aurra.cursors import PlanCursor
from aurra.errors import BadRequest
from aurra.ops import checks, metering, paging
from aurra.ops.registry import operation
from aurra.store import ledger
from aurra.store import plans as plans_store
from aurra.store.plans import PlanChange
from aurra.store.pool import Transaction
from aurra.types.accounts import PlanStatus
from aurra.types.usage import PlanAsked, PlanHistory, PlanHistoryPage, PlanPeriod


@operation("plan.status", "GET", "/plan/status", scope="usage:read", ignores_unknown=True)
async def plan_status(ctx: Context, request: PlanAsked) -> PlanStatus:
    """The plan, and how much of it this month has used; with `as_of`, as both stood then."""
    at = instants.parse_optional(request.as_of, "as_of")
    if at is not None:
        checks.require_whole_account(ctx, "usage and plan are")
    async with ctx.database.read(ctx.company_id) as tx:
        head = await ledger.head(tx, ctx.service.clock())
        return metering.plan_status(head if at is None else await _as_it_stood(tx, head, at))


@operation("plan.history", "GET", "/plan/history", scope="usage:read")
async def plan_history(ctx: Context, request: PlanHistory) -> PlanHistoryPage:
    """What the account's plan was and allowed, newest first: each entry holds until the one after it."""
    checks.require_whole_account(ctx, "usage and plan are")
    limit = checks.clamp(request.limit, 20)
    place = paging.place_of(ctx, request.cursor, PlanCursor)
    async with ctx.database.read(ctx.company_id) as tx:
        rows = await plans_store.history(tx, place and place.id, limit + 1)
    page, last = paging.cut(rows, limit)
    return PlanHistoryPage(
        changes=[_period(row) for row in page],
        has_more=last is not None,
        next_cursor=last and paging.cursor_to(ctx, PlanCursor(last.id)),
    )


async def _as_it_stood(tx: Transaction, head: Head, at: dt.datetime) -> Head:
    """The head as it was at an instant. Raises BadRequest for one that is to come, or before the account."""
    if at > head.at:
        raise BadRequest(
            f"`as_of` lies in the future: it is {instants.show(head.at)}.",
            code="transaction_in_the_future",
            param="as_of",
        )
    newest = await ledger.newest_until(tx, at)
    start = plans.period_of(at)
    stretches = await plans_store.stretches(tx, start, at, newest.id)
    if not stretches:
        raise BadRequest("The account has no plan yet at `as_of`.", code="out_of_range", param="as_of")
    return Head(
        last_tx=newest.id,
        last_hash=b"",
        meter_start=start,
        writes_used=await plans_store.used(tx, start, newest.id),
        grace_from=plans.grace_since([row.stretch() for row in stretches]),
        plan=stretches[-1].plan,
        writes_limit=stretches[-1].writes_limit,
        last_at=newest.at,
        at=at,
    )


def _period(row: PlanChange) -> PlanPeriod:
    return PlanPeriod(
        at=instants.show(row.at),
        transaction=row.tx,
        cause=row.cause,
        plan_tier=row.plan,
        writes_limit=row.writes_limit,
        key_requests_per_minute=row.key_requests_per_minute,
        account_requests_per_minute=row.account_requests_per_minute,
    )
