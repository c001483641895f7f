"""The model of an account: where it is asked, and its key, sealed."""

import datetime as dt
from uuid import UUID

import msgspec

from aurra.sealing import KeyRing, Sealed
from aurra.store.pool import Transaction
from aurra.store.queries import load

_Q = load("providers")


class ProviderRow(msgspec.Struct, frozen=True):
    provider: str
    model: str
    base_url: str | None
    extra: str | None
    sealed_key: bytes | None
    sealed_by: str | None
    last_four: str | None
    changed_at: dt.datetime

    @property
    def sealed(self) -> Sealed | None:
        """The key as it is stored; None without one."""
        if self.sealed_key is None or self.sealed_by is None:
            return None
        return Sealed(self.sealed_key, self.sealed_by)


def bound_to(company_id: UUID, provider: str, base_url: str | None) -> bytes:
    """What a stored key belongs to: this account, at this provider's address."""
    return msgspec.json.encode([str(company_id), provider, base_url])


def opened(company_id: UUID, row: ProviderRow, ring: KeyRing) -> str | None:
    """The row's key; None without one. Raises `CannotOpen`."""
    return None if row.sealed is None else ring.open(row.sealed, bound_to(company_id, row.provider, row.base_url))


async def find(tx: Transaction) -> ProviderRow | None:
    """The account's model, if it has one of its own."""
    return await tx.row(_Q["find"], ProviderRow)


async def lock(tx: Transaction) -> ProviderRow | None:
    """The same; whoever else locks it waits until this transaction ends."""
    return await tx.row(_Q["lock"], ProviderRow)


async def put(tx: Transaction, row: ProviderRow) -> None:
    """The account's model is this one."""
    await tx.execute(_Q["put"], **{name: getattr(row, name) for name in ProviderRow.__struct_fields__})


async def remove(tx: Transaction) -> None:
    """The account has none."""
    await tx.execute(_Q["remove"])


async def reseal(tx: Transaction, sealed: Sealed) -> None:
    """The stored key is sealed anew; nothing else has changed."""
    await tx.execute(_Q["reseal"], sealed_key=sealed.value, sealed_by=sealed.by)
