"""What takes the place of what: the rules that need no model, and the check of a model's verdicts."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurra import superseding
from aurra.superseding import Candidate, Decision, Proposal, Statement

OLD, OTHER = UUID(int=1), UUID(int=2)


def judged(new: str, old: str, who: str | None = None) -> Proposal:
    """The verdict of the rules."""
    candidate = Candidate(memory=OLD, says=Statement(text=old, who=who))
    [proposal] = superseding.by_rules(Statement(text=new, who=who), [candidate])
    return proposal


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Kim lives in Oslo", "Kim lives in Rome"),
        ("Kim lives in New York.", "Kim now lives in New Orleans"),
        ("Kim works for Acme", "Kim works for Initech"),
        ("The limit is 50 requests", "The limit is 60 requests"),
        ("The limit is 1000 requests a day", "The limit is 2000 requests a day"),
        ("Acme pays 120 euros a month", "Acme pays 110 euros a month"),
        ("Kim has 2 children", "Kim has 3 children"),
        ("Kim's favourite colour is blue", "Kim's favourite colour is green"),
        ("Kim reports to Ann", "Kim reports to Bob"),
        ("Kim's email is kim@a.example", "Kim's email is kim@b.example"),
        ("Kim is engaged to Lee", "Kim is married to Lee"),
        ("Kim is vegetarian", "Kim is now vegan"),
        ("The feature flag is enabled", "The feature flag is disabled"),
        ("Acme is on the starter plan", "Acme is on the pro plan"),
        ("The office network is called Elm", "The office network is called Oak"),
        ("Support closes at 17:00", "Support closes at 19:00"),
        ("Kim wakes up at 6:30am", "Kim wakes up at 5:45am"),
    ],
)
def test_another_value_of_one_state_supersedes(old: str, new: str) -> None:
    """One value differs, and the state has one at a time; sure enough for the lowest `min_confidence`, and no more."""
    proposal = judged(new, old)
    assert proposal.verdict == "supersedes" and 0.85 <= proposal.confidence <= 0.9


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Kim visited Oslo", "Kim visited Rome"),
        ("Kim bought 2 boats", "Kim bought 3 boats"),
        ("Kim lived in Oslo", "Kim lived in Rome"),
        ("Kim will live in Oslo", "Kim will live in Rome"),
        ("Kim used to live in Oslo", "Kim used to live in Rome"),
        ("Kim likes tea", "Kim likes coffee"),
        ("Kim speaks French", "Kim speaks German"),
        ("Kim owns a boat", "Kim owns a car"),
        ("Kim is a teacher", "Kim is a mother"),
        ("Kim lives in Oslo and Rome", "Kim lives in Bonn"),
        ("Kim also lives in Oslo", "Kim also lives in Rome"),
        ("Kim sometimes lives in Oslo", "Kim sometimes lives in Rome"),
        ("Kim does not live in Oslo", "Kim does not live in Rome"),
        ("Kim doesn't live in Oslo", "Kim doesn't live in Rome"),
        ("Kim lives in Oslo in summer", "Kim lives in Oslo in winter"),
        ("Kim lives in Oslo until June", "Kim lives in Rome until June"),
        ("In 2019 the limit is 50", "In 2020 the limit is 50"),
        ("The limit for writes is 50", "The limit for reads is 60"),
        ("The limit of plan A is 50", "The limit of plan B is 50"),
        ("Room 4 is 20 metres wide", "Room 5 is 20 metres wide"),
        ("Kim lives in Oslo", "Bob lives in Oslo"),
        ("Kim's brother lives in Oslo", "Kim's sister lives in Rome"),
        ("He lives in Oslo", "He lives in Rome"),
        ("I live in Oslo", "I live in Rome"),
        ("My name is Kim", "My name is Bob"),
        ("The meeting is on Monday", "The meeting is on Tuesday"),
        ("Kim lives in Oslo", "The invoice is due on Friday"),
        ("Kim is vegan", "Kim is married"),
        ("Kim is tall", "Kim is married"),
        ("The shop is open on Monday", "The shop is closed on Sunday"),
        ("Kim is on the train", "Kim is on the board"),
        ("The bus leaves at 17:00", "The bus leaves at 18:00"),
        ("Kim scored in game 5", "Kim scored in game 6"),
    ],
)
def test_what_can_both_be_true_is_independent(old: str, new: str) -> None:
    """Events, likes, other times, other subjects, unnamed ones, negations."""
    assert judged(new, old).verdict == "independent"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("The order has 3 items", "The order has 5 items"),
        ("Kim prefers tea", "Kim prefers coffee"),
        ("The train leaves from platform 4", "The train leaves from platform 11"),
        ("The database runs on Postgres 15", "The database runs on Postgres 18"),
        ("Kim's sister lives in Oslo", "Kim's sister lives in Rome"),
    ],
)
def test_what_may_be_another_thing_is_for_a_person(old: str, new: str) -> None:
    """Under every `min_confidence` that can be set."""
    proposal = judged(new, old)
    assert proposal.verdict == "supersedes" and proposal.confidence < 0.85


def test_i_is_a_known_speaker_or_nobody() -> None:
    """The label of the speaker belongs to the words around."""
    assert judged("Kim: I live in Rome", "Kim: I live in Oslo", "kim").verdict == "supersedes"
    assert judged("I live in Rome", "I live in Oslo", "kim").verdict == "supersedes"
    two = superseding.by_rules(
        Statement(text="I live in Rome", who="kim"),
        [Candidate(memory=OLD, says=Statement(text="I live in Oslo", who="bob"))],
    )
    assert two[0].verdict == "independent"


def test_the_same_and_more_are_told_apart() -> None:
    """Equal words are a duplicate, more words a refinement: neither ends anything."""
    assert judged("Kim lives in Oslo.", "Kim lives in Oslo").verdict == "duplicate"
    assert judged("Kim lives in Oslo with Bob", "Kim lives in Oslo").verdict == "refines"


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_two_texts_have_a_verdict(new: str, old: str) -> None:
    """Of the four, with a confidence from 0 to 1 and a reason that quotes nothing."""
    proposal = judged(new, old)
    assert proposal.verdict in superseding.VERDICTS and 0 <= proposal.confidence <= 1 and proposal.reasoning


def test_categories_compare_by_letters_alone() -> None:
    """Both sides in lower case, all but letters and digits as one `_`."""
    assert superseding.category("  Health / Medical ") == superseding.category("health_medical") == "health_medical"


def test_slots_and_subjects_keep_apart() -> None:
    """Two slots never meet here; nor do two subjects; nor what is in an excluded category."""
    nothing: frozenset[str] = frozenset()
    city = Statement(text="x", subject="kim", attribute="city")
    assert not superseding.competes(city, Statement(text="x", subject="kim", attribute="job"), nothing)
    assert not superseding.competes(city, city, nothing)
    assert superseding.competes(city, Statement(text="x", subject="kim"), nothing)
    assert not superseding.competes(city, Statement(text="x", subject="bob"), nothing)
    assert superseding.competes(city, Statement(text="x"), nothing)
    assert not superseding.competes(city, Statement(text="x", topic="Legal-Status"), frozenset({"legal_status"}))


def test_of_a_model_only_what_was_handed_out_counts() -> None:
    """Numbers, verdicts and confidences out of range are dropped or clamped; the first verdict on a pair stands."""
    pairs = [
        (Statement(text="a"), [Candidate(memory=OLD, says=Statement(text="b"))]),
        (Statement(text="c"), [Candidate(memory=OTHER, says=Statement(text="d"))]),
    ]

    def decision(new: int, old: int, verdict: str = "supersedes", confidence: float = 0.9) -> Decision:
        return Decision(new=new, old=old, verdict=verdict, confidence=confidence, reasoning=" why\n" * 200)

    decisions = [
        decision(0, 1),
        decision(0, -1),
        decision(2, 0),
        decision(-1, 0),
        decision(0, 0, "obliterates"),
        decision(0, 0, confidence=7),
        decision(0, 0, "independent"),
        decision(1, 0, confidence=float("nan")),
    ]
    first, second = superseding.checked(pairs, decisions, "m")
    assert [(one.memory, one.verdict, one.confidence) for one in first] == [(OLD, "supersedes", 1.0)]
    assert [(one.memory, one.confidence, one.text) for one in second] == [(OTHER, 0.0, "d")]
    assert len(first[0].reasoning) <= 300 and "\n" not in first[0].reasoning
