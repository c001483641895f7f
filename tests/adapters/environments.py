"""An environment of its own for what cannot live in the server's, under `.venv-adapters`."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Generator, Sequence
from pathlib import Path

HOME = Path(__file__).resolve().parents[2] / ".venv-adapters"


def python_with(name: str, requirements: Sequence[str]) -> Path:
    """The Python of an environment that has the requirements.

    It is made when it is not there, or was made for other requirements. Uses uv if it is on the PATH, else venv and
    pip. Raises CalledProcessError when they fail.
    """
    home = HOME / name
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    made_for = hashlib.sha256("\0".join([sys.version, *requirements]).encode()).hexdigest()
    mark = home / "made-for"
    with _alone(name):
        if not mark.exists() or mark.read_text("utf-8") != made_for:
            shutil.rmtree(home, ignore_errors=True)
            if shutil.which("uv"):
                subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, home], check=True)
                subprocess.run(["uv", "pip", "install", "--quiet", "--python", python, *requirements], check=True)
            else:
                subprocess.run([sys.executable, "-m", "venv", home], check=True)
                subprocess.run([python, "-m", "pip", "install", "--quiet", *requirements], check=True)
            mark.write_text(made_for, "utf-8")
    return python


@contextlib.contextmanager
def _alone(name: str) -> Generator[None]:
    """One process at a time makes an environment."""
    HOME.mkdir(exist_ok=True)
    with (HOME / f"{name}.busy").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
