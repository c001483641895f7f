"""The review queue: supersessions that were not sure, or not trusted enough, and what a person makes of them."""

import datetime as dt
from collections.abc import Sequence
from uuid import UUID

from aurra import instants
from aurra.changes import Changes, Head
from aurra.context import Context
from aurra.cursors import ReviewCursor
from aurra.errors import BadRequest, Conflict
from aurra.ops import checks, paging, views, writing
from aurra.ops.committing import Decision
from aurra.ops.moments import Moment, resolve
from aurra.ops.registry import operation
from aurra.planning import changing
from aurra.planning.world import NotLoaded, World
from aurra.store import memories
from aurra.store import reviews as reviews_store
from aurra.store import world as world_store
from aurra.store.pool import Transaction
from aurra.store.reviews import ReviewRow
from aurra.store.world import Needs
from aurra.types.common import TransactionRef
from aurra.types.memories import Memory
from aurra.types.reviews import Review, ReviewAccept, ReviewDecided, ReviewList, ReviewPage, ReviewReject

_ACCEPTED = "review accepted"
_STALE = frozenset({"not_believed", "already_superseded", "already_ended"})


@operation("reviews.list", "GET", "/agent/reviews", scope="memories:read", keeps_ceiling=True)
async def list_reviews(ctx: Context, request: ReviewList) -> ReviewPage:
    """Supersessions that wait for a person, newest first, with both memories as they are now."""
    checks.choice(request.state, ("open", "accepted", "rejected", "all"), "state")
    limit = checks.clamp(request.limit, 20)
    tenant = ctx.tenant(request.tenant_id)
    cursor = paging.place_of(ctx, request.cursor, ReviewCursor)
    after = cursor and (cursor.at, cursor.review_id)
    async with ctx.database.read(ctx.company_id) as tx:
        moment = await resolve(tx, ctx.service.clock(), None, None)
        state = None if request.state == "all" else request.state
        rows = await reviews_store.list_page(tx, tenant_id=tenant, state=state, after=after, limit=limit + 1)
        page, last = paging.cut(rows, limit)
        now = await _as_now(ctx, tx, moment, page)
    return ReviewPage(
        reviews=[_review(row, now) for row in page],
        has_more=last is not None,
        next_cursor=last and paging.cursor_to(ctx, ReviewCursor(last.at, last.id)),
        transaction=moment.transaction,
        as_of=moment.shown_as_of,
    )


@operation(
    "reviews.accept",
    "POST",
    "/agent/reviews/{review_id}/accept",
    scope="memories:write",
    is_idempotent=True,
    example={"reason": "the newer one is right"},
)
async def accept(ctx: Context, request: ReviewAccept) -> ReviewDecided:
    """Supersedes the old memory by the new one, now, and closes the review.

    A person decides, whoever wrote the new memory; but with a key of at least the old memory's trust.
    """

    async def decide(tx: Transaction, head: Head) -> Decision:
        review = await _open(ctx, tx, request.review_id)
        world, _ = await world_store.load(
            tx, [Needs(memories=frozenset({review.old_memory, review.new_memory}))], head.at
        )
        changes, ended = await _superseded(ctx, tx, world, head, review)
        verb = ctx.verb("supersede", request.reason or _ACCEPTED)
        if not request.dry_run:
            number = None if changes.is_empty else head.tx
            await reviews_store.decide(tx, review.id, state="accepted", at=head.at, actor=verb.actor, number=number)
        receipt = views.receipt(changes, dry_run=request.dry_run)
        return Decision(
            verb=verb,
            changes=changes,
            answer=lambda transaction: ReviewDecided(
                status="accepted",
                review_id=str(review.id),
                memory_id=str(review.old_memory),
                superseded_by=str(review.new_memory),
                valid_to=instants.show(ended),
                transaction=transaction,
                receipt=receipt,
                dry_run=request.dry_run,
            ),
            dry_run=request.dry_run,
            quotes=[review.old_memory, review.new_memory],
        )

    return await writing.once_alone(ctx, writing.fingerprint(ctx, "reviews.accept", request), ReviewDecided, decide)


