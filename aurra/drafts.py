"""What a request asserts, before it meets what is believed: turns as said, and one draft a memory. Pure."""

import datetime as dt
from typing import Any

import msgspec

from aurra import texts

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
    label: str = ""
    """How an error names this item."""

    @property
    def slot_name(self) -> SlotName | None:
        if self.subject is None or self.attribute is None:
            return None
        return self.tenant_id, texts.comparable(self.subject), texts.comparable(self.attribute)

    @property
    def is_verbatim_turn(self) -> bool:
        return self.turn is not None and (self.extraction or {}).get("mode") == "verbatim"


def indexed_text(draft: Draft, turn: Turn | None, at: dt.datetime) -> str:
    """What full-text search sees: "date. Speaker or subject: text [topic]"."""
    day = (turn.said_at if turn and turn.said_at else None) or draft.valid_from or at
    topic = f" [{draft.topic}]" if draft.topic and draft.topic != "General" else ""
    return f"{day.day} {day:%B} {day:%Y}. {named_text(draft, turn)}{topic}"


def named_text(draft: Draft, turn: Turn | None) -> str:
    """What the embedder sees: "Speaker or subject: text"."""
    who = (turn.name if turn else None) or draft.subject
    return f"{who}: {draft.text}" if who else draft.text
