"""The migration runner: plain SQL files, in order, once each; and the check that a database is safe to serve from."""

import asyncio
import contextlib
import hashlib
import re
from pathlib import Path
from typing import Any

import msgspec

from aurra.errors import CannotStart
from aurra.store import pool
from aurra.store.queries import load

_Q = load("cluster")
_ROOT = Path(__file__).parents[1]
# Installed, the files stand inside the package; in a checkout, beside it.
DIRECTORY = _ROOT / "migrations" if (_ROOT / "migrations").is_dir() else _ROOT.parent / "migrations"
_NAME = re.compile(r"\d{4}_(pre|post)_\w+\.sql")
_OLDEST_POSTGRES = 160000
_OLDEST_VECTOR = (0, 8)
_LOCK_TRIES = 15
_ROLES = {pool.OWNER_ROLE: "create_owner", pool.APP_ROLE: "create_app", pool.ERASER_ROLE: "create_eraser"}


class ServerFacts(msgspec.Struct):
    version: int
    available: list[str]
    installed: list[str]
    login: str


class RoleName(msgspec.Struct):
    name: str


class Permission(msgspec.Struct):
    granted: bool


class Applied(msgspec.Struct):
    name: str
    checksum: str


class TableName(msgspec.Struct):
    name: str


class RoleFacts(msgspec.Struct):
    name: str
    is_superuser: bool
    bypasses_policies: bool
    owns_tables: bool
    is_member: bool

    @property
    def is_bound(self) -> bool:
        """Whether row-level security binds it: whatever else it could become is for `is_member` to say."""
        return not (self.is_superuser or self.bypasses_policies or self.owns_tables)


class Migration(msgspec.Struct, frozen=True):
    """One file: its name, the SHA-256 of its text, its statements."""

    name: str
    checksum: str
    text: str

    @property
    def in_transaction(self) -> bool:
        return not self.text.startswith("-- no-transaction")


def read_migrations(directory: Path = DIRECTORY) -> list[Migration]:
    """All files, in order. Raises CannotStart for a name that does not say when it runs."""
    found: list[Migration] = []
    for path in sorted(directory.glob("*.sql")):
        if path.name == "schema.sql":
            continue
        if not _NAME.fullmatch(path.name):
            raise CannotStart(f"migrations/{path.name} must be named NNNN_pre_what.sql or NNNN_post_what.sql.")
        text = path.read_text("utf-8")
        found.append(Migration(path.name, hashlib.sha256(text.encode()).hexdigest(), text))
    return found


_PIECE = re.compile(r"--[^\n]*|'(?:[^']|'')*'|\"[^\"]*\"|\$(\w*)\$.*?\$\1\$|;", re.DOTALL)


def statements(text: str) -> list[str]:
    """The statements of a file: split at `;` outside comments, quotes and dollar quotes."""
    found: list[str] = []
    start = 0
    for piece in _PIECE.finditer(text):
        if piece[0] == ";":
            found.append(text[start : piece.start()].strip())
            start = piece.end()
    found.append(text[start:].strip())
    return [statement for statement in found if re.sub(r"--[^\n]*", "", statement).strip()]


async def migrate(dsn: str, directory: Path = DIRECTORY) -> list[str]:
    """Applies what is pending and returns the names; afterwards the database has every role, table and grant.

    Raises CannotStart when the server is too old, an extension is missing, or an applied file was edited.
    """
    connection = await pool.connect(dsn)
    try:
        await prepare(connection)
        await connection.execute(_Q["act_as_owner"].sql)
        await connection.execute(_Q["create_register"].sql)
        await connection.execute(_Q["show_register"].sql)
        await connection.execute(_Q["limit_lock_waits"].sql)
        waiting = _pending(read_migrations(directory), await _applied(connection))
        for migration in waiting:
            await _apply(connection, migration)
        return [migration.name for migration in waiting]
    finally:
        await connection.close()


async def pending(dsn: str, directory: Path = DIRECTORY) -> list[str]:
    """Names of the files not applied yet; changes nothing. Raises CannotStart for an edited one."""
    connection = await pool.connect(dsn)
    try:
        await _require_server(connection)
        register = await connection.fetchval(_Q["register_exists"].sql)
        applied = await _applied(connection) if register else []
        return [migration.name for migration in _pending(read_migrations(directory), applied)]
    finally:
        await connection.close()


async def require_safe(dsn: str) -> None:
    """Returns when the service's role can neither bypass row-level security nor rewrite the past; else CannotStart."""
    connection = await pool.connect(dsn)
    try:
        await check_safe(connection)
    finally:
        await connection.close()


async def check_safe(connection: Any) -> None:
    """The same, on a connection of the login's."""
    if not await connection.fetchval(_Q["register_exists"].sql):
        raise CannotStart("This database was never migrated: run `aurra migrate`.")
    await connection.execute(f"SET ROLE {pool.APP_ROLE}")
    role = RoleFacts(*await connection.fetchrow(_Q["role_facts"].sql))
    if not role.is_bound:
        raise CannotStart(f"Refusing to serve: the role {role.name} is a superuser, owns tables, or bypasses RLS.")
    if role.is_member:
        raise CannotStart(f"Refusing to serve: the role {role.name} is a member of another, which it could become.")
    await connection.execute(_Q["act_as_login"].sql)
    unguarded = [record["name"] for record in await connection.fetch(_Q["unguarded_tables"].sql)]
    if unguarded:
        raise CannotStart(f"Refusing to serve: no forced row-level security on {', '.join(unguarded)}.")
    forbidden = [record["name"] for record in await connection.fetch(_Q["forbidden_privileges"].sql)]
    if forbidden:
        raise CannotStart(f"Refusing to serve: aurra_app holds {', '.join(forbidden)}.")
    ways = [record["name"] for record in await connection.fetch(_Q["ways_around"].sql)]
    if ways:
        raise CannotStart(f"Refusing to serve: {', '.join(ways)} may lead past row-level security.")


