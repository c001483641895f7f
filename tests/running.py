"""A whole `aurra serve`, as a process of its own, on a database of the test's choice."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import msgspec

START_SECONDS = 60


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Running(msgspec.Struct):
    """A service process and where it answers."""

    process: subprocess.Popen[bytes]
    url: str
    environment: dict[str, str]
    log: Path

    def kill(self) -> None:
        """SIGKILL, and the end awaited."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(40)

    def command(self, *arguments: str) -> str:
        """What an `aurra` command prints, in the service's environment."""
        return aurra(arguments, self.environment)


def aurra(arguments: tuple[str, ...], environment: Mapping[str, str]) -> str:
    """What an `aurra` command prints; raises when it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "aurra.main", *arguments],
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=120,
    )
    if done.returncode:
        raise RuntimeError(f"aurra {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def environment_of(**settings: Any) -> dict[str, str]:
    """This process's environment with the settings, and no others of ours."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AURRA_")}
    inherited.pop("DATABASE_URL", None)
    return {**inherited, **{name.upper(): str(value) for name, value in settings.items()}}


@contextlib.contextmanager
def running(log: Path, *arguments: str, **settings: Any) -> Generator[Running]:
    """A service that is ready; stopped at the end if it still runs."""
    port = free_port()
    environment = environment_of(port=port, **settings)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "aurra.main", "serve", *arguments],
            env=environment,
            stdout=output,
            stderr=output,
        )
    service = Running(process, f"http://127.0.0.1:{port}", environment, log)
    try:
        await_ready(service)
        yield service
    finally:
        if process.poll() is None:
            # Killed, it would leave its embedded database running.
            try:
                service.stop()
            except subprocess.TimeoutExpired:
                service.kill()


def await_ready(service: Running) -> None:
    """Returns when it answers; raises with its log when it ended instead."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if service.process.poll() is not None:
            raise RuntimeError(f"the service ended:\n{service.log.read_text()}")
        with contextlib.suppress(httpx2.TransportError):
            if httpx2.get(f"{service.url}/health/ready", timeout=2).status_code == 200:
                return
        time.sleep(0.05)
    raise TimeoutError(f"the service is not ready:\n{service.log.read_text()}")
