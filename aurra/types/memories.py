"""Memories on the wire: what is written, and what is read back."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from aurra.types.common import (
    Answer,
    GivenInstant,
    Instant,
    Limit,
    LlmChoice,
    Request,
    TenantId,
    TransactionAsOf,
    TransactionRef,
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
    provider: str | None = None
    model: str | None = None
    prompt_version: str | None = None


class Supersession(msgspec.Struct, kw_only=True):
    """That a memory took over from another, how sure that was, and why."""

    old_memory_id: str
    confidence: float
    verdict: Literal["supersedes", "refines", "independent", "duplicate"]
    reasoning: str


class AutoSupersede(msgspec.Struct, kw_only=True):
    """What automatic supersession did for one memory."""

    ran: bool
    skipped_reason: Annotated[
        str | None,
        Meta(
            description="Where it did not run: `disabled`, `duplicate`, `excluded_category`, `verbatim`, `too_many`, "
            "`classifier_unavailable`. Where it ran and did not make a supersession that it found: `low_confidence`, "
            "`lower_trust`, `changed_meanwhile`, `not_believed`, `already_superseded`, `already_ended`, "
            "`starts_later`, `bounded_interval`."
        ),
    ]
    candidates_examined: int
    memory_id: str | None
    supersession: Supersession | None


class MemoryWritten(Answer, kw_only=True):
    """What was stored."""

    status: Annotated[str, Meta(description="`saved`, `duplicate` or `no_facts`.")]
    memory_id: Annotated[str | None, Meta(description="Content mode; null in messages mode.")]
    memory_ids: list[str]
    extracted_count: int
    saved_count: int
    company_id: str
    tenant_id: str | None
    extraction: Extraction
    transaction: TransactionRef
    auto_supersede: Annotated[
        AutoSupersede | list[AutoSupersede], Meta(description="An object in content mode, an array in messages mode.")
    ]
    receipt: Receipt
    dry_run: bool = False


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

    index: int
    status: Annotated[str, Meta(description="`saved`, `duplicate`, `no_facts` or `error`.")]
    memory_id: str | None
    memory_ids: list[str]
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
    items: list[BulkItem]
    saved_count: int
    duplicate_count: int
    error_count: int
    company_id: str
    transaction: TransactionRef
    receipt: Receipt
    dry_run: bool = False


class SourceCitation(msgspec.Struct, kw_only=True):
    """Where a memory comes from."""

    type: str
    channel: str | None
    captured_at: Instant
    session_id: str | None
    original_message: str | None
    message_id: str | None = None
    speaker: str | None = None
    said_at: Instant | None = None
    span: Annotated[list[int], Meta(description="[from, to) in the turn's characters; empty without a turn.")] = []
    erased: Annotated[bool, Meta(description="Whether the turn was erased for good.")] = False


class Temporal(msgspec.Struct, kw_only=True):
    """Validity, and the flags evaluated at the moment asked about."""

    valid_from: Instant
    valid_to: Instant | None
    superseded_by: str | None
    is_current: bool
    is_expired: bool
    is_superseded: bool
    is_known_current: bool


class Memory(msgspec.Struct, kw_only=True):
    """A memory as a list shows it: one piece, evaluated at the times asked about."""

    id: str
    decision: Annotated[str, Meta(description="The fact.")]
    summary: str
    topic: str
    importance_score: int
    importance: Literal["low", "medium", "high"]
    source: str
    channel: str | None
    session_id: str | None
    original_message: Annotated[str | None, Meta(description="The one turn it came from, at most 500 characters.")]
    people: list[str]
    action_items: list[str]
    created_at: Instant
    company_id: str
    tenant_id: str | None
    valid_from: Instant
    valid_to: Instant | None
    superseded_by: str | None
    transaction_time_start: Instant
    transaction_time_end: Instant | None
    freshness: float
    source_citation: SourceCitation
    temporal: Temporal
    subject: str | None
    attribute: str | None
    external_id: str | None
    metadata: dict[str, Any] | None
    version: str
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

    memories: list[Memory]
    has_more: bool
    next_cursor: str | None
    transaction: TransactionRef
    as_of: Instant | None


class MemoryGet(Request, kw_only=True):
    """One memory, by id."""

    memory_id: MemoryId
    as_of: Annotated[GivenInstant | None, Meta(description="Evaluate at this instant.")] = None
    transaction_as_of: TransactionAsOf | None = None


class PieceRef(msgspec.Struct, kw_only=True):
    """One believed piece of a memory."""

    version: str
    valid_from: Instant
    valid_to: Instant | None
    superseded_by: str | None


class Use(msgspec.Struct, kw_only=True):
    """An answer that a memory was considered for."""

    receipt_id: str
    at: Instant
    cited: Annotated[bool, Meta(description="Whether the answer cites it.")]
    invalidated: Annotated[bool, Meta(description="Whether a memory that the answer cites was corrected or retracted.")]


class MemoryFound(Answer, kw_only=True):
    """A memory with all its believed pieces."""

    memory: Memory
    pieces: list[PieceRef]
    used_in: Annotated[
        list[Use], Meta(description="The newest 20 answers that considered it, as of now whatever times are asked.")
    ]
    used_in_count: Annotated[int, Meta(description="All answers that considered it.")]
    transaction: TransactionRef
    as_of: Instant | None


class Timeline(Answer, kw_only=True):
    """The whole chain, oldest first, whichever of its ids is asked."""

    memory_id: str
    company_id: str
    chain_length: int
    timeline: list[Memory]
    transaction: TransactionRef
    as_of: Instant | None


class AuditMemory(msgspec.Struct, kw_only=True):
    summary: str
    decision: str
    topic: str


class Provenance(msgspec.Struct, kw_only=True):
    source_type: str
    channel: str | None
    tenant_id: str | None
    workspace_id: str | None
    org_id: str | None
    external_id: str | None
    original_input: str | None
    captured_at: Instant


class AuditExtraction(msgspec.Struct, kw_only=True):
    model: str | None
    prompt_version: str | None
    extracted_at: Instant


class AuditEvent(msgspec.Struct, kw_only=True):
    event: Annotated[str, Meta(description="`created` first; then the verbs that touched it.")]
    at: Instant
    by: str
    details: dict[str, Any]


class Audit(Answer, kw_only=True):
    """Where a memory comes from, and all that happened to it."""

    memory_id: str
    memory: AuditMemory
    provenance: Provenance
    extraction: AuditExtraction
    temporal: Temporal
    history: list[AuditEvent]
