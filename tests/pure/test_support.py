"""What answers a question, and what is only near to it."""

import datetime as dt
from collections.abc import Mapping
from uuid import UUID

import pytest

from aurra import periods, support
from aurra.ranking import Candidate, Corpus
from aurra.support import Asked

NOW = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)
CORPUS = Corpus(pieces=20, mean_length=5.0, frequencies={"kim": 8, "live": 2, "oslo": 1})


def candidate(
    text: str,
    *,
    lexemes: Mapping[str, int] | None = None,
    speaker: str | None = None,
    subject: str | None = None,
    session_id: str | None = None,
    turn: int = 1,
    dated: dt.datetime = NOW,
    similarity: float | None = 0.5,
) -> Candidate:
    return Candidate(
        version=UUID(int=turn),
        session_id=session_id,
        turn=turn,
        speaker=speaker,
        subject=subject,
        text=text,
        dated=dated,
        length=4,
        lexemes=lexemes or {},
        similarity=similarity,
    )


def asked(question: str, *candidates: Candidate, corpus: Corpus = CORPUS) -> Asked:
    return Asked(question, candidates, corpus, NOW)


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("Where does Lee live?", {"lee"}),
        ("where does lee live", {"lee"}),
        ("Where is Lee's flat?", {"lee"}),
        ("Who is Lee married to?", {"lee"}),
        ("When was lee born?", {"lee"}),
        ("What did Dr. Smith say to kim?", {"kim"}),
        ("Where do you live?", set[str]()),
        ("What did the doctor say?", set[str]()),
        ("What did I buy at Target?", set[str]()),
        ("Who is allowed to enter?", set[str]()),
    ],
)
def test_whom_a_question_names(question: str, names: set[str]) -> None:
    """Known names, the subject of the question, and who owns what is asked; pronouns and places are nobody."""
    assert support.named(question, ["kim"]) == names


@pytest.mark.parametrize("question", ["Where does Lee live?", "where does lee live"])
def test_of_whom_nothing_is_stored_nothing_is_answered(question: str) -> None:
    """A name that no memory has: whatever is near is about somebody else."""
    kim = candidate("Kim lives in Oslo", lexemes={"live": 1}, similarity=0.9)
    corpus = Corpus(pieces=1, mean_length=3.0, frequencies={"lee": 0, "live": 1})
    question_ = asked(question, kim, corpus=corpus)
    assert question_.is_about_others()
    assert question_.support(kim).total == 0


def test_of_two_who_talk_the_one_who_said_it_is_meant() -> None:
    """The question names Kim, and Alva said it: it is about somebody else; asked of Alva it is not."""
    hers = candidate("I live in Oslo now.", lexemes={"live": 1, "oslo": 1}, speaker="Alva", session_id="a", turn=1)
    his = candidate("That is nice.", speaker="Kim", session_id="a", turn=2, similarity=0.2)
    assert asked("Does Kim live in Oslo?", hers, his).is_about_others()
    corpus = Corpus(pieces=20, mean_length=5.0, frequencies={"alva": 8, "live": 2, "oslo": 1})
    assert not asked("Does Alva live in Oslo?", hers, his, corpus=corpus).is_about_others()


def test_what_others_say_elsewhere_decides_nothing() -> None:
    """Only those who talk with the one named are weighed against them: other subjects live somewhere too."""
    hers = candidate("Alva lives in Oslo", lexemes={"live": 1, "oslo": 1}, subject="alva", similarity=0.9)
    his = candidate("Kim's home is Rome", lexemes={"kim": 1}, subject="kim", similarity=0.3)
    question = asked("Does Kim live in Oslo?", hers, his)
    assert not question.is_about_others()
    assert question.support(hers).total == 0


def test_who_asks_says_nothing() -> None:
    """A question of the person named is no statement of theirs."""
    his = candidate("Do you live in Oslo?", lexemes={"live": 1, "oslo": 1}, speaker="Kim", session_id="a", turn=1)
    hers = candidate("Yes, I live here.", lexemes={"live": 1}, speaker="Alva", session_id="a", turn=2)
    assert asked("Does Kim live in Oslo?", his, hers).is_about_others()


