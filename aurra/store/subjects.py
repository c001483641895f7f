"""Reading subjects: those that something is believed about, and all that is believed about one."""

import datetime as dt
from uuid import UUID

import msgspec

from aurra.store.pool import Transaction
from aurra.store.queries import load

_Q = load("subjects")


class SubjectRow(msgspec.Struct, frozen=True):
    subject_key: str
    subject: str
    memories: int
    attributes: list[str]


class NameRow(msgspec.Struct, frozen=True):
    subject: str


class AboutRow(msgspec.Struct, frozen=True):
    version: UUID
    memory_id: UUID
    valid_from: dt.datetime
    valid_to: dt.datetime | None
    superseded_by: UUID | None
    attribute: str | None
    attribute_key: str | None
    cardinality: str | None


async def list_page(
    tx: Transaction, *, number: int, valid_at: dt.datetime | None, tenant_id: str, after: str | None, limit: int
) -> list[SubjectRow]:
    """Up to `limit` subjects of the tenant that something is believed about, after a comparable name."""
    return await tx.rows(
        _Q["list_page"], SubjectRow, tx=number, valid_at=valid_at, tenant_id=tenant_id, after=after, limit=limit
    )


async def find_name(tx: Transaction, number: int, tenant_id: str, subject_key: str) -> str | None:
    """The subject as first written; None if no memory was about it at the transaction."""
    row = await tx.row(_Q["name"], NameRow, tx=number, tenant_id=tenant_id, subject_key=subject_key)
    return row and row.subject


async def about(
    tx: Transaction, number: int, tenant_id: str, subject_key: str, at: dt.datetime, *, limit: int
) -> list[AboutRow]:
    """What is believed about the subject: of its attributes all pieces, else those that hold the instant; the latest
    first."""
    return await tx.rows(
        _Q["about"], AboutRow, tx=number, tenant_id=tenant_id, subject_key=subject_key, at=at, limit=limit
    )
