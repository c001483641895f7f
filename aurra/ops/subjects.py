"""Reading subjects: a page of them, and the profile of one."""

import itertools
from collections.abc import Sequence
from uuid import UUID

from msgspec import UNSET

from aurra import instants, texts
from aurra.changes import Head
from aurra.context import Context
from aurra.cursors import SubjectCursor
from aurra.errors import Unprocessable
from aurra.ops import checks, paging, views, writing
from aurra.ops.committing import Decision
from aurra.ops.history import stated
from aurra.ops.moments import Moment, resolve
from aurra.ops.registry import operation
from aurra.store import memories, subjects
from aurra.store.pool import Transaction
from aurra.store.subjects import AboutRow, Filters, SubjectRow
from aurra.timeline import Interval, holds
from aurra.types.memories import Memory
from aurra.types.subjects import (
    Profile,
    ProfileAttribute,
    ProfilePiece,
    Subject,
    SubjectGet,
    SubjectList,
    SubjectPage,
    SubjectUpdate,
    SubjectUpdated,
)

MOST_PIECES = 5_000
"""Of one profile; of more, the latest."""


@operation("subjects.list", "GET", "/agent/subjects", scope="memories:read", keeps_ceiling=True)
async def list_subjects(ctx: Context, request: SubjectList) -> SubjectPage:
    """Subjects that something is believed about, in the order of their names; found by a part of the name, or by the
    caller's own id."""
    limit = checks.clamp(request.limit, 20)
    tenant = ctx.tenant(request.tenant_id)
    after = paging.place_of(ctx, request.cursor, SubjectCursor)
    async with ctx.database.read(ctx.company_id) as tx:
        moment = await resolve(tx, ctx.service.clock(), *paging.times(request, after))
        rows = await subjects.list_page(
            tx,
            number=moment.number,
            valid_at=moment.valid_at,
            tenant_id=tenant,
            filters=_filters(request),
            after=after and after.subject_key,
            limit=limit + 1,
        )
    page, last = paging.cut(rows, limit)
    return SubjectPage(
        subjects=[shown_subject(row) for row in page],
        has_more=last is not None,
        next_cursor=last and _next(ctx, last, moment),
        transaction=moment.transaction,
        as_of=moment.shown_as_of,
    )


@operation("subjects.get", "GET", "/agent/subjects/{subject}", scope="memories:read", keeps_ceiling=True)
async def get(ctx: Context, request: SubjectGet) -> Profile:
    """The profile of a subject: each attribute's value at both times, its history, what is due to start or end."""
    tenant = ctx.tenant(request.tenant_id)
    key = _key(request.subject)
    async with ctx.database.read(ctx.company_id) as tx:
        moment = await resolve(tx, ctx.service.clock(), request.as_of, request.transaction_as_of)
        name = await subjects.find_name(tx, moment.number, tenant, key)
        if name is None:
            raise checks.missing("subject")
        external_id = await subjects.find_external_id(tx, tenant, key)
        found = await subjects.about(tx, moment.number, tenant, key, moment.flags_at, limit=MOST_PIECES + 1)
        rows = found[:MOST_PIECES]
        said = {row.version: row.text for row in await stated(tx, moment.number, [row.version for row in rows])}
        current = await _current(ctx, tx, moment, rows)
    profile = Profile(
        subject=name,
        external_id=external_id,
        attributes=_attributes(rows, current, said, moment),
        memories=sorted((memory for memory in current.values() if memory.attribute is None), key=_age, reverse=True),
        transaction=moment.transaction,
        as_of=instants.show(moment.flags_at),
    )
    if len(found) > MOST_PIECES:
        profile.warnings.append(
            f"There are more than {MOST_PIECES} pieces: those that begin latest are shown; GET /agent/memories has all."
        )
    return profile


