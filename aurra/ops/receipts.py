"""Receipts of answers: read them, and play them again at their moment."""

from collections.abc import Sequence

import msgspec

from aurra import instants
from aurra.context import Context
from aurra.cursors import ReceiptCursor
from aurra.ops import answering, checks, models, paging, proving, searching
from aurra.ops.answering import Made
from aurra.ops.moments import find as find_moment
from aurra.ops.registry import operation
from aurra.providers.base import ModelChoice
from aurra.store import ledger
from aurra.store import receipts as store
from aurra.store.pool import Transaction
from aurra.store.receipts import BrokenRow, CountRow, EvidenceRow, Place, ReceiptRow
from aurra.types.answers import (
    AnswerDrift,
    Drift,
    EvidenceDrift,
    EvidencePlace,
    Invalidation,
    PartDrift,
    ReceiptEvidence,
    ReceiptFound,
    ReceiptGet,
    ReceiptList,
    ReceiptPage,
    ReceiptReplay,
    ReceiptSummary,
    Replayed,
)
from aurra.types.common import TransactionRef
from aurra.types.questions import Question

NEEDS_MODEL = "The answer was made by a model of the request's own; give `llm` to ask it again."


@operation("receipts.list", "GET", "/agent/receipts", scope="query", keeps_ceiling=True)
async def list_receipts(ctx: Context, request: ReceiptList) -> ReceiptPage:
    """Receipts of answers, newest first; with `memory_id`, those that considered that memory."""
    limit = checks.clamp(request.limit, 20)
    tenant = ctx.tenant(request.tenant_id)
    memory_id = checks.parse_id(request.memory_id) if request.memory_id else None
    cursor = paging.place_of(ctx, request.cursor, ReceiptCursor)
    after = cursor and Place(cursor.at, cursor.receipt_id)
    async with ctx.database.read(ctx.company_id) as tx:
        head = await ledger.head(tx, ctx.service.clock())
        if memory_id is not None:
            identity = await checks.get_identity(ctx, tx, memory_id)
            # A memory has its tenant; only who names another one is told that it has none there.
            tenant = identity.tenant_id if request.tenant_id is None else tenant
        rows = await store.page(tx, tenant, memory_id, after, limit=limit + 1)
        shown, last = paging.cut(rows, limit)
        counts = await store.counts(tx, [row.id for row in shown])
        broken = await store.broken(tx, [row.id for row in shown])
    return ReceiptPage(
        receipts=[_summary(row, counts.get(row.id), broken.get(row.id)) for row in shown],
        has_more=last is not None,
        next_cursor=last and _next(ctx, last),
        transaction=TransactionRef(id=head.last_tx, at=instants.show(head.last_at)),
    )


@operation("receipts.get", "GET", "/agent/receipts/{receipt_id}", scope="query", keeps_ceiling=True)
async def get(ctx: Context, request: ReceiptGet) -> ReceiptFound:
    """What an answer was made of: question, both times, evidence in order, model, hashes; whether it still stands."""
    async with ctx.database.read(ctx.company_id) as tx:
        head = await ledger.head(tx, ctx.service.clock())
        row = await _seen(ctx, tx, request.receipt_id)
        at = await find_moment(tx, head, row.tx, "transaction")
        considered = await store.evidence(tx, row.id)
        broken = await store.broken(tx, [row.id])
    return ReceiptFound(
        receipt_id=str(row.id),
        at=instants.show(row.at),
        tenant_id=row.tenant_id or None,
        actor=f"key {row.key_id}",
        request_id=row.request_id,
        transaction=TransactionRef(id=at.id, at=instants.show(at.at)),
        as_of=instants.show_optional(row.valid_at),
        request=msgspec.json.decode(row.request),
        search_type=row.search_type,
        embedder=row.embedder,
        ranker=row.ranker,
        provider=row.provider,
        model=row.model,
        rung=row.rung,
        prompt_version=row.prompt_version,
        prompt_hash=row.prompt_hash.hex() if row.prompt_hash else None,
        answer=row.answer,
        answer_hash=row.answer_hash.hex(),
        grounded=row.grounded,
        refused=row.refused,
        evidence=[
            ReceiptEvidence(
                place=one.place, memory_id=str(one.memory_id), version=str(one.version_id), cited=one.is_cited
            )
            for one in considered
        ],
        invalidated=_invalidation(broken.get(row.id)),
    )


@operation(
    "receipts.replay",
    "POST",
    "/agent/receipts/{receipt_id}/replay",
    scope="query",
    keeps_ceiling=True,
    keyless="It reads, and stores nothing.",
)
async def replay(ctx: Context, request: ReceiptReplay) -> Replayed:
    """Asks the question again at the moment of its receipt, and says what drifted: evidence, model, or answer.

    Nothing is stored. An extractive answer replays identically after any later writes.
    """
    async with ctx.database.read(ctx.company_id) as tx:
        row = await _seen(ctx, tx, request.receipt_id)
        then = await store.evidence(tx, row.id)
    question = msgspec.json.decode(row.request, type=Question)
    choice, is_unasked = await _choice(ctx, request, row, question)
    made = await answering.make(ctx, question, choice, at=_at(row, question))
    # Erased meanwhile, it is gone: what was said of it is not said again.
    async with ctx.database.read(ctx.company_id) as tx:
        await _seen(ctx, tx, request.receipt_id)
    return _replayed(row, then, made, is_unasked=is_unasked)


