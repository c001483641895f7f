"""What is believed, as far as it was loaded, and how a plan changes it. Pure."""

import datetime as dt
from collections.abc import Sequence
from uuid import UUID

import msgspec

from aurra import texts, timeline
from aurra.changes import NORMAL_TRUST, Changes, Head, closed_rows, opened_rows
from aurra.drafts import SlotName
from aurra.ids import Ids
from aurra.timeline import Piece

ToldKey = tuple[str, str, str]
"""(tenant, session, the caller's own id of the turn)."""
Lane = tuple[Piece, ...]


class NotLoaded(Exception):
    """A plan met a memory that was not loaded, before it changed anything; load it, and plan again."""

    def __init__(self, memory: UUID) -> None:
        super().__init__(memory)
        self.memory = memory


class Slot(msgspec.Struct, frozen=True):
    id: UUID
    cardinality: str


class TwinPiece(msgspec.Struct, frozen=True):
    """A believed piece whose text may equal a draft's."""

    text: str
    memory: UUID
    tenant_id: str
    slot: UUID | None
    source: str
    start: dt.datetime
    end: dt.datetime | None
    trust: int = NORMAL_TRUST


class KeptTurn(msgspec.Struct, frozen=True):
    """A turn that is stored already."""

    id: UUID
    role: str
    text: str


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """A memory that was asked for by id: what never changes of it, and what its newest version says."""

    id: UUID
    tenant_id: str
    lane: UUID
    slot_id: UUID | None
    source: str
    created_tx: int
    last_closed: int | None
    """The transaction that closed a version of it last."""
    text: str
    topic: str
    importance: int
    people: list[str]
    action_items: list[str]
    trust: int = NORMAL_TRUST


class World(msgspec.Struct, kw_only=True):
    """The values of these maps are never changed in place.

    A lane is loaded whole where a memory is asked for by id; where all that comes is asserted, from the earliest start
    of it on, since nothing before that can change.
    """

    slots: dict[SlotName, Slot] = msgspec.field(default_factory=dict[SlotName, Slot])
    lanes: dict[UUID, Lane] = msgspec.field(default_factory=dict[UUID, Lane])
    """What is believed in each lane, in valid order."""
    lane_of: dict[UUID, UUID] = msgspec.field(default_factory=dict[UUID, UUID])
    """The lane of each memory that has a piece in `lanes`, or was asked for."""
    early: dict[UUID, bool] = msgspec.field(default_factory=dict[UUID, bool])
    """Memories with a piece before the part of the lane that was loaded."""
    tenants: dict[UUID, str] = msgspec.field(default_factory=dict[UUID, str])
    """The tenant of each memory that has a piece."""
    trusts: dict[UUID, int] = msgspec.field(default_factory=dict[UUID, int])
    """Of each memory that has a piece, where it is not the normal one."""
    salts: dict[UUID, bytes] = msgspec.field(default_factory=dict[UUID, bytes])
    """The salt of each content that the pieces say."""
    memories: dict[UUID, Known | None] = msgspec.field(default_factory=dict[UUID, Known | None])
    """Memories that were asked for by id; None where there is none."""
    erased: dict[UUID, tuple[int, bytes]] = msgspec.field(default_factory=dict[UUID, tuple[int, bytes]])
    """Of those that were erased: the transaction, and the digest of the tenant."""
    twins: dict[int, tuple[TwinPiece, ...]] = msgspec.field(default_factory=dict[int, tuple[TwinPiece, ...]])
    """Pieces whose text may equal a draft's, by the fingerprint of their text."""
    told: dict[ToldKey, UUID] = msgspec.field(default_factory=dict[ToldKey, UUID])
    """The memory of each turn that is stored already."""
    turns: dict[ToldKey, KeptTurn] = msgspec.field(default_factory=dict[ToldKey, KeptTurn])
    """Turns that are stored already, whether or not a memory was made of them."""

    def child(self) -> "World":
        """The same, to plan on without changing this one."""
        return World(**{name: dict(getattr(self, name)) for name in World.__struct_fields__})

    def absorb(self, child: "World") -> None:
        """Keeps what a child of the world as it is changed."""
        for name in World.__struct_fields__:
            setattr(self, name, getattr(child, name))

    def pieces_of(self, memory: UUID) -> list[Piece]:
        """All that is believed of a memory, in valid order. Raises NotLoaded."""
        lane = self.lane_of.get(memory)
        if lane is None:
            if memory in self.memories or memory in self.erased:
                return []
            raise NotLoaded(memory)
        return [piece for piece in self.lanes[lane] if piece.memory == memory]

    def trust_of(self, memory: UUID) -> int:
        """The trust of the key that wrote a memory which has a piece here."""
        return self.trusts.get(memory, NORMAL_TRUST)

    def place(self, lane: UUID, after: Sequence[Piece]) -> None:
        """What the lane holds from here on, in valid order."""
        self.lanes[lane] = tuple(sorted(after, key=lambda piece: piece.start))

    def retell(self, known: Known, text: str) -> None:
        """The memory says another text from here on."""
        for print_, twins in list(self.twins.items()):
            if any(twin.memory == known.id for twin in twins):
                self.twins[print_] = tuple(twin for twin in twins if twin.memory != known.id)
        print_ = texts.fingerprint(text)
        pieces = self.pieces_of(known.id)
        self.twins[print_] = (
            *self.twins.get(print_, ()),
            *(
                TwinPiece(
                    text, known.id, known.tenant_id, known.slot_id, known.source, piece.start, piece.end, known.trust
                )
                for piece in pieces
            ),
        )
        self.memories[known.id] = msgspec.structs.replace(known, text=text)

    def settle(
        self,
        head: Head,
        ids: Ids,
        before: dict[UUID, Lane],
        rows: Changes,
        successor: UUID | None = None,
    ) -> Changes:
        """The rows with the net closings and openings of the lanes in `before`, to get from them to what is here.

        A version that was opened and closed since is none. `successor` replaces what no other memory took.
        """
        for lane, was in before.items():
            after = self.lanes[lane]
            closings, opened = timeline.difference(was, after, successor)
            by_version = {piece.version: piece for piece in was}
            rows.closed += closed_rows(closings, head)
            gone = [by_version[closing.version] for closing in closings]
            rows.gone += gone
            for memory in {piece.memory for piece in gone}:
                if (known := self.memories.get(memory)) is not None:
                    self.memories[memory] = msgspec.structs.replace(known, last_closed=head.tx)
            made = [ids.new() for _ in opened]
            rows.opened += opened_rows(opened, made, head, self.tenants, self.salts)
            self.lanes[lane] = _numbered(after, opened, made)
        return rows


def _numbered(after: Lane, opened: Sequence[Piece], versions: Sequence[UUID]) -> Lane:
    """The lane once what was opened has its versions, for those who plan next."""
    named = {
        id(piece): msgspec.structs.replace(piece, version=version)
        for piece, version in zip(opened, versions, strict=True)
    }
    return tuple(named.get(id(piece), piece) for piece in after)
