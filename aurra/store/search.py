"""Candidates for ranking, inside one tenant: every piece looked at where they are few, else by the index."""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
from numpy.typing import NDArray

from aurra import postings
from aurra.postings import Floats, Ints
from aurra.ranking import Candidate, Corpus
from aurra.store import segments
from aurra.store.pool import NEWEST, Transaction, half_vector
from aurra.store.queries import load
from aurra.store.segments import Gathered, Question

_Q = load("search")
WIDTH = 100
"""Candidates by their own words and vectors; more only when more results are asked for. On LoCoMo, 700 find no more."""
JOINED = 50
"""How many of the best bring the turns before and after them along: an answer may share no word with what is asked."""
EXACT_UP_TO = 2_000
"""Memories of a tenant of which every one is looked at: about where the index becomes cheaper."""
NEAR = 500
"""Contents that are nearest by their sketches, whose own vectors are then compared. Of vectors that are noise, 500 have
all of the ten nearest of 60,000; 300 miss one in two hundred."""
FURTHEST = 30
"""How many memories of its session away a neighbour may be: those between are not believed, or filtered out."""
_WIDER = 6
_EVER = dt.datetime(9999, 12, 30, tzinfo=dt.UTC)


class CandidateRow(msgspec.Struct, frozen=True):
    """A candidate; the best one also has what BM25 must know of everything that qualifies."""

    version: UUID
    session_id: str | None
    turn: int
    dated: dt.datetime
    speaker: str | None
    role: str | None
    subject: str | None
    text: str
    length: int
    lexemes: list[str] | None
    """Of the question; None is none."""
    times: list[int] | None
    """How often each of them; None is once."""
    similarity: float | None
    pieces: int | None
    mean_length: float | None
    asked: list[str] | None
    frequencies: list[int] | None


class Extent(msgspec.Struct, frozen=True):
    memories: int


class NearRow(msgspec.Struct, frozen=True):
    similarity: float | None


class BelievedRow(msgspec.Struct, frozen=True):
    """A piece that qualifies; `place` counts the contents that were asked about."""

    place: int
    version: UUID
    memory_id: UUID
    session_id: str | None


class NeighbourRow(msgspec.Struct, frozen=True):
    of_memory: UUID
    version: UUID
    memory_id: UUID
    session_id: str


class ShownRow(msgspec.Struct, frozen=True):
    version: UUID
    dated: dt.datetime
    speaker: str | None
    role: str | None
    subject: str | None
    text: str
    length: int
    lexemes: list[str] | None
    times: list[int] | None
    similarity: float | None


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Where to look: tenant, filters and both times."""

    tenant_id: str
    valid_at: dt.datetime | None
    number: int | None
    """The transaction; None is the newest."""
    until: dt.datetime = _EVER
    """That transaction's instant, or later than any."""
    sources: Sequence[str] | None = None
    topics: Sequence[str] | None = None
    session_id: str | None = None
    subject_key: str | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """As statements name them."""
        return {
            "tenant_id": self.tenant_id,
            "valid_at": self.valid_at,
            "tx": NEWEST if self.number is None else self.number,
            "until": self.until,
            "sources": self.sources,
            "topics": self.topics,
            "session_id": self.session_id,
            "subject_key": self.subject_key,
        }


