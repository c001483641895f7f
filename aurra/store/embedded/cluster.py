"""The data directory and the password of its superuser: made once, and never seen half made."""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from aurra.errors import CannotStart
from aurra.store.embedded.account import Account, environment_for
from aurra.store.embedded.binaries import version_of
from aurra.store.embedded.places import PORT, Places

SUPERUSER = "postgres"
DATABASE = "aurra"
MAKE_DATABASE = r"""
    SELECT 'CREATE DATABASE aurra' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'aurra') \gexec
"""
INITDB_SECONDS = 300
CONNECT_SECONDS = 30
FIRST_VERSION_WITH_BUILTIN_LOCALE = 17

# For a small machine; an operator changes them with ALTER SYSTEM.
SETTINGS = {
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "wal_compression": "on",
    "random_page_cost": "1.1",
    "jit": "off",
    # Until a table was analysed, plans are made on guesses: a new database should not live with them for a minute.
    "autovacuum_naptime": "5s",
    # /dev/shm is 64 MB in a container, too small for a parallel index build.
    "dynamic_shared_memory_type": "mmap",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Memory content never reaches a log: no statements, no rejected rows, no details that quote them.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_checkpoints": "off",
}


def password_of(places: Places) -> str:
    """The superuser's password; made if there is no cluster yet. Raises CannotStart when it was lost."""
    if places.password.exists():
        return places.password.read_text()
    if places.data.exists():
        raise CannotStart(f"The database in {places.data} has lost the file {places.password} with its password.")
    password = secrets.token_urlsafe(32)
    unfinished = places.password.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(password)
        file.flush()
        os.fsync(descriptor)
    unfinished.rename(places.password)
    _sync(places.state)
    return password


def make_cluster(places: Places, account: Account, binaries: Path, password: str, alive: int) -> None:
    """A cluster is in `places.data`, durably; `initdb` holds `alive`, so that it is waited for if it outlives us."""
    side = places.unfinished_data
    shutil.rmtree(side, ignore_errors=True)
    side.mkdir(mode=0o700)
    account.give(side)
    with tempfile.TemporaryFile("w+") as secret, tempfile.TemporaryFile("w+") as said:
        secret.write(password + "\n")
        secret.seek(0)
        if not account.is_ours:
            os.fchown(secret.fileno(), account.uid, account.gid)
        command = _initdb(binaries, directory_argument(side, account), secret.fileno())
        initdb = account.start(command, inside=side, inherit=(alive, secret.fileno()), output=said.fileno())
        try:
            status = initdb.wait(INITDB_SECONDS)
        except BaseException:
            initdb.kill()
            initdb.wait()
            raise
        if status != 0:
            said.seek(0)
            raise CannotStart(f"No database could be made in {places.data}: {_reason(said.read())}.")
    side.rename(places.data)
    _sync(places.state)


def check_version(places: Places, binaries: Path) -> None:
    """The programs can read the cluster; raises CannotStart otherwise."""
    made_by, ours = int((places.data / "PG_VERSION").read_text()), version_of(binaries)
    if made_by != ours:
        raise CannotStart(
            f"The database in {places.data} was made by PostgreSQL {made_by} and the programs in {binaries} are "
            f"version {ours}; name those of version {made_by} in AURRA_PG_BIN, or move the data with pg_upgrade."
        )


def directory_argument(directory: Path, account: Account) -> str:
    """What to call `directory` in a program that is started inside it; PostgreSQL never leaves its data directory."""
    if account.can_enter(directory):
        return str(directory)
    if Path("/proc/self/cwd").exists():
        return "/proc/self/cwd"
    raise CannotStart(
        f"The user {account.uid}, who runs PostgreSQL for root, cannot enter {directory}; "
        "name a directory that is open to it in AURRA_HOME, or start Aurra as another user."
    )


def make_database(binaries: Path, sockets: Path, password: str) -> None:
    """The server answers the superuser, and the database exists."""
    command = [binaries / "psql", "-X", "-w", "-q", "-h", sockets, "-p", str(PORT), "-U", SUPERUSER, "-d", "postgres"]
    done = subprocess.run(
        [*command, "-v", "ON_ERROR_STOP=1"],
        input=MAKE_DATABASE,
        env=environment_for(binaries) | {"PGPASSWORD": password, "PGCONNECT_TIMEOUT": str(CONNECT_SECONDS)},
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * CONNECT_SECONDS,
    )
    if done.returncode != 0:
        raise CannotStart(f"The embedded PostgreSQL does not let us in: {_reason(done.stderr)}.")


def _initdb(binaries: Path, directory: str, secret: int) -> list[str]:
    return [
        str(binaries / "initdb"),
        f"--pgdata={directory}",
        f"--username={SUPERUSER}",
        f"--pwfile=/dev/fd/{secret}",
        "--auth=scram-sha-256",
        *_locale(version_of(binaries)),
        "--encoding=UTF8",
        "--data-checksums",
        *(f"--set={name}={value}" for name, value in SETTINGS.items()),
    ]


def _locale(version: int) -> list[str]:
    on_macos = sys.platform == "darwin"
    if version < FIRST_VERSION_WITH_BUILTIN_LOCALE:
        return ["--locale=en_US.UTF-8" if on_macos else "--locale=C.UTF-8"]
    # The C library still decides what a letter is for pg_trgm; its C.UTF-8 is called UTF-8 on macOS.
    of_the_library = ["--locale=C", "--lc-ctype=UTF-8"] if on_macos else ["--locale=C.UTF-8"]
    return ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", *of_the_library]


def _reason(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line.partition("error: ")[2] for line in lines if "error: " in line]
    return (errors or lines[-1:] or ["it gave no reason"])[0].rstrip(".")


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
