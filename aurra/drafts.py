"""What a request asserts, before it meets what is believed: turns as said, and one draft a memory. Pure."""

import datetime as dt
from typing import Any

import msgspec

from aurra import texts
from aurra.instants import MONTHS

_INDEXED_CHARACTERS = 100_000
"""PostgreSQL refuses a tsvector over 1 MiB."""

SlotName = tuple[str, str, str]
"""(tenant, comparable subject, comparable attribute)."""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation turn as said."""

    session_id: str | None
    position: int
    message_id: str | None
    role: str
    name: str | None
    text: str
    said_at: dt.datetime | None
    uri: str | None = None
    """Where it is kept in full: a recording, a transcript."""
    metadata: dict[str, Any] | None = None
    utc_offset: dt.timedelta = dt.timedelta()
    """Of the clock that `said_at` was read from, where that is known: it tells which day it was there."""

    @property
    def said_on(self) -> dt.datetime:
        """`said_at` on the speaker's own clock. Raises ValueError without a time."""
        if self.said_at is None:
            raise ValueError("the turn has no time")
        return self.said_at.astimezone(dt.timezone(self.utc_offset))


class Labels(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation, and what is given of it; what is None stays as it was."""

    tenant_id: str
    session_id: str
    channel: str | None = None
    external_id: str | None = None
    uri: str | None = None
    metadata: dict[str, Any] | None = None

    @property
    def says_something(self) -> bool:
        """Whether anything is given besides the name."""
        return any(value is not None for value in (self.channel, self.external_id, self.uri, self.metadata))


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """One memory to assert."""

    text: str
    tenant_id: str
    source: str
    topic: str
    importance: int
    valid_from: dt.datetime | None
    valid_to: dt.datetime | None
    summary: str | None = None
    people: list[str] = []
    action_items: list[str] = []
    session_id: str | None = None
    dialog: int = 0
    """Which conversation of the request it comes from."""
    turn: int | None = None
    """Index into that conversation's turns."""
    span: tuple[int, int] | None = None
    subject: str | None = None
    attribute: str | None = None
    cardinality: str | None = None
    external_id: str | None = None
    metadata: dict[str, Any] | None = None
    extraction: dict[str, Any] | None = None
    trust: int = 2
    """Of the key that writes it."""
    label: str = ""
    """How an error names this item."""
    fingerprint: int = 0
    """Of the text; reckoned here."""
    slot_name: SlotName | None = None
    """Reckoned here, where subject and attribute are given."""

    def __post_init__(self) -> None:
        if self.text:
            msgspec.structs.force_setattr(self, "fingerprint", texts.fingerprint(self.text))
        if self.subject is not None and self.attribute is not None:
            name = (self.tenant_id, texts.comparable(self.subject), texts.comparable(self.attribute))
            msgspec.structs.force_setattr(self, "slot_name", name)

    @property
    def is_verbatim_turn(self) -> bool:
        return self.turn is not None and (self.extraction or {}).get("mode") == "verbatim"


def indexed_text(draft: Draft, turn: Turn | None, at: dt.datetime) -> str:
    """What full-text search sees of a draft."""
    day = (turn.said_at if turn and turn.said_at else None) or draft.valid_from or at
    return indexed_as(day, (turn.name if turn else None) or draft.subject, draft.text, draft.topic)


def indexed_as(day: dt.datetime, who: str | None, text: str, topic: str) -> str:
    """What full-text search sees: "date. Speaker or subject: text [topic]"; cut where PostgreSQL would refuse it."""
    tag = f" [{topic}]" if topic and topic != "General" else ""
    return f"{day.day} {MONTHS[day.month - 1].title()} {day.year:04}. {named(who, text)}{tag}"[:_INDEXED_CHARACTERS]


def said(draft: Draft, turn: Turn | None) -> tuple[str | None, str]:
    """What the embedder sees of a draft: its speaker or subject, and its text."""
    return (turn.name if turn else None) or draft.subject, draft.text


def named(who: str | None, text: str) -> str:
    """What the embedder sees: "Speaker or subject: text"."""
    return f"{who}: {text}" if who else text
