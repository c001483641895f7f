"""Reading subjects: those that something is believed about, and all that is believed about one."""

import datetime as dt
from collections.abc import Sequence
from uuid import UUID

import msgspec

from aurra.store.pool import Transaction
from aurra.store.queries import load

_Q = load("subjects")


class SubjectRow(msgspec.Struct, frozen=True):
    subject_key: str
    subject: str
    external_id: str | None
    memories: int
    attributes: list[str]


class NameRow(msgspec.Struct, frozen=True):
    subject: str


class KeyRow(msgspec.Struct, frozen=True):
    subject_key: str


class LabelRow(msgspec.Struct, frozen=True):
    external_id: str | None


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """What narrows a list; None narrows nothing."""

    query: str | None = None
    """An id of the caller's."""
    part: str | None = None
    """The same as a part of a comparable name."""
    external_id: str | None = None


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
    tx: Transaction,
    *,
    number: int,
    valid_at: dt.datetime | None,
    tenant_id: str,
    filters: Filters,
    after: str | None,
    limit: int,
) -> list[SubjectRow]:
    """Up to `limit` subjects of the tenant that something is believed about, after a comparable name."""
    keys = [] if filters.query is None else await known_by(tx, tenant_id, filters.query)
    page = {
        "tx": number,
        "valid_at": valid_at,
        "tenant_id": tenant_id,
        "part": filters.part,
        "after": after,
        "limit": limit,
    }
    if filters.external_id is None:
        return await tx.rows(_Q["list_page"], SubjectRow, keys=keys, **page)
    named = await known_by(tx, tenant_id, filters.external_id)
    is_named = filters.query == filters.external_id
    return await tx.rows(_Q["list_named"], SubjectRow, keys=named, is_named=is_named, **page)


async def several(
    tx: Transaction, number: int, valid_at: dt.datetime | None, tenant_id: str, keys: Sequence[str]
) -> list[SubjectRow]:
    """The tenant's subjects of these comparable names that something is believed about, in the order of their names."""
    return await tx.rows(
        _Q["list_named"],
        SubjectRow,
        tx=number,
        valid_at=valid_at,
        tenant_id=tenant_id,
        keys=keys,
        part=None,
        is_named=False,
        after=None,
        limit=len(keys),
    )


async def known_by(tx: Transaction, tenant_id: str, external_id: str) -> list[str]:
    """Comparable names of the tenant's subjects with that id of the caller's."""
    query = _Q["known_by" if tx.up_to is None else "known_by_up_to"]
    rows = await tx.rows(query, KeyRow, tenant_id=tenant_id, external_id=external_id)
    return [row.subject_key for row in rows]


async def find_external_id(tx: Transaction, tenant_id: str, subject_key: str) -> str | None:
    """The subject's id in the caller's system."""
    query = _Q["external_id" if tx.up_to is None else "external_id_up_to"]
    row = await tx.row(query, LabelRow, tenant_id=tenant_id, subject_key=subject_key)
    return row and row.external_id


async def change_external_id(
    tx: Transaction, number: int, tenant_id: str, subject_key: str, external_id: str | None
) -> None:
    """Gives the subject an id of the caller's, since the transaction; None takes it away."""
    await tx.execute(_Q["label"], tx=number, tenant_id=tenant_id, subject_key=subject_key, external_id=external_id)


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
