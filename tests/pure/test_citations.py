"""Nothing is said that the memories do not say."""

import datetime as dt

from aurra import citations
from aurra.citations import Evidence, Sentence

SINCE = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


def evidence(index: int, text: str, coverage: float = 0.9, similarity: float = 0.9) -> Evidence:
    return Evidence(
        index=index,
        text=text,
        speaker=None,
        similarity=similarity,
        coverage=coverage,
        has_vector=True,
        valid_from=SINCE,
    )


def test_nothing_found_is_said_honestly() -> None:
    """No evidence: no guess."""
    answer = citations.extractive("Who?", [], None)
    assert answer.refused and answer.answer == citations.NOTHING_FOUND and not answer.cited


def test_weak_evidence_is_refused() -> None:
    """Below both thresholds nothing is answered."""
    answer = citations.extractive("Who?", [evidence(1, "Kim lives in Oslo", 0.0, 0.0)], None)
    assert answer.refused and answer.answer == citations.NOT_SUPPORTED


def test_an_extractive_answer_is_made_of_the_memories_own_words() -> None:
    """At most three sentences, each a quote of what it cites, with its marker."""
    found = [evidence(number, f"Fact number {number}.") for number in range(1, 6)]
    answer = citations.extractive("Which fact?", found, None)
    assert answer.cited == {1, 2, 3}
    assert answer.marked == "Fact number 1. [mem-1] Fact number 2. [mem-2] Fact number 3. [mem-3]"
    for index, quote in answer.quotes.items():
        text = found[index - 1].text
        assert text[quote.span[0] : quote.span[1]] == quote.text


def test_of_a_long_memory_the_best_sentence_is_quoted() -> None:
    """The sentence that shares most words with the question; its span is its place."""
    text = "Kim likes tea. Kim lives in Oslo with a dog. The weather was fine. It rained later."
    quote = citations.best_sentence("Where does Kim live with the dog?", text)
    assert quote.text == "Kim lives in Oslo with a dog."
    assert text[quote.span[0] : quote.span[1]] == quote.text


def test_the_past_is_framed() -> None:
    """An answer about the past says as of when."""
    answer = citations.extractive("Where?", [evidence(1, "Kim lives in Oslo")], SINCE)
    assert answer.answer == "As of 1 March 2026: Kim lives in Oslo."


def test_invented_markers_in_the_text_do_not_count() -> None:
    """Markers written into the text are removed; only the list of citations counts, and only what was handed out."""
    answer = citations.verify(
        [Sentence(text="Kim lives in Oslo [mem-9].", citations=[9])],
        [evidence(1, "Kim lives in Oslo")],
        None,
        strict=False,
    )
    assert answer.refused and "mem-9" not in answer.marked


def test_names_numbers_and_quotations_must_stand_in_what_is_cited() -> None:
    """Each of them alone makes a sentence unsupported."""
    found = [evidence(1, 'Kim said "see you" and paid 12 euros')]
    for text in ("Then Alex paid 12 euros.", "Kim paid 13 euros.", 'Kim said "never again".'):
        answer = citations.verify([Sentence(text=text, citations=[1])], found, None, strict=False)
        assert not answer.grounded, text
    said = citations.verify(
        [Sentence(text='Kim paid 12 euros and said "see you".', citations=[1])], found, None, strict=True
    )
    assert said.grounded and not said.refused


def test_the_hash_of_an_answer_depends_on_all_it_covers() -> None:
    """Answer, evidence and its order; the form is canonical."""
    one = {"memory_id": "a", "decision": "x", "valid_from": "f", "valid_to": None, "cited": True}
    two = {**one, "memory_id": "b"}
    hashes = {
        citations.answer_hash("a", [one, two]),
        citations.answer_hash("a", [two, one]),
        citations.answer_hash("b", [one, two]),
        citations.answer_hash("a", [{**one, "cited": False}, two]),
    }
    assert len(hashes) == 4
    assert citations.answer_hash("a", [dict(reversed(one.items())), two]) in hashes
