"""Erase: the tombstones of everything that goes, in the order in which an entry lists them. Pure."""

from collections.abc import Callable, Iterable
from uuid import UUID

from aurra import chain, texts
from aurra.chain import Hashed, Tombstone


def tombstones(
    company_id: UUID,
    rows: Iterable[tuple[Hashed, int]],
    reasons: Iterable[tuple[int, bytes]],
    tenant_of: Callable[[UUID], str],
) -> list[Tombstone]:
    """What stays of rows, each with the number of the transaction that wrote it, and of the reasons of transactions.

    `tenant_of` tells a memory's tenant.
    """
    stones = [
        Tombstone(
            kind=row.kind,
            tx=number,
            row_id=row.id,
            hash=row.hash,
            tenant=texts.tenant_digest(company_id, tenant_of(row.id)) if row.kind == "memory" else None,
        )
        for row, number in rows
    ]
    stones += [Tombstone(kind="reason", tx=number, row_id=chain.NO_ROW, hash=hash_) for number, hash_ in reasons]
    return chain.in_order(stones)
