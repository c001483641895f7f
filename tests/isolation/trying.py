"""Two askers alike in all: one names what another owner has, the other names nothing, and both are told the same."""

import datetime as dt
import re
import secrets
from typing import Any
from uuid import UUID

import msgspec

from aurra.ops import OPERATIONS, Operation
from tests.conftest import HandClock
from tests.isolation import cases
from tests.isolation.asking import Answer, Face, Reader
from tests.isolation.planting import LETTERS, Planted

Json = dict[str, Any]
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class Case(msgspec.Struct, frozen=True):
    """One request that names something of another's; `place` None tries the Idempotency-Key."""

    op: Operation
    place: cases.Place | None
    kind: str
    values: tuple[tuple[cases.Place, Any], ...]
    key: str | None = None

    def __str__(self) -> str:
        return f"{self.op.name} {self.place or 'Idempotency-Key'} = {[value for _, value in self.values] or self.key!r}"


class Strangers:
    """To each name that another owner has, one of the same form that nobody has; always the same."""

    def __init__(self, planted: Planted, above: int) -> None:
        self._known = planted.word
        # Differs at its end, so that it comes at the same place in every order of names.
        self._word = planted.word[:-5] + "".join(secrets.choice(LETTERS) for _ in range(4)) + "x"
        assert self._word != self._known
        self._above = above
        self._made: dict[Any, Any] = {}

    def of(self, kind: str, value: Any) -> Any:
        """Its counterpart."""
        if (kind, value) not in self._made:
            self._made[kind, value] = self._make(kind, value)
        return self._made[kind, value]

    def _make(self, kind: str, value: Any) -> Any:
        if isinstance(value, int):
            return value + self._above
        if kind == "cursor":
            middle = len(value) // 2
            return value[:middle] + "".join(secrets.choice(ALPHABET) for _ in value[middle:])
        if value.isdigit():
            return str(int(value) + self._above)
        try:
            other = UUID(int=UUID(value).int ^ secrets.randbits(44) or 1)
        except ValueError:
            return re.sub(self._known, self._word_like, value, flags=re.IGNORECASE)
        return _written_as(value, other)

    def _word_like(self, match: re.Match[str]) -> str:
        as_is = {self._known.upper(): self._word.upper(), self._known.title(): self._word.title()}
        return as_is.get(match[0], self._word)


FORMS = ("{}", "{{{}}}", "urn:uuid:{}")


def _written_as(value: str, other: UUID) -> str:
    """The other UUID, written as the first is."""
    text = str(other) if "-" in value else other.hex
    text = text.upper() if value.upper() == value and value.lower() != value else text
    if value.startswith("{"):
        return f"{{{text}}}"
    return f"urn:uuid:{text}" if value.startswith("urn:") else text


def forms(value: Any) -> list[Any]:
    """Ways to write one name that the service may take for the same."""
    if not isinstance(value, str):
        return [value, str(value)]
    try:
        id_ = UUID(value)
    except ValueError:
        return [value, value.upper(), f" {value} "]
    return [value, str(id_).upper(), id_.hex, f"{{{id_}}}", f"urn:uuid:{id_}"]


def cases_of(foreign: Planted, *, names: int, with_forms: bool = False, pairs: bool = False) -> list[Case]:
    """All cases: each field of each operation, so many names of its kind; each idempotency key. With `pairs`, also two
    fields at once."""
    found: list[Case] = []
    for op in OPERATIONS.values():
        fields = cases.fields_of(op)
        for field in fields:
            some = foreign.values[field.kind][:names]
            for value in [form for one in some for form in (forms(one) if with_forms else [one])]:
                found.append(Case(op, field.place, field.kind, ((field.place, value),)))
        if pairs:
            for one, other in zip(fields, fields[1:] + fields[:1], strict=True):
                values = ((one.place, foreign.one(one.kind)), (other.place, foreign.one(other.kind)))
                found.append(Case(op, one.place, one.kind, values))
        if op.is_idempotent:
            found += [Case(op, None, "key", (), key=key) for key in foreign.values[f"key of {op.name}"][:names]]
    return found


class Asker(msgspec.Struct):
    """One of the two: how it asks, what it owns, and how its answers are read."""

    faces: dict[str, Face]
    own: Planted
    reader: Reader


class Trial:
    """Plays cases with both askers, each at the same instant."""

    def __init__(
        self, clock: HandClock, prying: Asker, guessing: Asker, foreign: Planted, *, moments_are_shared: bool = False
    ) -> None:
        self._clock = clock
        self._prying, self._guessing = prying, guessing
        self._foreign = foreign
        self._strangers = Strangers(foreign, above=900_000)
        self._moments_are_shared = moments_are_shared
        self._played = 0
        self._sent: dict[Any, int] = {}
        self._own_ids = {
            str(value) for kind in ("memory", "version", "receipt", "review") for value in foreign.values[kind]
        }

    @property
    def faces(self) -> list[str]:
        """By name."""
        return list(self._prying.faces)

    @property
    def requests(self) -> int:
        """How many were sent."""
        return 2 * self._played

    async def play(self, case: Case, face: str) -> str | None:
        """What the one who pries was told that the other was not; None where there is nothing."""
        self._played += 1
        assert self._clock.at is not None
        self._clock.at += dt.timedelta(seconds=1)
        pry, guess = self._names(case)
        told = await self._ask(self._prying, face, case, pry)
        guessed = await self._ask(self._guessing, face, case, guess)
        if told.status >= 500:
            return f"{face}: {case}: {told.body}"
        left = self._prying.reader.without_sent(told)
        if self._foreign.word in left.lower() or any(id_ in left for id_ in self._own_ids):
            return f"{face}: {case} shows what is another's: {left}"
        one, other = self._prying.reader.plain(told), self._guessing.reader.plain(guessed)
        return None if one == other else f"{face}: {case}\nof another's: {one}\nof nobody's:  {other}"

    def _names(self, case: Case) -> tuple[list[Any], list[Any]]:
        """What is sent by either, in the order of the case."""
        pry = [case.key] if case.place is None else [value for _, value in case.values]
        kinds = ["key"] if case.place is None else self._kinds(case)
        guess = [
            value if kind == "moment" and self._moments_are_shared else self._strangers.of(kind, value)
            for kind, value in zip(kinds, pry, strict=True)
        ]
        for one, other in zip(pry, guess, strict=True):
            name = f"sent {self._sent.setdefault(one, len(self._sent))}"
            self._prying.reader.sent(one, name)
            self._guessing.reader.sent(other, name)
        return pry, guess

    def _kinds(self, case: Case) -> list[str]:
        kind_of = {field.place: field.kind for field in cases.fields_of(case.op)}
        return [kind_of[place] for place, _ in case.values]

    async def _ask(self, asker: Asker, face: str, case: Case, names: list[Any]) -> Answer:
        fields = cases.request_of(case.op, asker.own.values)
        key = names[0] if case.place is None else None
        if case.place is None and "dry_run" in case.op.request.__struct_fields__ and case.op.name not in cases.STORES:
            fields["dry_run"] = True
        for (place, _), value in zip(case.values, names, strict=False):
            fields = cases.with_value(fields, place, [value] if cases.is_list(case.op, place) else value)
        return await asker.faces[face].ask(case.op, fields, key, f"request-{self._played}")
