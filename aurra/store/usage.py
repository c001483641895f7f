"""What an account used and holds, from the ledger and the tables themselves."""

import datetime as dt

import msgspec

from aurra.store.pool import Transaction
from aurra.store.queries import load

_Q = load("usage")


class Span(msgspec.Struct, frozen=True):
    """Transactions with `start` ≤ instant < `until`, up to `number`."""

    start: dt.datetime
    until: dt.datetime
    number: int


class DayRow(msgspec.Struct, frozen=True):
    day: dt.date
    writes: int
    transactions: int


class VerbRow(msgspec.Struct, frozen=True):
    verb: str
    writes: int
    transactions: int


class DetailRow(msgspec.Struct, frozen=True):
    day: dt.date
    verb: str
    actor: str
    writes: int
    transactions: int


class KeyUsedRow(msgspec.Struct, frozen=True):
    actor: str
    key_id: str | None
    name: str
    writes: int
    transactions: int
    last_write_at: dt.datetime | None
    last_used_at: dt.datetime | None
    is_revoked: bool


class HeldRow(msgspec.Struct, frozen=True):
    memories: int
    believed: int
    versions: int
    conversations: int
    turns: int
    receipts: int
    open_reviews: int


async def by_day(tx: Transaction, span: Span) -> list[DayRow]:
    """Each day with a transaction, oldest first."""
    return await tx.rows(_Q["by_day"], DayRow, **msgspec.structs.asdict(span))


async def by_verb(tx: Transaction, span: Span) -> list[VerbRow]:
    """Each verb that there was."""
    return await tx.rows(_Q["by_verb"], VerbRow, **msgspec.structs.asdict(span))


async def details(tx: Transaction, span: Span, after: tuple[dt.date, str, str] | None, limit: int) -> list[DetailRow]:
    """Each day, verb and actor, the newest day first; after that row."""
    day, verb, actor = after or (None, "", "")
    given = msgspec.structs.asdict(span)
    return await tx.rows(_Q["details"], DetailRow, **given, day=day, verb=verb, actor=actor, limit=limit)


async def by_key(tx: Transaction, span: Span, after: str | None, limit: int) -> list[KeyUsedRow]:
    """Every key of the account and whoever else wrote, by actor; after that one."""
    return await tx.rows(_Q["by_key"], KeyUsedRow, **msgspec.structs.asdict(span), after=after, limit=limit)


async def held(tx: Transaction) -> HeldRow:
    """What the account holds."""
    row = await tx.row(_Q["held"], HeldRow)
    assert row is not None
    return row
