"""Ranking of candidates: a weighted sum of normalised signals. Pure.

BM25 is computed exactly over the candidates' lexemes, with the tenant's document frequencies. Weighted scores are used
and not reciprocal ranks, which lost 4 to 9 points of recall when both were measured: a weak list gets an equal say.
"""

import datetime as dt
import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal
from uuid import UUID

import msgspec

from aurra.instants import MONTHS

Kind = Literal["fact", "dialog", "chat"]


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a piece before ranking."""

    version: UUID
    session_id: str | None
    turn: int
    """Its place in its session: neighbours differ by one."""
    speaker: str | None
    role: str | None = None
    """Of the turn, where the text is a whole turn as said; else None."""
    subject: str | None
    text: str
    dated: dt.datetime
    """When it was said, or since when it is true."""
    length: int
    """Distinct lexemes."""
    lexemes: Mapping[str, int]
    """The question's lexemes that it has, with their counts."""
    similarity: float | None
    """Cosine to the question; None without a vector."""


class Corpus(msgspec.Struct, frozen=True, kw_only=True):
    """What BM25 must know of everything that qualifies."""

    pieces: int
    mean_length: float
    frequencies: Mapping[str, int]
    """Pieces that have each lexeme of the question; 0 for one that nothing has."""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """How candidates of one kind of source are weighed. Beside each weight: recall@10 that is lost without it, on long
    two-person dialogs (`make bench-recall` measures each anew).

    Each multiplies something between 0 and 1: own scores are relative to the best candidate's. On the five development
    conversations of LoCoMo, a quarter more or less of any one of them moves recall@10 by 0.6 at most.
    """

    k1: float
    """BM25's term saturation."""
    b: float
    """BM25's length normalisation."""
    bm25: float
    bm25_alone: float
    """In its place where there are no vectors."""
    dense: float  # 2.8, all dense signals together
    previous: float  # 0.8 with `next`; 5 alone
    next: float
    answers: float  # 1.8: an answer inherits its question's match
    is_question: float
    session: float  # 3.4: mean of its session's three best; alone, a piece is its own session
    named: float  # 3.2
    date: float  # 0.4
    when: float  # 0.4; 2 on questions about time
    dense_next: float
    dense_session: float
    own: float
    """That the user said it, and not the assistant."""


DIALOG = Profile(
    k1=0.9,
    b=0.4,
    bm25=3.2,
    bm25_alone=4.2,
    dense=3.4,
    previous=0.6,
    next=0.7,
    answers=1.8,
    is_question=-0.6,
    session=4.3,
    named=2.7,
    date=2.4,
    when=2.4,
    dense_next=1.2,
    dense_session=2.0,
    own=0.0,
)
"""Turns of people who are named, and facts: short texts, which repeat little."""

CHAT = msgspec.structs.replace(DIALOG, k1=1.2, b=0.75, dense=4.5, answers=0.0, is_question=0.0, own=1.0)
"""Turns of a user and an assistant, mostly long. There meaning finds more than words do (message-level recall@10 on
assistant chats of 100,000 tokens: BM25 42.9, vectors 60.0), what the user says of themselves is what is asked for, and
that a turn asks says nothing against it. On short turns it would be wrong: with LoCoMo's names taken away, it finds 7
points less than `DIALOG`."""
LONG = 30.0
"""Distinct lexemes of the mean text, from which on turns without names are taken for a chat with an assistant. The mean
of LoCoMo's turns is 17; an assistant's answers alone have a hundred and more."""

PROFILES: dict[Kind, Profile] = {"fact": DIALOG, "dialog": DIALOG, "chat": CHAT}
"""The one table of weights."""

USERS = frozenset({"user", "human"})
"""Roles of whoever the assistant serves."""

MENTIONED = 0.5
"""How far a piece of somebody else supports an answer about a person whom it mentions.

Of 100 questions that name the wrong person, 19 are refused with it, 14 with 1.0 and 26 with 0.0, good answers being
equal on two-person dialogs; but 0.0 would lose what one person tells of another.
"""


