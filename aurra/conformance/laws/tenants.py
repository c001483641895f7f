"""Tenants do not see one another."""

from aurra.conformance.expecting import expect
from aurra.conformance.law import law
from aurra.conformance.tenant import SLOT, Tenant, day


@law("tenants-do-not-see-one-another")
async def apart(tenant: Tenant) -> None:
    """What is written, changed and taken back in one tenant changes no answer in another, in no slot of the same name
    and in no search."""
    other = tenant.another()
    oslo = await tenant.city("Oslo", day(0))
    await tenant.fact("Kim drinks tea", day(0))
    before = await tenant.believed()
    rome = await other.city("Rome", day(2))
    expect(await other.holds(day(3)), ["Rome"], "the slot of the other tenant")
    expect(await tenant.holds(day(3)), ["Oslo"], "the slot of the same name here")
    found = await other.search("Kim drinks tea", limit=50)
    expect([entry["id"] for entry in found["memories"]], [rome.id], "what a search finds in the other tenant")
    expect({entry["tenant_id"] for entry in await other.listed()}, {other.name}, "whose entries its list holds")
    await other.supersede(rome.id, valid_to=day(5))
    await other.delete(rome.id)
    expect(await tenant.believed(), before, "what is believed here after all that")
    timeline = await tenant.timeline(oslo.id)
    expect([entry["id"] for entry in timeline["timeline"]], [oslo.id], "the timeline here")


@law("no-tenant-is-the-default-tenant-only")
async def default_tenant(tenant: Tenant) -> None:
    """A read without a tenant is of the default tenant, never of all."""
    oslo = await tenant.city("Oslo", day(0))
    page = await tenant.page(tenant_id=None, transaction_as_of=oslo.tx, **SLOT)
    strange = [entry["tenant_id"] for entry in page["memories"] if entry["tenant_id"] is not None]
    expect(strange, [], "tenants in a list that names none")
    expect(oslo.id in {entry["id"] for entry in page["memories"]}, False, "a tenant's memory in the default tenant")


@law("same-text-in-two-tenants-is-two-facts")
async def no_shared_duplicates(tenant: Tenant) -> None:
    """The same text in another tenant is no duplicate."""
    here = await tenant.fact("Kim drinks tea", day(0))
    there = await tenant.another().fact("Kim drinks tea", day(0))
    expect(here.id == there.id, False, "one memory for two tenants")
