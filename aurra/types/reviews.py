"""Reviews on the wire: supersessions that wait for a person."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from aurra.types.common import (
    Answer,
    HasMore,
    Instant,
    Limit,
    NextCursor,
    OfTenant,
    Request,
    TenantId,
    TransactionRef,
)
from aurra.types.memories import Memory
from aurra.types.receipts import DryRun, Reason, Receipt

ReviewId = Annotated[str, Meta(description="The review's id.", extra_json_schema={"format": "uuid"})]


class ReviewList(Request, kw_only=True):
    """Newest first; only what is open, unless `state` says otherwise."""

    state: Annotated[
        str,
        Meta(
            description="`open`, `accepted`, `rejected` or `all`.",
            extra_json_schema={"enum": ["open", "accepted", "rejected", "all"]},
        ),
    ] = "open"
    tenant_id: TenantId | None = None
    limit: Limit | None = 20
    cursor: Annotated[str | None, Meta(description="`next_cursor` of the page before.")] = None


class Review(msgspec.Struct, kw_only=True):
    """That an old memory may give way to a new one."""

    id: Annotated[str, Meta(description="The review's id.")]
    state: Annotated[Literal["open", "accepted", "rejected"], Meta(description="What was decided, if anything.")]
    why: Annotated[Literal["low_confidence", "lower_trust"], Meta(description="Why it was not done without asking.")]
    verdict: Annotated[
        Literal["supersedes", "refines", "independent", "duplicate"],
        Meta(description="How the new memory stands to the old one."),
    ]
    confidence: Annotated[float, Meta(description="How sure that is, 0…1.")]
    reasoning: Annotated[str, Meta(description="Why, in words.")]
    classifier: Annotated[str, Meta(description="`rules`, or the model that judged.")]
    old_memory_id: Annotated[str, Meta(description="The memory that gives way.")]
    new_memory_id: Annotated[str, Meta(description="The memory that takes over.")]
    old_memory: Annotated[Memory | None, Meta(description="As it is now; null where it is believed no longer.")]
    new_memory: Annotated[Memory | None, Meta(description="As it is now; null where it is believed no longer.")]
    tenant_id: OfTenant
    created_at: Instant
    created_by: Annotated[int, Meta(description="The transaction that stored the new memory.")]
    decided_at: Instant | None
    decided_by: Annotated[str | None, Meta(description="The key that decided.")]
    decided_transaction: Annotated[
        TransactionRef | None, Meta(description="The transaction that superseded, of an accepted one.")
    ]


class ReviewPage(Answer, kw_only=True):
    """A page of reviews, and the moment that their memories are shown at."""

    reviews: Annotated[list[Review], Meta(description="Newest first.")]
    has_more: HasMore
    next_cursor: NextCursor
    transaction: TransactionRef
    as_of: Instant | None


class ReviewAccept(Request, kw_only=True):
    """Let the old memory give way to the new one."""

    review_id: ReviewId
    reason: Reason | None = None
    dry_run: DryRun = False


class ReviewReject(Request, kw_only=True):
    """Leave both memories as they are."""

    review_id: ReviewId
    dry_run: Annotated[bool, Meta(description="Return what would be answered, change nothing.")] = False


class ReviewDecided(Answer, kw_only=True):
    """What was decided; a rejection changes no memory."""

    status: Annotated[str, Meta(description="`accepted` or `rejected`.")]
    review_id: Annotated[str, Meta(description="The review.")]
    memory_id: Annotated[str, Meta(description="The old memory.")]
    superseded_by: Annotated[str | None, Meta(description="The new memory; null where it was rejected.")]
    valid_to: Annotated[Instant | None, Meta(description="Where the old memory ends; null where it was rejected.")]
    transaction: TransactionRef
    receipt: Receipt
    dry_run: Annotated[bool, Meta(description="Whether nothing was changed.")] = False
