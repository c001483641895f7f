"""From a write request to drafts: checks, extraction, embedding. All of it before the transaction."""

import datetime as dt
from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec
from msgspec.structs import replace

from aurra import extraction, instants
from aurra.changes import Embedded
from aurra.context import Context
from aurra.drafts import Draft, Labels, Turn, said
from aurra.errors import BadRequest, Unavailable
from aurra.ops import checks, embedding, models
from aurra.providers.base import ModelChoice
from aurra.types.memories import Extraction, MemoryWrite, Message

MOST_MEMORIES = 2000
"""In one request, so that one transaction ends in seconds."""


class Prepared(msgspec.Struct, kw_only=True):
    """One request, or one item of a bulk, ready to be asserted."""

    drafts: list[Draft]
    turns: list[Turn]
    extraction: Extraction
    extracted_count: int
    is_content: bool
    auto_supersede: bool
    choice: ModelChoice | None = None
    """The model of the request, or the server's; also judges what supersedes what."""
    is_unjudged: bool = False
    """Set where the account's model would judge what supersedes what, and its stored key cannot be opened."""
    warnings: list[str] = []
    labels: Labels | None = None
    """Set where all turns are kept, whether or not anything is made of them."""
    sources: Sequence[UUID] = ()
    """Set where the turns are stored already: their ids."""


