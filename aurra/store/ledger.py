"""The ledger: locking it, writing a transaction under it, the meter, answers kept for idempotency keys."""

import datetime as dt
from collections.abc import Sequence
from uuid import UUID

import msgspec
from msgspec.structs import replace

from aurra.changes import Changes, ConversationRow, Erasure, Head, TransactionRow
from aurra.store.pool import Transaction, half_vector
from aurra.store.queries import load
from aurra.store.world import StoredAnswer

_Q = load("ledger")
ANSWERS_KEPT = dt.timedelta(hours=24)


class Numbered(msgspec.Struct, frozen=True):
    id: int
    at: dt.datetime


class Count(msgspec.Struct, frozen=True):
    count: int


class Kept(msgspec.Struct, frozen=True):
    """An answer to keep for its idempotency key, and the memories that it names; None where it may name anything."""

    key: str
    fingerprint: bytes
    answer: bytes
    quotes: list[UUID] | None


class Applied(msgspec.Struct, frozen=True):
    heads: int
    closed: int
    opened: int


async def lock(tx: Transaction, clock: dt.datetime | None) -> Head:
    """The account's head; until the transaction ends, nobody else writes to the account."""
    return await _one(tx, "lock", clock)


async def head(tx: Transaction, clock: dt.datetime | None) -> Head:
    """The account's head as this snapshot sees it, and its ceiling allows; `at` is now."""
    return await _one(tx, "head" if tx.up_to is None else "head_up_to", clock)


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


async def apply(
    tx: Transaction,
    before: int,
    after: Head,
    entries: Sequence[TransactionRow],
    changes: Changes,
    answers: Sequence[Kept],
) -> None:
    """Writes the transactions that lead from number `before` to the head `after`, and the answers.

    Raises RuntimeError when they were planned on another state: the lock was not held.
    """
    done = await tx.row(
        _Q["apply"],
        Applied,
        before=before,
        tx=after.last_tx,
        at=after.last_at,
        hash=after.last_hash,
        period_start=after.meter_start,
        writes_used=after.writes_used,
        grace_from=after.grace_from,
        transactions=_json(entries),
        slots=_json(changes.slots),
        sources=_json(changes.sources),
        memories=_json(changes.memories),
        contents=_json(changes.contents),
        conversations=_json(_last(changes.conversations)),
        labels=_json([row for row in changes.conversations if row.is_labelled]),
        reviews=_json(changes.reviews),
        jobs=_json(changes.jobs),
        vector_contents=[vector.content_id for vector in changes.vectors],
        vector_models=[vector.model for vector in changes.vectors],
        vector_parts=[vector.part for vector in changes.vectors],
        vectors=[half_vector(vector.values) for vector in changes.vectors],
        vector_numbers=[vector.tx for vector in changes.vectors],
        closed=_json(changes.closed),
        opened=_json(changes.opened),
        answers=_json(answers),
        expires_at=after.last_at + ANSWERS_KEPT,
    )
    if done != Applied(1, len(changes.closed), len(changes.opened)):
        raise RuntimeError(f"transactions after {before} were planned on a state that is not there: {done}")


async def erase(tx: Transaction, entry: TransactionRow, erasure: Erasure) -> None:
    """Writes the transaction that erases. Raises RuntimeError when other rows went than were planned."""
    done = await tx.row(
        _Q["erase"],
        Count,
        entry=msgspec.json.encode({**msgspec.to_builtins(entry), "tenant": erasure.tenant}).decode(),
        # Turns too: an answer that was kept may name no memory, but the turns it told of.
        memories=[*erasure.memories, *erasure.sources],
        contents=erasure.contents,
        sources=erasure.sources,
        slots=erasure.slots,
        tombstones=msgspec.json.encode(erasure.tombstones).decode(),
    )
    expected = sum(stone.kind != "reason" for stone in erasure.tombstones)
    if done != Count(expected):
        raise RuntimeError(f"transaction {entry.id} erased {done} rows instead of {expected}")


async def find_answer(tx: Transaction, key: str, at: dt.datetime) -> StoredAnswer | None:
    """What was answered to the key within the last 24 hours."""
    return await tx.row(_Q["stored_answer"], StoredAnswer, key=key, at=at)


async def store_answers(tx: Transaction, answers: Sequence[Kept], at: dt.datetime) -> None:
    """Keeps answers for 24 hours, where no transaction is written with them."""
    await tx.execute(_Q["store_answers"], answers=_json(answers), expires_at=at + ANSWERS_KEPT)


def _last(rows: Sequence[ConversationRow]) -> list[ConversationRow]:
    """One row a conversation, as a statement can write each but once; what a later one gives stands."""
    by_name: dict[tuple[str, str], ConversationRow] = {}
    for row in rows:
        earlier = by_name.get((row.tenant_id, row.session_id), row)
        given = {name: new for name in row.__struct_fields__ if (new := getattr(row, name)) is not None}
        by_name[row.tenant_id, row.session_id] = replace(earlier, **given)
    return list(by_name.values())


def _json(rows: Sequence[msgspec.Struct]) -> str:
    return msgspec.json.encode(rows).decode()
