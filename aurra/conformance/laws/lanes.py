"""A lane never holds two beliefs for one instant."""

import asyncio
import itertools
import random

from aurra.conformance.client import Json
from aurra.conformance.expecting import expect
from aurra.conformance.law import law
from aurra.conformance.plain_table import DAYS, PlainTable, random_interval, read, seeded
from aurra.conformance.tenant import FAR, SLOT, Done, Tenant, covers, day, moved, refusal

_ASSERTS = 20
_SAMPLES = 40
_WAIT_SECONDS = 1.5


@law("one-value-an-instant")
async def one_value(tenant: Tenant) -> None:
    """At one instant, as believed at one transaction, a slot holds at most one value; what is read at a point of the
    plane is the piece that covers it."""
    chance = seeded(1)
    states: dict[int, list[Json]] = {}
    for done in await _random_asserts(tenant, chance):
        states[done.tx] = sorted(await tenant.state(done.tx), key=lambda piece: piece["valid_from"])
        for left, right in itertools.pairwise(states[done.tx]):
            end = left["valid_to"]
            what = f"pieces of the slot at transaction {done.tx} lie apart: one ends at {end}"
            expect(
                end is not None and end <= right["valid_from"], True, f"{what}, the next begins {right['valid_from']}"
            )
    for _ in range(_SAMPLES):
        tx, at = chance.choice(list(states)), day(chance.randrange(2 * DAYS) / 2)
        wanted = [piece["decision"] for piece in states[tx] if covers(piece, at)]
        expect(await tenant.holds(at, tx), wanted, f"the slot at {at}, as believed at transaction {tx}")


@law("asserts-equal-a-plain-table")
async def plain_table(tenant: Tenant) -> None:
    """Whatever is asserted, with an end or without, after each transaction the slot says what a plain table with one
    cell a day says."""
    chance = seeded(2)
    table = PlainTable()
    for number in range(_ASSERTS):
        start, end = random_interval(chance)
        done = await tenant.city(f"value {number}", day(start), None if end is None else day(end))
        table.assert_(f"value {number}", start, end)
        cells = read(await tenant.state(done.tx))
        expect(cells, table.cells, f"the slot, day by day, after assert {number} over [{start}, {end})")


@law("pieces-of-one-memory-never-touch")
async def never_touch(tenant: Tenant) -> None:
    """The pieces of one memory are disjoint and do not touch."""
    done = await _random_asserts(tenant, seeded(3))
    for asserted in done[::3]:
        if await tenant.pieces(asserted.id):
            await tenant.delete(asserted.id)
    for asserted in done:
        for left, right in itertools.pairwise(await tenant.pieces(asserted.id)):
            expect(left[1] is not None and left[1] < right[0], True, f"a gap between the pieces {left} and {right}")


@law("half-open-intervals")
async def half_open(tenant: Tenant) -> None:
    """At `valid_from` it is true, at `valid_to` it is false."""
    await tenant.city("Oslo", day(1), day(3))
    for at, wanted in (
        (moved(day(1), microseconds=-1), []),
        (day(1), ["Oslo"]),
        (moved(day(3), microseconds=-1), ["Oslo"]),
        (day(3), []),
    ):
        expect(await tenant.holds(at), wanted, f"[{day(1)}, {day(3)}) read at {at}")
    await tenant.city("Rome", day(3), day(4))
    expect(await tenant.holds(day(3)), ["Rome"], "where one ends and the next begins")


@law("bounded-edit-changes-nothing-outside")
async def nothing_outside(tenant: Tenant) -> None:
    """An assert over [from, to) changes no answer outside of it."""
    await _random_asserts(tenant, seeded(4))
    before = read(await tenant.listed(include_superseded="true", **SLOT))
    await tenant.city("edit", day(4), day(7))
    after = read(await tenant.listed(include_superseded="true", **SLOT))
    expect(
        after, [*before[:4], "edit", "edit", "edit", *before[7:]], "the slot, day by day, after an edit of days 4 to 6"
    )


