"""WordLlama in this process: 256 dimensions, the mean of its words' vectors; 15,000 short texts a second, no network.

For a machine on which MiniLM is too dear. It knows words and not their order. Needs the extra `wordllama`.
"""

import importlib.util
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aurra.providers.embed.packaged import Packaged, checked

DIMENSION = 256

WINDOW = 256
"""Tokens. The model reads any number; but a mean of more words than that says little of any of them."""

_FILES = {
    "weights/l2_supercat_256.safetensors": "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5",
    "tokenizers/l2_supercat_tokenizer_config.json": "93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68",
}
_NOTHING = [0]
"""The token of a text that has none: `<unk>`."""


def open_wordllama() -> Packaged:
    """The embedder, its files checked, its model still loading. Raises ImportError without the extra."""
    found = importlib.util.find_spec("wordllama")
    if found is None or found.origin is None:
        raise ImportError("wordllama")
    folder = Path(found.origin).parent
    for name, sha256 in _FILES.items():
        checked(folder / name, sha256, "wordllama")
    return Packaged(name="wordllama-l2-supercat@256", dimension=DIMENSION, window=WINDOW, load=lambda: _Model(folder))


class _Model:
    def __init__(self, folder: Path) -> None:
        root = logging.getLogger()
        level, handlers = root.level, list(root.handlers)
        # Imported, it sets up the log of the whole process.
        import wordllama

        root.setLevel(level)
        root.handlers[:] = handlers
        library: Any = wordllama
        # Without its own folder as the cache, it looks for the tokenizer on the network.
        loaded = library.WordLlama.load(cache_dir=folder, dim=DIMENSION, disable_download=True)
        self._tokenizer: Any = loaded.tokenizer
        self._words: NDArray[np.float32] = loaded.embedding

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        # One by one: the library's own batches are padded, and a sum over more zeros may be another.
        return np.stack([self._words[self._tokens(text) or _NOTHING].mean(axis=0) for text in texts])

    def length(self, text: str) -> int:
        return len(self._tokens(text))

    def _tokens(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids
