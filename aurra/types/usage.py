"""What an account used, and what its plan was, on the wire."""

from typing import Annotated

import msgspec
from msgspec import Meta

from aurra.types.common import (
    Answer,
    GivenInstant,
    HasMore,
    Instant,
    Limit,
    NextCursor,
    Request,
    TransactionRef,
)

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
    plan_tier: Annotated[str, Meta(description="The plan's name.")]
    writes_limit: Annotated[int, Meta(description="Writes a month; 9007199254740991 is unlimited.")]
    key_requests_per_minute: Annotated[int | None, Meta(description="Null is no limit.")]
    account_requests_per_minute: Annotated[int | None, Meta(description="Null is no limit.")]


class PlanHistoryPage(Answer, kw_only=True):
    """The plans there were, newest first."""

    changes: Annotated[list[PlanPeriod], Meta(description="Newest first.")]
    has_more: HasMore
    next_cursor: NextCursor


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
    transactions: Annotated[int, Meta(description="How many there were.")]


class VerbUsed(msgspec.Struct, kw_only=True):
    """One verb."""

    verb: Annotated[
        str,
        Meta(description="`assert`, `supersede`, `end`, `correct`, `retract`, `restore`, `erase` or `keep`."),
    ]
    writes: Writes
    transactions: Annotated[int, Meta(description="How many there were.")]


class Held(msgspec.Struct, kw_only=True):
    """What the account holds now."""

    memories: Annotated[int, Meta(description="Stored, whether or not they are believed.")]
    believed: Annotated[int, Meta(description="Memories of which something is believed now.")]
    versions: Annotated[int, Meta(description="Versions of all memories.")]
    conversations: Annotated[int, Meta(description="Conversations that are kept.")]
    turns: Annotated[int, Meta(description="Turns of conversations.")]
    receipts: Annotated[int, Meta(description="Receipts of answers.")]
    open_reviews: Annotated[int, Meta(description="Reviews that wait for a person.")]


class UsageSummarized(Answer, kw_only=True):
    """What was used, to the unit, from the ledger; and what is held."""

    from_: Instant = msgspec.field(name="from")
    to: Instant
    writes: Writes
    transactions: Annotated[int, Meta(description="How many there were.")]
    days: Annotated[list[DayUsed], Meta(description="Oldest first.")]
    verbs: Annotated[list[VerbUsed], Meta(description="One a verb that there was.")]
    held: Held
    plan_tier: Annotated[str, Meta(description="The plan's name, as it is now.")]
    writes_used: Annotated[int, Meta(description="In the calendar month that it is, whatever span is asked for.")]
    writes_limit: Annotated[int, Meta(description="Writes a month; 9007199254740991 is unlimited.")]
    writes_remaining: Annotated[int, Meta(description="Writes up to the limit; never below 0.")]
    in_grace_period: Annotated[bool, Meta(description="Whether the limit is reached and writes go on.")]
    blocked: Annotated[bool, Meta(description="Whether writes are refused (402); reads never are.")]
    period_start: Instant
    period_end: Instant
    grace_ends_at: Instant | None
    transaction: TransactionRef


class Detail(msgspec.Struct, kw_only=True):
    """What one actor did by one verb on one day."""

    day: Day
    verb: Annotated[
        str,
        Meta(description="`assert`, `supersede`, `end`, `correct`, `retract`, `restore`, `erase` or `keep`."),
    ]
    actor: Annotated[str, Meta(description="`key` and the key's id, or what the operator ran.")]
    writes: Writes
    transactions: Annotated[int, Meta(description="How many there were.")]


class UsageDetailed(Answer, kw_only=True):
    """A page, the newest day first, then by verb and actor."""

    from_: Instant = msgspec.field(name="from")
    to: Instant
    details: Annotated[list[Detail], Meta(description="Newest day first.")]
    has_more: HasMore
    next_cursor: NextCursor
    transaction: TransactionRef


class KeyUsed(msgspec.Struct, kw_only=True):
    """What one key did."""

    key_id: Annotated[str | None, Meta(description="Null where it was no key.")]
    actor: Annotated[str, Meta(description="`key` and the key's id, or what the operator ran.")]
    name: Annotated[str, Meta(description="What people call the key.")]
    writes: Writes
    transactions: Annotated[int, Meta(description="How many there were.")]
    last_write_at: Annotated[Instant | None, Meta(description="Its newest transaction in the span.")]
    last_used_at: Annotated[Instant | None, Meta(description="Its newest request of any kind, within a minute.")]
    is_revoked: Annotated[bool, Meta(description="Whether it was revoked.")]


class UsageOfKeys(Answer, kw_only=True):
    """A page, every key of the account, by actor; keys that wrote nothing too."""

    from_: Instant = msgspec.field(name="from")
    to: Instant
    keys: Annotated[list[KeyUsed], Meta(description="By actor.")]
    has_more: HasMore
    next_cursor: NextCursor
    transaction: TransactionRef
