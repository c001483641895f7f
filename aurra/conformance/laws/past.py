"""The past is never rewritten."""

from aurra.conformance.expecting import expect
from aurra.conformance.law import law
from aurra.conformance.past import Past
from aurra.conformance.tenant import Tenant, day, refusal


@law("past-survives-changes-of-the-world")
async def changes_of_the_world(tenant: Tenant) -> None:
    """What was believed at a transaction is, for ever, what a read at it returns: asserting, superseding, ending and
    deleting change none of it."""
    past = Past(tenant)
    oslo = await past.after(tenant.city("Oslo", day(0)))
    await past.after(tenant.city("Rome", day(5)))
    await past.after(tenant.city("Bern", day(2), day(3)))
    tea = await past.after(tenant.fact("Kim drinks tea", day(0)))
    coffee = await past.after(tenant.fact("Kim drinks coffee", day(7)))
    await past.after(tenant.supersede(tea.id, superseded_by=coffee.id))
    await past.after(tenant.supersede(coffee.id, valid_to=day(9)))
    await past.after(tenant.city("Paris"))
    await past.after(tenant.delete(oslo.id))
    await past.expect_unchanged()


@law("past-survives-changes-of-the-record")
async def changes_of_the_record(tenant: Tenant) -> None:
    """Correcting, retracting and restoring change nothing of what a read at an earlier transaction returns."""
    past = Past(tenant)
    oslo = await past.after(tenant.city("Oslo", day(0)))
    rome = await past.after(tenant.city("Rome", day(5)))
    await past.after(tenant.correct(oslo.id, content="Bergen"))
    await past.after(tenant.correct(oslo.id, valid_from=day(1)))
    retracted = await past.after(tenant.retract(rome.id))
    restored = await past.after(tenant.restore(retracted.tx))
    await past.after(tenant.restore(restored.tx))
    await past.expect_unchanged()


@law("past-survives-erasing-of-others")
async def erasing_of_others(tenant: Tenant) -> None:
    """Erasing one memory changes nothing of what was ever said of another."""
    past = Past(tenant)
    await past.after(tenant.city("Oslo", day(0)))
    secret = await past.after(tenant.fact("Kim has a secret", day(0)))
    await past.after(tenant.city("Rome", day(5)))
    await past.after(tenant.supersede(secret.id, valid_to=day(3)))
    await tenant.erase(secret.id)
    await past.expect_unchanged(erased=secret.id)


@law("later-closings-are-unknown-before")
async def later_closings(tenant: Tenant) -> None:
    """Read at an earlier transaction, a memory shows neither an end nor a successor that were learned later."""
    oslo = await tenant.city("Oslo", day(0))
    rome = await tenant.city("Rome", day(5))
    then = (await tenant.get(oslo.id, transaction_as_of=oslo.tx))["memory"]
    for name in ("valid_to", "superseded_by", "transaction_time_end"):
        expect(then[name], None, f"`{name}` as known before the change")
    expect(then["transaction_time_start"], oslo.at, "believed since the instant of its transaction")
    now = (await tenant.get(oslo.id))["memory"]
    expect([now["valid_to"], now["superseded_by"]], [day(5), rome.id], "end and successor as known after the change")


@law("unborn-memory-is-not-found")
async def unborn(tenant: Tenant) -> None:
    """At a transaction before its first, a memory does not exist: by id it is 404, and no list holds it."""
    before = await tenant.city("Oslo", day(0))
    born = await tenant.fact("Kim drinks tea", day(0))
    await refusal(tenant.get(born.id, transaction_as_of=before.tx), 404, "a memory before its first transaction")
    expect([entry["id"] for entry in await tenant.state(before.tx)], [before.id], "the list before it was asserted")


@law("unbelieved-memory-is-found-by-id")
async def unbelieved(tenant: Tenant) -> None:
    """A memory of which nothing is believed is in no list, and is found by id with no piece, and at the transactions
    that believed it."""
    oslo = await tenant.city("Oslo", day(0))
    gone = await tenant.delete(oslo.id)
    expect(await tenant.believed(), [], "what is believed after the only memory was taken back")
    found = await tenant.get(oslo.id)
    expect(found["pieces"], [], "the pieces of a memory that is not believed")
    expect(found["memory"]["decision"], "Oslo", "what it said is still found by id")
    expect(found["memory"]["transaction_time_end"], gone.at, "believed until the instant of the transaction")
    expect([entry["id"] for entry in await tenant.state(oslo.tx)], [oslo.id], "the list at an earlier transaction")
