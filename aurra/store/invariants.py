"""What must always be true of what is stored; `aurra doctor` asks it of live data."""

import datetime as dt

import msgspec

from aurra.store.pool import Transaction
from aurra.store.queries import load

_Q = load("invariants")

OF_ACCOUNTS = {
    "lanes": "a lane never holds two beliefs for one instant",
    "instants": "every version was opened and closed by its transactions, at their instants",
    "contents": "every version has its content",
    "tombstones": "what has a tombstone is gone, and an erasure left it",
    "idempotency": "answers are kept for 24 hours",
    "segments": "segments of the index hold the contents of their transactions",
    "evidence": "what receipts considered is there",
    "labels": "the newest label that is kept of a subject or a conversation is the one that is shown",
    "ahead": "the ledger is not ahead of the database's clock",
}
"""Of each account: the name of a check, and what it holds to be true."""

OF_ALL = {
    "failed_jobs": "no job failed again and again",
    "hanging_jobs": "no job's lease hangs",
    "constraints": "the constraints that guard the data are there",
}
"""Of the whole database."""


class Broken(msgspec.Struct, frozen=True):
    """How many break it, and one of them."""

    wrong: int
    example: str | None


async def check(tx: Transaction, name: str, at: dt.datetime) -> Broken:
    """What breaks the invariant of that name; `at` is now."""
    query = _Q[name]
    found = await tx.row(query, Broken, **({"at": at} if "at" in query.parameters else {}))
    assert found is not None
    return found
