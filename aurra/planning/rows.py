"""The rows that a draft becomes, each with its salted hash. Pure but for the salts' randomness."""

import secrets
from uuid import UUID

from aurra import texts
from aurra.changes import (
    ContentRow,
    ConversationRow,
    Head,
    MemoryRow,
    ReviewRow,
    SlotRow,
    SourceRow,
    hashed,
    hashed_memory,
)
from aurra.drafts import Draft, Labels, SlotName, Turn, indexed_text
from aurra.planning.world import Known
from aurra.superseding import Proposal

_SALT_BYTES = 32


def slot(head: Head, slot_id: UUID, draft: Draft, name: SlotName, cardinality: str) -> SlotRow:
    """A new slot, named as the draft writes it."""
    assert draft.subject is not None and draft.attribute is not None
    row = SlotRow(
        id=slot_id,
        tenant_id=name[0],
        subject_key=name[1],
        attribute_key=name[2],
        subject=draft.subject.strip(),
        attribute=draft.attribute.strip(),
        cardinality=cardinality,
        tx=head.tx,
    )
    return hashed(row, secrets.token_bytes(_SALT_BYTES))


def content(head: Head, content_id: UUID, memory_id: UUID, draft: Draft, turn: Turn | None) -> ContentRow:
    """What the memory says."""
    row = ContentRow(
        id=content_id,
        memory_id=memory_id,
        text=draft.text,
        summary=draft.summary,
        topic=draft.topic,
        importance=draft.importance,
        people=draft.people,
        action_items=draft.action_items,
        fingerprint=draft.fingerprint,
        indexed=indexed_text(draft, turn, head.at),
        tx=head.tx,
    )
    return hashed(row, secrets.token_bytes(_SALT_BYTES))


def retold(head: Head, content_id: UUID, known: Known, text: str, indexed: str) -> ContentRow:
    """What a memory says instead; a summary was of the old text."""
    row = ContentRow(
        id=content_id,
        memory_id=known.id,
        text=text,
        summary=None,
        topic=known.topic,
        importance=known.importance,
        people=known.people,
        action_items=known.action_items,
        fingerprint=texts.fingerprint(text),
        indexed=indexed,
        tx=head.tx,
    )
    return hashed(row, secrets.token_bytes(_SALT_BYTES))


def memory(
    head: Head,
    memory_id: UUID,
    draft: Draft,
    lane: UUID,
    slot_id: UUID | None,
    source_id: UUID | None,
    salt: bytes,
) -> MemoryRow:
    """The memory's identity and provenance; `salt` is its first content's."""
    row = MemoryRow(
        id=memory_id,
        tenant_id=draft.tenant_id,
        slot_id=slot_id,
        subject=draft.subject.strip() if draft.subject else None,
        subject_key=texts.comparable(draft.subject) if draft.subject else None,
        lane=lane,
        source=draft.source,
        session_id=draft.session_id,
        source_id=source_id,
        span_from=draft.span[0] if draft.span else None,
        span_to=draft.span[1] if draft.span else None,
        external_id=draft.external_id,
        metadata=draft.metadata,
        extraction=draft.extraction,
        created_tx=head.tx,
        created_at=head.at,
        trust=draft.trust,
    )
    return hashed_memory(row, salt)


def conversation(head: Head, labels: Labels) -> ConversationRow:
    """What is known of a conversation besides its turns."""
    return ConversationRow(
        tenant_id=labels.tenant_id,
        session_id=labels.session_id,
        created_at=head.at,
        channel=labels.channel,
        external_id=labels.external_id,
        uri=labels.uri,
        metadata=labels.metadata,
        tx=head.tx,
    )


def review(head: Head, review_id: UUID, draft: Draft, new_memory: UUID, proposal: Proposal, why: str) -> ReviewRow:
    """A supersession that waits for a person."""
    return ReviewRow(
        id=review_id,
        tenant_id=draft.tenant_id,
        tx=head.tx,
        at=head.at,
        old_memory=proposal.memory,
        new_memory=new_memory,
        verdict=proposal.verdict,
        confidence=proposal.confidence,
        reasoning=proposal.reasoning,
        classifier=proposal.classifier,
        why=why,
    )


def source(head: Head, source_id: UUID, turn: Turn, tenant_id: str, dialog_id: UUID) -> SourceRow:
    """A conversation turn as said."""
    row = SourceRow(
        id=source_id,
        tenant_id=tenant_id,
        session_id=turn.session_id,
        dialog_id=dialog_id,
        position=turn.position,
        message_id=turn.message_id,
        role=turn.role,
        name=turn.name,
        text=turn.text,
        said_at=turn.said_at,
        tx=head.tx,
        uri=turn.uri,
        metadata=turn.metadata,
    )
    return hashed(row, secrets.token_bytes(_SALT_BYTES))
