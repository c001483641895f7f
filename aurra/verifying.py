"""Whether a transaction is what its hash says. Pure.

`Stored` is a transaction as the database has it now, with the hash of every row it wrote, reckoned from the row. A hash
of no bytes stands for a row whose salt is gone.
"""

import datetime as dt
from uuid import UUID

import msgspec

from aurra import chain
from aurra.chain import Entry, Hashed, Tombstone
from aurra.changes import TransactionRow


class Stored(msgspec.Struct, kw_only=True):
    """What there is of one transaction number."""

    number: int
    transaction: TransactionRow | None = None
    rows: list[Hashed] = []
    """Its rows that are there."""
    tombstones: list[Tombstone] = []
    """What stays of its rows that were erased, and of its reason."""
    erased: list[Tombstone] = []
    """What it erased."""


class Link(msgspec.Struct, frozen=True):
    """Where the chain has been verified to."""

    number: int
    hash: bytes
    at: dt.datetime | None


def wrong_with(company_id: UUID, before: Link, stored: Stored) -> str | None:
    """What is wrong with the transaction that follows `before`; None when all is as its hash says."""
    row = stored.transaction
    if stored.number != before.number + 1 or row is None:
        return f"transaction {before.number + 1} is missing"
    if before.at is not None and row.at <= before.at:
        return "its instant is not later than that of the transaction before"
    reasons = [stone.hash for stone in stored.tombstones if stone.kind == "reason"]
    if row.reason is not None:
        if row.reason_salt is None or chain.salted(row.reason_salt, row.reason) != row.reason_hash:
            return "its reason was changed"
    elif row.reason_hash is not None and reasons != [row.reason_hash]:
        return "its reason is missing, and no transaction erased it"
    entry = Entry(
        company_id=company_id,
        id=row.id,
        at=row.at,
        verb=row.verb,
        actor=row.actor,
        request_id=row.request_id,
        model=row.model,
        writes=row.writes,
        reason=row.reason_hash,
        rows=sorted([*stored.rows, *(stone.hashed for stone in stored.tombstones if stone.kind != "reason")]),
        erased=chain.in_order(stored.erased),
    )
    if chain.link(before.hash, entry) != row.hash:
        return "its hash does not follow from the one before and its rows"
    return None
