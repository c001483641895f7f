"""How far a memory supports the answer to a question, and whether the question is about somebody else. Pure.

Ranking finds what is near to a question; here it is decided whether that answers it. What counts are the words of the
question besides the names in it, who is meant, and the time that is asked about.
"""

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from aurra import claims, periods, ranking
from aurra.ranking import Candidate, Corpus

NEARNESS = 0.5
"""How much the cosine counts beside the share of words. On five conversations of LoCoMo 0.25 to 0.75 differ by 2."""
MENTIONED = 0.5
"""How far what somebody else says supports an answer about a person whom it mentions."""
CONTRAST = 0.06
"""In a conversation, the one who is asked about says this much more of what is asked than whoever else speaks there;
else the question names the wrong person, and is refused.

On five conversations of LoCoMo with MiniLM, by the least contrast, share of the answerable that is answered from a gold
turn / of those that name the wrong person that is refused: -1 70 / 6; -0.2 68 / 35; 0.0 67 / 59; **0.06 65 / 65**;
0.08 63 / 67; 0.10 61 / 70; 0.14 59 / 75; 0.2 55 / 81. By the share of words alone, without a contrast, it was 67 / 16
at a share of 0.3, 55 / 54 at 0.5 and 42 / 80 at 0.66.
"""
LEXICAL_CONTRAST = 0.0
"""The same where there are no vectors: -0.1 63 / 59; **0.0 62 / 64**; 0.06 54 / 78."""


class Support(msgspec.Struct, frozen=True, kw_only=True):
    """What a memory does for the answer."""

    coverage: float
    """0…1: share of the question's information (summed idf, names apart) that it has, together with the turn before
    where that asks; less where it is not about whom the question names."""
    nearness: float
    """0…1: the cosine, where there are vectors; 0 where it is about somebody else, or about another time."""

    @property
    def total(self) -> float:
        """What memories are compared by."""
        return self.coverage + NEARNESS * self.nearness


class Asked:
    """A question against all that was found for it."""

    def __init__(self, question: str, candidates: Sequence[Candidate], corpus: Corpus, at: dt.datetime) -> None:
        self._candidates = candidates
        self._period = periods.asked(question, at)
        self._turns = {(c.session_id, c.turn): c for c in candidates if c.session_id is not None}
        self._has_vectors = any(c.similarity is not None for c in candidates)
        known = {claims.bare(first) for c in candidates for name in (c.speaker, c.subject) if (first := _first(name))}
        self._persons = named(question, known)
        worth = {lexeme: ranking.idf(lexeme, corpus) for lexeme in corpus.frequencies}
        lexemes = {person: _lexeme(person, worth) for person in self._persons}
        self._lexemes_of_names = frozenset(lexeme for lexeme in lexemes.values() if lexeme)
        unknown = {
            person
            for person, lexeme in lexemes.items()
            if person not in known and lexeme is not None and not corpus.frequencies[lexeme]
        }
        self._unknown = bool(unknown)
        self.names = sorted(
            person for person in self._persons if person in known | unknown or person.title() in question
        )
        """Whom it certainly names: a subject in lower case, which memories have, may be any word."""
        self._worth = {lexeme: value for lexeme, value in worth.items() if lexeme not in self._lexemes_of_names}
        self._information = sum(self._worth.values())

    def is_about_others(self) -> bool:
        """Whether the question names somebody of whom nothing is known, or says of one what another said."""
        if self._unknown:
            return True
        mine = [c for c in self._candidates if self._concern(c) == 1.0]
        sessions = {c.session_id for c in mine if c.session_id is not None}
        others = [c for c in self._candidates if c.session_id in sessions and self._concern(c) < 1.0]
        if not self._persons or not others:
            return False
        least = CONTRAST if self._has_vectors else LEXICAL_CONTRAST
        theirs = max(self._said(c) * (MENTIONED if self._mentions(c) else 1.0) for c in others)
        return max(map(self._said, mine)) - theirs < least

    def support(self, candidate: Candidate, ended: dt.datetime | None = None) -> Support:
        """What the candidate does for the answer; `ended` is when it stopped being true."""
        is_of_the_time = self._period is None or speaks_of(candidate, ended, self._period)
        concern = self._concern(candidate) if is_of_the_time else 0.0
        lexemes = set(candidate.lexemes)
        before = self._before(candidate)
        if before is not None and "?" in before.text:
            lexemes.update(before.lexemes)
        near = candidate.similarity if candidate.similarity is not None and concern == 1.0 else 0.0
        return Support(
            coverage=round(self._share(lexemes) * concern, 6),
            nearness=round(min(1.0, max(0.0, near)), 6),
        )

    def _said(self, candidate: Candidate) -> float:
        """How much of what is asked the candidate says itself: what asks says nothing."""
        if ranking.ends_as_question(candidate.text.partition(" [shares")[0]):
            return 0.0
        return self._share(candidate.lexemes) + NEARNESS * (candidate.similarity or 0.0)

    def _share(self, lexemes: Iterable[str]) -> float:
        if not self._information:
            # Nothing but names is asked: "Who is Kim?"
            return 1.0 if self._lexemes_of_names.intersection(lexemes) else 0.0
        return sum(self._worth[lexeme] for lexeme in sorted(lexemes) if lexeme in self._worth) / self._information

    def _concern(self, candidate: Candidate) -> float:
        """1 where it is by or about whom the question names, or nobody is named, or it is nobody's and it or the turn
        before names them; `MENTIONED` where somebody else mentions them; else 0."""
        if not self._persons:
            return 1.0
        if any(claims.bare(_first(name)) in self._persons for name in (candidate.speaker, candidate.subject) if name):
            return 1.0
        mentions = self._mentions(candidate)
        if candidate.speaker is None and candidate.subject is None:
            before = self._before(candidate)
            return 1.0 if mentions or (before is not None and self._mentions(before)) else 0.0
        return MENTIONED if mentions else 0.0

    def _mentions(self, candidate: Candidate) -> bool:
        return bool(self._lexemes_of_names.intersection(candidate.lexemes)) or any(
            person in candidate.text.casefold() for person in self._persons
        )

    def _before(self, candidate: Candidate) -> Candidate | None:
        """The turn before, if it was found too."""
        session = candidate.session_id
        return None if session is None else self._turns.get((session, candidate.turn - 1))


