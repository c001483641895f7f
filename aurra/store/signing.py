"""Signing: the secrets that keys sign with, sealed; and the nonces that were used, one each."""

import datetime as dt
from uuid import UUID

import msgspec

from aurra.sealing import CannotOpen, KeyRing, Sealed
from aurra.store.pool import Transaction
from aurra.store.queries import load

_Q = load("signing")


class SealedSecret(msgspec.Struct, frozen=True):
    key_id: str
    signing_sealed: bytes
    signing_sealed_by: str


class Kept(msgspec.Struct, frozen=True):
    """What became of a nonce."""

    at: dt.datetime
    """What the clock says."""
    is_in_time: bool
    is_new: bool


def bound_to(company_id: UUID, key_id: str) -> bytes:
    """What a signing secret belongs to: this account, this key."""
    return msgspec.json.encode(["signing", str(company_id), key_id])


def opened(company_id: UUID, key_id: str, sealed: Sealed, ring: KeyRing) -> str:
    """The signing secret of a key. Raises `CannotOpen`."""
    return ring.open(sealed, bound_to(company_id, key_id))


async def try_secrets(tx: Transaction, ring: KeyRing | None) -> list[tuple[str, bool]]:
    """The account's signed keys, and whether the secret of each can be opened."""
    return [(row.key_id, _find(tx, row, ring) is not None) for row in await _sealed(tx)]


async def rewrap(tx: Transaction, ring: KeyRing) -> tuple[int, list[str]]:
    """Every signing secret of the account is sealed with the ring's first key: how many were not before; and the keys
    whose secrets cannot be opened, and stay as they are."""
    changed, broken = 0, list[str]()
    for row in await _sealed(tx):
        secret = _find(tx, row, ring)
        if secret is None:
            broken.append(row.key_id)
        elif row.signing_sealed_by != ring.first:
            sealed = ring.seal(secret, bound_to(tx.company_id, row.key_id))
            await tx.execute(_Q["reseal"], key_id=row.key_id, sealed=sealed.value, sealed_by=sealed.by)
            changed += 1
    return changed, broken


async def keep(
    tx: Transaction, *, key_id: str, nonce: str, timestamp: int, most: int, clock: dt.datetime | None
) -> Kept:
    """A nonce is new once, and only if its timestamp is at most `most` seconds off; kept while it could be accepted."""
    await tx.execute(_Q["forget_expired"], clock=clock)
    kept = await tx.row(_Q["keep"], Kept, key_id=key_id, nonce=nonce, timestamp=timestamp, most=most, clock=clock)
    assert kept is not None
    return kept


async def _sealed(tx: Transaction) -> list[SealedSecret]:
    return await tx.rows(_Q["sealed_secrets"], SealedSecret)


def _find(tx: Transaction, row: SealedSecret, ring: KeyRing | None) -> str | None:
    try:
        return ring and opened(tx.company_id, row.key_id, Sealed(row.signing_sealed, row.signing_sealed_by), ring)
    except CannotOpen:
        return None