@operation("reviews.reject", "POST", "/agent/reviews/{review_id}/reject", scope="memories:write", is_idempotent=True)
async def reject(ctx: Context, request: ReviewReject) -> ReviewDecided:
    """Closes the review; both memories stay as they are, and no transaction is made."""

    async def decide(tx: Transaction, head: Head) -> Decision:
        review = await _open(ctx, tx, request.review_id)
        verb = ctx.verb("supersede", None)
        if not request.dry_run:
            await reviews_store.decide(tx, review.id, state="rejected", at=head.at, actor=verb.actor, number=None)
        return Decision(
            verb=verb,
            changes=None,
            answer=lambda transaction: ReviewDecided(
                status="rejected",
                review_id=str(review.id),
                memory_id=str(review.old_memory),
                superseded_by=None,
                valid_to=None,
                transaction=transaction,
                receipt=views.receipt(Changes(), dry_run=request.dry_run),
                dry_run=request.dry_run,
            ),
            dry_run=request.dry_run,
            quotes=[review.old_memory, review.new_memory],
        )

    return await writing.once_alone(ctx, writing.fingerprint(ctx, "reviews.reject", request), ReviewDecided, decide)


async def _open(ctx: Context, tx: Transaction, review_id: str) -> ReviewRow:
    """The open review, if the caller's key sees it. Raises the one 404, and Conflict (already_decided)."""
    review = await reviews_store.find(tx, checks.parse_id(review_id, "review"))
    if review is None or not ctx.sees(review.tenant_id):
        raise checks.missing("review")
    if review.state != "open":
        raise Conflict(f"This review was {review.state} before.", code="already_decided")
    return review


async def _superseded(
    ctx: Context, tx: Transaction, world: World, head: Head, review: ReviewRow
) -> tuple[Changes, dt.datetime]:
    """The rows, and where the old memory ends. Raises Conflict: lower_trust, stale_review."""
    while True:
        try:
            old = changing.memory_of(world, review.old_memory, ctx.sees, trust=ctx.caller.trust)
            new = changing.memory_of(world, review.new_memory, ctx.sees)
            return changing.supersede(world, head, old, new, None)
        except NotLoaded as missing:
            await world_store.load_memory(tx, world, missing.memory, head.at)
        except (BadRequest, Conflict) as error:
            if isinstance(error, BadRequest) or error.code in _STALE:
                raise Conflict(f"This review is out of date: {error.detail}", code="stale_review") from error
            raise


async def _as_now(ctx: Context, tx: Transaction, moment: Moment, page: Sequence[ReviewRow]) -> dict[UUID, Memory]:
    """Each memory of the page that is believed, as it is now."""
    asked = sorted({memory for row in page for memory in (row.old_memory, row.new_memory)})
    versions = await reviews_store.shown(tx, moment.number, moment.flags_at, asked)
    rows = await memories.pieces(tx, moment.number, list(versions.values()))
    return {row.memory_id: views.memory(ctx, row, moment) for row in rows}


def _review(row: ReviewRow, now: dict[UUID, Memory]) -> Review:
    decided = None
    if row.decided_tx is not None and row.decided_tx_at is not None:
        decided = TransactionRef(id=row.decided_tx, at=instants.show(row.decided_tx_at))
    return Review(
        id=str(row.id),
        state=row.state,
        why=row.why,
        verdict=row.verdict,
        confidence=row.confidence,
        reasoning=row.reasoning,
        classifier=row.classifier,
        old_memory_id=str(row.old_memory),
        new_memory_id=str(row.new_memory),
        old_memory=now.get(row.old_memory),
        new_memory=now.get(row.new_memory),
        tenant_id=row.tenant_id or None,
        created_at=instants.show(row.at),
        created_by=row.tx,
        decided_at=instants.show_optional(row.decided_at),
        decided_by=row.decided_by,
        decided_transaction=decided,
    )
