"""What an account used, and what its plan was, on the wire."""

from typing import Annotated

import msgspec
from msgspec import Meta

from aurra.types.common import Answer, GivenInstant, Instant, Limit, Request, TransactionRef

Day = Annotated[str, Meta(description="A day in UTC.", extra_json_schema={"format": "date"})]
Writes = Annotated[int, Meta(description="Memories first committed.")]
Cursor = Annotated[str, Meta(description="`next_cursor` of the page before.")]


class PlanAsked(Request, kw_only=True):
    """The plan now, or as it stood."""

    as_of: Annotated[GivenInstant | None, Meta(description="As it stood then: plan, limit, writes used, grace.")] = None


class PlanHistory(Request, kw_only=True):
    """A page of the plans there were."""

    limit: Limit | None = 20
    cursor: Cursor | None = None


class PlanPeriod(msgspec.Struct, kw_only=True):
    """A plan, and what it allowed from an instant on, until the entry after it."""

    at: Annotated[Instant, Meta(description="Since when.")]
    transaction: Annotated[int, Meta(description="The newest transaction then; those after it were admitted under it.")]
    cause: Annotated[
        str,
        Meta(
            description="`created` with the account, `moved` to another plan, `redefined` by the operator, or `found` "
            "when the history began."
        ),
    ]
    plan_tier: str
    writes_limit: int
    key_requests_per_minute: Annotated[int | None, Meta(description="Null is no limit.")]
    account_requests_per_minute: Annotated[int | None, Meta(description="Null is no limit.")]


class PlanHistoryPage(Answer, kw_only=True):
    """The plans there were, newest first."""

    changes: list[PlanPeriod]
    has_more: bool
    next_cursor: str | None


class UsageSummary(Request, kw_only=True):
    """A span of time; without one, the calendar month (UTC) that it is."""

    from_: Annotated[GivenInstant | None, Meta(description="From this on; absent is the month's start.")] = (
        msgspec.field(default=None, name="from")
    )
    to: Annotated[GivenInstant | None, Meta(description="Up to but without this; absent is the month's end.")] = None


class UsageDetails(UsageSummary, kw_only=True):
    """A span of time, page by page."""

    limit: Limit | None = 100
    cursor: Annotated[Cursor | None, Meta(description="Brings `from` and `to` of the first page with it.")] = None


class UsageByKey(UsageDetails, kw_only=True):
    """A span of time, key by key."""


class DayUsed(msgspec.Struct, kw_only=True):
    """One day; a day without transactions is not listed."""

    day: Day
    writes: Writes
    transactions: int


class VerbUsed(msgspec.Struct, kw_only=True):
    """One verb."""

    verb: str
    writes: Writes
    transactions: int


class Held(msgspec.Struct, kw_only=True):
    """What the account holds now."""

    memories: Annotated[int, Meta(description="Stored, whether or not they are believed.")]
    believed: Annotated[int, Meta(description="Memories of which something is believed now.")]
    versions: int
    conversations: int
    turns: int
    receipts: int
    open_reviews: int


class UsageSummarized(Answer, kw_only=True):
    """What was used, to the unit, from the ledger; and what is held."""

    from_: Instant = msgspec.field(name="from")
    to: Instant
    writes: Writes
    transactions: int
    days: Annotated[list[DayUsed], Meta(description="Oldest first.")]
    verbs: list[VerbUsed]
    held: Held
    plan_tier: str
    writes_used: Annotated[int, Meta(description="In the calendar month that it is, whatever span is asked for.")]
    writes_limit: int
    writes_remaining: int
    in_grace_period: bool
    blocked: bool
    period_start: Instant
    period_end: Instant
    grace_ends_at: Instant | None
    transaction: TransactionRef


class Detail(msgspec.Struct, kw_only=True):
    """What one actor did by one verb on one day."""

    day: Day
    verb: str
    actor: Annotated[str, Meta(description="`key` and the key's id, or what the operator ran.")]
    writes: Writes
    transactions: int


class UsageDetailed(Answer, kw_only=True):
    """A page, the newest day first, then by verb and actor."""

    from_: Instant = msgspec.field(name="from")
    to: Instant
    details: list[Detail]
    has_more: bool
    next_cursor: str | None
    transaction: TransactionRef


class KeyUsed(msgspec.Struct, kw_only=True):
    """What one key did."""

    key_id: Annotated[str | None, Meta(description="Null where it was no key.")]
    actor: str
    name: str
    writes: Writes
    transactions: int
    last_write_at: Annotated[Instant | None, Meta(description="Its newest transaction in the span.")]
    last_used_at: Annotated[Instant | None, Meta(description="Its newest request of any kind, within a minute.")]
    is_revoked: bool


class UsageOfKeys(Answer, kw_only=True):
    """A page, every key of the account, by actor; keys that wrote nothing too."""

    from_: Instant = msgspec.field(name="from")
    to: Instant
    keys: list[KeyUsed]
    has_more: bool
    next_cursor: str | None
    transaction: TransactionRef
