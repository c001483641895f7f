"""The chain of transactions can be reckoned again from what is stored, and locates whatever was changed."""

import asyncio
import contextlib
import datetime as dt
import random
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from aurra import chain
from aurra.changes import Changes, Head, Verb, seal
from aurra.store import migrate, pool, verifying
from aurra.store.accounts import open_directory
from aurra.store.verifying import Verdict
from tests.conftest import Account
from tests.plain import connected, execute, own_database
from tests.running import aurra, environment_of

CHAINED = {
    "slot": ("tx",),
    "source": ("tx",),
    "memory": ("created_tx",),
    "content": ("tx",),
    "embedding": ("tx",),
    "version": ("tx_from", "tx_to"),
    "transaction": ("id",),
    "tombstone": ("tx", "erased_by"),
}
"""Each table of the model, with the columns that say which transaction wrote the row."""
DERIVED = {("content", "words")}
"""What the database makes from chained text, and could make again."""


@contextlib.asynccontextmanager
async def copied(dsn: str, account: Account) -> AsyncGenerator[Any]:
    """A connection that sees copies of the account's rows instead of the tables: no rule of the database stops what a
    superuser does to them."""
    async with connected(dsn) as connection:
        await pool.register_vector(connection)
        for table in (*CHAINED, "ledger"):
            await connection.execute(
                f"CREATE TEMP TABLE {table} AS SELECT * FROM public.{table} WHERE company_id = '{account.row.id}'"
            )
        yield connection


async def verdict(connection: Any, account: Account, *tampering: str) -> Verdict:
    """What the chain says after some changes, which are undone afterwards."""
    await connection.execute("BEGIN")
    for statement in tampering:
        await connection.execute(statement)
    found = await verifying.verify(pool.Transaction(connection, account.row.id))
    await connection.execute("ROLLBACK")
    return found


async def play(account: Account) -> None:
    """Every kind of row there is, and every verb."""
    await account.add(
        "Kim lives in Oslo", subject="kim", attribute="city", metadata={"n": 1e22, "f": 1.0, "ä": [None]}, reason="told"
    )
    rome = await account.add("Kim lives in Rome", subject="kim", attribute="city", valid_from="2026-01-01")
    await account.post(
        "/agent/memories",
        messages=[
            {"role": "user", "content": "I like tea.", "name": "Kim", "id": "1", "at": "2026-02-03T04:05:06.7+02:00"}
        ],
        extraction="verbatim",
        session_id="s",
    )
    gone = await account.add("a mistake")
    await account.client.delete(f"/memories/{gone}", params={"reason": "wrong"})
    await account.post(f"/memories/{rome}/correct", content="Kim lives in Roma", reason="spelling")
    await account.post("/agent/transactions/6/restore", reason="no, Rome")
    secret = await account.add("a secret", subject="eve", attribute="plan", reason="heard", session_id="s")
    await account.post(f"/memories/{secret}/supersede", valid_to="2099-01-01", reason="over")
    await account.post(f"/memories/{secret}/erase", reason="asked to")


async def test_the_chain_verifies_from_what_is_stored(account: Account, dsn: str) -> None:
    """Each hash follows from the one before and the rows, as the database gives them back; erased rows included."""
    await play(account)
    async with copied(dsn, account) as connection:
        found = await verdict(connection, account)
    assert (found.first_bad, found.checked, found.head.last_tx) == (None, 10, 10)
    answer = await account.get("/agent/transactions/verify")
    assert (answer["ok"], answer["checked"], answer["first_bad"]) == (True, 10, None)
    assert answer["head"] == {"id": 10, "hash": found.head.last_hash.hex()}
    assert (await account.get("/agent/transactions/verify", since=7))["checked"] == 3


async def test_an_empty_reason_is_a_reason(account: Account) -> None:
    """Kept and covered by the chain as any other, and erased as any other."""
    memory = await account.add("a secret", reason="")
    assert (await account.get("/agent/transactions/1"))["reason"] == ""
    assert (await account.get("/agent/transactions/verify"))["ok"]
    assert (await account.post(f"/memories/{memory}/erase", reason=""))["certificate"]["reasons"] == [1]
    assert (await account.get("/agent/transactions/verify"))["ok"]


