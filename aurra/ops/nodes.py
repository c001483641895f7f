"""Nodes: what collections hold, each with the moment that it was read at, and what leads from one to others.

All that one request reads by default is read at one moment, which the first of its reads takes. What several nodes lead
to is read at once, in one transaction.
"""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from aurra import texts
from aurra.context import Context
from aurra.errors import BadRequest
from aurra.ops import views
from aurra.ops.api_keys import instant_of, shown_key
from aurra.ops.conversations import shown_conversation, shown_made, shown_message
from aurra.ops.history import shown_entry, shown_version
from aurra.ops.moments import Moment, resolve
from aurra.ops.reading import choose_version
from aurra.ops.subjects import shown_subject
from aurra.store import api_keys, conversations, history, memories, subjects
from aurra.store.memories import MemoryVersionRow
from aurra.store.pool import Transaction
from aurra.types.conversations import ConversationMessage
from aurra.types.history import Version
from aurra.types.memories import Memory
from aurra.types.subjects import Subject

MOST_AT_ONCE = 4
"""Transactions that one request has open."""
MOST_BYTES = 32_000_000
"""Of the texts that one request reads."""
MOST_VERSIONS = 100
"""Of one memory, that are shown beside it."""
MOST_CHOSEN_FROM = 10_000
"""Of one memory, that are looked at for the one that stands for it."""


class Times(msgspec.Struct, frozen=True):
    """Both times as a request gives them."""

    as_of: str | None = None
    transaction_as_of: int | str | None = None


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What a node was read as of: its moment, and of which tenant; None is all that the key sees."""

    moment: Moment | None
    """None of what has no history: keys."""
    tenant_id: str | None

    @property
    def at(self) -> Moment:
        """The moment; there is one."""
        assert self.moment is not None
        return self.moment


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One row as its Struct shows it."""

    shown: msgspec.Struct
    reading: Reading
    opened_by: int = 0
    """Of a memory, the transaction that opened what is shown."""


