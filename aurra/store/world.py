"""Loads what requests can touch, under the ledger lock and in a statement after it."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

import msgspec

from aurra.changes import NORMAL_TRUST, Head
from aurra.drafts import Draft, SlotName, Turn
from aurra.planning.world import KeptTurn, Known, Slot, ToldKey, TwinPiece, World
from aurra.store.pool import Transaction
from aurra.store.queries import load as queries
from aurra.texts import fingerprint
from aurra.timeline import Piece

_Q = queries("world")


class Text(msgspec.Struct, frozen=True):
    value: str


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What a request can touch."""

    memories: frozenset[UUID] = frozenset()
    slots: Mapping[SlotName, dt.datetime | None] = {}
    """Slots, each with the earliest instant that is given for what is asserted in it; None is none."""
    fingerprints: frozenset[int] = frozenset()
    tenants: frozenset[str] = frozenset()
    """Of the texts with these fingerprints."""
    told: frozenset[ToldKey] = frozenset()
    """Turns of which a memory may have been made verbatim."""
    turns: frozenset[ToldKey] = frozenset()
    """Turns that may be stored."""
    key: str | None = None
    """The idempotency key."""
    size: int = 1
    """Memories it makes, about."""

    @classmethod
    def of_drafts(cls, drafts: Sequence[Draft], dialogs: Mapping[int, Sequence[Turn]]) -> "Needs":
        """The slots, equal texts and turns that drafts may meet."""
        said = [draft for draft in drafts if not draft.is_verbatim_turn]
        told = {
            (draft.tenant_id, turn.session_id, turn.message_id)
            for draft in drafts
            if draft.is_verbatim_turn
            for turn in dialogs[draft.dialog]
            if turn.session_id and turn.message_id
        }
        return cls(
            slots=_earliest((draft.slot_name, draft.valid_from) for draft in drafts if draft.slot_name),
            fingerprints=frozenset(draft.fingerprint for draft in said),
            tenants=frozenset(draft.tenant_id for draft in said),
            told=frozenset(told),
            size=len(drafts),
        )


def _earliest(slots: Iterable[tuple[SlotName, dt.datetime | None]]) -> dict[SlotName, dt.datetime | None]:
    """Each slot once, with the earliest instant that is given for it."""
    found: dict[SlotName, dt.datetime | None] = {}
    for name, start in slots:
        given = [one for one in (start, found.get(name)) if one is not None]
        found[name] = min(given) if given else None
    return found


class StoredAnswer(msgspec.Struct, frozen=True):
    """What was answered to an idempotency key. Both are empty where it was erased."""

    key: str
    fingerprint: bytes
    answer: bytes


class _WantedSlot(msgspec.Struct, frozen=True):
    tenant_id: str
    subject_key: str
    attribute_key: str
    start: dt.datetime | None


class _WantedTurn(msgspec.Struct, frozen=True):
    tenant_id: str
    session_id: str
    message_id: str


