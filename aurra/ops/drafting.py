"""From a write request to drafts: checks, extraction, embedding. All of it before the transaction."""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec.structs import replace

from aurra import extraction, instants, texts
from aurra.changes import Embedded
from aurra.context import Context
from aurra.drafts import Draft, Turn, said
from aurra.errors import BadRequest, ProviderError
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
    warnings: list[str] = []


async def prepare(ctx: Context, request: MemoryWrite, *, dialog: int = 0, label: str = "") -> Prepared:
    """The drafts of a request. Raises BadRequest and Unprocessable naming the field, ProviderError for a model."""
    _check(request)
    auto = request.auto_supersede
    prepared = await (
        _content(ctx, request, label) if request.content is not None else _messages(ctx, request, dialog, label)
    )
    prepared.auto_supersede = ctx.caller.settings.auto_supersede_default if auto is None else auto
    return prepared


def require_few(drafts: Sequence[Draft]) -> None:
    """Returns when the drafts are not too many for one transaction."""
    if len(drafts) > MOST_MEMORIES:
        raise BadRequest(
            f"This request makes {len(drafts)} memories; one takes at most {MOST_MEMORIES}: send it in parts.",
            code="out_of_range",
            param="messages",
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


async def _messages(ctx: Context, request: MemoryWrite, dialog: int, label: str) -> Prepared:
    assert request.messages is not None
    turns = [_turn(request, position, message) for position, message in enumerate(request.messages)]
    common = _common(ctx, request, label)
    how, facts, proposed = await _facts(ctx, request, turns)
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
        for fact in facts
    ]
    dropped = proposed - len(facts)
    warnings = [f"{dropped} proposed facts were dropped: their quotes are not in the source."] if dropped else []
    kept = _last_of_each_slot(drafts)
    if len(kept) < len(drafts):
        warnings.append(f"{len(drafts) - len(kept)} facts gave way to later ones of the same slot and instant.")
    return Prepared(
        drafts=kept,
        turns=turns,
        extraction=how,
        extracted_count=proposed,
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


async def _facts(
    ctx: Context, request: MemoryWrite, turns: list[Turn]
) -> tuple[Extraction, list[extraction.Fact], int]:
    """How facts were made, those that hold, and how many were proposed."""
    choice = models.choose(ctx, request.llm)
    if request.extraction == "verbatim":
        facts = extraction.verbatim(turns)
        return Extraction(mode="verbatim"), facts, len(facts)
    if choice is None or not any(turn.text.strip() for turn in turns):
        facts = extraction.by_rules(turns)
        return Extraction(mode="extractive"), facts, len(facts)
    how = Extraction(mode="llm", provider=choice.provider, model=choice.model, prompt_version=extraction.PROMPT_VERSION)
    return how, *await _by_model(ctx, choice, turns)


def _turn(request: MemoryWrite, position: int, message: Message) -> Turn:
    at = f"messages[{position}]."
    checks.name(message.role, at + "role")
    checks.short(message.name, at + "name")
    checks.name(message.id, at + "id")
    return Turn(
        session_id=request.session_id,
        position=position,
        message_id=message.id,
        role=message.role,
        name=message.name or None,
        text=message.content,
        said_at=instants.parse_optional(message.at, at + "at"),
    )


async def _by_model(ctx: Context, choice: ModelChoice, turns: list[Turn]) -> tuple[list[extraction.Fact], int]:
    """The checked facts, and how many were proposed."""
    async with models.opened(ctx, choice) as model:
        completion = await model.complete(
            system=extraction.SYSTEM,
            user=extraction.prompt(turns),
            schema=extraction.SCHEMA,
            schema_name="facts",
        )
    try:
        texts.require_storable(completion.value)
        proposed = msgspec.convert(completion.value.get("facts"), list[extraction.Proposed])
    except (msgspec.ValidationError, BadRequest):
        raise ProviderError(choice.provider, "The model's answer does not have the form that was asked for.") from None
    return extraction.check(turns, proposed), len(proposed)
