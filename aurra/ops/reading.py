"""Reading memories: a page, one, its timeline, its audit."""

import contextlib
import itertools
from collections.abc import AsyncGenerator
from uuid import UUID

import msgspec

from aurra import instants, texts
from aurra.context import Context
from aurra.cursors import Cursor
from aurra.ops import checks, paging, reasons, views
from aurra.ops.moments import Moment, resolve
from aurra.ops.registry import operation
from aurra.store import memories, receipts
from aurra.store.memories import EventRow, Filters, Identity, Listed, VersionRow
from aurra.store.pool import Transaction
from aurra.types.memories import (
    Audit,
    AuditEvent,
    AuditExtraction,
    AuditMemory,
    Extraction,
    MemoryFound,
    MemoryGet,
    MemoryList,
    MemoryPage,
    Provenance,
    Timeline,
    Use,
)

MOST_CHARACTERS = 4_000_000
"""Of the texts on one page; what is over it comes with the next page."""
SHOWN_USES = 20
"""Answers that a memory is shown to be used in."""


@operation(
    "memories.list",
    "GET",
    "/agent/memories",
    scope="memories:read",
    keeps_ceiling=True,
    ignores_unknown=True,
    example={"subject": "kim"},
)
async def list_memories(ctx: Context, request: MemoryList) -> MemoryPage:
    """Memories, newest first; only what is valid now, unless times or `include_superseded` say otherwise."""
    limit = checks.clamp(request.limit, 20)
    tenant = ctx.tenant(request.tenant_id)
    after = paging.place_of(ctx, request.cursor, Cursor)
    everything = after.everything if after else request.include_superseded
    async with ctx.database.read(ctx.company_id) as tx:
        moment = await resolve(tx, ctx.service.clock(), *paging.times(request, after), everything=everything)
        listed = await memories.list_page(
            tx,
            number=moment.number,
            valid_at=moment.valid_at,
            tenant_id=tenant,
            filters=_filters(request),
            after=after and Listed(after.memory_id, after.created_at, after.memory_id, after.valid_from, 0),
            limit=limit + 1,
        )
        fitting = _fitting(listed[:limit])
        rows = await memories.pieces(tx, moment.number, [entry.version for entry in listed[:fitting]])
    has_more = len(listed) > fitting
    return MemoryPage(
        memories=[views.memory(ctx, row, moment) for row in rows],
        has_more=has_more,
        next_cursor=_next(ctx, listed[fitting - 1], moment) if has_more else None,
        transaction=moment.transaction,
        as_of=moment.shown_as_of,
    )


@operation(
    "memories.get",
    "GET",
    "/memories/{memory_id}",
    scope="memories:read",
    keeps_ceiling=True,
    aliases=("/agent/memories/{memory_id}",),
)
async def get(ctx: Context, request: MemoryGet) -> MemoryFound:
    """One memory with all its pieces.

    Shown flat is the piece at `as_of`; else the latest that began before; else the first to come; else the last
    version.
    """
    async with looking_at(ctx, request) as (tx, moment, identity):
        versions = await memories.versions_of(tx, moment.number, identity.id)
        believed = [version for version in versions if version.tx_to is None]
        chosen = choose_version(versions, moment)
        wanted = [version.version for version in sorted(believed, key=lambda version: version.valid_from)]
        shown = [chosen.version, *wanted]
        rows = await memories.pieces(tx, moment.number, shown, dialog_characters=memories.WHOLE_DIALOG)
        uses = await receipts.uses(tx, identity.id, limit=SHOWN_USES)
        broken = await receipts.broken(tx, [use.id for use in uses])
    return MemoryFound(
        memory=views.memory(ctx, rows[0], moment),
        pieces=[views.piece_ref(row) for row in rows[1:]],
        used_in=[
            Use(receipt_id=str(use.id), at=instants.show(use.at), cited=use.is_cited, invalidated=use.id in broken)
            for use in uses
        ],
        used_in_count=uses[0].total if uses else 0,
        transaction=moment.transaction,
        as_of=moment.shown_as_of,
    )


@operation(
    "memories.timeline",
    "GET",
    "/memories/{memory_id}/timeline",
    scope="memories:read",
    keeps_ceiling=True,
    ignores_unknown=True,
    aliases=("/agent/memories/{memory_id}/timeline",),
)
async def timeline(ctx: Context, request: MemoryGet) -> Timeline:
    """The whole chain, oldest first, whichever of its memories is asked."""
    async with looking_at(ctx, request) as (tx, moment, identity):
        rows = await memories.pieces(tx, moment.number, await chain_of(tx, identity, moment))
    return Timeline(
        memory_id=str(identity.id),
        company_id=str(ctx.company_id),
        chain_length=len(rows),
        timeline=[views.memory(ctx, row, moment) for row in rows],
        transaction=moment.transaction,
        as_of=moment.shown_as_of,
    )


