"""The reference: all of time as a plain table, one cell an instant. No clock, no I/O, no intervals to get wrong.

A lane is a list of cells: cell d stands for the instants of day d, the last one for all time after it. A state is the
lanes; `states[k]` is what was believed at transaction k. A verb looks at the newest state and says what becomes of it;
`commit` makes that the next one.
"""

from typing import NamedTuple

LAST = 60
"""Days 0…LAST: the last cell has no end."""
KEEP = -1
"""A correction that leaves an end as it is."""


class Cell(NamedTuple):
    """Who holds an instant, what it says, and who took over from the piece it belongs to."""

    memory: str
    text: str
    link: str | None


class Piece(NamedTuple):
    """A run of equal cells; an end of None is open."""

    memory: str
    text: str
    link: str | None
    start: int
    end: int | None

    @property
    def days(self) -> range:
        return range(self.start, LAST + 1 if self.end is None else self.end)

    @property
    def cell(self) -> Cell:
        return Cell(self.memory, self.text, self.link)


Slot = tuple[str, str, str]
"""(tenant, subject, attribute)."""
Lane = tuple[Cell | None, ...]
State = dict[Slot | str, Lane]
"""By lane: a slot that holds one value, else a memory."""
EMPTY: Lane = (None,) * (LAST + 1)


class Home(NamedTuple):
    """What never changes of a memory."""

    tenant: str
    slot: Slot | None
    cardinality: str
    lane: Slot | str


class Outcome(NamedTuple):
    """What a verb comes to: `state` is the next one; None takes no number. `refusals`: codes of which any is right."""

    status: str
    state: State | None = None
    refusals: frozenset[str] = frozenset()
    in_the_way: frozenset[int] = frozenset()
    versions: tuple[Piece, ...] = ()
    memory: str = ""
    """The memory that is born, that a duplicate repeats, or that is erased."""
    home: Home | None = None
    turn: tuple[str, str] | None = None
    """The turn that is kept: tenant, and the caller's id."""


class Receipt(NamedTuple):
    opened: frozenset[Piece]
    closed: frozenset[Piece]

    @property
    def memories(self) -> frozenset[str]:
        return frozenset(piece.memory for piece in self.opened | self.closed)


def refused(*codes: str) -> Outcome:
    return Outcome("refused", refusals=frozenset(codes))


def pieces(lane: Lane) -> list[Piece]:
    """The maximal runs of equal cells, in valid order."""
    found: list[Piece] = []
    for day, cell in enumerate(lane):
        if cell is not None and (day == 0 or lane[day - 1] != cell):
            end = next((later for later in range(day, LAST + 1) if lane[later] != cell), None)
            found.append(Piece(*cell, day, end))
    return found


def all_pieces(state: State) -> list[Piece]:
    return [piece for lane in state.values() for piece in pieces(lane)]


def claimed(lane: Lane, memory: str, start: int, end: int | None) -> list[int]:
    """The days an assert takes: [start, end); open, those from `start` on that no memory starting later holds."""
    first: dict[str, int] = {}
    for day, cell in enumerate(lane):
        if cell is not None:
            first.setdefault(cell.memory, day)
    if end is not None:
        return list(range(start, end))
    holders = [(day, lane[day]) for day in range(start, LAST + 1)]
    return [day for day, held in holders if held is None or held.memory == memory or first[held.memory] <= start]


def displaced(lane: Lane, memory: str, days: list[int]) -> list[Cell | None]:
    """The lane without those days; what is left of a piece before them names the memory that took over."""
    left = list(lane)
    for piece in pieces(lane):
        taken = [day for day in piece.days if day in days]
        if piece.memory != memory and taken:
            left[piece.start : taken[0]] = [piece.cell._replace(link=memory)] * (taken[0] - piece.start)
    return [None if day in days else cell for day, cell in enumerate(left)]


def runs(days: set[int]) -> list[tuple[int, int]]:
    """Maximal [from, to) of neighbouring days."""
    starts = sorted(day for day in days if day - 1 not in days)
    return [(start, next(day for day in range(start, LAST + 2) if day not in days)) for start in starts]


def settled(
    lane: Lane, memory: str, text: str, days: list[int], *, is_open: bool, links: dict[int, str | None]
) -> Lane:
    """The lane after a memory took the days, beside those it has. A piece that was claimed open and ends yields, and
    links, to who holds from there; another keeps the link of the end it has (`links`), or has none."""
    left = displaced(lane, memory, days)
    own = {day for day, cell in enumerate(lane) if cell is not None and cell.memory == memory}
    for start, end in runs(own | set(days)):
        later = left[end] if is_open and end - 1 in days and end <= LAST else None
        link = later.memory if later is not None else links.get(end)
        left[start:end] = [Cell(memory, text, link)] * (end - start)
    return tuple(left)


