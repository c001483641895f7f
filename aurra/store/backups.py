"""Backups: every row of one snapshot in one file, whatever server it came from.

The file is a ZIP archive: `tables/NAME` holds a table's rows as PostgreSQL's COPY writes them as text, in UTF-8;
`manifest.json`, the last, says which columns, how many rows and which SHA-256 each has, which migrations made the
tables, and where each account's ledger stood. It holds all that the database holds, secrets too: keep it like that.
"""

import contextlib
import datetime as dt
import hashlib
import os
import zipfile
import zlib
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from aurra import __version__
from aurra.errors import CannotStart
from aurra.store import chain, pool
from aurra.store.accounts import Directory
from aurra.store.migrate import Applied, Migration, read_migrations
from aurra.store.pool import Transaction
from aurra.store.queries import load

_Q = load("backups")
_FORMAT = "aurra-backup"
_VERSION = 1
_PIECE_BYTES = 1 << 20
_MANIFEST = "manifest.json"
# As text, values must be read as they were written.
TEXT_FORM = (
    "SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO, YMD'; SET LOCAL intervalstyle = 'iso_8601'; "
    "SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex'"
)


class TableFacts(msgspec.Struct, frozen=True):
    name: str
    columns: list[str]
    has_account: bool
    is_forced: bool
    is_kept: bool
    refers_to: list[str]


class Statement(msgspec.Struct, frozen=True):
    text: str


class Made(msgspec.Struct, frozen=True):
    at: dt.datetime


class Counted(msgspec.Struct, frozen=True):
    rows: int


class TableCopy(msgspec.Struct, frozen=True):
    """What the file holds of a table."""

    name: str
    columns: list[str]
    rows: int
    sha256: str


class LedgerHead(msgspec.Struct, frozen=True):
    """Where an account's chain stood."""

    account: UUID
    last_tx: int
    last_at: dt.datetime
    hash: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds."""

    format: str
    version: int
    aurra: str
    made_at: dt.datetime
    migrations: list[Applied]
    tables: list[TableCopy]
    """In the order in which they can be filled."""
    accounts: list[LedgerHead]

    def count(self, table: str) -> int:
        """How many rows there are of a table."""
        return sum(one.rows for one in self.tables if one.name == table)


async def take(dsn: str, file: Path) -> Manifest:
    """The file holds everything that was committed at one instant; writers go on meanwhile. It appears when it is
    complete, readable by its owner alone. Raises CannotStart when it cannot be written."""
    unfinished = file.with_name(f"{file.name}.part")
    connection = await pool.connect(dsn)
    try:
        with new_file(unfinished) as output, zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED, True, 3) as archive:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                await connection.execute(f"SET LOCAL ROLE {pool.OWNER_ROLE}; {TEXT_FORM}")
                manifest = await _copy_all(connection, archive)
            archive.writestr(_MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
        unfinished.replace(file)
    except OSError as error:
        raise CannotStart(f"The backup cannot be written to {file} ({error.strerror}).") from error
    finally:
        unfinished.unlink(missing_ok=True)
        await connection.close()
    return manifest


@contextlib.contextmanager
def new_file(path: Path) -> Generator[Any]:
    """Written durably by the end; nobody else may read it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as output:
        yield output
        output.flush()
        os.fsync(output.fileno())


async def _copy_all(connection: Any, archive: zipfile.ZipFile) -> Manifest:
    tx = Transaction(connection, UUID(int=0))
    made = await tx.row(_Q["made_at"], Made)
    assert made is not None
    directory = Directory(connection)
    accounts = await directory.list_accounts()
    heads: list[LedgerHead] = []
    for account in accounts:
        async with directory.act_on(account) as inside:
            head = await chain.head(inside)
        heads.append(LedgerHead(account.id, head.last_tx, head.last_at, head.last_hash.hex()))
    return Manifest(
        format=_FORMAT,
        version=_VERSION,
        aurra=__version__,
        made_at=made.at,
        migrations=await tx.rows(_Q["applied"], Applied),
        tables=[
            await _copy(connection, archive, table, [account.id for account in accounts])
            for table in await tables(tx)
            if table.is_kept
        ],
        accounts=heads,
    )


