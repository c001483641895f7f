"""Automatic supersession: what new memories may take the place of, and who judges it. All before the transaction."""

import asyncio
from collections.abc import Sequence

import msgspec

from aurra import superseding, texts
from aurra.changes import Embedded
from aurra.context import Context
from aurra.drafts import Draft
from aurra.errors import AurraError
from aurra.ops import models, searching
from aurra.ops.drafting import Prepared
from aurra.providers.base import ModelChoice
from aurra.ranking import Ranked
from aurra.store.memories import PieceRow
from aurra.store.pool import Transaction
from aurra.superseding import Candidate, Decision, Policy, Proposal, Statement
from aurra.types.memories import Extraction
from aurra.types.questions import Search

MOST_CONSIDERED = 500
"""New memories of one request; what comes after them supersedes nothing by itself."""
_FOUND = 12
_JUDGED = 5
"""Candidates that a verdict is given on, of those found."""
_NEAR = 0.4
"""Cosine under which a candidate is about something else."""
_LONGEST_QUERY = 1_000
_TOGETHER = 20
"""New memories that a model judges in one call."""
_CALLS_AT_ONCE = 4


class Considered(msgspec.Struct, kw_only=True):
    """What was found out about one draft; `skipped` says why nothing was looked for."""

    examined: int = 0
    proposals: list[Proposal] = []
    skipped: str | None = None


class _Case(msgspec.Struct, kw_only=True):
    """A draft that is to be judged."""

    considered: Considered
    draft: Draft
    says: Statement
    embedded: Embedded | None
    choice: ModelChoice | None
    candidates: list[Candidate] = []
    is_answered: bool = False
    """Whether a model judged it."""


def policy(ctx: Context) -> Policy:
    """What the key's settings make of verdicts."""
    settings = ctx.caller.settings
    return Policy(min_confidence=settings.min_confidence, keeps_reviews=settings.review_queue)


async def consider(
    ctx: Context, items: Sequence[Prepared | None], vectors: Sequence[Sequence[Embedded | None]]
) -> list[list[Considered]]:
    """For each draft of each item, verdicts on the memories that it may take the place of.

    A model that fails judges nothing: a missed supersession can be repaired.
    """
    excluded = superseding.excluded(ctx.caller.settings.excluded_categories)
    found: list[list[Considered]] = []
    cases: list[_Case] = []
    for item, of_item in zip(items, vectors, strict=True):
        found.append([])
        for draft, embedded in zip(item.drafts if item else (), of_item, strict=True):
            assert item is not None
            skipped = _skipped(item, draft, excluded) or ("too_many" if len(cases) >= MOST_CONSIDERED else None)
            found[-1].append(considered := Considered(skipped=skipped))
            if skipped is None:
                says = _stated(draft, None if draft.turn is None else item.turns[draft.turn].name)
                cases.append(
                    _Case(
                        considered=considered,
                        draft=draft,
                        says=says,
                        embedded=embedded,
                        choice=_judge(ctx, item.choice),
                    )
                )
    if cases:
        await _look(ctx, cases, excluded)
        await _judged(ctx, cases)
    return found


def _skipped(item: Prepared, draft: Draft, excluded: frozenset[str]) -> str | None:
    if not item.auto_supersede:
        return "disabled"
    if draft.is_verbatim_turn:
        return "verbatim"
    if item.is_unjudged:
        return "classifier_unavailable"
    return "excluded_category" if superseding.category(draft.topic) in excluded else None


def _judge(ctx: Context, choice: ModelChoice | None) -> ModelChoice | None:
    """The model that judges: the request's or the server's, or the one that the settings name of the same provider."""
    other = ctx.caller.settings.classifier_model
    return choice if choice is None or not other else msgspec.structs.replace(choice, model=other)


async def _look(ctx: Context, cases: Sequence[_Case], excluded: frozenset[str]) -> None:
    """Finds the candidates of each, in one snapshot."""
    async with ctx.database.read(ctx.company_id) as tx:
        for case in cases:
            case.candidates = await _candidates(ctx, tx, case, excluded)
            case.considered.examined = len(case.candidates)


