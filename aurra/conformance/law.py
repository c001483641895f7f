"""The registry: a law is an async function on a fresh tenant; its docstring says what must hold."""

import inspect
from collections.abc import Awaitable, Callable

import msgspec

from aurra.conformance.tenant import Tenant

Play = Callable[[Tenant], Awaitable[None]]


class Law(msgspec.Struct, frozen=True):
    """One law: its name, its sentence, and how it is played."""

    name: str
    sentence: str
    play: Play


LAWS: dict[str, Law] = {}


def law(name: str) -> Callable[[Play], Play]:
    """Registers the function under the name."""

    def register(play: Play) -> Play:
        assert name not in LAWS, name
        sentence = " ".join((inspect.getdoc(play) or "").split())
        assert sentence, name
        LAWS[name] = Law(name, sentence, play)
        return play

    return register
