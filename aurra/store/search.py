"""Candidates for ranking, from an exact search inside one tenant."""

import datetime as dt
from collections.abc import Sequence
from uuid import UUID

import msgspec
import numpy as np
from numpy.typing import NDArray

from aurra.ranking import Candidate, Corpus
from aurra.store.pool import Transaction, half_vector
from aurra.store.queries import load

_Q = load("search")
WIDTH = 100
"""Candidates by their own words and vectors; more only when more results are asked for. On LoCoMo, 700 find no more."""
JOINED = 50
"""How many of the best bring the turns before and after them along: an answer may share no word with what is asked."""


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


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Where to look: tenant, filters and both times."""

    tenant_id: str
    valid_at: dt.datetime | None
    number: int | None
    """The transaction; None is the newest."""
    sources: Sequence[str] | None = None
    topics: Sequence[str] | None = None
    session_id: str | None = None
    subject_key: str | None = None


async def candidates(
    tx: Transaction, scope: Scope, query: str, *, vector: NDArray[np.float32] | None, model: str, limit: int
) -> tuple[list[Candidate], Corpus]:
    """The best by words and vectors together, filled up with the newest, and the neighbours of the very best.

    Never fewer than min(limit, what qualifies), in no order. A scope that names both times always finds the same.
    """
    rows = await tx.rows(
        _Q["candidates_now" if scope.number is None else "candidates_then"],
        CandidateRow,
        tenant_id=scope.tenant_id,
        valid_at=scope.valid_at,
        tx=scope.number,
        sources=scope.sources,
        topics=scope.topics,
        session_id=scope.session_id,
        subject_key=scope.subject_key,
        query=query,
        vector=None if vector is None else half_vector(vector),
        # No model matches NULL: without a question's vector none is looked up.
        model=None if vector is None else model,
        width=max(WIDTH, limit),
        joined=JOINED,
    )
    return [_candidate(row) for row in rows], _corpus(rows)


def _candidate(row: CandidateRow) -> Candidate:
    lexemes = row.lexemes or ()
    return Candidate(
        version=row.version,
        session_id=row.session_id,
        turn=row.turn,
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
