"""Conversations: keeping turns as said, and reading them with what was made of each."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from aurra import extraction, ids, instants
from aurra.changes import Changes, Head, JobRow
from aurra.context import Context
from aurra.cursors import ConversationCursor, TurnCursor
from aurra.drafts import Labels, Turn
from aurra.errors import BadRequest, NotFound
from aurra.ops import checks, drafting, memories, models, paging, superseding, writing
from aurra.ops.committing import Decision
from aurra.ops.drafting import Prepared
from aurra.ops.memories import Asserted, Items
from aurra.ops.moments import Moment, resolve
from aurra.ops.registry import MIB, operation
from aurra.planning.asserting import told_key
from aurra.planning.world import KeptTurn, ToldKey, World
from aurra.store import conversations, ledger
from aurra.store import world as world_store
from aurra.store.conversations import ConversationRow, MadeRow, TurnRow
from aurra.store.world import Needs
from aurra.timeline import Interval, holds
from aurra.types.common import TransactionRef
from aurra.types.conversations import (
    Conversation,
    ConversationAdd,
    ConversationAdded,
    ConversationExtraction,
    ConversationFound,
    ConversationGet,
    ConversationList,
    ConversationMessage,
    ConversationMessages,
    ConversationMessagesPage,
    ConversationPage,
    TurnMemory,
)
from aurra.types.memories import Extraction, MemoryWrite

MOST_TURNS = 500
"""In one request."""

_object = msgspec.json.Decoder(dict[str, Any])


@operation(
    "conversations.add",
    "POST",
    "/agent/conversations",
    scope="memories:write",
    is_idempotent=True,
    body_limit=8 * MIB,
    example={
        "session_id": "call-7",
        "turns": [{"role": "user", "content": "I moved to Rome in May."}],
        "channel": "call",
    },
)
async def add(ctx: Context, request: ConversationAdd) -> ConversationAdded:
    """Keeps turns as they were said, and makes facts of them now, later or never. Later requests append.

    A turn whose `id` the session has already is neither stored nor extracted again; if it says something else, the
    first stays, and `warnings` names it. Keeping costs nothing; each fact is a write.
    """
    labels, turns = _check(ctx, request)
    print_ = writing.fingerprint(ctx, "conversations.add", request)
    with writing.in_flight(ctx, print_):
        if (stored := await writing.find_replay(ctx, print_, ConversationAdded)) is not None:
            return stored
        prepared = await _prepare(ctx, request, labels, turns)
        drafting.require_few(prepared.drafts, "turns")
        items = Items([prepared], await drafting.embed(ctx, prepared.drafts, {0: turns}))
        items.considered = await superseding.consider(ctx, items.items, items.vectors)

        def plan(world: World, head: Head) -> Decision:
            asserted = memories.assert_items(ctx, world, head, items, None, dry_run=request.dry_run)
            if request.extraction == "later" and asserted.changes.sources:
                asserted.changes.jobs.append(_job(ctx, head, asserted.changes))
            return _decision(ctx, request, labels, prepared, asserted, world)

        drafted = items.needs(Needs.of_drafts(prepared.drafts, {0: turns}))
        needs = replace(drafted, turns=_keys(labels.tenant_id, turns), size=max(len(turns), len(prepared.drafts)))
        return await writing.write(ctx, print_, ConversationAdded, needs, plan)


@operation(
    "conversations.list",
    "GET",
    "/agent/conversations",
    scope="memories:read",
    keeps_ceiling=True,
    example={"channel": "call"},
)
async def list_conversations(ctx: Context, request: ConversationList) -> ConversationPage:
    """Conversations, newest first, each with how many turns and believed memories it has."""
    limit = checks.clamp(request.limit, 20)
    tenant = ctx.tenant(request.tenant_id)
    after = paging.place_of(ctx, request.cursor, ConversationCursor)
    async with ctx.database.read(ctx.company_id) as tx:
        moment = await resolve(tx, ctx.service.clock(), *paging.times(request, after))
        rows = await conversations.list_page(
            tx,
            number=moment.number,
            at=moment.at,
            valid_at=moment.valid_at,
            tenant_id=tenant,
            channel=request.channel,
            external_id=request.external_id,
            after=after and (after.created_at, after.session_id),
            limit=limit + 1,
        )
    page, last = paging.cut(rows, limit)
    return ConversationPage(
        conversations=[shown_conversation(row) for row in page],
        has_more=last is not None,
        next_cursor=last and _next_page(ctx, last, moment),
        transaction=moment.transaction,
        as_of=moment.shown_as_of,
    )


@operation("conversations.get", "GET", "/agent/conversations/{session_id}", scope="memories:read", keeps_ceiling=True)
async def get(ctx: Context, request: ConversationGet) -> ConversationFound:
    """One conversation: its labels, and how many turns and believed memories it has."""
    tenant = _tenant(ctx, request.tenant_id)
    async with ctx.database.read(ctx.company_id) as tx:
        moment = await resolve(tx, ctx.service.clock(), request.as_of, request.transaction_as_of)
        session = _session(request.session_id)
        row = await conversations.find(tx, moment.number, moment.at, moment.valid_at, tenant, session)
    if row is None:
        raise checks.missing("conversation")
    return ConversationFound(
        conversation=shown_conversation(row), transaction=moment.transaction, as_of=moment.shown_as_of
    )


@operation(
    "conversations.messages",
    "GET",
    "/agent/conversations/{session_id}/messages",
    scope="memories:read",
    keeps_ceiling=True,
)
async def messages(ctx: Context, request: ConversationMessages) -> ConversationMessagesPage:
    """The turns of a conversation as they were said, in the order in which they were told, each with the memories that
    were made from it."""
    limit = checks.clamp(request.limit, 100)
    tenant = _tenant(ctx, request.tenant_id)
    after = paging.place_of(ctx, request.cursor, TurnCursor)
    async with ctx.database.read(ctx.company_id) as tx:
        moment = await resolve(tx, ctx.service.clock(), *paging.times(request, after))
        session = _session(request.session_id)
        if not await conversations.is_there(tx, moment.at, tenant, session):
            raise checks.missing("conversation")
        last = after and after.turn
        rows = await conversations.turns(tx, moment.number, tenant, session, last, limit=limit + 1)
        made = await conversations.made_of(tx, moment.number, [row.id for row in rows[:limit]])
    has_more = len(rows) > limit
    first = after.position + 1 if after else 0
    of_turn = {turn: list(group) for turn, group in itertools.groupby(made, key=lambda row: row.turn)}
    return ConversationMessagesPage(
        session_id=session,
        messages=[
            shown_message(row, position, shown_made(of_turn.get(row.id, ()), moment))
            for position, row in enumerate(rows[:limit], first)
        ],
        has_more=has_more,
        next_cursor=_next_turns(ctx, rows[limit - 1], first + limit - 1, moment) if has_more else None,
        transaction=moment.transaction,
        as_of=moment.shown_as_of,
    )


def _check(ctx: Context, request: ConversationAdd) -> tuple[Labels, list[Turn]]:
    """What is given, checked. Raises BadRequest and Unprocessable naming the field."""
    checks.name(request.session_id, "session_id")
    for param in ("tenant_id", "channel", "external_id", "source"):
        checks.short(getattr(request, param), param)
    checks.choice(request.extraction, ("now", "later", "never"), "extraction")
    if not 1 <= len(request.turns) <= MOST_TURNS:
        raise BadRequest(
            f"`turns` must have 1 to {MOST_TURNS} items; it has {len(request.turns)}: send more in parts.",
            code="out_of_range",
            param="turns",
        )
    if request.llm is not None and request.extraction != "now":
        raise BadRequest(
            "`llm` goes with the extraction `now`: its key is never stored, so it cannot wait. Set a model for the "
            "account or the server.",
            param="llm",
        )
    if request.source is not None and request.extraction != "now":
        raise BadRequest(
            "`source` goes with the extraction `now`: what waits is known by ids alone.",
            param="source",
        )
    turns = [
        drafting.turn(request.session_id, position, message, f"turns[{position}].")
        for position, message in enumerate(request.turns)
    ]
    labels = Labels(
        tenant_id=ctx.tenant(request.tenant_id),
        session_id=request.session_id,
        channel=request.channel,
        external_id=request.external_id,
        uri=request.uri,
        metadata=request.metadata,
    )
    return labels, turns


async def _prepare(ctx: Context, request: ConversationAdd, labels: Labels, turns: list[Turn]) -> Prepared:
    """The turns to keep; with the extraction `now`, what is made of those that are not known yet."""
    if request.extraction == "now":
        fresh = await _fresh(ctx, labels, turns)
        found = await drafting.prepare(ctx, _as_messages(request), turns=[turns[place] for place in fresh])
        drafts = [draft if draft.turn is None else replace(draft, turn=fresh[draft.turn]) for draft in found.drafts]
        return replace(found, drafts=drafts, turns=turns, labels=labels)
    how = Extraction(mode="none")
    if request.extraction == "later":
        # Found out in the background, it could be told to nobody.
        drafting.require_few(extraction.by_rules(turns), "turns")
        how = drafting.how(await models.choose(ctx, None))
    return Prepared(
        drafts=[],
        turns=turns,
        extraction=how,
        extracted_count=0,
        is_content=False,
        auto_supersede=False,
        labels=labels,
    )


def _as_messages(request: ConversationAdd) -> MemoryWrite:
    """What POST /agent/memories would be asked to make facts of the turns."""
    return MemoryWrite(
        messages=[],
        session_id=request.session_id,
        tenant_id=request.tenant_id,
        source=request.source,
        llm=request.llm,
    )


async def _fresh(ctx: Context, labels: Labels, turns: Sequence[Turn]) -> list[int]:
    """Places of the turns that the session does not have, each id once: of the others nothing is made again."""
    keys = [told_key(labels.tenant_id, turn) for turn in turns]
    world = World()
    if any(keys):
        async with ctx.database.read(ctx.company_id) as tx:
            head = await ledger.head(tx, ctx.service.clock())
            world, _ = await world_store.load(tx, [Needs(turns=frozenset(filter(None, keys)))], head.at)
    seen = set[ToldKey](world.turns)
    fresh: list[int] = []
    for place, key in enumerate(keys):
        if key is None or key not in seen:
            fresh.append(place)
        if key is not None:
            seen.add(key)
    return fresh


def _keys(tenant_id: str, turns: Iterable[Turn]) -> frozenset[ToldKey]:
    return frozenset(filter(None, (told_key(tenant_id, turn) for turn in turns)))


def _job(ctx: Context, head: Head, changes: Changes) -> JobRow:
    """The extraction of the turns that are kept, as the key that sent them."""
    return JobRow(
        id=ids.Ids(head.at).new(),
        account=ctx.company_id,
        kind="extract",
        arguments={"dialog": str(changes.sources[0].dialog_id), "key": ctx.caller.key_id},
    )


def _decision(
    ctx: Context,
    request: ConversationAdd,
    labels: Labels,
    prepared: Prepared,
    asserted: Asserted,
    world: World,
) -> Decision:
    changes = asserted.changes
    kept = {place: found for place, turn in enumerate(prepared.turns) if (found := _kept(world, labels, turn))}
    warnings = [
        f"turns[{place}]: a turn of this id is kept already and says something else; the first one stays."
        for place, found in kept.items()
        if (found.role, found.text) != (prepared.turns[place].role, prepared.turns[place].text)
    ]
    model = prepared.extraction.model if changes.memories else None
    made = [outcome.memory for outcome in asserted.outcomes[0]]
    return Decision(
        verb=ctx.verb("assert" if changes.memories else "keep", request.reason, model=model),
        changes=changes,
        answer=lambda transaction: _added(ctx, request, prepared, asserted, warnings, transaction),
        dry_run=request.dry_run,
        # Where no memory was made, the turns tell whether what the answer says was erased.
        quotes=[*made, *{*(row.id for row in changes.sources), *(found.id for found in kept.values())}],
    )


def _kept(world: World, labels: Labels, turn: Turn) -> KeptTurn | None:
    key = told_key(labels.tenant_id, turn)
    return world.turns.get(key) if key else None


def _added(
    ctx: Context,
    request: ConversationAdd,
    prepared: Prepared,
    asserted: Asserted,
    warnings: list[str],
    transaction: TransactionRef,
) -> ConversationAdded:
    outcomes = asserted.outcomes[0]
    saved = len(asserted.changes.sources)
    return ConversationAdded(
        status="saved" if saved else "unchanged",
        session_id=request.session_id,
        turns_saved=saved,
        turns_known=len(request.turns) - saved,
        memory_ids=[str(outcome.memory) for outcome in outcomes if outcome.duplicate or not request.dry_run],
        extracted_count=prepared.extracted_count,
        saved_count=sum(not outcome.duplicate for outcome in outcomes),
        extraction=_extraction(request, prepared, bool(saved)),
        company_id=str(ctx.company_id),
        tenant_id=ctx.tenant(request.tenant_id) or None,
        channel=request.channel,
        transaction=transaction,
        receipt=asserted.receipt,
        dry_run=request.dry_run,
        warnings=[*prepared.warnings, *warnings],
    )


def _extraction(request: ConversationAdd, prepared: Prepared, is_new: bool) -> ConversationExtraction:
    """How facts were made, or will be by the model that is set now."""
    how = prepared.extraction
    if not is_new or request.extraction == "never":
        return ConversationExtraction(mode="none", state="none")
    return ConversationExtraction(
        mode=how.mode,
        provider=how.provider,
        model=how.model,
        prompt_version=how.prompt_version,
        state="done" if request.extraction == "now" else "pending",
    )


def _tenant(ctx: Context, asked: str | None) -> str:
    """The tenant as stored. A conversation of one that this key does not see is the same as none: the one 404."""
    try:
        return ctx.tenant(asked)
    except NotFound:
        raise checks.missing("conversation") from None


def _session(session_id: str) -> str:
    """The session. What can be no session is the name of nothing: the same 404."""
    if not checks.is_storable(session_id):
        raise checks.missing("conversation")
    return session_id


def shown_conversation(row: ConversationRow) -> Conversation:
    """A conversation as lists show it."""
    return Conversation(
        session_id=row.session_id,
        tenant_id=row.tenant_id or None,
        channel=row.channel,
        external_id=row.external_id,
        uri=row.uri,
        metadata=_metadata(row.metadata),
        turns=row.turns,
        memories=row.memories,
        started_at=instants.show_optional(row.started_at),
        last_at=instants.show_optional(row.last_at),
        created_at=instants.show(row.created_at),
        pending=row.pending,
    )


def shown_message(row: TurnRow, position: int, made: list[TurnMemory]) -> ConversationMessage:
    """A turn as it was said, with what was made of it."""
    return ConversationMessage(
        id=row.message_id,
        role=row.role,
        name=row.name,
        content=row.text,
        at=instants.show_optional(row.said_at),
        uri=row.uri,
        metadata=_metadata(row.metadata),
        position=position,
        memories=made,
    )


def shown_made(rows: Sequence[MadeRow], moment: Moment) -> list[TurnMemory]:
    """Each memory once: by the piece that holds the moment's instant, else the latest begun, else the first to come."""
    return [_turn_memory(list(pieces), moment) for _, pieces in itertools.groupby(rows, key=lambda row: row.memory_id)]


def _turn_memory(pieces: list[MadeRow], moment: Moment) -> TurnMemory:
    begun = [piece for piece in pieces if piece.valid_from <= moment.flags_at]
    shown = begun[-1] if begun else pieces[0]
    return TurnMemory(
        id=str(shown.memory_id),
        decision=shown.text,
        is_current=holds(Interval(shown.valid_from, shown.valid_to), moment.flags_at),
    )


def _metadata(text: str | None) -> dict[str, Any] | None:
    return None if text is None else _object.decode(text)


def _next_page(ctx: Context, last: ConversationRow, moment: Moment) -> str:
    return paging.cursor_to(ctx, ConversationCursor(last.created_at, last.session_id, moment.number, moment.as_of))


def _next_turns(ctx: Context, last: TurnRow, position: int, moment: Moment) -> str:
    return paging.cursor_to(ctx, TurnCursor(last.id, position, moment.number, moment.as_of))
