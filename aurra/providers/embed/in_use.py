"""An embedder whose place another may take while calls to it are under way; and one that cannot be opened."""

import asyncio
from collections.abc import Sequence
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from aurra.errors import Unavailable
from aurra.providers.base import Embedder


class InUse:
    """An `Embedder` that can be retired."""

    def __init__(self, embedder: Embedder) -> None:
        self.name = embedder.name
        self.dimension = embedder.dimension
        self.window = embedder.window
        self.length = embedder.length
        self._embedder = embedder
        self._calls = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `Embedder`."""
        self._calls += 1
        self._idle.clear()
        try:
            return await self._embedder.embed(texts)
        finally:
            self._calls -= 1
            if not self._calls:
                self._idle.set()

    async def retire(self) -> None:
        """It is closed, and no call that was under way has failed for that."""
        await self._idle.wait()
        await self._embedder.close()

    async def close(self) -> None:
        """See `Embedder`; at once."""
        await self._embedder.close()


class Unopened:
    """Stands for the installation's embedder where this process cannot open it: nothing is embedded, so that no memory
    is stored without its vector, and no search is made without."""

    window = 1 << 30

    def __init__(self, name: str, dimension: int) -> None:
        self.name = name
        self.dimension = dimension

    def length(self, text: str) -> int:
        """See `Embedder`."""
        return len(text)

    async def embed(self, texts: Sequence[str]) -> NoReturn:
        """Raises `Unavailable`."""
        raise Unavailable("The installation's embedder cannot be opened here.", code="embedder_unavailable")

    async def close(self) -> None:
        """Nothing is open."""