class Ranked(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate's place: its score, the shares of the signals (they sum to it), and two measures of support."""

    candidate: Candidate
    score: float
    signals: dict[str, float]
    similarity: float
    """0…1: the cosine, or without vectors BM25 relative to the best."""
    coverage: float
    """0…1: share of the question's information (summed idf) that the text has, together with the turn before where that
    asks; comparable between questions. `MENTIONED` of that, or 0, where the question names somebody else."""


_CLOSING = " \t\n\"')]”’"
_WHEN = re.compile(r"\b(when|what (day|date|month|year|time)|how long|which (day|month|year))\b", re.IGNORECASE)
# The first letters stand before, so that most words are passed over at once: this is the dearest of the signals.
_TIME_WORDS = re.compile(
    r"\b(?=[adfjlmnostwy\d])(?:yesterday|today|tomorrow|tonight|ago|last|next|week(?:end)?s?|months?|years?|days?|since|"
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)day|january|february|march|april|june|july|august|september|october|"
    r"november|december|\d{4})\b"
)
_WORD = re.compile(r"\w+")
_BEST_OF_SESSION = 3


def kind_of(candidate: Candidate, corpus: Corpus) -> Kind:
    """What kind of source a candidate is: people talk in a dialog, by name or shortly; a user and an assistant chat."""
    if candidate.speaker is not None:
        return "dialog"
    if candidate.role is None:
        return "fact"
    return "chat" if corpus.mean_length >= LONG else "dialog"


def bm25(candidate: Candidate, corpus: Corpus, worth: Mapping[str, float]) -> float:
    """Okapi BM25 of the question in the candidate, as its profile has it; `worth` is the idf of each lexeme."""
    profile = PROFILES[kind_of(candidate, corpus)]
    k1, b = profile.k1, profile.b
    norm = k1 * (1 - b + b * candidate.length / (corpus.mean_length or 1.0))
    return sum(worth[lexeme] * times * (k1 + 1) / (times + norm) for lexeme, times in candidate.lexemes.items())


def idf(lexeme: str, corpus: Corpus) -> float:
    """Robertson's inverse document frequency, never negative."""
    have = corpus.frequencies.get(lexeme, 0)
    return math.log(1 + (corpus.pieces - have + 0.5) / (have + 0.5))


def rank(question: str, candidates: Sequence[Candidate], corpus: Corpus, limit: int | None = None) -> list[Ranked]:
    """The best candidates, or without a limit all, best first; equal scores are ordered by id, so that a replay ranks
    alike. The order of `candidates` does not matter."""
    field = _Field(question, candidates, corpus)
    places = sorted(range(len(candidates)), key=lambda place: (-field.scores[place], candidates[place].version))
    return [field.ranked(place) for place in places[:limit]]


class _Field:
    """All candidates of one question. Lists are parallel to `candidates`; `place` is an index into them."""

    def __init__(self, question: str, candidates: Sequence[Candidate], corpus: Corpus) -> None:
        worth = {lexeme: idf(lexeme, corpus) for lexeme in corpus.frequencies}
        self._candidates = candidates
        self._profiles = [PROFILES[kind_of(candidate, corpus)] for candidate in candidates]
        self._worth = worth
        self._information = sum(worth.values()) or 1.0
        self._lexical = _by_maximum([bm25(candidate, corpus, worth) for candidate in candidates])
        self._dense = _spread([candidate.similarity for candidate in candidates])
        self._has_vectors = any(candidate.similarity is not None for candidate in candidates)
        self._turns = {(c.session_id, c.turn): place for place, c in enumerate(candidates) if c.session_id is not None}
        self._sessions = _session_means(candidates, self._lexical)
        self._dense_sessions = _session_means(candidates, self._dense)
        self._asked = _Asked(question, candidates)
        self._signals = [self._shares(place) for place in range(len(candidates))]
        self.scores = [round(sum(shares.values()), 6) for shares in self._signals]

    def ranked(self, place: int) -> Ranked:
        """The candidate as an answer of `rank`."""
        candidate = self._candidates[place]
        similarity = self._lexical[place] if candidate.similarity is None else candidate.similarity
        return Ranked(
            candidate=candidate,
            score=self.scores[place],
            signals={name: round(share, 6) for name, share in self._signals[place].items() if share},
            similarity=round(min(1.0, max(0.0, similarity)), 6),
            coverage=round(self._coverage(place), 6),
        )

    def _shares(self, place: int) -> dict[str, float]:
        """What each signal adds to the score."""
        candidate, asked = self._candidates[place], self._asked
        weights = self._profiles[place]
        shares = {
            "bm25": (weights.bm25 if self._has_vectors else weights.bm25_alone) * self._lexical[place],
            "dense": weights.dense * self._dense[place],
            "session": weights.session * self._sessions[place],
            "dense_session": weights.dense_session * self._dense_sessions[place],
            "named": weights.named * asked.names(candidate),
            "date": weights.date * asked.dates(candidate),
            "when": weights.when * asked.times(candidate),
            "is_question": weights.is_question * ends_as_question(candidate.text),
            "own": weights.own * (candidate.role is not None and candidate.role.lower() in USERS),
        }
        if (before := self._neighbour(candidate, -1)) is not None:
            answers = weights.answers if "?" in self._candidates[before].text else 0.0
            shares["previous"] = (weights.previous + answers) * self._lexical[before]
        if (after := self._neighbour(candidate, +1)) is not None:
            shares["next"] = weights.next * self._lexical[after]
            shares["dense_next"] = weights.dense_next * self._dense[after]
        return shares

    def _coverage(self, place: int) -> float:
        candidate = self._candidates[place]
        lexemes = set(candidate.lexemes)
        before = self._neighbour(candidate, -1)
        if before is not None and "?" in self._candidates[before].text:
            lexemes.update(self._candidates[before].lexemes)
        share = sum(self._worth[lexeme] for lexeme in sorted(lexemes)) / self._information
        return min(1.0, share) * self._asked.concerns(candidate)

    def _neighbour(self, candidate: Candidate, step: int) -> int | None:
        """The turn that many places on in the candidate's session, if it is a candidate too."""
        session = candidate.session_id
        return None if session is None else self._turns.get((session, candidate.turn + step))


