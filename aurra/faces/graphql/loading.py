"""Loading several things at once that are asked for one by one."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
_TURNS = 3
"""Of the event loop that a batch waits for others to join, since fields of one level do not come in one turn."""


class Loader(Generic[K, V]):
    """Gathers what is asked for within a few turns of the event loop, and loads it in one call."""

    def __init__(self, load: Callable[[Sequence[K]], Awaitable[Mapping[K, V | Exception]]]) -> None:
        self._load = load
        self._waiting: dict[K, asyncio.Future[V | None]] = {}
        self._batches: set[asyncio.Task[None]] = set()

    def load(self, key: K) -> "asyncio.Future[V | None]":
        """What will be there for a key: None where there is nothing. Raises what the batch, or this one of it, met."""
        loop = asyncio.get_running_loop()
        if key not in self._waiting:
            if not self._waiting:
                self._wait(loop, _TURNS)
            self._waiting[key] = loop.create_future()
        return self._waiting[key]

    def _wait(self, loop: asyncio.AbstractEventLoop, turns: int) -> None:
        if turns:
            loop.call_soon(self._wait, loop, turns - 1)
            return
        waiting, self._waiting = self._waiting, {}
        batch = loop.create_task(self._run(waiting))
        self._batches.add(batch)
        batch.add_done_callback(self._batches.discard)

    async def _run(self, waiting: "dict[K, asyncio.Future[V | None]]") -> None:
        try:
            found = await self._load(list(waiting))
        except Exception as error:
            for future in waiting.values():
                _settle(future, error)
            return
        except BaseException:
            for future in waiting.values():
                future.cancel()
            raise
        for key, future in waiting.items():
            _settle(future, found.get(key))


def _settle(future: "asyncio.Future[V | None]", outcome: V | Exception | None) -> None:
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
        # Several may wait for it, or by now nobody.
        future.exception()
    else:
        future.set_result(outcome)
