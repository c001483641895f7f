"""The database's function reckons as `aurra.rates` does, on its own clock; and what many processes get of one limit."""

import datetime as dt
import ipaddress
from collections.abc import Callable
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aurra import rates
from aurra.context import Service
from aurra.limiter import Limiter
from aurra.rates import Bucket
from aurra.store import rates as stored
from aurra.store.accounts import open_directory
from tests.conftest import HandClock, MakeAccount
from tests.counted import Counted
from tests.plain import connected, execute
from tests.pure.test_rates import most_in_a_minute

BEGINNING = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
ASKS = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 599_999, 600_000, 2_000_000, rates.LEASE, 30_000_000, -3_600_000_000]),
        st.integers(0, 2),
        st.integers(0, 3),
        st.integers(0, 3),
        st.sampled_from([0, 1, 5, 400]),
        st.sampled_from(["free", "starter", "free"]),
    ),
    min_size=1,
    max_size=25,
)


def ticks_of(clock: HandClock, wrong_by: float = 0.0) -> Callable[[], float]:
    """A process's own measure of time, which goes with the clock."""
    return lambda: (clock.at.timestamp() if clock.at else 0.0) + wrong_by


def micros(at: dt.datetime | None) -> int:
    """Microseconds since the beginning."""
    assert at is not None
    return (at - BEGINNING) // dt.timedelta(microseconds=1)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asks=ASKS)
async def test_the_function_reckons_as_the_pure_module_does(
    make_account: MakeAccount, service: Service, dsn: str, asks: list[tuple[int, int, int, int, int, str]]
) -> None:
    """Whatever is asked, whenever, of whatever plan: the same is granted, remains, and comes back."""
    account = await make_account(plan="free")
    processes = [uuid4() for _ in range(3)]
    limits = {"free": 100, "starter": 600}
    bucket, now, plan = Bucket(100, -(10**13), {}), 0, "free"
    async with open_directory(dsn) as directory:
        for later, who, unused, waiting, ahead, moved in asks:
            now += later
            if moved != plan:
                plan = moved
                await directory.change_plan(account.row.name, plan)
            async with service.database.begin(account.row.id) as tx:
                clock = BEGINNING + dt.timedelta(microseconds=now)
                found = await stored.lease(
                    tx, "k", processes[who], unused=unused, waiting=waiting, ahead=ahead, clock=clock
                )
            of = {"unused": unused, "waiting": waiting, "ahead": ahead, "per_minute": limits[plan]}
            bucket, grant = rates.take(bucket, now, str(processes[who]), **of)
            said = (found.granted, found.lent, found.remaining, micros(found.full_at), micros(found.next_at))
            assert said == (grant.granted, grant.lent, grant.remaining, grant.full_at, grant.next_at)
            assert (found.per_minute, found.seen_at) == (limits[plan], clock)


async def test_without_a_clock_of_ours_the_databases_runs(
    make_account: MakeAccount, service: Service, dsn: str
) -> None:
    """No clock is given while serving: what the function reads is the database's."""
    account = await make_account(plan="free")
    async with connected(dsn) as connection:
        before = await connection.fetchval("SELECT clock_timestamp()")
        async with service.database.begin(account.row.id) as tx:
            found = await stored.lease(tx, "k", uuid4(), unused=0, waiting=1, ahead=0, clock=None)
        assert before < found.seen_at < await connection.fetchval("SELECT clock_timestamp()")


async def test_four_processes_share_one_limit(make_account: MakeAccount, service: Service) -> None:
    """Four processes at 100 a minute, whose clocks are an hour apart, hammered for three minutes of a turned clock: 100
    a minute, 110 in any of them, and who is refused does not cost a round trip each."""
    account = await make_account(plan="free")
    clock, asked, database = HandClock(), 0, Counted(service.database)
    limiters = [Limiter(ticks_of(clock, wrong_by)) for wrong_by in (0.0, 3600.0, -3600.0, 0.5)]
    served: list[int] = []
    for now in range(0, 3 * rates.WINDOW, 100_000):
        clock.at = BEGINNING + dt.timedelta(microseconds=now)
        for limiter in limiters:
            asked += 1
            admission = await limiter.admit(database, account.row.id, "k", clock.at)
            if admission.retry_after is None:
                served.append(now)
            else:
                assert admission.retry_after == 1
    assert 300 <= len(served) <= 310
    assert most_in_a_minute(served) <= 110
    assert asked == 7200
    # One for each that was served, and one for each of those who lost the race to it.
    assert database.asked < asked / 4


async def test_many_requests_need_few_round_trips(make_account: MakeAccount, service: Service) -> None:
    """A process that serves 40 a second of a limit of 50 a second asks the database about once a second."""
    account = await make_account(plan="pro")
    clock = HandClock()
    limiter = Limiter(ticks_of(clock))
    database = Counted(service.database)
    for now in range(0, 30_000_000, 25_000):
        clock.at = BEGINNING + dt.timedelta(microseconds=now)
        assert (await limiter.admit(database, account.row.id, "k", clock.at)).retry_after is None
    assert database.asked < 1200 / 20


async def test_what_a_process_does_not_use_it_gives_back(make_account: MakeAccount, service: Service) -> None:
    """After a second without requests, what it held is there for another process."""
    account = await make_account(plan="free")
    clock = HandClock()
    clock.at = BEGINNING
    busy, other = (Limiter(ticks_of(clock)) for _ in range(2))
    for _ in range(4):
        await busy.admit(service.database, account.row.id, "k", clock.at)
    busy_now = await busy.admit(service.database, account.row.id, "k", clock.at)
    seen = await other.admit(service.database, account.row.id, "k", clock.at)
    assert seen.standings[0].remaining < busy_now.standings[0].remaining
    clock.at += dt.timedelta(seconds=1.2)
    await busy.give_back(service.database, clock.at)
    seen = await other.admit(service.database, account.row.id, "k", clock.at)
    assert seen.standings[0].remaining == 8 - 6 + 2 - 1


async def test_an_address_may_fail_twenty_times_and_then_three_seconds_apart(service: Service, dsn: str) -> None:
    """Twenty failures of a network, then one each three seconds; others are not touched, and old ones are forgotten."""
    await execute(dsn, "DELETE FROM address_rate")
    clock = HandClock()
    clock.at = BEGINNING
    limiter = Limiter(ticks_of(clock))
    network, another = ipaddress.ip_network("203.0.113.0/24"), ipaddress.ip_network("2001:db8::/56")

    async def fail(of: ipaddress.IPv4Network | ipaddress.IPv6Network) -> int | None:
        return await limiter.fail(service.database, of, 20, clock.at)

    assert [await fail(network) for _ in range(21)] == [None] * 20 + [3]
    assert await fail(another) is None
    clock.at += dt.timedelta(seconds=3)
    assert [await fail(network), await fail(network)] == [None, 3]
    clock.at += dt.timedelta(minutes=2)
    assert await fail(another) is None
    async with connected(dsn) as connection:
        assert await connection.fetchval("SELECT count(*) FROM address_rate") == 1
