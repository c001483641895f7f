"""Builds the index of a large tenant: segment by segment, each in a transaction of its own, so a kill loses one."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import msgspec

from aurra.context import Service
from aurra.errors import Unavailable
from aurra.ids import Ids
from aurra.jobs.runner import kind
from aurra.store import ledger, memories, search, segments
from aurra.store.jobs import Job
from aurra.store.pool import Transaction
from aurra.store.segments import Span

LARGEST = 4
"""Contents of a segment, in thresholds of a large tenant: 8,000, built in about a second."""


class Arguments(msgspec.Struct, frozen=True):
    """Of a job of the kind `index`: a memory of the tenant; or its name, in a job of a release before."""

    memory_id: UUID | None = None
    tenant_id: str | None = None


class Step(msgspec.Struct, frozen=True):
    """What comes next: a segment of the transactions after one and up to another, in place of others."""

    from_tx: int
    to_tx: int
    replaces: tuple[Span, ...] = ()


@kind("index")
async def index(service: Service, job: Job) -> None:
    """Everything that the tenant has stored is in a segment, and the vectors of the service's embedder are sketched;
    nothing where the tenant is not large, or where the memory that it is known by was erased: the next write or search
    asks again. Run again after a kill, it goes on where it was."""
    tenant_id = await _tenant(service, job)
    if tenant_id is not None:
        await _Index(service, job.account, tenant_id).build()


async def _tenant(service: Service, job: Job) -> str | None:
    arguments = msgspec.json.decode(job.arguments, type=Arguments)
    if arguments.memory_id is None:
        return arguments.tenant_id
    async with service.database.read(job.account) as tx:
        known = await memories.find_identity(tx, arguments.memory_id)
    return known and known.tenant_id


class _Index:
    """The index of one tenant."""

    def __init__(self, service: Service, account: UUID, tenant_id: str) -> None:
        self._service = service
        self._account = account
        self._tenant_id = tenant_id
        self._model = service.embedder.name if service.embedder else None
        self._most = LARGEST * service.settings.aurra_exact_up_to

    async def build(self) -> None:
        """Covers what no segment covers, the oldest first; then sketches what is not sketched."""
        while (step := await self._next()) is not None:
            await self._cover(step)
            # Whoever is served meanwhile comes first.
            await asyncio.sleep(0)
        if self._model is not None:
            async with self._service.database.read(self._account) as tx:
                spans = await segments.spans(tx, self._tenant_id, self._model)
            for span in spans:
                if not span.is_sketched:
                    await self._sketch(span, self._model)

    async def _next(self) -> Step | None:
        async with self._service.database.read(self._account) as tx:
            if not await search.is_large(tx, self._tenant_id, self._service.settings.aurra_exact_up_to):
                return None
            last_tx = (await ledger.head(tx, self._service.clock())).last_tx
            spans = await segments.spans(tx, self._tenant_id, self._model)
            after, to = first_gap(spans, last_tx)
            if after == to:
                return None
            found = await segments.reach(tx, self._tenant_id, after=after, to=to, most=self._most)
        if found.memories == self._most and found.to_tx is not None:
            to = found.to_tx
        return joined(spans, after, to, found.memories, self._most)

    async def _cover(self, step: Step) -> None:
        """One segment covers the step."""
        async with self._service.database.begin(self._account) as tx:
            head = await ledger.head(tx, self._service.clock())
            await segments.remove(tx, [span.id for span in step.replaces])
            id_ = Ids(head.at).new()
            contents = await segments.add(tx, id_, self._tenant_id, after=step.from_tx, to=step.to_tx)
            if contents and self._model is not None:
                span = Span(id_, step.from_tx, step.to_tx, contents, is_sketched=False)
                await segments.add_sketch(tx, self._tenant_id, span, self._model)
            await self._require_nothing_erased(tx, head.last_tx)

    async def _sketch(self, span: Span, model: str) -> None:
        """The segment's vectors are sketched, if each content has one."""
        async with self._service.database.begin(self._account) as tx:
            head = await ledger.head(tx, self._service.clock())
            await segments.add_sketch(tx, self._tenant_id, span, model)
            await self._require_nothing_erased(tx, head.last_tx)

    async def _require_nothing_erased(self, tx: Transaction, before: int) -> None:
        """What was read since is not erased meanwhile, nor before the commit: who erases waits for it, then finds the
        segment. Raises Unavailable."""
        await ledger.lock(tx, self._service.clock())
        if await segments.erased_since(tx, before):
            raise Unavailable("Something was erased while it was being indexed; it is indexed again.")


def first_gap(spans: Sequence[Span], last_tx: int) -> tuple[int, int]:
    """The oldest transactions that no segment covers: after the first, up to the second; equal where all are."""
    reached = 0
    for span in spans:
        if span.from_tx > reached:
            return reached, span.from_tx
        reached = span.to_tx
    return reached, max(reached, last_tx)


def joined(spans: Sequence[Span], after: int, to: int, contents: int, most: int) -> Step:
    """A step that also takes in the segments before it that are no larger than what they are joined to: so there are
    few, and none is made again often."""
    replaces: list[Span] = []
    for span in reversed([span for span in spans if span.to_tx <= after]):
        if span.to_tx != after or span.contents > max(contents, most // 64) or span.contents + contents > most:
            break
        replaces.append(span)
        after = span.from_tx
        contents += span.contents
    return Step(after, to, tuple(replaces))
