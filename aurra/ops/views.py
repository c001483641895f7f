"""Rows of the store as the wire shows them."""

from typing import Any, Literal
from uuid import UUID

import msgspec

from aurra import instants
from aurra.changes import Changes
from aurra.context import Context
from aurra.freshness import Standing, standing
from aurra.keys import TRUSTS
from aurra.ops.moments import Moment
from aurra.store.memories import PieceRow
from aurra.types.memories import Memory, PieceRef, ScoredMemory, SourceCitation, Temporal
from aurra.types.receipts import Receipt, VersionRef

_SHOWN_CHARACTERS = 500
_TRUSTS = {level: name for name, level in TRUSTS.items()}
_object = msgspec.json.Decoder(dict[str, Any])


def memory(ctx: Context, row: PieceRow, moment: Moment) -> Memory:
    """A piece as a list shows it, evaluated at the moment."""
    return Memory(**_fields(ctx, row, moment))


def scored(
    ctx: Context, row: PieceRow, moment: Moment, score: float, similarity: float, signals: dict[str, float] | None
) -> ScoredMemory:
    """A piece that a search found."""
    return ScoredMemory(score=score, similarity=similarity, signals=signals, **_fields(ctx, row, moment))


def temporal(row: PieceRow, stands: Standing) -> Temporal:
    """The validity block."""
    return Temporal(
        valid_from=instants.show(row.valid_from),
        valid_to=instants.show_optional(row.valid_to),
        superseded_by=_successor(row),
        is_current=stands.is_current,
        is_expired=stands.is_expired,
        is_superseded=stands.is_superseded,
        is_known_current=stands.is_current,
    )


def stands(ctx: Context, row: PieceRow, moment: Moment) -> Standing:
    """Flags and freshness of a piece at the moment."""
    return standing(
        row.valid_from,
        row.valid_to,
        has_successor=row.superseded_by is not None,
        is_believed=row.tx_to is None,
        at=moment.flags_at,
        half_life_days=ctx.caller.settings.freshness_half_life_days,
    )


def piece_ref(row: PieceRow) -> PieceRef:
    """A piece beside its memory."""
    return PieceRef(
        version=str(row.version),
        valid_from=instants.show(row.valid_from),
        valid_to=instants.show_optional(row.valid_to),
        superseded_by=_text(row.superseded_by),
    )


def source_citation(row: PieceRow) -> SourceCitation:
    """Where the memory comes from; for extracted facts, the whole dialog."""
    return SourceCitation(
        type=row.source,
        channel=_channel(row),
        captured_at=instants.show(row.created_at),
        session_id=row.session_id,
        original_message=row.dialog or _said(row),
        message_id=row.message_id,
        speaker=row.speaker,
        said_at=instants.show_optional(row.said_at),
        span=[] if row.span_from is None or row.span_to is None else [row.span_from, row.span_to],
        erased=row.source_erased,
    )


def receipt(changes: Changes, *, dry_run: bool) -> Receipt:
    """What a transaction opens and closes. A dry run has no new ids."""
    born = {row.id for row in changes.memories} if dry_run else set[UUID]()
    opened = [
        VersionRef(
            memory_id=None if row.memory_id in born else str(row.memory_id),
            version=None if dry_run else str(row.id),
            valid_from=instants.show(row.valid_from),
            valid_to=instants.show_optional(row.valid_to),
            op=row.op,
            superseded_by=None if row.superseded_by in born else _text(row.superseded_by),
        )
        for row in changes.opened
    ]
    closed = [
        VersionRef(
            memory_id=str(piece.memory),
            version=str(row.id),
            valid_from=instants.show(piece.start),
            valid_to=instants.show_optional(piece.end),
            op="closed",
            superseded_by=None if row.replaced_by in born else _text(row.replaced_by),
        )
        for row, piece in zip(changes.closed, changes.gone, strict=True)
    ]
    return Receipt(opened=opened, closed=closed)


def importance(score: int) -> Literal["low", "medium", "high"]:
    """The legacy word of a score."""
    return "low" if score <= 3 else "medium" if score <= 6 else "high"


def _fields(ctx: Context, row: PieceRow, moment: Moment) -> dict[str, Any]:
    evaluated = stands(ctx, row, moment)
    validity = temporal(row, evaluated)
    said = _said(row)
    return {
        "id": str(row.memory_id),
        "decision": row.text,
        "summary": row.summary or row.text,
        "topic": row.topic,
        "importance_score": row.importance,
        "importance": importance(row.importance),
        "source": row.source,
        "channel": _channel(row),
        "session_id": row.session_id,
        "original_message": said and said[:_SHOWN_CHARACTERS],
        "people": row.people,
        "action_items": row.action_items,
        "created_at": instants.show(row.created_at),
        "company_id": str(ctx.company_id),
        "tenant_id": row.tenant_id or None,
        "valid_from": validity.valid_from,
        "valid_to": validity.valid_to,
        "superseded_by": validity.superseded_by,
        "transaction_time_start": instants.show(row.tx_from_at),
        "transaction_time_end": instants.show_optional(row.tx_to_at),
        "freshness": evaluated.freshness,
        "source_citation": source_citation(row),
        "temporal": validity,
        "subject": row.subject,
        "attribute": row.attribute,
        "external_id": row.external_id,
        "metadata": None if row.metadata is None else _object.decode(row.metadata),
        "version": str(row.version),
        "trust": _TRUSTS[row.trust],
    }


def _successor(row: PieceRow) -> str | None:
    """Who took over: the piece's own link, or, of a version that was replaced whole, who replaced it."""
    return _text(row.superseded_by or row.replaced_by)


def _channel(row: PieceRow) -> str | None:
    """The session of what was extracted from messages; what was written as content has none."""
    return row.session_id if row.turn is not None else None


def _said(row: PieceRow) -> str | None:
    """The one turn it came from, `User: …` or `Assistant: …`."""
    return None if row.turn is None or row.role is None else f"{row.role.capitalize()}: {row.turn}"


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)
