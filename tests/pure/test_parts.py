"""Long texts in parts: each fits, nothing is left out, sentences stay whole where they can."""

import itertools
import re

from hypothesis import given
from hypothesis import strategies as st

from aurra import parts

ALPHABET = st.text(st.sampled_from('ab .!?"\n。é '), max_size=600)


def squeezed(text: str) -> str:
    return re.sub(r"\s", "", text)


@given(ALPHABET, st.integers(5, 80))
def test_every_part_fits_and_nothing_is_left_out(text: str, room: int) -> None:
    """Taken together, less what two neighbours share, the parts say all that the text says, in its order."""
    cut = parts.cut(text, room, len)
    if len(cut) == 1:
        assert cut == [text]
        return
    assert len(cut) <= parts.MOST
    assert all(len(part) <= room for part in cut)
    whole = squeezed(text)
    # Where the text may have been told up to: each part begins at or before that, and tells on.
    told = {0}
    for part in map(squeezed, cut):
        told = {
            start + len(part)
            for end in told
            for start in range(max(0, end - len(part)), end + 1)
            if whole.startswith(part, start)
        }
    assert len(whole) in told or (told and len(cut) == parts.MOST)


def test_sentences_stay_whole_and_the_last_is_told_again() -> None:
    """A part ends where a sentence ends; the next begins with that sentence, where it is short."""
    text = " ".join(f"This is sentence number {number:02}." for number in range(20))
    cut = parts.cut(text, 130, len)
    assert all(part.startswith("This") and part.endswith(".") for part in cut)
    for before, after in itertools.pairwise(cut):
        assert after.startswith(re.findall(r"This[^.]+\.", before)[-1])


def test_what_has_no_sentences_is_cut_between_words() -> None:
    """And what has no words, anywhere."""
    assert all(set(part.split()) == {"word"} for part in parts.cut("word " * 500, 90, len))
    assert "".join(parts.cut("x" * 900, 90, len)) == "x" * 900


def test_an_endless_text_costs_what_its_parts_cost() -> None:
    """After the last part nothing is looked at any more."""
    looked_at = 0

    def length(text: str) -> int:
        nonlocal looked_at
        looked_at += len(text)
        return len(text)

    assert len(parts.cut("It goes on. " * 100_000, 200, length)) == parts.MOST
    assert looked_at < 3 * 200 * parts.MOST
