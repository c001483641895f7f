"""Writing memories: one, or many at once."""

from collections.abc import Callable, Sequence

import msgspec
from msgspec import UNSET

from aurra import plans
from aurra.changes import Changes, Embedded, Head
from aurra.context import Context
from aurra.drafts import Draft
from aurra.errors import AurraError, BadRequest
from aurra.ops import drafting, metering, superseding, views, writing
from aurra.ops.committing import Decision
from aurra.ops.drafting import Prepared
from aurra.ops.registry import MIB, operation
from aurra.ops.superseding import Considered
from aurra.planning.asserting import Outcome, Planner, require_loaded
from aurra.planning.world import World
from aurra.store.world import Needs
from aurra.superseding import RULES, Policy, Proposal
from aurra.types.common import Answer, TransactionRef
from aurra.types.memories import (
    AutoSupersede,
    BulkItem,
    BulkWrite,
    BulkWritten,
    MemoryWrite,
    MemoryWritten,
    Supersession,
)
from aurra.types.receipts import Receipt

MOST_ITEMS = 500
Vectors = Sequence[Embedded | None]


class Asserted(msgspec.Struct):
    """The outcomes of the drafts, by item, with the receipt."""

    outcomes: list[list[Outcome]]
    errors: dict[int, AurraError]
    changes: Changes
    receipt: Receipt


@operation(
    "memories.add",
    "POST",
    "/agent/memories",
    scope="memories:write",
    ignores_unknown=True,
    is_idempotent=True,
    command="remember {content}",
    example={"content": "Kim lives in Oslo", "subject": "kim", "attribute": "city"},
)
async def add(ctx: Context, request: MemoryWrite) -> MemoryWritten:
    """Stores `content` as one memory, or the facts of `messages` each as its own.

    In a slot (subject and attribute) with one value at a time, the new memory takes its interval from what held it.
    With `auto_supersede` it also ends what else it replaces, if that is sure enough.
    """
    print_ = writing.fingerprint(ctx, "memories.add", request)
    with writing.in_flight(ctx, print_):
        if (stored := await writing.find_replay(ctx, print_, MemoryWritten)) is not None:
            return stored
        prepared = await drafting.prepare(ctx, request)
        drafting.require_few(prepared.drafts)
        vectors = await drafting.embed(ctx, prepared.drafts, {0: prepared.turns})

        items = Items([prepared], vectors)
        items.considered = await superseding.consider(ctx, items.items, items.vectors)

        def plan(world: World, head: Head) -> Decision:
            asserted = assert_items(ctx, world, head, items, None, dry_run=request.dry_run)
            return _decision(
                ctx,
                items,
                asserted,
                request,
                lambda transaction: _written(ctx, request, prepared, items.considered[0], asserted, transaction),
            )

        needs = items.needs(Needs.of_drafts(prepared.drafts, items.dialogs))
        return await writing.write(ctx, print_, MemoryWritten, needs, plan)


@operation(
    "memories.bulk",
    "POST",
    "/agent/memories/bulk",
    scope="memories:write",
    is_idempotent=True,
    body_limit=8 * MIB,
    example={"memories": [{"content": "Bo leads support"}, {"content": "Cy leads sales"}]},
)
async def bulk(ctx: Context, request: BulkWrite) -> BulkWritten:
    """Stores up to 500 memories in one transaction: all or nothing, or, with mode `partial`, each on its own."""
    if not 1 <= len(request.memories) <= MOST_ITEMS:
        raise BadRequest(
            f"`memories` must have 1 to {MOST_ITEMS} items; it has {len(request.memories)}.",
            code="out_of_range",
            param="memories",
        )
    if request.mode not in ("all", "partial"):
        raise BadRequest("`mode` must be `all` or `partial`.", code="out_of_range", param="mode")
    print_ = writing.fingerprint(ctx, "memories.bulk", request)
    with writing.in_flight(ctx, print_):
        if (stored := await writing.find_replay(ctx, print_, BulkWritten)) is not None:
            return stored
        prepared, errors = await _prepare_items(ctx, request)
        drafts = [draft for item in prepared if item for draft in item.drafts]
        drafting.require_few(drafts)
        dialogs = {index: item.turns for index, item in enumerate(prepared) if item}
        items = Items(prepared, await drafting.embed(ctx, drafts, dialogs))
        items.considered = await superseding.consider(ctx, items.items, items.vectors)

        def plan(world: World, head: Head) -> Decision:
            refused = dict(errors) if request.mode == "partial" else None
            asserted = assert_items(ctx, world, head, items, refused, dry_run=request.dry_run)
            return _decision(
                ctx,
                items,
                asserted,
                request,
                lambda transaction: _bulk_written(ctx, items, asserted, transaction, request.dry_run),
            )

        needs = items.needs(Needs.of_drafts(drafts, dialogs))
        return await writing.write(ctx, print_, BulkWritten, needs, plan)


