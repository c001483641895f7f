"""The verbs on what is there: supersede and end, correct, retract, restore, erase. (Assert is in `memories`.)"""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from aurra.types.common import (
    Answer,
    GivenInstant,
    Instant,
    Request,
    TenantId,
    TransactionRef,
    WasDry,
)
from aurra.types.receipts import DryRun, MemoryId, Reason, Receipt, TransactionNumber

ErasureReason = Annotated[str, Meta(description="Why; kept with the erasure, so do not quote what is erased.")]


class Supersede(Request, kw_only=True):
    """End a memory at a boundary, with or without a successor."""

    memory_id: MemoryId
    superseded_by: Annotated[
        str | None, Meta(description="The memory that took over.", extra_json_schema={"format": "uuid"})
    ] = None
    valid_to: Annotated[GivenInstant | None, Meta(description="The boundary.")] = None
    reason: Reason | None = None
    dry_run: DryRun = False


class Superseded(Answer, kw_only=True):
    """That it ended, when, and who took over."""

    status: Annotated[str, Meta(description="`superseded`.")]
    memory_id: Annotated[str, Meta(description="The memory.")]
    superseded_by: Annotated[str | None, Meta(description="The memory that took over; null is none.")]
    valid_to: Instant
    transaction: TransactionRef
    receipt: Receipt
    dry_run: WasDry = False


class Correct(Request, kw_only=True):
    """Change what a memory says, or when it holds: the record was wrong. What is absent stays."""

    memory_id: MemoryId
    reason: Annotated[str, Meta(description="What was wrong; kept with the transaction.")]
    content: Annotated[str | None, Meta(description="What it says instead, over all of its pieces.")] = None
    valid_from: Annotated[GivenInstant | None, Meta(description="Since when it is true instead.")] = None
    valid_to: Annotated[
        GivenInstant | UnsetType | None, Meta(description="Until when instead; absent keeps it, null is open.")
    ] = UNSET
    version: Annotated[
        str | None,
        Meta(description="The piece whose interval is corrected, of several.", extra_json_schema={"format": "uuid"}),
    ] = None
    dry_run: DryRun = False


class Corrected(Answer, kw_only=True):
    """That the record was put right."""

    status: Annotated[str, Meta(description="`corrected` or `unchanged`.")]
    memory_id: Annotated[str, Meta(description="The memory.")]
    transaction: TransactionRef
    receipt: Receipt
    dry_run: WasDry = False


class Retract(Request, kw_only=True):
    """Stop believing a memory; it stays visible at earlier transactions."""

    memory_id: MemoryId
    reason: Reason | None = None
    dry_run: DryRun = False


class Delete(Retract, kw_only=True):
    """Stop believing a memory; it stays visible at earlier transactions."""


class Retracted(Answer, kw_only=True):
    """That it is no longer believed."""

    status: Annotated[str, Meta(description="`retracted`.")]
    memory_id: Annotated[str, Meta(description="The memory.")]
    transaction: TransactionRef
    receipt: Receipt
    dry_run: WasDry = False


class Restore(Request, kw_only=True):
    """Undo a transaction: close what it opened, open again what it closed."""

    tx: TransactionNumber
    reason: Reason | None = None
    dry_run: DryRun = False


class Restored(Answer, kw_only=True):
    """That what a transaction changed is as it was before it."""

    status: Annotated[str, Meta(description="`restored`.")]
    restored: Annotated[int, Meta(description="The transaction that was undone.")]
    memory_ids: Annotated[list[str], Meta(description="The memories whose versions it opened or closed.")]
    transaction: TransactionRef
    receipt: Receipt
    dry_run: WasDry = False


class Erase(Request, kw_only=True):
    """Remove a memory for good, from every transaction."""

    memory_id: MemoryId
    reason: Annotated[str | None, Meta(description="Why; kept with the erasure, so do not quote what is erased.")] = (
        None
    )
    dry_run: Annotated[bool, Meta(description="Return what would be erased, erase nothing.")] = False


class EraseMatching(Request, kw_only=True):
    """Remove for good all memories and turns of a tenant, a session, a subject: those that match all that is given."""

    tenant_id: Annotated[
        TenantId | None, Meta(description="The tenant; absent is the default one, then with session or subject.")
    ] = None
    session_id: Annotated[str | None, Meta(description="Only this conversation.")] = None
    subject: Annotated[str | None, Meta(description="Only memories about this subject.")] = None
    reason: Annotated[str | None, Meta(description="Why; kept with the erasure, so do not quote what is erased.")] = (
        None
    )
    dry_run: Annotated[bool, Meta(description="Return what would be erased, erase nothing.")] = False


class Certificate(msgspec.Struct, kw_only=True):
    """What was erased, without anything that was said. GET /agent/transactions/{tx} has the entry and its hash."""

    memory_ids: Annotated[list[str], Meta(description="The memories that are gone.")]
    versions: Annotated[int, Meta(description="Rectangles of all of these memories, at every transaction.")]
    contents: Annotated[int, Meta(description="Texts that are gone.")]
    embeddings: Annotated[int, Meta(description="Vectors that are gone.")]
    turns: Annotated[int, Meta(description="Conversation turns that they came from.")]
    slots: Annotated[int, Meta(description="Slots in which no memory is left.")]
    reasons: Annotated[list[int], Meta(description="Transactions whose reasons were erased.")]
    affected_memory_ids: Annotated[
        list[str], Meta(description="Memories that stay, made of a turn that is erased; their source is marked so.")
    ]


class Erased(Answer, kw_only=True):
    """That memories are gone for good, with a certificate."""

    status: Annotated[str, Meta(description="`erased`, or `nothing` when nothing matched.")]
    memory_id: Annotated[str | None, Meta(description="Null where several were asked for.")]
    count: Annotated[int, Meta(description="Memories erased.")]
    remaining: Annotated[int, Meta(description="Memories that match and are left for another request; 0 when done.")]
    certificate: Certificate
    transaction: TransactionRef
    dry_run: Annotated[bool, Meta(description="Whether nothing was erased.")] = False
