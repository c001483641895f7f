"""Erases again, in a restored database, what was erased since its backup was made; and keeps keys as they stood."""

import datetime as dt
from collections.abc import Sequence
from uuid import UUID, uuid4

from aurra.changes import Changes, Verb, seal
from aurra.ops.erasing import erasure_of
from aurra.store import chain as chain_store
from aurra.store import erasures, ledger, segments
from aurra.store.backups import Manifest
from aurra.store.chain import Rows
from aurra.store.erasures import Erasures, OfAccount
from aurra.store.pool import Transaction
from aurra.store.rebuilding import Rebuilding

ACTOR = "aurra restore"
_TOGETHER = 1_000
_NOTHING = Rows(memories=[], contents=[], embeddings=[], versions=[], sources=[], slots=[], reasons=[], others=[])


async def replay(rebuilding: Rebuilding, made: Manifest, known: Sequence[Erasures]) -> int:
    """Memories and turns that were erased according to any of `known`, and that the backup brought back, are gone
    again, each with its tombstone; how many. Keys, and the models of accounts, are as the newest of `known` has
    them, if that is newer than the backup."""
    gone = 0
    heads = {head.account: head for head in made.accounts}
    for account in await rebuilding.directory.list_accounts():
        found = [(one.made_at, of) for one in known if (of := one.of(account.id)) is not None]
        if not found:
            continue
        async with rebuilding.directory.act_on(account) as tx:
            before = (await chain_store.head(tx)).last_at
            for _, of in found:
                gone += await _erase_again(tx, of, before)
            head = heads[account.id]
            since = [
                (one.made_at, of)
                for one in known
                if (of := one.since(account.id, made.made_at, head.last_at)) is not None
            ]
            if since:
                newest = max(since, key=lambda one: one[0])[1]
                await erasures.put_keys(tx, newest, rebuilding.columns, head.last_tx)
    return gone


async def _erase_again(tx: Transaction, of: OfAccount, before: dt.datetime) -> int:
    gone = 0
    for memories in _batches(of.memories):
        gone += await _erase(tx, await chain_store.rows_of(tx, memories, ()))
    for turns in _batches(of.turns):
        gone += await _erase(tx, await chain_store.rows_of(tx, (), turns))
    if of.erased_at is not None and of.erased_at > before:
        # Of a tenant that was erased whole, labels and receipts may be all that came back.
        for tenant in await erasures.emptied_tenants(tx):
            await segments.remove(tx, [span.id for span in await segments.spans(tx, tenant, None)])
            await _erase(tx, _NOTHING, tenant)
    return gone


async def _erase(tx: Transaction, rows: Rows, tenant: str | None = None) -> int:
    """One entry of the ledger, if there is anything to erase; how many memories and turns."""
    if not (rows.memories or rows.sources or tenant is not None):
        return 0
    head = await ledger.lock(tx, None)
    erasure = erasure_of(tx.company_id, rows, tenant)
    verb = Verb(verb="erase", actor=ACTOR, request_id=uuid4().hex)
    await ledger.erase(tx, seal(tx.company_id, head, verb, Changes(erasure=erasure), None), erasure)
    return len(rows.memories) + len(rows.sources)


def _batches(ids: Sequence[UUID]) -> list[Sequence[UUID]]:
    return [ids[start : start + _TOGETHER] for start in range(0, len(ids), _TOGETHER)]
