"""Embedders. The setting's value is the file's name here; `none` means that search does without vectors."""

import asyncio
import importlib
import re
import urllib.parse
from collections.abc import Callable

import msgspec

from aurra.errors import CannotStart, Unavailable
from aurra.providers.base import Embedder, Secret
from aurra.settings import Settings

KNOWN = ("minilm", "wordllama", "multilingual", "openai", "none")
"""Every value that the setting takes, the default first."""

_PACKAGED = {"minilm": "", "wordllama": "wordllama", "multilingual": "multilingual"}
"""Those that run in this process, each with the extra that it needs."""
_OPENAI = "https://api.openai.com/v1"
_SERVED = re.compile(r"openai:(?P<model>.+?)(?:@(?P<dimension>[1-9]\d{0,4}))?(?P<suffix> at \S+)?", re.DOTALL)


class Served(msgspec.Struct, frozen=True):
    """A model of a server that speaks OpenAI's embeddings."""

    model: str
    asked_dimension: int | None
    """None is what the model makes by itself."""
    suffix: str
    """` at HOST/PATH`, where the server is not OpenAI's."""


def full_name(name: str, settings: Settings) -> str:
    """The name under which an embedder is known to the installation: of `openai` it says the model, and where it is.

    `openai` alone is the settings' model; `openai:MODEL` and `openai:MODEL@DIMENSION` are others of the same server.
    Raises CannotStart when there is no such embedder, or the settings lack what it needs.
    """
    if name in KNOWN and name != "openai":
        return name
    if name == "openai":
        if not settings.aurra_embedder_model:
            raise CannotStart("The embedder openai needs a model: set AURRA_EMBEDDER_MODEL.")
        dimension = settings.aurra_embedder_dimension
        name = f"openai:{settings.aurra_embedder_model}" + (f"@{dimension}" if dimension else "")
    if not (served := _SERVED.fullmatch(name)):
        raise CannotStart(f"There is no embedder {name!r}; the embedders are {', '.join(KNOWN)}.")
    return name if served["suffix"] else name + _suffix(settings)


async def open_embedder(name: str, settings: Settings, *, dimension: int | None = None) -> Embedder | None:
    """The embedder of that name, its files checked, its model still loading in its thread; None for `none`.

    `dimension` is what its vectors are known to have; where it is not, a server is asked. Raises CannotStart, in one
    sentence, when the name is unknown, an extra or a setting is missing, a file is not the one expected, or a server
    that must be asked does not answer.
    """
    name = full_name(name, settings)
    if name == "none":
        return None
    if name in _PACKAGED:
        try:
            return await asyncio.to_thread(_opener(name))
        except ImportError as error:
            extra = f"aurra-server[{_PACKAGED[name]}]" if _PACKAGED[name] else "aurra-server"
            raise CannotStart(f"The embedder {name} is not installed: pip install '{extra}'.") from error
    return await _open_served(_served(name), settings, dimension)


def _opener(name: str) -> Callable[[], Embedder]:
    """What opens a packaged embedder; it imports, and so belongs in a thread."""

    def open_() -> Embedder:
        match name:
            case "wordllama":
                from aurra.providers.embed.wordllama import open_wordllama

                return open_wordllama()
            case "multilingual":
                from aurra.providers.embed.multilingual import open_multilingual

                return open_multilingual()
            case _:
                from aurra.providers.embed.minilm import MiniLM

                return MiniLM()

    return open_


def _served(name: str) -> Served:
    parts = _SERVED.fullmatch(name)
    assert parts is not None
    asked = parts["dimension"]
    return Served(parts["model"], int(asked) if asked else None, parts["suffix"] or "")


async def _open_served(served: Served, settings: Settings, dimension: int | None) -> Embedder:
    if served.suffix != (suffix := _suffix(settings)):
        raise CannotStart(
            f"The embedder of {served.model} is{served.suffix or f' at {_address(_OPENAI)}'}, and "
            "AURRA_EMBEDDER_BASE_URL says another: set it back, or switch with `aurra embeddings switch openai`."
        )
    key = settings.aurra_embedder_api_key
    if not key and not suffix:
        raise CannotStart("The embedder openai needs a key: set AURRA_EMBEDDER_API_KEY.")
    if not all("!" <= character <= "~" for character in key):
        raise CannotStart("AURRA_EMBEDDER_API_KEY has a character that no key has; check that it was copied whole.")
    # In a thread: the library takes a second to import.
    module = await asyncio.to_thread(importlib.import_module, "aurra.providers.embed.openai")
    try:
        return await module.open_openai(
            model=served.model,
            base_url=settings.aurra_embedder_base_url or _OPENAI,
            api_key=Secret(key) if key else None,
            asked_dimension=served.asked_dimension,
            dimension=dimension,
            suffix=suffix,
        )
    except Unavailable as error:
        raise CannotStart(str(error)) from None


def _suffix(settings: Settings) -> str:
    """What tells the settings' server from OpenAI's own."""
    if not settings.aurra_embedder_base_url:
        return ""
    address = _address(settings.aurra_embedder_base_url)
    return "" if address == _address(_OPENAI) else f" at {address}"


def _address(base_url: str) -> str:
    """Host, port and path. Raises CannotStart for what is no plain http address."""
    try:
        parts = urllib.parse.urlsplit(base_url)
        is_plain = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_plain, parts = False, None
    if parts is None or not is_plain or parts.username or parts.password or parts.query or parts.fragment:
        raise CannotStart(
            "AURRA_EMBEDDER_BASE_URL must begin with http:// or https:// and name a host, without user or query."
        )
    return f"{parts.netloc.lower()}{parts.path.rstrip('/')}"
