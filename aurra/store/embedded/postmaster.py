"""The server's first process: found, started, buried and stopped. Every function here is called by one at a time."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aurra.errors import CannotStart
from aurra.store.embedded import locks, processes
from aurra.store.embedded.account import Account
from aurra.store.embedded.cluster import directory_argument
from aurra.store.embedded.places import PORT, Places, forget_socket, open_log, socket_directory

# After a crash the server replays up to max_wal_size before it is ready.
START_SECONDS = 300
# It writes one checkpoint; once in a while, after a crash of a child, PostgreSQL 18 waits for ever instead.
FAST_SHUTDOWN_SECONDS = 20
IMMEDIATE_SHUTDOWN_SECONDS = 10

# What no ALTER SYSTEM may change, given on the command line at each start.
FIXED = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "logging_collector": "off",
    "log_destination": "stderr",
}

# The kernel keeps a zombie of our own child until we ask for its end.
_children: dict[int, "subprocess.Popen[bytes]"] = {}


@dataclass(frozen=True, slots=True)
class Postmaster:
    """What a live server says of itself in `postmaster.pid`."""

    pid: int
    sockets: Path | None
    ready: bool

    @property
    def reachable(self) -> bool:
        """Its socket is still there; something may have swept the directory for temporary files."""
        return self.sockets is not None and (self.sockets / f".s.PGSQL.{PORT}").exists()


def find(places: Places) -> Postmaster | None:
    """The live server of the data directory, ready or not. A zombie and a reused pid are none."""
    _reap()
    try:
        lines = (places.data / "postmaster.pid").read_text().splitlines()
        # Negative while somebody repairs the cluster with `postgres --single`.
        pid = abs(int(lines[0]))
    except (FileNotFoundError, IndexError, ValueError):
        return None
    works = processes.works_in(pid, places.data)
    if not (locks.is_held(places.alive) if works is None else works):
        return None
    lines += [""] * (8 - len(lines))
    return Postmaster(pid, Path(lines[4]) if lines[4] else None, lines[7].strip() == "ready")


def start(places: Places, account: Account, binaries: Path, alive: int) -> Postmaster:
    """A server is ready, holding the lock `alive`, which the caller holds as a proof that none lives here now."""
    sockets = socket_directory(places.data, account)
    _bury(places, sockets)
    command = [str(binaries / "postgres"), "-D", directory_argument(places.data, account)]
    for name, value in (FIXED | {"unix_socket_directories": str(sockets)}).items():
        command += ["-c", f"{name}={value}"]
    log = open_log(places.log)
    try:
        began = places.log.stat().st_size
        child = account.start(command, inside=places.data, inherit=(alive,), output=log)
    finally:
        os.close(log)
    _children[child.pid] = child
    try:
        return _until_ready(places, child, began)
    except BaseException:
        child.send_signal(signal.SIGINT)
        raise


def stop(places: Places) -> None:
    """No server works in the data directory; one that takes its time is ended without its last checkpoint."""
    steps = ((signal.SIGINT, FAST_SHUTDOWN_SECONDS), (signal.SIGQUIT, IMMEDIATE_SHUTDOWN_SECONDS))
    for number, patience in steps:
        server = find(places)
        if server is None:
            return
        with suppress(ProcessLookupError):
            os.kill(server.pid, number)
        if _until_gone(places, patience):
            if server.sockets is not None and server.sockets.name.startswith("aurra-"):
                with suppress(OSError):
                    server.sockets.rmdir()
            return


def _until_ready(places: Places, child: "subprocess.Popen[bytes]", began: int) -> Postmaster:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if child.poll() is not None:
            raise CannotStart(f"PostgreSQL did not start: {_reason(places.log, began)}; its log is {places.log}.")
        found = find(places)
        if found is not None and found.pid == child.pid and found.ready:
            return found
        time.sleep(locks.PAUSE_SECONDS)
    raise CannotStart(f"PostgreSQL was not ready after {START_SECONDS} seconds; its log is {places.log}.")


def _until_gone(places: Places, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while find(places) is not None or locks.is_held(places.alive):
        if time.monotonic() > deadline:
            return False
        time.sleep(locks.PAUSE_SECONDS)
    return True


def _bury(places: Places, sockets: Path) -> None:
    """PostgreSQL would not start over these while the pid in them exists, be it a zombie's or another program's."""
    (places.data / "postmaster.pid").unlink(missing_ok=True)
    forget_socket(sockets)


def _reap() -> None:
    for pid, child in list(_children.items()):
        if child.poll() is not None:
            _children.pop(pid, None)


def _reason(log: Path, began: int) -> str:
    with log.open("rb") as file:
        file.seek(began)
        lines = file.read().decode(errors="replace").splitlines()
    fatal = [line.partition("FATAL:")[2].strip() for line in lines if "FATAL:" in line]
    return (fatal or [line.strip() for line in lines[-1:]] or ["it said nothing"])[0]
