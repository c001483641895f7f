"""T20: a hundred canaries are erased, and are nowhere: not in answers, dumps, files, the log, nor a restored backup."""

import contextlib
import re
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from aurra.app import build_app, open_service
from aurra.errors import CannotStart
from aurra.faces import safekeeping
from aurra.keys import Terms, parse_scopes
from aurra.settings import Settings, read_settings
from aurra.store import migrate
from aurra.store.accounts import open_directory
from aurra.store.embedded import EmbeddedPostgres, find_binaries
from tests.plain import connected, execute

CANARIES = [f"canary{number:02}x{uuid4().hex}" for number in range(100)]
CANARY = re.compile(rb"canary\d\dx", re.IGNORECASE)


@asynccontextmanager
async def served(settings: Settings, dsn: str, key: str) -> AsyncGenerator[httpx2.AsyncClient]:
    """A client of a service that runs meanwhile."""
    async with open_service(settings, dsn) as service:
        transport = httpx2.ASGITransport(build_app(service))  # type: ignore[arg-type]
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx2.AsyncClient(transport=transport, base_url="http://aurra", headers=headers) as client:
            yield client


async def post(client: httpx2.AsyncClient, path: str, **body: Any) -> dict[str, Any]:
    answer = await client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def tell_canaries(client: httpx2.AsyncClient) -> list[str]:
    """A hundred: as contents, names, labels, reasons, turns, questions. Returns ids of memories to erase one by one."""
    ids: list[str] = []
    for canary in CANARIES[:60]:
        ids.append(
            (await post(client, "/agent/memories", content=f"it says {canary}", reason=f"why {canary}"))["memory_id"]
        )
    for canary in CANARIES[60:75]:
        await post(
            client,
            "/agent/memories",
            content="x",
            subject=canary,
            attribute=canary,
            metadata={"k": canary},
            tenant_id="t",
        )
    for canary in CANARIES[75:85]:
        turns = [{"role": "user", "content": f"I like {canary}"}]
        await post(client, "/agent/conversations", turns=turns, session_id=canary, extraction="never")
    for canary in CANARIES[85:90]:
        await post(client, "/agent/memories", content=f"superseded {canary}", subject="s", attribute="a")
    for canary in CANARIES[90:]:
        await post(client, "/agent/query", question=f"where is {canary}?", tenant_id="t")
    return ids


async def erase_canaries(client: httpx2.AsyncClient, ids: list[str]) -> None:
    for memory_id in ids:
        await post(client, f"/memories/{memory_id}/erase")
    await post(client, "/agent/erase", tenant_id="t")
    for canary in CANARIES[75:85]:
        await post(client, "/agent/erase", session_id=canary)
    await post(client, "/agent/erase", subject="s")


def hits(text: bytes) -> set[bytes]:
    """Which canaries are in it, be it by their beginnings."""
    return set(CANARY.findall(text))


def dumped(dsn: str) -> set[bytes]:
    """Canaries in what pg_dump writes."""
    done = subprocess.run([find_binaries() / "pg_dump", "--inserts", dsn], capture_output=True, check=True)
    return hits(done.stdout)


def on_disk(home: Path) -> set[bytes]:
    """Canaries in any file of the embedded database, its write-ahead log among them."""
    found: set[bytes] = set()
    for path in (home / "postgres").rglob("*"):
        # The server removes files meanwhile.
        with contextlib.suppress(FileNotFoundError, IsADirectoryError, OSError):
            found |= hits(path.read_bytes())
    return found


async def answered(client: httpx2.AsyncClient) -> set[bytes]:
    """Canaries in what can be asked for."""
    found: set[bytes] = set()
    for path in (
        "/agent/memories?limit=1000&include_superseded=true",
        "/agent/memories?limit=1000&include_superseded=true&tenant_id=t",
        "/agent/memories?limit=1000&include_superseded=true&transaction_as_of=90",
        "/agent/receipts?limit=1000&tenant_id=t",
        "/agent/receipts?limit=1000",
        "/agent/conversations?limit=1000",
        "/agent/subjects?tenant_id=t&limit=1000",
        "/agent/diff?from=1&to=100",
    ):
        answer = await client.get(path)
        assert answer.status_code in (200, 400, 404), f"{path} {answer.text}"
        found |= hits(answer.content)
    return found


async def test_what_was_erased_is_nowhere_and_no_backup_brings_it_back(tmp_path: Path, capsys: Any) -> None:
    """At once: 0 hits in answers, receipts and a dump. After `erase --finish`: 0 in the embedded files and their log.
    After an older backup is put in place: 0 again, in all of them, with every ledger whole and revoked keys refused."""
    home = tmp_path / "home"
    settings = read_settings({"AURRA_HOME": str(home), "AURRA_EMBEDDER": "none"})
    with EmbeddedPostgres.open(home) as postgres:
        dsn = postgres.dsn
        await migrate.migrate(dsn)
        async with open_directory(dsn) as directory:
            account = await directory.create_account("canaries", "enterprise")
            key = (await directory.create_key(account, Terms(scopes=parse_scopes("full")))).raw
            revoked = await directory.create_key(account, Terms(scopes=parse_scopes("full")))
        async with served(settings, dsn, key) as client:
            ids = await tell_canaries(client)
            kept = (await post(client, "/agent/memories", content="nobody erases this"))["memory_id"]
            assert len(dumped(dsn)) == 100
            await execute(dsn, "ANALYZE")
            await safekeeping.backup(settings, tmp_path / "old")
            await erase_canaries(client, ids)
            assert await answered(client) == set() == dumped(dsn)
            assert len(on_disk(home)) > 50, "PostgreSQL keeps what was deleted"
            await safekeeping.finish_erasing(settings)
            assert on_disk(home) == set()
            assert await answered(client) == set()
        async with open_directory(dsn) as directory:
            await directory.revoke_key(revoked.key_id)
        await safekeeping.export_erasures(settings, tmp_path / "erasures")

        with pytest.raises(CannotStart, match="--replace"):
            await safekeeping.restore(settings, tmp_path / "old", replaces=False, known_from=(), without_erasures=False)
        await safekeeping.restore(settings, tmp_path / "old", replaces=True, known_from=(), without_erasures=False)
        await check_restored(settings, dsn, home, key, revoked.raw, kept)
    assert "erased again" in capsys.readouterr().out


async def check_restored(settings: Settings, dsn: str, home: Path, key: str, revoked: str, kept: str) -> None:
    assert dumped(dsn) == set() == on_disk(home)
    async with open_directory(dsn) as directory:
        for account in await directory.list_accounts():
            assert (await directory.verify(account)).first_bad is None
    async with served(settings, dsn, key) as client:
        assert await answered(client) == set()
        memories = (await client.get("/agent/memories")).json()["memories"]
        assert [memory["id"] for memory in memories] == [kept]
        refused = await client.get("/agent/memories", headers={"Authorization": f"Bearer {revoked}"})
        assert refused.json()["code"] == "revoked_key"
    async with connected(dsn) as connection:
        assert await connection.fetchval("SELECT count(*) FROM tombstone WHERE kind = 'memory'") >= 80
