"""Every server that speaks OpenAI's embeddings, at any base URL: OpenAI's own, Ollama, vLLM, TEI, LM Studio …

What it answers is not believed: the number, the dimension and every value of the vectors are checked, and each is
brought to unit length.
"""

import asyncio
import base64
import binascii
from collections.abc import Sequence

import httpx2
import msgspec
import numpy as np
from numpy.typing import NDArray

from aurra.errors import ProviderError, Unavailable
from aurra.providers.base import Secret, outside
from aurra.providers.llm.openai import open_client
from aurra.providers.llm.retry import Failure, failure_of, unusable, within_budget

WINDOW = 2_000
"""Characters: some 450 tokens of English, which the models of all these servers read (OpenAI's read 8,191)."""

BATCH = 64
"""Texts of one request, so that an answer stays within what is read of one (4 MiB), also as 3,072 written numbers
each."""

TOGETHER = 4
"""Requests of one call that are under way at once."""

BUDGET_SECONDS = 30.0
"""Of one request with its repetitions."""


class _Embedding(msgspec.Struct):
    embedding: str | list[float]
    index: int | None = None


class _Answer(msgspec.Struct):
    data: list[_Embedding]


class OpenAIEmbedder:
    """An `Embedder` over `AsyncOpenAI`; made by `open_openai`."""

    window = WINDOW

    def __init__(
        self,
        *,
        model: str,
        base_url: str,
        api_key: Secret | None,
        asked_dimension: int | None,
        suffix: str,
        budget_seconds: float,
    ) -> None:
        """`asked_dimension` is sent with each request; `suffix` tells servers apart, where it is not OpenAI's."""
        self.dimension = asked_dimension or 0
        self._model = model
        self._asked_dimension = asked_dimension
        self._suffix = suffix
        self._budget_seconds = budget_seconds
        self._client = open_client(base_url, api_key, budget_seconds)

    @property
    def name(self) -> str:
        """Model, dimension, and where it is, if not at OpenAI: another server may mean another model by it."""
        return f"{self._model}@{self.dimension}{self._suffix}"

    def length(self, text: str) -> int:
        """Its characters."""
        return len(text)

    async def learn_dimension(self) -> None:
        """The dimension is the one that the server answers with. Raises `Unavailable`."""
        self.dimension = (await self._ask(["a sentence"])).shape[1]

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `Embedder`. What is longer than the window is not sent."""
        outside()
        vectors = np.empty((len(texts), self.dimension), np.float32)
        turns = asyncio.Semaphore(TOGETHER)

        async def fill(start: int) -> None:
            async with turns:
                vectors[start : start + BATCH] = await self._ask(texts[start : start + BATCH])

        try:
            async with asyncio.TaskGroup() as group:
                for start in range(0, len(texts), BATCH):
                    group.create_task(fill(start))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return vectors

    async def close(self) -> None:
        """Closes connections."""
        await self._client.close()

    async def _ask(self, texts: Sequence[str]) -> NDArray[np.float32]:
        body: dict[str, object] = {
            "model": self._model,
            # OpenAI refuses a text of no characters.
            "input": [text[:WINDOW] or " " for text in texts],
            "encoding_format": "base64",
        }
        if self._asked_dimension is not None:
            body["dimensions"] = self._asked_dimension

        async def attempt() -> NDArray[np.float32] | Failure:
            try:
                response = await self._client.post("/embeddings", cast_to=httpx2.Response, body=body)
            except Exception as error:  # whatever the server provokes becomes a Failure
                return failure_of(error)
            return self._vectors(response.content, len(texts))

        try:
            return await within_budget("The embedding model", self._budget_seconds, attempt)
        except ProviderError as error:
            message, retry_after = str(error), error.retry_after
        raise Unavailable(f"{message}.", code="embedder_unavailable", retry_after=retry_after or 1)

    def _vectors(self, body: bytes, count: int) -> NDArray[np.float32] | Failure:
        """The vectors in the order of the texts, or what is wrong with them."""
        try:
            answer = msgspec.json.decode(body, type=_Answer)
            rows = [_numbers(one.embedding) for one in answer.data]
        except (ValueError, RecursionError):
            return unusable("answered with no vectors that can be read")
        places = [place if one.index is None else one.index for place, one in enumerate(answer.data)]
        if sorted(places) != list(range(count)):
            return unusable(f"answered with {len(rows)} vectors to {count} texts")
        dimension = self.dimension or len(rows[0])
        if any(len(row) != dimension for row in rows):
            return unusable(f"answered with vectors that do not have {dimension} numbers")
        vectors = np.stack([rows[places.index(place)] for place in range(count)])
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if dimension == 0 or not (np.isfinite(lengths).all() and (lengths > 0).all()):
            return unusable("answered with a vector that points nowhere")
        return (vectors / lengths).astype(np.float32)


def _numbers(embedding: str | list[float]) -> NDArray[np.float64]:
    """As base64 of little-endian floats, which is asked for, or written out, by servers that do not know it."""
    if isinstance(embedding, list):
        return np.array(embedding, np.float64)
    try:
        return np.frombuffer(base64.b64decode(embedding, validate=True), "<f4").astype(np.float64)
    except binascii.Error as error:
        raise ValueError from error


async def open_openai(
    *,
    model: str,
    base_url: str,
    api_key: Secret | None,
    asked_dimension: int | None,
    dimension: int | None,
    suffix: str = "",
    budget_seconds: float = BUDGET_SECONDS,
) -> OpenAIEmbedder:
    """The embedder, ready; where its dimension is not known, the server was asked. Raises `Unavailable`."""
    embedder = OpenAIEmbedder(
        model=model,
        base_url=base_url,
        api_key=api_key,
        asked_dimension=asked_dimension,
        suffix=suffix,
        budget_seconds=budget_seconds,
    )
    try:
        if dimension is not None:
            embedder.dimension = dimension
        elif asked_dimension is None:
            await embedder.learn_dimension()
    except BaseException:
        await embedder.close()
        raise
    return embedder
