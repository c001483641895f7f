"""Backups: everything that is stored, as of one instant; put in place whole or not at all."""

import asyncio
import contextlib
import datetime as dt
import hashlib
import tempfile
import time
import zipfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import msgspec
import pytest

from aurra import sealing, signing
from aurra.app import build_app, open_service
from aurra.errors import CannotStart
from aurra.faces import safekeeping
from aurra.keys import NewKey, Terms, parse_scopes
from aurra.settings import Settings, read_settings
from aurra.signing import Signable
from aurra.store import backups, migrate
from aurra.store.accounts import open_directory
from aurra.store.embedded import EmbeddedPostgres
from tests.faces.connecting import register
from tests.plain import connected, execute, own_database


def settings_of(dsn: str, *secrets: str) -> Settings:
    given = {"AURRA_SECRET_KEYS": ",".join(secrets)} if secrets else {}
    return read_settings({"DATABASE_URL": dsn, "AURRA_EMBEDDER": "none", **given})


@contextlib.asynccontextmanager
async def client_of(dsn: str, key: str) -> AsyncGenerator[httpx2.AsyncClient]:
    async with open_service(settings_of(dsn), dsn) as service:
        transport = httpx2.ASGITransport(build_app(service))  # type: ignore[arg-type]
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx2.AsyncClient(transport=transport, base_url="http://aurra", headers=headers) as client:
            yield client


async def new_key(dsn: str, name: str = "backed-up") -> NewKey:
    async with open_directory(dsn) as directory:
        accounts = {account.name: account for account in await directory.list_accounts()}
        account = accounts.get(name) or await directory.create_account(name, "enterprise")
        return await directory.create_key(account, Terms(scopes=parse_scopes("full")))


