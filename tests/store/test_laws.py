"""The database itself defends the laws: plain SQL as the service's role cannot break them."""

import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import asyncpg
import pytest

from tests.conftest import Account, MakeAccount
from tests.plain import connected


@contextlib.asynccontextmanager
async def acting(dsn: str, account: Account | None) -> AsyncGenerator[Any]:
    """A plain connection as the service's role, with an account set as the service sets it."""
    async with connected(dsn) as connection:
        await connection.execute("BEGIN; SET LOCAL ROLE aurra_app")
        if account is not None:
            await connection.execute(f"SET LOCAL aurra.company_id = '{account.row.id}'")
        yield connection


FORBIDDEN = [
    "UPDATE version SET valid = tstzrange('2020-01-01+00', NULL)",
    "UPDATE version SET tx_from = 1",
    "UPDATE version SET superseded_by = NULL",
    "UPDATE content SET text = 'rewritten'",
    "UPDATE memory SET tenant_id = 'other'",
    "UPDATE transaction SET hash = ''",
    "DELETE FROM version",
    "DELETE FROM content",
    "DELETE FROM transaction",
    "TRUNCATE version",
    "DELETE FROM ledger",
    "UPDATE account SET plan = 'enterprise'",
    "INSERT INTO plan VALUES ('mine', 1)",
    "UPDATE api_key SET tenant_id = NULL",
    "UPDATE api_key SET created_by = 'operator'",
    "DELETE FROM api_key",
    "INSERT INTO plan_change SELECT * FROM plan_change",
    "UPDATE plan_change SET writes_limit = 1",
    "DELETE FROM plan_change",
    "ALTER TABLE version DISABLE ROW LEVEL SECURITY",
    "DROP TABLE version",
    "UPDATE version SET content_id = memory_id",
    "UPDATE source SET text = 'never said'",
    "UPDATE slot SET subject = 'other'",
    "UPDATE embedding SET vector = NULL",
    "UPDATE tombstone SET hash = ''",
    "INSERT INTO tombstone VALUES (gen_random_uuid(), 1, 'content', 1, gen_random_uuid(), '')",
    "DELETE FROM memory",
    "DELETE FROM source",
    "DELETE FROM tombstone",
    "UPDATE transaction SET reason = NULL",
    "CREATE FUNCTION rewrite() RETURNS void LANGUAGE sql AS 'DELETE FROM version'",
    "GRANT aurra_eraser TO aurra_app",
    "CREATE TRIGGER quiet BEFORE UPDATE ON version EXECUTE FUNCTION suppress_redundant_updates_trigger()",
]


@pytest.mark.parametrize("statement", FORBIDDEN)
async def test_the_service_role_cannot_rewrite_the_past(account: Account, dsn: str, statement: str) -> None:
    """Law 1: whatever SQL the service's role sends, what is stored stays."""
    await account.add("a fact")
    async with acting(dsn, account) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)


async def test_the_service_role_can_become_nobody_else(dsn: str) -> None:
    """It is a member of no role, so a login that holds only it cannot SET ROLE to the owner or the eraser."""
    async with connected(dsn) as connection:
        for role in ("aurra_owner", "aurra_eraser"):
            assert not await connection.fetchval("SELECT pg_has_role('aurra_app', $1, 'MEMBER')", role)


async def test_a_version_is_closed_once(account: Account, dsn: str) -> None:
    """Law 1: closing is the only change; a closed version can neither be opened nor closed again."""
    await account.add("Kim lives in Oslo", subject="kim", attribute="city")
    await account.add("Kim lives in Rome", subject="kim", attribute="city")
    async with acting(dsn, account) as connection:
        assert await connection.execute("UPDATE version SET tx_to = 9, tx_to_at = now() WHERE tx_to = 2") == "UPDATE 0"
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await connection.execute("UPDATE version SET replaced_by = NULL WHERE tx_to IS NULL")


async def test_a_lane_never_holds_two_beliefs_for_one_instant(account: Account, dsn: str) -> None:
    """Law 2: the exclusion constraint refuses a second version over the same instants of the plane."""
    await account.add("Kim lives in Oslo", subject="kim", attribute="city")
    async with acting(dsn, account) as connection:
        with pytest.raises(asyncpg.ExclusionViolationError) as refused:
            await connection.execute(
                """INSERT INTO version (company_id, id, tenant_id, memory_id, lane, content_id, valid, tx_from,
                                        tx_from_at, op)
                   SELECT company_id, gen_random_uuid(), tenant_id, memory_id, lane, content_id, valid, tx_from,
                          tx_from_at, op
                   FROM version"""
            )
        assert "version_one_belief_a_lane" in str(refused.value)


TABLES = ("account", "api_key", "ledger", "transaction", "slot", "source", "memory", "content", "embedding", "version",
          "idempotency", "tombstone", "conversation", "plan_change")  # fmt: skip


@pytest.mark.parametrize("table", TABLES)
async def test_without_an_account_nothing_is_seen(account: Account, dsn: str, table: str) -> None:
    """Property 15: with no account set, and after one was set in an earlier transaction, every table is empty."""
    await account.post(
        "/agent/memories", messages=[{"role": "user", "content": "I moved to Oslo."}], extraction="verbatim"
    )
    async with acting(dsn, None) as connection:
        assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0
    async with connected(dsn) as connection:
        await connection.execute(f"BEGIN; SET LOCAL aurra.company_id = '{account.row.id}'; COMMIT")
        await connection.execute("SET ROLE aurra_app")
        assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0


@pytest.mark.parametrize("table", TABLES)
async def test_an_account_sees_only_itself(make_account: MakeAccount, dsn: str, table: str) -> None:
    """Row-level security alone, without any WHERE, keeps accounts apart."""
    mine, other = await make_account(), await make_account()
    for one in (mine, other):
        erased = await one.add("goes")
        await one.post(f"/memories/{erased}/erase")
        await one.client.post(
            "/agent/memories", json={"content": "x", "subject": "s", "attribute": "a"}, headers={"Idempotency-Key": "k"}
        )
        await one.post(
            "/agent/memories",
            messages=[{"role": "user", "content": "Hi all"}],
            extraction="verbatim",
            session_id="s",
        )
    async with acting(dsn, mine) as connection:
        owners = {record[0] for record in await connection.fetch(f"SELECT company_id FROM {table}")}
    assert owners == {mine.row.id}


async def test_a_row_of_another_account_cannot_be_written(make_account: MakeAccount, dsn: str) -> None:
    """The policies hold for writing too."""
    mine, other = await make_account(), await make_account()
    async with acting(dsn, mine) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await connection.execute("INSERT INTO idempotency VALUES ($1, 'k', '', '', now())", other.row.id)


async def test_every_key_leads_with_the_account(dsn: str) -> None:
    """Every primary, unique, foreign and exclusion key of a table with an account begins with `company_id`."""
    async with connected(dsn) as connection:
        records = await connection.fetch(
            """SELECT c.conrelid::regclass::text AS t, c.conname AS name
               FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
               WHERE c.contype IN ('p', 'u', 'f', 'x') AND c.connamespace = 'public'::regnamespace
                 AND a.attname <> 'company_id'
                 AND EXISTS (SELECT 1 FROM pg_attribute b WHERE b.attrelid = c.conrelid AND b.attname = 'company_id')"""
        )
        triggers = await connection.fetchval("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal")
    # An account's plan is one of a table without accounts.
    assert [(record["t"], record["name"]) for record in records] == [("account", "account_plan_fkey")]
    assert triggers == 0