@operation(
    "memories.get_audit",
    "GET",
    "/memories/{memory_id}/audit",
    scope="audit:read",
    keeps_ceiling=True,
    ignores_unknown=True,
    aliases=("/agent/memories/{memory_id}/audit",),
)
async def get_audit(ctx: Context, request: MemoryGet) -> Audit:
    """Where a memory comes from, how it was made, and all that happened to it."""
    async with looking_at(ctx, request) as (tx, moment, identity):
        chosen = choose_version(await memories.versions_of(tx, moment.number, identity.id), moment)
        row = (await memories.pieces(tx, moment.number, [chosen.version]))[0]
        events = await reasons.told(ctx, tx, await memories.events_of(tx, identity.id))
    extraction = msgspec.json.decode(row.extraction, type=Extraction) if row.extraction else Extraction(mode="verbatim")
    citation = views.source_citation(row)
    return Audit(
        memory_id=str(identity.id),
        memory=AuditMemory(summary=row.summary or row.text, decision=row.text, topic=row.topic),
        provenance=Provenance(
            source_type=row.source,
            channel=citation.channel,
            tenant_id=row.tenant_id or None,
            workspace_id=None,
            org_id=None,
            external_id=row.external_id,
            original_input=row.turn or row.text,
            captured_at=citation.captured_at,
        ),
        extraction=AuditExtraction(
            model=extraction.model, prompt_version=extraction.prompt_version, extracted_at=citation.captured_at
        ),
        temporal=views.temporal(row, views.stands(ctx, row, moment)),
        history=[_event(event) for event in events if event.id <= moment.number],
    )


def choose_version(versions: list[VersionRow], moment: Moment) -> VersionRow:
    """The version that stands for its memory: believed at the moment's instant, else the latest that began before, else
    the first to come; of a memory that is not believed, the one closed last."""
    believed = [version for version in versions if version.tx_to is None]
    if not believed:
        return max(versions, key=lambda version: (version.tx_to or 0, version.valid_from))
    begun = [version for version in believed if version.valid_from <= moment.flags_at]
    if begun:
        return max(begun, key=lambda version: version.valid_from)
    return min(believed, key=lambda version: version.valid_from)


async def chain_of(tx: Transaction, identity: Identity, moment: Moment) -> list[UUID]:
    """Versions of the chain, oldest first: of a slot with one value its pieces, else the memories joined by links."""
    if identity.cardinality != "one":
        return [piece.version for piece in await memories.linked(tx, moment.number, identity.id)]
    held = [
        (piece.valid_from, piece.version, piece.memory_id)
        for piece in await memories.believed_in_lane(tx, moment.number, identity.lane)
    ]
    if all(memory_id != identity.id for _, _, memory_id in held):
        last = choose_version(await memories.versions_of(tx, moment.number, identity.id), moment)
        held.append((last.valid_from, last.version, identity.id))
    return [version for _, version, _ in sorted(held)]


@contextlib.asynccontextmanager
async def looking_at(ctx: Context, request: MemoryGet) -> AsyncGenerator[tuple[Transaction, Moment, Identity]]:
    """A snapshot, the moment asked for, and the memory, if it was there then and this key sees it; else the one 404."""
    async with ctx.database.read(ctx.company_id) as tx:
        moment = await resolve(tx, ctx.service.clock(), request.as_of, request.transaction_as_of)
        identity = await checks.get_identity(ctx, tx, checks.parse_id(request.memory_id))
        if identity.created_tx > moment.number:
            raise checks.missing()
        yield tx, moment, identity


def _fitting(listed: list[Listed]) -> int:
    """How many of them a page holds: at least one, and no more text than an answer should carry."""
    sizes = itertools.accumulate(entry.characters for entry in listed)
    return max(1, sum(size <= MOST_CHARACTERS for size in sizes))


def _filters(request: MemoryList) -> Filters:
    return Filters(
        source=request.source,
        session_id=request.session_id,
        topic=request.topic,
        subject_key=texts.comparable(request.subject) if request.subject else None,
        attribute_key=texts.comparable(request.attribute) if request.attribute else None,
        external_id=request.external_id,
    )


def _next(ctx: Context, last: Listed, moment: Moment) -> str:
    everything = moment.valid_at is None
    place = Cursor(last.created_at, last.memory_id, last.valid_from, moment.number, moment.as_of, everything)
    return paging.cursor_to(ctx, place)


def _event(event: EventRow) -> AuditEvent:
    created = event.verb == "assert" and not event.closed
    details = {"transaction": event.id, "reason": event.reason, "request_id": event.request_id, "model": event.model}
    return AuditEvent(
        event="created"
        if created
        else "superseded"
        if event.verb == "assert"
        else f"{_PAST.get(event.verb, event.verb)}",
        at=instants.show(event.at),
        by=event.actor,
        details={**details, "opened": event.opened, "closed": event.closed},
    )


_PAST = {
    "supersede": "superseded",
    "end": "ended",
    "correct": "corrected",
    "retract": "retracted",
    "restore": "restored",
    "erase": "erased",
}