async def _prepare_items(ctx: Context, request: BulkWrite) -> tuple[list[Prepared | None], dict[int, AurraError]]:
    """Each item ready, or, in partial mode, its error."""
    items: list[Prepared | None] = []
    errors: dict[int, AurraError] = {}
    for index, item in enumerate(request.memories):
        try:
            _require_item(item)
            items.append(await drafting.prepare(ctx, item, dialog=index, label=f"memories[{index}]: "))
        except AurraError as error:
            if request.mode == "all":
                raise _of_item(error, index) from error
            errors[index] = error
            items.append(None)
    return items, errors


def _require_item(item: MemoryWrite) -> None:
    if item.dry_run or item.reason is not None:
        raise BadRequest("`dry_run` and `reason` belong to the whole request, not to an item.", param="dry_run")


def _of_item(error: AurraError, index: int) -> AurraError:
    """The same error, naming the item."""
    if isinstance(error.detail, str):
        error.detail = f"memories[{index}]: {error.detail}"
    error.param = f"memories[{index}].{error.param}" if error.param else f"memories[{index}]"
    return error


class Items:
    """Prepared items with the vectors of their drafts, and what these may take the place of."""

    def __init__(self, items: Sequence[Prepared | None], vectors: Vectors) -> None:
        left = iter(vectors)
        self.items = items
        self.vectors = [[next(left) for _ in item.drafts] if item else [] for item in items]
        self.dialogs = {index: item.turns for index, item in enumerate(items) if item}
        self.sources = {index: item.sources for index, item in enumerate(items) if item and item.sources}
        self.considered: list[list[Considered]] = []

    @property
    def drafts(self) -> list[Draft]:
        """Of all items."""
        return [draft for item in self.items if item for draft in item.drafts]

    @property
    def proposals(self) -> list[Proposal]:
        """All that is proposed to give way."""
        return [
            proposal
            for of_item in self.considered
            for considered in of_item
            for proposal in considered.proposals
            if proposal.verdict == "supersedes"
        ]

    def needs(self, needs: Needs) -> Needs:
        """With the memories that may have to give way."""
        return msgspec.structs.replace(needs, memories=frozenset(proposal.memory for proposal in self.proposals))


def assert_items(
    ctx: Context, world: World, head: Head, items: Items, refused: dict[int, AurraError] | None, *, dry_run: bool
) -> Asserted:
    """Applies the items. With `refused`, one that cannot be is put there; without, it is raised."""
    require_loaded(world, items.proposals)
    policy = superseding.policy(ctx)
    while True:
        # Only where items can be refused one by one is anything planned again.
        attempt = world if refused is None else world.child()
        planner = Planner(head, attempt, items.dialogs, items.sources)
        outcomes = _assert_items(planner, head, items, policy, refused)
        if outcomes is not None and not _refuse_lost(planner, outcomes, refused):
            break
    changes = planner.changes()
    if refused is not None:
        world.absorb(attempt)
    return Asserted(outcomes, refused or {}, changes, views.receipt(changes, dry_run=dry_run))


