"""The index of large tenants: segments of what was stored, and everything that is in none, read as if it were one."""

from collections.abc import Sequence
from uuid import UUID

import msgspec
import numpy as np
from numpy.typing import NDArray
from pgvector import HalfVector

from aurra import sketches
from aurra.postings import Posting, Postings, Stretch
from aurra.sketches import Sketch
from aurra.store.pool import Transaction, half_vector
from aurra.store.queries import load

_Q = load("segments")
_EVERY = 2**62
"""More rows than there are."""


class SegmentRow(msgspec.Struct, frozen=True):
    """A segment; only the question's words where the tenant has none."""

    lexemes: list[str]
    id: UUID | None
    from_tx: int
    to_tx: int
    contents: int
    ids: bytes
    lengths: bytes
    numbers: bytes | None
    """Only of one that goes on after the transaction."""
    is_sketched: bool


class WordRow(msgspec.Struct, frozen=True):
    segment_id: UUID
    lexeme: str
    places: bytes
    times: bytes | None


class SketchRow(msgspec.Struct, frozen=True):
    segment_id: UUID
    places: bytes
    scale: bytes
    codes: bytes


class UnindexedRow(msgspec.Struct, frozen=True):
    """All contents, or a word of the question."""

    lexeme: str | None
    contents: int
    ids: bytes | None
    lengths: bytes | None
    similarities: list[float | None] | None
    places: bytes | None
    times: bytes | None


class Span(msgspec.Struct, frozen=True):
    """What a segment covers: the transactions after `from_tx`, up to `to_tx`."""

    id: UUID
    from_tx: int
    to_tx: int
    contents: int
    is_sketched: bool


class Reach(msgspec.Struct, frozen=True):
    """Of a run of transactions: memories that it made, up to a bound, and the transaction of the last of them."""

    memories: int
    to_tx: int | None


class Newest(msgspec.Struct, frozen=True):
    id: UUID


class Added(msgspec.Struct, frozen=True):
    contents: int


class Vectors(msgspec.Struct, frozen=True):
    contents: int
    places: bytes | None
    vectors: bytes | None


class Erased(msgspec.Struct, frozen=True):
    is_so: bool


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of a tenant, and up to which transaction (at `until`)."""

    text: str
    vector: NDArray[np.float32] | None
    model: str | None
    """None without a vector."""
    tenant_id: str
    tx: int
    until: object

    @property
    def half(self) -> HalfVector | None:
        return None if self.vector is None else half_vector(self.vector)


class Gathered(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a tenant stored by a transaction, and how much of it the index did not hold."""

    postings: Postings
    lexemes: list[str]
    unindexed: int
    newest_indexed: int
    """The transaction up to which there are segments."""
    is_broken: bool
    """Whether something before that is in no segment."""


async def gather(tx: Transaction, question: Question) -> Gathered:
    """All that the tenant stored by the question's transaction, in order, with the question's words and nearness;
    whatever is believed of it."""
    rows = await tx.rows(
        _Q["in_order"],
        SegmentRow,
        query=question.text,
        tenant_id=question.tenant_id,
        tx=question.tx,
        model=question.model,
    )
    lexemes = rows[0].lexemes
    held = [row for row in rows if row.id is not None and (question.vector is None or row.is_sketched)]
    indexed = await _indexed(tx, question, held, lexemes)
    stretches: list[Stretch] = []
    reached, unindexed, is_broken = 0, 0, False
    for row, stretch in zip(held, indexed, strict=True):
        if row.from_tx > reached:
            between = await _unindexed(tx, question, lexemes, reached, row.from_tx)
            stretches.append(between)
            unindexed += between.count
            is_broken = is_broken or between.count > 0
        stretches.append(stretch)
        reached = row.to_tx
    if question.tx > reached:
        tail = await _unindexed(tx, question, lexemes, reached, question.tx)
        stretches.append(tail)
        unindexed += tail.count
    return Gathered(
        postings=Postings(stretches, lexemes),
        lexemes=lexemes,
        unindexed=unindexed,
        newest_indexed=reached,
        is_broken=is_broken,
    )


async def _indexed(
    tx: Transaction, question: Question, held: Sequence[SegmentRow], lexemes: list[str]
) -> list[Stretch]:
    """The segments, each as far as it is there by the question's transaction."""
    if not held:
        return []
    ids = [row.id for row in held]
    postings: dict[UUID | None, dict[str, Posting]] = {id_: {} for id_ in ids}
    for word in await tx.rows(_Q["words"], WordRow, segments=ids, lexemes=lexemes):
        postings[word.segment_id][word.lexeme] = Posting(word.places, word.times)
    near: dict[UUID | None, NDArray[np.float64]] = {}
    if question.vector is not None:
        contents = {row.id: row.contents for row in held}
        for row in await tx.rows(_Q["sketches"], SketchRow, segments=ids, model=question.model):
            near[row.segment_id] = _near(row, question.vector, contents[row.segment_id])
    return [
        Stretch(
            count=_there(row, question.tx),
            ids=row.ids,
            lengths=row.lengths,
            postings=postings[row.id],
            similarity=near.get(row.id),
        )
        for row in held
    ]


