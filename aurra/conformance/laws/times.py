"""Instants and numbers: which are understood, and what they mean."""

import datetime as dt
from collections.abc import Awaitable, Callable

from aurra.conformance.client import Json
from aurra.conformance.expecting import expect, lasting
from aurra.conformance.law import law
from aurra.conformance.tenant import SLOT, Tenant, day, moved, refusal

_MANY = 10**9
"""Transactions further on than any account gets while a law is played."""


@law("as-of-and-transaction-as-of-mean-what-they-say")
async def meanings(tenant: Tenant) -> None:
    """`as_of` alone: the world then, with today's knowledge. `transaction_as_of` alone: all that was believed then,
    whatever its validity. Both: what was believed then about that time. Neither: what is valid now."""
    oslo = await tenant.city("Oslo", day(0), day(9))
    rome = await tenant.city("Rome", day(2), day(4))
    expect(await tenant.holds(day(3)), ["Rome"], "as_of alone")
    expect(await tenant.holds(day(3), oslo.tx), ["Oslo"], "both, at the first transaction")
    expect(await tenant.holds(day(3), rome.tx), ["Rome"], "both, at the second transaction")
    expect(await tenant.holds(), [], "neither: nothing is valid now")
    expect(await tenant.holds(None, oslo.tx), ["Oslo"], "transaction_as_of alone, at the first transaction")
    expect(
        sorted(await tenant.holds(None, rome.tx)), ["Oslo", "Oslo", "Rome"], "transaction_as_of alone, at the second"
    )
    everything = await tenant.page(include_superseded="true")
    expect(len(everything["memories"]), 3, "pieces with include_superseded")


@law("flags-are-evaluated-at-the-moment-asked-about")
async def flags(tenant: Tenant) -> None:
    """Current, superseded and expired are said of the moment that is asked about, and the last two exclude each
    other."""
    oslo = await tenant.city("Oslo", day(0))
    await tenant.city("Rome", day(5), day(8))
    await tenant.city("Bern", day(8), day(9))
    for at, wanted in (
        (day(4), {"Oslo": "current"}),
        (day(6), {"Oslo": "superseded", "Rome": "current"}),
        (day(8.5), {"Oslo": "superseded", "Rome": "expired", "Bern": "current"}),
    ):
        entries = [e for e in await tenant.listed(as_of=at, include_superseded="true") if e["valid_from"] <= at]
        said = {e["decision"]: _standing(e["temporal"]) for e in entries if e["valid_from"] < day(9)}
        expect(said, wanted, f"flags at {at}")
    found = await tenant.get(oslo.id, as_of=day(4), transaction_as_of=oslo.tx)
    expect(_standing(found["memory"]["temporal"]), "current", "flags as known at the first transaction")


def _standing(temporal: dict[str, object]) -> str:
    return " ".join(name for name in ("current", "superseded", "expired") if temporal[f"is_{name}"])


@law("transaction-by-instant-is-the-newest-until-then")
async def by_instant(tenant: Tenant) -> None:
    """An instant as `transaction_as_of` is the newest transaction until then; before the first it is 0, the empty
    state."""
    oslo = await tenant.city("Oslo", day(0))
    rome = await tenant.city("Rome", day(5))
    for done in (oslo, rome):
        named = (await tenant.page(transaction_as_of=done.at))["transaction"]
        expect(named, {"id": done.tx, "at": done.at}, "the transaction at its own instant")
    before = (await tenant.page(transaction_as_of=moved(rome.at, microseconds=-1)))["transaction"]
    expect(oslo.tx <= before["id"] < rome.tx, True, f"an instant before transaction {rome.tx} is an earlier one")
    page = await tenant.page(transaction_as_of="1970-01-01")
    expect([page["transaction"]["id"], page["memories"]], [0, []], "an instant before the account")
    expect(await tenant.state(0), [], "what was believed at transaction 0")


