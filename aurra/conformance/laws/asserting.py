"""What an assert closes and opens."""

from aurra.conformance.client import Json
from aurra.conformance.expecting import expect
from aurra.conformance.law import law
from aurra.conformance.tenant import SLOT, Done, Tenant, day


def spans(versions: list[Json]) -> list[tuple[str, str | None]]:
    """From when to when each version holds."""
    return [(version["valid_from"], version["valid_to"]) for version in versions]


@law("assert-with-an-end-leaves-left-overs")
async def left_overs(tenant: Tenant) -> None:
    """An assert with an end takes all of its interval. The left-over before it names it as successor, the left-over
    after it keeps the link that was there."""
    rome = await tenant.city("Rome", day(9))
    oslo = await tenant.city("Oslo", day(0))
    bern = await tenant.city("Bern", day(3), day(5))
    wanted = [(day(0), day(3), bern.id), (day(5), day(9), rome.id)]
    expect(await tenant.pieces(oslo.id), wanted, "what is left of the value that was cut")
    expect([piece[:2] for piece in await tenant.pieces(bern.id)], [(day(3), day(5))], "the new value")
    expect(await tenant.pieces(rome.id), [(day(9), None, None)], "a value outside of the interval")
    expect(spans(bern.closed), [(day(0), day(9))], "what the receipt says was closed")
    expect(spans(bern.opened), [(day(0), day(3)), (day(3), day(5)), (day(5), day(9))], "what it says was opened")
    expect([version["op"] for version in bern.opened], ["leftover", "assert", "leftover"], "how each was opened")


@law("open-assert-yields-to-what-is-scheduled")
async def yields(tenant: Tenant) -> None:
    """An assert without an end ends where something that starts later begins, and names it as successor; what is
    scheduled stands."""
    paris = await tenant.city("Paris", day(300))
    oslo = await tenant.city("Oslo", day(0))
    expect(await tenant.pieces(oslo.id), [(day(0), day(300), paris.id)], "the new value")
    rome = await tenant.city("Rome", day(100))
    expect(await tenant.pieces(oslo.id), [(day(0), day(100), rome.id)], "the value before, cut by the next")
    expect(await tenant.pieces(rome.id), [(day(100), day(300), paris.id)], "the next value")
    expect(await tenant.pieces(paris.id), [(day(300), None, None)], "what was scheduled first")


@law("open-assert-is-born-in-several-pieces")
async def several_pieces(tenant: Tenant) -> None:
    """An assert without an end takes every instant that nothing starting later holds, in as many pieces as that
    needs, all of one memory."""
    rome = await tenant.city("Rome", day(2), day(4))
    bern = await tenant.city("Bern", day(6), day(8))
    oslo = await tenant.city("Oslo", day(0))
    wanted = [(day(0), day(2), rome.id), (day(4), day(6), bern.id), (day(8), None, None)]
    expect(await tenant.pieces(oslo.id), wanted, "the pieces of the new value")
    expect({version["memory_id"] for version in oslo.opened}, {oslo.id}, "memories that the receipt opened")
    entries = await tenant.listed(include_superseded="true", **SLOT)
    expect(sum(entry["id"] == oslo.id for entry in entries), 3, "entries of the memory in a list of all pieces")
    expect(len({entry["version"] for entry in entries}), 5, "distinct versions in that list")


@law("value-wholly-taken-names-its-successor")
async def wholly_taken(tenant: Tenant) -> None:
    """A piece that another assert takes wholly is closed, and names who replaced it."""
    bern = await tenant.city("Bern", day(3), day(5))
    rome = await tenant.city("Rome", day(2), day(6))
    found = await tenant.get(bern.id)
    expect(found["pieces"], [], "pieces of the value that was taken")
    expect(found["memory"]["superseded_by"], rome.id, "who replaced it")
    expect([version["superseded_by"] for version in rome.closed], [rome.id], "who replaced it, in the receipt")


@law("absent-start-is-the-instant-of-the-transaction")
async def absent_start(tenant: Tenant) -> None:
    """Without `valid_from` a fact holds from the instant of its transaction on."""
    oslo = await tenant.city("Oslo")
    expect(await tenant.pieces(oslo.id), [(oslo.at, None, None)], "a fact without `valid_from`")
    rome = await tenant.city("Rome")
    expect(await tenant.pieces(oslo.id), [(oslo.at, rome.at, rome.id)], "it ends with the transaction of the next")
    expect(await tenant.holds(oslo.at), ["Oslo"], "the slot at the first instant")
    expect(await tenant.holds(rome.at), ["Rome"], "the slot at the second instant")


@law("duplicates-change-nothing")
async def duplicates(tenant: Tenant) -> None:
    """The same value over an interval that holds it already is a duplicate: it names the memory that is there and
    stores nothing. The same value in another period is a new fact."""
    oslo: Done = await tenant.city("Oslo", day(0), day(5))
    before = await tenant.believed()
    again = await tenant.write("Oslo", valid_from=day(1), valid_to=day(3), **SLOT)
    expect([again["status"], again["memory_id"], again["saved_count"]], ["duplicate", oslo.id, 0], "the answer")
    expect([again["receipt"]["opened"], again["receipt"]["closed"]], [[], []], "its receipt")
    expect(await tenant.believed(), before, "what is believed after a duplicate")
    later = await tenant.city("Oslo", day(8), day(9))
    expect(later.id == oslo.id, False, "the same value in another period is the same memory")
    expect(await tenant.holds(day(8)), ["Oslo"], "the slot in the other period")
