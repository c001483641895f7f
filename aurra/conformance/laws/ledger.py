"""The ledger: numbers, entries, the chain, and what changed between two numbers."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable

from aurra.conformance.client import Json
from aurra.conformance.expecting import expect
from aurra.conformance.law import law
from aurra.conformance.plain_table import seeded
from aurra.conformance.tenant import SLOT, Done, Tenant, covers, day

_WRITERS = 8


@law("numbers-are-dense-and-instants-increase")
async def dense(tenant: Tenant) -> None:
    """An account's transactions are numbered without a gap, in the order of their instants, which strictly increase,
    whoever writes."""
    first = await tenant.city("Oslo", day(0))
    await asyncio.gather(*(tenant.fact(f"Kim has {number} cats", day(0)) for number in range(_WRITERS)))
    last = await tenant.city("Rome", day(5))
    said = [(await tenant.page(limit=1, transaction_as_of=tx))["transaction"] for tx in range(first.tx, last.tx + 1)]
    expect([named["id"] for named in said], list(range(first.tx, last.tx + 1)), "every number between is a transaction")
    for earlier, later in itertools.pairwise(said):
        expect(earlier["at"] < later["at"], True, f"{later} is later than {earlier}")


@law("a-write-is-seen-by-the-next-read")
async def own_writes(tenant: Tenant) -> None:
    """A read after a write names its transaction or a later one, and holds what was written."""
    newest = 0
    for number in range(5):
        done = await tenant.city(f"city {number}")
        expect(done.tx > newest, True, f"transaction {done.tx} is above {newest}")
        page = await tenant.page(**SLOT)
        newest = page["transaction"]["id"]
        expect(newest >= done.tx, True, f"a read after transaction {done.tx} names {newest}")
        expect([entry["decision"] for entry in page["memories"]], [f"city {number}"], "the value just written")


@law("ledger-lists-every-change")
async def entries(tenant: Tenant) -> None:
    """The ledger has one entry for each change, with its verb, its reason, its instant and how many versions it
    opened and closed; with `since` oldest first, without a gap over the account."""
    oslo = await tenant.city("Oslo", day(0), reason="she said so")
    done = [
        oslo,
        await tenant.city("Rome", day(5)),
        await tenant.supersede(oslo.id, valid_to=day(2), reason="she moved"),
        await tenant.delete(oslo.id),
    ]
    listed = await tenant.transactions()
    said = [[entry[name] for name in ("id", "at", "verb", "reason", "writes")] for entry in reversed(listed)]
    verbs = [("assert", "she said so", 1), ("assert", None, 1), ("end", "she moved", 0), ("retract", None, 0)]
    expect(said, [[one.tx, one.at, *verb] for one, verb in zip(done, verbs, strict=True)], "entries of the tenant")
    counts = [(entry["opened_count"], entry["closed_count"]) for entry in reversed(listed)]
    expect(counts, [(len(one.opened), len(one.closed)) for one in done], "versions that each opened and closed")
    account = await tenant.transactions(account=True, since=oslo.tx - 1)
    numbers = [entry["id"] for entry in account]
    last = max([done[-1].tx, *numbers])
    expect(numbers, list(range(oslo.tx, last + 1)), "numbers of the account since then, oldest first")
    expect(len({entry["hash"] for entry in account}), len(account), "distinct hashes")


@law("ledger-entry-names-its-versions")
async def entry(tenant: Tenant) -> None:
    """An entry of the ledger holds the versions that its receipt names, opened and closed."""
    await tenant.city("Oslo", day(0))
    bern = await tenant.city("Bern", day(2), day(3))
    found = await tenant.transaction(bern.tx)
    expect([found["id"], found["at"], found["verb"]], [bern.tx, bern.at, "assert"], "the entry")
    for side, told in (("opened", bern.opened), ("closed", bern.closed)):
        wanted = sorted(version["version"] for version in told)
        expect(sorted(version["version"] for version in found[side]), wanted, f"versions that it {side}")


@law("chain-verifies-before-and-after")
async def verifies(tenant: Tenant) -> None:
    """The ledger's chain of hashes verifies, before and after changes, up to the newest of them."""
    before = await tenant.verify()
    expect(before["ok"], True, "the chain before")
    oslo = await tenant.city("Oslo", day(0))
    await tenant.city("Rome", day(5))
    last = await tenant.delete(oslo.id)
    after = await tenant.verify()
    expect(after["ok"], True, "the chain after")
    expect(after["head"]["id"] >= last.tx, True, f"verified up to {after['head']['id']}, at least {last.tx}")
    expect(after["checked"] > before["checked"], True, f"{after['checked']} entries checked, after {before['checked']}")


