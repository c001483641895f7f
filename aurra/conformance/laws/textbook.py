"""Four scenarios of the textbooks."""

from aurra.conformance.expecting import expect
from aurra.conformance.law import law
from aurra.conformance.tenant import Tenant, day

_JANUARY, _FEBRUARY, _MARCH, _APRIL, _MAY = day(0), day(31), day(60), day(91), day(121)


@law("what-february-believed-about-april")
async def february_about_april(tenant: Tenant) -> None:
    """What was believed earlier about a later time is still found after the belief about that time has changed."""
    february = await tenant.city("Oslo", _JANUARY)
    await tenant.city("Rome", _APRIL)
    expect(await tenant.holds(_MAY, february.tx), ["Oslo"], "what the first transaction believed about May")
    expect(await tenant.holds(_MAY), ["Rome"], "what is believed now about May")
    expect(await tenant.holds(_MARCH), ["Oslo"], "what is believed now about March")


@law("bounded-retroactive-edit-leaves-no-hole")
async def no_hole(tenant: Tenant) -> None:
    """A fact about a stretch of the past leaves what held before it and after it in place."""
    await tenant.city("Oslo", _JANUARY)
    await tenant.city("Rome", _FEBRUARY, _MARCH)
    for at, wanted in ((day(15), "Oslo"), (_FEBRUARY, "Rome"), (day(45), "Rome"), (_MARCH, "Oslo"), (None, "Oslo")):
        expect(await tenant.holds(at), [wanted], f"the slot at {at or 'now'}")


@law("correction-with-the-same-start")
async def same_start(tenant: Tenant) -> None:
    """A fact asserted again with the same start takes the place of the first, which stays visible where it was
    believed and names its successor."""
    oslo = await tenant.city("Oslo", _JANUARY)
    rome = await tenant.city("Rome", _JANUARY)
    expect(await tenant.holds(_MARCH), ["Rome"], "the slot afterwards")
    expect(await tenant.holds(_MARCH, oslo.tx), ["Oslo"], "the slot as believed before")
    found = await tenant.get(oslo.id)
    expect(found["pieces"], [], "pieces of the fact that was taken wholly")
    expect(found["memory"]["superseded_by"], rome.id, "who took its place")


@law("older-fact-arrives-late")
async def arrives_late(tenant: Tenant) -> None:
    """A fact without an end, learned late, holds until what starts later, and displaces nothing of it."""
    rome = await tenant.city("Rome", _MARCH)
    oslo = await tenant.city("Oslo", _JANUARY)
    for at, wanted in ((_JANUARY, "Oslo"), (_FEBRUARY, "Oslo"), (_MARCH, "Rome"), (_MAY, "Rome"), (None, "Rome")):
        expect(await tenant.holds(at), [wanted], f"the slot at {at or 'now'}")
    expect(await tenant.pieces(oslo.id), [(_JANUARY, _MARCH, rome.id)], "the late fact ends where the other starts")
    expect(await tenant.pieces(rome.id), [(_MARCH, None, None)], "the fact that was there is untouched")


@law("older-fact-with-an-end-arrives-late")
async def arrives_late_with_an_end(tenant: Tenant) -> None:
    """A fact with an end, learned late, holds for all of its interval, and what was there holds after it."""
    rome = await tenant.city("Rome", _MARCH)
    oslo = await tenant.city("Oslo", _JANUARY, _APRIL)
    for at, wanted in ((_FEBRUARY, "Oslo"), (_MARCH, "Oslo"), (_APRIL, "Rome"), (_MAY, "Rome"), (None, "Rome")):
        expect(await tenant.holds(at), [wanted], f"the slot at {at or 'now'}")
    expect([piece[:2] for piece in await tenant.pieces(oslo.id)], [(_JANUARY, _APRIL)], "the late fact")
    expect(await tenant.pieces(rome.id), [(_APRIL, None, None)], "what is left of the fact that was there")
    expect(await tenant.holds(_MARCH, rome.tx), ["Rome"], "the slot at March, as believed before")
