"""Restore: a transaction undone."""

from uuid import UUID

from aurra.changes import Head
from aurra.context import Context
from aurra.errors import Conflict
from aurra.ops import checks, views, writing
from aurra.ops.committing import Decision
from aurra.ops.registry import operation
from aurra.planning import restoring
from aurra.planning.changing import lower_trust
from aurra.planning.world import World
from aurra.store import history
from aurra.store import restoring as restoring_store
from aurra.store import world as world_store
from aurra.store.pool import Transaction
from aurra.store.restoring import ReceiptVersion
from aurra.store.world import Needs
from aurra.types.verbs import Restore, Restored


@operation(
    "transactions.restore",
    "POST",
    "/agent/transactions/{tx}/restore",
    scope="memories:write",
    is_idempotent=True,
    example={"reason": "it was right after all"},
)
async def restore(ctx: Context, request: Restore) -> Restored:
    """Undoes a transaction: closes what it opened, opens again what it closed. Itself a transaction, it can be undone.

    Refused with `in_the_way` where a later transaction touched one of its memories, holds what would be given back, or
    erased something of it.
    """
    number = checks.parse_number(request.tx)

    async def decide(tx: Transaction, head: Head) -> Decision:
        versions = await _receipt(ctx, tx, number)
        world, _ = await world_store.load(
            tx, [Needs(memories=frozenset(version.memory_id for version in versions))], head.at
        )
        _require_trust(ctx, world, versions)
        opened = {version.id: version.lane for version in versions if version.tx_from == number}
        back = restoring.reopened([version.piece() for version in versions if version.tx_to == number])
        await _require_free(tx, number, versions, restoring.holders(world, set(opened), back))
        _know(world, versions)
        changes = restoring.restore(world, head, opened, back)
        receipt = views.receipt(changes, dry_run=request.dry_run)
        memories = sorted({version.memory_id for version in versions})
        return Decision(
            verb=ctx.verb("restore", request.reason),
            changes=changes,
            answer=lambda transaction: Restored(
                status="restored",
                restored=number,
                memory_ids=[str(memory) for memory in memories],
                transaction=transaction,
                receipt=receipt,
                dry_run=request.dry_run,
            ),
            dry_run=request.dry_run,
            quotes=memories,
        )

    return await writing.once_alone(ctx, writing.fingerprint(ctx, "transactions.restore", request), Restored, decide)


async def _receipt(ctx: Context, tx: Transaction, number: int) -> list[ReceiptVersion]:
    """What the transaction opened and closed, if the caller's key sees all of it. Raises the one 404, and Conflict for
    an erasure and for one of which nothing is left."""
    verb = await restoring_store.find_verb(tx, number)
    versions = await restoring_store.receipt(tx, number)
    if verb is None or not all(ctx.sees(version.tenant_id) for version in versions):
        raise checks.missing("transaction")
    if verb == "keep":
        # Whoever sees it in the ledger is told; to others it never was.
        if await history.find_entry(tx, number, ctx.caller.tenant_id) is None:
            raise checks.missing("transaction")
        raise Conflict(
            f"Transaction {number} kept turns and believed nothing: there is nothing to undo; erase takes turns.",
            code="not_restorable",
        )
    if not versions:
        # Of a key that is pinned to a tenant, nothing tells whose this was.
        if ctx.caller.tenant_id is not None:
            raise checks.missing("transaction")
        if verb == "erase":
            raise Conflict(f"Transaction {number} erased; what is erased cannot come back.", code="not_restorable")
        raise in_the_way(number, await restoring_store.touched_later(tx, number, []))
    return versions


async def _require_free(tx: Transaction, number: int, versions: list[ReceiptVersion], holders: list[UUID]) -> None:
    """Raises Conflict (in_the_way) with the transactions that came between."""
    memories = list({version.memory_id for version in versions})
    later = await restoring_store.touched_later(tx, number, memories)
    held = await restoring_store.opened_by(tx, holders) if holders else []
    if later or held:
        raise in_the_way(number, sorted({*later, *held}))


def in_the_way(number: int, numbers: list[int]) -> Conflict:
    """The 409 that names what came between."""
    return Conflict(
        f"Transaction {number} cannot be undone: {', '.join(map(str, numbers))} came after it.",
        code="in_the_way",
        extra={"in_the_way": numbers},
    )


def _require_trust(ctx: Context, world: World, versions: list[ReceiptVersion]) -> None:
    """Returns when no memory of the receipt was written by a key of higher trust than the caller's."""
    for version in versions:
        known = world.memories.get(version.memory_id)
        if known is not None and known.trust > ctx.caller.trust:
            raise lower_trust(version.memory_id)


def _know(world: World, versions: list[ReceiptVersion]) -> None:
    """Adds to the world what opening a version again needs."""
    for version in versions:
        world.tenants[version.memory_id] = version.tenant_id
        world.salts[version.content_id] = version.salt
