"""Removing the vectors of models that search compares no more; the chain verifies afterwards."""

from collections.abc import Sequence
from uuid import uuid4

from aurra.changes import Changes, Erasure, Verb, seal
from aurra.planning import erasing
from aurra.store import chain, embedders, ledger
from aurra.store.accounts import AccountRow, Directory
from aurra.store.pool import Transaction

_BATCH = 1_000
ACTOR = "aurra embeddings prune"


async def prune(directory: Directory, account: AccountRow, kept: Sequence[str]) -> int:
    """Only vectors of the kept models are left in the account; how many went. Each batch is a short transaction.

    Of those that the chain covers, each batch is an entry of the ledger as an erasure is, which leaves their hashes.
    """
    pruned = 0
    while True:
        async with directory.act_on(account) as tx:
            gone = await embedders.prune_derived(tx, kept, _BATCH) or await _prune_chained(tx, kept)
        if not gone:
            return pruned
        pruned += gone


async def _prune_chained(tx: Transaction, kept: Sequence[str]) -> int:
    head = await ledger.lock(tx, None)
    rows = await embedders.prunable(tx, kept, _BATCH)
    if not rows:
        return 0
    stones = erasing.tombstones(tx.company_id, [(chain.of_embedding(row), row.tx) for row in rows], (), str)
    erasure = Erasure(memories=[], contents=[], sources=[], slots=[], tombstones=stones)
    verb = Verb(verb="erase", actor=ACTOR, request_id=uuid4().hex)
    entry = seal(tx.company_id, head, verb, Changes(erasure=erasure), None)
    await embedders.prune_chained(tx, entry, erasure, rows)
    return len(rows)
