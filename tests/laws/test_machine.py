"""Random verbs, played on the service and on the reference model side by side; every read must be the model's."""

import asyncio
import contextlib
import datetime as dt
from collections import Counter
from collections.abc import Callable, Generator
from typing import Any, NamedTuple
from uuid import uuid4

import httpx2
import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from aurra.app import build_app, open_service
from aurra.keys import Terms, parse_scopes
from aurra.settings import read_settings
from aurra.store import migrate
from aurra.store.accounts import Directory, open_directory
from tests.conftest import HandClock
from tests.model import EMPTY, KEEP, LAST, Model, Outcome, Piece, Slot, all_pieces, pieces

VERBS = frozenset({"assert", "supersede", "end", "retract", "correct", "restore", "erase", "keep", "retract by POST"})
"""The verbs that are played."""
START = dt.datetime(2040, 1, 1, tzinfo=dt.UTC)
FIRST_DAY = 5
TENANTS = ("", "acme")
NOBODY = "00000000-0000-4000-8000-000000000000"
MEMORIES = "/agent/memories"
CONVERSATIONS = "/agent/conversations"
Json = dict[str, Any]


def show(day: int | None) -> str | None:
    """A day as the service writes it."""
    return None if day is None else (START + dt.timedelta(days=day)).isoformat(timespec="microseconds")


class Stage:
    """A service with a loop and a clock of its own, and accounts made on one connection."""

    SESSIONS = 6

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._open = contextlib.AsyncExitStack()
        self.clock = HandClock()
        self.clients: list[httpx2.AsyncClient] = []

    @contextlib.contextmanager
    def running(self) -> Generator["Stage"]:
        """Open inside, closed afterwards."""
        with self._runner:
            try:
                self._directory = self._runner.run(self._enter())
                yield self
            finally:
                self._runner.run(self._open.aclose())

    async def _enter(self) -> Directory:
        await migrate.migrate(self._dsn)
        service = await self._open.enter_async_context(
            open_service(read_settings({"AURRA_EMBEDDER": "none"}), self._dsn, self.clock)
        )
        app: Any = build_app(service)
        for _ in range(self.SESSIONS):
            client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://aurra")
            self.clients.append(await self._open.enter_async_context(client))
        return await self._open.enter_async_context(open_directory(self._dsn))

    def make_key(self) -> str:
        """The key of a fresh account."""

        async def make() -> str:
            row = await self._directory.create_account(f"machine-{uuid4()}", "enterprise")
            return (await self._directory.create_key(row, Terms(scopes=parse_scopes("full")))).raw

        return self._runner.run(make())

    def send(self, key: str, *requests: "Request", once: str | None = None) -> list[httpx2.Response]:
        """The answers to requests sent at once, each through a client of its own."""
        headers = {"Authorization": f"Bearer {key}"} | ({"Idempotency-Key": once} if once else {})

        async def gather() -> list[httpx2.Response]:
            sent = [
                client.request(
                    request.method,
                    request.path,
                    headers=headers,
                    params=None if request.method == "POST" else request.fields,
                    json=request.fields if request.method == "POST" else None,
                )
                for client, request in zip(self.clients, requests, strict=False)
            ]
            return list(await asyncio.gather(*sent))

        return self._runner.run(gather())


class Request(NamedTuple):
    method: str
    path: str
    fields: Json


class Call(msgspec.Struct, frozen=True):
    """A request, and what the model says of it, given the id of the memory that it makes."""

    request: Request
    expected: Callable[[str], Outcome]
    versions: list[str] | None = None
    """Versions of the memory's pieces before, if nothing else can come between."""


class Assert(NamedTuple):
    tenant: str
    subject: str
    attribute: str | None
    cardinality: str | None
    start: int | None
    length: int | None
    repeats: int | None


class Cut(NamedTuple):
    pick: int
    by: int | None
    end: int | None


