"""Erase: memories gone for good, from every transaction, with a certificate."""

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import msgspec

from aurra import texts
from aurra.chain import Hashed
from aurra.changes import Changes, Erasure, Head
from aurra.context import Context
from aurra.errors import BadRequest
from aurra.ops import checks, writing
from aurra.ops.committing import Decision
from aurra.ops.registry import operation
from aurra.planning import erasing
from aurra.store import chain as chain_store
from aurra.store import receipts, segments
from aurra.store.chain import Rows
from aurra.store.pool import Transaction
from aurra.types.common import TransactionRef
from aurra.types.verbs import Certificate, Erase, Erased, EraseMatching

MOST_ERASED = 5_000
"""Memories in one transaction, so that it ends in seconds."""

Choose = Callable[[Transaction], Awaitable["Chosen"]]


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be erased, and how many more match."""

    memories: list[UUID]
    turns: Sequence[UUID] = ()
    """Besides those that the memories came from."""
    remaining: int = 0
    tenant: str | None = None
    """Set where everything of a tenant goes."""
    is_quoted: bool = False
    """Whether there are receipts of answers in that tenant, which go too."""


@operation(
    "memories.erase",
    "POST",
    "/memories/{memory_id}/erase",
    scope="memories:erase",
    aliases=("/agent/memories/{memory_id}/erase",),
    is_idempotent=True,
    is_destructive=True,
    example={"reason": "Kim asked for it"},
)
async def erase(ctx: Context, request: Erase) -> Erased:
    """Removes a memory for good, from every transaction: its versions, what it said, its vector, the turn it came from.

    The ledger still verifies: a salted hash stays, whose salt is gone. It cannot be restored.
    """
    memory_id = checks.parse_id(request.memory_id)

    async def choose(tx: Transaction) -> Chosen:
        await checks.get_identity(ctx, tx, memory_id)
        return Chosen(memories=[memory_id])

    return await writing.once_alone(
        ctx, writing.fingerprint(ctx, "memories.erase", request), Erased, _decide(ctx, request, choose, memory_id)
    )


@operation(
    "memories.erase_matching",
    "POST",
    "/agent/erase",
    scope="memories:erase",
    is_idempotent=True,
    is_destructive=True,
    example={"subject": "kim", "dry_run": True},
)
async def erase_matching(ctx: Context, request: EraseMatching) -> Erased:
    """Removes for good all that matches: a tenant, a session, a subject, or what is of all that are given.

    At most 5,000 memories a request; `remaining` says how many are left for the next. With a whole tenant or session go
    its turns, also those of which no memory was made.
    """
    if request.tenant_id is None and request.session_id is None and request.subject is None:
        raise BadRequest("Say what to erase: `tenant_id`, `session_id`, `subject`, or several.", param="tenant_id")
    tenant = ctx.tenant(request.tenant_id)
    subject = checks.name(request.subject, "subject")
    session = checks.name(request.session_id, "session_id")

    async def choose(tx: Transaction) -> Chosen:
        found = await chain_store.matching(
            tx, tenant_id=tenant, session_id=session, subject_key=texts.comparable(subject) if subject else None
        )
        is_last = len(found) <= MOST_ERASED
        turns = await chain_store.turns_matching(tx, tenant, session) if is_last and subject is None else []
        is_whole = is_last and subject is None and session is None
        return Chosen(
            memories=found[:MOST_ERASED],
            turns=turns,
            remaining=max(0, len(found) - MOST_ERASED),
            tenant=tenant if is_whole else None,
            is_quoted=is_whole and bool(await receipts.page(tx, tenant, None, None, limit=1)),
        )

    return await writing.once_alone(
        ctx, writing.fingerprint(ctx, "memories.erase_matching", request), Erased, _decide(ctx, request, choose, None)
    )


def _decide(ctx: Context, request: Erase | EraseMatching, choose: Choose, memory_id: UUID | None) -> writing.Decide:
    async def decide(tx: Transaction, head: Head) -> Decision:
        chosen = await choose(tx)
        rows = await chain_store.rows_of(tx, chosen.memories, chosen.turns)
        changes = Changes(erasure=erasure_of(ctx.company_id, rows, chosen.tenant))
        if _is_empty(chosen, rows):
            changes = Changes()
        if chosen.tenant is not None and not request.dry_run:
            # Also those that hold nothing of it: they have its name.
            await segments.remove(tx, [span.id for span in await segments.spans(tx, chosen.tenant, None)])
        return Decision(
            verb=ctx.verb("erase", request.reason),
            changes=changes,
            answer=lambda transaction: _erased(request, chosen, rows, memory_id, transaction),
            dry_run=request.dry_run,
            quotes=[],
        )

    return decide


def _is_empty(chosen: Chosen, rows: Rows) -> bool:
    return not (rows.memories or rows.sources or chosen.is_quoted)


def erasure_of(company_id: UUID, rows: Rows, tenant: str | None = None) -> Erasure:
    """What goes with all of these rows; with `tenant`, everything that has its name."""
    tenants = {row.id: row.tenant_id for row in rows.memories}
    return Erasure(
        memories=list(tenants),
        contents=[row.id for row in rows.contents],
        sources=[row.id for row in rows.sources],
        slots=[row.id for row in rows.slots],
        tombstones=erasing.tombstones(
            company_id,
            _written(rows),
            [(row.id, row.reason_hash) for row in rows.reasons],
            tenants.__getitem__,
        ),
        tenant=tenant,
    )


def _written(rows: Rows) -> list[tuple[Hashed, int]]:
    """Every row that goes, with the transaction that wrote it; a version that was closed counts twice."""
    return [
        *((chain_store.of_memory(row), row.created_tx) for row in rows.memories),
        *((chain_store.of_content(row), row.tx) for row in rows.contents),
        *((chain_store.of_embedding(row), row.tx) for row in rows.embeddings),
        *((chain_store.of_opened(row), row.tx_from) for row in rows.versions),
        *((chain_store.of_closed(row), row.tx_to) for row in rows.versions if row.tx_to is not None),
        *((chain_store.of_source(row), row.tx) for row in rows.sources),
        *((chain_store.of_slot(row), row.tx) for row in rows.slots),
    ]


def _erased(
    request: Erase | EraseMatching, chosen: Chosen, rows: Rows, memory_id: UUID | None, transaction: TransactionRef
) -> Erased:
    return Erased(
        status="nothing" if _is_empty(chosen, rows) else "erased",
        memory_id=None if memory_id is None else str(memory_id),
        count=len(rows.memories),
        remaining=chosen.remaining,
        certificate=Certificate(
            memory_ids=[str(row.id) for row in rows.memories],
            versions=len(rows.versions),
            contents=len(rows.contents),
            embeddings=len(rows.embeddings),
            turns=len(rows.sources),
            slots=len(rows.slots),
            reasons=[row.id for row in rows.reasons],
            affected_memory_ids=[str(other) for other in rows.others],
        ),
        transaction=transaction,
        dry_run=request.dry_run,
    )