class _Asked:
    """What the question itself says: persons, a month or year, that it asks for a time."""

    def __init__(self, question: str, candidates: Sequence[Candidate]) -> None:
        words = [word.lower() for word in _WORD.findall(question)]
        self._months = {number for number, month in enumerate(MONTHS, 1) if month in words}
        self._years = {int(word) for word in words if re.fullmatch(r"(19|20)\d\d", word)}
        self._is_when = bool(_WHEN.search(question))
        names = {name for candidate in candidates for name in (candidate.speaker, candidate.subject) if name}
        self._persons = {name: first for name in names if (first := _first_word(name)) in words}

    def names(self, candidate: Candidate) -> bool:
        """Whether the question names the speaker or the subject."""
        return candidate.speaker in self._persons or candidate.subject in self._persons

    def concerns(self, candidate: Candidate) -> float:
        """How far the candidate is about whom the question names: 1 by or about them, or where nobody is named or it is
        nobody's; `MENTIONED` where it has their name; else 0."""
        is_nobodys = candidate.speaker is None and candidate.subject is None
        if not self._persons or is_nobodys or self.names(candidate):
            return 1.0
        text = candidate.text.lower()
        return MENTIONED if any(person in text for person in self._persons.values()) else 0.0

    def dates(self, candidate: Candidate) -> float:
        """How well the candidate's date fits a month or a year in the question: 0, 0.5 or 1."""
        if not (self._months or self._years):
            return 0.0
        month = candidate.dated.month in self._months
        year = candidate.dated.year in self._years
        return 1.0 if month and (year or not self._years) else 0.5 if year and not self._months else 0.0

    def times(self, candidate: Candidate) -> bool:
        """Whether the question asks for a time and the candidate speaks of one."""
        return self._is_when and bool(_TIME_WORDS.search(candidate.text.lower()))


def ends_as_question(text: str) -> bool:
    """Whether the last sentence asks."""
    return text.rstrip(_CLOSING).endswith("?")


def _first_word(name: str) -> str:
    match = _WORD.search(name)
    return match[0].lower() if match else ""


def _by_maximum(scores: Sequence[float]) -> list[float]:
    best = max(scores, default=0.0) or 1.0
    return [score / best for score in scores]


def _spread(scores: Sequence[float | None]) -> list[float]:
    """Min-max to 0…1; 0 where there is none."""
    known = [score for score in scores if score is not None]
    low = min(known, default=0.0)
    width = (max(known, default=0.0) - low) or 1.0
    return [0.0 if score is None else (score - low) / width for score in scores]


def _session_means(candidates: Sequence[Candidate], scores: Sequence[float]) -> list[float]:
    """For each candidate, the mean of its session's three best; its own score where it belongs to none."""
    by_session: dict[str, list[float]] = defaultdict(list)
    for candidate, score in zip(candidates, scores, strict=True):
        if candidate.session_id is not None:
            by_session[candidate.session_id].append(score)
    means = {session: _mean(sorted(found)[-_BEST_OF_SESSION:]) for session, found in by_session.items()}
    return [
        score if candidate.session_id is None else means[candidate.session_id]
        for candidate, score in zip(candidates, scores, strict=True)
    ]


def _mean(scores: Sequence[float]) -> float:
    return sum(scores) / len(scores)