class Correct(NamedTuple):
    pick: int
    content: str
    """`new`, `same`, or `` for none."""
    start: int | None
    end: int | None
    which: int | None


class Retract(NamedTuple):
    pick: int
    by_post: bool


class Restore(NamedTuple):
    pick: int


class Erase(NamedTuple):
    pick: int


class Keep(NamedTuple):
    tenant: str
    turn: str


Step = Assert | Cut | Correct | Retract | Restore | Erase | Keep


class Glance(NamedTuple):
    """A point of the plane, and how it is read."""

    form: str
    tenant: str
    number: int
    day: int
    pick: int


EDGE = 100
"""From here on a day means an instant at which a piece of the lane starts or ends: 100 the first, 101 the next …"""
days = st.one_of(st.integers(0, 10).map(lambda n: 6 * n), st.integers(0, LAST))
edges = st.one_of(days, st.integers(EDGE, EDGE + 7), st.integers(EDGE, EDGE + 7))
picks = st.integers(0, 40)
lengths = st.one_of(st.none(), st.integers(1, 12), st.integers(1, 30), st.sampled_from([0, -1, 6, 12]))


def asserts(starts: st.SearchStrategy[int | None]) -> st.SearchStrategy[Step]:
    """Asserts in a slot of one value (most), of many, of either, or in none; one in eight repeats a text."""
    city, cities = ("city", None), ("city", "one")
    places = [*[city] * 8, cities, ("hobby", "many"), (None, None), ("pet", "one"), ("pet", "many")]

    def in_place(
        place: tuple[str | None, str | None], fields: tuple[str, str, int | None, int | None, int | None]
    ) -> Step:
        tenant, subject, start, length, repeats = fields
        return Assert(tenant, subject, *place, start, length, repeats)

    tenants, subjects = st.sampled_from(("", "", "", "", "", "acme")), st.sampled_from(("kim", "kim", "kim", "lee"))
    repeats = st.one_of(*[st.none()] * 7, picks)
    return st.builds(in_place, st.sampled_from(places), st.tuples(tenants, subjects, starts, lengths, repeats))


supersedes = st.builds(Cut, picks, picks, st.none() | edges)
ends = st.builds(Cut, picks, st.none(), edges)
contents = st.builds(Correct, picks, st.sampled_from(["new", "new", "same"]), st.none(), st.just(KEEP), st.none())
intervals = st.builds(
    Correct,
    picks,
    st.sampled_from(["", "", "new"]),
    st.none() | edges,
    st.one_of(st.just(KEEP), st.none(), edges),
    st.none() | picks,
)
of_several = st.builds(
    Correct,
    picks,
    st.sampled_from(["", "", "new"]),
    st.none() | edges,
    st.one_of(st.just(KEEP), st.none(), edges, edges),
    st.integers(0, 3),
)
retracts = st.builds(Retract, picks, st.booleans())
restores = st.builds(Restore, st.integers(0, 12))
erases = st.builds(Erase, picks)
keeps = st.builds(Keep, st.sampled_from(TENANTS), st.sampled_from("abcdef"))
at_once: st.SearchStrategy[Step] = st.one_of(
    asserts(edges),
    asserts(edges),
    *([st.builds(Cut, picks, picks, edges)] if "supersede" in VERBS else []),
    *([ends] if "end" in VERBS else []),
    *([contents, intervals.map(lambda step: step._replace(which=None))] if "correct" in VERBS else []),
    *([retracts] if "retract" in VERBS else []),
    *([restores] if "restore" in VERBS else []),
    *([erases] if "erase" in VERBS else []),
    *([keeps] if "keep" in VERBS else []),
)
spots = st.lists(st.tuples(st.integers(8, 50), st.integers(1, 8) | lengths), min_size=1, max_size=4)
modes = st.sampled_from(["once", "once", "dry", "twice"])
glances = st.builds(
    Glance,
    st.sampled_from(["both", "both", "then", "world", "all", "memory"]),
    st.sampled_from(TENANTS),
    picks,
    days,
    picks,
)