LOOKING_BACK = dt.timedelta(days=31)
"""What is told within a month of a period may be about it. Of 89 gold turns of LoCoMo for questions that name a time,
76 were said in it, 8 before, 4 in the month after it, and one a year after, "last summer"."""
_LOOKS_BACK = re.compile(
    r"\b(ago|back (then|in)|used to|last|in the past|formerly|previously|at the time|when i was)\b", re.IGNORECASE
)


def speaks_of(candidate: Candidate, ended: dt.datetime | None, period: periods.Period) -> bool:
    """Whether a memory may answer about a period: it holds in it, or names it, or its year. What was said in a
    conversation is dated by when it was said: it may look back on the period, or be told soon after."""
    if any(period.named.is_part_of(date) or date.year == period.start.year for date in periods.find(candidate.text)):
        return True
    if ended is not None and ended <= period.start:
        return False
    if candidate.session_id is None:
        return candidate.dated < period.end
    return candidate.dated < period.end + LOOKING_BACK or bool(_LOOKS_BACK.search(candidate.text))


_AUXILIARY = re.compile(
    r"\b(?:do|does|did|has|have|had|will|would|can|could|should|(?P<be>is|was|are|were))\s+(?P<name>[^\W\d_][\w'’-]*)",
    re.IGNORECASE,
)
_POSSESSOR = re.compile(r"\b([^\W\d_]\w*)['’]s\b")
_BE_PLACED = re.compile(r"^\W*(?:where|when|how|why)\b", re.IGNORECASE)
_WORDS_FOR_NOBODY = """i you he she it we they me him us them my your his her its our their the a an this that these
those there any anyone anybody anything everyone everybody everything someone somebody something nothing people who what
much many more most less such not been being be have has had do does did get got going gone dr mr mrs ms prof"""
_NO_NAMES = claims.STARTERS | frozenset(_WORDS_FOR_NOBODY.split())


def named(question: str, known: Iterable[str] = ()) -> frozenset[str]:
    """Whom a question asks about: those known whom it has the name of, whoever stands as its subject ("Where does Lee
    live?") or owns what is asked ("Lee's flat"). In a question without any capital but its first, also "where does lee
    live"."""
    words = claims.words(question)
    found = {word for word in words if word in frozenset(known)}
    is_plain = not any(character.isupper() for character in question.strip()[1:])
    candidates = [match[1] for match in _POSSESSOR.finditer(question) if match[1][0].isupper()]
    for match in _AUXILIARY.finditer(question):
        if match["be"] is None or _BE_PLACED.match(question) or match["name"][0].isupper():
            candidates.append(match["name"])
    for name in candidates:
        word = claims.bare(name)
        if len(word) > 1 and word not in _NO_NAMES and (name[0].isupper() or is_plain):
            found.add(word)
    return frozenset(found)


def _lexeme(word: str, lexemes: Mapping[str, float]) -> str | None:
    """The lexeme that a word of the question became."""

    def is_stem(lexeme: str) -> bool:
        return word.startswith(lexeme) or (len(lexeme) > 3 and word.startswith(lexeme[:-1]))

    return max((lexeme for lexeme in lexemes if is_stem(lexeme)), key=len, default=None)


def _first(name: str | None) -> str:
    match = re.search(r"\w+", name or "")
    return match[0] if match else ""