def _decision(
    ctx: Context,
    items: Items,
    asserted: Asserted,
    request: MemoryWrite | BulkWrite,
    answer: Callable[[TransactionRef], Answer],
) -> Decision:
    outcomes = [outcome for of_item in asserted.outcomes for outcome in of_item]
    models = [item.extraction.model for item in items.items if item and item.extraction.model]
    models += [done.classifier for one in outcomes if (done := one.takeover.done) and done.classifier != RULES]
    return Decision(
        verb=ctx.verb("assert", request.reason, model=models[0] if models else None),
        changes=asserted.changes,
        answer=answer,
        dry_run=request.dry_run,
        quotes=[memory for outcome in outcomes for memory in (outcome.memory, *outcome.takeover.old)],
    )


def _assert_items(
    planner: Planner,
    head: Head,
    items: Items,
    policy: Policy,
    refused: dict[int, AurraError] | None,
) -> list[list[Outcome]] | None:
    """The outcomes of each item's drafts, applied in order. An item that cannot be goes to `refused`, where there is
    one; None when part of it had been applied, so that all must be planned again without it."""
    outcomes: list[list[Outcome]] = []
    for index, item in enumerate(items.items):
        done: list[Outcome] = []
        outcomes.append(done)
        if item is None or (refused and index in refused):
            continue
        try:
            known = planner.keep(index, item.labels) if item.labels else None
            if refused is not None:
                _admit_item(planner, head, item.drafts)
            for draft, vector, considered in zip(
                item.drafts, items.vectors[index], items.considered[index], strict=True
            ):
                # A turn that somebody else kept meanwhile was extracted, or not, as they asked.
                if known is not None and draft.turn is not None and known[draft.turn] is not None:
                    continue
                outcome = planner.assert_draft(draft, vector)
                if considered.proposals and not outcome.duplicate:
                    takeover = planner.take_over(draft, outcome.memory, considered.proposals, policy)
                    outcome = msgspec.structs.replace(outcome, takeover=takeover)
                done.append(outcome)
        except AurraError as error:
            if refused is None:
                raise
            refused[index] = error
            if done:
                return None
    return outcomes


def _admit_item(planner: Planner, head: Head, drafts: Sequence[Draft]) -> None:
    """Returns when all drafts of an item can be asserted and the plan still has room for them."""
    for draft in drafts:
        planner.inspect(draft)
    if not _is_blocked(planner, head, len(drafts)):
        return
    # What one draft says another may repeat, or displace: only in their order can they be counted.
    cost = planner.cost_of(drafts)
    if _is_blocked(planner, head, cost):
        raise metering.plan_exceeded(head, cost)


def _is_blocked(planner: Planner, head: Head, cost: int) -> bool:
    """Whether the plan has no room for that many writes more."""
    verdict = plans.admit(head.writes_limit, head.meter, planner.cost + cost, head.at)
    return cost > 0 and isinstance(verdict, plans.Blocked)


def _refuse_lost(planner: Planner, outcomes: list[list[Outcome]], refused: dict[int, AurraError] | None) -> bool:
    """Whether an item lost a memory whole to a later item of the same request; it is refused, naming both."""
    lost = planner.lost()
    for index, item in enumerate(outcomes):
        taken = [outcome.memory for outcome in item if outcome.memory in lost]
        if not taken:
            continue
        by = lost[taken[0]].rstrip(": ") or "a later fact"
        error = BadRequest(
            f"memories[{index}]: nothing is left of it, because {by} takes its whole interval.", code="empty_interval"
        )
        if refused is None:
            raise error
        refused[index] = error
    return bool(lost)


def _written(
    ctx: Context,
    request: MemoryWrite,
    prepared: Prepared,
    considered: Sequence[Considered],
    asserted: Asserted,
    transaction: TransactionRef,
) -> MemoryWritten:
    outcomes = asserted.outcomes[0]
    saved = [outcome for outcome in outcomes if not outcome.duplicate]
    shown = [None if request.dry_run and not outcome.duplicate else str(outcome.memory) for outcome in outcomes]
    reports = [
        _auto_supersede(one, outcome, id_) for one, outcome, id_ in zip(considered, outcomes, shown, strict=True)
    ]
    return MemoryWritten(
        status="saved" if saved else "duplicate" if outcomes else "no_facts",
        memory_id=shown[0] if prepared.is_content else None,
        memory_ids=[id_ for id_ in shown if id_],
        extracted_count=prepared.extracted_count,
        saved_count=len(saved),
        company_id=str(ctx.company_id),
        tenant_id=ctx.tenant(request.tenant_id) or None,
        extraction=prepared.extraction,
        transaction=transaction,
        auto_supersede=reports[0] if prepared.is_content else reports,
        receipt=asserted.receipt,
        dry_run=request.dry_run,
        warnings=[*prepared.warnings, *_yielded(outcomes)],
    )