class Plays(RuleBasedStateMachine):
    """Service and model, step by step; a day passes before each."""

    stage: Stage

    def __init__(self) -> None:
        super().__init__()
        self.key = self.stage.make_key()
        self.model = Model()
        self.day = FIRST_DAY
        self.texts = 0
        self.seen: dict[tuple[int, str], Json] = {}
        self.is_sound = True

    @initialize(start=st.integers(0, 7), spots=spots)
    def begin(self, start: int, spots: list[tuple[int, int | None]]) -> None:
        """A slot whose first memory mostly comes in pieces."""
        for day, length in [(start, None), *spots]:
            self._play(Assert("", "kim", "city", None, day, length, None), "once", Glance("then", "", 0, 0, 0))

    @rule(step=asserts(st.none() | edges), mode=modes, glance=glances)
    def assert_(self, step: Step, mode: str, glance: Glance) -> None:
        self._play(step, mode, glance)

    @precondition(lambda self: "supersede" in VERBS)
    @rule(step=supersedes, mode=modes, glance=glances)
    def supersede(self, step: Step, mode: str, glance: Glance) -> None:
        self._play(step, mode, glance)

    @precondition(lambda self: "end" in VERBS)
    @rule(step=ends, mode=modes, glance=glances)
    def end(self, step: Step, mode: str, glance: Glance) -> None:
        self._play(step, mode, glance)

    @precondition(lambda self: "correct" in VERBS)
    @rule(step=contents, mode=modes, glance=glances)
    def correct_content(self, step: Step, mode: str, glance: Glance) -> None:
        self._play(step, mode, glance)

    @precondition(lambda self: "correct" in VERBS)
    @rule(step=intervals, mode=modes, glance=glances)
    def correct_interval(self, step: Step, mode: str, glance: Glance) -> None:
        self._play(step, mode, glance)

    @precondition(lambda self: "correct" in VERBS)
    @rule(step=of_several, mode=modes, glance=glances)
    def correct_one_of_several(self, step: Step, mode: str, glance: Glance) -> None:
        self._play(step, mode, glance)

    @precondition(lambda self: "retract" in VERBS)
    @rule(step=retracts, mode=modes, glance=glances)
    def retract(self, step: Step, mode: str, glance: Glance) -> None:
        self._play(step, mode, glance)

    @precondition(lambda self: "restore" in VERBS)
    @rule(step=restores, mode=modes, glance=glances)
    def restore(self, step: Step, mode: str, glance: Glance) -> None:
        self._play(step, mode, glance)

    @precondition(lambda self: "erase" in VERBS)
    @rule(step=erases, mode=modes, glance=glances)
    def erase(self, step: Step, mode: str, glance: Glance) -> None:
        self._play(step, mode, glance)

    @precondition(lambda self: "keep" in VERBS)
    @rule(step=keeps, mode=modes, glance=glances)
    def keep(self, step: Step, mode: str, glance: Glance) -> None:
        self._play(step, mode, glance)

    @rule(steps=st.lists(at_once, min_size=2, max_size=Stage.SESSIONS), glance=glances)
    def at_once(self, steps: list[Step], glance: Glance) -> None:
        """Property 23: several sessions at once answer as the model does, played in the order of the numbers."""
        with self._step():
            calls = [msgspec.structs.replace(self._call(step), versions=None) for step in steps]
            answers = self.stage.send(self.key, *(call.request for call in calls))
            base = self.model.newest
            numbered = sorted(
                (answer.json()["transaction"]["id"], index)
                for index, answer in enumerate(answers)
                if _took_a_number(answer)
            )
            assert [number for number, _ in numbered] == list(range(base + 1, base + 1 + len(numbered)))
            # What took no number must be right somewhere between the others.
            why = {index: list[str]() for index, answer in enumerate(answers) if not _took_a_number(answer)}
            for index in [None, *(index for _, index in numbered)]:
                if index is not None:
                    self._check(calls[index], answers[index])
                for other, reasons in why.items():
                    reasons.append(self._why_wrong(calls[other], answers[other]))
            assert all("" in reasons for reasons in why.values()), (why, [call.request for call in calls])
            self._compare(glance)

    def teardown(self) -> None:
        """Property 2: state(k) now is state(k) as read when k was newest, erasures apart; and the model's."""
        if not self.is_sound:
            return
        instants: dict[int, str] = {}
        for number in range(self.model.newest + 1):
            for tenant in TENANTS:
                page = self._get(MEMORIES, tenant_id=tenant, transaction_as_of=number, limit=1000)
                self._require(page, tenant, all_pieces(self.model.states[number]))
                instants[number] = str(page["transaction"]["at"])
                if (number, tenant) in self.seen:
                    assert _undying(page, self.model) == _undying(self.seen[number, tenant], self.model), number
        assert list(instants.values()) == sorted(set(instants.values()))
        assert self._get("/agent/transactions/verify")["ok"]

    def _play(self, step: Step, mode: str, glance: Glance) -> None:
        """One verb; `dry` first plays it dry (property 18), `twice` repeats it under its idempotency key (14)."""
        with self._step():
            call = self._call(step)
            once = str(uuid4()) if mode == "twice" else None
            dry = self._dry(call.request) if mode == "dry" else None
            (answer,) = self.stage.send(self.key, call.request, once=once)
            born = self._check(call, answer)
            if dry is not None:
                assert _without_ids(dry, None) == _without_ids(answer, born)
            if once is not None:
                (again,) = self.stage.send(self.key, call.request, once=once)
                assert again.status_code == answer.status_code
                assert again.content == answer.content or again.json()["code"] == answer.json()["code"]
            self._compare(glance)

    @contextlib.contextmanager
    def _step(self) -> Generator[None]:
        self.day += 1
        self.stage.clock.at = START + dt.timedelta(days=self.day)
        self.is_sound = False
        yield
        self.is_sound = True

    def _get(self, path: str, **query: Any) -> Json:
        (answer,) = self.stage.send(self.key, Request("GET", path, query))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def _dry(self, request: Request) -> httpx2.Response:
        (answer,) = self.stage.send(self.key, request._replace(fields={**request.fields, "dry_run": True}))
        return answer

    # From a step to a request, and what the model says of it.

    def _call(self, step: Step) -> Call:
        match step:
            case Assert():
                return self._assert(step)
            case Cut():
                memory, by = self._pick(step.pick), None if step.by is None else self._pick(step.by)
                if by == memory and step.by != step.pick:
                    by = self._pick((step.by or 0) + 1)
                end, today = self._day(step.end, memory), self.day
                fields = _given(superseded_by=by, valid_to=show(end))
                request = Request("POST", f"/memories/{memory}/supersede", fields)
                return Call(request, lambda _: self.model.supersede(memory, by, end, today))
            case Correct():
                return self._correct(step)
            case Retract():
                memory = self._pick(step.pick)
                by_post = step.by_post and "retract by POST" in VERBS
                request = Request("POST" if by_post else "DELETE", f"/memories/{memory}" + by_post * "/retract", {})
                return Call(request, lambda _: self.model.retract(memory))
            case Restore():
                # Mostly a late one: nothing came after it yet.
                number = max(1, self.model.newest - step.pick)
                if self.model.newest == 0:
                    return self._assert(Assert("", "kim", "city", None, 0, None, None))
                request = Request("POST", f"/agent/transactions/{number}/restore", {})
                return Call(request, lambda _: self.model.restore(number))
            case Erase():
                memory = self._pick(step.pick)
                return Call(Request("POST", f"/memories/{memory}/erase", {}), lambda _: self.model.erase(memory))
            case Keep():
                turns = [{"role": "user", "content": f"said {step.turn}", "id": step.turn}]
                fields = {"session_id": "talk", "turns": turns, "extraction": "never"}
                request = Request("POST", CONVERSATIONS, fields | _given(tenant_id=step.tenant or None))
                return Call(request, lambda _: self.model.keep(step.tenant, step.turn))

    def _assert(self, step: Assert) -> Call:
        slot = (step.tenant, step.subject, step.attribute) if step.attribute else None
        tenant, cardinality, text = step.tenant, step.cardinality, self._new_text()
        if step.repeats is not None and (twin := self._pick(step.repeats)) in self.model.homes:
            said = self.model.pieces_of(twin)
            home = self.model.homes[twin]
            tenant, slot, cardinality = home.tenant, home.slot, None
            text = said[0].text if said else text
        start = self._day(step.start, slot)
        given, start = show(start), self.day if start is None else start
        end = None if step.length is None else min(LAST, start + step.length)
        fields = _given(
            content=text,
            tenant_id=tenant or None,
            subject=slot and slot[1],
            attribute=slot and slot[2],
            cardinality=cardinality if slot else None,
            valid_from=given,
            valid_to=show(end) if end is None or end >= 0 else "2039-12-31",
        )
        return Call(
            Request("POST", MEMORIES, fields),
            lambda born: self.model.assert_(born, tenant, slot, cardinality, text, start, end),
        )

    def _correct(self, step: Correct) -> Call:
        memory = self._pick(step.pick)
        if step.which is not None:
            split = self.split()
            memory = split[step.pick % len(split)] if split else memory
        believed = self.model.pieces_of(memory)
        same = believed[0].text if believed else "nothing"
        text = {"new": self._new_text(), "same": same}.get(step.content)
        start, end, which = self._day(step.start, memory), self._day(step.end, memory), None
        if text is None and start is None and end == KEEP:
            end = None
        has_interval = start is not None or end != KEEP
        versions: list[str] = []
        if believed:
            versions = [piece["version"] for piece in self._get(f"/memories/{memory}")["pieces"]]
        if step.which is not None and has_interval and believed:
            which = step.which % len(believed)
        fields = {"reason": "it was wrong"} | _given(
            content=text, valid_from=show(start), version=None if which is None else versions[which]
        )
        if end != KEEP:
            fields["valid_to"] = show(end)
        return Call(
            Request("POST", f"/memories/{memory}/correct", fields),
            lambda _: self.model.correct(memory, text, start, end, which),
            versions,
        )

    def split(self) -> list[str]:
        """The memories that have several pieces."""
        return [one for one in self.model.homes if len(self.model.pieces_of(one)) > 1]

    def _day(self, day: int | None, lane: Slot | str | None) -> int | None:
        """The day meant: from EDGE on, where a piece of the lane (or of the lane of the memory) starts or ends."""
        if day is None or day < EDGE:
            return day
        home = self.model.homes.get(lane) if isinstance(lane, str) else None
        there = pieces(self.model.states[-1].get(home.lane if home else lane or "", EMPTY))
        known = sorted({edge for piece in there for edge in (piece.start, piece.end) if edge is not None})
        return known[(day - EDGE) % len(known)] if known else day - EDGE

    def _pick(self, number: int) -> str:
        """A memory (small numbers: a late one) of those believed; from 30 on, of all there were; at 40, nobody."""
        known = [one for one in self.model.homes if number >= 30 or self.model.pieces_of(one)] or list(self.model.homes)
        return NOBODY if number == 40 or not known else known[-1 - number % len(known)]

    def _new_text(self) -> str:
        self.texts += 1
        return f"text {self.texts}"

    # Answers and reads against the model.

    def _check(self, call: Call, answer: httpx2.Response) -> str | None:
        """Fails unless the answer is the model's; then the model goes on. Returns the memory that was born."""
        why = self._why_wrong(call, answer)
        assert not why, (why, call.request, answer.text)
        if answer.status_code != 200:
            return None
        body = answer.json()
        outcome = call.expected(body.get("memory_id") or "")
        if outcome.state is not None:
            assert body["transaction"]["id"] == self.model.newest + 1
            self.model.commit(outcome)
            if outcome.status != "erased":
                self._require_receipt(body["receipt"], outcome)
        return outcome.memory if outcome.home else None

    def _why_wrong(self, call: Call, answer: httpx2.Response) -> str:
        """In what an answer differs from the model's; empty when it does not."""
        body = answer.json()
        outcome = call.expected(body.get("memory_id") or "")
        said = (answer.status_code, body.get("code"), body.get("status"))
        if outcome.refusals:
            if body.get("code") not in outcome.refusals:
                return f"expected one of {sorted(outcome.refusals)}, got {said}"
            if outcome.in_the_way != frozenset(body.get("in_the_way", ())):
                return f"expected in the way {sorted(outcome.in_the_way)}, got {body.get('in_the_way')}"
            versions = body.get("versions", [])
            if len(versions) != len(outcome.versions) or (versions and call.versions not in (None, versions)):
                return f"expected {len(outcome.versions)} versions, {call.versions}; got {versions}"
            return ""
        if answer.status_code != 200 or body["status"] != outcome.status:
            return f"expected {outcome.status}, got {said}"
        if outcome.state is None and body["transaction"]["id"] != self.model.newest:
            return f"took a number: {body['transaction']}, the newest is {self.model.newest}"
        if outcome.status == "duplicate" and body["memory_id"] != outcome.memory:
            return f"expected a duplicate of {outcome.memory}"
        return ""

    def _require_receipt(self, receipt: Json, outcome: Outcome) -> None:
        expected = self.model.receipts[-1]
        opened = [
            (one["memory_id"], one["valid_from"], one["valid_to"], one["superseded_by"]) for one in receipt["opened"]
        ]
        assert Counter(opened) == Counter(
            (piece.memory, show(piece.start), show(piece.end), piece.link) for piece in expected.opened
        )
        closed = [(one["memory_id"], one["valid_from"], one["valid_to"]) for one in receipt["closed"]]
        assert Counter(closed) == Counter(
            (piece.memory, show(piece.start), show(piece.end)) for piece in expected.closed
        )
        if outcome.home is not None:
            # An assert: a piece wholly taken is closed with the new memory as `replaced_by`.
            left = {(piece.memory, day) for piece in expected.opened for day in piece.days}
            for one in receipt["closed"]:
                start = (dt.datetime.fromisoformat(one["valid_from"]) - START).days
                (piece,) = [p for p in expected.closed if (p.memory, p.start) == (one["memory_id"], start)]
                whole = all((piece.memory, day) not in left for day in piece.days)
                assert one["superseded_by"] == (outcome.memory if whole else None)

    def _compare(self, glance: Glance) -> None:
        """What is believed now, and one random point of the plane, are the model's."""
        newest = self.model.newest
        for tenant in TENANTS:
            if (newest, tenant) not in self.seen:
                page = self._get(MEMORIES, tenant_id=tenant, transaction_as_of=newest, limit=1000)
                self._require(page, tenant, all_pieces(self.model.states[-1]))
                self.seen[newest, tenant] = page
        number = glance.number % (newest + 1)
        state, now = all_pieces(self.model.states[number]), all_pieces(self.model.states[-1])
        at = {"as_of": show(glance.day)}
        match glance.form:
            case "both":
                self._read(glance, [p for p in state if glance.day in p.days], transaction_as_of=number, **at)
            case "then":
                self._read(glance, state, transaction_as_of=number)
            case "world":
                self._read(glance, [piece for piece in now if glance.day in piece.days], **at)
            case "all":
                self._read(glance, now, include_superseded="true")
            case _:
                self._read_memory(self._pick(glance.pick), number)

    def _read(self, glance: Glance, expected: list[Piece], **query: Any) -> None:
        self._require(self._get(MEMORIES, tenant_id=glance.tenant, limit=1000, **query), glance.tenant, expected)

    def _read_memory(self, memory: str, number: int) -> None:
        """One memory by id: all its pieces at the transaction; before it was there, and once erased, 404."""
        (answer,) = self.stage.send(self.key, Request("GET", f"/memories/{memory}", {"transaction_as_of": number}))
        if memory in self.model.erased:
            assert answer.json()["code"] == "memory_erased"
        elif memory not in self.model.homes or number < self.model.touching(memory)[0]:
            assert answer.json()["code"] == "not_found"
        else:
            said = [
                (piece["valid_from"], piece["valid_to"], piece["superseded_by"]) for piece in answer.json()["pieces"]
            ]
            expected = self.model.pieces_of(memory, number)
            assert said == [(show(piece.start), show(piece.end), piece.link) for piece in expected]

    def _require(self, page: Json, tenant: str, expected: list[Piece]) -> None:
        """The page has exactly the tenant's pieces, newest first."""
        assert not page["has_more"]
        said = [
            (one["id"], one["decision"], one["valid_from"], one["valid_to"], one["superseded_by"])
            for one in page["memories"]
        ]
        assert sorted(said, key=str) == sorted(
            [
                (piece.memory, piece.text, show(piece.start), show(piece.end), piece.link)
                for piece in expected
                if self.model.homes[piece.memory].tenant == tenant
            ],
            key=str,
        )
        order = [(one["created_at"], one["id"], one["valid_from"]) for one in page["memories"]]
        assert order == sorted(order, reverse=True)


