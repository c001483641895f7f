"""Grounded answers: find the evidence, answer from it alone, cite it, prove it, keep its receipt."""

import datetime as dt
import hashlib
from collections.abc import Sequence

import msgspec

from aurra import chain, citations, instants, support
from aurra.citations import Evidence, Grounded
from aurra.context import Context
from aurra.errors import Unavailable
from aurra.ids import Ids
from aurra.ops import models, proving, searching, views
from aurra.ops.registry import operation
from aurra.ops.searching import Result
from aurra.providers.base import ModelChoice
from aurra.store import receipts
from aurra.store.pool import ConstraintBroken
from aurra.store.receipts import EvidenceRow, ReceiptRow
from aurra.types.questions import Answered, AnswerSentence, Citation, ProofTree, Question

_TRIES = 3
"""How often an answer is made anew when a memory of it is erased meanwhile."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The model that was asked, how, and by which prompt."""

    provider: str
    model: str
    rung: str
    prompt_hash: bytes


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, what was found for it, and who made it: None is the extractive mode."""

    result: Result
    grounded: Grounded
    asked: Asked | None


@operation(
    "memories.query",
    "POST",
    "/agent/query",
    scope="query",
    keeps_ceiling=True,
    ignores_unknown=True,
    command="ask {question}",
    keyless="It asks: each answer is of its own moment, and has a receipt of its own.",
    example={"question": "Where does Kim live?"},
)
async def query(ctx: Context, request: Question) -> Answered:
    """Answers a question from memories alone, each sentence with its citation; refuses when they do not suffice."""
    choice = await models.choose(ctx, request.llm)
    for _ in range(_TRIES):
        made = await make(ctx, request, choice)
        receipt = _receipt(ctx, request, made)
        kept = await _keep(ctx, request, made, receipt)
        if kept is not None:
            return _answered(ctx, request, made, receipt, kept.tree)
    raise Unavailable("What the answer rests on is being erased; ask again.")


async def make(ctx: Context, request: Question, choice: ModelChoice | None, at: Question | None = None) -> Made:
    """The answer to a question at the moment that it names, or another one does; nothing is stored."""
    text = searching.checked_text(request.question, "question")
    meaning = await searching.embedded(ctx, text)
    async with ctx.database.read(ctx.company_id) as tx:
        result = await searching.find(ctx, tx, text, meaning, at or request)
    asked = support.Asked(text, result.candidates, result.corpus, result.moment.flags_at)
    evidence = _evidence(asked, result)
    framed = _framed_at(request, result)
    if choice is not None and evidence:
        return await _by_model(ctx, choice, request, result, evidence, framed, asked.names)
    if asked.is_about_others():
        return Made(result=result, grounded=citations.refusal(evidence), asked=None)
    grounded = citations.extractive(text, evidence, framed)
    return Made(result=result, grounded=grounded, asked=None)


def _framed_at(request: Question, result: Result) -> dt.datetime | None:
    """The instant that the answer names: who names no time is answered of now."""
    if request.as_of:
        return result.moment.as_of
    return None if request.transaction_as_of is None else result.moment.at


def _evidence(asked: support.Asked, result: Result) -> list[Evidence]:
    """What was found, with how far it supports an answer."""
    return [
        Evidence(
            index=index,
            text=row.text,
            speaker=row.speaker,
            subject=row.subject,
            support=asked.support(one.candidate, row.valid_to),
            has_vector=one.candidate.similarity is not None,
            valid_from=row.valid_from,
            valid_to=row.valid_to,
            said_at=row.said_at,
        )
        for index, (one, row) in enumerate(zip(result.ranked, result.rows, strict=True), 1)
    ]


async def _by_model(
    ctx: Context,
    choice: ModelChoice,
    request: Question,
    result: Result,
    evidence: Sequence[Evidence],
    as_of: dt.datetime | None,
    asked_about: Sequence[str],
) -> Made:
    """The model's answer, verified."""
    prompt = citations.prompt(request.question, evidence, as_of)
    answered = await models.ask(
        ctx,
        choice,
        citations.Sentence,
        field="sentences",
        system=citations.SYSTEM,
        user=prompt,
        schema=citations.SCHEMA,
        schema_name="answer",
    )
    grounded = citations.verify(answered.items, evidence, as_of, strict=request.strict, asked_about=asked_about)
    prompt_hash = hashlib.sha256(chain.canonical([citations.SYSTEM, citations.SCHEMA, prompt])).digest()
    asked = Asked(provider=choice.provider, model=answered.model, rung=answered.rung, prompt_hash=prompt_hash)
    return Made(result=result, grounded=grounded, asked=asked)