async def _seen(ctx: Context, tx: Transaction, receipt_id: str) -> ReceiptRow:
    """The receipt, if this key sees it; else the one 404."""
    row = await store.find(tx, checks.parse_id(receipt_id, "receipt"))
    if row is None or not ctx.sees(row.tenant_id):
        raise checks.missing("receipt")
    return row


def _at(row: ReceiptRow, question: Question) -> Question:
    """The question at the moment that it was answered at, whichever it named."""
    return msgspec.structs.replace(
        question, tenant_id=row.tenant_id, as_of=instants.show_optional(row.valid_at), transaction_as_of=row.tx
    )


async def _choice(
    ctx: Context, request: ReceiptReplay, row: ReceiptRow, question: Question
) -> tuple[ModelChoice | None, bool]:
    """The model to ask: the one given, else the server's where it answered, else none; and whether one would have to be
    asked that is not given."""
    if request.llm is not None:
        return await models.choose(ctx, request.llm), False
    if row.provider is None:
        return None, False
    if question.llm is not None:
        return None, True
    return await models.choose(ctx, None), False


def _replayed(row: ReceiptRow, then: Sequence[EvidenceRow], made: Made, *, is_unasked: bool) -> Replayed:
    evidence = _evidence_drift(then, made)
    answer = AnswerDrift(
        same=not is_unasked and made.grounded.answer == row.answer,
        then=row.answer,
        now=None if is_unasked else made.grounded.answer,
        why=NEEDS_MODEL if is_unasked else None,
    )
    hash_now = None if is_unasked else proving.answer_hash(made.result, made.grounded)
    moment = made.result.moment
    replayed = Replayed(
        receipt_id=str(row.id),
        drift="none",
        evidence=evidence,
        embedder=_part(row.embedder, made.result.model),
        ranker=_part(row.ranker, searching.RANKER),
        model=_part(_model(row.provider, row.model), made.asked and _model(made.asked.provider, made.asked.model)),
        answer=answer,
        answer_hash=_part(row.answer_hash.hex(), hash_now),
        transaction=moment.transaction,
        as_of=moment.shown_as_of,
    )
    replayed.drift = _drift(replayed)
    return replayed


def _drift(replayed: Replayed) -> Drift:
    """The first cause that applies."""
    if not replayed.evidence.same:
        return "embedder" if not replayed.embedder.same else "ranker" if not replayed.ranker.same else "evidence"
    if replayed.answer.now is None:
        return "not_asked"
    if replayed.answer.same:
        return "none"
    return "model" if not replayed.model.same else "answer"


def _evidence_drift(then: Sequence[EvidenceRow], made: Made) -> EvidenceDrift:
    before = {(one.memory_id, one.version_id): one.place for one in then}
    now = {(row.memory_id, row.version): place for place, row in enumerate(made.result.rows, 1)}
    places = [
        EvidencePlace(memory_id=str(key[0]), version=str(key[1]), then=before.get(key), now=now.get(key))
        for key in dict.fromkeys([*before, *now])
    ]
    return EvidenceDrift(
        same=all(one.then == one.now for one in places),
        missing=[one for one in places if one.now is None],
        added=[one for one in places if one.then is None],
        moved=[one for one in places if None not in (one.then, one.now) and one.then != one.now],
    )


def _part(then: str | None, now: str | None) -> PartDrift:
    return PartDrift(same=then == now, then=then, now=now)


def _model(provider: str | None, model: str | None) -> str | None:
    return None if provider is None else f"{provider}/{model or ''}"


def _summary(row: ReceiptRow, count: CountRow | None, broken: list[BrokenRow] | None) -> ReceiptSummary:
    return ReceiptSummary(
        receipt_id=str(row.id),
        at=instants.show(row.at),
        tenant_id=row.tenant_id or None,
        question=msgspec.json.decode(row.request, type=Question).question,
        answer=row.answer,
        grounded=row.grounded,
        refused=row.refused,
        memories_considered=count.considered if count else 0,
        memories_cited=count.cited if count else 0,
        invalidated=_invalidation(broken),
    )


def _invalidation(broken: list[BrokenRow] | None) -> Invalidation | None:
    if not broken:
        return None
    first = min(broken, key=lambda row: row.number)
    return Invalidation(
        transaction=first.number,
        at=instants.show(first.at),
        verb=first.verb,
        memory_ids=sorted({str(row.memory_id) for row in broken}),
    )


def _next(ctx: Context, last: ReceiptRow) -> str:
    return paging.cursor_to(ctx, ReceiptCursor(last.at, last.id))
