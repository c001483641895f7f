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
WIDTH = 200
"""Candidates of each kind, lexical and by vector; more only when more results are asked for."""


class CandidateRow(msgspec.Struct, frozen=True):
    version: UUID
    memory_id: UUID
    session_id: str | None
    created_at: dt.datetime
    position: int | None
    said_at: dt.datetime | None
    valid_from: dt.datetime
    speaker: str | None
    subject: str | None
    text: str
    length: int
    lexemes: list[str]
    times: list[int]
    frequencies: list[int]
    similarity: float | None
    total: int
    mean_length: float


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
    """The best by words and by vector, and the newest, so that never fewer than min(limit, what qualifies) come back."""
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
        model=model,
        width=max(WIDTH, limit),
        limit=limit,
    )
    frequencies: dict[str, int] = {}
    for row in rows:
        frequencies.update(zip(row.lexemes, row.frequencies, strict=True))
    corpus = Corpus(
        pieces=rows[0].total if rows else 0, mean_length=rows[0].mean_length if rows else 0.0, frequencies=frequencies
    )
    return [_candidate(row) for row in rows], corpus


def _candidate(row: CandidateRow) -> Candidate:
    return Candidate(
        version=row.version,
        memory=row.memory_id,
        session_id=row.session_id,
        position=(row.created_at, row.position or 0),
        speaker=row.speaker,
        subject=row.subject,
        text=row.text,
        dated=row.said_at or row.valid_from,
        length=row.length,
        lexemes=dict(zip(row.lexemes, row.times, strict=True)),
        similarity=row.similarity,
    )