class _Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for, as the statement takes it."""

    memories: set[UUID] = set()
    slots: list[_WantedSlot] = []
    fingerprints: set[int] = set()
    tenants: set[str] = set()
    told: list[_WantedTurn] = []
    turns: list[_WantedTurn] = []
    keys: set[str] = set()


class _Slot(msgspec.Struct, frozen=True):
    id: UUID
    tenant_id: str
    subject_key: str
    attribute_key: str
    cardinality: str


class _Erased(msgspec.Struct, frozen=True):
    id: UUID
    number: int
    tenant: bytes


class StoredPiece(msgspec.Struct, frozen=True):
    """A version with the salt of its content."""

    id: UUID
    memory_id: UUID
    lane: UUID
    content_id: UUID
    valid_from: dt.datetime
    valid_to: dt.datetime | None
    superseded_by: UUID | None
    tenant_id: str
    salt: bytes

    def piece(self) -> Piece:
        """As the timeline takes it."""
        return Piece(
            version=self.id,
            memory=self.memory_id,
            lane=self.lane,
            content=self.content_id,
            start=self.valid_from,
            end=self.valid_to,
            successor=self.superseded_by,
        )


class _Piece(StoredPiece, frozen=True):
    is_early: bool
    trust: int


class _Told(msgspec.Struct, frozen=True):
    tenant_id: str
    session_id: str
    message_id: str
    memory_id: UUID


class _Turn(msgspec.Struct, frozen=True):
    tenant_id: str
    session_id: str
    message_id: str
    id: UUID
    role: str
    text: str


class _Plan(msgspec.Struct, frozen=True):
    plan: str
    writes_limit: int


class _Loaded(msgspec.Struct, frozen=True):
    """The one JSON object; null is nothing of the kind."""

    slots: list[_Slot] | None
    memories: list[Known] | None
    erased: list[_Erased] | None
    pieces: list[_Piece] | None
    twins: list[TwinPiece] | None
    told: list[_Told] | None
    turns: list[_Turn] | None
    answers: list[StoredAnswer] | None
    plan: _Plan


_decode = msgspec.json.Decoder(_Loaded).decode


async def load(tx: Transaction, needs: Sequence[Needs], at: dt.datetime) -> tuple[World, dict[str, StoredAnswer]]:
    """What all the requests can touch, and what was answered to their idempotency keys."""
    world, found = await _load(tx, needs, at)
    return world, {answer.key: answer for answer in found.answers or ()}


async def load_under(
    tx: Transaction, needs: Sequence[Needs], head: Head
) -> tuple[Head, World, dict[str, StoredAnswer]]:
    """As `load`; and the head under the plan now in force. The lock may have waited for a command that changed it, with
    a snapshot from before."""
    world, found = await _load(tx, needs, head.at)
    answers = {answer.key: answer for answer in found.answers or ()}
    return head.under(found.plan.plan, found.plan.writes_limit), world, answers


async def _load(tx: Transaction, needs: Sequence[Needs], at: dt.datetime) -> tuple[World, _Loaded]:
    wanted = _Wanted(
        memories={one for need in needs for one in need.memories},
        slots=[_WantedSlot(*name, start) for name, start in _starts(needs, at).items()],
        fingerprints={one for need in needs for one in need.fingerprints},
        tenants={one for need in needs for one in need.tenants},
        told=[_WantedTurn(*one) for need in needs for one in need.told],
        turns=[_WantedTurn(*one) for one in {one for need in needs for one in need.turns}],
        keys={need.key for need in needs if need.key is not None},
    )
    found = await _read(tx, wanted, at)
    world = World()
    for slot in found.slots or ():
        world.slots[slot.tenant_id, slot.subject_key, slot.attribute_key] = Slot(slot.id, slot.cardinality)
    for twin in found.twins or ():
        print_ = fingerprint(twin.text)
        world.twins[print_] = (*world.twins.get(print_, ()), twin)
    for turn in found.told or ():
        world.told[turn.tenant_id, turn.session_id, turn.message_id] = turn.memory_id
    for kept in found.turns or ():
        world.turns[kept.tenant_id, kept.session_id, kept.message_id] = KeptTurn(kept.id, kept.role, kept.text)
    _add_memories(world, found, wanted.memories)
    return world, found


def _starts(needs: Sequence[Needs], at: dt.datetime) -> dict[SlotName, dt.datetime | None]:
    """From where on each slot's lane is loaded; None is whole. What is asserted without a start begins at `at` or
    later. Where a memory is asked for by id, its verb may look anywhere."""
    starts: dict[SlotName, dt.datetime | None] = {}
    whole = any(need.memories for need in needs)
    for need in needs:
        for name, start in need.slots.items():
            starts[name] = None if whole else min(start or at, at, starts.get(name) or at)
    return starts


async def load_memory(tx: Transaction, world: World, memory: UUID, at: dt.datetime) -> None:
    """Adds a memory that a plan met. Its lane was not loaded, so nothing of this commit has changed it."""
    _add_memories(world, await _read(tx, _Wanted(memories={memory}), at), {memory})


def _add_memories(world: World, found: _Loaded, asked: set[UUID]) -> None:
    # A lane that is here already may have been changed by this commit; what the database says of it is older.
    present = set(world.lanes)
    for memory in asked:
        world.memories[memory] = None
    for known in found.memories or ():
        world.memories[known.id] = known
        world.lane_of[known.id] = known.lane
        world.lanes.setdefault(known.lane, ())
    for gone in found.erased or ():
        world.erased[gone.id] = (gone.number, gone.tenant)
    lanes: dict[UUID, list[Piece]] = {}
    for row in found.pieces or ():
        if row.lane in present:
            continue
        lanes.setdefault(row.lane, []).append(row.piece())
        world.lane_of[row.memory_id] = row.lane
        world.tenants[row.memory_id] = row.tenant_id
        world.salts[row.content_id] = row.salt
        if row.trust != NORMAL_TRUST:
            world.trusts[row.memory_id] = row.trust
        if row.is_early:
            world.early[row.memory_id] = True
    for lane, pieces in lanes.items():
        world.lanes[lane] = tuple(pieces)


async def _read(tx: Transaction, wanted: _Wanted, at: dt.datetime) -> _Loaded:
    row = await tx.row(_Q["world"], Text, needs=msgspec.json.encode(wanted).decode(), at=at)
    assert row is not None
    return _decode(row.value)
