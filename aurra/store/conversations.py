"""Reading conversations: the turns as said, what is known of them, and what was made of each."""

import datetime as dt
from collections.abc import Sequence
from uuid import UUID

import msgspec

from aurra.store.pool import Transaction
from aurra.store.queries import load

_Q = load("conversations")


class ConversationRow(msgspec.Struct, frozen=True):
    session_id: str
    tenant_id: str
    channel: str | None
    external_id: str | None
    uri: str | None
    metadata: str | None
    turns: int
    memories: int
    started_at: dt.datetime | None
    last_at: dt.datetime | None
    created_at: dt.datetime
    pending: bool


class There(msgspec.Struct, frozen=True):
    is_there: bool


class TurnRow(msgspec.Struct, frozen=True):
    id: UUID
    message_id: str | None
    role: str
    name: str | None
    text: str
    said_at: dt.datetime | None
    uri: str | None
    metadata: str | None


class SessionTurnRow(TurnRow, frozen=True):
    session_id: str


class MadeRow(msgspec.Struct, frozen=True):
    """A believed piece of a memory that was made from a turn."""

    turn: UUID
    memory_id: UUID
    valid_from: dt.datetime
    valid_to: dt.datetime | None
    text: str


class ToldRow(msgspec.Struct, frozen=True):
    """A turn of which facts are to be made."""

    id: UUID
    tenant_id: str
    session_id: str
    position: int
    message_id: str | None
    role: str
    name: str | None
    text: str
    said_at: dt.datetime | None
    told_at: dt.datetime
    """The instant of the transaction that kept it."""


class SizeRow(msgspec.Struct, frozen=True):
    bytes: int


class TurnId(msgspec.Struct, frozen=True):
    id: UUID


async def list_page(
    tx: Transaction,
    *,
    number: int,
    at: dt.datetime,
    valid_at: dt.datetime | None,
    tenant_id: str,
    channel: str | None,
    external_id: str | None,
    after: tuple[dt.datetime, str] | None,
    limit: int,
) -> list[ConversationRow]:
    """Up to `limit` conversations of the tenant that were there at the transaction's instant, after a place in the
    order, newest first."""
    return await tx.rows(
        _Q["list_page"],
        ConversationRow,
        tx=number,
        at=at,
        valid_at=valid_at,
        tenant_id=tenant_id,
        channel=channel,
        external_id=external_id,
        after_at=after and after[0],
        after_session=after and after[1],
        limit=limit,
    )


async def find(
    tx: Transaction, number: int, at: dt.datetime, valid_at: dt.datetime | None, tenant_id: str, session_id: str
) -> ConversationRow | None:
    """The conversation, if it was there at the transaction's instant."""
    return await tx.row(
        _Q["one"], ConversationRow, tx=number, at=at, valid_at=valid_at, tenant_id=tenant_id, session_id=session_id
    )


async def several(
    tx: Transaction,
    number: int,
    at: dt.datetime,
    valid_at: dt.datetime | None,
    tenant_id: str,
    sessions: Sequence[str],
) -> list[ConversationRow]:
    """The conversations of the sessions that were there at the transaction's instant, in no order."""
    return await tx.rows(
        _Q["several"], ConversationRow, tx=number, at=at, valid_at=valid_at, tenant_id=tenant_id, sessions=sessions
    )


async def is_there(tx: Transaction, at: dt.datetime, tenant_id: str, session_id: str) -> bool:
    """Whether the conversation was there at the instant."""
    row = await tx.row(_Q["is_there"], There, at=at, tenant_id=tenant_id, session_id=session_id)
    return row is not None and row.is_there


async def turns(
    tx: Transaction, number: int, tenant_id: str, session_id: str, after: UUID | None, *, limit: int
) -> list[TurnRow]:
    """Up to `limit` turns after one, as told by the transaction, in the order in which they were told."""
    return await tx.rows(
        _Q["turns"], TurnRow, tx=number, tenant_id=tenant_id, session_id=session_id, after=after, limit=limit
    )


async def first_turns(
    tx: Transaction, number: int, tenant_id: str, sessions: Sequence[str], *, limit: int
) -> list[SessionTurnRow]:
    """Up to `limit` turns of each session, as told by the transaction, in the order in which they were told."""
    return await tx.rows(
        _Q["first_turns"], SessionTurnRow, tx=number, tenant_id=tenant_id, sessions=sessions, limit=limit
    )


async def size_of_first_turns(
    tx: Transaction, number: int, tenant_id: str, sessions: Sequence[str], *, limit: int
) -> int:
    """Bytes of what `first_turns` and `made_of` would read."""
    row = await tx.row(
        _Q["size_of_first_turns"], SizeRow, tx=number, tenant_id=tenant_id, sessions=sessions, limit=limit
    )
    return row.bytes if row else 0


async def made_of(tx: Transaction, number: int, turns: Sequence[UUID]) -> list[MadeRow]:
    """The pieces, believed at the transaction, of the memories that were made from the turns."""
    return await tx.rows(_Q["made_of"], MadeRow, tx=number, turns=turns) if turns else []


async def told_together(tx: Transaction, dialog: UUID) -> list[ToldRow]:
    """The turns of one request that are not erased, in their order."""
    return await tx.rows(_Q["told_together"], ToldRow, dialog=dialog)


async def still_there(tx: Transaction, turns: Sequence[UUID]) -> set[UUID]:
    """Which of the turns are not erased."""
    return {row.id for row in await tx.rows(_Q["still_there"], TurnId, turns=turns)}
