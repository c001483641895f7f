"""Plans, and the history of each account's. What changes them is the operator's, under the ledger's lock."""

import datetime as dt
import re
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from aurra import plans
from aurra.errors import CannotStart
from aurra.plans import Stretch
from aurra.store import ledger
from aurra.store.pool import Transaction
from aurra.store.queries import load

_Q = load("plans")
MOST_REQUESTS = 1_000_000
"""A minute; more is no limit."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan allows: writes a month, requests a minute of a key and of the account (None is no limit)."""

    writes_limit: int
    key_requests_per_minute: int | None
    account_requests_per_minute: int | None


class PlanRow(msgspec.Struct, frozen=True):
    plan: str
    writes_limit: int
    key_requests_per_minute: int | None
    account_requests_per_minute: int | None
    accounts: int


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan shall allow; what is unset stays as it is."""

    writes_limit: int | UnsetType = UNSET
    key_requests_per_minute: int | UnsetType | None = UNSET
    account_requests_per_minute: int | UnsetType | None = UNSET

    def of(self, plan: str, kept: PlanRow | None) -> Terms:
        """The terms of the plan, made or changed. Raises CannotStart for a name or a number that no plan can have."""
        if not re.fullmatch(r"[\w.-]{1,64}", plan):
            raise CannotStart("A plan's name has 1 to 64 letters, digits, `_`, `-` and `.`.")
        writes = self.writes_limit if self.writes_limit is not UNSET else kept and kept.writes_limit
        if writes is None:
            raise CannotStart(f"There is no plan {plan!r} yet: say how many --writes a month it allows.")
        if not 1 <= writes <= plans.UNLIMITED:
            raise CannotStart(f"A plan allows 1 to {plans.UNLIMITED} writes a month; the latter is unlimited.")
        return Terms(
            writes_limit=writes,
            key_requests_per_minute=_rate(self.key_requests_per_minute, kept and kept.key_requests_per_minute),
            account_requests_per_minute=_rate(
                self.account_requests_per_minute, kept and kept.account_requests_per_minute
            ),
        )


def _rate(given: int | UnsetType | None, kept: int | None) -> int | None:
    rate = kept if given is UNSET else given
    if rate is not None and not 1 <= rate <= MOST_REQUESTS:
        raise CannotStart(f"A plan allows 1 to {MOST_REQUESTS} requests a minute, or has no limit of them.")
    return rate


class PlanChange(msgspec.Struct, frozen=True):
    id: int
    at: dt.datetime
    tx: int
    cause: str
    plan: str
    writes_limit: int
    key_requests_per_minute: int | None
    account_requests_per_minute: int | None


class StretchRow(msgspec.Struct, frozen=True):
    since: dt.datetime
    plan: str
    writes_limit: int
    used_before: int
    reached_at: dt.datetime | None

    def stretch(self) -> Stretch:
        """As the meter takes it."""
        return Stretch(self.since, self.writes_limit, self.used_before, self.reached_at)


class AccountId(msgspec.Struct, frozen=True):
    id: UUID


class Fact(msgspec.Struct, frozen=True):
    holds: bool


class Used(msgspec.Struct, frozen=True):
    writes: int


async def lock_plans(tx: Transaction) -> None:
    """Until the transaction ends, no other command changes plans or moves accounts. Comes before the ledger's lock."""
    await tx.execute(_Q["lock_plans"])


async def list_plans(tx: Transaction) -> list[PlanRow]:
    """All plans, smallest first."""
    return await tx.rows(_Q["list_plans"], PlanRow)


async def accounts_on(tx: Transaction, plan: str) -> list[UUID]:
    """The accounts that are on a plan."""
    return [row.id for row in await tx.rows(_Q["accounts_on"], AccountId, plan=plan)]


async def put_plan(tx: Transaction, plan: str, terms: Terms) -> None:
    """A plan is as the terms say; `took_effect` must follow for each account on it."""
    await tx.execute(_Q["put_plan"], plan=plan, **msgspec.structs.asdict(terms))


async def remove_plan(tx: Transaction, plan: str) -> None:
    """A plan is gone. Raises ConstraintBroken while an account is on it."""
    await tx.execute(_Q["remove_plan"], plan=plan)


async def move(tx: Transaction, plan: str, clock: dt.datetime | None) -> None:
    """The transaction's account is on another plan: what it writes from now on is admitted under it."""
    await ledger.lock(tx, clock)
    await tx.execute(_Q["change_plan"], plan=plan)
    await took_effect(tx, "moved", clock)


async def took_effect(tx: Transaction, cause: str, clock: dt.datetime | None) -> None:
    """The plan that the account has now is in its history, and grace began where the meter exceeds its limit."""
    # Grace begins with the plan that the meter exceeds, not with the next write.
    head = await ledger.lock(tx, clock)
    meter = plans.state(head.writes_limit, head.meter, head.at).meter
    await tx.execute(_Q["start_grace"], grace_from=meter.grace_from)
    await remember(tx, cause, head.at, head.last_tx)


async def remember(tx: Transaction, cause: str, at: dt.datetime, number: int) -> None:
    """The account's plan as it is now is in its history, from `at` on, after transaction `number`."""
    await tx.execute(_Q["remember"], cause=cause, at=at, tx=number)


async def is_remembered(tx: Transaction) -> bool:
    """Whether the newest row of the history is the plan in force."""
    row = await tx.row(_Q["is_remembered"], Fact)
    return row is not None and row.holds


async def history(tx: Transaction, before: int | None, limit: int) -> list[PlanChange]:
    """The account's plans, newest first."""
    return await tx.rows(_Q["history"], PlanChange, before=before, limit=limit)


async def stretches(tx: Transaction, start: dt.datetime, at: dt.datetime, number: int) -> list[StretchRow]:
    """The plans in force up to `at` and transaction `number`, oldest first, with the meter from `start` on."""
    return await tx.rows(_Q["stretches"], StretchRow, start=start, at=at, number=number)


async def used(tx: Transaction, start: dt.datetime, number: int) -> int:
    """Writes of the month that began at `start`, up to transaction `number`."""
    row = await tx.row(_Q["used"], Used, start=start, number=number)
    return row.writes if row else 0