@law("order-of-arrival-does-not-matter")
async def order_of_arrival(tenant: Tenant) -> None:
    """Asserts over disjoint intervals give the same belief in any order, and so do open ones with distinct starts."""
    disjoint = [("Oslo", 2, 4), ("Rome", 6, 8), ("Bern", 4, 5)]
    opened = [("Oslo", 0, None), ("Rome", 3, None), ("Bern", 6, None)]
    for what, asserts in (("disjoint intervals", disjoint), ("open ends", opened)):
        said: list[list[tuple[str, ...]]] = []
        for order in (asserts, asserts[::-1], [asserts[1], asserts[2], asserts[0]]):
            place = tenant.another()
            for value, start, end in order:
                await place.city(value, day(start), None if end is None else day(end))
            pieces = await place.believed()
            said.append(sorted((piece["decision"], piece["valid_from"], str(piece["valid_to"])) for piece in pieces))
        expect(said[1:], [said[0], said[0]], f"asserts over {what}, in three orders")


@law("many-values-where-the-slot-says-so")
async def many_values(tenant: Tenant) -> None:
    """A slot of cardinality `many` holds several values at once; the cardinality is fixed by the slot's first
    assert."""
    many = {"subject": "kim", "attribute": "hobby", "cardinality": "many"}
    await tenant.add("chess", valid_from=day(0), **many)
    await tenant.add("tennis", valid_from=day(1), **many)
    page = await tenant.page(subject="kim", attribute="hobby")
    expect(sorted(entry["decision"] for entry in page["memories"]), ["chess", "tennis"], "values that hold at once")
    await refusal(tenant.write("go", **{**many, "cardinality": "one"}), 400, "another cardinality later")


@law("slots-are-known-by-their-comparable-name")
async def comparable_names(tenant: Tenant) -> None:
    """Subject and attribute compare trimmed and without regard to case, and are shown as first written; an attribute
    needs a subject."""
    await tenant.add("Oslo", subject="Kim", attribute="City", valid_from=day(0))
    await tenant.add("Rome", subject=" kIM ", attribute=" cITY", valid_from=day(2))
    page = await tenant.page(subject="KIM", attribute="city")
    said = [(entry["decision"], entry["subject"], entry["attribute"]) for entry in page["memories"]]
    expect(said, [("Rome", "Kim", "City")], "the one value of the slot, under the name first written")
    await refusal(tenant.write("Oslo", attribute="city"), 400, "an attribute without a subject")


@law("future-fact-starts-by-itself")
async def future_fact(tenant: Tenant) -> None:
    """A fact that starts later is invisible now and visible from its start on, with nothing done in between."""
    await tenant.city("Oslo", day(0))
    paris = await tenant.city("Paris", FAR)
    expect(await tenant.holds(), ["Oslo"], "the slot now, before the start")
    expect(await tenant.holds(moved(FAR, microseconds=-1)), ["Oslo"], "the slot an instant before the start")
    expect(await tenant.holds(FAR), ["Paris"], "the slot at the start")
    found = (await tenant.get(paris.id, as_of=day(1)))["memory"]
    expect(found["temporal"]["is_current"], False, "`is_current` before the start")
    found = (await tenant.get(paris.id, as_of=FAR))["memory"]
    expect(found["temporal"]["is_current"], True, "`is_current` at the start")


@law("future-fact-starts-while-one-waits")
async def starts_while_waiting(tenant: Tenant) -> None:
    """A list without times holds a fact from the instant on that it starts, by the service's own clock."""
    done = await tenant.city("Oslo", day(0))
    start = moved(done.at, seconds=_WAIT_SECONDS)
    await tenant.city("Rome", start)
    is_started = False
    while not is_started:
        page = await tenant.page(**SLOT)
        is_started = page["as_of"] >= start
        said = [entry["decision"] for entry in page["memories"]]
        expect(said, ["Rome" if is_started else "Oslo"], f"the slot at {page['as_of']}, where Rome starts {start}")
        await asyncio.sleep(_WAIT_SECONDS / 10)


async def _random_asserts(tenant: Tenant, chance: random.Random) -> list[Done]:
    done: list[Done] = []
    for number in range(_ASSERTS):
        start, end = random_interval(chance)
        done.append(await tenant.city(f"value {number}", day(start), None if end is None else day(end)))
    return done
