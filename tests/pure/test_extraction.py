"""Facts from conversations by rules, and the check of what a model proposes."""

from hypothesis import given
from hypothesis import strategies as st

from aurra import extraction
from aurra.drafts import Turn
from aurra.extraction import Proposed


def turn(text: str, name: str | None = None, role: str = "user") -> Turn:
    return Turn(session_id="s", position=0, message_id=None, role=role, name=name, text=text, said_at=None)


def test_sentences_that_state_something_become_facts_with_their_speaker() -> None:
    """Greetings, thanks and questions are dropped; the rest is kept as said."""
    facts = extraction.by_rules(
        [
            turn("Hey! How are you? I adopted a dog from the shelter. Thanks so much!", "Ann"),
            turn("Sounds good.", "Bob"),
        ]
    )
    assert [fact.text for fact in facts] == ["Ann: I adopted a dog from the shelter."]


def test_the_stop_of_an_abbreviation_ends_no_sentence() -> None:
    """Titles, initials and times of day are followed by the rest of their sentence."""
    text = "I met Dr. Smith at 9:30 a.m. from Gate 4. J. Doe came along later."
    assert [text[start:end] for start, end in extraction.sentences(text)] == [
        "I met Dr. Smith at 9:30 a.m. from Gate 4.",
        "J. Doe came along later.",
    ]


def test_what_systems_and_tools_say_is_no_fact() -> None:
    """Instructions of a system and output of tools are not the conversation's."""
    assert extraction.by_rules([turn("You are a helpful assistant for Ann.", role="system")]) == []


def test_small_talk_gives_nothing() -> None:
    """A dialog of acknowledgements has no facts."""
    assert extraction.by_rules([turn("Hi there!"), turn("ok thanks"), turn("See you tomorrow!"), turn("???")]) == []


@given(st.text(max_size=300))
def test_every_fact_is_its_span_of_the_turn(text: str) -> None:
    """The span of a fact is exactly its sentence, whatever the text."""
    for fact in extraction.by_rules([turn(text)]):
        start, end = fact.span
        assert text[start:end] == fact.text


@given(st.text(max_size=300))
def test_sentences_do_not_overlap_and_leave_out_nothing_but_space_and_stops(text: str) -> None:
    """Spans ascend; what lies between them is white space and sentence ends."""
    at = 0
    for start, end in extraction.sentences(text):
        assert at <= start < end
        assert not any(character.isalnum() for character in text[at:start])
        at = end
    assert not any(character.isalnum() for character in text[at:])


def test_a_quote_is_found_whatever_its_case_and_spaces() -> None:
    """White space and case apart, the words must stand there adjacent and in order."""
    assert extraction.find_quote(extraction.flatten("I  moved\nto Oslo."), "i moved to oslo") == (0, 16)
    assert extraction.find_quote(extraction.flatten("I moved to Oslo."), "moved Oslo") is None
    assert extraction.find_quote(extraction.flatten("I moved to Oslo."), "  ") is None


def test_a_slot_needs_both_subject_and_attribute() -> None:
    """Half a slot is none; importance is kept inside its range."""
    proposed = Proposed(fact="Kim moved", turn=0, quote="I moved", subject="kim", attribute=" ", importance=99)
    (fact,) = extraction.check([turn("I moved to Oslo.")], [proposed])
    assert fact.subject is None and fact.attribute is None and fact.importance == 10
