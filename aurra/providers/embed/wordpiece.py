"""Texts to token ids, exactly as BERT's uncased tokenizer makes them: the ids MiniLM was trained on.

`vocab.txt` beside this file is that tokenizer's vocabulary, one piece a line; a piece's id is its line, from 0
(google-research/bert, uncased_L-12_H-768_A-12: Apache-2.0, 30,522 lines; who loads it checks its SHA-256).
The rules are those of its `tokenization.py`, and of Hugging Face's `BertNormalizer` where the two differ.
"""

import unicodedata
from collections.abc import Iterator

WORD_LIMIT = 100
"""Characters. A longer word is unknown as a whole (BERT: `max_input_chars_per_word`)."""

_SLICE = 4_096
"""Characters looked at in one go: a long text costs no more than the slices which fill the window."""

_IDEOGRAPHS = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)
"""First and last code points of the blocks where each character is a word (Hugging Face's `is_chinese_char`)."""


class _Separation(dict[int, str]):
    """For `str.translate`: afterwards words are in lower case, without accents, and apart by spaces."""

    def __missing__(self, point: int) -> str:
        replacement = _replacement(chr(point))
        if point <= 0xFFFF:  # so that no text can make the table grow without end
            self[point] = replacement
        return replacement


def _replacement(character: str) -> str:
    category = unicodedata.category(character)
    if character in "\t\n\r" or category[0] == "Z":
        return " "
    # Unassigned ("Cn") stays: a new emoji's ids must not change when Python learns of it.
    if character == "\ufffd" or category in ("Cc", "Cf", "Co", "Cs"):
        return ""
    if any(first <= ord(character) <= last for first, last in _IDEOGRAPHS):
        return f" {unicodedata.normalize('NFD', character)} "
    # Decomposed one at a time: the reordering of a whole text's accents is quadratic, and accents go anyway.
    return "".join(map(_plain, unicodedata.normalize("NFD", character)))


def _plain(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Mn":
        return ""
    is_ascii_symbol = character < "\x7f" and not character.isalnum()
    return f" {character} " if is_ascii_symbol or category[0] == "P" else character.lower()


class WordPiece:
    """Greedy longest match over one vocabulary. A text that spells `[SEP]` is text: it makes no special token."""

    def __init__(self, vocabulary: str) -> None:
        self._ids = {piece: line for line, piece in enumerate(vocabulary.removesuffix("\n").split("\n"))}
        self._longest = max(map(len, self._ids))
        self._separation = _Separation()

    def encode(self, text: str, limit: int) -> list[int]:
        """`[CLS]`, the first pieces of the text, `[SEP]`: from 2 ids (an empty text) up to `limit`."""
        ids = [self._ids["[CLS]"]]
        for word in self._words(text):
            ids += self._pieces(word)
            if len(ids) >= limit:
                break
        return [*ids[: limit - 1], self._ids["[SEP]"]]

    def _words(self, text: str) -> Iterator[str]:
        rest = ""
        for start in range(0, len(text), _SLICE):
            separated = rest + text[start : start + _SLICE].translate(self._separation)
            *words, rest = separated.split(" ")
            yield from words
            rest = rest[: WORD_LIMIT + 1]
        yield rest

    def _pieces(self, word: str) -> list[int]:
        ids: list[int] = []
        start, end = 0, len(word)
        if end > WORD_LIMIT:
            return [self._ids["[UNK]"]]
        while start < len(word):
            prefix = "##" if start else ""
            end = min(len(word), start + self._longest)
            while (piece := self._ids.get(prefix + word[start:end])) is None:
                end -= 1
                if end == start:
                    return [self._ids["[UNK]"]]
            ids.append(piece)
            start = end
        return ids
