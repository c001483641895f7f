"""Dry runs, writes that are sent again, writers at the same time, and the meter."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import msgspec

from aurra.conformance.client import Json
from aurra.conformance.expecting import expect
from aurra.conformance.law import law
from aurra.conformance.plain_table import DAYS, PlainTable, read
from aurra.conformance.tenant import SLOT, Done, Tenant, Unexpected, day, refusal

_WRITERS = 16


async def _expect_foretold(tenant: Tenant, name: str, verb: Callable[[Json], Awaitable[Done]]) -> Done:
    """A dry run, then the real one, whose receipt it foretold; in between nothing has changed."""
    before = await tenant.believed()
    dry = await verb({"dry_run": True})
    expect(dry.body["dry_run"], True, f"`dry_run` in the answer of {name}")
    expect(await tenant.believed(), before, f"what is believed after a dry run of {name}")
    done = await verb({})
    born = {done.id} - {entry["id"] for entry in before}
    for side, foretold, came in (("opened", dry.opened, done.opened), ("closed", dry.closed, done.closed)):
        wanted = [_without_new_ids(version, born, opened=side == "opened") for version in came]
        expect(foretold, sorted(wanted, key=_place), f"what the dry run of {name} says is {side}")
    return done


def _without_new_ids(version: Json, born: set[str], *, opened: bool) -> Json:
    """A version as a dry run shows it: without the ids that do not exist yet."""
    shown = dict(version)
    for name in ("memory_id", "superseded_by"):
        shown[name] = None if version[name] in born else version[name]
    if opened:
        shown["version"] = None
    return shown


def _place(version: Json) -> Any:
    return version["valid_from"], str(version)


@law("dry-run-foretells-changes-of-the-world")
async def dry_world(tenant: Tenant) -> None:
    """A dry run of an assert, a supersede or an end gives the receipt that the real run then gives, and changes
    nothing."""
    oslo = await tenant.city("Oslo", day(0))
    await _expect_foretold(tenant, "assert", lambda run: _assert(tenant, "Rome", day(5), None, **run))
    await _expect_foretold(tenant, "assert with an end", lambda run: _assert(tenant, "Bern", day(2), day(3), **run))
    new = await tenant.fact("Kim works at Globex", day(4))
    former = await tenant.fact("Kim works at Acme", day(0))
    await _expect_foretold(tenant, "supersede", lambda run: tenant.supersede(former.id, superseded_by=new.id, **run))
    await _expect_foretold(tenant, "end", lambda run: tenant.supersede(oslo.id, valid_to=day(1), **run))


async def _assert(tenant: Tenant, value: str, start: str, end: str | None, **run: Any) -> Done:
    body = await tenant.write(value, valid_from=start, valid_to=end, **SLOT, **run)
    return Done(body["memory_id"] or "", body["transaction"]["id"], body["transaction"]["at"], body)


@law("dry-run-foretells-changes-of-the-record")
async def dry_record(tenant: Tenant) -> None:
    """A dry run of a correction, a retraction or a restoration gives the receipt that the real run then gives, and
    changes nothing."""
    rome = await tenant.city("Rome", day(5))
    oslo = await tenant.city("Oslo", day(0))
    await _expect_foretold(tenant, "correct", lambda run: tenant.correct(oslo.id, content="Bergen", **run))
    await _expect_foretold(tenant, "correct of an end", lambda run: tenant.correct(oslo.id, valid_to=day(7), **run))
    done = await _expect_foretold(tenant, "retract", lambda run: tenant.retract(rome.id, **run))
    await _expect_foretold(tenant, "restore", lambda run: tenant.restore(done.tx, **run))


@law("dry-run-takes-no-number")
async def dry_number(tenant: Tenant) -> None:
    """Dry runs, refusals and reads take no number: the ledger holds the changes, and nothing else."""
    oslo = await tenant.city("Oslo", day(0))
    await tenant.write("Rome", valid_from=day(5), dry_run=True, **SLOT)
    await tenant.supersede(oslo.id, valid_to=day(5), dry_run=True)
    await refusal(tenant.supersede(oslo.id, superseded_by=oslo.id), 400, "a memory superseded by itself")
    await tenant.write("Oslo", valid_from=day(0), **SLOT)
    await tenant.timeline(oslo.id)
    await tenant.search("Oslo")
    last = await tenant.city("Bern", day(8))
    expect([entry["id"] for entry in await tenant.transactions()], [last.tx, oslo.tx], "transactions of the tenant")


@law("same-idempotency-key-writes-once")
async def idempotency(tenant: Tenant) -> None:
    """The same request with the same idempotency key is one transaction and one answer; another request with that key
    is refused: 422."""
    key = f"conformance-{uuid4()}"
    first = await tenant.write("Kim has a cat", idempotency_key=key)
    again = await tenant.write("Kim has a cat", idempotency_key=key)
    expect(again, first, "the answer to the same request")
    await refusal(tenant.write("Kim has a dog", idempotency_key=key), 422, "another request with the same key")
    expect([entry["id"] for entry in await tenant.believed()], [first["memory_id"]], "memories stored")


@law("same-idempotency-key-at-the-same-time")
async def idempotency_race(tenant: Tenant) -> None:
    """Requests with one idempotency key, sent at the same time, are one transaction; one that comes while the first
    is running may be told so: 409."""
    key = f"conformance-{uuid4()}"

    async def write() -> str | None:
        try:
            return (await tenant.write("Kim has a cat", idempotency_key=key))["memory_id"]
        except Unexpected as refused:
            expect(refused.status, 409, "the status of a request that was not answered")
            return None

    told = {id_ for id_ in await asyncio.gather(*(write() for _ in range(_WRITERS))) if id_}
    expect([entry["id"] for entry in await tenant.believed()], sorted(told), "memories stored, and ids answered")


@law("concurrent-writers-of-one-slot-lose-nothing")
async def concurrent(tenant: Tenant) -> None:
    """Writers of one slot at the same time are ordered: each write is kept, each ends where the next begins, and one
    value is current, that of the last."""
    done = await asyncio.gather(*(tenant.city(f"city {number}") for number in range(_WRITERS)))
    texts = {one.id: f"city {number}" for number, one in enumerate(done)}
    done = sorted(done, key=lambda one: one.tx)
    expect(len({one.tx for one in done}), _WRITERS, "distinct transactions")
    expect(await tenant.holds(), [texts[done[-1].id]], "the current value")
    for one, following in itertools.pairwise(done):
        expect(one.at < following.at, True, f"transaction {following.tx} is later than {one.tx}")
        expect(await tenant.pieces(one.id), [(one.at, following.at, following.id)], "a value, up to the next")
        expect(await tenant.holds(one.at, one.tx), [texts[one.id]], f"the slot as believed at transaction {one.tx}")
    expect((await tenant.timeline(done[0].id))["chain_length"], _WRITERS, "the length of the chain")


@law("concurrent-writers-equal-a-plain-table")
async def concurrent_intervals(tenant: Tenant) -> None:
    """Writers of overlapping intervals of one slot at the same time leave what a plain table says when their writes
    are applied in the order of their numbers."""
    intervals = [(number % (DAYS - 4), number % (DAYS - 4) + 2 + number % 3) for number in range(_WRITERS)]
    done = await asyncio.gather(
        *(tenant.city(f"city {n}", day(start), day(end)) for n, (start, end) in enumerate(intervals))
    )
    table = PlainTable()
    for number in sorted(range(_WRITERS), key=lambda number: done[number].tx):
        table.assert_(f"city {number}", *intervals[number])
        cells = read(await tenant.state(done[number].tx))
        expect(cells, table.cells, f"the slot, day by day, at transaction {done[number].tx}")


@law("meter-counts-only-new-memories")
async def meter(tenant: Tenant) -> None:
    """The plan's meter counts memories that are new: neither duplicates, nor dry runs, nor any other verb."""
    before = await _read_meter(tenant)
    old = await tenant.fact("Kim works at Acme", day(0))
    new = await tenant.fact("Kim works at Globex", day(5))
    expect((await tenant.write("Kim works at Globex", valid_from=day(6)))["status"], "duplicate", "the same again")
    await tenant.write("Kim works at Hooli", dry_run=True)
    await tenant.supersede(old.id, superseded_by=new.id)
    await tenant.supersede(new.id, valid_to=day(9))
    await tenant.delete(new.id)
    after = await _read_meter(tenant)
    said = [(entry["verb"], entry["writes"]) for entry in reversed(await tenant.transactions())]
    wanted = [("assert", 1), ("assert", 1), ("supersede", 0), ("end", 0), ("retract", 0)]
    expect(said, wanted, "verbs and writes in the ledger")
    if before.period != after.period:
        return  # the meter began anew in between
    entries = await tenant.transactions(account=True, since=before.first)
    seen = after.used - before.used
    least = sum(entry["writes"] for entry in entries if before.last < entry["id"] <= after.first)
    most = sum(entry["writes"] for entry in entries if before.first < entry["id"] <= after.last)
    expect(least <= seen <= most, True, f"the meter moved by {seen}, where the ledger has {least} to {most} writes")


class _Meter(msgspec.Struct, frozen=True):
    """What the meter said, and the newest transactions before and after it was read: others may write meanwhile."""

    used: int
    period: str
    first: int
    last: int


async def _read_meter(tenant: Tenant) -> _Meter:
    first = (await tenant.newest())["id"]
    plan = await tenant.plan()
    return _Meter(plan["writes_used"], plan["period_start"], first, (await tenant.newest())["id"])
