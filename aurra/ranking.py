"""Ranking of candidates: a weighted sum of normalised signals. Pure.

BM25 is computed exactly over the candidates' lexemes, with the tenant's document frequencies. Weighted scores are used
and not reciprocal ranks, which lost 4 to 9 points of recall when both were measured: a weak list gets an equal say.
"""

import datetime as dt
import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

K1 = 0.9
"""BM25's term saturation, for facts and turns: short texts repeat little."""
B = 0.4
"""BM25's length normalisation, for the same."""


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a piece before ranking."""

    version: UUID
    memory: UUID
    session_id: str | None
    position: tuple[dt.datetime, int]
    """Order inside its session."""
    speaker: str | None
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
    """Pieces that have each lexeme of the question."""


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """One profile. Beside each: recall@10 that is lost without it, on long two-person dialogs."""

    bm25: float
    dense: float  # 2.8, all dense signals together
    previous: float  # 0.8 with `next`; 5 alone
    next: float
    answers: float  # 1.8: an answer inherits its question's match
    is_question: float
    session: float  # 3.4
    named: float  # 3.2
    date: float  # 0.4
    when: float  # 0.4; 2 on questions about time
    dense_next: float
    dense_session: float


DIALOG = Weights(
    bm25=3.2,
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
)
"""Facts and turns, with vectors."""
LEXICAL_BM25 = 4.2
"""The weight of BM25 where there are no vectors."""


class Ranked(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate's place: its score, the share of each signal, and two absolute measures of support."""

    candidate: Candidate
    score: float
    signals: dict[str, float]
    similarity: float
    """0…1: the cosine, or without vectors BM25 relative to the best."""
    coverage: float
    """Share of the question's information (summed idf) that the text has; comparable between questions."""


_QUESTION = re.compile(r"\?[\"')\]]*\s*$")
_WHEN = re.compile(r"\b(when|what (day|date|month|year|time)|how long|which (day|month|year))\b", re.IGNORECASE)
_TIME_WORDS = re.compile(
    r"\b(yesterday|today|tomorrow|tonight|ago|last|next|week(end)?s?|months?|years?|days?|since|"
    r"(mon|tues|wednes|thurs|fri|satur|sun)day|january|february|march|april|june|july|august|september|october|"
    r"november|december|\d{4})\b",
    re.IGNORECASE,
)
_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_WORD = re.compile(r"\w+")


def bm25(candidate: Candidate, corpus: Corpus) -> float:
    """Okapi BM25 of the question in the candidate."""
    norm = K1 * (1 - B + B * candidate.length / (corpus.mean_length or 1.0))
    return sum(idf(lexeme, corpus) * times * (K1 + 1) / (times + norm) for lexeme, times in candidate.lexemes.items())


def idf(lexeme: str, corpus: Corpus) -> float:
    """Robertson's inverse document frequency, never negative."""
    have = corpus.frequencies.get(lexeme, 0)
    return math.log(1 + (corpus.pieces - have + 0.5) / (have + 0.5))


def rank(question: str, candidates: Sequence[Candidate], corpus: Corpus, weights: Weights = DIALOG) -> list[Ranked]:
    """All candidates, best first; equal scores are ordered by id, so that a replay ranks alike."""
    lexical = _by_maximum({c.version: bm25(c, corpus) for c in candidates})
    dense = _spread({c.version: c.similarity for c in candidates if c.similarity is not None})
    if not dense:
        weights = msgspec.structs.replace(weights, bm25=LEXICAL_BM25)
    neighbours = _neighbours(candidates)
    sessions = (_session_means(candidates, lexical), _session_means(candidates, dense))
    asked = _Asked(question)
    total = sum(idf(lexeme, corpus) for lexeme in corpus.frequencies) or 1.0
    ranked: list[Ranked] = []
    for c in candidates:
        before, after = neighbours.get(c.version, (None, None))
        signals = {
            "bm25": weights.bm25 * lexical[c.version],
            "dense": weights.dense * dense.get(c.version, 0.0),
            **_from_neighbours(weights, before, after, lexical, dense),
            "is_question": weights.is_question * bool(_QUESTION.search(c.text)),
            "session": weights.session * sessions[0].get(c.session_id or "", 0.0),
            "dense_session": weights.dense_session * sessions[1].get(c.session_id or "", 0.0),
            "named": weights.named * asked.names(c),
            "date": weights.date * asked.dates(c),
            "when": weights.when * asked.times(c),
        }
        signals = {name: round(share, 6) for name, share in signals.items() if share}
        cosine = c.similarity if c.similarity is not None else lexical[c.version]
        ranked.append(
            Ranked(
                candidate=c,
                score=round(sum(signals.values()), 6),
                signals=signals,
                similarity=round(min(1.0, max(0.0, cosine)), 6),
                coverage=round(sum(idf(lexeme, corpus) for lexeme in c.lexemes) / total, 6),
            )
        )
    return sorted(ranked, key=lambda one: (-one.score, one.candidate.version))


