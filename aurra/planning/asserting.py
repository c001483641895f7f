"""Assert. `Planner` applies drafts in order, as the laws of `timeline` say, and recognises duplicates; `changes()`
gives the net rows: a version that the same transaction opens and closes is not stored. Pure.
"""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

import msgspec

from aurra import texts, timeline
from aurra.changes import NORMAL_TRUST, Changes, Embedded, Head, vector_rows
from aurra.drafts import Draft, Labels, Turn
from aurra.errors import BadRequest, Conflict
from aurra.ids import Ids
from aurra.planning import changing, rows
from aurra.planning.world import KeptTurn, Lane, Slot, ToldKey, TwinPiece, World
from aurra.superseding import Policy, Proposal
from aurra.timeline import Interval, Piece


class Takeover(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the verdicts on one draft."""

    done: Proposal | None = None
    """The surest of those that were carried out."""
    skipped: str | None = None
    """Why the surest of those that were not was not, where none was."""
    old: list[UUID] = []
    """All memories that gave way, or wait for a person to say so."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one draft."""

    memory: UUID
    duplicate: bool
    has_slot: bool = False
    examined: int = 0
    """Pieces of its slot that were looked at."""
    displaced: UUID | None = None
    """The memory whose place it took, if any."""
    yielded: bool = False
    """Whether it was stored without its slot, which a memory of higher trust holds."""
    takeover: Takeover = Takeover()


def require_loaded(world: World, proposals: Sequence[Proposal]) -> None:
    """Returns when what `take_over` looks at is there. Raises NotLoaded, before anything is changed."""
    for proposal in proposals:
        pieces = world.pieces_of(proposal.memory)
        if pieces and (successor := pieces[-1].successor) is not None:
            world.pieces_of(successor)


class Planner:
    """Applies drafts, in order, to what is believed; never to the database."""

    def __init__(
        self,
        head: Head,
        world: World,
        dialogs: Mapping[int, Sequence[Turn]],
        sources: Mapping[int, Sequence[UUID]] | None = None,
    ) -> None:
        """`world` is changed; `sources` are the turns of dialogs that are stored."""
        self._head = head
        self._world = world
        self._dialogs = dialogs
        self._ids = Ids(head.at)
        self._rows = Changes()
        self._before: dict[UUID, Lane] = {}
        self._takers: dict[UUID, UUID] = {}
        self._labels: dict[UUID, str] = {}
        self._sources: dict[int, Sequence[UUID]] = dict(sources or {})
        self._successors: dict[UUID, UUID] = {}
        """Of lanes in which a memory gave way: the new one that it gave way to."""

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
        """The memory that already says the draft, if any; changes nothing. Raises as `assert_draft` does."""
        return self._inspect(self._fitting(draft))

    def _inspect(self, draft: Draft) -> UUID | None:
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
        asserted = timeline.claimed(pieces, start, draft.valid_to, self._yielding(draft, pieces))
        twin = self._duplicate(draft, slot, asserted)
        if twin is None and (holder := self._trusted_more(draft, pieces, asserted)) is not None:
            raise changing.lower_trust(holder)
        return twin

    def assert_draft(self, draft: Draft, embedded: Embedded | None) -> Outcome:
        """Applies one draft. What was extracted goes without its slot where a memory of higher trust holds that.

        Raises BadRequest for an interval or a slot that cannot be, Conflict (lower_trust) for a slot that a memory of
        higher trust holds; then nothing has changed.
        """
        fitting = self._fitting(draft)
        outcome = self._assert(fitting, embedded)
        return outcome if fitting is draft else msgspec.structs.replace(outcome, yielded=True)

    def _fitting(self, draft: Draft) -> Draft:
        """The draft; of an extracted one whose slot is held by a memory of higher trust, the same without a slot."""
        if draft.turn is None or draft.slot_name is None:
            return draft
        try:
            self._inspect(draft)
        except Conflict:
            return msgspec.structs.replace(draft, attribute=None, cardinality=None, slot_name=None)
        return draft

    def _assert(self, draft: Draft, embedded: Embedded | None) -> Outcome:
        if (twin := self._inspect(draft)) is not None:
            slot = self._world.slots.get(draft.slot_name) if draft.slot_name else None
            return Outcome(memory=twin, duplicate=True, has_slot=slot is not None, examined=len(self._lane_of(slot)))
        start = draft.valid_from or self._head.at
        slot = self._slot(draft)
        pieces = self._lane_of(slot)
        yielding = self._yielding(draft, pieces)
        asserted = timeline.claimed(pieces, start, draft.valid_to, yielding)
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
            early=yielding,
        )
        displaced = self._place(lane, pieces, after, memory)
        self._labels[memory] = draft.label
        self._remember(draft, slot, memory, asserted)
        return Outcome(
            memory=memory, duplicate=False, has_slot=slot is not None, examined=len(pieces), displaced=displaced
        )

    def keep(self, dialog: int, labels: Labels) -> list[KeptTurn | None]:
        """Keeps the dialog's turns, whatever is made of them, and what is given of their conversation. Of each, the
        turn that has its id already and stays in its place; None where it is new."""
        dialog_id, ids = self._ids.new(), list[UUID]()
        known: list[KeptTurn | None] = []
        for turn in self._dialogs[dialog]:
            key = told_key(labels.tenant_id, turn)
            kept = self._world.turns.get(key) if key else None
            known.append(kept)
            ids.append(kept.id if kept else self._keep_turn(turn, labels.tenant_id, dialog_id))
        self._sources[dialog] = ids
        if labels.says_something or None in known:
            self._rows.conversations.append(rows.conversation(self._head, labels))
        return known

    def take_over(self, draft: Draft, memory: UUID, proposals: Sequence[Proposal], policy: Policy) -> Takeover:
        """Carries out the verdicts on a draft that was just asserted as `memory`: what it supersedes surely enough ends
        where it begins; what is not sure, or not trusted enough, waits for a person if the account asks for that.

        The old memories were loaded, and so were their successors.
        """
        done: list[Proposal] = []
        skipped: list[str] = []
        old: list[UUID] = []
        for proposal in sorted(proposals, key=lambda one: (-one.confidence, one.memory)):
            if proposal.verdict != "supersedes":
                continue
            why = self._cannot_give_way(draft, memory, proposal) or _wants_a_person(
                proposal, policy, self._world.trust_of(proposal.memory) > draft.trust
            )
            if why is None:
                self._give_way(proposal.memory, memory)
                done.append(proposal)
            else:
                skipped.append(why)
                if not (why in _FOR_A_PERSON and policy.keeps_reviews):
                    continue
                self._rows.reviews.append(rows.review(self._head, self._ids.new(), draft, memory, proposal, why))
            old.append(proposal.memory)
        return Takeover(done=done[0] if done else None, skipped=None if done else next(iter(skipped), None), old=old)

    def _cannot_give_way(self, draft: Draft, memory: UUID, proposal: Proposal) -> str | None:
        """Why the old memory cannot end where the new one begins; None where it can."""
        known = self._world.memories.get(proposal.memory)
        pieces = [] if known is None else self._world.pieces_of(known.id)
        if known is None or not pieces or known.tenant_id != draft.tenant_id:
            return "not_believed"
        if known.text != proposal.text or known.lane in self._before:
            return "changed_meanwhile"
        if (successor := pieces[-1].successor) is not None and self._world.pieces_of(successor):
            return "already_superseded"
        new = self._world.pieces_of(memory)
        if len(new) != 1 or new[0].end is not None:
            # What holds for a while only would end the old one for ever.
            return "bounded_interval"
        if new[0].start <= pieces[0].start:
            return "starts_later"
        return None if timeline.before(new[0].start, pieces[-1].end) else "already_ended"

    def _give_way(self, old: UUID, new: UUID) -> None:
        """The old memory ends where the new one begins."""
        lane = self._world.lane_of[old]
        self._before[lane] = self._world.lanes[lane]
        self._successors[lane] = new
        changing.cut(self._world, old, self._world.pieces_of(new)[0].start, new)

    def _yielding(self, draft: Draft, pieces: Lane) -> Collection[UUID]:
        """Memories that do not stand in the draft's way though a piece of them starts later: they began before; or a
        key of lower trust wrote them, which else would end, by what it schedules, what one of higher trust says."""
        if not self._world.trusts and draft.trust <= NORMAL_TRUST:
            return self._world.early
        lower = {piece.memory for piece in pieces if self._world.trust_of(piece.memory) < draft.trust}
        return lower | self._world.early.keys()

    def _trusted_more(self, draft: Draft, pieces: Lane, asserted: Sequence[Interval]) -> UUID | None:
        """A memory of higher trust that would lose something to the draft, if any."""
        if not self._world.trusts and draft.trust >= NORMAL_TRUST:
            return None
        for piece in pieces:
            if self._world.trust_of(piece.memory) > draft.trust and any(
                timeline.overlaps(piece, interval) for interval in asserted
            ):
                return piece.memory
        return None

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
        asserted = {lane: was for lane, was in self._before.items() if lane not in self._successors}
        self._world.settle(self._head, self._ids, asserted, self._rows)
        for lane, successor in self._successors.items():
            self._world.settle(self._head, self._ids, {lane: self._before[lane]}, self._rows, successor)
        return self._rows

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
            # What a key of higher trust confirms is to be as safe as what it says.
            and twin.trust >= draft.trust
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
                TwinPiece(
                    draft.text,
                    memory,
                    draft.tenant_id,
                    slot_id,
                    draft.source,
                    interval.start,
                    interval.end,
                    draft.trust,
                )
                for interval in asserted
            ),
        )
        key = told_key(draft.tenant_id, self._turn(draft))
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
        if draft.trust != NORMAL_TRUST:
            self._world.trusts[memory] = draft.trust
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
            self._sources[draft.dialog] = [
                self._keep_turn(turn, draft.tenant_id, dialog_id) if self._is_new(draft, turn) else self._ids.new()
                for turn in turns
            ]
            if draft.session_id is not None:
                labels = Labels(tenant_id=draft.tenant_id, session_id=draft.session_id)
                self._rows.conversations.append(rows.conversation(self._head, labels))
        return self._sources[draft.dialog][draft.turn]

    def _keep_turn(self, turn: Turn, tenant_id: str, dialog_id: UUID) -> UUID:
        """Adds the turn as said; returns its id."""
        row = rows.source(self._head, self._ids.new(), turn, tenant_id, dialog_id)
        self._rows.sources.append(row)
        if (key := told_key(tenant_id, turn)) is not None:
            self._world.turns.setdefault(key, KeptTurn(row.id, row.role, row.text))
        return row.id

    def _is_new(self, draft: Draft, turn: Turn) -> bool:
        return not (draft.is_verbatim_turn and self._told(draft.tenant_id, turn))

    def _told(self, tenant_id: str, turn: Turn | None) -> UUID | None:
        """The memory of a turn that was told before, if it is believed by now."""
        key = told_key(tenant_id, turn)
        told = self._world.told.get(key) if key else None
        return told if told is not None and self._spans(told) != [] else None


_FOR_A_PERSON = frozenset({"low_confidence", "lower_trust"})


def _wants_a_person(proposal: Proposal, policy: Policy, is_trusted_more: bool) -> str | None:
    """Why a supersession that could be is not made without asking; None where nothing speaks against it."""
    if is_trusted_more:
        return "lower_trust"
    return "low_confidence" if proposal.confidence < policy.min_confidence else None


def told_key(tenant_id: str, turn: Turn | None) -> ToldKey | None:
    """How a turn is known again; one without an id of the caller's, or without a session, never is."""
    if turn is None or turn.message_id is None or turn.session_id is None:
        return None
    return tenant_id, turn.session_id, turn.message_id
