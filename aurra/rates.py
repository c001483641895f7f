"""Requests a minute: GCRA with what processes hold ahead. Pure; instants and spans are whole microseconds.

A limit of N a minute gives back one request each 60 s / N, and saves up five seconds of that at most: no 60 seconds
see more than N + N / 12, and none that is measured across a network more than N + N / 10. A bucket is one number, the
instant at which all that was taken will have come back. What a process holds ahead counts as saved up, so that many
processes save no more than one; what it does not use, it gives back.

The database's function `lease_requests` reckons the same, on the only clock that counts; a test holds the two together.
"""

import math
from collections.abc import Mapping

import msgspec

from aurra.plans import UNLIMITED

WINDOW = 60_000_000
LEASE = 5_000_000
"""For how long a process may spend what it holds."""
KNOWN = 2_000_000
"""For how long a process believes that nothing is left, or that there is no limit: a new plan is noticed then."""
GRAPHQL = "graphql:"
"""Before a key's id, or alone for an account: requests to GraphQL, which count apart from all others."""
BUCKETS = ("", GRAPHQL)
MOST_GRAPHQL = (100, 1_000)
"""Of a key and of an account, requests a minute to GraphQL at most, where the plan has a limit."""
MOST_FAILURES = 20
"""Failed authentications of a network at once, and in each minute after."""


def limit_of(line: str, of_key: int | None, of_account: int | None) -> int | None:
    """Requests a minute of a line, of the plan's limits; where the plan has none, GraphQL has none either."""
    limit, most = (of_account, MOST_GRAPHQL[1]) if line in BUCKETS else (of_key, MOST_GRAPHQL[0])
    return min(limit, most) if limit is not None and line.startswith(GRAPHQL) else limit


def name_of(line: str) -> str:
    """What answers call a line."""
    kind = "account" if line in BUCKETS else "key"
    return f"graphql-{kind}" if line.startswith(GRAPHQL) else kind


class Held(msgspec.Struct, frozen=True):
    """What a process holds and may not have spent, and until when."""

    count: int
    until: int


class Bucket(msgspec.Struct, frozen=True):
    """What is kept of a limit."""

    per_minute: int
    full_at: int
    leases: Mapping[str, Held]


class Grant(msgspec.Struct, frozen=True):
    """What a process got: `granted` requests for those who wait, and `lent` to hold."""

    granted: int
    lent: int
    remaining: int
    """What anybody else could have at once."""
    full_at: int
    next_at: int
    """When there is one more to have."""


def step(per_minute: int) -> int:
    """How long it takes one request to come back; rounded up, so that a limit is never passed for a fraction."""
    return math.ceil(WINDOW / per_minute)


def burst(per_minute: int) -> int:
    """How many requests can be saved up."""
    return max(1, per_minute // 12)


def take(
    bucket: Bucket, now: int, process: str, *, unused: int, waiting: int, ahead: int, per_minute: int
) -> tuple[Bucket, Grant]:
    """The bucket after a process gave back `unused` of what it holds, and took what there is for `waiting` requests
    and, of half the rest, up to `ahead` more. Under another limit, as many requests are owed as before."""
    each, most = step(per_minute), burst(per_minute)
    owed = max(0, bucket.full_at - now)
    if bucket.per_minute != per_minute:
        owed = owed * each // step(bucket.per_minute)
    leases = {name: held for name, held in bucket.leases.items() if now < held.until <= now + LEASE}
    mine = leases.pop(process, Held(0, now))
    held = sum(other.count for other in leases.values())
    owed -= min(unused, mine.count) * each
    owed = min(max(owed, held * each, 0), most * each)
    free = (most * each - owed) // each
    granted = min(waiting, free)
    lent = min(ahead, (free - granted) // 2)
    owed += (granted + lent) * each
    if lent:
        leases[process] = Held(lent, now + LEASE)
    grant = Grant(
        granted=granted,
        lent=lent,
        remaining=free - granted - lent,
        full_at=now + owed,
        next_at=now + max(0, owed - (most - 1) * each),
    )
    return Bucket(per_minute, now + owed, leases), grant


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where a caller stands with one limit, as its answers tell. Seconds."""

    name: str
    """`key` or `account`; `graphql-key` or `graphql-account`."""
    per_minute: int | None
    """None is no limit."""
    remaining: int
    reset_at: float
    """Unix time, by the database's clock, when all of `burst` can be had again."""
    reset_in: float


def headers(standings: list[Standing]) -> dict[str, str]:
    """The headers that tell of limits, if any: X-RateLimit-* of the one that ends first, RateLimit of each.

    An unlimited caller reads 2^53 − 1, and no RateLimit: that has no word for it.
    """
    if not standings:
        return {}
    limited = [standing for standing in standings if standing.per_minute is not None]
    if not limited:
        now = max(standing.reset_at for standing in standings)
        return _x_headers(UNLIMITED, UNLIMITED, now)
    nearest = min(limited, key=lambda standing: standing.remaining)
    policies = [f'"{one.name}";q={one.per_minute};w={WINDOW // 1_000_000}' for one in limited]
    left = [f'"{one.name}";r={one.remaining};t={math.ceil(one.reset_in)}' for one in limited]
    return {
        **_x_headers(nearest.per_minute or 0, nearest.remaining, nearest.reset_at),
        "RateLimit-Policy": ", ".join(policies),
        "RateLimit": ", ".join(left),
    }


def _x_headers(limit: int, remaining: int, reset_at: float) -> dict[str, str]:
    return {
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset": str(math.ceil(reset_at)),
    }


HEADERS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "RateLimit", "RateLimit-Policy")
