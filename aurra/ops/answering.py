"""Grounded answers: find the evidence, answer from it alone, cite it, prove it."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from aurra import citations, instants
from aurra.citations import Evidence, Grounded
from aurra.context import Context
from aurra.errors import ProviderError
from aurra.ops import models, searching, views
from aurra.ops.moments import Moment
from aurra.ops.reading import chain_of
from aurra.ops.registry import operation
from aurra.ops.searching import Result
from aurra.providers.base import ModelChoice
from aurra.store import ledger, memories
from aurra.store.memories import PieceRow
from aurra.store.pool import Transaction
from aurra.types import questions
from aurra.types.questions import Answered, ChainLink, Citation, ProofTree, Question, Retrieval, SupersessionChain


@operation("memories.query", "POST", "/agent/query", scope="query", ignores_unknown=True)
async def query(ctx: Context, request: Question) -> Answered:
    """Answers a question from memories alone, each sentence with its citation; refuses when they do not suffice."""
    text = searching.checked_text(request.question, "question")
    choice = models.choose(ctx, request.llm)
    meaning = await searching.embedded(ctx, text)
    async with ctx.database.read(ctx.company_id) as tx:
        result = await searching.find(ctx, tx, text, meaning, request)
    evidence = _evidence(result)
    asked_for = (
        result.moment.as_of if request.as_of else None if request.transaction_as_of is None else result.moment.at
    )
    if choice is None or not evidence:
        grounded = citations.extractive(text, evidence, asked_for)
    else:
        grounded = await _by_model(ctx, choice, request, evidence, asked_for)
    cited = [_citation(ctx, result, grounded, index) for index in range(1, len(result.rows) + 1)]
    return Answered(
        question=request.question,
        answer=grounded.answer,
        answer_with_citations=grounded.marked,
        citations=cited,
        memories=[views.memory(ctx, row, result.moment) for row in result.rows],
        memories_searched=result.searched,
        search_type=result.search_type,
        proof_tree=await _proof(ctx, request, result, grounded) if request.include_proof_tree else None,
        grounded=grounded.grounded,
        refused=grounded.refused,
        receipt_id=None,
        transaction=result.moment.transaction,
        as_of=result.moment.shown_as_of,
    )


def _evidence(result: Result) -> list[Evidence]:
    return [
        Evidence(
            index=index,
            text=row.text,
            speaker=row.speaker,
            similarity=one.similarity,
            coverage=one.coverage,
            has_vector=one.candidate.similarity is not None,
            valid_from=row.said_at or row.valid_from,
        )
        for index, (one, row) in enumerate(zip(result.ranked, result.rows, strict=True), 1)
    ]


async def _by_model(
    ctx: Context, choice: ModelChoice, request: Question, evidence: Sequence[Evidence], as_of: Any
) -> Grounded:
    """The model's answer, verified. No connection is held while it thinks."""
    async with models.opened(ctx, choice) as model:
        completion = await model.complete(
            system=citations.SYSTEM,
            user=citations.prompt(request.question, evidence, as_of),
            schema=citations.SCHEMA,
            schema_name="answer",
        )
    try:
        sentences = msgspec.convert(completion.value.get("sentences"), list[citations.Sentence])
    except msgspec.ValidationError:
        raise ProviderError(choice.provider, "The model's answer does not have the form that was asked for.") from None
    return citations.verify(sentences, evidence, as_of, strict=request.strict)


def _citation(ctx: Context, result: Result, grounded: Grounded, index: int) -> Citation:
    row, one = result.rows[index - 1], result.ranked[index - 1]
    quote = grounded.quotes.get(index)
    return Citation(
        index=index,
        memory_id=str(row.memory_id),
        decision=row.text,
        topic=row.topic,
        similarity=one.similarity,
        cited_by_llm=index in grounded.cited,
        valid_from=instants.show(row.valid_from),
        is_superseded=views.stands(ctx, row, result.moment).is_superseded,
        tenant_id=row.tenant_id or None,
        source=row.source,
        quote=quote.text if quote else None,
        span=list(quote.span) if quote else [],
    )


async def _proof(ctx: Context, request: Question, result: Result, grounded: Grounded) -> ProofTree:
    evidence = [
        questions.Evidence(
            memory_id=str(row.memory_id),
            similarity=one.similarity,
            cited=index in grounded.cited,
            decision=row.text,
            bi_temporal=views.temporal(row, views.stands(ctx, row, result.moment)),
            source_citation=views.source_citation(row),
        )
        for index, (one, row) in enumerate(zip(result.ranked, result.rows, strict=True), 1)
    ]
    hashed = [
        {
            "memory_id": one.memory_id,
            "decision": one.decision,
            "valid_from": one.bi_temporal.valid_from,
            "valid_to": one.bi_temporal.valid_to,
            "cited": one.cited,
        }
        for one in evidence
    ]
    async with ctx.database.read(ctx.company_id) as tx:
        now = (await ledger.head(tx, ctx.service.clock())).at
        chains = [
            await _supersession_chain(tx, row, result.moment)
            for index, row in enumerate(result.rows, 1)
            if index in grounded.cited
        ]
    filters = {
        "sources": request.sources,
        "topics": request.topics,
        "subject": request.subject,
        "session_id": request.session_id,
    }
    return ProofTree(
        version="2.0",
        question=request.question,
        answer_hash=citations.answer_hash(grounded.answer, hashed),
        generated_at=instants.show(now),
        retrieval=Retrieval(
            method=result.search_type,
            k=len(result.rows),
            memories_evaluated=len(result.rows),
            memories_cited=len(grounded.cited),
            filters={name: value for name, value in filters.items() if value},
        ),
        evidence_chain=evidence,
        supersession_chains=[found for found in chains if len(found.chain) > 1],
    )


async def _supersession_chain(tx: Transaction, row: PieceRow, moment: Moment) -> SupersessionChain:
    """From the memory, along its links, to what holds now."""
    identity = await memories.find_identity(tx, row.memory_id)
    versions = await chain_of(tx, identity, moment) if identity else []
    rows = await memories.pieces(tx, moment.number, versions)
    start = next((place for place, piece in enumerate(rows) if piece.memory_id == row.memory_id), 0)
    links = [
        ChainLink(
            memory_id=str(piece.memory_id),
            superseded_by=_id(piece.superseded_by or piece.replaced_by),
            superseded_at=instants.show_optional(piece.valid_to) if piece.superseded_by else None,
            decision_at_time=piece.text,
        )
        for piece in rows[start:]
    ]
    return SupersessionChain(
        starting_memory_id=str(row.memory_id),
        current_truth_memory_id=links[-1].memory_id if links else str(row.memory_id),
        chain=links,
    )


def _id(value: UUID | None) -> str | None:
    return None if value is None else str(value)
