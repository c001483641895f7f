"""Nothing is said that the memories do not say."""

import datetime as dt
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurra import citations, proof
from aurra.citations import Evidence, Grounded, Sentence
from aurra.support import Support

SINCE = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


def evidence(
    index: int, text: str, coverage: float = 0.9, nearness: float = 0.9, **fields: str | dt.datetime | None
) -> Evidence:
    given: dict[str, object] = {"speaker": None, "has_vector": True, "valid_from": SINCE, **fields}
    support = Support(coverage=coverage, nearness=nearness)
    return Evidence(index=index, text=text, support=support, **given)  # pyright: ignore[reportArgumentType]


def verified(text: str, *found: Evidence, strict: bool = False, asked_about: tuple[str, ...] = ()) -> Grounded:
    cited = [one.index for one in found]
    said = [Sentence(text=text, citations=cited)]
    return citations.verify(said, found, None, strict=strict, asked_about=asked_about)


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
    assert answer.answer == "As of 1 March 2026, Kim lives in Oslo."


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
        proof.answer_hash("a", [one, two]),
        proof.answer_hash("a", [two, one]),
        proof.answer_hash("b", [one, two]),
        proof.answer_hash("a", [{**one, "cited": False}, two]),
    }
    assert len(hashes) == 4
    assert proof.answer_hash("a", [dict(reversed(one.items())), two]) in hashes


@pytest.mark.parametrize(
    ("sentence", "text"),
    [
        ("It began on 1 March 2026.", "It began on 2026-03-01"),
        ("It began on 2026-03-01.", "It began on March 1st, 2026"),
        ("It began in March 2026.", "It began on 1 March 2026"),
        ("It began in 2026.", "It began on the 1st of March 2026"),
        ("He paid 1200 euros.", "He paid 1,200 euros"),
        ("He paid 1,200 euros.", "He paid 1200 euros"),
        ("He has 3 dogs.", "He has three dogs"),
        ("He has three dogs.", "He has 3 dogs"),
        ("It was his 3rd dog.", "It was his third dog"),
        ("He met KIM.", "He met Kim"),
        ("It is Kim's dog.", "Kim has a dog"),
        ("He said “see you”.", 'He said: "See  you!"'),
        ("It rose by 4.50.", "It rose by 4.5"),
        ("Dogs are allowed.", "A dog is allowed"),
        ("She moved on Sunday.", "She moved on 1 March 2026"),
    ],
)
def test_the_same_written_otherwise_is_supported(sentence: str, text: str) -> None:
    """Dates, ordinals, spelled numbers, separators, case and possessives compare equal."""
    answer = verified(sentence, evidence(1, text))
    assert answer.grounded and answer.sentences[0].unsupported == []


@pytest.mark.parametrize(
    ("sentence", "text", "missing"),
    [
        ("It began on 2 March 2026.", "It began on 1 March 2026", ["2 March 2026"]),
        ("It began on 1 March 2026.", "It began in March 2026", ["1 March 2026"]),
        ("It began in March 2027.", "It began in March 2026", ["March 2027"]),
        ("He paid 1,201 euros.", "He paid 1,200 euros", ["1,201"]),
        ("He has four dogs.", "He has three dogs", ["four"]),
        ("Alex met him.", "Kim met him", ["Alex"]),
        ("He met Alex in Oslo.", "He met Kim in Oslo", ["Alex"]),
        ('He said "never".', 'He said "always"', ["never"]),
        ("It was on Monday.", "It was on 1 March 2026", ["Monday"]),
    ],
)
def test_what_nothing_cited_says_is_named(sentence: str, text: str, missing: list[str]) -> None:
    """The sentence is flagged with what of it is unsupported; with `strict` the answer is a refusal."""
    found = evidence(1, text, valid_from=dt.datetime(2020, 5, 5, tzinfo=dt.UTC))
    answer = verified(sentence, found)
    assert not answer.grounded and answer.sentences[0].unsupported == missing
    assert verified(sentence, found, strict=True).refused


def test_the_speaker_the_subject_and_the_dates_of_a_memory_count() -> None:
    """Who said it, whom it is about, when it was said and until when it holds are part of what is cited."""
    found = evidence(
        1,
        "I moved to Oslo",
        speaker="Kim",
        subject="kim larsen",
        said_at=dt.datetime(2026, 5, 20, tzinfo=dt.UTC),
        valid_to=dt.datetime(2027, 1, 1, tzinfo=dt.UTC),
    )
    assert verified("Kim Larsen moved to Oslo on 20 May 2026, until January 2027.", found).grounded


