"""Facts of turns that were kept with `extraction: later`: made as if by the key that sent them, once.

The job goes in the transaction that stores its facts, under the ledger's lock: killed before, all of it is done again;
killed after, nothing is left to do. A key that was revoked meanwhile stops new requests, not what was accepted from it.
"""

import itertools
from collections.abc import Sequence
from uuid import UUID

import msgspec
import structlog
from msgspec.structs import replace

from aurra.changes import Changes, Head
from aurra.context import Caller, Context, Service, caller_of
from aurra.drafts import Turn
from aurra.jobs.runner import kind
from aurra.ops import drafting, memories, metering, superseding, views, writing
from aurra.ops.committing import Decision
from aurra.ops.drafting import Prepared
from aurra.ops.memories import Items
from aurra.planning.world import NotLoaded, World
from aurra.store import accounts, conversations, jobs
from aurra.store import world as world_store
from aurra.store.conversations import ToldRow
from aurra.store.jobs import Job
from aurra.store.pool import Transaction
from aurra.store.world import Needs
from aurra.types.common import Answer, TransactionRef
from aurra.types.memories import MemoryWrite
from aurra.types.receipts import Receipt

log = structlog.get_logger("aurra")


class Later(msgspec.Struct, frozen=True):
    """The arguments of the job: whose request, and the dialog of its turns."""

    dialog: UUID
    key: str


class Extracted(Answer, kw_only=True):
    """What came of the job."""

    transaction: TransactionRef
    receipt: Receipt


@kind("extract")
async def extract(service: Service, job: Job) -> None:
    """Asserts the facts of the job's turns, each citing its turn; turns that were erased are passed over."""
    asked = msgspec.json.decode(job.arguments, type=Later)
    ctx = Context(service=service, caller=await _caller(service, job, asked.key), request_id=f"job-{job.id}")
    async with service.database.read(job.account) as tx:
        told = await conversations.told_together(tx, asked.dialog)
    prepared = await _prepare(ctx, told)
    every = Items([prepared], await drafting.embed(ctx, prepared.drafts, {0: prepared.turns}))
    every.considered = await superseding.consider(ctx, every.items, every.vectors)

    async def decide(tx: Transaction, head: Head) -> Decision:
        present = await conversations.still_there(tx, [row.id for row in told])
        items = _of_turns(every, prepared, {place for place, row in enumerate(told) if row.id in present})
        needs = items.needs(Needs.of_drafts(items.drafts, items.dialogs))
        world, _ = await world_store.load(tx, [needs], head.at)
        changes = await _asserted(ctx, tx, world, head, items)
        # Refused, it would leave the job undone and gone: the plan is asked before the job is taken.
        metering.admit(head, changes)
        if not await jobs.take(tx, job):
            changes = Changes()
        return Decision(
            verb=ctx.verb("assert", None, model=prepared.extraction.model if changes.memories else None),
            changes=changes,
            answer=lambda transaction: Extracted(
                transaction=transaction, receipt=views.receipt(changes, dry_run=False)
            ),
        )

    await writing.write_alone(ctx, None, Extracted, decide)


async def _asserted(ctx: Context, tx: Transaction, world: World, head: Head, items: Items) -> Changes:
    """The rows; what the plan turns out to need is loaded."""
    while True:
        try:
            return memories.assert_items(ctx, world, head, items, None, dry_run=False).changes
        except NotLoaded as missing:
            await world_store.load_memory(tx, world, missing.memory, head.at)


def _of_turns(every: Items, prepared: Prepared, places: set[int]) -> Items:
    """What was made of some of the turns."""
    left = [draft.turn in places for draft in prepared.drafts]
    drafts = list(itertools.compress(prepared.drafts, left))
    items = Items([replace(prepared, drafts=drafts)], list(itertools.compress(every.vectors[0], left)))
    items.considered = [list(itertools.compress(every.considered[0], left))]
    return items


async def _caller(service: Service, job: Job, key_id: str) -> Caller:
    """The key that sent the turns, with the settings, tenant and trust that it has now. Raises LookupError."""
    async with service.database.look_up(key_id) as tx:
        rows = [row for row in await accounts.find_key(tx, key_id) if row.company_id == job.account]
    if not rows:
        raise LookupError("the key of the job is not there")
    # Accepted, it is done, whatever that key may know of now.
    return replace(caller_of(rows[0]), up_to=None)


async def _prepare(ctx: Context, told: Sequence[ToldRow]) -> Prepared:
    """What is made of the turns, which are stored."""
    asked = MemoryWrite(
        messages=[],
        session_id=told[0].session_id if told else None,
        tenant_id=told[0].tenant_id if told else None,
    )
    prepared = await drafting.prepare(ctx, asked, turns=[_turn(row) for row in told])
    if len(prepared.drafts) > drafting.MOST_MEMORIES:
        log.warning("facts were left out", found=len(prepared.drafts), kept=drafting.MOST_MEMORIES)
    drafts = prepared.drafts[: drafting.MOST_MEMORIES]
    return replace(prepared, drafts=drafts, sources=[row.id for row in told])


def _turn(row: ToldRow) -> Turn:
    """The turn; without an instant of its own it was said when it was told, not when facts are made of it."""
    return Turn(
        session_id=row.session_id,
        position=row.position,
        message_id=row.message_id,
        role=row.role,
        name=row.name,
        text=row.text,
        said_at=row.said_at or row.told_at,
    )