async def _candidates(ctx: Context, tx: Transaction, case: _Case, excluded: frozenset[str]) -> list[Candidate]:
    """Memories of the same tenant that are believed and valid now and come near to the draft, nearest first."""
    query = case.draft.text[:_LONGEST_QUERY]
    looking = Search(query=query, limit=_FOUND, tenant_id=case.draft.tenant_id)
    meaning = searching.Meaning(case.embedded.model, case.embedded.parts[0]) if case.embedded else None
    result = await searching.find(ctx, tx, query, meaning, looking)
    near = [
        (one, says, row)
        for one, row in zip(result.ranked, result.rows, strict=True)
        if _is_near(one) and not _is_turn(row) and superseding.competes(case.says, says := _says(row), excluded)
    ]
    words = set(texts.comparable(query).split())
    near.sort(key=lambda found: -len(words & set(texts.comparable(found[1].text[:_LONGEST_QUERY]).split())))
    return [Candidate(memory=row.memory_id, says=says) for _, says, row in near[:_JUDGED]]


def _is_near(one: Ranked) -> bool:
    return one.candidate.similarity is None or one.similarity >= _NEAR


def _is_turn(row: PieceRow) -> bool:
    """Whether it is a turn as said, which stays what was said."""
    if row.turn is None or row.extraction is None:
        return False
    return msgspec.json.decode(row.extraction, type=Extraction).mode == "verbatim"


def _stated(draft: Draft, speaker: str | None) -> Statement:
    return _statement(draft.text, draft.topic, draft.subject, draft.attribute, speaker)


def _says(row: PieceRow) -> Statement:
    return _statement(row.text, row.topic, row.subject, row.attribute, row.speaker)


def _statement(text: str, topic: str, subject: str | None, attribute: str | None, speaker: str | None) -> Statement:
    """A text with the comparable names of what it is about, and of who says it: without a speaker, the subject."""
    about = texts.comparable(subject) if subject else None
    return Statement(
        text=text,
        topic=topic,
        subject=about,
        attribute=texts.comparable(attribute) if attribute else None,
        who=texts.comparable(speaker) if speaker else about,
    )


async def _judged(ctx: Context, cases: Sequence[_Case]) -> None:
    """Gives each case its verdicts: by rules, or by its model."""
    by_model: list[tuple[ModelChoice, list[_Case]]] = []
    for case in cases:
        if not case.candidates:
            continue
        if case.choice is None:
            case.considered.proposals = superseding.by_rules(case.says, case.candidates)
            continue
        group = next((group for choice, group in by_model if choice == case.choice), None)
        if group is None:
            by_model.append((case.choice, group := []))
        group.append(case)
    slots = asyncio.Semaphore(_CALLS_AT_ONCE)
    waiting = [case for _, group in by_model for case in group]
    try:
        # However many calls it takes: who writes waits no longer than for one.
        async with asyncio.timeout(ctx.service.settings.aurra_llm_budget_seconds), asyncio.TaskGroup() as tasks:
            for choice, group in by_model:
                for start in range(0, len(group), _TOGETHER):
                    tasks.create_task(_ask(ctx, choice, group[start : start + _TOGETHER], slots))
    except TimeoutError:
        _leave([case for case in waiting if not case.is_answered])


async def _ask(ctx: Context, choice: ModelChoice, cases: Sequence[_Case], slots: asyncio.Semaphore) -> None:
    """The model's verdicts on some cases; where it fails, none."""
    pairs = [(case.says, case.candidates) for case in cases]
    try:
        async with slots:
            decisions = await _decisions(ctx, choice, superseding.prompt(pairs))
    except AurraError:
        _leave(cases)
        return
    for case, proposals in zip(cases, superseding.checked(pairs, decisions, choice.model), strict=True):
        case.considered.proposals, case.is_answered = proposals, True


def _leave(cases: Sequence[_Case]) -> None:
    """Nobody judged them."""
    for case in cases:
        case.considered.examined, case.considered.skipped = 0, "classifier_unavailable"


async def _decisions(ctx: Context, choice: ModelChoice, prompt: str) -> list[Decision]:
    answered = await models.ask(
        ctx,
        choice,
        Decision,
        field="decisions",
        system=superseding.SYSTEM,
        user=prompt,
        schema=superseding.SCHEMA,
        schema_name="decisions",
    )
    return answered.items
