"""A real `aurra serve` in a process of its own, on an embedded PostgreSQL, with what a bench measures of both."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).parents[2]
START_SECONDS = 120
_TICKS = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """The service refused a request, or did not start."""


class Caller:
    """One kept connection to the service, with a key."""

    def __init__(self, port: int, key: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def post(self, path: str, **body: Any) -> Any:
        """The decoded answer of a POST that must succeed."""
        self._connection.request("POST", path, msgspec.json.encode(body), self._headers)
        response = self._connection.getresponse()
        raw = response.read()
        if response.status != 200:
            raise Failed(f"POST {path} answered {response.status}: {raw[:300]!r}")
        return msgspec.json.decode(raw)


class Running:
    """The process of a service that has been started, and its home."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, home: Path, environment: dict[str, str]) -> None:
        self.pid = process.pid
        self.port = port
        self.home = home
        self._environment = environment
        self._process = process

    def caller(self, account: str) -> Caller:
        """A connection with a key of a new account, both made by the operator's commands while the service runs."""
        self.command("accounts", "create", account)
        made = self.command("keys", "create", "--account", account, "--json")
        return Caller(self.port, msgspec.json.decode(made)["key"])

    def command(self, *words: str) -> bytes:
        """What an `aurra` command prints; it uses the same home."""
        done = subprocess.run(
            [sys.executable, "-m", "aurra.main", *words], env=self._environment, cwd=ROOT, capture_output=True
        )
        if done.returncode:
            raise Failed(f"aurra {' '.join(words)}: {done.stderr.decode()}")
        return done.stdout

    def wait_until_ready(self) -> None:
        """Returns at the first healthy answer of /health/ready. Raises Failed when the process ends before."""
        until = time.monotonic() + START_SECONDS
        while not _is_ready(self.port):
            if self._process.poll() is not None:
                raise Failed(f"aurra serve ended with code {self._process.returncode}.")
            if time.monotonic() > until:
                raise Failed(f"aurra serve was not ready within {START_SECONDS} s.")
            time.sleep(0.01)

    def stop(self) -> None:
        """The service has ended as by Ctrl-C, and its database with it."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        self._process.wait(60)


@contextlib.contextmanager
def serving(home: Path, embedder: str) -> Generator[Running]:
    """A service over `home`, ready when this is entered, stopped when it is left."""
    port = _free_port()
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AURRA_", "DATABASE_")) or name == "AURRA_LLM_ALLOWED_NETWORKS"
    }
    environment |= {"AURRA_HOME": str(home), "PORT": str(port), "AURRA_EMBEDDER": embedder, "AURRA_LOG_LEVEL": "error"}
    process = subprocess.Popen(
        [sys.executable, "-m", "aurra.main", "serve"], env=environment, cwd=ROOT, stdout=subprocess.DEVNULL
    )
    running = Running(process, port, home, environment)
    try:
        running.wait_until_ready()
        yield running
    finally:
        running.stop()


@contextlib.contextmanager
def temporary_home() -> Generator[Path]:
    """An empty home, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="aurra-bench-") as directory:
        yield Path(directory) / "home"


class Processor:
    """CPU seconds of the service and of its database since it was made; None where there is no /proc."""

    def __init__(self, running: Running) -> None:
        self._service = running.pid
        self._postmaster = _postmaster(running.home)
        self._before = self._read()

    def spent(self) -> tuple[float | None, float | None]:
        """Of the service's process, and of all processes of the database."""
        now = self._read()
        return tuple(  # type: ignore[return-value]
            None if left is None or right is None else right - left
            for left, right in zip(self._before, now, strict=True)
        )

    def _read(self) -> tuple[float | None, float | None]:
        return _of_process(self._service), _of_family(self._postmaster)


def database_seconds(home: Path) -> float | None:
    """CPU seconds of the database of a home so far, all its processes; None where there is no /proc."""
    return _of_family(_postmaster(home))


def resident_bytes(pid: int) -> int | None:
    """Resident memory of a process; None where there is no /proc."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:"))


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which that share of the values lies."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def timed(work: Callable[[], object]) -> float:
    """Seconds that a call took."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, its columns aligned."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    ruled = [lines[0], ["-" * width for width in widths], *lines[1:]]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in ruled
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _postmaster(home: Path) -> int:
    return int((home / "postgres" / "data" / "postmaster.pid").read_text().split()[0])


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/pid/stat after the command's name: [1] parent, [11…14] ticks: user, system, ended children."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _of_process(pid: int) -> float | None:
    fields = _stat(pid)
    return None if fields is None else (int(fields[11]) + int(fields[12])) / _TICKS


def _of_family(pid: int) -> float | None:
    """Of a process, its children, and its children that have ended."""
    fields = _stat(pid)
    if fields is None:
        return None
    ended = (int(fields[13]) + int(fields[14])) / _TICKS
    return ended + sum(_of_process(one) or 0.0 for one in (pid, *_children(pid)))


def _children(pid: int) -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields and int(fields[1]) == pid:
                yield int(entry.name)
