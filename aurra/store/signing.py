"""Signing: the secrets that keys sign with, sealed; and the nonces that were used, one each."""

import datetime as dt
from uuid import UUID

import msgspec

from aurra import keys
from aurra.errors import CannotStart
from aurra.keys import NewKey
from aurra.sealing import CannotOpen, KeyRing, Sealed
from aurra.store.pool import Transaction
from aurra.store.queries import load

_Q = load("signing")


class SealedSecrets(msgspec.Struct, frozen=True):
    """Of one key: the secret it has, and the one before it where that is accepted still."""

    key_id: str
    signing_sealed: bytes
    signing_sealed_by: str
    previous_signing_sealed: bytes | None
    previous_signing_sealed_by: str | None

    @property
    def accepted(self) -> list[Sealed]:
        """One, or two: the newer first."""
        older = sealed(self.previous_signing_sealed, self.previous_signing_sealed_by)
        return [Sealed(self.signing_sealed, self.signing_sealed_by), *([older] if older else [])]


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


def sealed(value: bytes | None, by: str | None) -> Sealed | None:
    """What two columns hold that are null together."""
    return None if value is None or by is None else Sealed(value, by)


def give(tx: Transaction, key: NewKey, ring: KeyRing | None) -> tuple[NewKey, Sealed]:
    """The key of the transaction's account with a fresh signing secret, and that secret as it is stored.

    Raises CannotStart where there is no ring.
    """
    if ring is None:
        raise CannotStart("A signing secret cannot be kept: set AURRA_SECRET_KEYS; `aurra secrets new` makes one.")
    secret = keys.make_signing_secret()
    return msgspec.structs.replace(key, signing_secret=secret), ring.seal(secret, bound_to(tx.company_id, key.key_id))


async def try_secrets(tx: Transaction, ring: KeyRing | None, at: dt.datetime) -> list[tuple[str, bool]]:
    """The account's signed keys, and whether every secret that each is accepted by at an instant can be opened."""
    return [
        (row.key_id, all(_find(tx, row.key_id, one, ring) is not None for one in row.accepted))
        for row in await _sealed(tx, at)
    ]


async def rewrap(tx: Transaction, ring: KeyRing, at: dt.datetime) -> tuple[int, list[str]]:
    """Every signing secret of the account is sealed with the ring's first key, and none is kept that had ended at an
    instant: how many keys' were not before; and the keys of which one cannot be opened, and which stay as they are."""
    changed, broken = 0, list[str]()
    await tx.execute(_Q["forget_ended"], at=at)
    for row in await _sealed(tx, at):
        secrets = [_find(tx, row.key_id, one, ring) for one in row.accepted]
        if None in secrets:
            broken.append(row.key_id)
        elif any(one.by != ring.first for one in row.accepted):
            again = [ring.seal(secret or "", bound_to(tx.company_id, row.key_id)) for secret in secrets]
            older = again[1] if len(again) > 1 else None
            await tx.execute(
                _Q["reseal"],
                key_id=row.key_id,
                sealed=again[0].value,
                sealed_by=again[0].by,
                previous_sealed=older and older.value,
                previous_sealed_by=older and older.by,
            )
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


async def _sealed(tx: Transaction, at: dt.datetime) -> list[SealedSecrets]:
    return await tx.rows(_Q["sealed_secrets"], SealedSecrets, at=at)


def _find(tx: Transaction, key_id: str, one: Sealed, ring: KeyRing | None) -> str | None:
    try:
        return ring and opened(tx.company_id, key_id, one, ring)
    except CannotOpen:
        return None
