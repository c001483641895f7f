"""`aurra doctor`: each check is seen to fail on data that breaks it, and to be content otherwise."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from aurra.app import build_app, open_service
from aurra.faces import examining
from aurra.jobs import run_due
from aurra.keys import Terms, parse_scopes
from aurra.settings import Settings, read_settings
from aurra.store import invariants, migrate
from aurra.store.accounts import Directory, open_directory
from tests.plain import connected, execute, own_database


def settings_of(dsn: str) -> Settings:
    return read_settings({"DATABASE_URL": dsn, "AURRA_EMBEDDER": "none", "AURRA_EXACT_UP_TO": "2"})


@pytest.fixture(scope="module")
async def healthy(dsn: str) -> AsyncIterator[str]:
    """A database in which everything that is checked occurs: closings, erasures, receipts, segments, kept answers."""
    async with own_database(dsn) as own:
        await migrate.migrate(own)
        async with open_directory(own) as directory:
            account = await directory.create_account("patient", "enterprise")
            key = (await directory.create_key(account, Terms(scopes=parse_scopes("full")))).raw
        async with open_service(settings_of(own), own) as service:
            transport = httpx2.ASGITransport(build_app(service))  # type: ignore[arg-type]
            headers = {"Authorization": f"Bearer {key}"}
            async with httpx2.AsyncClient(transport=transport, base_url="http://aurra", headers=headers) as client:
                for city in ("Oslo", "Rome", "Bern"):
                    body = {"content": f"Kim lives in {city}", "subject": "kim", "attribute": "city"}
                    await client.post("/agent/memories", json=body, headers={"Idempotency-Key": city})
                gone = await client.post("/agent/memories", json={"content": "gone", "reason": "r"})
                await client.post(f"/memories/{gone.json()['memory_id']}/erase", json={})
                for number in range(5):
                    await client.post("/agent/memories", json={"content": f"number {number}"})
                for label in ("e-1", "e-2"):
                    await client.patch("/agent/subjects/kim", json={"external_id": label})
                    turn = {"role": "user", "content": f"I am {label}."}
                    told = {"session_id": "s", "turns": [turn], "external_id": label, "metadata": {label: 1.50}}
                    await client.post("/agent/conversations", json={**told, "extraction": "never"})
                later = {"session_id": "s", "turns": [{"role": "user", "content": "Later."}], "channel": "chat"}
                await client.post("/agent/conversations", json={**later, "extraction": "never"})
                answer = await client.post("/agent/query", json={"question": "Where does Kim live?"})
                assert answer.json()["receipt_id"]
                await asyncio.gather(*service.tasks)
                await run_due(service)
                # A job that knew its tenant by what was erased did nothing; the next write asks again.
                await client.post("/agent/memories", json={"content": "number 5"})
            await asyncio.gather(*service.tasks)
            await run_due(service)
        yield own


async def examined(dsn: str, capsys: Any) -> dict[str, bool]:
    """Of each check, whether all is well; after making sure that the answer as a whole says the same."""
    capsys.readouterr()
    well = await examining.examine(settings_of(dsn), as_json=True)
    shown = msgspec.json.decode(capsys.readouterr().out)
    assert shown["ok"] is well is all(finding["ok"] for finding in shown["findings"])
    return {finding["check"]: finding["ok"] for finding in shown["findings"]}


async def test_the_doctor_is_content_with_what_the_product_writes(healthy: str, capsys: Any) -> None:
    """Every check holds; each finding is a line with its account."""
    checks = await examined(healthy, capsys)
    assert all(checks.values())
    assert len(checks) > 15
    assert await examining.examine(settings_of(healthy))
    assert "ok   account patient: what receipts considered is there" in capsys.readouterr().out


BREAKS: dict[str, tuple[str, ...]] = {
    "lanes": (
        "ALTER TABLE version DROP CONSTRAINT version_one_belief_a_lane",
        "UPDATE version SET tx_to = NULL, tx_to_at = NULL WHERE tx_to IS NOT NULL AND lower(valid) < now()",
        "UPDATE version SET valid = tstzrange(lower(valid), NULL)",
    ),
    "instants": ("UPDATE version SET tx_from_at = tx_from_at + interval '1 second'",),
    "contents": ("UPDATE version SET content_id = gen_random_uuid() WHERE tx_to IS NULL",),
    "tombstones": ("UPDATE tombstone SET row_id = (SELECT min(id::text)::uuid FROM memory) WHERE kind = 'memory'",),
    "idempotency": ("UPDATE idempotency SET expires_at = expires_at + interval '1 year'",),
    "segments": ("UPDATE segment SET numbers = overlay(numbers PLACING '\\xff' FROM 8)",),
    "evidence": ("UPDATE receipt_evidence SET version_id = gen_random_uuid() WHERE place = 1",),
    "labels": ("UPDATE subject SET external_id = 'e-1'",),
    "ahead": ("UPDATE ledger SET last_at = last_at + interval '1 hour'",),
    "failed_jobs": ("INSERT INTO job VALUES (gen_random_uuid(), gen_random_uuid(), 'x', '{}', now(), 3, NULL, 'why')",),
    "hanging_jobs": (
        "INSERT INTO job VALUES (gen_random_uuid(), gen_random_uuid(), 'x', '{}', now(), 1, now() - interval '1 day')",
    ),
    "constraints": ("ALTER TABLE version DROP CONSTRAINT version_closed_once",),
    "chain": ("UPDATE content SET text = 'forged' WHERE text LIKE 'number 3'",),
    "numbers": ("UPDATE ledger SET last_tx = last_tx + 1",),
    "meter": ("UPDATE ledger SET writes_used = writes_used + 1",),
    "start": ("ALTER TABLE memory NO FORCE ROW LEVEL SECURITY",),
    "migrations": ("DELETE FROM migration WHERE name LIKE '0004%'",),
}
"""What breaks each check, past the product, as a superuser."""


async def test_each_check_finds_what_breaks_it(healthy: str) -> None:
    """One break after another, each rolled back: the check of that name finds it, and finds nothing before."""
    async with connected(healthy) as connection:
        for name in (*invariants.OF_ACCOUNTS, *invariants.OF_ALL):
            assert not (await looked_at(connection, name)).wrong, name
            assert (await looked_at(connection, name, *BREAKS[name])).wrong, name


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE subject SET external_id = NULL",
        "DELETE FROM subject_label",
        "UPDATE subject_label SET external_id = 'e-3' WHERE external_id = 'e-2'",
        "DELETE FROM conversation_label WHERE external_id = 'e-2'",
        "UPDATE conversation SET channel = 'mail'",
        "UPDATE conversation SET uri = 'https://example.com/'",
        """UPDATE conversation SET metadata = '{"e-2":2}'""",
    ],
)
async def test_a_label_that_is_not_the_newest_one_is_found(healthy: str, statement: str) -> None:
    """Of a subject and of each field of a conversation, on either side; told without its name."""
    async with connected(healthy) as connection:
        found = await looked_at(connection, "labels", statement)
        assert found.wrong == 1
        assert found.example and "kim" not in found.example


async def looked_at(connection: Any, name: str, *statements: str) -> invariants.Broken:
    """What a check finds once the statements have run, which are undone."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        for statement in statements:
            await connection.execute(statement)
        await connection.execute("SET LOCAL ROLE aurra_owner")
        directory = Directory(connection)
        [account] = await directory.list_accounts()
        return await directory.check(account if name in invariants.OF_ACCOUNTS else None, name, await directory.now())
    finally:
        await transaction.rollback()


@pytest.mark.parametrize(
    "checks", [["start"], ["migrations"], [name for name in BREAKS if name not in ("start", "migrations")]], ids=str
)
async def test_the_doctor_fails_and_names_what_is_broken(
    checks: list[str], healthy: str, dsn: str, capsys: Any
) -> None:
    """On a copy that is broken in these ways, these checks fail, and the doctor with them."""
    async with own_database(dsn, template=healthy) as broken:
        for name in checks:
            await execute(broken, *BREAKS[name])
        found = await examined(broken, capsys)
        assert [name for name in checks if found[name]] == []


async def test_clocks_that_are_apart_and_a_full_disk_are_named(healthy: str) -> None:
    """What the data cannot show: with limits that nothing can meet, both fail."""
    async with open_directory(healthy) as directory:
        assert (await examining.clocks(directory)).is_well
        assert not (await examining.clocks(directory, most_apart=-1)).is_well
    assert not examining.disk(Path("/"), least_free=2**62).is_well