def _given(**fields: Any) -> Json:
    return {name: value for name, value in fields.items() if value is not None}


def _took_a_number(answer: httpx2.Response) -> bool:
    return answer.status_code == 200 and answer.json()["status"] not in ("duplicate", "unchanged")


def _undying(page: Json, model: Model) -> Json:
    """A page without freshness, and without what was erased."""
    kept = [one for one in page["memories"] if one["id"] not in model.erased]
    return {**page, "memories": [{name: value for name, value in one.items() if name != "freshness"} for one in kept]}


def _without_ids(answer: httpx2.Response, born: str | None) -> Json:
    """An answer as a dry run gives it: no transaction, no id of what is new."""
    body = answer.json()
    if answer.status_code != 200:
        return {name: body.get(name) for name in ("status", "code", "in_the_way", "versions")}
    gone = {"transaction", "dry_run", *(["memory_ids"] if body["status"] == "saved" else [])}
    body = {name: value for name, value in body.items() if name not in gone}
    for one in body.get("receipt", {"opened": []})["opened"]:
        one["version"] = None
    return _forget(body, born)


def _forget(value: Any, born: str | None) -> Any:
    """The value with None in place of the new memory's id."""
    if isinstance(value, dict):
        return {name: _forget(inner, born) for name, inner in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return [_forget(inner, born) for inner in value]  # pyright: ignore[reportUnknownVariableType]
    return None if value == born else value


def run(dsn: str, examples: int, steps: int) -> None:
    """Plays that many examples of so many steps."""
    with Stage(dsn).running() as running:

        class Here(Plays):
            stage = running

        run_state_machine_as_test(
            Here,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                derandomize=False,
                print_blob=True,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
            ),
        )


@pytest.mark.timeout(900)
def test_property_23_service_and_model_agree(dsn: str) -> None:
    """Properties 2, 3, 8, 14, 18, 23: random verbs, alone and at once, answer and read as the plain table says.

    (A failure is shrunk first, which takes minutes.)"""
    run(dsn, examples=25, steps=25)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_property_23_service_and_model_agree_for_long(dsn: str) -> None:
    """The same with a thousand examples of fifty steps."""
    run(dsn, examples=1000, steps=50)
