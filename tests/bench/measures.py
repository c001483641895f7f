"""What is measured of one question: which turns were found for it, in which order, and how it was answered."""

import math
from collections.abc import Callable, Sequence

import msgspec

from tests.bench.locomo import ADVERSARIAL, Asked, session_of


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """A turn that a search found, and what each signal added to its score."""

    turn: str
    signals: dict[str, float]


class Searched(msgspec.Struct, frozen=True, kw_only=True):
    """A question, the turns that a search found for it, best first, and how it was answered."""

    asked: Asked
    hits: list[Hit]
    refused: bool
    cited: frozenset[str]
    answer: str = ""

    @property
    def found(self) -> list[str]:
        """The turns, best first."""
        return [hit.turn for hit in self.hits]

    def without(self, signals: Sequence[str]) -> "Searched":
        """The same, ranked without some signals."""
        scores = [sum(share for name, share in hit.signals.items() if name not in signals) for hit in self.hits]
        order = sorted(range(len(scores)), key=lambda place: -scores[place])
        return msgspec.structs.replace(self, hits=[self.hits[place] for place in order])


Measure = Callable[[Searched], float]


def recall_at(k: int) -> Measure:
    """Share of the question's gold turns among the first k."""
    return lambda one: len(one.asked.gold.intersection(one.found[:k])) / len(one.asked.gold)


def hit_at(k: int) -> Measure:
    """Whether a gold turn is among the first k."""
    return lambda one: float(not one.asked.gold.isdisjoint(one.found[:k]))


def ndcg(one: Searched, k: int = 10) -> float:
    """Normalised discounted cumulative gain of the first k, each gold turn worth 1."""
    gain = sum(1 / math.log2(place + 2) for place, turn in enumerate(one.found[:k]) if turn in one.asked.gold)
    return gain / sum(1 / math.log2(place + 2) for place in range(min(k, len(one.asked.gold))))


def _sessions(turns: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(map(session_of, turns)))


def session_recall(one: Searched, k: int = 10) -> float:
    """Share of the sessions with gold turns among the first k sessions, ranked by their best turn."""
    gold = set(_sessions(sorted(one.asked.gold)))
    return len(gold.intersection(_sessions(one.found)[:k])) / len(gold)


def session_recall_of_turns(one: Searched, k: int = 10) -> float:
    """Share of the sessions with gold turns that the first k turns come from."""
    gold = set(_sessions(sorted(one.asked.gold)))
    return len(gold.intersection(_sessions(one.found[:k]))) / len(gold)


def answered_from_gold(one: Searched) -> float:
    """Whether the answer cites a gold turn."""
    return float(not one.cited.isdisjoint(one.asked.gold))


def refused(one: Searched) -> float:
    """Whether the answer is a refusal."""
    return float(one.refused)


def percent(searched: Sequence[Searched], measure: Measure) -> float:
    """Mean over the questions, in percent."""
    return 100 * sum(map(measure, searched)) / len(searched)


def answerable(searched: Sequence[Searched]) -> list[Searched]:
    """All but the adversarial questions."""
    return [one for one in searched if one.asked.category != ADVERSARIAL]


def adversarial(searched: Sequence[Searched]) -> list[Searched]:
    """The questions that name the wrong person."""
    return [one for one in searched if one.asked.category == ADVERSARIAL]