async def candidates(
    tx: Transaction,
    scope: Scope,
    query: str,
    *,
    vector: NDArray[np.float32] | None,
    model: str,
    limit: int,
    exact_up_to: int = EXACT_UP_TO,
    on_gathered: Callable[[Gathered], None] | None = None,
) -> tuple[list[Candidate], Corpus]:
    """The best by words and vectors together, filled up with the newest, and the neighbours of the very best.

    Never fewer than min(limit, what qualifies), in no order. A scope that names both times always finds the same: how
    it is looked for depends on how many memories there were then. `on_gathered` hears what the index held.
    """
    asked: dict[str, Any] = scope.arguments | {
        "query": query,
        "vector": None if vector is None else half_vector(vector),
        # No model matches NULL: without a question's vector none is looked up.
        "model": None if vector is None else model,
        "width": max(WIDTH, limit),
        "joined": JOINED,
        "furthest": FURTHEST,
        "bound": exact_up_to + 1,
    }
    extent = await tx.row(_Q[_extent(scope)], Extent, **asked)
    if extent is None or extent.memories <= exact_up_to:
        rows = await tx.rows(_Q[_exact(scope)], CandidateRow, **asked)
        return [_candidate(row) for row in rows], _corpus(rows)
    question = Question(
        text=query, vector=vector, model=asked["model"], tenant_id=scope.tenant_id, tx=asked["tx"], until=scope.until
    )
    gathered = await segments.gather(tx, question)
    if on_gathered is not None:
        on_gathered(gathered)
    found = await _Wide(tx, asked, gathered).candidates(limit)
    return found, gathered.postings.corpus


async def is_large(tx: Transaction, tenant_id: str, exact_up_to: int) -> bool:
    """Whether the tenant has more memories than are looked at one by one."""
    scope = Scope(tenant_id=tenant_id, valid_at=None, number=None)
    extent = await tx.row(_Q["extent"], Extent, **scope.arguments, bound=exact_up_to + 1)
    return extent is not None and extent.memories > exact_up_to


def _extent(scope: Scope) -> str:
    if scope.session_id is not None:
        return "extent_of_session"
    return "extent" if scope.subject_key is None else "extent_of_subject"


def _exact(scope: Scope) -> str:
    if scope.session_id is not None:
        return "candidates_in_session"
    if scope.subject_key is not None:
        return "candidates_of_subject"
    return "candidates_now" if scope.number is None else "candidates_then"


class _Chosen(msgspec.Struct, frozen=True):
    """A piece, and how it stands before ranking."""

    piece: BelievedRow
    rough: float
    place: int
    """Of its content, in everything that the tenant stored."""


