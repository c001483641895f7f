"""Assert. `Planner` applies drafts in order, as the laws of `timeline` say, and recognises duplicates; `changes()`
gives the net rows: a version that the same transaction opens and closes is not stored. Pure.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from aurra import texts, timeline
from aurra.changes import Changes, Embedded, Head, vector_rows
from aurra.drafts import Draft, Turn
from aurra.errors import BadRequest
from aurra.ids import Ids
from aurra.planning import rows
from aurra.planning.world import Lane, Slot, ToldKey, TwinPiece, World
from aurra.timeline import Interval, Piece


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one draft."""

    memory: UUID
    duplicate: bool
    has_slot: bool = False
    examined: int = 0
    """Pieces of its slot that were looked at."""
    displaced: UUID | None = None
    """The memory whose place it took, if any."""


class Planner:
    """Applies drafts, in order, to what is believed; never to the database."""

    def __init__(self, head: Head, world: World, dialogs: Mapping[int, Sequence[Turn]]) -> None:
        """`world` is changed."""
        self._head = head
        self._world = world
        self._dialogs = dialogs
        self._ids = Ids(head.at)
        self._rows = Changes()
        self._before: dict[UUID, Lane] = {}
        self._takers: dict[UUID, UUID] = {}
        self._labels: dict[UUID, str] = {}
        self._sources: dict[int, list[UUID]] = {}

    @property
    def cost(self) -> int:
        """Writes so far: memories that are new."""
        return len(self._rows.memories)

    def cost_of(self, drafts: Sequence[Draft]) -> int:
        """Writes that the drafts would be, one after the other; changes nothing. Raises as `assert_draft` does."""
        trial = Planner(self._head, self._world.child(), self._dialogs)
        for draft in drafts:
            trial.assert_draft(draft, None)
        return trial.cost

    def inspect(self, draft: Draft) -> UUID | None:
        """The memory that already says the draft, if any; changes nothing. Raises BadRequest as `assert_draft` does."""
        start = draft.valid_from or self._head.at
        if draft.valid_to is not None and draft.valid_to <= start:
            raise BadRequest(
                f"{draft.label}`valid_to` must be later than `valid_from` ({start.isoformat()}).",
                code="empty_interval",
                param="valid_to",
            )
        slot = self._world.slots.get(draft.slot_name) if draft.slot_name else None
        if slot and draft.cardinality not in (None, slot.cardinality):
            raise BadRequest(
                f"{draft.label}the slot of this subject and attribute has cardinality `{slot.cardinality}`; it was "
                "fixed by its first memory.",
                param="cardinality",
            )
        pieces = self._lane_of(slot)
        return self._duplicate(draft, slot, timeline.claimed(pieces, start, draft.valid_to, self._world.early))

    def assert_draft(self, draft: Draft, embedded: Embedded | None) -> Outcome:
        """Applies one draft. Raises BadRequest for an interval or a slot that cannot be; then nothing has changed."""
        if (twin := self.inspect(draft)) is not None:
            slot = self._world.slots.get(draft.slot_name) if draft.slot_name else None
            return Outcome(memory=twin, duplicate=True, has_slot=slot is not None, examined=len(self._lane_of(slot)))
        start = draft.valid_from or self._head.at
        slot = self._slot(draft)
        pieces = self._lane_of(slot)
        asserted = timeline.claimed(pieces, start, draft.valid_to, self._world.early)
        memory = self._ids.new()
        lane = slot.id if slot and slot.cardinality == "one" else memory
        content = self._add_rows(draft, memory, lane, slot, embedded)
        after = timeline.assert_into(
            pieces,
            memory=memory,
            lane=lane,
            content=content,
            start=start,
            end=draft.valid_to,
            early=self._world.early,
        )
        displaced = self._place(lane, pieces, after, memory)
        self._labels[memory] = draft.label
        self._remember(draft, slot, memory, asserted)
        return Outcome(
            memory=memory, duplicate=False, has_slot=slot is not None, examined=len(pieces), displaced=displaced
        )

    def lost(self) -> dict[UUID, str]:
        """Memories of this request of which nothing is left, each with the label of the item that took it all."""
        if len(self._rows.memories) < 2:
            return {}
        alive = {piece.memory for lane in self._before for piece in self._world.lanes[lane]}
        return {
            row.id: self._labels.get(self._takers[row.id], "") for row in self._rows.memories if row.id not in alive
        }

    def changes(self) -> Changes:
        """The net rows, when nothing is lost."""
        return self._world.settle(self._head, self._ids, self._before, self._rows)

    def _lane_of(self, slot: Slot | None) -> Lane:
        """What the slot's lane holds by now; nothing for a memory that will be its own lane."""
        return self._world.lanes.get(slot.id, ()) if slot and slot.cardinality == "one" else ()

    def _slot(self, draft: Draft) -> Slot | None:
        """The draft's slot, made when it is new."""
        if (name := draft.slot_name) is None:
            return None
        slot = self._world.slots.get(name)
        if slot is None:
            slot = Slot(self._ids.new(), draft.cardinality or "one")
            self._world.slots[name] = slot
            self._rows.slots.append(rows.slot(self._head, slot.id, draft, name, slot.cardinality))
        return slot

    def _duplicate(self, draft: Draft, slot: Slot | None, asserted: list[Interval]) -> UUID | None:
        """The memory that already says this over the whole interval, if any."""
        if draft.is_verbatim_turn:
            return self._told(draft.tenant_id, self._turn(draft))
        if slot is None and draft.slot_name is not None:
            return None  # the first of its slot
        same = texts.comparable(draft.text)
        twins = [
            twin
            for twin in self._world.twins.get(draft.fingerprint, ())
            if twin.tenant_id == draft.tenant_id
            and twin.slot == (slot.id if slot else None)
            and (slot is not None or twin.source == draft.source)
            and texts.comparable(twin.text) == same
        ]
        for memory in dict.fromkeys(twin.memory for twin in twins):
            spans = self._spans(memory)
            if spans is None:
                spans = [Interval(twin.start, twin.end) for twin in twins if twin.memory == memory]
            if spans and all(any(timeline.covers(span, interval) for span in spans) for interval in asserted):
                return memory
        return None

    def _spans(self, memory: UUID) -> list[Interval] | None:
        """When a memory is believed by now, which an earlier item or request may have changed; None where its lane was
        not loaded, so that nothing changed it."""
        lane = self._world.lane_of.get(memory)
        if lane is None:
            return None
        return [Interval(piece.start, piece.end) for piece in self._world.lanes[lane] if piece.memory == memory]

    def _remember(self, draft: Draft, slot: Slot | None, memory: UUID, asserted: list[Interval]) -> None:
        """Makes the new memory known to the drafts after it."""
        slot_id = slot.id if slot else None
        self._world.twins[draft.fingerprint] = (
            *self._world.twins.get(draft.fingerprint, ()),
            *(
                TwinPiece(draft.text, memory, draft.tenant_id, slot_id, draft.source, interval.start, interval.end)
                for interval in asserted
            ),
        )
        key = _told_key(draft.tenant_id, self._turn(draft))
        if draft.is_verbatim_turn and key:
            self._world.told[key] = memory

    def _place(self, lane: UUID, before: Lane, after: list[Piece], memory: UUID) -> UUID | None:
        """Keeps the lane as it is now; returns the memory that was displaced (the one that held the start first)."""
        self._before.setdefault(lane, before)
        self._world.lanes[lane] = tuple(after)
        self._world.lane_of[memory] = lane
        kept = {id(piece) for piece in after}
        gone = [piece for piece in before if id(piece) not in kept]
        for piece in gone:
            self._takers[piece.memory] = memory
        return gone[0].memory if gone else None

    def _add_rows(self, draft: Draft, memory: UUID, lane: UUID, slot: Slot | None, embedded: Embedded | None) -> UUID:
        """Adds the memory, its content, vectors and source turns; returns the content's id."""
        content = rows.content(self._head, self._ids.new(), memory, draft, self._turn(draft))
        self._rows.contents.append(content)
        if embedded is not None:
            self._rows.vectors += vector_rows(content.id, embedded, self._head.tx, content.salt)
        slot_id = slot.id if slot else None
        born = rows.memory(self._head, memory, draft, lane, slot_id, self._source(draft), content.salt)
        self._rows.memories.append(born)
        self._world.tenants[memory] = draft.tenant_id
        self._world.salts[content.id] = content.salt
        return content.id

    def _turn(self, draft: Draft) -> Turn | None:
        return None if draft.turn is None else self._dialogs[draft.dialog][draft.turn]

    def _source(self, draft: Draft) -> UUID | None:
        """The id of the draft's turn; the whole dialog is kept with the first memory made of it.

        Verbatim turns that are stored already are not kept a second time.
        """
        if draft.turn is None:
            return None
        if draft.dialog not in self._sources:
            dialog_id, turns = self._ids.new(), self._dialogs[draft.dialog]
            told = [rows.source(self._head, self._ids.new(), turn, draft.tenant_id, dialog_id) for turn in turns]
            self._sources[draft.dialog] = [row.id for row in told]
            self._rows.sources += [row for row, turn in zip(told, turns, strict=True) if self._is_new(draft, turn)]
            if draft.session_id is not None:
                self._rows.conversations.append(rows.conversation(self._head, draft.tenant_id, draft.session_id))
        return self._sources[draft.dialog][draft.turn]

    def _is_new(self, draft: Draft, turn: Turn) -> bool:
        return not (draft.is_verbatim_turn and self._told(draft.tenant_id, turn))

    def _told(self, tenant_id: str, turn: Turn | None) -> UUID | None:
        """The memory of a turn that was told before, if it is believed by now."""
        key = _told_key(tenant_id, turn)
        told = self._world.told.get(key) if key else None
        return told if told is not None and self._spans(told) != [] else None


def _told_key(tenant_id: str, turn: Turn | None) -> ToldKey | None:
    """How a turn is known again; one without an id of the caller's, or without a session, never is."""
    if turn is None or turn.message_id is None or turn.session_id is None:
        return None
    return tenant_id, turn.session_id, turn.message_id
