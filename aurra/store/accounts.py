"""Accounts and keys. `Directory` is the operator's view across accounts; the functions below it are the service's."""

import contextlib
import datetime as dt
from collections.abc import AsyncGenerator, Callable
from typing import Any
from uuid import UUID, uuid4

import msgspec

from aurra import chain, keys, plans
from aurra.errors import CannotStart
from aurra.sealing import CannotOpen, KeyRing, Sealed
from aurra.store import api_keys, invariants, pool, providers, signing, verifying
from aurra.store import plans as plans_store
from aurra.store.invariants import Broken
from aurra.store.plans import Change, PlanRow
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
    name: str
    scopes: list[str]
    tenant_id: str | None
    trust: int
    networks: list[str]
    up_to: int | None
    last_four: str
    created_at: dt.datetime
    expires_at: dt.datetime | None
    revoked_at: dt.datetime | None
    last_used_at: dt.datetime | None
    has_ended: bool
    is_signed: bool


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
    previous_signing_sealed: bytes | None
    previous_signing_sealed_by: str | None

    @property
    def signs_with(self) -> Sealed | None:
        """What its requests are signed with; None of a key that does not sign."""
        return signing.sealed(self.signing_sealed, self.signing_sealed_by)

    @property
    def signed_with(self) -> Sealed | None:
        """What they were signed with until it was rotated."""
        return signing.sealed(self.previous_signing_sealed, self.previous_signing_sealed_by)


class TokenRow(KeyRow, frozen=True):
    """A token, with its grant and its key."""

    grant_id: UUID
    consented_by: bytes
    """The hash of the key's secret that was typed then."""
    granted_scopes: list[str]
    client_hash: bytes
    redirect_uri: str
    resource: str
    challenge: str
    token_ends_at: dt.datetime


class Owner(msgspec.Struct, frozen=True):
    company_id: UUID


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
            await plans_store.lock_plans(tx)
            await self._require_plan(tx, plan)
            await tx.execute(_Q["lock_directory"])
            if await tx.row(_Q["find_account"], AccountRow, name=name):
                raise CannotStart(f"There is an account {name!r} already.")
            at = at or await now(tx)
            await tx.execute(_Q["create_account"], name=name, plan=plan, at=at)
            await tx.execute(_Q["create_ledger"], at=at, hash=chain.GENESIS, period_start=plans.period_of(at))
            await plans_store.remember(tx, "created", at, 0)
            return AccountRow(company_id, name, plan, at)

    async def change_plan(self, name: str, plan: str, at: dt.datetime | None = None) -> None:
        """Moves the account to another plan, at once; now is `at` where it is given."""
        account = await self.get_account(name)
        async with self._act(account.id) as tx:
            await plans_store.lock_plans(tx)
            await self._require_plan(tx, plan)
            await plans_store.move(tx, plan, at)

    async def list_plans(self) -> list[PlanRow]:
        """All plans, smallest first."""
        async with self._act() as tx:
            return await plans_store.list_plans(tx)

    async def set_plan(self, plan: str, change: Change, at: dt.datetime | None = None) -> PlanRow:
        """Makes a plan, or changes it for all accounts on it, at once. Raises CannotStart for what no plan can be."""
        async with self._act() as tx:
            await plans_store.lock_plans(tx)
            kept = next((row for row in await plans_store.list_plans(tx) if row.plan == plan), None)
            terms = change.of(plan, kept)
            await plans_store.put_plan(tx, plan, terms)
            accounts = await plans_store.accounts_on(tx, plan)
            for account in accounts:
                await tx.row(_Q["set_account"], Text, account=str(account))
                await plans_store.took_effect(Transaction(self._connection, account), "redefined", at)
        return PlanRow(plan, **msgspec.structs.asdict(terms), accounts=len(accounts))

    async def remove_plan(self, plan: str) -> None:
        """Removes a plan. Raises CannotStart for one that is not there, or that an account is on."""
        async with self._act() as tx:
            await plans_store.lock_plans(tx)
            await self._require_plan(tx, plan)
            if accounts := await plans_store.accounts_on(tx, plan):
                raise CannotStart(
                    f"{len(accounts)} accounts are on the plan {plan!r}: `aurra accounts plan` moves them."
                )
            await plans_store.remove_plan(tx, plan)

    async def remembers_plan(self, account: AccountRow) -> bool:
        """Whether the account's history ends with the plan that is in force."""
        async with self._act(account.id) as tx:
            return await plans_store.is_remembered(tx)

    async def create_key(self, account: AccountRow, terms: keys.Terms, ring: KeyRing | None = None) -> keys.NewKey:
        """A new key of the account; its raw form is nowhere but in the answer. One that signs needs the ring."""
        async with self._act(account.id) as tx:
            return await add_key(tx, terms, created_by="operator", ring=ring)

    async def list_keys(self) -> list[ListedKey]:
        """All keys, without anything secret."""
        async with self._act() as tx:
            return await tx.rows(_Q["list_keys"], ListedKey, at=await now(tx))

    async def now(self) -> dt.datetime:
        """The database's clock."""
        async with self._act() as tx:
            return await now(tx)

    async def rotate_key(
        self, key_id: str, overlap: dt.timedelta, ring: Callable[[], KeyRing | None] = lambda: None
    ) -> keys.NewKey:
        """A new secret of the key, and of one that signs a signing secret too, for which the ring is asked; what it had
        is accepted for `overlap` more. Raises CannotStart when there is no such key, or it has ended."""
        async with self._act() as tx:
            owner = await tx.row(_Q["find_owner"], Owner, key_id=key_id)
        if owner is None:
            raise CannotStart(f"There is no key {key_id!r}: `aurra keys list` shows their ids.")
        async with self._act(owner.company_id) as tx:
            at = await now(tx)
            row = (await api_keys.lock(tx, key_id))[key_id]
            if row.has_ended(at):
                raise CannotStart(f"The key {key_id} was revoked, or has expired: make a new one.")
            key, terms = keys.make_key(key_id), row.terms
            return await replace_secrets(tx, key, terms, at + overlap, ring() if terms.is_signed else None)

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
        known = [row.plan for row in await plans_store.list_plans(tx)]
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


