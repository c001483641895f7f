"""Accounts and keys. `Directory` is the operator's view across accounts; the functions below it are the service's."""

import contextlib
import datetime as dt
from collections.abc import AsyncGenerator
from typing import Any
from uuid import UUID, uuid4

import msgspec

from aurra import chain, keys, plans
from aurra.errors import CannotStart
from aurra.sealing import CannotOpen, KeyRing
from aurra.store import invariants, ledger, pool, providers, verifying
from aurra.store.invariants import Broken
from aurra.store.pool import Transaction
from aurra.store.queries import load
from aurra.store.verifying import Verdict

_Q = load("accounts")


class AccountRow(msgspec.Struct, frozen=True):
    id: UUID
    name: str
    plan: str
    created_at: dt.datetime


class ListedKey(msgspec.Struct, frozen=True):
    id: str
    account: str
    scopes: list[str]
    last_four: str
    created_at: dt.datetime
    revoked_at: dt.datetime | None


class KeyRow(msgspec.Struct, frozen=True):
    company_id: UUID
    key_id: str
    secret_hash: bytes
    scopes: list[str]
    tenant_id: str | None
    trust: int
    settings: str
    expires_at: dt.datetime | None
    revoked_at: dt.datetime | None
    networks: list[str]
    up_to: int | None
    previous_hash: bytes | None
    previous_until: dt.datetime | None
    signing_sealed: bytes | None
    signing_sealed_by: str | None


class Text(msgspec.Struct, frozen=True):
    value: str


class Now(msgspec.Struct, frozen=True):
    at: dt.datetime


class Count(msgspec.Struct, frozen=True):
    memories: int
    memories_in_period: int
    writes_used: int
    last_tx: int
    transactions: int


class Directory:
    """All accounts and keys, as the role `aurra_owner`; made by `open_directory`."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def list_accounts(self) -> list[AccountRow]:
        """All accounts, oldest first."""
        async with self._act() as tx:
            return await tx.rows(_Q["list_accounts"], AccountRow)

    async def get_account(self, name: str) -> AccountRow:
        """By name. Raises CannotStart when there is none."""
        async with self._act() as tx:
            if (row := await tx.row(_Q["find_account"], AccountRow, name=name)) is None:
                raise CannotStart(f"There is no account {name!r}: `aurra accounts list` shows them.")
            return row

    async def create_account(self, name: str, plan: str, at: dt.datetime | None = None) -> AccountRow:
        """A new account at transaction 0, which is now unless `at` says otherwise. Raises CannotStart for a name in use
        or a plan that is not there."""
        if not name.strip():
            raise CannotStart("An account needs a name.")
        company_id = uuid4()
        async with self._act(company_id) as tx:
            await self._require_plan(tx, plan)
            await tx.execute(_Q["lock_directory"])
            if await tx.row(_Q["find_account"], AccountRow, name=name):
                raise CannotStart(f"There is an account {name!r} already.")
            at = at or await now(tx)
            await tx.execute(_Q["create_account"], name=name, plan=plan, at=at)
            await tx.execute(_Q["create_ledger"], at=at, hash=chain.GENESIS, period_start=plans.period_of(at))
            return AccountRow(company_id, name, plan, at)

    async def change_plan(self, name: str, plan: str) -> None:
        """Moves the account to another plan, at once."""
        account = await self.get_account(name)
        async with self._act(account.id) as tx:
            await self._require_plan(tx, plan)
            await tx.execute(_Q["change_plan"], plan=plan)
            # Grace begins with the plan that the meter exceeds, not with the next write.
            head = await ledger.lock(tx, None)
            meter = plans.state(head.writes_limit, head.meter, head.at).meter
            await tx.execute(_Q["start_grace"], grace_from=meter.grace_from)

    async def create_key(self, account: AccountRow, terms: keys.Terms) -> keys.NewKey:
        """A new key of the account; its raw form is nowhere but in the answer."""
        async with self._act(account.id) as tx:
            return await add_key(tx, terms, created_by="operator")

    async def list_keys(self) -> list[ListedKey]:
        """All keys, without anything secret."""
        async with self._act() as tx:
            return await tx.rows(_Q["list_keys"], ListedKey)

    async def revoke_key(self, key_id: str) -> str:
        """Revokes a key and returns its account's name. Raises CannotStart when there is no such key."""
        async with self._act() as tx:
            row = await tx.row(_Q["revoke_key"], Text, key_id=key_id, at=await now(tx))
        if row is None:
            raise CannotStart(f"There is no key {key_id!r}: `aurra keys list` shows their ids.")
        return row.value

    async def count(self, account: AccountRow) -> Count:
        """What the account holds, and what its meter says."""
        async with self._act(account.id) as tx:
            row = await tx.row(_Q["count_memories"], Count)
        if row is None:
            raise CannotStart(f"The account {account.name!r} has no ledger.")
        return row

    async def try_stored_key(self, account: AccountRow, ring: KeyRing | None) -> str | None:
        """Id of the key that sealed the stored key of the account's model; None without one. Raises `CannotOpen`."""
        async with self._act(account.id) as tx:
            row = await providers.find(tx)
        if row is None or row.sealed is None:
            return None
        if ring is None:
            raise CannotOpen("this installation has no secret key")
        providers.opened(account.id, row, ring)
        return row.sealed.by

    async def rewrap_stored_key(self, account: AccountRow, ring: KeyRing) -> bool:
        """The stored key of the account's model is sealed with the ring's first key; whether it was not before.

        Raises `CannotOpen`.
        """
        async with self._act(account.id) as tx:
            row = await providers.lock(tx)
            if row is None or row.sealed is None or row.sealed.by == ring.first:
                return False
            key = providers.opened(account.id, row, ring) or ""
            await providers.reseal(tx, ring.seal(key, providers.bound_to(account.id, row.provider, row.base_url)))
            return True

    async def verify(self, account: AccountRow) -> Verdict:
        """Whether the account's chain says what is stored, in one snapshot; writers go on meanwhile."""
        await pool.register_vector(self._connection)
        async with self._act(account.id, isolation="repeatable_read") as tx:
            return await verifying.verify(tx)

    async def now(self) -> dt.datetime:
        """The database's clock."""
        async with self._act() as tx:
            return await now(tx)

    async def check(self, account: AccountRow | None, name: str, at: dt.datetime) -> Broken:
        """What breaks an invariant, of the account or, without one, of the whole database."""
        async with self._act(account.id if account else None) as tx:
            return await invariants.check(tx, name, at)

    @contextlib.asynccontextmanager
    async def act_on(self, account: AccountRow) -> AsyncGenerator[Transaction]:
        """One transaction on the account's rows, as their owner."""
        await pool.register_vector(self._connection)
        async with self._act(account.id) as tx:
            yield tx

    @contextlib.asynccontextmanager
    async def _act(self, company_id: UUID | None = None, isolation: str | None = None) -> AsyncGenerator[Transaction]:
        async with self._connection.transaction(isolation=isolation):
            tx = Transaction(self._connection, company_id or UUID(int=0))
            await tx.row(_Q["set_account"], Text, account=str(company_id or ""))
            yield tx

    async def _require_plan(self, tx: Transaction, plan: str) -> None:
        known = [row.value for row in await tx.rows(_Q["list_plans"], Text)]
        if plan not in known:
            raise CannotStart(f"There is no plan {plan!r}: use {', '.join(known)}.")