def test_names_are_no_information() -> None:
    """That a memory is about the one named says nothing yet; where only a name is asked, it is all."""
    kim = candidate("Kim likes tea", lexemes={"kim": 1}, subject="kim")
    assert asked("Does Kim live in Oslo?", kim).support(kim).coverage == 0
    only = Corpus(pieces=20, mean_length=5.0, frequencies={"kim": 8})
    assert asked("Who is Kim?", kim, corpus=only).support(kim).coverage == 1


def test_an_answer_has_the_words_of_the_question_before_it() -> None:
    """ "Yes, twice." covers what was asked just before."""
    before = candidate("Did you live in Oslo?", lexemes={"live": 1, "oslo": 1}, session_id="a", turn=1)
    reply = candidate("Yes, twice.", session_id="a", turn=2)
    corpus = Corpus(pieces=20, mean_length=5.0, frequencies={"live": 2, "oslo": 1})
    assert asked("Who lived in Oslo?", before, reply, corpus=corpus).support(reply).coverage == 1


@pytest.mark.parametrize(
    ("question", "start", "end"),
    [
        ("Where did Kim live in 2024?", (2024, 1, 1), (2025, 1, 1)),
        ("where did kim live in march 2024?", (2024, 3, 1), (2024, 4, 1)),
        ("What was said on 2024-02-29?", (2024, 2, 29), (2024, 3, 1)),
        ("What did Kim do in December?", (2025, 12, 1), (2026, 1, 1)),
        ("What did Kim do in November?", (2026, 11, 1), (2026, 12, 1)),
    ],
)
def test_the_time_that_a_question_asks_about(
    question: str, start: tuple[int, int, int], end: tuple[int, int, int]
) -> None:
    """A year, a month, a day; a month alone is the latest that has begun."""
    period = periods.asked(question, NOW)
    assert period is not None
    assert (period.start, period.end) == (dt.datetime(*start, tzinfo=dt.UTC), dt.datetime(*end, tzinfo=dt.UTC))


@pytest.mark.parametrize(
    "question", ["Where does April live?", "May I ask?", "Where is Kim?", "What on 30 February 2024?"]
)
def test_no_time_is_asked_about(question: str) -> None:
    """Names, modal verbs and days that never were."""
    assert periods.asked(question, NOW) is None


@pytest.mark.parametrize(
    ("text", "dated", "ended", "session_id", "speaks"),
    [
        ("Kim lives in Rome", (2025, 3, 1), None, None, False),
        ("Kim lives in Rome", (2024, 3, 1), None, None, True),
        ("Kim lives in Rome", (2020, 3, 1), None, None, True),
        ("Kim lives in Rome", (2020, 3, 1), (2023, 5, 1), None, False),
        ("Kim lived in Rome in 2024", (2025, 3, 1), None, None, True),
        ("I live in Rome", (2025, 6, 1), None, "s", False),
        ("I just moved to Rome", (2025, 1, 20), None, "s", True),
        ("I moved to Rome last summer", (2025, 6, 1), None, "s", True),
    ],
)
def test_what_is_of_another_time_supports_nothing(
    text: str, dated: tuple[int, int, int], ended: tuple[int, int, int] | None, session_id: str | None, speaks: bool
) -> None:
    """Asked about 2024: what began later or ended before is no evidence, unless it names the year; what was said soon
    after, or looks back, may be."""
    one = candidate(text, lexemes={"live": 1}, session_id=session_id, dated=dt.datetime(*dated, tzinfo=dt.UTC))
    until = ended and dt.datetime(*ended, tzinfo=dt.UTC)
    corpus = Corpus(pieces=9, mean_length=5.0, frequencies={"live": 2})
    assert (Asked("Who lived there in 2024?", [one], corpus, NOW).support(one, until).coverage > 0) is speaks
