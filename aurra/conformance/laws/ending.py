"""Supersede and end: the world changed."""

from aurra.conformance.expecting import expect
from aurra.conformance.law import law
from aurra.conformance.tenant import FAR, Tenant, day, refusal


@law("supersede-finds-its-boundary")
async def boundary(tenant: Tenant) -> None:
    """A superseded memory ends at `valid_to` where it is given; else at the replacement's start if that is later than
    its own; else at the instant of the transaction. The replacement is not altered."""
    new = await tenant.fact("Kim works at Initech", day(5))
    given, later, now = [await tenant.fact(f"Kim works at {name}", day(2)) for name in ("Acme", "Globex", "Hooli")]
    await tenant.supersede(given.id, superseded_by=new.id, valid_to=day(3))
    expect(await tenant.pieces(given.id), [(day(2), day(3), new.id)], "ended at `valid_to`")
    done = await tenant.supersede(later.id, superseded_by=new.id)
    expect(await tenant.pieces(later.id), [(day(2), day(5), new.id)], "ended at the replacement's start")
    expect([done.body["status"], done.body["valid_to"]], ["superseded", day(5)], "the answer")
    old = await tenant.fact("Kim works at Umbrella", day(0))
    done = await tenant.supersede(now.id, superseded_by=old.id)
    expect(await tenant.pieces(now.id), [(day(2), done.at, old.id)], "ended now, for the replacement starts before")
    expect(await tenant.pieces(new.id), [(day(5), None, None)], "the replacement")
    entry = (await tenant.get(later.id))["memory"]["temporal"]
    expect([entry["is_superseded"], entry["is_expired"], entry["is_current"]], [True, False, False], "its flags")


@law("supersede-before-the-start-closes-all")
async def before_the_start(tenant: Tenant) -> None:
    """A memory that has not begun, superseded now, is closed altogether, and names who replaced it."""
    planned = await tenant.fact("Kim will work at Acme", FAR)
    new = await tenant.fact("Kim stays at Globex", day(0))
    await tenant.supersede(planned.id, superseded_by=new.id)
    found = await tenant.get(planned.id)
    expect(found["pieces"], [], "pieces of a memory superseded before its start")
    expect(found["memory"]["superseded_by"], new.id, "who replaced it")


@law("supersede-refuses-what-cannot-be")
async def refusals(tenant: Tenant) -> None:
    """A memory is not superseded by itself, in a circle, by one of another tenant, at or before its start, or by
    nothing at no time: 400. One that has a believed successor: 409."""
    old = await tenant.fact("Kim works at Acme", day(0))
    new = await tenant.fact("Kim works at Globex", day(5))
    other = await tenant.fact("Kim works at Hooli", day(6))
    far = await tenant.another().fact("Kim works at Acme", day(5))
    await refusal(tenant.supersede(old.id), 400, "supersede with neither a successor nor an end")
    await refusal(tenant.supersede(old.id, superseded_by=old.id), 400, "a memory superseded by itself")
    await refusal(tenant.supersede(old.id, superseded_by=far.id), 400, "a memory superseded by one of another tenant")
    await refusal(tenant.supersede(old.id, valid_to=day(0)), 400, "an end at the start")
    await refusal(tenant.supersede(old.id, valid_to=day(-1)), 400, "an end before the start")
    before = await tenant.believed()
    await tenant.supersede(old.id, superseded_by=new.id)
    again = tenant.supersede(old.id, superseded_by=other.id)
    await refusal(again, 409, "a memory superseded once more", "already_superseded")
    await refusal(tenant.supersede(new.id, superseded_by=old.id), 400, "a circle of two")
    await tenant.supersede(new.id, superseded_by=other.id)
    await refusal(tenant.supersede(other.id, superseded_by=old.id), 400, "a circle of three")
    expect(len(await tenant.believed()), len(before), "how many pieces are believed after the refusals")


@law("end-shortens-and-never-lengthens")
async def end(tenant: Tenant) -> None:
    """Ending shortens a memory and keeps its link; where nothing reaches past the end that is given, it is refused:
    409."""
    old = await tenant.fact("Kim works at Acme", day(0))
    await tenant.supersede(old.id, valid_to=day(8))
    expect(await tenant.pieces(old.id), [(day(0), day(8), None)], "ended, without a successor")
    entry = (await tenant.get(old.id))["memory"]["temporal"]
    expect([entry["is_expired"], entry["is_superseded"]], [True, False], "its flags")
    for at in (day(8), day(9)):
        await refusal(
            tenant.supersede(old.id, valid_to=at), 409, f"an end at {at} of what ended before", "already_ended"
        )
    new = await tenant.fact("Kim works at Globex", day(5))
    await tenant.supersede(old.id, superseded_by=new.id)
    await tenant.supersede(old.id, valid_to=day(2))
    expect(await tenant.pieces(old.id), [(day(0), day(2), new.id)], "ended earlier, with the link it had")


@law("supersede-cuts-every-piece")
async def every_piece(tenant: Tenant) -> None:
    """All pieces of a memory are cut at the boundary: what begins later is closed, what straddles it is shortened,
    and the last piece left names the successor."""
    for at in (day(8), day(3), day(1)):
        place = tenant.another()
        old = await place.city("Oslo", day(0))
        gap = await place.city("Rome", day(2), day(4))
        new = await place.fact("Kim moved", day(0))
        await place.supersede(old.id, superseded_by=new.id, valid_to=at)
        wanted = {
            day(8): [(day(0), day(2), gap.id), (day(4), day(8), new.id)],
            day(3): [(day(0), day(2), new.id)],
            day(1): [(day(0), day(1), new.id)],
        }
        expect(await place.pieces(old.id), wanted[at], f"pieces over [0, 2) and [4, …), cut at {at}")