class _Wide:
    """A search in everything that a large tenant stored: contents are chosen by their words and vectors, and kept where
    a piece of them qualifies; more of them, in the end all, until enough do."""

    def __init__(self, tx: Transaction, asked: dict[str, Any], gathered: Gathered) -> None:
        self._tx = tx
        self._asked: dict[str, Any] = asked | {"lexemes": gathered.lexemes}
        self._postings = gathered.postings

    async def candidates(self, limit: int) -> list[Candidate]:
        """The best that qualify, with the neighbours of the very best."""
        width: int = self._asked["width"]
        breadth = 2 * width
        while True:
            chosen, enough = await self._chosen(breadth, max(limit, width // 2))
            if enough or breadth >= self._postings.count:
                return await self._with_neighbours(chosen[:width])
            breadth *= _WIDER

    async def _chosen(self, breadth: int, needed: int) -> tuple[list[_Chosen], bool]:
        """What qualifies of the `breadth` best by words and of as many by vectors, best first; whether of each it is as
        much as needed."""
        worth = self._postings.worth
        by_words = postings.best(worth, breadth)
        places, similarity, near = await self._compared(by_words, breadth)
        pieces = await self._tx.rows(
            _Q["believed"], BelievedRow, **self._asked | {"contents": self._postings.ids(places)}
        )
        held = places[[piece.place for piece in pieces]] if pieces else np.empty(0, np.int64)
        rough = _by_maximum(worth[held])
        if similarity is not None and pieces:
            rough = rough + _spread(similarity[[piece.place for piece in pieces]])
        chosen = [
            _Chosen(piece, round(score, 9), place)
            for piece, score, place in zip(pieces, rough.tolist(), held.tolist(), strict=True)
        ]
        chosen.sort(key=lambda one: (-one.rough, -one.place, one.piece.version))
        enough = min(int(np.isin(held, by_words).sum()), int(np.isin(held, near).sum())) >= needed
        return chosen, enough

    async def _compared(self, by_words: Ints, breadth: int) -> tuple[Ints, Floats | None, Ints]:
        """The places of the best by words and of the nearest, in order; how near each is; and which are the nearest."""
        reckoned = self._postings.similarity
        if reckoned is None:
            return np.sort(by_words), None, by_words
        likely = postings.best(reckoned, max(NEAR, 2 * breadth))
        places = np.union1d(by_words, likely)
        rows = await self._tx.rows(_Q["nearness"], NearRow, **self._asked | {"contents": self._postings.ids(places)})
        similarity = np.asarray([-np.inf if row.similarity is None else row.similarity for row in rows])
        near = places[postings.best(similarity, breadth)]
        kept = np.isin(places, near) | np.isin(places, by_words)
        return places[kept], similarity[kept], near

    async def _with_neighbours(self, chosen: Sequence[_Chosen]) -> list[Candidate]:
        """The candidates themselves, each with its turn in its session."""
        told = {one.piece.version: (one.piece.session_id, one.piece.memory_id) for one in chosen}
        beside: set[tuple[UUID, UUID]] = set()
        talking = [one.piece for one in chosen if one.piece.session_id is not None]
        if talking:
            memories, sessions = [one.memory_id for one in talking], [one.session_id for one in talking]
            rows = await self._tx.rows(
                _Q["neighbours"], NeighbourRow, **self._asked | {"memories": memories, "sessions": sessions}
            )
            beside = {(min(row.of_memory, row.memory_id), max(row.of_memory, row.memory_id)) for row in rows}
            joined = {one.piece.memory_id for one in chosen[: self._asked["joined"]]}
            told |= {row.version: (row.session_id, row.memory_id) for row in rows if row.of_memory in joined}
        shown = await self._tx.rows(_Q["shown"], ShownRow, **self._asked | {"versions": list(told)})
        turns = _turns(told, beside)
        return [_candidate(row, session_id=told[row.version][0], turn=turns[row.version]) for row in shown]


def _turns(told: dict[UUID, tuple[str | None, UUID]], beside: set[tuple[UUID, UUID]]) -> dict[UUID, int]:
    """A number for each version: of neighbours in a session they differ by one, of others by more."""
    turns: dict[UUID, int] = {}
    turn, last_session, last_memory = 0, None, None
    for version, (session, memory) in sorted(told.items(), key=lambda one: (one[1][0] or "", one[1][1], one[0])):
        is_next = session == last_session and (memory == last_memory or (last_memory, memory) in beside)
        turn += 1 if is_next else 2
        turns[version] = turn
        last_session, last_memory = session, memory
    return turns


def _by_maximum(scores: Floats) -> Floats:
    return scores / (scores.max(initial=0.0) or 1.0)


def _spread(scores: Floats) -> Floats:
    """Min-max to 0…1; 0 where there is none."""
    known = scores[np.isfinite(scores)]
    if not len(known):
        return np.zeros(len(scores))
    width = (known.max() - known.min()) or 1.0
    return np.where(np.isfinite(scores), (scores - known.min()) / width, 0.0)


def _candidate(row: CandidateRow | ShownRow, **told: Any) -> Candidate:
    """The candidate of a row; `told` says its session and turn where the row does not."""
    lexemes = row.lexemes or ()
    if isinstance(row, CandidateRow):
        told = {"session_id": row.session_id, "turn": row.turn}
    return Candidate(
        **told,
        version=row.version,
        speaker=row.speaker,
        role=row.role,
        subject=row.subject,
        text=row.text,
        dated=row.dated,
        length=row.length,
        lexemes=dict(zip(lexemes, row.times, strict=True)) if row.times else dict.fromkeys(lexemes, 1),
        similarity=row.similarity,
    )


def _corpus(rows: Sequence[CandidateRow]) -> Corpus:
    best = next((row for row in rows if row.pieces), None)
    if best is None:
        return Corpus(pieces=0, mean_length=0.0, frequencies={})
    frequencies = dict(zip(best.asked or (), best.frequencies or (), strict=True))
    return Corpus(pieces=best.pieces or 0, mean_length=best.mean_length or 0.0, frequencies=frequencies)