async def tables(tx: Transaction) -> list[TableFacts]:
    """Every table of ours, each after those it refers to."""
    left = {table.name: table for table in await tx.rows(_Q["tables"], TableFacts)}
    found: list[TableFacts] = []
    while left:
        free = [table for table in left.values() if not left.keys() & set(table.refers_to)]
        if not free:
            raise CannotStart(f"The tables {', '.join(sorted(left))} refer to one another in a circle.")
        found += free
        for table in free:
            del left[table.name]
    return found


async def _copy(connection: Any, archive: zipfile.ZipFile, table: TableFacts, accounts: list[UUID]) -> TableCopy:
    """The table's rows are in the archive, account by account, since row-level security binds their owner too."""
    digest = hashlib.sha256()
    rows = 0
    with archive.open(f"tables/{table.name}", "w", force_zip64=True) as member:

        async def write(data: bytes) -> None:
            digest.update(data)
            member.write(data)

        for account in accounts if table.has_account else [None]:
            await _look_as(connection, account)
            asked = {"name": table.name, "columns": table.columns, "account": account}
            statement = await Transaction(connection, UUID(int=0)).row(_Q["reading"], Statement, **asked)
            assert statement is not None
            said: str = await connection.copy_from_query(statement.text, output=write)
            rows += int(said.split()[-1])
    return TableCopy(table.name, table.columns, rows, digest.hexdigest())


async def _look_as(connection: Any, account: UUID | None) -> None:
    """Policies show the account's rows. For a table without accounts they are off: a row hidden by one is an error."""
    await connection.execute(f"SET LOCAL row_security = {'off' if account is None else 'on'}")
    await connection.execute(f"SET LOCAL aurra.company_id = '{account or ''}'")


class Backup:
    """A backup that is whole, and that this release can restore; made by `opened`."""

    def __init__(self, archive: zipfile.ZipFile, manifest: Manifest) -> None:
        self._archive = archive
        self.manifest = manifest

    async def pieces(self, table: str) -> AsyncGenerator[bytes]:
        """A table's rows, piece by piece."""
        with self._archive.open(f"tables/{table}") as member:
            while piece := member.read(_PIECE_BYTES):
                yield piece


@contextlib.contextmanager
def opened(file: Path) -> Generator[Backup]:
    """The backup, read through once to see that it is whole. Raises CannotStart for one that is damaged, or that a
    newer release made."""
    try:
        with zipfile.ZipFile(file) as archive:
            manifest = _manifest(archive, file)
            for table in manifest.tables:
                _require_whole(archive, table, file)
            yield Backup(archive, manifest)
    except OSError as error:
        raise CannotStart(f"The backup {file} cannot be read ({error.strerror}).") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
        raise CannotStart(f"{file} is damaged, or no backup of Aurra's ({type(error).__name__}).") from error


def _manifest(archive: zipfile.ZipFile, file: Path) -> Manifest:
    try:
        manifest = msgspec.json.decode(archive.read(_MANIFEST), type=Manifest)
    except msgspec.DecodeError as error:
        raise CannotStart(f"{file} is damaged, or no backup of Aurra's (its manifest cannot be read).") from error
    if manifest.format != _FORMAT or manifest.version > _VERSION:
        raise CannotStart(f"{file} has the form {manifest.format} {manifest.version}, which this release cannot read.")
    migrations_of(manifest)
    return manifest


def migrations_of(manifest: Manifest) -> list[Migration]:
    """The files that made the backup's tables. Raises CannotStart when one is not here, or is another here."""
    ours = {migration.name: migration for migration in read_migrations()}
    for made in manifest.migrations:
        if made.name not in ours:
            raise CannotStart(f"The backup was made by a newer release (with {made.name}): restore it with that one.")
        if ours[made.name].checksum != made.checksum:
            raise CannotStart(f"The backup was made with another {made.name} than the one of this release.")
    return [ours[made.name] for made in manifest.migrations]


def _require_whole(archive: zipfile.ZipFile, table: TableCopy, file: Path) -> None:
    digest = hashlib.sha256()
    with archive.open(f"tables/{table.name}") as member:
        while piece := member.read(_PIECE_BYTES):
            digest.update(piece)
    if digest.hexdigest() != table.sha256:
        raise CannotStart(f"{file} is damaged: the rows of {table.name} are not those that were written.")