class Extracted(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of a conversation, how they were made, and how many were proposed."""

    how: Extraction
    facts: list[extraction.Fact]
    proposed: int
    warnings: list[str] = []


async def prepare(
    ctx: Context, request: MemoryWrite, *, dialog: int = 0, label: str = "", turns: list[Turn] | None = None
) -> Prepared:
    """The drafts of a request, or of turns that stand for its messages. Raises BadRequest and Unprocessable naming the
    field, ProviderError for a model."""
    _check(request)
    auto = ctx.caller.settings.auto_supersede_default if request.auto_supersede is None else request.auto_supersede
    choice, is_unjudged = await _model(ctx, request) if auto or request.messages is not None else (None, False)
    if request.content is not None:
        prepared = await _content(ctx, request, label)
    else:
        prepared = await _messages(ctx, request, dialog, label, _turns(request) if turns is None else turns, choice)
    prepared.auto_supersede = auto
    prepared.choice = choice if auto else None
    prepared.is_unjudged = is_unjudged
    return prepared


async def _model(ctx: Context, request: MemoryWrite) -> tuple[ModelChoice | None, bool]:
    """The request's model, and whether none can judge, since the stored key of the account's cannot be opened: what is
    stored as it is said waits for no model. Raises Unavailable where facts are to be made by it."""
    try:
        return await models.choose(ctx, request.llm), False
    except Unavailable as error:
        makes_facts = request.messages is not None and request.extraction != "verbatim"
        if makes_facts or error.code != "stored_key_unreadable":
            raise
        return None, True


def require_few(made: Sequence[object], param: str = "messages") -> None:
    """Returns when what is made of a request is not too much for one transaction."""
    if len(made) > MOST_MEMORIES:
        raise BadRequest(
            f"This request makes {len(made)} memories; one takes at most {MOST_MEMORIES}: send it in parts.",
            code="out_of_range",
            param=param,
        )


async def embed(ctx: Context, drafts: Sequence[Draft], dialogs: Mapping[int, Sequence[Turn]]) -> list[Embedded | None]:
    """The vectors of each draft; None where no embedder is configured. Raises Unavailable when it is down."""
    turns = [None if draft.turn is None else dialogs[draft.dialog][draft.turn] for draft in drafts]
    return await embedding.embed(
        ctx.service.embedder, [said(draft, turn) for draft, turn in zip(drafts, turns, strict=True)]
    )


def _check(request: MemoryWrite) -> None:
    if (request.content is None) == (request.messages is None):
        raise BadRequest("Send one of `content` and `messages`, and not both.", param="content")
    if request.content is not None and not request.content.strip():
        raise BadRequest("`content` must not be empty.", param="content")
    checks.choice(request.extraction, ("auto", "verbatim"), "extraction")
    checks.choice(request.cardinality, ("one", "many"), "cardinality")
    for param in ("topic", "source", "tenant_id", "session_id", "external_id"):
        checks.short(getattr(request, param), param)
    checks.name(request.subject, "subject")
    checks.name(request.attribute, "attribute")
    if request.attribute is not None and request.subject is None:
        raise BadRequest("`attribute` needs `subject`.", param="attribute")
    if request.attribute is not None and request.messages is not None:
        raise BadRequest(
            "`attribute` goes with `content`; facts of messages have attributes of their own.", param="attribute"
        )
    if request.cardinality is not None and request.attribute is None:
        raise BadRequest("`cardinality` needs `attribute`.", param="cardinality")


def _common(ctx: Context, request: MemoryWrite, label: str) -> Draft:
    """What all drafts of a request share; the text and what belongs to it are filled in."""
    valid_from = instants.parse_optional(request.valid_from, "valid_from")
    valid_to = instants.parse_optional(request.valid_to, "valid_to")
    if valid_from and valid_to and valid_to <= valid_from:
        raise BadRequest("`valid_to` must be later than `valid_from`.", code="empty_interval", param="valid_to")
    return Draft(
        text="",
        topic=request.topic or "General",
        source=request.source or "agent",
        tenant_id=ctx.tenant(request.tenant_id),
        importance=checks.importance(request.importance_score, request.importance),
        valid_from=valid_from,
        valid_to=valid_to,
        session_id=request.session_id,
        subject=request.subject,
        external_id=request.external_id,
        metadata=request.metadata,
        label=label,
        trust=ctx.caller.trust,
    )


async def _content(ctx: Context, request: MemoryWrite, label: str) -> Prepared:
    assert request.content is not None
    draft = replace(
        _common(ctx, request, label), text=request.content, attribute=request.attribute, cardinality=request.cardinality
    )
    return Prepared(
        drafts=[draft],
        turns=[],
        extraction=Extraction(mode="verbatim"),
        extracted_count=1,
        is_content=True,
        auto_supersede=False,
    )


async def _messages(
    ctx: Context, request: MemoryWrite, dialog: int, label: str, turns: list[Turn], choice: ModelChoice | None
) -> Prepared:
    common = _common(ctx, request, label)
    extracted = await _facts(ctx, request, turns, choice)
    how = extracted.how
    record = {key: value for key, value in msgspec.to_builtins(how).items() if value is not None}
    drafts = [
        replace(
            common,
            text=fact.text,
            topic=fact.topic,
            source="agent_session" if request.source in (None, "agent") else request.source,
            people=fact.people,
            action_items=fact.action_items,
            dialog=dialog,
            turn=fact.turn,
            span=fact.span,
            subject=fact.subject or request.subject,
            attribute=fact.attribute,
            extraction=record,
            importance=fact.importance if how.mode == "llm" else common.importance,
            valid_from=common.valid_from or turns[fact.turn].said_at,
        )
        for fact in extracted.facts
    ]
    warnings = list(extracted.warnings)
    kept = _last_of_each_slot(drafts)
    if len(kept) < len(drafts):
        warnings.append(f"{len(drafts) - len(kept)} facts gave way to later ones of the same slot and instant.")
    return Prepared(
        drafts=kept,
        turns=turns,
        extraction=how,
        extracted_count=extracted.proposed,
        is_content=False,
        auto_supersede=False,
        warnings=warnings,
    )


def _last_of_each_slot(drafts: list[Draft]) -> list[Draft]:
    """Without drafts whose slot and start a later one has: nothing would be left of them."""
    last = {(draft.slot_name, draft.valid_from): index for index, draft in enumerate(drafts)}
    return [
        draft
        for index, draft in enumerate(drafts)
        if draft.slot_name is None or last[draft.slot_name, draft.valid_from] == index
    ]


async def _facts(ctx: Context, request: MemoryWrite, turns: list[Turn], choice: ModelChoice | None) -> Extracted:
    """The facts of the turns, by the model if there is one."""
    if request.extraction == "verbatim":
        facts = extraction.verbatim(turns)
        return Extracted(how=Extraction(mode="verbatim"), facts=facts, proposed=len(facts))
    if choice is None or not any(turn.text.strip() for turn in turns):
        facts = extraction.by_rules(turns)
        return Extracted(how=Extraction(mode="extractive"), facts=facts, proposed=len(facts))
    return await _by_model(ctx, choice, turns)


def how(choice: ModelChoice | None) -> Extraction:
    """How facts are made with a model, or without one."""
    if choice is None:
        return Extraction(mode="extractive")
    return Extraction(
        mode="llm", provider=choice.provider, model=choice.model, prompt_version=extraction.PROMPT_VERSION
    )


def _turns(request: MemoryWrite) -> list[Turn]:
    return [
        turn(request.session_id, position, message, f"messages[{position}].")
        for position, message in enumerate(request.messages or ())
    ]


def turn(session_id: str | None, position: int, message: Message, at: str) -> Turn:
    """A message as a turn of a conversation; `at` is how an error names it."""
    checks.name(message.role, at + "role")
    checks.short(message.name, at + "name")
    checks.name(message.id, at + "id")
    return Turn(
        session_id=session_id,
        position=position,
        message_id=message.id,
        role=message.role,
        name=message.name or None,
        text=message.content,
        said_at=instants.parse_optional(message.at, at + "at"),
        uri=message.uri,
        metadata=message.metadata,
        utc_offset=instants.offset_of(message.at) if message.at else dt.timedelta(),
    )


async def _by_model(ctx: Context, choice: ModelChoice, turns: list[Turn]) -> Extracted:
    """What holds of the facts that a model proposes."""
    answered = await models.ask(
        ctx,
        choice,
        extraction.Proposed,
        field="facts",
        system=extraction.SYSTEM,
        user=extraction.prompt(turns),
        schema=extraction.SCHEMA,
        schema_name="facts",
    )
    checked = extraction.check(turns, answered.items)
    dropped = {
        "their quotes are not in the source": checked.unquoted,
        "they name dates that their quotes do not bear out": checked.undated,
    }
    return Extracted(
        how=how(choice),
        facts=checked.facts,
        proposed=len(answered.items),
        warnings=[f"{count} proposed facts were dropped: {why}." for why, count in dropped.items() if count],
    )
