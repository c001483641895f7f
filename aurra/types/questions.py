"""Search and grounded answers on the wire."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from aurra.types.common import (
    Answer,
    GivenInstant,
    Instant,
    Limit,
    LlmChoice,
    OfTenant,
    Request,
    TenantId,
    TransactionAsOf,
    TransactionRef,
)
from aurra.types.memories import Memory, ScoredMemory, SourceCitation, Temporal


class Looking(Request, kw_only=True):
    """Where to look, and at which moment."""

    limit: Limit | None = 10
    tenant_id: TenantId | None = None
    sources: Annotated[list[str] | None, Meta(description="Only these sources.")] = None
    topics: Annotated[list[str] | None, Meta(description="Only these topics.")] = None
    subject: Annotated[str | None, Meta(description="Only this subject.")] = None
    session_id: Annotated[str | None, Meta(description="Only this conversation.")] = None
    as_of: Annotated[GivenInstant | None, Meta(description="What was true then.")] = None
    transaction_as_of: TransactionAsOf | None = None


class Search(Looking, kw_only=True):
    """Find memories; no model is called."""

    query: Annotated[str, Meta(description="What to look for, in plain words.")]
    explain: Annotated[bool, Meta(description="Return each signal's share.")] = False


class Found(Answer, kw_only=True):
    """Best first; never fewer than the smaller of `limit` and what qualifies."""

    memories: Annotated[list[ScoredMemory], Meta(description="Best first.")]
    memories_searched: Annotated[
        int, Meta(description="How many qualified; of a large tenant, how many it has said until then.")
    ]
    search_type: Annotated[str, Meta(description="`hybrid`, `vector`, `keyword` or `none`.")]
    transaction: TransactionRef
    as_of: Instant | None


class Question(Looking, kw_only=True):
    """Ask; the answer says only what memories say, and cites them."""

    question: Annotated[str, Meta(description="In plain words.")]
    include_proof_tree: Annotated[bool, Meta(description="Return the proof tree.")] = False
    strict: Annotated[bool, Meta(description="Drop sentences without support, instead of flagging them.")] = False
    llm: Annotated[LlmChoice | None, Meta(description="A model of the caller's own, for this request.")] = None


class Citation(msgspec.Struct, kw_only=True):
    """A retrieved candidate; `[mem-N]` in the answer is the one with `index` N."""

    index: Annotated[int, Meta(description="N of `[mem-N]`, from 1.")]
    memory_id: Annotated[str, Meta(description="The memory.")]
    decision: Annotated[str, Meta(description="What the memory says.")]
    topic: Annotated[str, Meta(description="Its topic.")]
    similarity: Annotated[float, Meta(description="To the question, 0…1.")]
    cited_by_llm: Annotated[bool, Meta(description="Whether the answer cites it.")]
    valid_from: Instant
    is_superseded: Annotated[bool, Meta(description="Whether it ended by then, and another memory took over.")]
    tenant_id: OfTenant
    source: Annotated[str, Meta(description="Where it comes from, as it was given.")]
    quote: Annotated[str | None, Meta(description="The words that support the answer.")] = None
    span: Annotated[list[int], Meta(description="[from, to) of the quote in `decision`; empty if not cited.")] = []


class Retrieval(msgspec.Struct, kw_only=True):
    """How the evidence was found."""

    method: Annotated[str, Meta(description="As `search_type` of the answer.")]
    k: Annotated[int, Meta(description="How many were found.")]
    memories_evaluated: Annotated[int, Meta(description="How many were considered.")]
    memories_cited: Annotated[int, Meta(description="How many the answer cites.")]
    filters: Annotated[dict[str, Any], Meta(description="What was asked for beside the question.")]


class Evidence(msgspec.Struct, kw_only=True):
    """One memory that was considered."""

    memory_id: Annotated[str, Meta(description="The memory.")]
    similarity: Annotated[float, Meta(description="To the question, 0…1.")]
    cited: Annotated[bool, Meta(description="Whether the answer cites it.")]
    decision: Annotated[str, Meta(description="What the memory says.")]
    bi_temporal: Temporal
    source_citation: SourceCitation


class ChainLink(msgspec.Struct, kw_only=True):
    """One step from a memory to its successor."""

    memory_id: Annotated[str, Meta(description="The memory.")]
    superseded_by: Annotated[str | None, Meta(description="The next memory of the chain; null at its end.")]
    superseded_at: Instant | None
    decision_at_time: Annotated[str, Meta(description="What it said.")]


class SupersessionChain(msgspec.Struct, kw_only=True):
    """From a cited memory to what holds now."""

    starting_memory_id: Annotated[str, Meta(description="The cited memory.")]
    current_truth_memory_id: Annotated[str, Meta(description="The last memory of the chain.")]
    chain: Annotated[list[ChainLink], Meta(description="From the one to the other.")]


class ProofTree(msgspec.Struct, kw_only=True):
    """What the answer rests on. `answer_hash` is SHA-256 over the canonical JSON of answer and evidence."""

    version: Annotated[str, Meta(description="Of this format: `2.0`.")]
    question: Annotated[str, Meta(description="As it was asked.")]
    answer_hash: Annotated[str, Meta(description="SHA-256 over answer and evidence, in hexadecimal.")]
    generated_at: Instant
    retrieval: Retrieval
    evidence_chain: Annotated[list[Evidence], Meta(description="All that was considered, best first.")]
    supersession_chains: Annotated[
        list[SupersessionChain], Meta(description="Of each cited memory that others took over from.")
    ]


class AnswerSentence(msgspec.Struct, kw_only=True):
    """A sentence of the answer, checked word by word against what it cites."""

    text: Annotated[str, Meta(description="Clean text, without markers.")]
    citations: Annotated[list[int], Meta(description="The `index` of each citation.")]
    supported: Annotated[bool, Meta(description="It cites, and what it cites says its names, numbers, dates, quotes.")]
    unsupported: Annotated[list[str], Meta(description="What of it nothing cited says; empty where it cites nothing.")]


class Answered(Answer, kw_only=True):
    """An answer with its citations, or a refusal that says so."""

    question: Annotated[str, Meta(description="As it was asked.")]
    answer: Annotated[str, Meta(description="Clean text.")]
    answer_with_citations: Annotated[str, Meta(description="The same text with [mem-N].")]
    sentences: Annotated[list[AnswerSentence], Meta(description="Of the answer, in order; empty when it is refused.")]
    citations: Annotated[
        list[Citation],
        Meta(description="All that was considered, best first; `cited_by_llm` says which the answer cites."),
    ]
    memories: Annotated[list[Memory], Meta(description="The memories of `citations`, in the same order.")]
    memories_searched: Annotated[int, Meta(description="Pieces that filters and times left to be found.")]
    search_type: Annotated[
        str, Meta(description="`hybrid` (words and meaning), `keyword`, or `none` where nothing was found.")
    ]
    proof_tree: Annotated[ProofTree | None, Meta(description="What the answer rests on, where that was asked for.")]
    grounded: Annotated[bool, Meta(description="Whether every sentence is supported by what it cites.")]
    refused: Annotated[bool, Meta(description="Whether the evidence did not suffice.")]
    receipt_id: Annotated[str | None, Meta(description="The answer's receipt: GET /agent/receipts/{receipt_id}.")]
    transaction: TransactionRef
    as_of: Instant | None