class Model:
    """What an account believes, and ever believed."""

    def __init__(self) -> None:
        self.states: list[State] = [{}]
        self.receipts: list[Receipt] = [Receipt(frozenset(), frozenset())]
        self.homes: dict[str, Home] = {}
        self.erased: dict[str, int] = {}
        self.turns: set[tuple[str, str]] = set()

    @property
    def newest(self) -> int:
        return len(self.states) - 1

    def commit(self, outcome: Outcome) -> None:
        """Makes the outcome's state the next one; an erased memory leaves every state there ever was."""
        assert outcome.state is not None
        before, after = (frozenset(all_pieces(state)) for state in (self.states[-1], outcome.state))
        self.receipts.append(Receipt(after - before, before - after))
        self.states.append(outcome.state)
        if outcome.turn is not None:
            self.turns.add(outcome.turn)
        if outcome.home is not None:
            self.homes[outcome.memory] = outcome.home
        elif outcome.status == "erased":
            self.erased[outcome.memory] = self.newest
            self.receipts[-1] = Receipt(frozenset(), frozenset({Piece(outcome.memory, "", None, 0, None)}))
            for state in self.states:
                _forget(state, outcome.memory)

    def touching(self, memory: str) -> list[int]:
        """The transactions that opened or closed something of a memory."""
        return [number for number, receipt in enumerate(self.receipts) if memory in receipt.memories]

    def pieces_of(self, memory: str, number: int | None = None) -> list[Piece]:
        """What is believed of a memory at a transaction."""
        state = self.states[-1 if number is None else number]
        lane = state.get(self.homes[memory].lane, EMPTY) if memory in self.homes else EMPTY
        return [piece for piece in pieces(lane) if piece.memory == memory]

    def cardinality(self, slot: Slot) -> str | None:
        """Fixed by the slot's first memory, as long as any is left that was not erased."""
        living = [home for memory, home in self.homes.items() if home.slot == slot and memory not in self.erased]
        return living[0].cardinality if living else None

    def missing(self, memory: str) -> Outcome | None:
        """Why a verb cannot be played on the memory, if so."""
        if memory in self.erased:
            return refused("memory_erased")
        if memory not in self.homes:
            return refused("not_found")
        return None if self.pieces_of(memory) else refused("not_believed")

    def assert_(
        self,
        memory: str,
        tenant: str,
        slot: Slot | None,
        cardinality: str | None,
        text: str,
        start: int,
        end: int | None,
    ) -> Outcome:
        """A new memory takes its days; one of its slot that says the same over all of them makes it a duplicate."""
        fixed = self.cardinality(slot) if slot else None
        reasons = ["invalid_request"] if fixed and cardinality not in (None, fixed) else []
        if reasons := reasons + (["empty_interval"] if end is not None and end <= start else []):
            return refused(*reasons)
        kind = fixed or cardinality or "one"
        lane = slot if slot and kind == "one" else memory
        held = self.states[-1].get(lane, EMPTY)
        days = claimed(held, memory, start, end)
        for twin, home in self.homes.items():
            has = {day for piece in self.pieces_of(twin) if piece.text == text for day in piece.days}
            if (home.tenant, home.slot) == (tenant, slot) and has.issuperset(days):
                return Outcome("duplicate", memory=twin)
        after = settled(held, memory, text, days, is_open=end is None, links={})
        return Outcome("saved", self._with(lane, after), memory=memory, home=Home(tenant, slot, kind, lane))

    def supersede(self, memory: str, by: str | None, end: int | None, now: int) -> Outcome:
        """Cuts every piece at the boundary; with a successor, the last piece left names it."""
        absent = [gone for id_ in (memory, by or memory) if (gone := self.missing(id_))]
        reasons = [code for gone in absent for code in gone.refusals]
        reasons += (
            ["invalid_request"]
            if by == memory or (by is None and end is None) or self._are_strangers(memory, by)
            else []
        )
        own, other = self.pieces_of(memory), self.pieces_of(by or memory)
        boundary = now if end is None else end
        if own and other and end is None and other[0].start > own[0].start:
            boundary = other[0].start
        reasons += ["empty_interval"] if end is not None and own and end <= own[0].start else []
        if by is None:
            reasons += ["already_ended"] if own and own[-1].days[-1] < boundary else []
        else:
            reasons += ["invalid_request"] if self._leads_to(by, memory) else []
            reasons += ["already_superseded"] if own and own[-1].link and self.pieces_of(own[-1].link) else []
        if reasons:
            return refused(*reasons)
        lane = self.states[-1][self.homes[memory].lane]
        cut = [None if cell and cell.memory == memory and day >= boundary else cell for day, cell in enumerate(lane)]
        left = [piece for piece in pieces(tuple(cut)) if piece.memory == memory]
        if by is not None and left:
            for day in left[-1].days:
                cut[day] = left[-1].cell._replace(link=by)
        return Outcome("superseded", self._with(self.homes[memory].lane, tuple(cut)))

    def correct(
        self, memory: str, text: str | None, start: int | None, end: int | None, which: int | None = None
    ) -> Outcome:
        """Says something else over all pieces, or holds over another interval, as if asserted there."""
        if gone := self.missing(memory):
            return gone
        own = self.pieces_of(memory)
        said = own[0].text if text is None else text
        lane = tuple(
            cell._replace(text=said) if cell and cell.memory == memory else cell
            for cell in self.states[-1][self.homes[memory].lane]
        )
        if start is not None or end != KEEP:
            if which is None and len(own) > 1:
                return refused("several_pieces")._replace(versions=tuple(own))
            old = own[which or 0]
            start, end = old.start if start is None else start, old.end if end == KEEP else end
            if end is not None and end <= start:
                return refused("empty_interval")
            links = {piece.end: piece.link for piece in own if piece.end is not None and piece != old}
            if old.end is not None and end == old.end:
                links[old.end] = old.link
            rest = tuple(None if day in old.days else cell for day, cell in enumerate(lane))
            days = claimed(rest, memory, start, end)
            lane = settled(rest, memory, said, days, is_open=end is None, links=links)
        state = self._with(self.homes[memory].lane, lane)
        return Outcome("unchanged") if state == self.states[-1] else Outcome("corrected", state)

    def retract(self, memory: str) -> Outcome:
        """Closes all pieces; what they held is held by nobody."""
        if gone := self.missing(memory):
            return gone
        return Outcome("retracted", self._without(self.states[-1], memory))

    def keep(self, tenant: str, turn: str) -> Outcome:
        """Keeps a turn, once; nothing is believed for it."""
        if (tenant, turn) in self.turns:
            return Outcome("unchanged")
        return Outcome("saved", dict(self.states[-1]), turn=(tenant, turn))

    def restore(self, number: int) -> Outcome:
        """Closes what the transaction opened, opens again what it closed, if all of that is as it left it."""
        receipt = self.receipts[number]
        if number in self.erased.values() or not receipt.memories:
            return refused("not_restorable")
        # Of an erased memory only the erasure is known.
        ways = {self.erased[memory] for memory in receipt.memories if memory in self.erased}
        living = receipt.memories - self.erased.keys()
        ways |= {later for later in range(number + 1, self.newest + 1) if self.receipts[later].memories & living}
        held = [piece for piece in all_pieces(self.states[-1]) if piece not in receipt.opened]
        state: dict[Slot | str, list[Cell | None]] = {key: list(EMPTY) for key in self.states[-1]}
        for piece in held + [piece for piece in receipt.closed if piece.memory in living]:
            lane = state.setdefault(self.homes[piece.memory].lane, list(EMPTY))
            taken = {cell.memory for cell in lane[piece.start : piece.days.stop] if cell is not None}
            ways |= {
                self._opened_by(other) for other in held if other.memory in taken and set(other.days) & set(piece.days)
            }
            lane[piece.start : piece.days.stop] = [piece.cell] * len(piece.days)
        if ways:
            return refused("in_the_way")._replace(in_the_way=frozenset(ways))
        return Outcome("restored", {key: tuple(lane) for key, lane in state.items()})

    def erase(self, memory: str) -> Outcome:
        """Takes the memory out of every state."""
        if (gone := self.missing(memory)) and "not_believed" not in gone.refusals:
            return gone
        return Outcome("erased", self._without(self.states[-1], memory), memory=memory)

    def _with(self, lane: Slot | str, cells: Lane) -> State:
        return {**self.states[-1], lane: cells}

    def _without(self, state: State, memory: str) -> State:
        left = dict(state)
        _forget(left, memory)
        return left

    def _are_strangers(self, memory: str, by: str | None) -> bool:
        """Whether they belong to two tenants."""
        return len({self.homes[id_].tenant for id_ in (memory, by) if id_ in self.homes}) == 2

    def _leads_to(self, memory: str, goal: str) -> bool:
        """Whether a memory's successors (each named by the last piece) come to another."""
        seen: set[str] = set()
        at: str | None = memory
        while at is not None and at not in seen:
            seen.add(at)
            own = self.pieces_of(at)
            at = own[-1].link if own else None
            if at == goal:
                return True
        return False

    def _opened_by(self, piece: Piece) -> int:
        return max(number for number, receipt in enumerate(self.receipts) if piece in receipt.opened)


def _forget(state: State, memory: str) -> None:
    for key, lane in state.items():
        if any(cell is not None and cell.memory == memory for cell in lane):
            state[key] = tuple(None if cell is not None and cell.memory == memory else cell for cell in lane)
