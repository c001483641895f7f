"""The laws of ranking."""

import datetime as dt
from random import Random
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurra import ranking
from aurra.ranking import CHAT, DIALOG, MENTIONED, Candidate, Corpus, Ranked, rank

DAY = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
CORPUS = Corpus(pieces=100, mean_length=10.0, frequencies={"oslo": 2, "kim": 40, "unicorn": 0})


def candidate(number: int = 1, text: str = "It is so.", **fields: Any) -> Candidate:
    """A piece of nobody, outside sessions, with no match."""
    plain: dict[str, Any] = {
        "version": UUID(int=number),
        "session_id": None,
        "turn": number,
        "speaker": None,
        "subject": None,
        "text": text,
        "dated": DAY,
        "length": 10,
        "lexemes": {},
        "similarity": None,
    }
    return Candidate(**{**plain, **fields})


def one(question: str, *candidates: Candidate, number: int = 1) -> Ranked:
    """What became of the candidate of that number."""
    return next(found for found in rank(question, candidates, CORPUS) if found.candidate.version.int == number)


@st.composite
def fields(draw: st.DrawFn) -> list[Candidate]:
    """Candidates of a few sessions, no two at one place, with and without vectors."""
    has_vectors = draw(st.booleans())
    return [
        candidate(
            number,
            draw(st.sampled_from(["Kim?", "Last week.", "Kim went to Oslo.", "No idea"])),
            session_id=draw(st.sampled_from([None, "a", "b"])),
            speaker=draw(st.sampled_from([None, "Kim", "Alva"])),
            length=draw(st.integers(1, 40)),
            lexemes=draw(st.dictionaries(st.sampled_from(["oslo", "kim"]), st.integers(1, 4))),
            similarity=draw(st.none() | st.floats(-1, 1)) if has_vectors else None,
        )
        for number in range(1, draw(st.integers(0, 12)) + 1)
    ]


@given(fields(), st.randoms())
def test_the_order_of_the_candidates_does_not_matter(candidates: list[Candidate], random: Random) -> None:
    """The ranking is a function of the set: a replay ranks alike, whatever order the rows come in."""
    shuffled = list(candidates)
    random.shuffle(shuffled)
    assert rank("When was Kim in Oslo?", candidates, CORPUS) == rank("When was Kim in Oslo?", shuffled, CORPUS)


@given(fields())
def test_the_shares_of_the_signals_sum_to_the_score(candidates: list[Candidate]) -> None:
    """`explain` hides nothing; similarity and coverage lie between 0 and 1."""
    for found in rank("When was Kim in Oslo in March 2026?", candidates, CORPUS):
        assert found.score == pytest.approx(sum(found.signals.values()), abs=1e-5)
        assert 0 <= found.similarity <= 1
        assert 0 <= found.coverage <= 1


@given(fields(), st.integers(1, 12))
def test_a_limit_takes_the_first(candidates: list[Candidate], limit: int) -> None:
    """With a limit come the best of the same ranking; without one come all."""
    every = rank("Kim in Oslo", candidates, CORPUS)
    assert len(every) == len(candidates)
    assert rank("Kim in Oslo", candidates, CORPUS, limit=limit) == every[:limit]


@given(fields())
def test_to_match_more_never_ranks_lower(candidates: list[Candidate]) -> None:
    """A twin that has one more of the question's words, or lies nearer, comes no later; all else is equal."""
    best = candidate(100, lexemes={"oslo": 4, "kim": 4}, length=1, similarity=1.0)
    poor = candidate(101, lexemes={"kim": 1})
    wordy = candidate(102, lexemes={"kim": 1, "oslo": 1})
    near = candidate(103, lexemes={"kim": 1}, similarity=0.9)
    far = candidate(104, lexemes={"kim": 1}, similarity=0.1)
    order = [found.candidate.version.int for found in rank("oslo", [*candidates, best, poor, wordy, near, far], CORPUS)]
    assert order.index(102) < order.index(101)
    assert order.index(103) < order.index(104)


