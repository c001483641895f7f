"""Receipts of answers, and their replay, on the wire."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from aurra.types.common import Answer, Instant, Limit, LlmChoice, Request, TenantId, TransactionRef

ReceiptId = Annotated[str, Meta(description="The receipt's id.", extra_json_schema={"format": "uuid"})]
Drift = Literal["none", "evidence", "embedder", "ranker", "model", "answer", "not_asked"]


class ReceiptList(Request, kw_only=True):
    """Newest first."""

    limit: Limit | None = 20
    tenant_id: TenantId | None = None
    memory_id: Annotated[
        str | None,
        Meta(description="Only answers that considered this memory.", extra_json_schema={"format": "uuid"}),
    ] = None
    cursor: Annotated[str | None, Meta(description="`next_cursor` of the page before.")] = None


class ReceiptGet(Request, kw_only=True):
    """One receipt, by id."""

    receipt_id: ReceiptId


class ReceiptReplay(Request, kw_only=True):
    """Answer again, at that moment; nothing is stored."""

    receipt_id: ReceiptId
    llm: Annotated[
        LlmChoice | None,
        Meta(description="The model to ask; needed where the answer was made by a model of the request's own."),
    ] = None


class Invalidation(msgspec.Struct, kw_only=True):
    """The record that an answer rests on turned out wrong afterwards."""

    transaction: Annotated[int, Meta(description="The first transaction that mended it.")]
    at: Instant
    verb: Annotated[str, Meta(description="`correct`, `retract`, or `restore` (of what had opened it).")]
    memory_ids: Annotated[list[str], Meta(description="The cited memories that are concerned by now.")]


class ReceiptSummary(msgspec.Struct, kw_only=True):
    """A receipt in a list."""

    receipt_id: str
    at: Instant
    tenant_id: str | None
    question: str
    answer: str
    grounded: bool
    refused: bool
    memories_considered: int
    memories_cited: int
    invalidated: Invalidation | None


class ReceiptPage(Answer, kw_only=True):
    """A page of receipts."""

    receipts: list[ReceiptSummary]
    has_more: bool
    next_cursor: str | None
    transaction: Annotated[TransactionRef, Meta(description="The newest; what is invalidated was read at it.")]


class ReceiptEvidence(msgspec.Struct, kw_only=True):
    """A memory that was considered, at its place in the order."""

    place: Annotated[int, Meta(description="From 1; `[mem-N]` is the one at place N.")]
    memory_id: str
    version: str
    cited: bool


class ReceiptFound(Answer, kw_only=True):
    """What an answer was made of."""

    receipt_id: str
    at: Instant
    tenant_id: str | None
    actor: str
    request_id: str
    transaction: Annotated[TransactionRef, Meta(description="What was believed then was asked.")]
    as_of: Annotated[Instant | None, Meta(description="What was true then was asked; null dropped the test.")]
    request: Annotated[dict[str, Any], Meta(description="Question and parameters as asked, without a model's key.")]
    search_type: str
    embedder: str | None
    ranker: Annotated[str, Meta(description="The version of finding and ranking.")]
    provider: Annotated[str | None, Meta(description="Of the model that answered; null is the extractive mode.")]
    model: str | None
    rung: Annotated[str | None, Meta(description="How the model's answer was obtained.")]
    prompt_version: str | None
    prompt_hash: Annotated[str | None, Meta(description="SHA-256 of instructions, schema and data, in hexadecimal.")]
    answer: str
    answer_hash: Annotated[str, Meta(description="As in the proof tree.")]
    grounded: bool
    refused: bool
    evidence: Annotated[list[ReceiptEvidence], Meta(description="All that was considered, best first.")]
    invalidated: Invalidation | None


class EvidencePlace(msgspec.Struct, kw_only=True):
    """A memory's place then and now; null is nowhere."""

    memory_id: str
    version: str
    then: int | None
    now: int | None


class EvidenceDrift(msgspec.Struct, kw_only=True):
    """Whether the same memories were found, in the same order."""

    same: bool
    missing: list[EvidencePlace]
    added: list[EvidencePlace]
    moved: list[EvidencePlace]


class PartDrift(msgspec.Struct, kw_only=True):
    """A part of the service, by name; null is none."""

    same: bool
    then: str | None
    now: str | None


class AnswerDrift(msgspec.Struct, kw_only=True):
    """The answers; `now` is null, and `why` says so, where no model was asked again."""

    same: bool
    then: str
    now: str | None
    why: str | None


class Replayed(Answer, kw_only=True):
    """What is the same and what drifted when a question is asked again at the moment of its receipt."""

    receipt_id: str
    drift: Annotated[
        Drift,
        Meta(
            description="The first cause that applies. Other evidence: `embedder`, `ranker`, else `evidence`. Same "
            "evidence, another answer: `model`, else `answer`; `not_asked` where no model was asked again. Else `none`."
        ),
    ]
    evidence: EvidenceDrift
    embedder: PartDrift
    ranker: PartDrift
    model: Annotated[PartDrift, Meta(description="`provider/model`; null is the extractive mode.")]
    answer: AnswerDrift
    answer_hash: Annotated[PartDrift, Meta(description="Of answer and evidence.")]
    transaction: TransactionRef
    as_of: Instant | None
