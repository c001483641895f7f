"""Erase: gone for good, at every transaction."""

from uuid import uuid4

from aurra.conformance.client import Json
from aurra.conformance.expecting import expect
from aurra.conformance.law import law
from aurra.conformance.tenant import Done, Tenant, day, refusal


def _canary() -> str:
    return f"canary {uuid4().hex}"


@law("erased-memory-is-gone-at-every-transaction")
async def gone(tenant: Tenant) -> None:
    """An erased memory is in no list at any transaction, in no search, and by its id every path is 404
    `memory_erased`."""
    secret = _canary()
    first = await tenant.fact(secret, day(0))
    last = await tenant.supersede(first.id, valid_to=day(9))
    erased = await tenant.erase(first.id)
    expect([erased.body["status"], erased.body["count"], erased.id], ["erased", 1, first.id], "the answer")
    for tx in (first.tx, last.tx, erased.tx):
        expect(await tenant.state(tx), [], f"the list at transaction {tx}")
        what = f"the erased memory at transaction {tx}"
        await refusal(tenant.get(first.id, transaction_as_of=tx), 404, what, "memory_erased")
    found = await tenant.search(secret, transaction_as_of=first.tx)
    expect(found["memories"], [], "what a search for its text finds")
    for what, call in (
        ("its timeline", lambda: tenant.timeline(first.id)),
        ("its audit", lambda: tenant.audit(first.id)),
        ("its versions", lambda: tenant.versions(first.id)),
        ("retracting it", lambda: tenant.retract(first.id)),
        ("erasing it again", lambda: tenant.erase(first.id)),
    ):
        await refusal(call(), 404, what, "memory_erased")


@law("erased-text-is-nowhere-in-the-ledger")
async def ledger(tenant: Tenant) -> None:
    """The ledger's entries of an erased memory say neither what it said nor why, and the chain still verifies."""
    secret, why = _canary(), _canary()
    first = await tenant.fact(secret, day(0), reason=why)
    corrected = await tenant.correct(first.id, content=f"{secret} again", reason=why)
    await tenant.erase(first.id)
    for tx in (first.tx, corrected.tx):
        entry = str(await tenant.transaction(tx))
        expect([secret in entry, why in entry], [False, False], f"text and reason in transaction {tx}")
    verified = await tenant.verify()
    expect(verified["ok"], True, "the chain after an erasure")


@law("erase-touches-nothing-else")
async def others(tenant: Tenant) -> None:
    """Other memories stay as they are, those of the same slot too; a link to the erased memory keeps its id."""
    oslo = await tenant.city("Oslo", day(0))
    rome = await tenant.city("Rome", day(5))
    tea = await tenant.fact("Kim drinks tea", day(0))
    before = await tenant.believed()
    await tenant.erase(rome.id)
    expect(await tenant.believed(), [entry for entry in before if entry["id"] != rome.id], "what is believed after it")
    expect(await tenant.pieces(oslo.id), [(day(0), day(5), rome.id)], "a piece that names the erased memory")
    expect(await tenant.pieces(tea.id), [(day(0), None, None)], "a memory of no slot")


@law("erase-gives-a-certificate")
async def certificate(tenant: Tenant) -> None:
    """The certificate counts what was erased, without anything that was said. A dry run gives the same and erases
    nothing; the ledger holds the erasure."""
    first = await tenant.fact(_canary(), day(0), reason=_canary())
    await tenant.supersede(first.id, valid_to=day(9))
    dry = await tenant.erase(first.id, dry_run=True)
    expect(dry.body["dry_run"], True, "`dry_run` in the answer of the dry run")
    expect(await tenant.pieces(first.id), [(day(0), day(9), None)], "the memory after a dry run")
    erased = await tenant.erase(first.id)
    counted = _without_hash(erased)
    expect([counted["memory_ids"], counted["versions"]], [[first.id], 2], "the memory and its versions")
    expect(first.tx in counted["reasons"], True, "the transaction whose reason was erased is named")
    expect(_without_hash(dry), counted, "the certificate of the dry run, and the real one")
    expect("canary" in str(erased.body), False, "the answer quotes what was erased")
    entry = await tenant.transaction(erased.tx)
    expect([entry["verb"], entry["at"], bool(entry["hash"])], ["erase", erased.at, True], "the ledger's entry")


def _without_hash(done: Done) -> Json:
    """The certificate without the hash of the ledger's entry, which a dry run cannot have."""
    return {name: value for name, value in done.body["certificate"].items() if name != "hash"}


@law("erase-of-a-tenant-keeps-to-it")
async def whole_tenant(tenant: Tenant) -> None:
    """Erasing by tenant, and by subject in it, removes what matches and nothing else."""
    other = tenant.another()
    await other.city("Oslo", day(0))
    kept = await other.believed()
    kim = await tenant.city("Oslo", day(0))
    tea = await tenant.fact("Kim drinks tea", day(0))
    expect((await tenant.erase_all(subject="nobody")).body["status"], "nothing", "erasing what nothing matches")
    by_subject = await tenant.erase_all(subject="kim")
    expect([by_subject.body["count"], by_subject.body["remaining"]], [1, 0], "erasing one subject")
    await refusal(tenant.get(kim.id), 404, "a memory of the subject", "memory_erased")
    expect([entry["id"] for entry in await tenant.believed()], [tea.id], "what is left in the tenant")
    await tenant.erase_all()
    expect(await tenant.state(tea.tx), [], "the tenant after all of it was erased")
    expect(await other.believed(), kept, "another tenant")
