"""Retract and restore: the record was wrong, and right after all."""

from aurra.conformance.expecting import expect
from aurra.conformance.law import law
from aurra.conformance.tenant import Done, Tenant, day, refusal


@law("retract-hides-now-and-shows-before")
async def retract(tenant: Tenant) -> None:
    """A retracted memory is believed no longer, at any valid time; at earlier transactions it is what it was."""
    await tenant.city("Rome", day(2), day(4))
    oslo = await tenant.city("Oslo", day(0))
    done = await tenant.retract(oslo.id, reason="Kim never lived there")
    expect([done.body["status"], done.id], ["retracted", oslo.id], "the answer")
    expect([len(done.closed), len(done.opened)], [2, 0], "how many versions its receipt closes and opens")
    for at in (day(1), day(5), None):
        expect(await tenant.holds(at), [], f"the slot at {at or 'now'}")
    expect(await tenant.holds(day(3)), ["Rome"], "another value of the slot")
    expect(await tenant.holds(day(1), oslo.tx), ["Oslo"], "the slot as believed before")
    expect(await tenant.pieces(oslo.id), [], "the pieces of a retracted memory")


@law("retract-refills-no-hole")
async def no_refill(tenant: Tenant) -> None:
    """What a retracted memory had displaced does not come back by itself; restoring the retraction gives back what it
    took."""
    await tenant.city("Oslo", day(0))
    rome = await tenant.city("Rome", day(2), day(4))
    retracted = await tenant.delete(rome.id)
    for at, wanted in ((day(1), ["Oslo"]), (day(3), []), (day(5), ["Oslo"])):
        expect(await tenant.holds(at), wanted, f"the slot at {at} after the retraction")
    await tenant.restore(retracted.tx)
    expect(await tenant.holds(day(3)), ["Rome"], "the slot after the retraction was undone")


@law("nothing-is-done-to-what-is-not-believed")
async def not_believed(tenant: Tenant) -> None:
    """On a memory of which nothing is believed, every verb but erase is refused: 409 `not_believed`."""
    old = await tenant.fact("Kim works at Acme", day(0))
    new = await tenant.fact("Kim works at Globex", day(5))
    await tenant.delete(old.id)
    for what, call in (
        ("retract", lambda: tenant.retract(old.id)),
        ("delete", lambda: tenant.delete(old.id)),
        ("end", lambda: tenant.supersede(old.id, valid_to=day(3))),
        ("supersede", lambda: tenant.supersede(old.id, superseded_by=new.id)),
        ("correct", lambda: tenant.correct(old.id, content="Kim works at Hooli")),
    ):
        await refusal(call(), 409, f"{what} of what is not believed", "not_believed")


@law("restore-right-after-is-the-identity")
async def identity(tenant: Tenant) -> None:
    """Restoring a transaction right after it gives back what was believed: same ids, contents, intervals and
    links."""
    oslo = await tenant.city("Oslo", day(0))
    tea = await tenant.fact("Kim drinks tea", day(0))
    coffee = await tenant.fact("Kim drinks coffee", day(5))
    verbs = {
        "an open assert": lambda: tenant.city("Rome", day(6)),
        "an assert with an end": lambda: tenant.city("Bern", day(2), day(3)),
        "an assert over all": lambda: tenant.city("Paris", day(0)),
        "supersede": lambda: tenant.supersede(tea.id, superseded_by=coffee.id),
        "end": lambda: tenant.supersede(tea.id, valid_to=day(3)),
        "correct of content": lambda: tenant.correct(oslo.id, content="Bergen"),
        "correct of an interval": lambda: tenant.correct(oslo.id, valid_from=day(1)),
        "retract": lambda: tenant.retract(oslo.id),
    }
    before = await tenant.believed()
    for name, verb in verbs.items():
        done = await verb()
        restored = await tenant.restore(done.tx)
        expect(restored.body["restored"], done.tx, f"the number that was restored, after {name}")
        expect(await tenant.believed(), before, f"what is believed after {name} and its restoration")


@law("restore-can-be-restored")
async def restored_twice(tenant: Tenant) -> None:
    """A restoration is a change as others are, and can be undone."""
    await tenant.city("Oslo", day(0))
    rome = await tenant.city("Rome", day(5))
    after = await tenant.believed()
    undone = await tenant.restore(rome.tx)
    expect(await tenant.holds(day(6)), ["Oslo"], "the slot after the assert was undone")
    await tenant.restore(undone.tx)
    expect(await tenant.believed(), after, "what is believed after the restoration was undone")
    expect(await tenant.holds(day(6), undone.tx), ["Oslo"], "the slot as believed in between")


@law("restore-names-what-is-in-the-way")
async def in_the_way(tenant: Tenant) -> None:
    """A transaction is not restored over later ones that touched its memories, nor where another holds what would be
    given back: 409, which names the later transactions, and nothing changes."""
    oslo = await tenant.city("Oslo", day(0))
    rome = await tenant.city("Rome", day(5))
    ended = await tenant.supersede(rome.id, valid_to=day(9))
    retracted = await tenant.delete(oslo.id)
    refused = await refusal(tenant.restore(rome.tx), 409, "restoring over later changes of its memories")
    expect(sorted(refused["in_the_way"]), [ended.tx, retracted.tx], "the transactions that changed them")
    bern = await tenant.city("Bern", day(1), day(2))
    before = await tenant.believed()
    refused = await refusal(tenant.restore(retracted.tx), 409, "restoring what another holds by now")
    expect(refused["in_the_way"], [bern.tx], "the transaction of who holds it")
    expect(await tenant.believed(), before, "what is believed after the refusals")


@law("erase-cannot-be-restored")
async def no_way_back(tenant: Tenant) -> None:
    """Neither an erase, nor a transaction of a memory that was erased, can be restored: 409."""
    oslo: Done = await tenant.fact("Kim lives in Oslo", day(0))
    retracted = await tenant.delete(oslo.id)
    erased = await tenant.erase(oslo.id)
    await refusal(tenant.restore(erased.tx), 409, "restoring an erase")
    await refusal(tenant.restore(retracted.tx), 409, "restoring the retraction of what was erased")
    expect(await tenant.believed(), [], "what is believed afterwards")
