"""History on the wire: versions of a memory, transactions, the difference between two of them."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from aurra.types.common import (
    Answer,
    GivenInstant,
    HasMore,
    Instant,
    Limit,
    NextCursor,
    OfTenant,
    Request,
    TenantId,
    TransactionAsOf,
    TransactionRef,
)
from aurra.types.receipts import TransactionNumber

AsOf = Annotated[GivenInstant, Meta(description="Named in the answer; what a transaction did depends on none.")]
ReadAt = Annotated[TransactionAsOf, Meta(description="Read as it was then: a transaction's number, or an instant.")]


class Version(msgspec.Struct, kw_only=True):
    """One immutable statement: a content, over one valid interval, believed over one transaction interval."""

    version: Annotated[str, Meta(description="Its id.")]
    decision: Annotated[str, Meta(description="What it says.")]
    valid_from: Instant
    valid_to: Instant | None
    opened_by: Annotated[int, Meta(description="The transaction since which it is believed.")]
    closed_by: Annotated[int | None, Meta(description="The transaction since which it is not; null is still believed.")]
    transaction_time_start: Instant
    transaction_time_end: Instant | None
    op: Annotated[
        str, Meta(description="How it was opened: `assert`, `supersede`, `end`, `correct`, `restore`, `leftover`.")
    ]
    superseded_by: Annotated[str | None, Meta(description="The memory that took over.")]


class Versions(Answer, kw_only=True):
    """All versions of a memory, in the order of belief, then of validity."""

    memory_id: Annotated[str, Meta(description="As asked.")]
    versions: Annotated[list[Version], Meta(description="In the order of belief, then of validity.")]
    transaction: TransactionRef
    as_of: Instant | None


WHY = "Why, where it was given; null for a key that is pinned to a tenant where others were touched too."


class TransactionList(Request, kw_only=True):
    """The ledger: newest first, or with `since` oldest first."""

    since: Annotated[
        int | None,
        Meta(description="Only transactions after this number, oldest first.", extra_json_schema={"minimum": 0}),
    ] = None
    tenant_id: Annotated[
        TenantId | None, Meta(description="Only transactions that touched this tenant; absent is all of them.")
    ] = None
    limit: Limit | None = 20
    cursor: Annotated[str | None, Meta(description="`next_cursor` of the page before.")] = None
    as_of: AsOf | None = None
    transaction_as_of: ReadAt | None = None


class TransactionEntry(msgspec.Struct, kw_only=True):
    """One committed change."""

    id: Annotated[int, Meta(description="Dense number in the account.")]
    at: Instant
    verb: Annotated[
        str,
        Meta(description="`assert`, `supersede`, `end`, `correct`, `retract`, `restore`, `erase`; `keep`: turns only."),
    ]
    actor: Annotated[str, Meta(description="Who made it: `key` and the key's id.")]
    reason: Annotated[str | None, Meta(description=WHY)]
    request_id: Annotated[str, Meta(description="Of the request that made it.")]
    model: Annotated[str | None, Meta(description="The model that extracted what it stores.")]
    writes: Annotated[int, Meta(description="Memories that it made, of all tenants.")]
    opened_count: Annotated[int, Meta(description="Versions that it opened, of the tenants that are read.")]
    closed_count: Annotated[int, Meta(description="Versions that it closed, of the tenants that are read.")]
    hash: Annotated[str, Meta(description="Over the entry and the hash before it; hex.")]


class TransactionPage(Answer, kw_only=True):
    """A page of transactions, and the moment it was read at."""

    transactions: Annotated[list[TransactionEntry], Meta(description="Newest first; with `since`, oldest first.")]
    has_more: HasMore
    next_cursor: NextCursor
    transaction: TransactionRef
    as_of: Instant | None


class TransactionGet(Request, kw_only=True):
    """One transaction, by number."""

    tx: TransactionNumber
    as_of: AsOf | None = None
    transaction_as_of: ReadAt | None = None


class OpenedVersion(msgspec.Struct, kw_only=True):
    """A version that a transaction opened."""

    memory_id: Annotated[str, Meta(description="The memory.")]
    version: Annotated[str, Meta(description="The version's id.")]
    decision: Annotated[str, Meta(description="What it says.")]
    valid_from: Instant
    valid_to: Instant | None
    superseded_by: Annotated[str | None, Meta(description="The memory that takes over at its end.")]
    op: Annotated[
        str, Meta(description="How it was opened: `assert`, `supersede`, `end`, `correct`, `restore`, `leftover`.")
    ]
    tenant_id: OfTenant
    subject: Annotated[str | None, Meta(description="Whom or what it is about.")]
    attribute: Annotated[str | None, Meta(description="Which property of the subject.")]


class ClosedVersion(OpenedVersion, kw_only=True):
    """A version that a transaction closed."""

    replaced_by: Annotated[str | None, Meta(description="The memory that took all of it.")]


class TransactionFound(Answer, kw_only=True):
    """One transaction with all that it opened, closed and erased, as far as this key sees."""

    id: Annotated[int, Meta(description="Dense number in the account.")]
    at: Instant
    verb: Annotated[
        str,
        Meta(description="`assert`, `supersede`, `end`, `correct`, `retract`, `restore`, `erase`; `keep`: turns only."),
    ]
    actor: Annotated[str, Meta(description="Who made it: `key` and the key's id.")]
    reason: Annotated[str | None, Meta(description=WHY)]
    request_id: Annotated[str, Meta(description="Of the request that made it.")]
    model: Annotated[str | None, Meta(description="The model that extracted what it stores.")]
    writes: Annotated[int, Meta(description="Memories that it made, of all tenants.")]
    opened: Annotated[list[OpenedVersion], Meta(description="Versions that are believed from it on.")]
    closed: Annotated[list[ClosedVersion], Meta(description="Versions that are believed up to it.")]
    erased: Annotated[int, Meta(description="Memories that it erased for good.")]
    hash: Annotated[str, Meta(description="Over the entry and the hash before it; hex.")]
    transaction: TransactionRef
    as_of: Instant | None


class Diff(Request, kw_only=True):
    """What changed after one transaction, up to another."""

    from_: Annotated[
        int | str,
        Meta(
            description="After this: a transaction's number, or an instant.", extra_json_schema={"format": "date-time"}
        ),
    ] = msgspec.field(name="from")
    to: Annotated[
        int | str | None,
        Meta(
            description="Up to this: a number, or an instant; absent is the newest.",
            extra_json_schema={"format": "date-time"},
        ),
    ] = None
    as_of: Annotated[GivenInstant | None, Meta(description="Only changes of what is true then.")] = None
    tenant_id: TenantId | None = None


class Side(msgspec.Struct, kw_only=True):
    """What was believed on one side of a change."""

    memory_id: Annotated[str, Meta(description="The memory.")]
    decision: Annotated[str | None, Meta(description="Null where it was erased.")]
    valid_from: Annotated[Instant | None, Meta(description="Of the change; null where it was erased.")]
    valid_to: Annotated[Instant | None, Meta(description="Of the change; null is open.")]
    version: Annotated[str | None, Meta(description="Null where it was erased.")]


class Change(msgspec.Struct, kw_only=True):
    """Over one valid interval, another belief than before."""

    kind: Annotated[
        Literal["added", "superseded", "ended", "corrected", "retracted", "restored", "erased"],
        Meta(description="What became of the belief."),
    ]
    tenant_id: OfTenant
    subject: Annotated[str | None, Meta(description="Whom or what it is about.")]
    attribute: Annotated[str | None, Meta(description="Which property of the subject.")]
    before: Annotated[Side | None, Meta(description="Null where nothing was believed.")]
    after: Annotated[Side | None, Meta(description="Null where nothing is believed.")]
    superseded_by: Annotated[str | None, Meta(description="The memory that took over from the one before.")]
    transaction: Annotated[int, Meta(description="The newest that changed it.")]
    actor: Annotated[str, Meta(description="Who made that transaction.")]
    reason: Annotated[str | None, Meta(description=WHY)]


class Difference(Answer, kw_only=True):
    """The net difference: put each `after` in the place of its `before`, and the first state becomes the second."""

    from_: TransactionRef = msgspec.field(name="from")
    to: TransactionRef
    as_of: Instant | None
    changes: Annotated[list[Change], Meta(description="Slot by slot, in valid order.")]
