"""Correct: the record was wrong."""

from aurra.conformance.expecting import expect
from aurra.conformance.law import law
from aurra.conformance.laws.asserting import spans
from aurra.conformance.tenant import Tenant, day, refusal


@law("correct-content-keeps-everything-else")
async def content(tenant: Tenant) -> None:
    """Corrected content takes the place of the old over all pieces of the memory: same id, same intervals, same
    links. Earlier transactions still say what was said."""
    gap = await tenant.city("Rome", day(2), day(4))
    oslo = await tenant.city("Oslo", day(0))
    before = await tenant.pieces(oslo.id)
    done = await tenant.correct(oslo.id, content="Bergen")
    expect([done.body["status"], done.id], ["corrected", oslo.id], "the answer")
    expect(await tenant.pieces(oslo.id), before, "the pieces of a memory whose content was corrected")
    expect(spans(done.opened), [piece[:2] for piece in before], "what the receipt says was opened")
    expect(spans(done.closed), [piece[:2] for piece in before], "what the receipt says was closed")
    for at, wanted in ((day(1), "Bergen"), (day(3), "Rome"), (day(5), "Bergen")):
        expect(await tenant.holds(at), [wanted], f"the slot at {at}")
    expect(await tenant.holds(day(1), oslo.tx), ["Oslo"], "the slot as believed before")
    expect(await tenant.pieces(gap.id), [(day(2), day(4), None)], "another value of the slot")


@law("correct-interval-keeps-what-is-absent")
async def interval(tenant: Tenant) -> None:
    """Of an interval that is corrected, what is absent stays and null is open. The link stays unless the end
    moves."""
    rome = await tenant.city("Rome", day(5))
    oslo = await tenant.city("Oslo", day(0))
    await tenant.correct(oslo.id, valid_from=day(1))
    expect(await tenant.pieces(oslo.id), [(day(1), day(5), rome.id)], "another start; the end and its link stay")
    await tenant.correct(oslo.id, valid_to=day(3))
    expect(await tenant.pieces(oslo.id), [(day(1), day(3), None)], "another end; its link is dropped")
    expect(await tenant.holds(day(4)), [], "the slot where nothing was put")
    tea = await tenant.fact("Kim drinks tea", day(0), day(5))
    await tenant.correct(tea.id, valid_to=None)
    expect(await tenant.pieces(tea.id), [(day(0), None, None)], "an end of null is open")
    await tenant.correct(tea.id, content="Kim drinks coffee", valid_from=day(2), valid_to=day(3))
    found = await tenant.get(tea.id)
    said = [found["memory"][name] for name in ("decision", "valid_from", "valid_to")]
    expect(said, ["Kim drinks coffee", day(2), day(3)], "content and interval corrected at once")


@law("corrected-interval-displaces")
async def displaces(tenant: Tenant) -> None:
    """An interval that is corrected displaces others of its slot as an assert does."""
    rome = await tenant.city("Rome", day(5))
    oslo = await tenant.city("Oslo", day(0))
    done = await tenant.correct(oslo.id, valid_to=day(8))
    expect([piece[:2] for piece in await tenant.pieces(oslo.id)], [(day(0), day(8))], "the corrected memory")
    expect(await tenant.pieces(rome.id), [(day(8), None, None)], "what is left of the value that was displaced")
    expect(await tenant.holds(day(6)), ["Oslo"], "the slot afterwards")
    expect(await tenant.holds(day(6), oslo.tx), ["Rome"], "the slot as believed before")
    await tenant.restore(done.tx)
    expect(await tenant.holds(day(6)), ["Rome"], "the slot after the correction was undone")


@law("correct-of-several-pieces-names-one")
async def several(tenant: Tenant) -> None:
    """Of a memory in several pieces, an interval is corrected by naming the piece; otherwise 409, and nothing
    changes."""
    await tenant.city("Rome", day(2), day(4))
    oslo = await tenant.city("Oslo", day(0))
    before = await tenant.believed()
    await refusal(tenant.correct(oslo.id, valid_to=day(1)), 409, "one of several pieces, not named", "several_pieces")
    expect(await tenant.believed(), before, "what is believed after the refusal")
    first = (await tenant.get(oslo.id))["pieces"][0]
    await tenant.correct(oslo.id, valid_to=day(1), version=first["version"])
    expect([piece[:2] for piece in await tenant.pieces(oslo.id)], [(day(0), day(1)), (day(4), None)], "its pieces")


@law("correct-without-a-change-takes-no-number")
async def unchanged(tenant: Tenant) -> None:
    """Correcting to what is there already is `unchanged`: it takes no number and changes nothing."""
    oslo = await tenant.city("Oslo", day(0), day(5))
    for change in ({"content": "Oslo"}, {"valid_from": day(0)}, {"valid_from": day(0), "valid_to": day(5)}):
        done = await tenant.correct(oslo.id, **change)
        expect(done.body["status"], "unchanged", f"the status of a correction to the same ({', '.join(change)})")
        expect([done.opened, done.closed], [[], []], "its receipt")
    expect(await tenant.pieces(oslo.id), [(day(0), day(5), None)], "the piece afterwards")
    entries = await tenant.transactions()
    expect([entry["id"] for entry in entries], [oslo.tx], "transactions of the tenant: the assert, and no other")


@law("correct-refuses-what-cannot-be")
async def refusals(tenant: Tenant) -> None:
    """A correction needs a reason (422), an interval that is not empty (400), and a memory that is believed (409)."""
    oslo = await tenant.city("Oslo", day(0), day(5))
    before = await tenant.believed()
    await refusal(tenant.correct(oslo.id, reason=None, content="Rome"), 422, "a correction without a reason")
    await refusal(tenant.correct(oslo.id, valid_from=day(5)), 400, "a correction to an empty interval")
    await refusal(tenant.correct(oslo.id, valid_to=day(-1)), 400, "a correction to a reversed interval")
    expect(await tenant.believed(), before, "what is believed after the refusals")
    await tenant.delete(oslo.id)
    await refusal(tenant.correct(oslo.id, content="Rome"), 409, "a correction of what is not believed", "not_believed")
