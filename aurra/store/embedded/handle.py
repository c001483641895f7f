"""The handle on a running server, counted among its users."""

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from aurra.errors import CannotStart
from aurra.store.embedded import cluster, locks, postmaster
from aurra.store.embedded.account import Account, account_for
from aurra.store.embedded.binaries import find_binaries, usable_by
from aurra.store.embedded.places import PORT, Places, bound_log
from aurra.store.embedded.postmaster import Postmaster

# Longer than any start, so that the one who waits hears why the one who starts gave up.
TURN_SECONDS = postmaster.START_SECONDS + 30
# The children of a killed server end by themselves as soon as they look up from their work.
LEFTOVERS_SECONDS = 60


class EmbeddedPostgres:
    """A user's hold on the running server of one home; a context manager that closes it."""

    def __init__(self, dsn: str, *, fresh: bool, places: Places, lease: int) -> None:
        self.dsn = dsn
        """URL for `asyncpg.connect`: the superuser, with its password, in the database `aurra`."""
        self.fresh = fresh
        """This call made the cluster. After a kill in between nobody may have seen True: do not lean on it."""
        self._places = places
        self._lease: int | None = lease
        self._opened_by = os.getpid()

    @classmethod
    def open(cls, home: Path) -> "EmbeddedPostgres":
        """A server for `home` runs, started or adopted, until the last user closes. Raises CannotStart with a sentence.

        Blocks for some 0.1 s, 1–5 s for a new home, and while another process starts or stops the server.
        """
        if sys.platform == "win32":
            raise CannotStart("The embedded PostgreSQL needs Linux or macOS; set DATABASE_URL to a server of your own.")
        try:
            places = Places.under(home)
            with locks.held(places.turn, patience=TURN_SECONDS):
                return cls._take(places, find_binaries())
        except OSError as error:
            reason = f"{error.strerror}: {error.filename}" if error.filename else str(error)
            raise CannotStart(f"The database in {home} cannot be opened ({reason}).") from error
        except subprocess.SubprocessError as error:
            raise CannotStart(f"The database in {home} cannot be opened ({error}).") from error

    @classmethod
    def _take(cls, places: Places, binaries: Path) -> "EmbeddedPostgres":
        lease = locks.try_lock(places.users, shared=True)
        if lease is None:
            raise CannotStart(f"The file {places.users} is locked by something that is not Aurra.")
        try:
            bound_log(places.log)
            password = cluster.password_of(places)
            sockets, fresh = _serve(places, binaries, password)
            cluster.make_database(binaries, sockets, password)
        except BaseException:
            _leave(places, lease)
            raise
        where = f"host={quote(str(sockets), safe='')}&port={PORT}"
        return cls(
            f"postgresql://{cluster.SUPERUSER}:{password}@/{cluster.DATABASE}?{where}",
            fresh=fresh,
            places=places,
            lease=lease,
        )

    def close(self) -> None:
        """This user is not counted any more; if it was the last, the server is gone, cleanly. Again is harmless."""
        lease, self._lease = self._lease, None
        if lease is None:
            return
        if os.getpid() != self._opened_by:
            # A forked child shares the parent's lease, and must not end it.
            os.close(lease)
            return
        with ExitStack() as turn:
            try:
                turn.enter_context(locks.held(self._places.turn, patience=TURN_SECONDS))
            except OSError:
                # No turn came, or the home is gone: as after a kill, the server is left to the next user.
                locks.release(lease)
            else:
                _leave(self._places, lease)

    def __enter__(self) -> "EmbeddedPostgres":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _serve(places: Places, binaries: Path, password: str) -> tuple[Path, bool]:
    """The directory of a ready server's socket, and whether its cluster was made now."""
    began = time.monotonic()
    while True:
        found = postmaster.find(places)
        if found is not None:
            if found.ready and found.sockets is not None and found.reachable:
                return found.sockets, False
            if found.ready:
                postmaster.stop(places)
        elif (alive := locks.try_lock(places.alive)) is not None:
            try:
                return _start(places, binaries, password, alive)
            finally:
                # Closing frees the lock only if no server has it, unlike an explicit release.
                os.close(alive)
        _check_patience(places, found, time.monotonic() - began)
        time.sleep(locks.PAUSE_SECONDS)


def _start(places: Places, binaries: Path, password: str, alive: int) -> tuple[Path, bool]:
    account = account_for(places.data)
    programs = usable_by(account, binaries)
    fresh = not places.data.exists()
    if fresh:
        cluster.make_cluster(places, account, programs, password, alive)
    else:
        cluster.check_version(places, programs)
        _take_from_root(places, account)
    started = postmaster.start(places, account, programs, alive)
    if started.sockets is None:
        raise CannotStart(f"PostgreSQL started without a socket; its log is {places.log}.")
    return started.sockets, fresh


def _take_from_root(places: Places, account: Account) -> None:
    """A backup that root copied back belongs to root, and PostgreSQL wants its own."""
    if places.data.stat().st_uid == 0:
        account.give_tree(places.data)


def _check_patience(places: Places, found: Postmaster | None, waited: float) -> None:
    if found is not None and waited > postmaster.START_SECONDS:
        raise CannotStart(f"The server of {places.data} was not ready after {waited:.0f} seconds; see {places.log}.")
    if found is None and waited > LEFTOVERS_SECONDS:
        raise CannotStart(f"A process of an earlier server still works in {places.data}; end it, then start again.")


def _leave(places: Places, lease: int) -> None:
    """The caller's turn: its lease is given up, and without other leases the server is stopped."""
    try:
        if locks.make_exclusive(lease):
            postmaster.stop(places)
    finally:
        locks.release(lease)
