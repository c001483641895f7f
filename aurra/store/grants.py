"""Grants: what a key's holder let a host do, and the tokens of it, which are stored as hashes and nothing else."""

import datetime as dt
from uuid import UUID

import msgspec

from aurra.oauth import Kind
from aurra.store.pool import Transaction
from aurra.store.queries import load

_Q = load("grants")

KEPT_AFTER = dt.timedelta(days=1)
"""How long a token is known after its end."""


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    """What was consented to, and by whom."""

    key_id: str
    consented_by: bytes
    """The hash of the secret that was typed."""
    scopes: list[str]
    client_hash: bytes
    client_name: str
    redirect_uri: str
    resource: str
    challenge: str


class Held(msgspec.Struct, frozen=True):
    grant_id: UUID


class TokenState(msgspec.Struct, frozen=True):
    used_at: dt.datetime | None
    ends_at: dt.datetime


async def create(tx: Transaction, grant_id: UUID, consent: Consent, at: dt.datetime) -> None:
    """The grant is there, without tokens."""
    await tx.execute(_Q["create"], grant_id=grant_id, at=at, **msgspec.structs.asdict(consent))


async def hold(tx: Transaction, grant_id: UUID, at: dt.datetime) -> bool:
    """Whether the grant is still there; nobody else changes anything of it until the transaction ends."""
    return await tx.row(_Q["hold"], Held, grant_id=grant_id, at=at) is not None


async def add_token(
    tx: Transaction, grant_id: UUID, key_id: str, kind: Kind, token_hash: bytes, ends_at: dt.datetime
) -> None:
    """The grant has one token more."""
    await tx.execute(
        _Q["add_token"], grant_id=grant_id, key_id=key_id, kind=kind, token_hash=token_hash, ends_at=ends_at
    )


async def find_state(tx: Transaction, token_hash: bytes) -> TokenState | None:
    """What became of a token; of one whose grant is held, it stays so."""
    return await tx.row(_Q["token_state"], TokenState, token_hash=token_hash)


async def spend(tx: Transaction, grant_id: UUID, kind: Kind, at: dt.datetime) -> None:
    """The grant's codes, or its refresh tokens, are used now, as far as they were not."""
    await tx.execute(_Q["spend"], grant_id=grant_id, kind=kind, at=at)


async def end(tx: Transaction, grant_id: UUID) -> None:
    """The grant and its tokens are gone."""
    await tx.execute(_Q["end_tokens"], grant_id=grant_id)
    await tx.execute(_Q["end_grant"], grant_id=grant_id)


async def forget_ended(tx: Transaction, at: dt.datetime) -> None:
    """Some of what ended long ago is gone, in this account."""
    await tx.execute(_Q["forget_tokens"], before=at - KEPT_AFTER)
    await tx.execute(_Q["forget_grants"])