@law("the-future-cannot-be-read")
async def future(tenant: Tenant) -> None:
    """A transaction above the newest, and an instant later than the service's clock, are refused: 400."""
    oslo = await tenant.city("Oslo", day(0))
    reads: dict[str, Callable[[Json], Awaitable[Json]]] = {
        "list": lambda times: tenant.page(**times),
        "get": lambda times: tenant.get(oslo.id, **times),
        "timeline": lambda times: tenant.timeline(oslo.id, **times),
        "search": lambda times: tenant.search("Oslo", **times),
        "query": lambda times: tenant.query("Where does Kim live?", **times),
    }
    for asked in (oslo.tx + _MANY, moved(oslo.at, days=2)):
        for name, read in reads.items():
            await refusal(read({"transaction_as_of": asked}), 400, f"{name} at transaction_as_of={asked}")


@law("same-instant-in-any-offset")
async def offsets(tenant: Tenant) -> None:
    """The same instant, in whatever offset it is written, is stored as the same and gives the same answer."""
    at = dt.datetime.fromisoformat(day(3))
    zones = [dt.timezone(dt.timedelta(minutes=minutes)) for minutes in (0, 120, -300, 330, 845, -720)]
    written = [at.astimezone(zone).isoformat() for zone in zones] + ["2024-01-04T00:00:00Z", "2024-01-04"]
    oslo = await tenant.city("Oslo", day(0), day(9))
    wanted = await tenant.page(as_of=day(3), transaction_as_of=oslo.tx)
    for text in written:
        page = await tenant.page(as_of=text, transaction_as_of=oslo.tx)
        expect(lasting(page), lasting(wanted), f"the list as of {text}")
        fact = await tenant.another().fact("Kim drinks tea", text, day(9))
        expect([version["valid_from"] for version in fact.opened], [day(3)], f"a start written as {text}")
    now = dt.datetime.fromisoformat(wanted["transaction"]["at"])
    for zone in zones:
        named = (await tenant.page(transaction_as_of=now.astimezone(zone).isoformat()))["transaction"]
        expect(named, wanted["transaction"], "the transaction at an instant in another offset")


@law("bad-intervals-are-refused")
async def bad_intervals(tenant: Tenant) -> None:
    """An interval that is empty or reversed is refused (400), and nothing is stored."""
    for start, end in ((day(3), day(3)), (day(3), day(2)), (None, day(3))):
        call = tenant.write("Oslo", valid_from=start, valid_to=end, **SLOT)
        await refusal(call, 400, f"an assert over [{start or 'now'}, {end})")
    same = tenant.write("Oslo", valid_from="2024-01-01T01:00:00+01:00", valid_to="2024-01-01T00:00:00Z", **SLOT)
    await refusal(same, 400, "an interval that is empty once the offsets are counted")
    expect(await tenant.believed(), [], "what is believed after the refusals")


@law("bad-times-are-refused")
async def bad_times(tenant: Tenant) -> None:
    """A time without an offset, or one that is none, is refused with 422; years before 0001-01-02 or after 9999-12-30
    with 400. Nothing is stored."""
    far = ["0001-01-01T00:00:00Z", "9999-12-31T00:00:00Z", "9999-12-31T23:59:59.999999+00:00", "10000-01-01T00:00:00Z"]
    unclear = ["2024-01-01T00:00:00", "2024-01-01 00:00", "yesterday", "2024-13-01"]
    for status, texts in ((400, far), (422, unclear)):
        for text in texts:
            await refusal(tenant.write("Oslo", valid_from=text, **SLOT), status, f"valid_from={text!r}")
            await refusal(tenant.write("Oslo", valid_from=day(0), valid_to=text), status, f"valid_to={text!r}")
            await refusal(tenant.page(as_of=text), status, f"as_of={text!r}")
    expect(await tenant.believed(), [], "what is believed after the refusals")
    early = await tenant.fact("The first instant", "0001-01-02T00:00:00Z", "9999-12-30T23:59:59.999999Z")
    expect(len(early.opened), 1, "the widest interval is stored")
