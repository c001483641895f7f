"""Verifies an account's chain from what is stored."""

import msgspec

from aurra import chain, plans, verifying
from aurra.store import chain as chain_store
from aurra.store.chain import ChainHead
from aurra.store.pool import Transaction
from aurra.verifying import Link


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the chain says: the first number that is wrong, and why; None when all is right."""

    checked: int
    head: ChainHead
    first_bad: int | None = None
    why: str | None = None


async def verify(tx: Transaction, since: int = 0) -> Verdict:
    """Reckons every hash after `since` again, and compares the ledger's head and meter.

    Needs a snapshot (REPEATABLE READ). Time and reading grow with what is stored, memory does not.
    """
    head = await chain_store.head(tx)
    start = min(since, head.last_tx)
    before = Link(start, await chain_store.hash_of(tx, start) or chain.GENESIS, None)
    checked = used = 0
    async for found in chain_store.stored(tx, start):
        if tx.up_to is not None and found.number > head.last_tx:
            break
        if (why := verifying.wrong_with(tx.company_id, before, found)) is not None:
            return Verdict(checked=checked, head=head, first_bad=before.number + 1, why=why)
        row = found.transaction
        assert row is not None
        before = Link(row.id, row.hash, row.at)
        checked += 1
        used += row.writes if plans.period_of(row.at) == head.period_start else 0
    why = _wrong_with_head(head, before, used if start == 0 and tx.up_to is None else None)
    return Verdict(checked=checked, head=head, first_bad=None if why is None else head.last_tx, why=why)


def _wrong_with_head(head: ChainHead, last: Link, used: int | None) -> str | None:
    if (last.number, last.hash) != (head.last_tx, head.last_hash):
        return f"the ledger's head is {head.last_tx}, and the newest transaction {last.number}, or their hashes differ"
    if last.at is not None and last.at != head.last_at:
        return "the ledger's instant is not that of its newest transaction"
    if used is not None and used != head.writes_used:
        return f"the meter says {head.writes_used} writes in this period, and there are {used}"
    return None
