"""Requests a minute, and failed authentications: what is taken of them, by the database's clock."""

import datetime as dt
from ipaddress import IPv4Network, IPv6Network
from uuid import UUID

import msgspec

from aurra.store.pool import Transaction
from aurra.store.queries import load

_Q = load("rates")


class Leased(msgspec.Struct, frozen=True):
    """`per_minute` is None where there is no limit; then so are `remaining`, `full_at` and `next_at`."""

    per_minute: int | None
    granted: int
    lent: int
    remaining: int | None
    seen_at: dt.datetime
    full_at: dt.datetime | None
    next_at: dt.datetime | None


class Failed(msgspec.Struct, frozen=True):
    """`next_at` is None for a failure that was counted; else when the next one will be."""

    seen_at: dt.datetime
    next_at: dt.datetime | None


async def lease(
    tx: Transaction, key: str, process: UUID, *, unused: int, waiting: int, ahead: int, clock: dt.datetime | None
) -> Leased:
    """What this process got of a key's limit, of its account's where `key` is ''; see `aurra.rates.take`."""
    row = await tx.row(
        _Q["lease"], Leased, key=key, process=process, unused=unused, waiting=waiting, ahead=ahead, clock=clock
    )
    assert row is not None
    return row


async def fail(tx: Transaction, network: IPv4Network | IPv6Network, burst: int, clock: dt.datetime | None) -> Failed:
    """Counts one failed authentication of the network, if it may have one more."""
    row = await tx.row(_Q["fail"], Failed, network=network, burst=burst, clock=clock)
    assert row is not None
    return row
