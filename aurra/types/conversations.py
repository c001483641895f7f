"""Conversations on the wire: turns as said, what is known of a session besides them, and what was made of each."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from aurra.types.common import (
    Answer,
    CompanyId,
    GivenInstant,
    HasMore,
    Instant,
    Limit,
    LlmChoice,
    NextCursor,
    OfTenant,
    Request,
    TenantId,
    TransactionAsOf,
    TransactionRef,
    WasDry,
)
from aurra.types.memories import Extraction, Message
from aurra.types.receipts import Receipt

Channel = Annotated[str | None, Meta(description="Such as `call`, `email` or `chat`; free text.")]
SessionId = Annotated[str, Meta(description="The conversation; any text, percent-encoded in a path.")]


class ConversationAdd(Request, kw_only=True):
    """Turns of a call, a thread or a chat; later requests append. What is absent of the labels stays as it was."""

    session_id: Annotated[str, Meta(description="The conversation; any text of the caller's.")]
    turns: Annotated[
        list[Message],
        Meta(description="1…500 turns, in order; one whose `id` the session has already is not stored again."),
    ]
    tenant_id: TenantId | None = None
    channel: Channel = None
    external_id: Annotated[str | None, Meta(description="The conversation's id in the caller's system.")] = None
    uri: Annotated[str | None, Meta(description="Where it is kept in full: a recording, a transcript.")] = None
    metadata: Annotated[dict[str, Any] | None, Meta(description="Any JSON object, returned as given.")] = None
    extraction: Annotated[
        str,
        Meta(
            description="When facts are made of the turns: `now`, `later` (in the background) or `never`.",
            extra_json_schema={"enum": ["now", "later", "never"]},
        ),
    ] = "now"
    source: Annotated[str | None, Meta(description="Of the facts, `agent_session` if absent; with `now` only.")] = None
    llm: Annotated[LlmChoice | None, Meta(description="A model of the caller's own; with `now` only.")] = None
    reason: Annotated[str | None, Meta(description="Why; kept with the transaction.")] = None
    dry_run: Annotated[bool, Meta(description="Return what would happen, commit nothing.")] = False


class ConversationExtraction(Extraction, kw_only=True):
    """How facts are made of the turns, and whether that has happened; `mode` is `none` where it has not."""

    state: Annotated[
        Literal["done", "pending", "none"],
        Meta(description="`pending`: a job will do it; `none`: nothing of this request is extracted."),
    ]


class ConversationAdded(Answer, kw_only=True):
    """What was kept, and what was made of it."""

    status: Annotated[str, Meta(description="`saved`, or `unchanged` where every turn was known.")]
    session_id: Annotated[str, Meta(description="The conversation.")]
    turns_saved: Annotated[int, Meta(description="Turns that were new.")]
    turns_known: Annotated[int, Meta(description="Turns that the session had already, by their `id`.")]
    memory_ids: Annotated[list[str], Meta(description="The memories that were stored, or were there already.")]
    extracted_count: Annotated[int, Meta(description="Facts that were found.")]
    saved_count: Annotated[int, Meta(description="Memories that were stored: what the plan counts.")]
    extraction: ConversationExtraction
    company_id: CompanyId
    tenant_id: OfTenant
    channel: Annotated[str | None, Meta(description="As this request gave it.")]
    transaction: TransactionRef
    receipt: Receipt
    dry_run: WasDry = False


class ConversationList(Request, kw_only=True):
    """Conversations, newest first."""

    limit: Limit | None = 20
    tenant_id: TenantId | None = None
    channel: Annotated[str | None, Meta(description="Only of this channel.")] = None
    external_id: Annotated[str | None, Meta(description="Only with this id in the caller's system.")] = None
    as_of: Annotated[GivenInstant | None, Meta(description="Count the memories that were true then.")] = None
    transaction_as_of: TransactionAsOf | None = None
    cursor: Annotated[str | None, Meta(description="`next_cursor` of the page before.")] = None


class Conversation(msgspec.Struct, kw_only=True):
    """A conversation; its labels are today's, the counts are of the moment read at."""

    session_id: Annotated[str, Meta(description="The conversation.")]
    tenant_id: OfTenant
    channel: Annotated[str | None, Meta(description="Such as `call`, `email` or `chat`.")]
    external_id: Annotated[str | None, Meta(description="Its id in the caller's system.")]
    uri: Annotated[str | None, Meta(description="Where it is kept in full.")]
    metadata: Annotated[dict[str, Any] | None, Meta(description="As it was given.")]
    turns: Annotated[int, Meta(description="How many are kept.")]
    memories: Annotated[int, Meta(description="How many are believed that came from it.")]
    started_at: Annotated[Instant | None, Meta(description="When the first turn was said, or else stored.")]
    last_at: Annotated[Instant | None, Meta(description="When the last turn was said, or else stored.")]
    created_at: Instant
    pending: Annotated[bool, Meta(description="Whether extraction of some of its turns waits.")]


class ConversationPage(Answer, kw_only=True):
    """A page of conversations, and the moment it was read at."""

    conversations: Annotated[list[Conversation], Meta(description="Newest first.")]
    has_more: HasMore
    next_cursor: NextCursor
    transaction: TransactionRef
    as_of: Instant | None


class ConversationGet(Request, kw_only=True):
    """One conversation, by its session."""

    session_id: SessionId
    tenant_id: TenantId | None = None
    as_of: Annotated[GivenInstant | None, Meta(description="Count the memories that were true then.")] = None
    transaction_as_of: TransactionAsOf | None = None


class ConversationFound(Answer, kw_only=True):
    """One conversation, and the moment it was read at."""

    conversation: Conversation
    transaction: TransactionRef
    as_of: Instant | None


class ConversationMessages(Request, kw_only=True):
    """The turns of a conversation, in the order in which they were told."""

    session_id: SessionId
    limit: Limit | None = 100
    tenant_id: TenantId | None = None
    as_of: Annotated[GivenInstant | None, Meta(description="Which of the memories are current then.")] = None
    transaction_as_of: TransactionAsOf | None = None
    cursor: Annotated[str | None, Meta(description="`next_cursor` of the page before.")] = None


class TurnMemory(msgspec.Struct, kw_only=True):
    """A memory that was made from a turn, and is believed."""

    id: Annotated[str, Meta(description="The memory's id.")]
    decision: Annotated[str, Meta(description="The fact.")]
    is_current: Annotated[bool, Meta(description="Whether it holds at the moment asked about.")]


class ConversationMessage(msgspec.Struct, kw_only=True):
    """A turn as said, with what was made of it."""

    id: Annotated[str | None, Meta(description="The caller's own id.")]
    role: Annotated[str, Meta(description="`user`, `assistant`, or another role.")]
    name: Annotated[str | None, Meta(description="The speaker's name.")]
    content: Annotated[str, Meta(description="What was said.")]
    at: Annotated[Instant | None, Meta(description="When it was said, if that was given.")]
    uri: Annotated[str | None, Meta(description="Where it is kept in full.")]
    metadata: Annotated[dict[str, Any] | None, Meta(description="As it was given.")]
    position: Annotated[int, Meta(description="Place among the turns that are kept, from 0.")]
    memories: Annotated[list[TurnMemory], Meta(description="What was made of it and is believed.")]


class ConversationMessagesPage(Answer, kw_only=True):
    """A page of turns, and the moment it was read at."""

    session_id: Annotated[str, Meta(description="The conversation.")]
    messages: Annotated[list[ConversationMessage], Meta(description="In the order in which they were told.")]
    has_more: HasMore
    next_cursor: NextCursor
    transaction: TransactionRef
    as_of: Instant | None
