"""Keys of one account: reading and changing them. A secret is stored as its hash and nothing else."""

import datetime as dt
from collections.abc import Mapping, Sequence

import msgspec

from aurra.keys import NewKey, Terms, same_secret
from aurra.sealing import Sealed
from aurra.store.ledger import ANSWERS_KEPT
from aurra.store.pool import Transaction
from aurra.store.queries import load

_Q = load("api_keys")


class ApiKeyRow(msgspec.Struct, frozen=True):
    key_id: str
    name: str
    last_four: str
    scopes: list[str]
    tenant_id: str | None
    trust: int
    networks: list[str]
    up_to: int | None
    is_signed: bool
    expires_at: dt.datetime | None
    revoked_at: dt.datetime | None
    previous_until: dt.datetime | None
    created_at: dt.datetime
    created_by: str
    last_used_at: dt.datetime | None

    @property
    def terms(self) -> Terms:
        """What it may."""
        return Terms(**{name: getattr(self, name) for name in Terms.__struct_fields__})

    def has_ended(self, at: dt.datetime) -> bool:
        """Whether it is refused for good."""
        return self.revoked_at is not None or (self.expires_at is not None and self.expires_at <= at)


class SecretHash(msgspec.Struct, frozen=True):
    value: bytes


class Claimed(msgspec.Struct, frozen=True):
    key: str


async def list_page(
    tx: Transaction, *, tenant_id: str | None, after: tuple[dt.datetime, str] | None, limit: int
) -> list[ApiKeyRow]:
    """Up to `limit` keys after a place in the order, newest first; with a tenant, those that are pinned to it."""
    return await tx.rows(
        _Q["list_page"],
        ApiKeyRow,
        tenant_id=tenant_id,
        after_at=after and after[0],
        after_id=after and after[1],
        limit=limit,
    )


async def find(tx: Transaction, key_id: str) -> ApiKeyRow | None:
    """One key."""
    return await tx.row(_Q["find"], ApiKeyRow, key_id=key_id)


async def several(tx: Transaction, key_ids: Sequence[str], tenant_id: str | None) -> list[ApiKeyRow]:
    """The keys of these ids, in no order; with a tenant, those that are pinned to it."""
    return await tx.rows(_Q["several"], ApiKeyRow, key_ids=key_ids, tenant_id=tenant_id)


async def lock(tx: Transaction, key_id: str, *, held: str | None = None) -> dict[str, ApiKeyRow]:
    """The key to change, and one that must stay as it is meanwhile, as far as they are there.

    In the order of their ids, so that two who lock the same do not wait for one another.
    """
    found: dict[str, ApiKeyRow] = {}
    for one in sorted({key_id, held or key_id}):
        row = await tx.row(_Q["lock" if one == key_id else "hold"], ApiKeyRow, key_id=one)
        if row is not None:
            found[one] = row
    return found


async def hold(tx: Transaction, key_id: str) -> ApiKeyRow | None:
    """A key, which nobody changes until the transaction ends."""
    return await tx.row(_Q["hold"], ApiKeyRow, key_id=key_id)


async def is_secret_of(tx: Transaction, key_id: str, secret_hash: bytes) -> bool:
    """Whether it is the secret that the key has, not one that it had."""
    row = await tx.row(_Q["secret_hash"], SecretHash, key_id=key_id)
    return row is not None and same_secret(secret_hash, row.value)


async def change(tx: Transaction, key_id: str, terms: Terms) -> None:
    """The key has these terms from now on; its tenant stays."""
    changed = {name: value for name, value in msgspec.structs.asdict(terms).items() if name != "tenant_id"}
    await tx.execute(_Q["change"], key_id=key_id, **changed)


async def rotate(tx: Transaction, key: NewKey, until: dt.datetime, sealed: Sealed | None) -> None:
    """The key has the new secret, and where it signs the sealed one; what it had is accepted until then."""
    await tx.execute(
        _Q["rotate"],
        key_id=key.key_id,
        secret_hash=key.secret_hash,
        last_four=key.last_four,
        signing_sealed=sealed and sealed.value,
        signing_sealed_by=sealed and sealed.by,
        until=until,
    )


async def revoke(tx: Transaction, key_id: str, at: dt.datetime) -> None:
    """The key is revoked, if it was not."""
    await tx.execute(_Q["revoke"], key_id=key_id, at=at)


async def note_uses(tx: Transaction, uses: Mapping[str, dt.datetime]) -> None:
    """Each key was used then, or later."""
    await tx.execute(_Q["note_uses"], key_ids=list(uses), instants=list(uses.values()))


async def claim(tx: Transaction, key: str, fingerprint: bytes, answer: bytes, at: dt.datetime) -> bool:
    """Whether the idempotency key was free; it is taken then, with `answer` to remember."""
    claimed = await tx.row(
        _Q["claim"],
        Claimed,
        key=key,
        fingerprint=fingerprint,
        answer=answer,
        at=at,
        expires_at=at + ANSWERS_KEPT,
    )
    return claimed is not None
