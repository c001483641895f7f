"""What a provider must be: the two protocols. Each calls `outside()` before it leaves the process."""

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from aurra.guard import outside

__all__ = ["Completion", "Embedder", "LanguageModel", "ModelChoice", "Secret", "outside"]


class Embedder(Protocol):
    """Texts to vectors."""

    @property
    def name(self) -> str:
        """The model's name, stored with each vector; vectors of different names are never compared."""
        ...

    @property
    def dimension(self) -> int:
        """Length of each vector."""
        ...

    @property
    def window(self) -> int:
        """How much of a text one vector can stand for, in what `length` counts; longer texts are embedded in parts."""
        ...

    def length(self, text: str) -> int:
        """How much of the window a text takes: exact up to the window, and no less than that past it.

        Called in any thread but the event loop's: it may wait for a model that is being loaded. Raises `Unavailable`.
        """
        ...

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One unit-length row a text, shape (len(texts), dimension). Raises `Unavailable` (embedder_unavailable)."""
        ...

    async def close(self) -> None:
        """Releases threads and connections."""
        ...


class Secret:
    """A provider's key, held in memory for one request. Its repr is `***`, and no encoder takes it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def reveal(self) -> str:
        """The key itself, for the header of an outgoing request only."""
        return self._value


class ModelChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Which model to call, where, with whose key."""

    provider: str
    model: str
    api_key: Secret | None = None
    base_url: str | None = None
    extra: dict[str, Any] = {}
    is_operators: bool = False
    """The server's own default: its address is the operator's, and may be anywhere."""


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """What a model answered, decoded."""

    value: dict[str, Any]
    """The JSON object, as the schema asked; the caller still validates it."""
    rung: str
    """How it was obtained: `json_schema`, `json_object`, `tool_call` or `repaired`."""
    input_tokens: int = 0
    """As the provider counted the request that was answered; 0 where it does not say."""
    output_tokens: int = 0


class LanguageModel(Protocol):
    """Text in, a JSON object by schema out."""

    @property
    def provider(self) -> str:
        """The adapter's name, e.g. `openai`."""
        ...

    @property
    def model(self) -> str:
        """The model's name as the provider knows it."""
        ...

    async def complete(self, *, system: str, user: str, schema: dict[str, Any], schema_name: str) -> Completion:
        """Raises `ProviderError`; never anything else, and never with the key or the prompt in its message."""
        ...

    async def close(self) -> None:
        """Closes connections."""
        ...