class _Asked:
    """What the question itself says: names, a month or year, that it asks for a time."""

    def __init__(self, question: str) -> None:
        words = [word.lower() for word in _WORD.findall(question)]
        self._words = frozenset(words)
        self._months = {number for number, month in enumerate(_MONTHS, 1) if month in self._words}
        self._years = {int(word) for word in words if re.fullmatch(r"(19|20)\d\d", word)}
        self._is_when = bool(_WHEN.search(question))

    def names(self, candidate: Candidate) -> bool:
        """Whether the question names the speaker or the subject."""
        named = (candidate.speaker, candidate.subject)
        return any(name and _first_word(name) in self._words for name in named)

    def dates(self, candidate: Candidate) -> float:
        """How well the candidate's date fits a month or a year in the question: 0, 0.5 or 1."""
        if not (self._months or self._years):
            return 0.0
        month = candidate.dated.month in self._months
        year = candidate.dated.year in self._years
        return 1.0 if month and (year or not self._years) else 0.5 if year and not self._months else 0.0

    def times(self, candidate: Candidate) -> bool:
        """Whether the question asks for a time and the candidate speaks of one."""
        return self._is_when and bool(_TIME_WORDS.search(candidate.text))


def _first_word(name: str) -> str:
    match = _WORD.search(name)
    return match[0].lower() if match else ""


def _by_maximum(scores: Mapping[UUID, float]) -> dict[UUID, float]:
    best = max(scores.values(), default=0.0) or 1.0
    return {key: score / best for key, score in scores.items()}


def _spread(scores: Mapping[UUID, float]) -> dict[UUID, float]:
    """Min-max to 0…1."""
    if not scores:
        return {}
    low, high = min(scores.values()), max(scores.values())
    return {key: (score - low) / ((high - low) or 1.0) for key, score in scores.items()}


def _neighbours(candidates: Sequence[Candidate]) -> dict[UUID, tuple[Candidate | None, Candidate | None]]:
    """The turn before and the turn after, among the candidates of the same session."""
    by_session: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        if candidate.session_id is not None:
            by_session[candidate.session_id].append(candidate)
    found: dict[UUID, tuple[Candidate | None, Candidate | None]] = {}
    for turns in by_session.values():
        turns.sort(key=lambda turn: turn.position)
        for index, turn in enumerate(turns):
            before = turns[index - 1] if index else None
            after = turns[index + 1] if index + 1 < len(turns) else None
            found[turn.version] = (
                before if before and _adjacent(before, turn) else None,
                after if after and _adjacent(turn, after) else None,
            )
    return found


def _adjacent(left: Candidate, right: Candidate) -> bool:
    return left.position[0] != right.position[0] or right.position[1] - left.position[1] <= 1


def _from_neighbours(
    weights: Weights,
    before: Candidate | None,
    after: Candidate | None,
    lexical: Mapping[UUID, float],
    dense: Mapping[UUID, float],
) -> dict[str, float]:
    signals: dict[str, float] = {}
    if before is not None:
        answers = weights.answers if _QUESTION.search(before.text) else 0.0
        signals["previous"] = (weights.previous + answers) * lexical[before.version]
    if after is not None:
        signals["next"] = weights.next * lexical[after.version]
        signals["dense_next"] = weights.dense_next * dense.get(after.version, 0.0)
    return signals


def _session_means(candidates: Sequence[Candidate], scores: Mapping[UUID, float]) -> dict[str, float]:
    """The mean of each session's three best, relative to the best session."""
    by_session: dict[str, list[float]] = defaultdict(list)
    for candidate in candidates:
        if candidate.session_id is not None:
            by_session[candidate.session_id].append(scores.get(candidate.version, 0.0))
    means = {session: sum(sorted(found, reverse=True)[:3]) / 3 for session, found in by_session.items()}
    best = max(means.values(), default=0.0) or 1.0
    return {session: mean / best for session, mean in means.items()}