async def add_key(tx: Transaction, terms: keys.Terms, created_by: str, ring: KeyRing | None = None) -> keys.NewKey:
    """A new key of the transaction's account, as `insert_key` puts it there."""
    return await insert_key(tx, keys.make_key(), terms, created_by, await now(tx), ring)


async def insert_key(
    tx: Transaction,
    key: keys.NewKey,
    terms: keys.Terms,
    created_by: str,
    at: dt.datetime,
    ring: KeyRing | None = None,
) -> keys.NewKey:
    """The key belongs to the transaction's account; it comes back with a signing secret where it signs.

    Raises CannotStart for one that signs where there is no ring.
    """
    sealed = None
    if terms.is_signed:
        key, sealed = signing.give(tx, key, ring)
    await tx.execute(
        _Q["create_key"],
        **msgspec.structs.asdict(terms),
        key_id=key.key_id,
        secret_hash=key.secret_hash,
        last_four=key.last_four,
        created_by=created_by,
        signing_sealed=sealed and sealed.value,
        signing_sealed_by=sealed and sealed.by,
        at=at,
    )
    return key


async def replace_secrets(
    tx: Transaction, key: keys.NewKey, terms: keys.Terms, until: dt.datetime, ring: KeyRing | None
) -> keys.NewKey:
    """The key of the transaction's account has a new secret; it comes back with a new signing secret where it signs.
    What it had is accepted until then.

    Raises CannotStart for one that signs where there is no ring.
    """
    sealed = None
    if terms.is_signed:
        key, sealed = signing.give(tx, key, ring)
    await api_keys.rotate(tx, key, until, sealed)
    return key


async def find_key(tx: Transaction, key_id: str) -> list[KeyRow]:
    """The keys of that id (ids are random; two accounts might share one, their secrets differ)."""
    return await tx.rows(_Q["presented_key"], KeyRow, key_id=key_id)


async def find_token(tx: Transaction, key_id: str, token_hash: bytes) -> TokenRow | None:
    """The token of the key with that hash."""
    return await tx.row(_Q["presented_token"], TokenRow, key_id=key_id, token_hash=token_hash)


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
