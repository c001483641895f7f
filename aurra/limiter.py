"""Who may be served now: each process's part of what the database keeps of limits.

A process asks the database where it knows nothing, and gets some requests ahead where many came lately; it spends
those from memory, and gives back what it does not use. While it knows that nothing is left, it refuses without asking.
The database's clock alone decides; here only spans are measured.
"""

import asyncio
import datetime as dt
import math
import time
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network
from uuid import UUID, uuid4

import msgspec

from aurra import rates
from aurra.rates import Standing
from aurra.store import rates as stored
from aurra.store.pool import Database, Transaction
from aurra.store.rates import Leased

Network = IPv4Network | IPv6Network
_LEASE_SECONDS = rates.LEASE / 1_000_000
_KNOWN_SECONDS = rates.KNOWN / 1_000_000
_IDLE_SECONDS = 1.0
_FEW = 4
"""Requests a second below which nothing is held ahead: of so few, what is left over would be many."""
_MOST = 10_000


class Admission(msgspec.Struct, frozen=True):
    """Where the caller stands; `retry_after` is None for one that is let through."""

    standings: list[Standing]
    retry_after: int | None


class _Line:
    """One limit, as this process last saw it; instants are this process's ticks."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.leased: Leased | None = None
        self.seen = -math.inf
        self.unused = 0
        self.spent_at = -math.inf
        self.refused_until = -math.inf
        self._second, self._asked, self._asked_before = 0, 0, 0

    def ask(self, now: float) -> None:
        """Counts a request, for how many may come in the next second."""
        if (second := int(now)) != self._second:
            self._asked_before = self._asked if second == self._second + 1 else 0
            self._second, self._asked = second, 0
        self._asked += 1

    @property
    def ahead(self) -> int:
        asked = max(self._asked, self._asked_before)
        return asked if asked >= _FEW else 0

    def spend(self, now: float) -> bool:
        """Whether a request is let through from memory."""
        if self.leased is None:
            return False
        if self.leased.per_minute is None:
            return now - self.seen < _KNOWN_SECONDS
        if self.unused and now - self.seen < _LEASE_SECONDS:
            self.unused -= 1
            self.spent_at = now
            return True
        return False

    def learn(self, leased: Leased, begun: float) -> None:
        """What the database said to a question that was begun at `begun`."""
        self.leased, self.seen, self.unused, self.spent_at = leased, begun, leased.lent, begun
        if leased.next_at is not None and not leased.granted:
            self.refused_until = min(begun + _seconds(leased.next_at, leased.seen_at), begun + _KNOWN_SECONDS)

    def retry_in(self, now: float) -> float:
        """Seconds until there is one more to have."""
        if self.leased is None or self.leased.next_at is None:
            return 0.0
        return self.seen + _seconds(self.leased.next_at, self.leased.seen_at) - now

    def standing(self, now: float) -> Standing:
        """Where the caller stands with this limit."""
        assert self.leased is not None
        at = self.leased.seen_at.timestamp() + now - self.seen
        full = self.leased.full_at.timestamp() if self.leased.full_at else at
        return Standing(
            name=rates.name_of(self.key),
            per_minute=self.leased.per_minute,
            remaining=(self.leased.remaining or 0) + self.unused,
            reset_at=max(full, at),
            reset_in=max(0.0, full - at),
        )


class _Account:
    """The limits of an account and of its keys that were used here lately."""

    def __init__(self) -> None:
        self.lines: dict[str, _Line] = {}
        self.lock = asyncio.Lock()

    def line(self, key: str) -> _Line:
        if key not in self.lines and len(self.lines) >= _MOST:
            # What was held of the others comes back by itself.
            self.lines = {name: line for name, line in self.lines.items() if name in rates.BUCKETS}
        return self.lines.setdefault(key, _Line(key))


class Limiter:
    """This process's part. `ticks` measures spans, and is never compared with a clock."""

    def __init__(self, ticks: Callable[[], float] = time.monotonic) -> None:
        self.process = uuid4()
        self._ticks = ticks
        self._accounts: dict[UUID, _Account] = {}
        self._networks: dict[Network, float] = {}

    async def admit(
        self, database: Database, company_id: UUID, key_id: str, clock: dt.datetime | None, bucket: str = ""
    ) -> Admission:
        """Whether a request of the key is let through, and where it stands in a bucket. Raises Unavailable."""
        account = self._account(company_id)
        lines = [account.line(bucket + key_id), account.line(bucket)]
        for line in lines:
            line.ask(self._ticks())
        if (known := self._known(lines)) is None:
            # Of many that come at once, one asks; the others find what it brought.
            async with account.lock:
                known = self._known(lines) or await self._ask(database, company_id, lines, clock)
        return known

    def _account(self, company_id: UUID) -> _Account:
        if len(self._accounts) >= _MOST:
            self._accounts.clear()
        return self._accounts.setdefault(company_id, _Account())

    def _known(self, lines: list[_Line]) -> Admission | None:
        """What memory says; None where the database must be asked."""
        now = self._ticks()
        for line in lines:
            if now < line.refused_until:
                return self._refusal(lines, line, now)
        key, account = lines
        if not key.spend(now):
            return None
        if not account.spend(now):
            key.unused += key.leased is not None and key.leased.per_minute is not None
            return None
        return Admission(self._standings(lines, now), None)

    async def _ask(
        self, database: Database, company_id: UUID, lines: list[_Line], clock: dt.datetime | None
    ) -> Admission:
        """What the database says: of the key first, so that one which is over its limit costs its account nothing."""
        begun = self._ticks()
        answers: list[tuple[_Line, Leased]] = []
        refusing: _Line | None = None
        spent: list[_Line] = []
        async with database.begin(company_id) as tx:
            for line in lines:
                if line.spend(begun):
                    spent.append(line)
                    continue
                leased = await self._lease(tx, line, begun, waiting=1, ahead=line.ahead, clock=clock)
                answers.append((line, leased))
                if not leased.granted:
                    refusing = line
                    break
        for line, leased in answers:
            line.learn(leased, begun)
        if refusing is None:
            return Admission(self._standings(lines, self._ticks()), None)
        for line in spent:
            line.unused += line.leased is not None and line.leased.per_minute is not None
        return self._refusal(lines, refusing, self._ticks())

    async def _lease(
        self, tx: Transaction, line: _Line, now: float, *, waiting: int, ahead: int, clock: dt.datetime | None
    ) -> Leased:
        unused = line.unused if now - line.seen < _LEASE_SECONDS else 0
        return await stored.lease(tx, line.key, self.process, unused=unused, waiting=waiting, ahead=ahead, clock=clock)

    def _refusal(self, lines: list[_Line], line: _Line, now: float) -> Admission:
        return Admission(self._standings(lines, now), max(1, math.ceil(line.retry_in(now))))

    def _standings(self, lines: list[_Line], now: float) -> list[Standing]:
        return [line.standing(now) for line in lines if line.leased is not None]

    async def give_back(self, database: Database, clock: dt.datetime | None) -> None:
        """What was held ahead and is not used is everybody's again. Raises Unavailable."""
        now = self._ticks()
        for company_id, account in list(self._accounts.items()):
            for line in list(account.lines.values()):
                if not line.unused or now - line.spent_at < _IDLE_SECONDS:
                    continue
                async with account.lock:
                    unused, line.unused = line.unused, 0
                    if self._ticks() - line.seen >= _LEASE_SECONDS:
                        continue
                    begun = self._ticks()
                    async with database.begin(company_id) as tx:
                        leased = await stored.lease(
                            tx, line.key, self.process, unused=unused, waiting=0, ahead=0, clock=clock
                        )
                    line.leased, line.seen = leased, begun

    async def fail(self, database: Database, network: Network, burst: int, clock: dt.datetime | None) -> int | None:
        """Counts a failed authentication; seconds to wait where the network has had too many. Raises Unavailable."""
        now = self._ticks()
        until = self._networks.get(network, -math.inf)
        if now < until:
            return max(1, math.ceil(until - now))
        async with database.begin(UUID(int=0)) as tx:
            failed = await stored.fail(tx, network, burst, clock)
        self._networks.pop(network, None)
        if failed.next_at is None:
            return None
        if len(self._networks) >= _MOST:
            self._networks.clear()
        wait = _seconds(failed.next_at, failed.seen_at)
        self._networks[network] = now + wait
        return max(1, math.ceil(wait))


def _seconds(until: dt.datetime, since: dt.datetime) -> float:
    return (until - since).total_seconds()