@pytest.mark.parametrize(
    ("tampering", "number"),
    [
        ("UPDATE content SET text = text || '.' WHERE tx = 2", 2),
        ("UPDATE content SET salt = sha256('x') WHERE tx = 2", 2),
        ("UPDATE memory SET tenant_id = 'x' WHERE created_tx = 1", 1),
        ("UPDATE memory SET metadata = '{}' WHERE created_tx = 1", 1),
        ("UPDATE slot SET cardinality = 'many' WHERE tx = 1", 1),
        ("UPDATE source SET text = 'I like gin.'", 3),
        ("UPDATE version SET superseded_by = NULL WHERE tx_from = 2", 2),
        ("UPDATE version SET tx_to = NULL, tx_to_at = NULL WHERE tx_to = 5", 5),
        ("UPDATE version SET tx_to = 4 WHERE tx_to = 5", 4),
        ("INSERT INTO version SELECT company_id, gen_random_uuid(), tenant_id, memory_id, gen_random_uuid(), "
         "content_id, valid, tx_from, NULL, tx_from_at, NULL, op, NULL, NULL FROM version WHERE tx_from = 3", 3),
        ("UPDATE embedding e SET vector = (SELECT vector FROM embedding o WHERE o.tx = 3) WHERE e.tx = 4", 4),
        ("UPDATE embedding SET tx = NULL WHERE tx = 4", 4),
        ("DELETE FROM embedding WHERE tx = 2", 2),
        ("UPDATE transaction SET reason = 'heard' WHERE id = 1", 1),
        ("UPDATE transaction SET reason = NULL, reason_salt = NULL WHERE id = 5", 5),
        ("UPDATE transaction SET at = at - interval '1 second' WHERE id = 4", 4),
        ("UPDATE transaction SET hash = sha256('x') WHERE id = 3", 3),
        ("UPDATE transaction SET verb = 'retract' WHERE id = 6", 6),
        ("DELETE FROM transaction WHERE id = 4", 4),
        ("DELETE FROM transaction WHERE id = 10", 10),
        ("UPDATE transaction SET id = CASE id WHEN 3 THEN 99 ELSE 3 END WHERE id IN (3, 4)", 3),
        ("DELETE FROM tombstone WHERE kind = 'content'", 8),
        ("DELETE FROM tombstone WHERE kind = 'reason' AND tx = 9", 9),
        ("UPDATE tombstone SET tenant = sha256('x') WHERE kind = 'memory'", 10),
        ("UPDATE tombstone SET erased_by = 9 WHERE kind = 'memory'", 9),
        ("INSERT INTO tombstone SELECT company_id, 10, 'content', 4, id, salt FROM content WHERE tx = 4", 4),
        ("UPDATE ledger SET last_hash = sha256('x')", 10),
        ("UPDATE ledger SET last_tx = 9", 9),
        ("UPDATE ledger SET writes_used = 0", 10),
    ],
)  # fmt: skip
async def test_what_was_changed_is_located(account: Account, dsn: str, tampering: str, number: int) -> None:
    """A row of any table, changed by a superuser: the first transaction that does not verify is the row's own."""
    await play(account)
    async with copied(dsn, account) as connection:
        found = await verdict(connection, account, tampering)
    assert found.first_bad == number, found.why


@pytest.mark.parametrize("edits", [pytest.param(60, id="short"), pytest.param(1000, id="long", marks=pytest.mark.long)])
@pytest.mark.timeout(1200)
async def test_random_edits_deletions_and_reorders_are_all_located(account: Account, dsn: str, edits: int) -> None:
    """T21: whatever a superuser does to one row of the model, or to two by exchanging a value or their places, is
    located."""
    await play(account)
    dice = random.Random(20261124 + edits)
    async with copied(dsn, account) as connection:
        for _ in range(edits):
            await connection.execute("BEGIN")
            what, numbers = await tamper(connection, dice)
            found = await verifying.verify(pool.Transaction(connection, account.row.id))
            await connection.execute("ROLLBACK")
            assert found.first_bad in numbers, (what, found.first_bad, numbers)


@pytest.mark.parametrize("edits", [pytest.param(40, id="short"), pytest.param(1000, id="long", marks=pytest.mark.long)])
@pytest.mark.timeout(1200)
async def test_what_is_done_to_the_ledger_itself_is_located(account: Account, dsn: str, edits: int) -> None:
    """T21: the same of the ledger's own rows alone: its transactions, and its head."""
    await play(account)
    dice = random.Random(20261125 + edits)
    async with copied(dsn, account) as connection:
        for _ in range(edits):
            await connection.execute("BEGIN")
            what, numbers = await tamper(connection, dice, ["transaction"])
            found = await verifying.verify(pool.Transaction(connection, account.row.id))
            await connection.execute("ROLLBACK")
            assert found.first_bad in numbers, (what, found.first_bad, numbers)


async def test_the_command_names_the_first_that_is_wrong(dsn: str) -> None:
    """`aurra ledger verify` after a superuser changed the tables themselves: exit code 1, with the number."""
    async with own_database(dsn) as own:
        await migrate.migrate(own)
        environment = environment_of(database_url=own, aurra_embedder="none")
        await asyncio.to_thread(aurra, ("seed",), environment)
        for statement, number in (
            ("UPDATE transaction SET reason = 'another' WHERE id = 4", 4),
            ("DELETE FROM transaction WHERE id = 3", 3),
            ("UPDATE transaction SET id = id + 100 WHERE id = 2", 2),
        ):
            # Without triggers, foreign keys do not stand in the way.
            await execute(own, f"SET session_replication_role = replica; {statement}")
            async with open_directory(own) as directory:
                [only] = await directory.list_accounts()
                assert (await directory.verify(only)).first_bad == number
        command = [sys.executable, "-m", "aurra.main", "ledger", "verify", "--json"]
        done = await asyncio.create_subprocess_exec(*command, env=environment, stdout=subprocess.PIPE)
        said, _ = await done.communicate()
        assert (done.returncode, msgspec.json.decode(said)["first_bad"]) == (1, 2)


