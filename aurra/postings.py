"""Words and nearness of everything that a tenant ever said, as arrays: who of tens of thousands is a candidate. Pure.

Contents are in the order of the transactions that stored them; a *stretch* is a run of them, whether from the index or
read from the contents themselves. Nothing here depends on where one stretch ends and the next begins.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property

import msgspec
import numpy as np
from numpy.typing import NDArray

from aurra.ranking import CHAT, DIALOG, LONG, Corpus, idf

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Posting(msgspec.Struct, frozen=True):
    """Which contents of a stretch have a word, and how often: places, 4 bytes each, rising; times, 2 bytes each, or
    None for once."""

    places: bytes
    times: bytes | None


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """A run of contents. Only the first `count` are there yet at the transaction asked for."""

    count: int
    ids: bytes
    lengths: bytes
    postings: Mapping[str, Posting]
    similarity: Floats | None
    """Cosines to the question, true or reckoned; -inf for a content without a vector. None without a question's."""


class Postings:
    """All stretches of a tenant, and a question's words in them. Places are counted over all stretches."""

    def __init__(self, stretches: Sequence[Stretch], lexemes: Sequence[str]) -> None:
        self._stretches = stretches
        self._starts = np.cumsum([0, *(stretch.count for stretch in stretches)])
        self.count = int(self._starts[-1])
        self._lexemes = sorted(lexemes)
        self._lengths = _floats([_numbers(s.lengths, ">u4")[: s.count] for s in stretches])
        self._found = {lexeme: self._places(lexeme) for lexeme in self._lexemes}

    @cached_property
    def corpus(self) -> Corpus:
        """What BM25 must know."""
        return Corpus(
            pieces=self.count,
            mean_length=float(self._lengths.mean()) if self.count else 0.0,
            frequencies={lexeme: len(places) for lexeme, (places, _) in self._found.items()},
        )

    @cached_property
    def worth(self) -> Floats:
        """BM25 of the question in each content, with the constants of what most of the tenant's texts are."""
        profile = CHAT if self.corpus.mean_length >= LONG else DIALOG
        k1, b = profile.k1, profile.b
        norm = k1 * (1 - b + b * self._lengths / (self.corpus.mean_length or 1.0))
        worth = np.zeros(self.count)
        for lexeme, (places, times) in self._found.items():
            worth[places] += idf(lexeme, self.corpus) * times * (k1 + 1) / (times + norm[places])
        return worth

    @cached_property
    def similarity(self) -> Floats | None:
        """Nearness of each content, true or reckoned; None without a question's vector."""
        found = [stretch.similarity for stretch in self._stretches]
        if any(one is None for one in found):
            return None
        return _floats([one[: s.count] for s, one in zip(self._stretches, found, strict=True) if one is not None])

    def ids(self, places: Ints) -> bytes:
        """The ids of the contents at these places, 16 bytes each."""
        return self._ids[places].tobytes()

    @cached_property
    def _ids(self) -> NDArray[np.void]:
        parts = [np.frombuffer(s.ids, "V16")[: s.count] for s in self._stretches]
        return np.concatenate([np.empty(0, "V16"), *parts])

    def _places(self, lexeme: str) -> tuple[Ints, Floats]:
        """Where a word is, and how often."""
        places: list[Ints] = []
        times: list[Ints] = []
        for start, stretch in zip(self._starts.tolist(), self._stretches, strict=False):
            if (posting := stretch.postings.get(lexeme)) is not None:
                inside = _numbers(posting.places, ">u4")
                there = int(np.searchsorted(inside, stretch.count))
                places.append(inside[:there] + start)
                often = np.ones(there, np.int64) if posting.times is None else _numbers(posting.times, ">i2")[:there]
                times.append(often)
        return np.concatenate([np.empty(0, np.int64), *places]), _floats(times)


def best(scores: Floats, most: int) -> Ints:
    """The places of the highest scores, highest first; of equal ones, the later. All, if there are no more."""
    above = np.flatnonzero(scores > 0)
    if most <= len(above) < len(scores):
        # Most contents have none of the question's words.
        return above[best(scores[above], most)]
    if most < len(scores):
        least = np.partition(scores, len(scores) - most)[len(scores) - most]
        above = np.flatnonzero(scores > least)
        equal = np.flatnonzero(scores == least)
        places = np.concatenate([above, equal[len(equal) - (most - len(above)) :]])
    else:
        places = np.arange(len(scores))
    return places[np.lexsort((-places, -scores[places]))].astype(np.int64)


def _numbers(raw: bytes, kind: str) -> Ints:
    return np.frombuffer(raw, kind).astype(np.int64)


def _floats(parts: Sequence[Ints] | Sequence[Floats]) -> Floats:
    """The parts, one after the other."""
    return np.concatenate([np.empty(0), *parts]).astype(np.float64)
