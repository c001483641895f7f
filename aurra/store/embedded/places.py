"""Where the files of one embedded server are."""

import hashlib
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from aurra.errors import CannotStart
from aurra.store.embedded.account import Account

PORT = 5432
# The kernel allows 104 bytes for a socket's path, or a little more; its name takes 15.
LONGEST_SOCKET_DIRECTORY = 88
LOG_LIMIT_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Places:
    """The paths under one home."""

    state: Path

    @classmethod
    def under(cls, home: Path) -> "Places":
        """The paths under `home`, which exists afterwards; nobody else can list or read what is put there.

        Made by root, it can be passed through, so that the server's user reaches its data unless the home is closed.
        """
        state = home.absolute() / "postgres"
        state.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
        return cls(state.resolve())

    @property
    def data(self) -> Path:
        return self.state / "data"

    @property
    def unfinished_data(self) -> Path:
        return self.state / "data.new"

    @property
    def password(self) -> Path:
        return self.state / "password"

    @property
    def log(self) -> Path:
        return self.state / "log"

    @property
    def turn(self) -> Path:
        return self.state / "turn"

    @property
    def users(self) -> Path:
        return self.state / "users"

    @property
    def alive(self) -> Path:
        return self.state / "alive"


def socket_directory(data: Path, account: Account) -> Path:
    """A directory that `account` alone may enter, short enough for a socket, the same each time while nobody spoils it.

    The name comes from the inode of `data`: a server that outlives the removal of its data directory never meets
    the one that is made there next.
    """
    where = data.stat()
    name = "aurra-" + hashlib.sha256(f"{where.st_dev}:{where.st_ino}".encode()).hexdigest()[:16]
    base = _base(len(name) + 10)
    directory = base / name
    try:
        directory.mkdir(mode=0o700)
    except FileExistsError:
        if not _is_private(directory, account):
            # Another user was here first; a name that cannot be guessed is always ours.
            directory = Path(tempfile.mkdtemp(prefix=name + "-", dir=base))
    account.give(directory)
    return directory


def forget_socket(directory: Path) -> None:
    """No socket of a dead server is left in `directory`."""
    for name in (f".s.PGSQL.{PORT}", f".s.PGSQL.{PORT}.lock"):
        (directory / name).unlink(missing_ok=True)


def open_log(log: Path) -> int:
    """A descriptor that appends to `log`."""
    return os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def bound_log(log: Path) -> None:
    """`log` is under its limit; what was in it is in `log.1`. A live server goes on writing, since it appends."""
    descriptor = open_log(log)
    try:
        if os.fstat(descriptor).st_size > LOG_LIMIT_BYTES:
            older = log.with_name("log.1")
            older.unlink(missing_ok=True)
            older.touch(mode=0o600)
            older.write_bytes(log.read_bytes()[-LOG_LIMIT_BYTES:])
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _base(room: int) -> Path:
    # A user's run-time directory would be shorter-lived than the server: it goes at log-out.
    for base in (Path("/tmp"), Path(tempfile.gettempdir())):  # noqa: S108
        if os.access(base, os.W_OK | os.X_OK) and len(os.fsencode(base)) + room <= LONGEST_SOCKET_DIRECTORY:
            return base
    raise CannotStart("PostgreSQL's socket needs a directory with a short path: let /tmp be writable, or set TMPDIR.")


def _is_private(directory: Path, account: Account) -> bool:
    found = directory.lstat()
    trusted = found.st_uid in {account.uid, os.geteuid()}
    return trusted and stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o077