def _yielded(outcomes: Sequence[Outcome]) -> list[str]:
    """A warning where facts were stored without their slots."""
    count = sum(outcome.yielded for outcome in outcomes)
    return [f"{count} facts were stored without their slot: a memory of higher trust holds it."] if count else []


def _auto_supersede(considered: Considered, outcome: Outcome, shown_id: str | None) -> AutoSupersede:
    """What became of one memory's automatic supersession; a slot with one value at a time supersedes by itself."""
    skipped = considered.skipped
    if outcome.duplicate and skipped != "disabled":
        skipped = "duplicate"
    if skipped is not None:
        return AutoSupersede(
            ran=False, skipped_reason=skipped, candidates_examined=0, memory_id=shown_id, supersession=None
        )
    supersession = _of_slot(outcome) or _of_verdict(outcome)
    return AutoSupersede(
        ran=True,
        skipped_reason=None if supersession else outcome.takeover.skipped,
        candidates_examined=outcome.examined + considered.examined,
        memory_id=shown_id,
        supersession=supersession,
    )


def _of_slot(outcome: Outcome) -> Supersession | None:
    if outcome.displaced is None:
        return None
    return Supersession(
        old_memory_id=str(outcome.displaced),
        confidence=1.0,
        verdict="supersedes",
        reasoning="The same subject and attribute hold one value at a time.",
    )


def _of_verdict(outcome: Outcome) -> Supersession | None:
    if (done := outcome.takeover.done) is None:
        return None
    return Supersession(
        old_memory_id=str(done.memory), confidence=done.confidence, verdict=done.verdict, reasoning=done.reasoning
    )


def _bulk_written(
    ctx: Context, items: Items, asserted: Asserted, transaction: TransactionRef, dry_run: bool
) -> BulkWritten:
    shown = [
        _bulk_item(index, item, considered, outcomes, asserted.errors.get(index), dry_run)
        for index, (item, considered, outcomes) in enumerate(
            zip(items.items, items.considered, asserted.outcomes, strict=True)
        )
    ]
    every = [outcome for outcomes in asserted.outcomes for outcome in outcomes]
    saved = any(not outcome.duplicate for outcome in every)
    return BulkWritten(
        status="partial" if asserted.errors else "saved" if saved else "duplicate" if every else "no_facts",
        items=shown,
        saved_count=sum(not outcome.duplicate for outcome in every),
        duplicate_count=sum(outcome.duplicate for outcome in every),
        error_count=len(asserted.errors),
        company_id=str(ctx.company_id),
        transaction=transaction,
        receipt=asserted.receipt,
        dry_run=dry_run,
        warnings=[*(warning for item in items.items if item for warning in item.warnings), *_yielded(every)],
    )


def _bulk_item(
    index: int,
    item: Prepared | None,
    considered: Sequence[Considered],
    outcomes: Sequence[Outcome],
    error: AurraError | None,
    dry_run: bool,
) -> BulkItem:
    if error is not None or item is None:
        return BulkItem(
            index=index, status="error", memory_id=None, memory_ids=[], error=error and writing.as_item_error(error)
        )
    saved = [outcome for outcome in outcomes if not outcome.duplicate]
    shown = [str(outcome.memory) if outcome.duplicate or not dry_run else None for outcome in outcomes]
    ids = [id_ for id_ in shown if id_]
    return BulkItem(
        index=index,
        status="saved" if saved else "duplicate" if outcomes else "no_facts",
        memory_id=ids[0] if item.is_content and ids else None,
        memory_ids=ids,
        auto_supersede=[
            _auto_supersede(one, outcome, id_) for one, outcome, id_ in zip(considered, outcomes, shown, strict=True)
        ]
        if item.auto_supersede
        else UNSET,
    )