@operation(
    "subjects.update",
    "PATCH",
    "/agent/subjects/{subject}",
    scope="memories:write",
    is_idempotent=True,
    example={"external_id": "crm-17"},
)
async def update(ctx: Context, request: SubjectUpdate) -> SubjectUpdated:
    """Gives a subject its id in the caller's system, or, with null, takes it away. A label: no transaction."""
    if request.external_id is UNSET:
        raise Unprocessable("`external_id` is required; null removes it.", param="external_id")
    external_id = checks.name(request.external_id, "external_id")
    tenant, key = ctx.tenant(request.tenant_id), _key(request.subject)

    # Under the ledger's lock: an erasure of all about the subject comes before, or takes the label with it.
    async def decide(tx: Transaction, head: Head) -> Decision:
        name = await subjects.find_name(tx, head.last_tx, tenant, key)
        if name is None:
            raise checks.missing("subject")
        await subjects.change_external_id(tx, head.last_tx, tenant, key, external_id)
        return writing.beside_the_ledger(
            ctx,
            lambda transaction: SubjectUpdated(
                subject=name, external_id=external_id, tenant_id=tenant or None, transaction=transaction
            ),
        )

    print_ = writing.fingerprint(ctx, "subjects.update", request)
    return await writing.once_alone(ctx, print_, SubjectUpdated, decide)


def _filters(request: SubjectList) -> Filters:
    if request.query is None or not request.query.strip():
        return Filters(external_id=request.external_id)
    return Filters(query=request.query, part=texts.comparable(request.query), external_id=request.external_id)


async def _current(ctx: Context, tx: Transaction, moment: Moment, rows: Sequence[AboutRow]) -> dict[UUID, Memory]:
    """The memories that hold at the moment, by version."""
    shown = await memories.pieces(tx, moment.number, [row.version for row in rows if _holds(row, moment)])
    return {row.version: views.memory(ctx, row, moment) for row in shown}


def _attributes(
    rows: Sequence[AboutRow], current: dict[UUID, Memory], said: dict[UUID, str], moment: Moment
) -> list[ProfileAttribute]:
    """The attributes in the order of their names, the pieces of each in valid order."""
    of_attributes = sorted(
        (row for row in rows if row.attribute is not None),
        key=lambda row: (row.attribute_key or "", row.valid_from, row.memory_id),
    )
    return [
        _attribute(list(held), current, said, moment)
        for _, held in itertools.groupby(of_attributes, key=lambda row: row.attribute_key)
    ]


def _attribute(
    rows: Sequence[AboutRow], current: dict[UUID, Memory], said: dict[UUID, str], moment: Moment
) -> ProfileAttribute:
    pieces = {row.version: _piece(row, said[row.version]) for row in rows}
    return ProfileAttribute(
        attribute=rows[0].attribute or "",
        cardinality=rows[0].cardinality or "",
        current=[current[row.version] for row in rows if row.version in current],
        history=list(pieces.values()),
        starting=[pieces[row.version] for row in rows if row.valid_from > moment.flags_at],
        ending=[pieces[row.version] for row in rows if row.version in current and row.valid_to is not None],
    )


def _age(memory: Memory) -> tuple[str, str]:
    return memory.created_at, memory.id


def _holds(row: AboutRow, moment: Moment) -> bool:
    return holds(Interval(row.valid_from, row.valid_to), moment.flags_at)


def _key(subject: str) -> str:
    """The comparable name. What can be no name is the name of nothing: the same 404."""
    if not checks.is_storable(subject):
        raise checks.missing("subject")
    return texts.comparable(subject)


def shown_subject(row: SubjectRow) -> Subject:
    """A subject as lists show it."""
    return Subject(
        subject=row.subject,
        external_id=row.external_id,
        memories=row.memories,
        attributes=sorted(row.attributes, key=texts.comparable),
    )


def _piece(row: AboutRow, text: str) -> ProfilePiece:
    return ProfilePiece(
        memory_id=str(row.memory_id),
        version=str(row.version),
        decision=text,
        valid_from=instants.show(row.valid_from),
        valid_to=instants.show_optional(row.valid_to),
        superseded_by=None if row.superseded_by is None else str(row.superseded_by),
    )


def _next(ctx: Context, last: SubjectRow, moment: Moment) -> str:
    return paging.cursor_to(ctx, SubjectCursor(last.subject_key, moment.number, moment.as_of))
