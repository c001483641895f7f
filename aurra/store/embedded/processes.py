"""Which processes work in a directory, as far as this system tells."""

import os
import subprocess
from pathlib import Path

PROC = Path("/proc")
ASK_SECONDS = 10


def works_in(pid: int, directory: Path) -> bool | None:
    """A live process `pid`, not a zombie, has `directory` as its working directory; None if the system hides that."""
    if (PROC / "self").exists():
        return according_to_proc(pid, directory)
    return according_to_ps(pid, directory)


def according_to_proc(pid: int, directory: Path) -> bool | None:
    """`works_in`, from /proc."""
    try:
        return (PROC / str(pid) / "cwd").samefile(directory)
    except PermissionError:
        # In a container root may not look into other users' processes, only at what all may see.
        return None if _is_postgres_of(pid, directory.stat().st_uid) else False
    except OSError:
        return False


def according_to_ps(pid: int, directory: Path) -> bool | None:
    """`works_in`, from `ps` and `lsof`, where there is no /proc."""
    state = _answer(["ps", "-o", "stat=", "-p", str(pid)])
    if state is not None and (not state.strip() or state.strip().startswith("Z")):
        return False
    named = [line[1:] for line in (_answer(["lsof", "-a", "-p", str(pid), "-d", "cwd", "-Fn"]) or "").splitlines()]
    seen = [Path(name) for name in named if name.startswith("/")]
    if not seen:
        return None if _exists(pid) else False
    return any(path.exists() and path.samefile(directory) for path in seen)


def _is_postgres_of(pid: int, uid: int) -> bool:
    try:
        name, _, rest = (PROC / str(pid) / "stat").read_text().partition("(")[2].rpartition(")")
        return name == "postgres" and rest.split()[0] not in "ZX" and (PROC / str(pid)).stat().st_uid == uid
    except OSError:
        return False


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # Another user's; PostgreSQL reads a refusal so too.
        return False
    return True


def _answer(command: list[str]) -> str | None:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=ASK_SECONDS).stdout
    except (OSError, subprocess.SubprocessError):
        return None
