"""Memories on the wire: what is written, and what is read back."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

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
from aurra.types.receipts import MemoryId, Receipt


class Message(msgspec.Struct, kw_only=True):
    """One turn of a conversation."""

    role: Annotated[str, Meta(description="`user`, `assistant`, or another role.")]
    content: Annotated[str, Meta(description="What was said.")]
    name: Annotated[str | None, Meta(description="The speaker's name.")] = None
    at: Annotated[GivenInstant | None, Meta(description="When it was said; becomes the facts' `valid_from`.")] = None
    id: Annotated[str | None, Meta(description="The caller's own id, returned as `source_citation.message_id`.")] = None
    uri: Annotated[str | None, Meta(description="Where it is kept in full: a recording, a transcript.")] = None
    metadata: Annotated[dict[str, Any] | None, Meta(description="Any JSON object, returned as given.")] = None


class MemoryWrite(Request, kw_only=True):
    """One of `content` (stored verbatim as one memory) or `messages` (from which facts are extracted)."""

    content: Annotated[str | None, Meta(description="Stored verbatim as exactly one memory.")] = None
    messages: Annotated[list[Message] | None, Meta(description="A conversation to extract facts from.")] = None
    extraction: Annotated[
        str,
        Meta(
            description="`auto`: facts; `verbatim`: one memory a turn.",
            extra_json_schema={"enum": ["auto", "verbatim"]},
        ),
    ] = "auto"
    topic: Annotated[str | None, Meta(description="Topic; content mode only.")] = None
    importance_score: Annotated[
        int | None, Meta(description="1…10, 5 if absent.", extra_json_schema={"minimum": 1, "maximum": 10})
    ] = None
    importance: Annotated[
        str | None,
        Meta(
            description="Legacy: low 2, medium 5, high 8.", extra_json_schema={"enum": ["low", "medium", "high", None]}
        ),
    ] = None
    source: Annotated[
        str | None, Meta(description="Where it comes from; `agent`, or `agent_session` for messages.")
    ] = None
    tenant_id: TenantId | None = None
    session_id: Annotated[str | None, Meta(description="The conversation; the `channel` of extracted memories.")] = None
    auto_supersede: Annotated[
        bool | None, Meta(description="Whether it supersedes what it replaces, and says so; else the setting.")
    ] = None
    llm: Annotated[LlmChoice | None, Meta(description="A model of the caller's own, for this request.")] = None
    valid_from: Annotated[GivenInstant | None, Meta(description="Since when it is true; absent is now.")] = None
    valid_to: Annotated[GivenInstant | None, Meta(description="Until when; absent is open.")] = None
    subject: Annotated[str | None, Meta(description="Whom or what it is about.")] = None
    attribute: Annotated[str | None, Meta(description="Which property of the subject; needs `subject`.")] = None
    cardinality: Annotated[
        str | None,
        Meta(description="`one` value an instant, or `many`.", extra_json_schema={"enum": ["one", "many", None]}),
    ] = None
    metadata: Annotated[dict[str, Any] | None, Meta(description="Any JSON object, returned as given.")] = None
    external_id: Annotated[str | None, Meta(description="Its id in the caller's system.")] = None
    reason: Annotated[str | None, Meta(description="Why; kept with the transaction.")] = None
    dry_run: Annotated[bool, Meta(description="Return the receipt, commit nothing.")] = False


class Extraction(msgspec.Struct, kw_only=True):
    """How the memories were made from what was sent."""

    mode: Annotated[str, Meta(description="`verbatim`, `extractive` or `llm`.")]
    provider: Annotated[str | None, Meta(description="The model's provider; null is none.")] = None
    model: Annotated[str | None, Meta(description="The model that was used; null is none.")] = None
    prompt_version: Annotated[str | None, Meta(description="The prompt that the model was given; null is none.")] = None


class Supersession(msgspec.Struct, kw_only=True):
    """That a memory took over from another, how sure that was, and why."""

    old_memory_id: Annotated[str, Meta(description="The memory that gives way.")]
    confidence: Annotated[float, Meta(description="How sure that is, 0…1.")]
    verdict: Annotated[
        Literal["supersedes", "refines", "independent", "duplicate"],
        Meta(description="How the new memory stands to the old one."),
    ]
    reasoning: Annotated[str, Meta(description="Why, in words.")]


class AutoSupersede(msgspec.Struct, kw_only=True):
    """What automatic supersession did for one memory."""

    ran: Annotated[bool, Meta(description="Whether it looked for what the new memory replaces.")]
    skipped_reason: Annotated[
        str | None,
        Meta(
            description="Where it did not run: `disabled`, `duplicate`, `excluded_category`, `verbatim`, `too_many`, "
            "`classifier_unavailable`. Where it ran and did not make a supersession that it found: `low_confidence`, "
            "`lower_trust`, `changed_meanwhile`, `not_believed`, `already_superseded`, `already_ended`, "
            "`starts_later`, `bounded_interval`."
        ),
    ]
    candidates_examined: Annotated[int, Meta(description="Memories that were compared.")]
    memory_id: Annotated[str | None, Meta(description="The new memory; null where a dry run made none.")]
    supersession: Annotated[Supersession | None, Meta(description="What was superseded; null is nothing.")]


class MemoryWritten(Answer, kw_only=True):
    """What was stored."""

    status: Annotated[str, Meta(description="`saved`, `duplicate` or `no_facts`.")]
    memory_id: Annotated[str | None, Meta(description="Content mode; null in messages mode.")]
    memory_ids: Annotated[list[str], Meta(description="The memories that were stored, or were there already.")]
    extracted_count: Annotated[int, Meta(description="Facts that were found.")]
    saved_count: Annotated[int, Meta(description="Memories that were stored: what the plan counts.")]
    company_id: CompanyId
    tenant_id: OfTenant
    extraction: Extraction
    transaction: TransactionRef
    auto_supersede: Annotated[
        AutoSupersede | list[AutoSupersede], Meta(description="An object in content mode, an array in messages mode.")
    ]
    receipt: Receipt
    dry_run: WasDry = False


class BulkWrite(Request, kw_only=True):
    """Up to 500 memories in one transaction."""

    memories: Annotated[list[MemoryWrite], Meta(description="1…500 items, applied in order.")]
    mode: Annotated[
        str,
        Meta(
            description="`all`: all or nothing; `partial`: each on its own.",
            extra_json_schema={"enum": ["all", "partial"]},
        ),
    ] = "all"
    reason: Annotated[str | None, Meta(description="Why; kept with the transaction.")] = None
    dry_run: Annotated[bool, Meta(description="Return what would happen, commit nothing.")] = False


class BulkItem(msgspec.Struct, kw_only=True):
    """The outcome of one item."""

    index: Annotated[int, Meta(description="Its place in the request, from 0.")]
    status: Annotated[str, Meta(description="`saved`, `duplicate`, `no_facts` or `error`.")]
    memory_id: Annotated[
        str | None, Meta(description="The memory that was stored, or was there; null for messages and errors.")
    ]
    memory_ids: Annotated[list[str], Meta(description="The memories that were stored, or were there already.")]
    auto_supersede: Annotated[
        list[AutoSupersede] | UnsetType,
        Meta(description="What automatic supersession did, one a memory; there where it was asked for."),
    ] = UNSET
    error: Annotated[
        dict[str, Any] | None, Meta(description="`code`, `detail`, `param` and `status` of a refused item.")
    ] = None


class BulkWritten(Answer, kw_only=True):
    """The outcome of each item, in order."""

    status: Annotated[str, Meta(description="`saved`, `partial` (an item was refused), `duplicate`, `no_facts`.")]
    items: Annotated[list[BulkItem], Meta(description="One an item of the request, in its order.")]
    saved_count: Annotated[int, Meta(description="Memories that were stored: what the plan counts.")]
    duplicate_count: Annotated[int, Meta(description="Items that were there already.")]
    error_count: Annotated[int, Meta(description="Items that were refused.")]
    company_id: CompanyId
    transaction: TransactionRef
    receipt: Receipt
    dry_run: WasDry = False


class SourceCitation(msgspec.Struct, kw_only=True):
    """Where a memory comes from."""

    type: Annotated[str, Meta(description="Where it comes from, as `source` of the memory.")]
    channel: Annotated[
        str | None, Meta(description="The session of what was extracted from messages; null for content.")
    ]
    captured_at: Instant
    session_id: Annotated[str | None, Meta(description="The conversation.")]
    original_message: Annotated[
        str | None, Meta(description="The whole dialog of what was extracted; null for content.")
    ]
    message_id: Annotated[str | None, Meta(description="The caller's own id of the turn.")] = None
    speaker: Annotated[str | None, Meta(description="Who said it.")] = None
    said_at: Instant | None = None
    span: Annotated[list[int], Meta(description="[from, to) in the turn's characters; empty without a turn.")] = []
    erased: Annotated[bool, Meta(description="Whether the turn was erased for good.")] = False


class Temporal(msgspec.Struct, kw_only=True):
    """Validity, and the flags evaluated at the moment asked about."""

    valid_from: Instant
    valid_to: Instant | None
    superseded_by: Annotated[str | None, Meta(description="The memory that took over; null is none.")]
    is_current: Annotated[bool, Meta(description="Whether it is believed, and holds, at the moment asked about.")]
    is_expired: Annotated[bool, Meta(description="Whether it ended by then without a successor.")]
    is_superseded: Annotated[bool, Meta(description="Whether it ended by then, and another memory took over.")]
    is_known_current: Annotated[bool, Meta(description="The same as `is_current`.")]


class Memory(msgspec.Struct, kw_only=True):
    """A memory as a list shows it: one piece, evaluated at the times asked about."""

    id: Annotated[str, Meta(description="The memory's id.")]
    decision: Annotated[str, Meta(description="The fact.")]
    summary: Annotated[str, Meta(description="What it says, in short.")]
    topic: Annotated[str, Meta(description="Its topic.")]
    importance_score: Annotated[int, Meta(description="1…10.")]
    importance: Annotated[
        Literal["low", "medium", "high"],
        Meta(description="The score as a word: up to 3 `low`, up to 6 `medium`, else `high`."),
    ]
    source: Annotated[str, Meta(description="Where it comes from, as it was given.")]
    channel: Annotated[
        str | None, Meta(description="The session of what was extracted from messages; null for content.")
    ]
    session_id: Annotated[str | None, Meta(description="The conversation.")]
    original_message: Annotated[str | None, Meta(description="The one turn it came from, at most 500 characters.")]
    people: Annotated[list[str], Meta(description="Who is named in it.")]
    action_items: Annotated[list[str], Meta(description="What is to be done.")]
    created_at: Instant
    company_id: CompanyId
    tenant_id: OfTenant
    valid_from: Instant
    valid_to: Instant | None
    superseded_by: Annotated[str | None, Meta(description="The memory that took over; null is none.")]
    transaction_time_start: Instant
    transaction_time_end: Instant | None
    freshness: Annotated[
        float, Meta(description="1 until it begins, halved with each half life of the settings after; 0 once it ended.")
    ]
    source_citation: SourceCitation
    temporal: Temporal
    subject: Annotated[str | None, Meta(description="Whom or what it is about.")]
    attribute: Annotated[str | None, Meta(description="Which property of the subject.")]
    external_id: Annotated[str | None, Meta(description="Its id in the caller's system.")]
    metadata: Annotated[dict[str, Any] | None, Meta(description="As it was given.")]
    version: Annotated[str, Meta(description="The version's id.")]
    trust: Annotated[Literal["low", "normal", "high"], Meta(description="Of the key that wrote it.")] = "normal"


class ScoredMemory(Memory, kw_only=True):
    """A memory that a search found."""

    score: Annotated[float, Meta(description="Weighted sum of the signals; comparable within one answer.")]
    similarity: Annotated[float, Meta(description="0…1.")]
    signals: Annotated[dict[str, float] | None, Meta(description="Each signal's share, with `explain`.")] = None


class MemoryList(Request, kw_only=True):
    """Newest first; superseded and expired pieces left out unless asked for."""

    limit: Limit | None = 20
    tenant_id: TenantId | None = None
    source: Annotated[str | None, Meta(description="Only memories of this source.")] = None
    as_of: Annotated[GivenInstant | None, Meta(description="What was true then.")] = None
    transaction_as_of: TransactionAsOf | None = None
    include_superseded: Annotated[bool, Meta(description="Drop the test of validity.")] = False
    cursor: Annotated[str | None, Meta(description="`next_cursor` of the page before.")] = None
    topic: Annotated[str | None, Meta(description="Only this topic.")] = None
    session_id: Annotated[str | None, Meta(description="Only this conversation.")] = None
    subject: Annotated[str | None, Meta(description="Only this subject.")] = None
    attribute: Annotated[str | None, Meta(description="Only this attribute.")] = None
    external_id: Annotated[str | None, Meta(description="Only what has this id in the caller's system.")] = None


class MemoryPage(Answer, kw_only=True):
    """A page of memories, and the moment it was read at."""

    memories: Annotated[list[Memory], Meta(description="Newest first.")]
    has_more: HasMore
    next_cursor: NextCursor
    transaction: TransactionRef
    as_of: Instant | None


class MemoryGet(Request, kw_only=True):
    """One memory, by id."""

    memory_id: MemoryId
    as_of: Annotated[GivenInstant | None, Meta(description="Evaluate at this instant.")] = None
    transaction_as_of: TransactionAsOf | None = None


class PieceRef(msgspec.Struct, kw_only=True):
    """One believed piece of a memory."""

    version: Annotated[str, Meta(description="The version's id.")]
    valid_from: Instant
    valid_to: Instant | None
    superseded_by: Annotated[str | None, Meta(description="The memory that took over; null is none.")]


class Use(msgspec.Struct, kw_only=True):
    """An answer that a memory was considered for."""

    receipt_id: Annotated[str, Meta(description="The answer's receipt.")]
    at: Instant
    cited: Annotated[bool, Meta(description="Whether the answer cites it.")]
    invalidated: Annotated[bool, Meta(description="Whether a memory that the answer cites was corrected or retracted.")]


class MemoryFound(Answer, kw_only=True):
    """A memory with all its believed pieces."""

    memory: Memory
    pieces: Annotated[list[PieceRef], Meta(description="All that is believed of it, in valid order.")]
    used_in: Annotated[
        list[Use], Meta(description="The newest 20 answers that considered it, as of now whatever times are asked.")
    ]
    used_in_count: Annotated[int, Meta(description="All answers that considered it.")]
    transaction: TransactionRef
    as_of: Instant | None


class Timeline(Answer, kw_only=True):
    """The whole chain, oldest first, whichever of its ids is asked."""

    memory_id: Annotated[str, Meta(description="As asked.")]
    company_id: CompanyId
    chain_length: Annotated[int, Meta(description="How many memories there are.")]
    timeline: Annotated[list[Memory], Meta(description="Oldest first.")]
    transaction: TransactionRef
    as_of: Instant | None


class AuditMemory(msgspec.Struct, kw_only=True):
    summary: Annotated[str, Meta(description="What it says, in short.")]
    decision: Annotated[str, Meta(description="What it says.")]
    topic: Annotated[str, Meta(description="Its topic.")]


class Provenance(msgspec.Struct, kw_only=True):
    source_type: Annotated[str, Meta(description="Where it comes from, as `source` of the memory.")]
    channel: Annotated[
        str | None, Meta(description="The session of what was extracted from messages; null for content.")
    ]
    tenant_id: OfTenant
    workspace_id: Annotated[str | None, Meta(description="Always null; kept for clients that read it.")]
    org_id: Annotated[str | None, Meta(description="Always null; kept for clients that read it.")]
    external_id: Annotated[str | None, Meta(description="Its id in the caller's system.")]
    original_input: Annotated[str | None, Meta(description="The turn that it was made of, or the content.")]
    captured_at: Instant


class AuditExtraction(msgspec.Struct, kw_only=True):
    model: Annotated[str | None, Meta(description="The model that was used; null is none.")]
    prompt_version: Annotated[str | None, Meta(description="The prompt that the model was given; null is none.")]
    extracted_at: Instant


class AuditEvent(msgspec.Struct, kw_only=True):
    event: Annotated[str, Meta(description="`created` first; then the verbs that touched it.")]
    at: Instant
    by: Annotated[str, Meta(description="Who did it: `key` and the key's id.")]
    details: Annotated[
        dict[str, Any],
        Meta(
            description="`transaction`, `reason`, `request_id`, `model`, the number of versions `opened` and `closed`."
        ),
    ]


class Audit(Answer, kw_only=True):
    """Where a memory comes from, and all that happened to it."""

    memory_id: Annotated[str, Meta(description="As asked.")]
    memory: AuditMemory
    provenance: Provenance
    extraction: AuditExtraction
    temporal: Temporal
    history: Annotated[list[AuditEvent], Meta(description="Oldest first.")]
