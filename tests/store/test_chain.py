"""The chain of transactions can be reckoned again from what is stored, and shows what was changed."""

import datetime as dt
from typing import Any
from uuid import UUID

import msgspec
import pytest

from aurra import chain
from aurra.changes import (
    Changes,
    ClosedRow,
    ContentRow,
    Head,
    MemoryRow,
    OpenedRow,
    SlotRow,
    SourceRow,
    Verb,
    hashed,
    seal,
)
from tests.conftest import Account
from tests.plain import connected


async def rows_of(connection: Any, table: str, struct: Any, condition: str, number: int, account: Account) -> list[Any]:
    """Rows of a table that a transaction wrote, as the Structs that wrote them."""
    renamed = {"valid_from": "lower(valid)", "valid_to": "upper(valid)", "indexed": "''"}
    columns = ", ".join(f"{renamed.get(field, field)}" for field in struct.__struct_fields__)
    records = await connection.fetch(
        f"SELECT {columns} FROM {table} WHERE company_id = $1 AND {condition} = $2", account.row.id, number
    )
    found: list[Any] = []
    for record in records:
        values = dict(zip(struct.__struct_fields__, record, strict=True))
        for name in ("metadata", "extraction"):
            if values.get(name) is not None:
                values[name] = msgspec.json.decode(values[name])
        found.append(struct(**values))
    return found


async def changes_of(connection: Any, account: Account, number: int) -> Changes:
    """What a transaction wrote, with every hash reckoned from the row that is there now."""
    contents = await rows_of(connection, "content", ContentRow, "tx", number, account)
    salts = {row.memory_id: row.salt for row in contents}
    memories = await rows_of(connection, "memory", MemoryRow, "created_tx", number, account)
    slots = await rows_of(connection, "slot", SlotRow, "tx", number, account)
    sources = await rows_of(connection, "source", SourceRow, "tx", number, account)
    return Changes(
        slots=[hashed(row, row.salt) for row in slots],
        sources=[hashed(row, row.salt) for row in sources],
        memories=[hashed(row, salts[row.id]) for row in memories],
        contents=[hashed(row, row.salt) for row in contents],
        opened=await rows_of(connection, "version", OpenedRow, "tx_from", number, account),
        closed=await rows_of(connection, "version", ClosedRow, "tx_to", number, account),
    )


async def first_bad(dsn: str, account: Account, tamper: str | None = None) -> int | None:
    """The first transaction whose hash is not what its rows say; None when all are. `tamper` is undone afterwards."""
    async with connected(dsn) as connection:
        await connection.execute("BEGIN")
        if tamper:
            await connection.execute(tamper, account.row.id)
        transactions = await connection.fetch(
            "SELECT id, at, verb, actor, request_id, reason, model, reason_salt, hash FROM transaction "
            "WHERE company_id = $1 ORDER BY id",
            account.row.id,
        )
        previous, before = chain.GENESIS, 0
        for record in transactions:
            verb = Verb(**{name: record[name] for name in ("verb", "actor", "request_id", "reason", "model")})
            head = Head(
                last_tx=record["id"] - 1,
                last_hash=previous,
                meter_start=record["at"],
                writes_used=0,
                grace_from=None,
                plan="",
                writes_limit=1,
                last_at=record["at"],
                at=record["at"],
            )
            changes = await changes_of(connection, account, record["id"])
            entry = seal(account.row.id, head, verb, changes, record["reason_salt"])
            if entry.hash != record["hash"] or record["id"] != before + 1:
                return record["id"]
            previous, before = record["hash"], record["id"]
        assert before > 0
        return None


async def play(account: Account) -> None:
    """Every kind of row there is."""
    await account.add(
        "Kim lives in Oslo", subject="kim", attribute="city", metadata={"n": 1e22, "f": 1.0, "ä": [None]}, reason="told"
    )
    await account.add("Kim lives in Rome", subject="kim", attribute="city", valid_from="2026-01-01")
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


async def test_the_chain_verifies_from_what_is_stored(account: Account, dsn: str) -> None:
    """Each hash follows from the one before and the rows, as the database gives them back."""
    await play(account)
    assert await first_bad(dsn, account) is None


@pytest.mark.parametrize(
    ("tamper", "number"),
    [
        ("UPDATE content SET text = text || '.' WHERE company_id = $1 AND tx = 2", 2),
        ("UPDATE memory SET tenant_id = 'x' WHERE company_id = $1 AND created_tx = 1", 1),
        ("UPDATE memory SET metadata = '{}' WHERE company_id = $1 AND created_tx = 1", 1),
        ("UPDATE slot SET cardinality = 'many' WHERE company_id = $1", 1),
        ("UPDATE source SET text = 'I like gin.' WHERE company_id = $1", 3),
        ("UPDATE version SET superseded_by = NULL WHERE company_id = $1 AND tx_from = 2", 2),
        ("UPDATE version SET tx_to = NULL, tx_to_at = NULL WHERE company_id = $1 AND tx_to = 5", 5),
        ("UPDATE transaction SET reason = 'heard' WHERE company_id = $1 AND id = 1", 1),
        ("UPDATE transaction SET at = at - interval '1 second' WHERE company_id = $1 AND id = 4", 4),
        ("UPDATE transaction SET hash = sha256('x') WHERE company_id = $1 AND id = 3", 3),
    ],
)
async def test_what_was_changed_is_located(account: Account, dsn: str, tamper: str, number: int) -> None:
    """A row of any table, changed by a superuser: the first transaction that does not verify is the row's own."""
    await play(account)
    assert await first_bad(dsn, account, tamper) == number


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
