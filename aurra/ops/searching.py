"""Search: find memories by words and by vector; no model."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from aurra import ranking, texts
from aurra.context import Context
from aurra.errors import BadRequest
from aurra.ops import checks, growing, views
from aurra.ops.moments import Moment, resolve
from aurra.ops.registry import operation
from aurra.ranking import Candidate, Corpus, Ranked
from aurra.store import memories
from aurra.store import search as search_store
from aurra.store.memories import PieceRow
from aurra.store.pool import Transaction
from aurra.store.search import Scope
from aurra.types.questions import Found, Looking, Search

MOST_QUERY_CHARACTERS = 10_000
RANKER = "weighted-2"
"""Changes with what is found, its order, or what counts as support; kept with each answer."""


class Meaning(msgspec.Struct, frozen=True):
    """A question's vector, and the model that made it: only vectors of the same are compared with it."""

    model: str
    vector: NDArray[np.float32]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The best, with their rows; and how they were found."""

    ranked: list[Ranked]
    rows: list[PieceRow]
    searched: int
    search_type: str
    moment: Moment
    candidates: list[Candidate]
    """All that were weighed, and what they were weighed against."""
    corpus: Corpus
    model: str | None
    """Whose vectors were compared; None is none."""


@operation(
    "memories.search",
    "POST",
    "/agent/search",
    scope="memories:read",
    keeps_ceiling=True,
    keyless="It reads, and stores nothing.",
    command="search {query}",
    example={"query": "where Kim lives"},
)
async def search(ctx: Context, request: Search) -> Found:
    """Finds memories by words and by meaning, best first; superseded and expired ones are left out."""
    text = checked_text(request.query, "query")
    meaning = await embedded(ctx, text)
    async with ctx.database.read(ctx.company_id) as tx:
        result = await find(ctx, tx, text, meaning, request)
    return Found(
        memories=[
            views.scored(ctx, row, result.moment, one.score, one.similarity, one.signals if request.explain else None)
            for one, row in zip(result.ranked, result.rows, strict=True)
        ],
        memories_searched=result.searched,
        search_type=result.search_type,
        transaction=result.moment.transaction,
        as_of=result.moment.shown_as_of,
    )


def checked_text(text: str, param: str) -> str:
    """The question, trimmed. Raises BadRequest when it is empty or longer than any question."""
    if not text.strip():
        raise BadRequest(f"`{param}` must not be empty.", param=param)
    if len(text) > MOST_QUERY_CHARACTERS:
        raise BadRequest(
            f"`{param}` must be at most {MOST_QUERY_CHARACTERS} characters.", code="out_of_range", param=param
        )
    return text.strip()


async def embedded(ctx: Context, text: str) -> Meaning | None:
    """The question's vector; None where no embedder is configured."""
    # Another may take its place while it works.
    embedder = ctx.service.embedder
    return None if embedder is None else Meaning(embedder.name, (await embedder.embed([text]))[0])


async def find(ctx: Context, tx: Transaction, text: str, meaning: Meaning | None, request: Looking) -> Result:
    """The best memories at the moment that the request names; must be the first thing its transaction does."""
    limit = checks.clamp(request.limit, 10)
    moment = await resolve(tx, ctx.service.clock(), request.as_of, request.transaction_as_of)
    scope = Scope(
        tenant_id=ctx.tenant(request.tenant_id),
        valid_at=moment.valid_at,
        number=None if moment.is_latest else moment.number,
        until=moment.at,
        sources=request.sources or None,
        topics=request.topics or None,
        session_id=request.session_id,
        subject_key=texts.comparable(request.subject) if request.subject else None,
    )
    service = ctx.service
    found, corpus = await search_store.candidates(
        tx,
        scope,
        text,
        vector=meaning.vector if meaning else None,
        model=meaning.model if meaning else "",
        limit=limit,
        exact_up_to=service.settings.aurra_exact_up_to,
        on_gathered=lambda gathered: growing.judge(service, ctx.company_id, scope.tenant_id, moment.number, gathered),
    )
    ranked = ranking.rank(text, found, corpus, limit=limit)
    return Result(
        ranked=ranked,
        rows=await memories.pieces(tx, moment.number, [one.candidate.version for one in ranked]),
        searched=corpus.pieces,
        search_type="none" if not found else "keyword" if meaning is None else "hybrid",
        moment=moment,
        candidates=found,
        corpus=corpus,
        model=meaning.model if meaning else None,
    )