class _Kept(msgspec.Struct, frozen=True):
    tree: ProofTree | None


async def _keep(ctx: Context, request: Question, made: Made, receipt: ReceiptRow) -> _Kept | None:
    """The receipt is stored, and the proof tree made if it is asked for; None where a memory was erased meanwhile.

    Both in one transaction, so that nothing is quoted that was erased before the receipt was there.
    """
    try:
        async with ctx.database.begin(ctx.company_id) as tx:
            await receipts.store(tx, receipt, _considered(made))
            if not request.include_proof_tree:
                return _Kept(None)
            return _Kept(await proving.tree(ctx, tx, request, made.result, made.grounded))
    except ConstraintBroken as broken:
        if broken.constraint != receipts.EVIDENCE_IS_THERE:
            raise
        return None


def _considered(made: Made) -> list[EvidenceRow]:
    return [
        EvidenceRow(index, row.memory_id, row.version, index in made.grounded.cited)
        for index, row in enumerate(made.result.rows, 1)
    ]


def _receipt(ctx: Context, request: Question, made: Made) -> ReceiptRow:
    moment, asked = made.result.moment, made.asked
    return ReceiptRow(
        id=Ids(moment.now).new(),
        tenant_id=ctx.tenant(request.tenant_id),
        key_id=ctx.caller.key_id,
        request_id=ctx.request_id,
        at=moment.now,
        tx=moment.number,
        valid_at=moment.valid_at,
        request=msgspec.json.encode(_without_key(request)).decode(),
        search_type=made.result.search_type,
        embedder=made.result.model,
        ranker=searching.RANKER,
        provider=asked and asked.provider,
        model=asked and asked.model,
        rung=asked and asked.rung,
        prompt_version=citations.PROMPT_VERSION if asked else None,
        prompt_hash=asked and asked.prompt_hash,
        answer=made.grounded.answer,
        answer_hash=bytes.fromhex(proving.answer_hash(made.result, made.grounded)),
        grounded=made.grounded.grounded,
        refused=made.grounded.refused,
        known_up_to=moment.newest,
    )


def _without_key(request: Question) -> dict[str, object]:
    """The request as asked. Of a model of its own only the names: address and further fields may hold a key too."""
    kept = msgspec.to_builtins(request)
    if request.llm is not None:
        kept["llm"] = {"provider": request.llm.provider, "model": request.llm.model}
    return kept


def _answered(
    ctx: Context, request: Question, made: Made, receipt: ReceiptRow, proof_tree: ProofTree | None
) -> Answered:
    result, grounded = made.result, made.grounded
    return Answered(
        question=request.question,
        answer=grounded.answer,
        answer_with_citations=grounded.marked,
        sentences=[
            AnswerSentence(
                text=one.text, citations=one.citations, supported=one.is_supported, unsupported=one.unsupported
            )
            for one in grounded.sentences
        ],
        citations=[_citation(ctx, result, grounded, index) for index in range(1, len(result.rows) + 1)],
        memories=[views.memory(ctx, row, result.moment) for row in result.rows],
        memories_searched=result.searched,
        search_type=result.search_type,
        proof_tree=proof_tree,
        grounded=grounded.grounded,
        refused=grounded.refused,
        receipt_id=str(receipt.id),
        transaction=result.moment.transaction,
        as_of=result.moment.shown_as_of,
    )


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
