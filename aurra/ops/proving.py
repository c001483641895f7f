"""The proof tree of an answer, and its hash."""

from uuid import UUID

from aurra import instants, proof
from aurra.citations import Grounded
from aurra.context import Context
from aurra.ops import views
from aurra.ops.moments import Moment
from aurra.ops.reading import chain_of
from aurra.ops.searching import Result
from aurra.store import memories
from aurra.store.memories import PieceRow
from aurra.store.pool import Transaction
from aurra.types.questions import ChainLink, Evidence, ProofTree, Question, Retrieval, SupersessionChain


def answer_hash(result: Result, grounded: Grounded) -> str:
    """Of the answer and all that was considered for it."""
    evidence = [
        {
            "memory_id": str(row.memory_id),
            "decision": row.text,
            "valid_from": instants.show(row.valid_from),
            "valid_to": instants.show_optional(row.valid_to),
            "cited": index in grounded.cited,
        }
        for index, row in enumerate(result.rows, 1)
    ]
    return proof.answer_hash(grounded.answer, evidence)


async def tree(ctx: Context, tx: Transaction, request: Question, result: Result, grounded: Grounded) -> ProofTree:
    """What the answer rests on, and where that leads by now as known at the answer's moment."""
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
        version=proof.VERSION,
        question=request.question,
        answer_hash=answer_hash(result, grounded),
        generated_at=instants.show(result.moment.now),
        retrieval=Retrieval(
            method=result.search_type,
            k=len(result.rows),
            memories_evaluated=len(result.rows),
            memories_cited=len(grounded.cited),
            filters={name: value for name, value in filters.items() if value},
        ),
        evidence_chain=_evidence(ctx, result, grounded),
        supersession_chains=[found for found in chains if len(found.chain) > 1],
    )


def _evidence(ctx: Context, result: Result, grounded: Grounded) -> list[Evidence]:
    return [
        Evidence(
            memory_id=str(row.memory_id),
            similarity=one.similarity,
            cited=index in grounded.cited,
            decision=row.text,
            bi_temporal=views.temporal(row, views.stands(ctx, row, result.moment)),
            source_citation=views.source_citation(row),
        )
        for index, (one, row) in enumerate(zip(result.ranked, result.rows, strict=True), 1)
    ]


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
