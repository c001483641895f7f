"""An environment of its own for each framework, under `.venv-adapters`.

`python -m tests.adapters.environments lock` writes the lock files anew (needs uv); they name no host.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Generator, Sequence
from pathlib import Path

from tests.adapters.frameworks import FRAMEWORKS, ROOT

HOME = ROOT / ".venv-adapters"
SDK = ROOT / "sdk" / "python"
_BUILD = ("hatchling>=1.27,<2", "editables>=0.5,<1")


def python_with(name: str, requirements: Sequence[str]) -> Path:
    """The Python of an environment that has the requirements, and this repository's SDK with what it needs.

    It is made when it is not there, or was made for other requirements. Where `tests/adapters/<name>.lock` is, it says
    what is installed, by hashes. Uses uv if it is on the PATH, else venv and pip. Raises RuntimeError with what these
    said when they fail.
    """
    home = HOME / name
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    lock = lock_of(name)
    made_for = _digest([sys.version, *requirements, (SDK / "pyproject.toml").read_text("utf-8"), _text_of(lock)])
    mark = home / "made-for"
    with _alone(name):
        if _text_of(mark) != made_for:
            shutil.rmtree(home, ignore_errors=True)
            _make(home, python)
            wanted = ["--require-hashes", "-r", str(lock)] if lock.exists() else [*requirements, *_needed()]
            _install(python, wanted)
            _install(python, ["--no-deps", "--no-build-isolation", "-e", str(SDK)])
            mark.write_text(made_for, "utf-8")
    return python


def lock_of(name: str) -> Path:
    """Where the lock file of an environment is, if it has one."""
    return Path(__file__).with_name(f"{name}.lock")


def write_lock(name: str, requirements: Sequence[str]) -> None:
    """Writes the lock file of an environment: every package with its hashes, and no host."""
    command = ["uv", "pip", "compile", "-q", "--universal", "--python-version", "3.11", "--generate-hashes"]
    command += ["--no-emit-index-url", "--no-annotate", "--no-header", "-o", str(lock_of(name)), "-"]
    subprocess.run(command, input="\n".join([*requirements, *_needed()]), text=True, check=True)


def _needed() -> list[str]:
    """What the SDK needs to be installed and to run."""
    project = tomllib.loads((SDK / "pyproject.toml").read_text("utf-8"))["project"]
    return [*project["dependencies"], *_BUILD]


def _make(home: Path, python: Path) -> None:
    if shutil.which("uv"):
        _run(["uv", "venv", "--quiet", "--python", sys.executable, str(home)])
    else:
        _run([sys.executable, "-m", "venv", str(home)])
    assert python.exists()


def _install(python: Path, wanted: Sequence[str]) -> None:
    if shutil.which("uv"):
        _run(["uv", "pip", "install", "--quiet", "--python", str(python), *wanted])
    else:
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--retries", "10"]
        _run([*pip, *wanted])


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


@contextlib.contextmanager
def _alone(name: str) -> Generator[None]:
    """One process at a time makes an environment."""
    HOME.mkdir(exist_ok=True)
    with (HOME / f"{name}.busy").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _text_of(path: Path) -> str:
    return path.read_text("utf-8") if path.exists() else ""


def _digest(texts: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


if __name__ == "__main__":
    if sys.argv[1:] != ["lock"]:
        sys.exit("usage: python -m tests.adapters.environments lock")
    for framework in FRAMEWORKS:
        write_lock(framework.module, framework.requirements)
