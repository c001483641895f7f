"""The ledger: locking it, writing a transaction under it, the meter, answers kept for idempotency keys."""

import datetime as dt
from collections.abc import Sequence

import msgspec

from aurra.changes import Changes, Head, TransactionRow
from aurra.plans import Meter
from aurra.store.pool import Transaction, half_vector
from aurra.store.queries import load

_Q = load("ledger")
ANSWERS_KEPT = dt.timedelta(hours=24)


class Numbered(msgspec.Struct, frozen=True):
    id: int
    at: dt.datetime


class StoredAnswer(msgspec.Struct, frozen=True):
    fingerprint: bytes
    answer: bytes


class Applied(msgspec.Struct, frozen=True):
    heads: int
    closed: int
    opened: int


async def lock(tx: Transaction, clock: dt.datetime | None) -> Head:
    """The account's head; until the transaction ends, nobody else writes to the account."""
    return await _one(tx, "lock", clock)


async def head(tx: Transaction, clock: dt.datetime | None) -> Head:
    """The account's head as this snapshot sees it; `at` is now."""
    return await _one(tx, "head", clock)


async def _one(tx: Transaction, name: str, clock: dt.datetime | None) -> Head:
    row = await tx.row(_Q[name], Head, clock=clock)
    if row is None:
        raise LookupError("the account has no ledger")
    return row


async def find_transaction(tx: Transaction, number: int) -> Numbered | None:
    """A transaction by number; 0 is the account's creation."""
    query = _Q["account_start"] if number == 0 else _Q["transaction_instant"]
    return await tx.row(query, Numbered, id=number)


async def newest_until(tx: Transaction, at: dt.datetime) -> Numbered:
    """The newest transaction at or before the instant; before the first, number 0."""
    found = await tx.row(_Q["newest_until"], Numbered, at=at) or await tx.row(_Q["account_start"], Numbered)
    if found is None:
        raise LookupError("the account is gone")
    return found


async def apply(tx: Transaction, head: Head, entry: TransactionRow, changes: Changes, meter: Meter, model: str) -> None:
    """Writes the transaction. Raises RuntimeError when it was planned on another state: the lock was not held."""
    done = await tx.row(
        _Q["apply"],
        Applied,
        tx=head.tx,
        at=head.at,
        hash=entry.hash,
        period_start=meter.period_start,
        writes_used=meter.writes_used,
        grace_from=meter.grace_from,
        transactions=_json([entry]),
        slots=_json(changes.slots),
        sources=_json(changes.sources),
        memories=_json(changes.memories),
        contents=_json(changes.contents),
        model=model,
        vector_contents=[vector.content_id for vector in changes.vectors],
        vectors=[half_vector(vector.values) for vector in changes.vectors],
        closed=_json(changes.closed),
        opened=_json(changes.opened),
    )
    if done != Applied(1, len(changes.closed), len(changes.opened)):
        raise RuntimeError(f"transaction {head.tx} was planned on a state that is not there: {done}")


async def find_answer(tx: Transaction, key: str, at: dt.datetime) -> StoredAnswer | None:
    """What was answered to the key within the last 24 hours."""
    return await tx.row(_Q["stored_answer"], StoredAnswer, key=key, at=at)


async def store_answer(tx: Transaction, key: str, fingerprint: bytes, answer: bytes, at: dt.datetime) -> None:
    """Keeps the answer for 24 hours, and drops a few that are older."""
    await tx.execute(_Q["drop_expired_answers"], at=at)
    await tx.execute(_Q["store_answer"], key=key, fingerprint=fingerprint, answer=answer, expires_at=at + ANSWERS_KEPT)


def _json(rows: Sequence[msgspec.Struct]) -> str:
    return msgspec.json.encode(rows).decode()
