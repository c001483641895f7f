"""Texts to vectors, long ones in parts; and vectors made later, for contents that lack them."""

import asyncio
from collections.abc import Callable, Sequence
from uuid import UUID, uuid4

import numpy as np

from aurra import parts
from aurra.changes import Changes, Embedded, JobRow
from aurra.drafts import named
from aurra.errors import Unavailable
from aurra.providers.base import Embedder
from aurra.store import embedders
from aurra.store.pool import Database

BATCH = 64
"""Contents that are embedded and stored together: half a second of MiniLM's, and a transaction of milliseconds."""
PAGE = 200
"""Contents looked at together."""
_TRIES = 20
_PAUSE_SECONDS = 1.0
FILL = "embeddings.fill"
"""The kind of job that makes up for what an account's contents lack."""

Said = tuple[str | None, str]
"""Whom a text is of or about, and the text."""


async def embed(embedder: Embedder | None, said: Sequence[Said]) -> list[Embedded | None]:
    """The vectors of each text; None where there is no embedder. Raises Unavailable when it is down."""
    if embedder is None:
        return [None] * len(said)
    return list(await embed_by(embedder, said))


async def embed_by(embedder: Embedder, said: Sequence[Said]) -> list[Embedded]:
    """The vectors of each text: one, or one a part where it is longer than the embedder's window."""
    if not said:
        return []
    texts = [named(who, text) for who, text in said]
    # A token is a character at least.
    long = [place for place, text in enumerate(texts) if len(text) > embedder.window]
    # Counting takes its time, and may have to wait for a model that is being loaded.
    cut = await asyncio.to_thread(_cut, embedder, [said[place] for place in long]) if long else []
    by_place = dict(zip(long, cut, strict=True))
    each = [by_place.get(place, [text]) for place, text in enumerate(texts)]
    vectors = await embedder.embed([part for of_text in each for part in of_text])
    ends = np.cumsum([len(of_text) for of_text in each])
    return [Embedded(embedder.name, rows) for rows in np.split(vectors, ends[:-1])]


def _cut(embedder: Embedder, said: Sequence[Said]) -> list[list[str]]:
    """The parts of each text, every part with the name of whom it is of or about."""
    cut: list[list[str]] = []
    for who, text in said:
        taken = embedder.length(named(who, "")) if who else 0
        room = max(embedder.window - taken, embedder.window // 2)
        cut.append([named(who, part) for part in parts.cut(text, room, embedder.length)])
    return cut


async def fill(
    database: Database, company_id: UUID, embedder: Embedder, tell: Callable[[int], None] | None = None
) -> int:
    """Every content of the account that was there has its vectors; how many lacked them.

    Stored batch by batch, each a short transaction: whoever is killed goes on where it was. `tell` hears of each.
    """
    done, after = 0, embedders.FIRST
    while True:
        async with database.read(company_id) as tx:
            page = await embedders.page(tx, embedder.name, after, PAGE)
        if not page:
            return done
        after = page[-1].id
        lacking = [(content.id, (content.who, content.text)) for content in page if content.text is not None]
        for start in range(0, len(lacking), BATCH):
            batch = lacking[start : start + BATCH]
            embedded = await embed_by(embedder, [said for _, said in batch])
            await _store(database, company_id, [content for content, _ in batch], embedded)
            done += len(batch)
            if tell is not None:
                tell(len(batch))


async def _store(database: Database, company_id: UUID, contents: Sequence[UUID], embedded: Sequence[Embedded]) -> None:
    """Tried again while writers of the account keep the ledger, or the database is away."""
    for attempt in range(1, _TRIES + 1):
        try:
            async with database.begin(company_id) as tx:
                await embedders.add(tx, contents, embedded)
            return
        except Unavailable:
            if attempt == _TRIES:
                raise
            await asyncio.sleep(_PAUSE_SECONDS)


def lacks_vectors(model: str, changes: Changes) -> bool:
    """Whether a content would be stored without a vector of the model, if any."""
    if not model or not changes.contents:
        return False
    have = {vector.content_id for vector in changes.vectors if vector.model == model}
    return any(content.id not in have for content in changes.contents)


def fill_job(company_id: UUID) -> JobRow:
    """The job that makes up for it."""
    return JobRow(id=uuid4(), account=company_id, kind=FILL, arguments={})