@law("diff-of-nothing-is-empty")
async def empty_diff(tenant: Tenant) -> None:
    """Between a transaction and itself nothing changed; nor by a change and its restoration."""
    oslo = await tenant.city("Oslo", day(0))
    answer = await tenant.diff(oslo.tx, oslo.tx)
    expect([answer["from"], answer["to"]], [{"id": oslo.tx, "at": oslo.at}] * 2, "the transactions that it names")
    expect(answer["changes"], [], "changes between a transaction and itself")
    rome = await tenant.city("Rome", day(5))
    undone = await tenant.restore(rome.tx)
    expect((await tenant.diff(oslo.tx, undone.tx))["changes"], [], "changes of an assert that was undone")


@law("diff-leads-from-one-state-to-the-other")
async def diff_applies(tenant: Tenant) -> None:
    """The difference between two transactions, applied to what a slot said at the first, gives what it says at the
    second."""
    done = [
        await tenant.city("Oslo", day(0)),
        await tenant.city("Rome", day(4)),
        await tenant.city("Bern", day(2), day(6)),
        await tenant.city("Paris", day(5), day(9)),
    ]
    done.append(await tenant.supersede(done[1].id, valid_to=day(10)))
    done.append(await tenant.delete(done[2].id))
    numbers = [one.tx for one in done]
    states = {tx: await tenant.state(tx) for tx in numbers}
    chance = seeded(5)
    pairs = {tuple(sorted(chance.sample(numbers, 2))) for _ in range(8)} | {(numbers[0], numbers[-1])}
    for first, last in sorted(pairs):
        changes = (await tenant.diff(first, last))["changes"]
        for at in (day(half / 2) for half in range(24)):
            held = _apply(changes, _held(states[first], at), at, f"{first} to {last}")
            expect(held, _held(states[last], at), f"the slot at {at}: state {first} with the changes up to {last}")


def _held(state: list[Json], at: str) -> list[str] | None:
    """The memory that a slot's state holds at an instant, and what it says."""
    return next(([piece["id"], piece["decision"]] for piece in state if covers(piece, at)), None)


def _apply(changes: list[Json], held: list[str] | None, at: str, what: str) -> list[str] | None:
    """What is held at the instant after the changes that cover it, each of which must find what it says was before."""
    for change in changes:
        before, after = change["before"], change["after"]
        if covers(after or before, at):
            expect(_side(before), held, f"`before` of a change from {what}, at {at}")
            held = _side(after)
    return held


def _side(side: Json | None) -> list[str] | None:
    return None if side is None else [side["memory_id"], side["decision"]]


@law("diff-tells-what-kind-of-change")
async def kinds(tenant: Tenant) -> None:
    """Each change says what happened: added, superseded, ended, corrected, retracted, restored or erased; and by
    which transaction, with its reason."""
    oslo = await tenant.city("Oslo", day(0))
    await _expect_kind(tenant, oslo, "added", None)
    rome = await tenant.city("Rome", day(5), reason="she moved")
    await _expect_kind(tenant, rome, "superseded", "she moved")
    tea = await tenant.fact("Kim drinks tea", day(0))
    steps: list[tuple[str, Callable[[], Awaitable[Done]]]] = [
        ("ended", lambda: tenant.supersede(rome.id, valid_to=day(9), reason="why")),
        ("corrected", lambda: tenant.correct(rome.id, content="Roma", reason="why")),
        ("superseded", lambda: tenant.supersede(tea.id, superseded_by=oslo.id, valid_to=day(4), reason="why")),
        ("retracted", lambda: tenant.retract(rome.id, reason="why")),
    ]
    last = rome
    for kind, step in steps:
        last = await step()
        await _expect_kind(tenant, last, kind, "why")
    await _expect_kind(tenant, await tenant.restore(last.tx, reason="why"), "restored", "why")
    await _expect_kind(tenant, await tenant.erase(rome.id, reason="why"), "erased", "why")


async def _expect_kind(tenant: Tenant, done: Done, kind: str, reason: str | None) -> None:
    changes = (await tenant.diff(done.tx - 1, done.tx))["changes"]
    said = [[change["kind"], change["transaction"], change["reason"]] for change in changes]
    expect(said, [[kind, done.tx, reason]], f"the one change of transaction {done.tx}")
