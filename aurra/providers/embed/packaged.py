"""What embedders in this process have in common: files that must be the ones expected, and a thread of their own."""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aurra.errors import AurraError, CannotStart, Unavailable
from aurra.providers.base import outside

RUN = 32
"""Texts of one run, so that no call holds up the others for long."""


class Model(Protocol):
    """A model that was loaded; called in one thread, `length` in any."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One row a text, of any length but 0."""
        ...

    def length(self, text: str) -> int:
        """Its tokens."""
        ...


class Packaged:
    """An `Embedder` over a model that is loaded, and then run, by one thread. A vector depends on its text alone."""

    def __init__(self, *, name: str, dimension: int, window: int, load: Callable[[], Model]) -> None:
        """The model is being loaded."""
        self.name = name
        self.dimension = dimension
        self.window = window
        self._closed = False
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._model = self._thread.submit(load)

    def length(self, text: str) -> int:
        """See `Embedder`."""
        try:
            return self._model.result().length(text)
        except (Exception, CancelledError) as error:
            raise unavailable(error) from error

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `Embedder`. Calls take turns of one run each."""
        outside()
        vectors = np.empty((len(texts), self.dimension), np.float32)
        for start in range(0, len(texts), RUN):
            vectors[start : start + RUN] = await self._run(texts[start : start + RUN])
        return vectors

    async def close(self) -> None:
        """The thread has ended; calls that were waiting have failed with `Unavailable`, and later ones will."""
        self._closed = True
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)

    async def _run(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if self._closed:
            raise unavailable()
        run = self._thread.submit(lambda: self._model.result().encode(texts))
        try:
            return of_unit_length(await asyncio.wrap_future(run))
        except asyncio.CancelledError:
            if self._closed and run.cancelled() and not _is_cancelled():
                raise unavailable() from None
            raise
        except AurraError:
            raise
        except Exception as error:
            raise unavailable(error) from error


def _is_cancelled() -> bool:
    """Whether it is the caller who gave up."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def of_unit_length(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rows at unit length. Raises `Unavailable` for one that points nowhere."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        raise unavailable()
    return (vectors / lengths).astype(np.float32)


def unavailable(cause: BaseException | None = None) -> Unavailable:
    """The 503 of an embedder in this process; nothing of a text is in it."""
    error = Unavailable("The embedding model does not answer.", code="embedder_unavailable")
    error.__cause__ = cause
    return error


def checked(file: Path, sha256: str, package: str) -> bytes:
    """The file's content. Raises CannotStart where it is missing or another one: then its vectors would be others."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise CannotStart(f"The embedder's file {file} cannot be read ({error.strerror}).") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise CannotStart(
            f"The embedder's file {file} is not the one expected (its SHA-256 is another): "
            f"install {package} and aurra-server again, or set AURRA_EMBEDDER=none."
        )
    return content
