"""Locks on files, which the kernel frees when the last process that holds the descriptor is gone, however it went."""

import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

PAUSE_SECONDS = 0.005


def try_lock(path: Path, *, shared: bool = False) -> int | None:
    """A descriptor that holds the lock of `path`, or None while somebody else has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        taken = _try_flock(descriptor, shared=shared)
    except BaseException:
        os.close(descriptor)
        raise
    if not taken:
        os.close(descriptor)
        return None
    return descriptor


@contextmanager
def held(path: Path, *, patience: float) -> Generator[None]:
    """Nobody else is inside this block for `path`. Raises TimeoutError when somebody is, for `patience` seconds."""
    deadline = time.monotonic() + patience
    while (descriptor := try_lock(path)) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path} is locked")
        time.sleep(PAUSE_SECONDS)
    try:
        yield
    finally:
        release(descriptor)


def make_exclusive(descriptor: int) -> bool:
    """True when nobody shares the lock of `descriptor`; it is exclusive then. When False, it may be lost."""
    return _try_flock(descriptor, shared=False)


def release(descriptor: int) -> None:
    """The lock is free, even if a forked child still has the descriptor."""
    from fcntl import LOCK_UN, flock

    flock(descriptor, LOCK_UN)
    os.close(descriptor)


def is_held(path: Path) -> bool:
    """Somebody holds the lock of `path`."""
    descriptor = try_lock(path)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


def _try_flock(descriptor: int, *, shared: bool) -> bool:
    # Imported here because Windows has none; there `open` refuses, and the rest of Aurra can be imported.
    from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock

    try:
        flock(descriptor, (LOCK_SH if shared else LOCK_EX) | LOCK_NB)
    except BlockingIOError:
        return False
    return True