def test_nothing_is_ranked_as_nothing() -> None:
    """No candidates, no result; also where nothing is known of the corpus."""
    assert rank("Where is Kim?", [], CORPUS) == []
    assert rank("", [], Corpus(pieces=0, mean_length=0.0, frequencies={})) == []


def test_candidates_without_any_match_are_still_ranked() -> None:
    """No words in common and no vectors: all score 0, and come in the order of their ids."""
    found = rank(
        "xyzzy", [candidate(number) for number in (3, 1, 2)], Corpus(pieces=3, mean_length=0.0, frequencies={})
    )
    assert [one.candidate.version.int for one in found] == [1, 2, 3]
    assert {one.score for one in found} == {0.0}


def test_without_vectors_words_weigh_more() -> None:
    """The lexical pipeline alone has its own weight; no signal speaks of nearness."""
    found = one("oslo", candidate(lexemes={"oslo": 1}))
    assert found.signals["bm25"] == DIALOG.bm25_alone
    assert not {name for name in found.signals if name.startswith("dense")}
    assert one("oslo", candidate(lexemes={"oslo": 1}, similarity=0.5)).signals["bm25"] == DIALOG.bm25


def test_a_rare_word_counts_more_than_a_frequent_one() -> None:
    """Inverse document frequency."""
    order = rank("kim oslo", [candidate(1, lexemes={"kim": 1}), candidate(2, lexemes={"oslo": 1})], CORPUS)
    assert order[0].candidate.version.int == 2


def test_an_answer_inherits_the_match_of_its_question() -> None:
    """After a turn that asks, the next one gets its share although it has none of the words; elsewhere, less."""
    for before, share in (("Were you in Oslo?", 2.4), ("I was in Oslo.", 0.6)):
        asked = candidate(1, before, session_id="a", lexemes={"oslo": 1})
        reply = candidate(2, "Yes, twice.", session_id="a")
        assert one("oslo", asked, reply, number=2).signals["previous"] == pytest.approx(share)


def test_only_adjacent_turns_of_one_session_are_neighbours() -> None:
    """Another session, no session, or a turn in between: nothing is inherited."""
    asked = candidate(1, "Were you in Oslo?", session_id="a", lexemes={"oslo": 1})
    for other in (
        candidate(2, session_id="b"),
        candidate(2, session_id=None),
        candidate(3, session_id="a"),
    ):
        assert "previous" not in one("oslo", asked, other, number=other.version.int).signals


def test_a_piece_outside_sessions_is_its_own() -> None:
    """A lone fact that matches best is not outranked by the bonus of a session that matches half."""
    lone = candidate(1, lexemes={"oslo": 1, "kim": 1})
    talk = [candidate(number, session_id="a", lexemes={"oslo": 1}, length=30) for number in (2, 3, 4)]
    assert rank("kim oslo", [*talk, lone], CORPUS)[0].candidate == lone


def test_the_month_asked_for_is_preferred() -> None:
    """March 2026: both count whole, the year alone half."""
    question = "What happened in March 2026?"
    assert one(question, candidate(dated=DAY)).signals["date"] == DIALOG.date
    assert "date" not in one(question, candidate(dated=DAY.replace(month=4))).signals
    assert one("What happened in 2026?", candidate(dated=DAY)).signals["date"] == DIALOG.date / 2


def test_who_asks_when_is_told_of_times() -> None:
    """Only a question for a time prefers texts that speak of one."""
    assert one("When was it?", candidate(text="It was Last Week")).signals["when"] == DIALOG.when
    assert "when" not in one("When was it?", candidate(text="It was lastly nice")).signals
    assert "when" not in one("Who was it?", candidate(text="It was last week")).signals


