"""Who runs the server: ourselves, or another user when we are root, because PostgreSQL refuses root."""

import os
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from aurra.errors import CannotStart

UNPRIVILEGED = "nobody"


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this system with its group."""

    uid: int
    gid: int

    @property
    def is_ours(self) -> bool:
        """This process runs as the account."""
        return self.uid == os.geteuid()

    def give(self, path: Path) -> None:
        """`path` belongs to the account; what is inside stays."""
        if not self.is_ours:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def give_tree(self, root: Path) -> None:
        """`root` and all inside belong to the account."""
        for _, directories, files, descriptor in os.fwalk(root):
            for name in directories + files:
                os.chown(name, self.uid, self.gid, dir_fd=descriptor, follow_symlinks=False)
        self.give(root)

    def can_enter(self, directory: Path) -> bool:
        """The account may traverse `directory` and all above it, as far as their modes tell."""
        path = directory.resolve()
        return self.is_ours or all(self._may_execute(each) for each in (path, *path.parents))

    def can_execute(self, program: Path) -> bool:
        """The account may run the file `program`."""
        path = program.resolve()
        if self.is_ours:
            return os.access(path, os.X_OK)
        return self._may_execute(path) and self.can_enter(path.parent)

    def start(
        self, command: list[str], *, inside: Path, inherit: tuple[int, ...], output: int
    ) -> "subprocess.Popen[bytes]":
        """`command` runs as the account, inside a directory it need not be able to reach, away from our terminal."""
        drop = not self.is_ours
        return subprocess.Popen(
            command,
            cwd=inside,
            env=environment_for(Path(command[0]).parent),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=inherit,
            start_new_session=True,
            umask=0o077,
            user=self.uid if drop else None,
            group=self.gid if drop else None,
            extra_groups=[] if drop else None,
        )

    def _may_execute(self, path: Path) -> bool:
        found = path.stat()
        if found.st_uid == self.uid:
            return bool(found.st_mode & stat.S_IXUSR)
        return bool(found.st_mode & (stat.S_IXGRP if found.st_gid == self.gid else stat.S_IXOTH))


def account_for(data: Path) -> Account:
    """Who runs the server of `data`: ourselves; as root the directory's owner, or `nobody` if that is root or none."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    if data.exists() and (found := data.stat()).st_uid != 0:
        return Account(found.st_uid, found.st_gid)
    # Imported here because Windows has none.
    import pwd

    try:
        entry = pwd.getpwnam(UNPRIVILEGED)
    except KeyError:
        raise CannotStart(
            f"PostgreSQL does not run as root, and this system has no user {UNPRIVILEGED!r} to run it instead; "
            "start Aurra as another user, or set DATABASE_URL."
        ) from None
    return Account(entry.pw_uid, entry.pw_gid)


def environment_for(binaries: Path) -> dict[str, str]:
    """All that PostgreSQL's programs get: ours may hold keys, and its `PG…` would change what the server does."""
    # pg0's libraries need one another and do not say where they are.
    libraries = "DYLD_LIBRARY_PATH" if sys.platform == "darwin" else "LD_LIBRARY_PATH"
    places = [str(binaries.parent / "lib"), *filter(None, [os.environ.get(libraries)])]
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "TZ": "UTC",
        libraries: os.pathsep.join(places),
    }