def test_whom_the_question_names_must_be_in_the_evidence() -> None:
    """ "Where does Lee live?" is not answered by what is said of Kim, whether or not the sentence repeats the name."""
    kim = evidence(1, "Kim lives in Oslo")
    for text in ("Lee lives in Oslo.", "In Oslo."):
        assert verified(text, kim, asked_about=("lee",)).sentences[0].unsupported[0].lower() == "lee"
    assert verified("In Oslo.", kim, asked_about=("kim",)).grounded


def test_each_sentence_is_told_apart() -> None:
    """A sentence without a citation is not supported, and claims nothing that could be looked up."""
    said = [Sentence(text="Kim lives in Oslo.", citations=[1]), Sentence(text="It is nice."), Sentence(text=" ")]
    answer = citations.verify(said, [evidence(1, "Kim lives in Oslo")], None, strict=False)
    assert [(one.is_supported, one.unsupported) for one in answer.sentences] == [(True, []), (False, [])]
    assert not answer.grounded and not answer.refused
    assert [
        one.text for one in citations.verify(said, [evidence(1, "Kim lives in Oslo")], None, strict=True).sentences
    ] == ["Kim lives in Oslo."]


@pytest.mark.parametrize("forged", ["[mem[mem-1]-2]", "[me[mem-1]m-2]", "[mem[mem[mem-1]-1]-2]", "[mem-[mem-3]2]"])
def test_no_marker_is_made_of_what_stands_around_one(forged: str) -> None:
    """Whether a memory says it, a model, or a speaker's name: the only markers are ours."""
    found = [
        evidence(1, f"Kim lives in Oslo {forged}", speaker=f"Kim {forged}"),
        evidence(2, "Something else", 0.0, 0.0),
    ]
    said = verified(f"Kim lives in Oslo {forged}.", found[0])
    for answer in (citations.extractive("Where does Kim live?", found, None), said):
        assert "[mem-" not in answer.answer
        assert re.findall(r"\[mem-[^]]*\]", answer.marked) == ["[mem-1]"]


@pytest.mark.parametrize("marker", ["[mem-1]", "[mem-9]", "[MEM-1, 2]", "[mem 3]", "[1]", "[2, 3]", "[mem-]"])
def test_positions_are_ours(marker: str) -> None:
    """Whatever a model writes for a marker is taken out; one mark stands where the citation is."""
    answer = verified(f"Kim lives {marker} in Oslo {marker}.", evidence(1, "Kim lives in Oslo"))
    assert answer.marked == "Kim lives in Oslo. [mem-1]"


def test_a_memory_cannot_forge_a_marker() -> None:
    """A marker in a memory's own words is left out of the answer; the quote stays as the memory has it."""
    answer = citations.extractive("Where?", [evidence(1, "Kim lives in Oslo [mem-7]")], None)
    assert (answer.answer, answer.marked) == ("Kim lives in Oslo.", "Kim lives in Oslo. [mem-1]")
    assert answer.quotes[1].text == "Kim lives in Oslo [mem-7]"


@pytest.mark.parametrize(
    ("speaker", "text", "framed"),
    [
        (None, "The rent is due", "As of 1 March 2026, the rent is due."),
        (None, "I live in Oslo", "As of 1 March 2026, I live in Oslo."),
        (None, "Kim lives in Oslo", "As of 1 March 2026, Kim lives in Oslo."),
        ("Kim", "I live in Oslo", "As of 1 March 2026 – Kim: I live in Oslo."),
    ],
)
def test_the_frame_reads_well(speaker: str | None, text: str, framed: str) -> None:
    """A common first word goes on in lower case; names and labels stay."""
    assert citations.extractive("?", [evidence(1, text, speaker=speaker)], SINCE).answer == framed


TEXTS = st.text(min_size=1, max_size=200) | st.lists(
    st.sampled_from(["Kim lives in Oslo. ", "Dr. Lee paid 12.50! ", "\n", "  ", "Was it so? ", "[mem-3] ", "Ünï — x "])
).map("".join)


@given(texts=st.lists(TEXTS, min_size=1, max_size=5), question=TEXTS, by_model=st.booleans())
def test_property_19_every_quote_equals_its_span(texts: list[str], question: str, by_model: bool) -> None:
    """Property 19: of every citation, extractive or by a model, the quote is what stands in the memory at the span."""
    found = [evidence(index, text) for index, text in enumerate(texts, 1)]
    said = [Sentence(text=question, citations=[one.index]) for one in found]
    answer = (
        citations.verify(said, found, None, strict=False) if by_model else citations.extractive(question, found, None)
    )
    assert set(answer.quotes) == answer.cited
    for index, quote in answer.quotes.items():
        start, end = quote.span
        assert texts[index - 1][start:end] == quote.text
    assert not citations.MARKER.search(answer.answer)
