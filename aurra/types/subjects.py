"""Subjects on the wire: a list of them, and the profile of one."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from aurra.types.common import (
    Answer,
    GivenInstant,
    HasMore,
    Instant,
    Limit,
    NextCursor,
    OfTenant,
    Request,
    TenantId,
    TransactionAsOf,
    TransactionRef,
)
from aurra.types.memories import Memory


class SubjectList(Request, kw_only=True):
    """Subjects that something is believed about."""

    limit: Limit | None = 20
    tenant_id: TenantId | None = None
    as_of: Annotated[GivenInstant | None, Meta(description="Only what was true then.")] = None
    transaction_as_of: TransactionAsOf | None = None
    query: Annotated[
        str | None,
        Meta(
            description="Only those whose name has this in it, anywhere and without regard to case, or whose "
            "`external_id` it is exactly; no character is a wildcard."
        ),
    ] = None
    external_id: Annotated[str | None, Meta(description="Only what has this id in the caller's system.")] = None
    cursor: Annotated[str | None, Meta(description="`next_cursor` of the page before.")] = None


ExternalId = Annotated[
    str | None, Meta(description="Its id in the caller's system; a label, the same at every moment.")
]


class Subject(msgspec.Struct, kw_only=True):
    """Whom or what memories are about."""

    subject: Annotated[str, Meta(description="As first written.")]
    external_id: ExternalId
    memories: Annotated[int, Meta(description="How many are believed about it.")]
    attributes: Annotated[list[str], Meta(description="Attributes that have a value, in order.")]


class SubjectPage(Answer, kw_only=True):
    """A page of subjects in the order of their comparable names, and the moment it was read at."""

    subjects: Annotated[list[Subject], Meta(description="By name.")]
    has_more: HasMore
    next_cursor: NextCursor
    transaction: TransactionRef
    as_of: Instant | None


class SubjectGet(Request, kw_only=True):
    """One subject, by name: trimmed, without regard to case."""

    subject: Annotated[str, Meta(description="Whom or what it is about.")]
    tenant_id: TenantId | None = None
    as_of: Annotated[GivenInstant | None, Meta(description="What is current then.")] = None
    transaction_as_of: TransactionAsOf | None = None


class ProfilePiece(msgspec.Struct, kw_only=True):
    """A believed piece of a memory about the subject."""

    memory_id: Annotated[str, Meta(description="The memory.")]
    version: Annotated[str, Meta(description="The version's id.")]
    decision: Annotated[str, Meta(description="What it says.")]
    valid_from: Instant
    valid_to: Instant | None
    superseded_by: Annotated[str | None, Meta(description="The memory that took over; null is none.")]


class ProfileAttribute(msgspec.Struct, kw_only=True):
    """An attribute at both times."""

    attribute: Annotated[str, Meta(description="Which property of the subject.")]
    cardinality: Annotated[str, Meta(description="`one` value an instant, or `many`.")]
    current: Annotated[list[Memory], Meta(description="What holds at `as_of`.")]
    history: Annotated[list[ProfilePiece], Meta(description="All that is believed of it, in valid order.")]
    starting: Annotated[list[ProfilePiece], Meta(description="What begins after `as_of`.")]
    ending: Annotated[list[ProfilePiece], Meta(description="What holds at `as_of` and has an end.")]


class Profile(Answer, kw_only=True):
    """What is believed about a subject."""

    subject: Annotated[str, Meta(description="As first written.")]
    external_id: ExternalId
    attributes: Annotated[list[ProfileAttribute], Meta(description="By name.")]
    memories: Annotated[
        list[Memory], Meta(description="What holds at `as_of` about it, of no attribute; newest first.")
    ]
    transaction: TransactionRef
    as_of: Instant


class SubjectUpdate(Request, kw_only=True):
    """What to know a subject by."""

    subject: Annotated[str, Meta(description="Whom or what it is about.")]
    external_id: Annotated[
        str | UnsetType | None, Meta(description="Its id in the caller's system, required; null removes it.")
    ] = UNSET
    tenant_id: TenantId | None = None


class SubjectUpdated(Answer, kw_only=True):
    """The subject as it is known now. A label takes no transaction: the newest is named."""

    subject: Annotated[str, Meta(description="As first written.")]
    external_id: ExternalId
    tenant_id: OfTenant
    transaction: TransactionRef