async def add(client: httpx2.AsyncClient, content: str, **fields: Any) -> str:
    answer = await client.post("/agent/memories", json={"content": content, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()["memory_id"]


async def restore(dsn: str, file: Path, *known: Path, replaces: bool = False, without: bool = False) -> None:
    await safekeeping.restore(
        settings_of(dsn), file, replaces=replaces, known_from=known, without_erasures=without or not known
    )


COLUMNS = "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 ORDER BY attnum"
NO_ROWS = hashlib.sha256(b"").hexdigest()


async def contents(dsn: str) -> dict[str, list[str]]:
    """Every row of every table but the migrations' register, as text."""
    async with connected(dsn) as connection:
        names = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return {
            name: sorted(row["t"] for row in await connection.fetch(f"SELECT t::text FROM public.{name} t"))
            for (name,) in names
            if name != "migration"
        }


@pytest.fixture(scope="module")
async def template(dsn: str) -> AsyncIterator[tuple[str, NewKey]]:
    """A database with two accounts, a conversation, a supersession, a receipt, an erasure; and a key."""
    async with own_database(dsn) as own:
        await migrate.migrate(own)
        other, key = await new_key(own, "other"), await new_key(own)
        async with client_of(own, other.raw) as client:
            await add(client, "of another account\twith a tab, a \\ and a\nline")
        async with client_of(own, key.raw) as client:
            await add(client, "Kim lives in Oslo", subject="kim", attribute="city", reason="she said so")
            await add(client, "Kim lives in Rome", subject="kim", attribute="city", metadata={"n": 1.50, "é": "\u2028"})
            turns = [{"role": "user", "content": "I moved to Rome"}]
            await client.post("/agent/conversations", json={"session_id": "s", "turns": turns})
            await client.post("/agent/query", json={"question": "Where does Kim live?"})
            gone = await add(client, "erased before", tenant_id="t")
            assert (await client.post(f"/memories/{gone}/erase", json={})).status_code == 200
        yield own, key


@pytest.fixture
async def filled(dsn: str, template: tuple[str, NewKey]) -> AsyncIterator[tuple[str, NewKey]]:
    """A copy of it, and the same key."""
    async with own_database(dsn, template=template[0]) as own:
        yield own, template[1]


IN_NONE = ("address_rate", "request_rate", "oauth_grant", "oauth_token")
"""What is unlogged, which says what the next seconds owe; and what hosts were granted, who ask again."""


async def test_a_backup_restores_every_row_of_every_table(dsn: str, filled: tuple[str, NewKey], tmp_path: Path) -> None:
    """Into an empty database, from a login that row-level security does not bind and that it does: the same rows in the
    same tables, a service that answers the same keys; the file is for its owner alone."""
    own, key = filled
    made = await backups.take(own, tmp_path / "file")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
    before = await contents(own)
    assert {table.name: table.rows for table in made.tables} == {
        name: len(rows) for name, rows in before.items() if name not in IN_NONE
    }
    async with own_database(dsn) as empty:
        await restore(empty, tmp_path / "file")
        after = await contents(empty)
        assert {name: rows for name, rows in after.items() if name not in IN_NONE} == {
            name: rows for name, rows in before.items() if name not in IN_NONE
        }
        async with client_of(empty, key.raw) as client:
            memories = (await client.get("/agent/memories")).json()["memories"]
            assert "Kim lives in Rome" in [memory["decision"] for memory in memories]


async def test_what_hosts_were_granted_is_in_no_backup(filled: tuple[str, NewKey], tmp_path: Path) -> None:
    """Ended since or not, a restore does not bring it back: hosts ask again, as the clients that they are."""
    own, key = filled
    async with client_of(own, key.raw) as client:
        host = await register(client)
        ended, lasting = await host.connect(key.raw), await host.connect(key.raw)
        await backups.take(own, tmp_path / "file")
        assert (await host.post("/oauth/revoke", token=ended["refresh_token"])).status_code == 200
        assert (await host.calls(lasting)).status_code == 200
    await restore(own, tmp_path / "file", replaces=True)
    async with client_of(own, key.raw) as client:
        host.http = client
        for tokens in (ended, lasting):
            assert (await host.calls(tokens)).status_code == 401
            assert (await host.refresh(tokens)).json()["error"] == "invalid_grant"
        assert (await host.calls(await host.connect(key.raw))).status_code == 200


async def test_a_backup_of_a_release_that_kept_what_hosts_were_granted_is_restored_without(
    filled: tuple[str, NewKey], tmp_path: Path
) -> None:
    """One that runs beside this release, on its tables, copies all that is logged."""
    own, key = filled
    async with client_of(own, key.raw) as client:
        host = await register(client)
        tokens = await host.connect(key.raw)
    async with connected(own) as connection:
        columns = {
            table: [row[0] for row in await connection.fetch(COLUMNS, table)]
            for table in ("oauth_grant", "oauth_token")
        }
    file, other = tmp_path / "file", tmp_path / "other"
    await backups.take(own, file)
    added = [{"name": name, "columns": of, "rows": 0, "sha256": NO_ROWS} for name, of in columns.items()]
    _rewrite(file, other, lambda manifest: {**manifest, "tables": [*manifest["tables"], *added]}, *columns)
    await restore(own, other, replaces=True)
    async with client_of(own, key.raw) as client:
        host.http = client
        assert (await host.calls(tokens)).status_code == 401


async def test_a_login_bound_by_row_level_security_backs_up_and_restores(
    dsn: str, filled: tuple[str, NewKey], tmp_path: Path
) -> None:
    """A login that is no superuser, as hosted databases give: it owns the database and has CREATEROLE."""
    own, _ = filled
    await backups.take(own, tmp_path / "by-superuser")
    name = f"login_{uuid4().hex}"
    await execute(dsn, f"CREATE ROLE {name} LOGIN CREATEROLE PASSWORD 'p'", f"GRANT aurra_owner, aurra_app TO {name}")
    try:
        async with own_database(dsn) as target:
            database = target.partition("@/")[2].partition("?")[0]
            await execute(target, f"ALTER DATABASE {database} OWNER TO {name}")
            await execute(target, "CREATE EXTENSION vector", "CREATE EXTENSION btree_gist")
            login = f"postgresql://{name}:p@/{target.partition('@/')[2]}"
            await restore(login, tmp_path / "by-superuser")
            await backups.take(login, tmp_path / "by-login")
            assert await contents(target) == await contents(own)
        with backups.opened(tmp_path / "by-superuser") as one, backups.opened(tmp_path / "by-login") as other:
            assert one.manifest.tables == other.manifest.tables
    finally:
        await execute(dsn, f"DROP OWNED BY {name}", f"DROP ROLE {name}")


@pytest.mark.long
async def test_a_backup_is_of_one_instant_while_writers_go_on(
    filled: tuple[str, NewKey], dsn: str, tmp_path: Path
) -> None:
    """Taken under load, each ledger ends where the manifest says and verifies."""
    own, key = filled
    async with client_of(own, key.raw) as client:
        stopping = asyncio.Event()

        async def write() -> None:
            while not stopping.is_set():
                await add(client, f"meanwhile {uuid4()}")

        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(write())
            made = await backups.take(own, tmp_path / "file")
            stopping.set()
    async with own_database(dsn) as empty:
        await restore(empty, tmp_path / "file")
        async with open_directory(empty) as directory:
            verdicts = [await directory.verify(account) for account in await directory.list_accounts()]
        assert [verdict.first_bad for verdict in verdicts] == [None, None]
        assert sorted(verdict.head.last_tx for verdict in verdicts) == sorted(one.last_tx for one in made.accounts)


async def test_a_file_that_is_not_whole_changes_nothing(filled: tuple[str, NewKey], tmp_path: Path) -> None:
    """Cut, flipped, no archive, made by a newer release, or with rows that its chain does not cover: one sentence, and
    the database is as it was."""
    own, _ = filled
    file = tmp_path / "file"
    await backups.take(own, file)
    whole, before = file.read_bytes(), await contents(own)
    flipped = bytearray(whole)
    with zipfile.ZipFile(file) as archive:
        largest = max(archive.infolist(), key=lambda one: one.compress_size)
    # Behind its name, in the middle of what it holds.
    flipped[largest.header_offset + 30 + len(largest.filename) + largest.compress_size // 2] ^= 1
    bad = tmp_path / "bad"
    for content in (whole[: len(whole) // 2], bytes(flipped), b"", b"no archive"):
        bad.write_bytes(content)
        with pytest.raises(CannotStart, match=r"damaged|no backup"):
            await restore(own, bad, replaces=True)
    with pytest.raises(CannotStart, match="cannot be read"):
        await restore(own, tmp_path / "absent", replaces=True)
    newer = {"name": "9999_pre_x.sql", "checksum": "x"}
    _rewrite(file, bad, lambda manifest: {**manifest, "migrations": [*manifest["migrations"], newer]})
    with pytest.raises(CannotStart, match="newer release"):
        await restore(own, bad, replaces=True)
    _rewrite(file, bad, lambda manifest: {**manifest, "accounts": [{**manifest["accounts"][0], "last_tx": 99}]})
    with pytest.raises(CannotStart, match="are not those that its manifest names"):
        await restore(own, bad, replaces=True)
    assert await contents(own) == before


def _rewrite(file: Path, other: Path, change: Callable[[dict[str, Any]], dict[str, Any]], *empty: str) -> None:
    """The backup with another manifest, and with tables without rows."""
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(other, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "manifest.json":
                content = msgspec.json.encode(change(msgspec.json.decode(content)))
            new.writestr(name, content)
        for name in empty:
            new.writestr(f"tables/{name}", b"")


async def test_rows_that_the_chain_does_not_cover_are_not_restored(
    dsn: str, filled: tuple[str, NewKey], tmp_path: Path
) -> None:
    """What was changed past the product before the backup was taken is found by the restore."""
    own, _ = filled
    await execute(own, "UPDATE content SET text = 'forged' WHERE text = 'Kim lives in Rome'")
    await backups.take(own, tmp_path / "file")
    async with own_database(dsn) as empty:
        with pytest.raises(CannotStart, match="does not verify"):
            await restore(empty, tmp_path / "file")
        assert await contents(empty) == {}


async def test_a_database_in_use_or_not_empty_is_not_replaced_by_accident(
    filled: tuple[str, NewKey], tmp_path: Path
) -> None:
    """Without --replace, and while a service is connected."""
    own, key = filled
    await backups.take(own, tmp_path / "file")
    with pytest.raises(CannotStart, match="--replace"):
        await restore(own, tmp_path / "file")
    async with client_of(own, key.raw):
        with pytest.raises(CannotStart, match="stop it first"):
            await restore(own, tmp_path / "file", replaces=True)


async def test_an_older_backup_is_migrated(dsn: str, tmp_path: Path) -> None:
    """Made by a release with fewer migrations: restored with those, then migrated by the rest."""
    first, *rest = migrate.read_migrations()
    async with own_database(dsn) as old, own_database(dsn) as new:
        await migrate.migrate(old, up_to(tmp_path / "older", first.name[:4]))
        await execute(
            old,
            "INSERT INTO account VALUES (gen_random_uuid(), 'old', 'free', now())",
            "INSERT INTO ledger SELECT company_id, 0, created_at, sha256(''), created_at, 0 FROM account",
            "UPDATE ledger SET last_hash = decode(repeat('00', 32), 'hex')",
        )
        await backups.take(old, tmp_path / "file")
        await restore(new, tmp_path / "file")
        assert rest and await migrate.pending(new) == []
        async with open_directory(new) as directory:
            assert [account.name for account in await directory.list_accounts()] == ["old"]


async def test_a_backup_migrates_nothing(dsn: str, tmp_path: Path) -> None:
    """Whoever is about to upgrade wants what there was before: of a database of an older release it is taken as that
    stands, and what was pending still is."""
    async with own_database(dsn) as old:
        await migrate.migrate(old, up_to(tmp_path / "older", "0010"))
        await new_key(old)
        before, waiting = await contents(old), await migrate.pending(old)
        await safekeeping.backup(settings_of(old), tmp_path / "file")
        assert waiting and await migrate.pending(old) == waiting
        assert await contents(old) == before
        with backups.opened(tmp_path / "file") as made:
            assert [one.name for one in made.manifest.migrations][-1].startswith("0010")


async def test_a_backup_is_taken_from_a_standby(tmp_path: Path, filled: tuple[str, NewKey]) -> None:
    """From a server that replays and takes no writes, which could not be migrated."""
    own, _ = filled
    await backups.take(own, tmp_path / "primary")
    with tempfile.TemporaryDirectory(prefix="aurra-standby-") as home:
        postgres = await asyncio.to_thread(EmbeddedPostgres.open, Path(home) / "home")
        try:
            await restore(postgres.dsn, tmp_path / "primary")
        finally:
            await asyncio.to_thread(postgres.close)
        (Path(home) / "home" / "postgres" / "data" / "standby.signal").touch()
        standby = await asyncio.to_thread(EmbeddedPostgres.open, Path(home) / "home")
        try:
            async with connected(standby.dsn) as connection:
                assert await connection.fetchval("SELECT pg_is_in_recovery()")
            await safekeeping.backup(settings_of(standby.dsn), tmp_path / "standby")
        finally:
            await asyncio.to_thread(standby.close)
    with backups.opened(tmp_path / "primary") as one, backups.opened(tmp_path / "standby") as other:
        assert one.manifest.tables == other.manifest.tables
        assert one.manifest.accounts == other.manifest.accounts


def up_to(directory: Path, number: str) -> Path:
    """The migrations up to that one, as a release that had no more."""
    directory.mkdir()
    for migration in migrate.read_migrations():
        if migration.name[:4] <= number:
            (directory / migration.name).write_text(migration.text)
    return directory


async def test_an_exported_file_knows_what_a_lost_database_had_erased(
    dsn: str, filled: tuple[str, NewKey], tmp_path: Path
) -> None:
    """Into an empty database: refused without knowing, erased again with the file; the keys are those of the export:
    revoked and newer ones too. A tenant that was erased whole leaves no label and no receipt."""
    own, key = filled
    secret = f"secret-{uuid4().hex}"
    revoked = await new_key(own)
    async with client_of(own, key.raw) as client:
        one = await add(client, f"one {secret}", reason=f"because {secret}")
        await add(client, f"two {secret}", tenant_id=secret)
        await client.post("/agent/query", json={"question": f"nothing of {secret}?", "tenant_id": "only asked"})
        await backups.take(own, tmp_path / "file")
        assert (await client.post(f"/memories/{one}/erase", json={})).status_code == 200
        for tenant in (secret, "only asked"):
            assert (await client.post("/agent/erase", json={"tenant_id": tenant})).status_code == 200
    async with open_directory(own) as directory:
        await directory.revoke_key(revoked.key_id)
    newer = await new_key(own)
    await safekeeping.export_erasures(settings_of(own), tmp_path / "erasures")
    assert (tmp_path / "erasures").stat().st_mode & 0o777 == 0o600
    assert secret not in (tmp_path / "erasures").read_text()
    async with own_database(dsn) as lost:
        with pytest.raises(CannotStart, match="--erasures-from"):
            await safekeeping.restore(
                settings_of(lost), tmp_path / "file", replaces=False, known_from=(), without_erasures=False
            )
        await restore(lost, tmp_path / "file", tmp_path / "erasures")
        assert not [row for rows in (await contents(lost)).values() for row in rows if secret in row]
        async with open_directory(lost) as directory:
            assert all([(await directory.verify(one)).first_bad is None for one in await directory.list_accounts()])
        async with client_of(lost, newer.raw) as client:
            assert (await client.get(f"/memories/{one}")).json()["code"] == "memory_erased"
            refused = await client.get("/agent/memories", headers={"Authorization": f"Bearer {revoked.raw}"})
            assert refused.json()["code"] == "revoked_key"


async def test_a_key_that_signs_stays_rotated_and_its_nonces_used(
    dsn: str, filled: tuple[str, NewKey], tmp_path: Path
) -> None:
    """Rotated since the backup: what the new secret and, in the overlap, the old one sign is accepted after the restore
    as before, and no request a second time that was accepted before it. The backup itself keeps both secrets too."""
    own, _ = filled
    settings = read_settings({"DATABASE_URL": own, "AURRA_EMBEDDER": "none", "AURRA_SECRET_KEYS": sealing.new_key()})
    ring = sealing.parse(settings.aurra_secret_keys, "keys")
    async with open_directory(own) as directory:
        account = next(one for one in await directory.list_accounts() if one.name == "backed-up")
        terms = Terms(scopes=parse_scopes("full"), is_signed=True)
        first = await directory.create_key(account, terms, ring)
        await backups.take(own, tmp_path / "before")
        second = await directory.rotate_key(first.key_id, dt.timedelta(hours=1), lambda: ring)

    async def sent(client: httpx2.AsyncClient, key: NewKey, nonce: str) -> str:
        request = Signable(method="GET", target=b"/agent/memories", body=b"")
        at = str(int(time.time()))
        made = signing.sign(key.signing_secret or "", request, key_id=key.key_id, timestamp=at, nonce=nonce)
        headers: dict[str, str] = dict(zip(signing.HEADERS, (key.key_id, at, nonce, made), strict=True))
        return (await client.get("/agent/memories", headers=headers)).json().get("code", "ok")

    async with signing_client(settings, own) as client:
        used = uuid4().hex
        assert [await sent(client, first, used), await sent(client, first, used)] == ["ok", "nonce_used"]
    await backups.take(own, tmp_path / "after")
    await safekeeping.export_erasures(settings_of(own), tmp_path / "erasures")
    async with own_database(dsn) as lost, own_database(dsn) as whole:
        await restore(lost, tmp_path / "before", tmp_path / "erasures")
        await restore(whole, tmp_path / "after")
        for restored in (lost, whole):
            async with signing_client(settings, restored) as client:
                assert [await sent(client, key, uuid4().hex) for key in (first, second)] == ["ok", "ok"]
                assert await sent(client, first, used) == "nonce_used"


async def test_a_restore_warns_of_what_it_cannot_open(
    dsn: str, filled: tuple[str, NewKey], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Secret keys are in no backup: which signing secrets and models' keys need them is said, and nothing where they
    are there. What is no secret key stops it before anything is replaced."""
    own, key = filled
    ring = sealing.parse(secret := sealing.new_key(), "keys")
    async with open_directory(own) as directory:
        account = next(one for one in await directory.list_accounts() if one.name == "backed-up")
        signed = await directory.create_key(account, Terms(scopes=["query"], is_signed=True), ring)
        await directory.rotate_key(signed.key_id, dt.timedelta(hours=1), lambda: ring)
    async with open_service(settings_of(own, secret), own) as service:
        transport = httpx2.ASGITransport(build_app(service))  # type: ignore[arg-type]
        async with httpx2.AsyncClient(transport=transport, base_url="http://aurra") as client:
            model = {"provider": "openai", "model": "m", "api_key": "sk-canary"}
            headers = {"Authorization": f"Bearer {key.raw}"}
            assert (await client.patch("/agent/provider", json=model, headers=headers)).status_code == 200
    await backups.take(own, tmp_path / "file")

    async def warned(*secrets: str) -> list[str]:
        settings = settings_of(own, *secrets)
        await safekeeping.restore(settings, tmp_path / "file", replaces=True, known_from=(), without_erasures=True)
        said = capsys.readouterr().out
        assert "restored: 2 accounts" in said and "sk-canary" not in said
        return [line for line in said.splitlines() if line.startswith("WARNING")]

    said = await warned()
    assert len(said) == 3 and "AURRA_SECRET_KEYS" in said[-1]
    assert "WARNING account backed-up: the stored key of its model cannot be opened" in said[0]
    assert said[1] == f"WARNING account backed-up: the signing secrets of {signed.key_id} cannot be opened"
    assert await warned(sealing.new_key()) == [
        line.replace("this installation has no secret key", f"the key {ring.first} is not there") for line in said
    ]
    assert await warned(sealing.new_key(), secret) == []
    before = await contents(own)
    with pytest.raises(CannotStart, match="AURRA_SECRET_KEYS must hold"):
        await warned("no key")
    assert await contents(own) == before


@contextlib.asynccontextmanager
async def signing_client(settings: Settings, dsn: str) -> AsyncGenerator[httpx2.AsyncClient]:
    """A client without a key, of a service that has the settings' secret keys."""
    async with open_service(settings, dsn) as service:
        transport = httpx2.ASGITransport(build_app(service))  # type: ignore[arg-type]
        async with httpx2.AsyncClient(transport=transport, base_url="http://aurra") as client:
            yield client


async def test_what_is_known_from_before_a_backup_does_not_count(
    dsn: str, filled: tuple[str, NewKey], tmp_path: Path
) -> None:
    """Erasures that were exported before the backup was made: refused as unknown; and taken all the same, they make no
    key valid again that the backup has as revoked, nor do they lose a newer one."""
    own, _ = filled
    revoked = await new_key(own)
    await safekeeping.export_erasures(settings_of(own), tmp_path / "old")
    async with open_directory(own) as directory:
        await directory.revoke_key(revoked.key_id)
    newer = await new_key(own)
    async with client_of(own, newer.raw) as client:
        await add(client, "after the export")
    await backups.take(own, tmp_path / "file")
    async with own_database(dsn) as lost:
        with pytest.raises(CannotStart, match="not known here"):
            await restore(lost, tmp_path / "file", tmp_path / "old")
        await restore(lost, tmp_path / "file", tmp_path / "old", without=True)
        async with client_of(lost, revoked.raw) as client:
            assert (await client.get("/plan/status")).json()["code"] == "revoked_key"
        async with client_of(lost, newer.raw) as client:
            assert (await client.get("/plan/status")).status_code == 200


async def test_a_ceiling_never_shows_what_a_restore_lets_be_written(filled: tuple[str, NewKey], tmp_path: Path) -> None:
    """Transactions after the backup are gone, and their numbers are given out again: a key that stopped at one of them
    stops at the newest that is left. One that stops far off still does."""
    own, key = filled
    made = await backups.take(own, tmp_path / "file")
    async with client_of(own, key.raw) as client:
        for number in range(3):
            await add(client, f"lost {number}")
    newest = max(head.last_tx for head in made.accounts) + 3
    async with open_directory(own) as directory:
        account = next(one for one in await directory.list_accounts() if one.name == "backed-up")
        auditor = await directory.create_key(account, Terms(scopes=["memories:read"], up_to=newest))
        far = await directory.create_key(account, Terms(scopes=["memories:read"], up_to=newest + 1000))
    await restore(own, tmp_path / "file", replaces=True)
    async with client_of(own, key.raw) as client:
        await add(client, "written after the restore")
    for raw, sees in ((auditor.raw, False), (far.raw, True)):
        async with client_of(own, raw) as client:
            page = (await client.get("/agent/memories", params={"limit": 1000})).json()["memories"]
            assert ("written after the restore" in [one["decision"] for one in page]) is sees
