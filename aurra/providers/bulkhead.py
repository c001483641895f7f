"""A bound on the calls that one account has in flight, so that its slow provider is no one else's."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Hashable

import msgspec

MOST = 8
"""Calls in flight of one account in this process."""


class Full(Exception):
    """No place was free in time."""


class _Places(msgspec.Struct):
    free: asyncio.Semaphore
    users: int = 0


class Bulkhead:
    """Places by account; an account that has no call in flight takes no memory."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self._accounts: dict[Hashable, _Places] = {}

    def __len__(self) -> int:
        """Accounts with a call in flight, or one that waits."""
        return len(self._accounts)

    @contextlib.asynccontextmanager
    async def place(self, account: Hashable, wait_seconds: float) -> AsyncGenerator[None]:
        """A place while this is open; those who wait get it in the order they came. Raises `Full`."""
        places = self._accounts.setdefault(account, _Places(asyncio.Semaphore(self.most)))
        places.users += 1
        try:
            await _acquire(places.free, wait_seconds)
            try:
                yield
            finally:
                places.free.release()
        finally:
            places.users -= 1
            if not places.users:
                del self._accounts[account]


async def _acquire(free: asyncio.Semaphore, wait_seconds: float) -> None:
    try:
        async with asyncio.timeout(wait_seconds):
            await free.acquire()
    except TimeoutError:
        raise Full from None