async def tamper(connection: Any, dice: random.Random, tables: Sequence[str] = ()) -> tuple[str, set[int]]:
    """One random change, and the transactions that may be named for it: those of the rows, before and after."""
    table = dice.choice(tables or sorted(CHAINED))
    rows: list[dict[str, Any]] = [
        dict(record) for record in await connection.fetch(f"SELECT ctid AS place, * FROM {table} ORDER BY ctid")
    ]
    row = dice.choice(rows)
    what = dice.choice(["edit", "edit", "delete", "exchange", "reorder"])
    if what == "delete":
        await connection.execute(f"DELETE FROM {table} WHERE ctid = $1", row["place"])
        return f"delete {table}", numbers_of(table, row)
    others = [other for other in rows if numbers_of(table, other) != numbers_of(table, row)]
    if what == "reorder" and others:
        other = dice.choice(others)
        for one, by in ((row, other), (other, row)):
            places = ", ".join(f"{name} = ${place}" for place, name in enumerate(CHAINED[table], 2))
            await connection.execute(
                f"UPDATE {table} SET {places} WHERE ctid = $1", one["place"], *(by[name] for name in CHAINED[table])
            )
        return f"reorder {table}", numbers_of(table, row) | numbers_of(table, other)
    columns = [name for name in row if name not in ("place", "company_id") and (table, name) not in DERIVED]
    pairs = [(name, other) for name in columns for other in rows if other[name] != row[name]]
    if what == "exchange" and pairs:
        column, other = dice.choice(pairs)
        await connection.execute(
            f"UPDATE {table} SET {column} = CASE ctid WHEN $1 THEN $4::{await type_of(connection, table, column)} "
            "ELSE $3 END WHERE ctid IN ($1, $2)",
            row["place"], other["place"], row[column], other[column],
        )  # fmt: skip
        return f"exchange {table}.{column}", numbers_of(table, row) | numbers_of(table, other)
    column = dice.choice([name for name in columns if row[name] is not None])
    changed = {**row, column: another(row[column], await type_of(connection, table, column), dice)}
    await connection.execute(f"UPDATE {table} SET {column} = $2 WHERE ctid = $1", row["place"], changed[column])
    return f"edit {table}.{column}", numbers_of(table, row) | numbers_of(table, changed)


def numbers_of(table: str, row: dict[str, Any]) -> set[int]:
    """The transactions that a row belongs to."""
    return {row[column] for column in CHAINED[table] if row[column] is not None}


async def type_of(connection: Any, table: str, column: str) -> str:
    """The column's type."""
    return await connection.fetchval(
        "SELECT atttypid::regtype::text FROM pg_attribute WHERE attrelid = $1::regclass AND attname = $2", table, column
    )


def another(value: Any, kind: str, dice: random.Random) -> Any:
    """A value of the same type that is not the same."""
    match value:
        case str() if kind.startswith("json"):
            return '{"x": 1}'
        case str():
            return value + "."
        case int():
            return value + dice.choice([-1, 1])
        case bytes():
            return value[::-1] + b"x"
        case UUID():
            return uuid4()
        case dt.datetime():
            return value + dt.timedelta(microseconds=1)
        case list():
            return [*value, "x"]  # pyright: ignore[reportUnknownVariableType]
        case _ if kind == "tstzrange":
            return type(value)(value.lower - dt.timedelta(microseconds=1), value.upper)
        case _:
            return type(value)([*value.to_list()[1:], 0.5])


def test_every_hash_depends_on_the_one_before() -> None:
    """The same transaction after another past has another hash."""
    at = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    hashes: set[bytes] = set()
    for previous in (chain.GENESIS, b"x" * 32):
        head = Head(
            last_tx=0,
            last_hash=previous,
            meter_start=at,
            writes_used=0,
            grace_from=None,
            plan="",
            writes_limit=1,
            last_at=at,
            at=at,
        )
        verb = Verb(verb="assert", actor="key a", request_id="r")
        hashes.add(seal(UUID(int=1), head, verb, Changes(), None).hash)
    assert len(hashes) == 2


def test_a_short_text_cannot_be_guessed_from_its_hash() -> None:
    """The same text under two salts has two hashes."""
    assert chain.salted(b"a" * 32, "yes") != chain.salted(b"b" * 32, "yes")
    assert (
        chain.canonical({"b": 1, "a": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)}) == b'{"a":"2026-01-01T00:00:00Z","b":1}'
    )