@pytest.mark.parametrize(
    ("speaker", "subject", "text", "coverage"),
    [
        ("Kim", None, "I was there.", 1.0),
        ("Alva", "kim", "She was there.", 1.0),
        (None, None, "Somebody was there.", 1.0),
        ("Alva", None, "Kim was there.", MENTIONED),
        ("Alva", None, "I was there.", 0.0),
    ],
)
def test_what_another_person_says_of_themselves_supports_nothing(
    speaker: str | None, subject: str | None, text: str, coverage: float
) -> None:
    """The question names Kim: pieces by, about or of nobody count whole, a mention in part, others not."""
    known = candidate(9, speaker="Kim")
    asked = candidate(1, text, speaker=speaker, subject=subject, lexemes={"oslo": 1, "kim": 1, "unicorn": 1})
    assert one("Did Kim see a unicorn in Oslo?", asked, known).coverage == pytest.approx(coverage)


def test_a_word_that_nothing_has_is_not_covered() -> None:
    """Information that the memories lack counts: a memory with all the other words covers less than half."""
    assert one("kim oslo unicorn", candidate(lexemes={"kim": 1, "oslo": 1})).coverage < 0.5


def test_coverage_counts_the_question_that_is_answered() -> None:
    """ "Yes, twice." covers what was asked just before."""
    asked = candidate(1, "Were you in Oslo?", session_id="a", lexemes={"oslo": 1})
    reply = candidate(2, "Yes, twice.", session_id="a")
    corpus = msgspec.structs.replace(CORPUS, frequencies={"oslo": 2})
    assert rank("oslo", [asked, reply], corpus)[1].coverage == 1.0


@pytest.mark.parametrize(("text", "asks"), [("Is it?", True), ('Was it "so?") ', True), ("Why? Because.", False)])
def test_the_last_sentence_tells_whether_a_text_asks(text: str, asks: bool) -> None:
    """Closing quotes and brackets do not hide the mark."""
    assert ranking.ends_as_question(text) is asks


LONG_TEXTS = Corpus(pieces=100, mean_length=90.0, frequencies={"oslo": 2})


def in_chat(question: str, *candidates: Candidate) -> list[Ranked]:
    """The ranking where texts are long, as an assistant's are."""
    return rank(question, candidates, LONG_TEXTS)


def test_a_users_own_message_goes_before_the_assistants() -> None:
    """In a chat what the user says of themselves is asked for; words and vectors being equal, it is first."""
    words: dict[str, Any] = {"lexemes": {"oslo": 1}, "similarity": 0.5}
    told = candidate(1, "I moved to Oslo.", role="user", **words)
    echoed = candidate(2, "So you moved to Oslo.", role="assistant", **words)
    first, second = in_chat("Where did I move?", echoed, told)
    assert (first.candidate, second.candidate) == (told, echoed)
    assert first.signals["own"] == CHAT.own
    named = candidate(1, "I moved to Oslo.", role="user", speaker="Kim", **words)
    assert "own" not in in_chat("Where did I move?", named)[0].signals


def test_a_question_in_a_chat_is_no_worse_for_asking() -> None:
    """Users state their needs as questions; between people, named or not, a question is not the answer."""
    asked = candidate(text="Can you help me move to Oslo?", role="user")
    assert "is_question" not in in_chat("Oslo", asked)[0].signals
    assert one("Oslo", asked).signals["is_question"] == DIALOG.is_question
    assert one("Oslo", candidate(text="Can you help me move to Oslo?", speaker="Kim")).signals["is_question"] < 0


def test_long_texts_of_a_chat_are_not_preferred_for_their_length() -> None:
    """BM25 discounts the length of chat messages more than that of facts, which are all short."""
    short, long = (candidate(number, lexemes={"oslo": 1}, length=30 * number**2) for number in (1, 2))
    facts = in_chat("oslo", short, long)
    chat = in_chat("oslo", *(msgspec.structs.replace(text, role="user") for text in (short, long)))
    assert chat[1].signals["bm25"] < facts[1].signals["bm25"] < facts[0].signals["bm25"]