def _there(row: SegmentRow, number: int) -> int:
    """How many contents of a segment were stored by a transaction."""
    if row.numbers is None:
        return row.contents
    return int(np.searchsorted(np.frombuffer(row.numbers, ">i8"), number, side="right"))


def _near(row: SketchRow, vector: NDArray[np.float32], contents: int) -> NDArray[np.float64]:
    """The reckoned nearness of each content: the nearest of its vectors."""
    reckoned = sketches.nearness(Sketch(row.scale, row.codes), vector)
    if len(reckoned) == contents:
        return reckoned.astype(np.float64)
    near = np.full(contents, -np.inf)
    np.maximum.at(near, np.frombuffer(row.places, ">u4").astype(np.int64), reckoned)
    return near


async def _unindexed(tx: Transaction, question: Question, lexemes: list[str], from_tx: int, to_tx: int) -> Stretch:
    """What transactions after one and up to another stored, read from the contents."""
    rows = await tx.rows(
        _Q["unindexed" if from_tx or to_tx < question.tx else "unindexed_of_tenant"],
        UnindexedRow,
        tenant_id=question.tenant_id,
        from_tx=from_tx,
        to_tx=to_tx,
        until=question.until,
        every=_EVERY,
        lexemes=lexemes,
        vector=question.half,
        model=question.model,
    )
    every = next(row for row in rows if row.lexeme is None)
    similarity = None
    if question.vector is not None:
        similarity = np.asarray([-np.inf if one is None else one for one in every.similarities or ()], np.float64)
    return Stretch(
        count=every.contents,
        ids=every.ids or b"",
        lengths=every.lengths or b"",
        postings={row.lexeme: Posting(row.places or b"", row.times) for row in rows if row.lexeme is not None},
        similarity=similarity,
    )


async def find_newest(tx: Transaction, tenant_id: str) -> UUID | None:
    """The tenant's newest memory; None where it has none."""
    found = await tx.row(_Q["newest"], Newest, tenant_id=tenant_id)
    return found and found.id


async def spans(tx: Transaction, tenant_id: str, model: str | None) -> list[Span]:
    """What each segment covers, oldest first; `is_sketched` by the model."""
    return await tx.rows(_Q["spans"], Span, tenant_id=tenant_id, model=model)


async def reach(tx: Transaction, tenant_id: str, *, after: int, to: int, most: int) -> Reach:
    """How far a segment of at most about so many contents goes that begins after a transaction."""
    found = await tx.row(_Q["reach"], Reach, tenant_id=tenant_id, from_tx=after, to_tx=to, most=most)
    return found or Reach(0, None)


async def add(tx: Transaction, id_: UUID, tenant_id: str, *, after: int, to: int) -> int:
    """A segment of what transactions after one and up to another stored; how many contents."""
    arguments = {"id": id_, "tenant_id": tenant_id, "from_tx": after, "to_tx": to, "every": _EVERY}
    added = await tx.row(_Q["add_segment"], Added, **arguments)
    await tx.execute(_Q["add_words"], **arguments)
    return added.contents if added else 0


async def add_sketch(tx: Transaction, tenant_id: str, span: Span, model: str) -> None:
    """The segment's vectors by a model are sketched; not while a content has none."""
    found = await tx.row(
        _Q["vectors"],
        Vectors,
        tenant_id=tenant_id,
        from_tx=span.from_tx,
        to_tx=span.to_tx,
        model=model,
        every=_EVERY,
    )
    if found is None or found.contents < span.contents or not (found.places and found.vectors):
        return
    # As pgvector sends each: its dimension, two bytes unused, then the numbers.
    raw = np.frombuffer(found.vectors, ">u2").reshape(len(found.places) // 4, -1)
    made = sketches.sketch(raw[:, 2:].copy().view(">f2").astype(np.float32))
    await tx.execute(_Q["add_sketch"], id=span.id, model=model, places=found.places, scale=made.scale, codes=made.codes)


async def remove(tx: Transaction, ids: Sequence[UUID]) -> None:
    """The segments are gone; what was in them is read from the contents."""
    for name in ("remove_sketches", "remove_words", "remove"):
        await tx.execute(_Q[name], segments=ids)


async def erased_since(tx: Transaction, number: int) -> bool:
    """Whether anything was erased after a transaction."""
    found = await tx.row(_Q["erased_since"], Erased, tx=number)
    return found is not None and found.is_so
