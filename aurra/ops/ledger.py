"""The ledger: whether its chain still says what is stored."""

from aurra.context import Context
from aurra.ops.moments import resolve
from aurra.ops.registry import operation
from aurra.store import verifying
from aurra.types.ledger import ChainHead, Verified, Verify


@operation("transactions.verify", "GET", "/agent/transactions/verify", scope="audit:read", keeps_ceiling=True)
async def verify(ctx: Context, request: Verify) -> Verified:
    """Reckons the hash chain again from what is stored: `ok`, or the first transaction that is not as its hash says."""
    async with ctx.database.read(ctx.company_id) as tx:
        moment = await resolve(tx, ctx.service.clock(), None, None)
        verdict = await verifying.verify(tx, max(0, request.since or 0))
    return Verified(
        ok=verdict.first_bad is None,
        checked=verdict.checked,
        head=ChainHead(id=verdict.head.last_tx, hash=verdict.head.last_hash.hex()),
        first_bad=verdict.first_bad,
        why=verdict.why,
        transaction=moment.transaction,
        as_of=moment.shown_as_of,
    )