async def prepare(connection: Any) -> None:
    """Nobody else migrates while the connection lasts, and roles and extensions are there. Raises CannotStart."""
    await _require_server(connection)
    await connection.execute(_Q["lock_migrations"].sql)
    await _ensure_roles(connection)


async def build(connection: Any, migrations: list[Migration]) -> None:
    """Applies these within the connection's transaction, to tables that nobody else can see yet."""
    for name in (name for name in _Q if name.startswith("open_schema_to_")):
        await connection.execute(_Q[name].sql)
    await connection.execute(_Q["act_as_owner"].sql)
    await connection.execute(_Q["create_register"].sql)
    await connection.execute(_Q["show_register"].sql)
    for migration in migrations:
        for statement in statements(migration.text):
            await connection.execute(re.sub(r"\bCONCURRENTLY\b", "", statement))
        await connection.execute(_Q["register_migration"].sql, migration.name, migration.checksum)


async def _require_server(connection: Any) -> None:
    if said := complaint(ServerFacts(*await connection.fetchrow(_Q["server_facts"].sql))):
        raise CannotStart(said)


def complaint(facts: ServerFacts) -> str | None:
    """What the server is too old for or lacks, in one sentence; None when it will do."""
    if facts.version < _OLDEST_POSTGRES:
        return f"This server is PostgreSQL {facts.version // 10000}; Aurra needs 16 or newer."
    versions = dict(extension.split(" ", 1) for extension in [*facts.available, *facts.installed])
    missing = [name for name in ("vector", "btree_gist") if name not in versions]
    if missing:
        packages = {"vector": "pgvector ≥ 0.8", "btree_gist": "PostgreSQL's contrib package"}
        return f"This server lacks {' and '.join(missing)}: install {' and '.join(packages[name] for name in missing)}."
    if tuple(int(part) for part in versions["vector"].split(".")[:2]) < _OLDEST_VECTOR:
        return (
            f"This server has pgvector {versions['vector']}; Aurra needs 0.8 or newer "
            "(after installing it: ALTER EXTENSION vector UPDATE)."
        )
    return None


async def _ensure_roles(connection: Any) -> None:
    """Makes the roles where the cluster lacks them (they are shared by its databases), and the extensions."""
    existing = {record["name"] for record in await connection.fetch(_Q["existing_roles"].sql)}
    try:
        for role, create in _ROLES.items():
            if role not in existing:
                with contextlib.suppress(*pool.AlreadyThere):
                    await connection.execute(_Q[create].sql)
        if not await connection.fetchval(_Q["may_act_as"].sql):
            await connection.execute(_Q["join_owner"].sql)
            await connection.execute(_Q["join_app"].sql)
        if not await connection.fetchval(_Q["eraser_is_lent"].sql):
            await connection.execute(_Q["lend_eraser"].sql)
        for name in (
            "create_vector",
            "create_btree_gist",
            *(name for name in _Q if name.startswith("open_schema_to_")),
        ):
            await connection.execute(_Q[name].sql)
    except pool.InsufficientPrivilege as error:
        raise CannotStart(
            f"The login of DATABASE_URL may not prepare this database ({str(error).splitlines()[0]}): "
            "give it CREATEROLE and ownership of the database, and have the extensions vector and btree_gist created, "
            "or run `aurra migrate` once as a superuser."
        ) from error


async def _applied(connection: Any) -> list[Applied]:
    return [Applied(*record) for record in await connection.fetch(_Q["applied"].sql)]


def _pending(files: list[Migration], applied: list[Applied]) -> list[Migration]:
    """Files not applied, after checking that those applied are unchanged."""
    by_name = {migration.name: migration for migration in files}
    for done in applied:
        # A file unknown here came with a newer release; this one must go on serving beside it.
        if done.name in by_name and by_name[done.name].checksum != done.checksum:
            raise CannotStart(f"migrations/{done.name} was edited after it was applied: restore it and add a new file.")
    names = {done.name for done in applied}
    return [migration for migration in files if migration.name not in names]


async def _apply(connection: Any, migration: Migration) -> None:
    """Runs one file; tries again when a table in use makes it wait too long."""
    for attempt in range(1, _LOCK_TRIES + 1):
        try:
            if migration.in_transaction:
                async with connection.transaction():
                    await _run(connection, migration)
            else:
                await _run(connection, migration)
            return
        except pool.LockNotAvailable:
            if attempt == _LOCK_TRIES:
                raise CannotStart(
                    f"{migration.name} could not get its locks: stop long transactions, try again."
                ) from None
            await asyncio.sleep(0.2 * attempt)


async def _run(connection: Any, migration: Migration) -> None:
    for statement in statements(migration.text):
        await connection.execute(statement)
    await connection.execute(_Q["register_migration"].sql, migration.name, migration.checksum)
