"""Receipts of answers, and their replay, on the wire."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from aurra.types.common import (
    Answer,
    HasMore,
    Instant,
    Limit,
    LlmChoice,
    NextCursor,
    OfTenant,
    Request,
    TenantId,
    TransactionRef,
)

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

    receipt_id: Annotated[str, Meta(description="The answer's receipt.")]
    at: Instant
    tenant_id: OfTenant
    question: Annotated[str, Meta(description="As it was asked.")]
    answer: Annotated[str, Meta(description="As it was answered.")]
    grounded: Annotated[bool, Meta(description="Whether every sentence is supported by what it cites.")]
    refused: Annotated[bool, Meta(description="Whether the evidence did not suffice.")]
    memories_considered: Annotated[int, Meta(description="How many were considered.")]
    memories_cited: Annotated[int, Meta(description="How many the answer cites.")]
    invalidated: Annotated[
        Invalidation | None,
        Meta(description="That a memory it cites was corrected or retracted afterwards; null is not."),
    ]


class ReceiptPage(Answer, kw_only=True):
    """A page of receipts."""

    receipts: Annotated[list[ReceiptSummary], Meta(description="Newest first.")]
    has_more: HasMore
    next_cursor: NextCursor
    transaction: Annotated[TransactionRef, Meta(description="The newest; what is invalidated was read at it.")]


class ReceiptEvidence(msgspec.Struct, kw_only=True):
    """A memory that was considered, at its place in the order."""

    place: Annotated[int, Meta(description="From 1; `[mem-N]` is the one at place N.")]
    memory_id: Annotated[str, Meta(description="The memory.")]
    version: Annotated[str, Meta(description="The version's id.")]
    cited: Annotated[bool, Meta(description="Whether the answer cites it.")]


class ReceiptFound(Answer, kw_only=True):
    """What an answer was made of."""

    receipt_id: Annotated[str, Meta(description="The answer's receipt.")]
    at: Instant
    tenant_id: OfTenant
    actor: Annotated[str, Meta(description="Who asked: `key` and the key's id.")]
    request_id: Annotated[str, Meta(description="Of the request that made it.")]
    transaction: Annotated[TransactionRef, Meta(description="What was believed then was asked.")]
    as_of: Annotated[Instant | None, Meta(description="What was true then was asked; null dropped the test.")]
    request: Annotated[dict[str, Any], Meta(description="Question and parameters as asked, without a model's key.")]
    search_type: Annotated[
        str, Meta(description="`hybrid` (words and meaning), `keyword`, or `none` where nothing was found.")
    ]
    embedder: Annotated[str | None, Meta(description="What made the question's vector; null is none.")]
    ranker: Annotated[str, Meta(description="The version of finding and ranking.")]
    provider: Annotated[str | None, Meta(description="Of the model that answered; null is the extractive mode.")]
    model: Annotated[str | None, Meta(description="The model that was used; null is none.")]
    rung: Annotated[str | None, Meta(description="How the model's answer was obtained.")]
    prompt_version: Annotated[str | None, Meta(description="The prompt that the model was given; null is none.")]
    prompt_hash: Annotated[str | None, Meta(description="SHA-256 of instructions, schema and data, in hexadecimal.")]
    answer: Annotated[str, Meta(description="As it was answered.")]
    answer_hash: Annotated[str, Meta(description="As in the proof tree.")]
    grounded: Annotated[bool, Meta(description="Whether every sentence is supported by what it cites.")]
    refused: Annotated[bool, Meta(description="Whether the evidence did not suffice.")]
    evidence: Annotated[list[ReceiptEvidence], Meta(description="All that was considered, best first.")]
    invalidated: Annotated[
        Invalidation | None,
        Meta(description="That a memory it cites was corrected or retracted afterwards; null is not."),
    ]


class EvidencePlace(msgspec.Struct, kw_only=True):
    """A memory's place then and now; null is nowhere."""

    memory_id: Annotated[str, Meta(description="The memory.")]
    version: Annotated[str, Meta(description="The version's id.")]
    then: Annotated[int | None, Meta(description="Its place, from 1; null is nowhere.")]
    now: Annotated[int | None, Meta(description="Its place, from 1; null is nowhere.")]


class EvidenceDrift(msgspec.Struct, kw_only=True):
    """Whether the same memories were found, in the same order."""

    same: Annotated[bool, Meta(description="Whether nothing drifted.")]
    missing: Annotated[list[EvidencePlace], Meta(description="Found then, and not now.")]
    added: Annotated[list[EvidencePlace], Meta(description="Found now, and not then.")]
    moved: Annotated[list[EvidencePlace], Meta(description="Found at another place.")]


class PartDrift(msgspec.Struct, kw_only=True):
    """A part of the service, by name; null is none."""

    same: Annotated[bool, Meta(description="Whether nothing drifted.")]
    then: Annotated[str | None, Meta(description="What it was.")]
    now: Annotated[str | None, Meta(description="What it is.")]


class AnswerDrift(msgspec.Struct, kw_only=True):
    """The answers; `now` is null, and `why` says so, where no model was asked again."""

    same: Annotated[bool, Meta(description="Whether nothing drifted.")]
    then: Annotated[str, Meta(description="What was answered.")]
    now: Annotated[str | None, Meta(description="What is answered; null where no model was asked again.")]
    why: Annotated[str | None, Meta(description="Why none was asked again; null where the answer is there.")]


class Replayed(Answer, kw_only=True):
    """What is the same and what drifted when a question is asked again at the moment of its receipt."""

    receipt_id: Annotated[str, Meta(description="The answer's receipt.")]
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