class Reader:
    """The reads of one request."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self._moments: dict[Times, Moment] = {}
        self._resolving = asyncio.Lock()
        self._places = asyncio.Semaphore(MOST_AT_ONCE)
        self._bytes_left = MOST_BYTES

    @contextlib.asynccontextmanager
    async def place(self) -> AsyncGenerator[None]:
        """One of the few places in which a request reads or asks at the same time."""
        async with self._places:
            yield

    @contextlib.asynccontextmanager
    async def snapshot(self) -> AsyncGenerator[Transaction]:
        """A read transaction, once few enough others of the request are open."""
        async with self.place(), self.ctx.database.read(self.ctx.company_id) as tx:
            yield tx

    async def moment(self, tx: Transaction, times: Times) -> Moment:
        """The moment of these times: once for the whole request."""
        async with self._resolving:
            if times not in self._moments:
                clock = self.ctx.service.clock()
                self._moments[times] = await resolve(tx, clock, times.as_of, times.transaction_as_of)
        return self._moments[times]

    async def require_few_bytes(self, tx: Transaction, versions: Sequence[UUID]) -> None:
        """Returns when the texts of these versions fit into what the request may still read; else raises BadRequest."""
        self.spend(await history.size(tx, versions) if versions else 0)

    def spend(self, size: int) -> None:
        """Counts bytes that are about to be read. Raises BadRequest where they are too many for one request."""
        self._bytes_left -= size
        if self._bytes_left < 0:
            raise BadRequest(
                f"This request reads more than {MOST_BYTES // 1_000_000} MB of text: ask for smaller pages.",
                code="query_too_large",
            )


Fetch = Callable[[Reader, Transaction, Reading, Sequence[str]], Coroutine[Any, Any, Mapping[str, Any]]]
"""Reads several things by their ids, at once; what is not there is left out."""


async def memory_nodes(reader: Reader, tx: Transaction, reading: Reading, ids: Sequence[str]) -> dict[str, Node]:
    """Memories by the ids of versions."""
    versions = [UUID(id_) for id_ in ids]
    await reader.require_few_bytes(tx, versions)
    rows = await memories.pieces(tx, reading.at.number, versions)
    return {
        str(row.version): Node(
            shown=views.memory(reader.ctx, row, reading.at),
            reading=Reading(moment=reading.moment, tenant_id=row.tenant_id),
            opened_by=row.tx_from,
        )
        for row in rows
    }


async def subject_nodes(reader: Reader, tx: Transaction, reading: Reading, ids: Sequence[str]) -> dict[str, Node]:
    """Subjects by their comparable names, as far as something is believed about them."""
    assert reading.tenant_id is not None
    rows = await subjects.several(tx, reading.at.number, reading.at.valid_at, reading.tenant_id, ids)
    return {row.subject_key: Node(shown=shown_subject(row), reading=reading) for row in rows}


async def conversation_nodes(reader: Reader, tx: Transaction, reading: Reading, ids: Sequence[str]) -> dict[str, Node]:
    """Conversations by their sessions."""
    at, tenant = reading.at, reading.tenant_id
    assert tenant is not None
    rows = await conversations.several(tx, at.number, at.at, at.valid_at, tenant, ids)
    return {row.session_id: Node(shown=shown_conversation(row), reading=reading) for row in rows}


async def transaction_nodes(reader: Reader, tx: Transaction, reading: Reading, ids: Sequence[str]) -> dict[str, Node]:
    """Transactions by their numbers."""
    numbers = [int(id_) for id_ in ids if int(id_) <= reading.at.number]
    rows = await history.several(tx, numbers, reading.tenant_id)
    return {str(row.id): Node(shown=shown_entry(row), reading=reading) for row in rows}


async def key_nodes(reader: Reader, tx: Transaction, reading: Reading, ids: Sequence[str]) -> dict[str, Node]:
    """Keys by their ids."""
    rows = await api_keys.several(tx, ids, reader.ctx.caller.tenant_id)
    now = await instant_of(reader.ctx, tx)
    return {row.key_id: Node(shown=shown_key(row, now), reading=reading) for row in rows}


async def successor_nodes(reader: Reader, tx: Transaction, reading: Reading, ids: Sequence[str]) -> dict[str, Node]:
    """Memories by their own ids, each by the version that stands for it."""
    found = await _versions(tx, reading, ids, limit=MOST_CHOSEN_FROM)
    chosen = {id_: choose_version(list(rows), reading.at) for id_, rows in found.items()}
    shown = await memory_nodes(reader, tx, reading, [str(one.version) for one in chosen.values()])
    return {id_: shown[str(one.version)] for id_, one in chosen.items() if str(one.version) in shown}


async def versions_of(
    reader: Reader, tx: Transaction, reading: Reading, ids: Sequence[str]
) -> dict[str, list[Version]]:
    """The versions of memories, by their ids: of each the first hundred, in the order of belief."""
    found = await _versions(tx, reading, ids, limit=MOST_VERSIONS)
    wanted = [row.version for rows in found.values() for row in rows]
    await reader.require_few_bytes(tx, wanted)
    said: dict[str, list[Version]] = {}
    for row in await history.stated(tx, reading.at.number, wanted):
        said.setdefault(str(row.memory_id), []).append(shown_version(row))
    return said


def messages_of(limit: int) -> Fetch:
    """Reads the first so many turns of conversations, by their sessions."""

    async def read(
        reader: Reader, tx: Transaction, reading: Reading, ids: Sequence[str]
    ) -> dict[str, list[ConversationMessage]]:
        assert reading.tenant_id is not None
        at = reading.at
        reader.spend(await conversations.size_of_first_turns(tx, at.number, reading.tenant_id, ids, limit=limit))
        rows = await conversations.first_turns(tx, at.number, reading.tenant_id, ids, limit=limit)
        made = await conversations.made_of(tx, at.number, [row.id for row in rows])
        of_turn = {turn: list(group) for turn, group in itertools.groupby(made, key=lambda row: row.turn)}
        return {
            session: [
                shown_message(row, place, shown_made(of_turn.get(row.id, ()), at)) for place, row in enumerate(told)
            ]
            for session, told in itertools.groupby(rows, key=lambda row: row.session_id)
        }

    return read


async def _versions(
    tx: Transaction, reading: Reading, ids: Sequence[str], *, limit: int
) -> dict[str, list[MemoryVersionRow]]:
    memories_ = [UUID(id_) for id_ in ids]
    rows = await memories.versions_of_several(tx, reading.at.number, memories_, reading.tenant_id, limit=limit)
    return {str(id_): list(group) for id_, group in itertools.groupby(rows, key=lambda row: row.memory_id)}


def subject_of(memory: Memory) -> str | None:
    """The comparable name of whom a memory is about."""
    return None if memory.subject is None else texts.comparable(memory.subject)


def key_of(subject: Subject) -> str:
    """A subject's comparable name."""
    return texts.comparable(subject.subject)