@contextlib.asynccontextmanager
async def open_directory(dsn: str) -> AsyncGenerator[Directory]:
    """The operator's view, on a connection of its own; works while the service runs."""
    connection = await pool.connect(dsn)
    try:
        await connection.execute(f"SET ROLE {pool.OWNER_ROLE}")
        yield Directory(connection)
    finally:
        await connection.close()


async def now(tx: Transaction) -> dt.datetime:
    """The database's clock."""
    row = await tx.row(_Q["now"], Now)
    assert row is not None
    return row.at


async def add_key(tx: Transaction, terms: keys.Terms, created_by: str) -> keys.NewKey:
    """A new key of the transaction's account."""
    key = keys.make_key()
    await tx.execute(
        _Q["create_key"],
        **msgspec.structs.asdict(terms),
        key_id=key.key_id,
        secret_hash=key.secret_hash,
        last_four=key.last_four,
        created_by=created_by,
        at=await now(tx),
    )
    return key


async def find_key(tx: Transaction, key_id: str) -> list[KeyRow]:
    """The keys of that id (ids are random; two accounts might share one, their secrets differ)."""
    return await tx.rows(_Q["presented_key"], KeyRow, key_id=key_id)


async def read_settings(tx: Transaction, key_id: str) -> str:
    """A key's own settings, as JSON."""
    row = await tx.row(_Q["key_settings"], Text, key_id=key_id)
    return row.value if row else "{}"


async def change_settings(tx: Transaction, key_id: str, change: str) -> str:
    """The key's settings with `change` (a JSON object) merged in."""
    row = await tx.row(_Q["change_settings"], Text, key_id=key_id, change=change)
    return row.value if row else "{}"


class Secret(msgspec.Struct, frozen=True):
    value: bytes


async def service_secret(tx: Transaction, name: str) -> bytes:
    """A secret of this installation, the same in every process."""
    row = await tx.row(_Q["service_secret"], Secret, name=name)
    if row is None:
        raise CannotStart(f"The installation's secret {name!r} is missing: run `aurra migrate`.")
    return row.value
