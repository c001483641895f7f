"""Embedders. The setting's value is the file's name here; `none` means that search does without vectors."""

from aurra.errors import CannotStart
from aurra.providers.base import Embedder

KNOWN = ("minilm", "none")
"""Every value that the setting takes, the default first."""


def open_embedder(name: str) -> Embedder | None:
    """The embedder of that name, its files checked, its model still loading in its thread; None for `none`.

    Raises `CannotStart` when the name is unknown, or when the model's files are not the ones expected.
    """
    match name:
        case "minilm":
            from aurra.providers.embed.minilm import MiniLM

            return MiniLM()
        case "none":
            return None
        case _:
            raise CannotStart(f"There is no embedder {name!r}; the embedders are {', '.join(KNOWN)}.")
