"""One way to call either client, so that an adapter is written once: over the sync client nothing ever waits."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from operator import attrgetter
from typing import Any, ParamSpec, TypeVar

from aurra_sdk import types
from aurra_sdk._async.client import AsyncAurra
from aurra_sdk._sync.client import Aurra

A = TypeVar("A")
P = ParamSpec("P")


class Calls:
    """The operations that the adapters use, each to be awaited."""

    def __init__(self, client: Aurra | AsyncAurra) -> None:
        self.list_memories = _call(client, "memories.list", types.MemoryPage)
        self.get_memory = _call(client, "memories.get", types.MemoryFound)
        self.search = _call(client, "memories.search", types.Found)
        self.bulk = _call(client, "memories.bulk", types.BulkWritten)
        self.supersede = _call(client, "memories.supersede", types.Superseded)
        self.correct = _call(client, "memories.correct", types.Corrected)
        self.erase_matching = _call(client, "memories.erase_matching", types.Erased)
        self.list_subjects = _call(client, "subjects.list", types.SubjectPage)
        self.add_turns = _call(client, "conversations.add", types.ConversationAdded)
        self.list_turns = _call(client, "conversations.messages", types.ConversationMessagesPage)


def at_once(client: Aurra | AsyncAurra, work: Coroutine[Any, Any, A], name: str) -> A:
    """What the work returns, which is over the client. Raises TypeError over `AsyncAurra`, for a method of `name`."""
    if isinstance(client, AsyncAurra):
        work.close()
        raise TypeError(f"{name} over AsyncAurra has the async methods only; give it Aurra() to call this one.")
    return _finished(work)


async def in_time(client: Aurra | AsyncAurra, work: Coroutine[Any, Any, A]) -> A:
    """What the work returns, which is over the client; over the sync one it is done in a thread."""
    return await asyncio.to_thread(_finished, work) if isinstance(client, Aurra) else await work


def _finished(work: Coroutine[Any, Any, A]) -> A:
    """Over the sync client each call is done when it returns: the first step is the last."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    work.close()
    raise RuntimeError("The work waited for something; it is not over the sync client.")


def _call(client: Aurra | AsyncAurra, name: str, answer: type[A]) -> Callable[..., Awaitable[A]]:
    """The method of that name, which answers `answer`."""
    method = attrgetter(name)(client)
    return method if isinstance(client, AsyncAurra) else _awaited(method)


def _awaited(method: Callable[P, A]) -> Callable[P, Awaitable[A]]:
    async def call(*args: P.args, **kwargs: P.kwargs) -> A:
        return method(*args, **kwargs)

    return call
