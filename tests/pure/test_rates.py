"""GCRA as `aurra.rates` reckons it: what no minute may see, and what is told of it."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurra import rates
from aurra.plans import UNLIMITED
from aurra.rates import Bucket, Grant, Standing

LIMITS = st.sampled_from([1, 7, 19, 20, 60, 100, 600, 3000])
PROCESSES = ("a", "b", "c", "d")


def empty(per_minute: int, now: int = 0) -> Bucket:
    return Bucket(per_minute, now, {})


def ask(bucket: Bucket, now: int, process: str = "a", **of: Any) -> tuple[Bucket, Grant]:
    return rates.take(
        bucket, now, process, **{"unused": 0, "waiting": 1, "ahead": 0, "per_minute": bucket.per_minute, **of}
    )


def most_in_a_minute(served: list[int]) -> int:
    """The most of the instants that any 60 seconds hold, their end not included."""
    most = first = 0
    for last, at in enumerate(served):
        while served[first] <= at - rates.WINDOW:
            first += 1
        most = max(most, last - first + 1)
    return most


class Fleet:
    """Processes that take, hold, spend and give back as the service's do, or as badly as they may."""

    def __init__(self, per_minute: int) -> None:
        self.bucket = empty(per_minute)
        self.now = 0
        self.held: dict[str, tuple[int, int]] = {}
        self.served: list[int] = []

    def serve(self, process: str, ahead: int) -> bool:
        """Whether a request is let through, from what is held or by asking."""
        count, until = self.held.get(process, (0, 0))
        if count and self.now < until:
            self.held[process] = (count - 1, until)
            self.served.append(self.now)
            return True
        self.bucket, grant = ask(self.bucket, self.now, process, unused=0, ahead=ahead)
        self.held[process] = (grant.lent, self.now + rates.LEASE)
        self.served += [self.now] * grant.granted
        return bool(grant.granted)

    def give_back(self, process: str) -> None:
        """What the process holds is everybody's again."""
        count, until = self.held.pop(process, (0, 0))
        if self.now < until:
            self.bucket, _ = ask(self.bucket, self.now, process, unused=count, waiting=0)


# How much later (in requests and microseconds), which process, whether it gives back first, how often it asks, and for
# how many more.
STEPS = st.lists(
    st.tuples(
        st.sampled_from([(0, 0), (0, 1), (1, -1), (1, 0), (3, 0), (0, rates.LEASE - 1), (0, rates.LEASE), (40, 0)]),
        st.sampled_from(PROCESSES),
        st.sampled_from([False, False, True]),
        st.sampled_from([1, 2, 30]),
        st.sampled_from([0, 1, 9, 3000]),
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=100, deadline=None)
@given(per_minute=LIMITS, steps=STEPS)
def test_no_minute_sees_more_than_a_tenth_over_the_limit(
    per_minute: int, steps: list[tuple[tuple[int, int], str, bool, int, int]]
) -> None:
    """Whoever takes, holds, spends late, forgets or gives back: at most N + N/12 (N + 1 of few) in any minute."""
    fleet = Fleet(per_minute)
    for later, process, gives_back, times, ahead in steps:
        fleet.now += max(0, later[0] * rates.step(per_minute) + later[1])
        if gives_back:
            fleet.give_back(process)
        for _ in range(times):
            fleet.serve(process, ahead=ahead)
    assert most_in_a_minute(fleet.served) <= per_minute + rates.burst(per_minute)


@pytest.mark.parametrize("per_minute", [1, 20, 100, 600])
def test_who_never_stops_asking_gets_the_limit_and_no_more(per_minute: int) -> None:
    """Four processes that ask at every chance, three minutes long: the limit each minute, and once a twelfth more."""
    fleet = Fleet(per_minute)
    for now in range(0, 3 * rates.WINDOW, max(1, rates.step(per_minute) // 10)):
        fleet.now = now
        for process in PROCESSES:
            fleet.serve(process, ahead=per_minute)
    per_minute_served = len(fleet.served) / 3
    assert 0.95 * per_minute <= per_minute_served <= per_minute + rates.burst(per_minute)
    assert most_in_a_minute(fleet.served) <= per_minute + rates.burst(per_minute)


@given(per_minute=LIMITS, taken=st.integers(0, 500), pause=st.integers(0, rates.WINDOW))
def test_what_remains_is_what_can_be_taken(per_minute: int, taken: int, pause: int) -> None:
    """`remaining` more are let through at once, then none until `next_at`, when one is; at `full_at` all are back."""
    bucket, _ = ask(empty(per_minute), 0, waiting=taken)
    bucket, grant = ask(bucket, pause, waiting=0)
    more, last = ask(bucket, pause, waiting=grant.remaining + 5)
    assert (last.granted, last.remaining) == (grant.remaining, 0)
    assert not ask(more, last.next_at - 1)[1].granted
    assert ask(more, last.next_at)[1].granted == 1
    assert ask(more, last.full_at, waiting=0)[1].remaining == rates.burst(per_minute)


@given(
    per_minute=LIMITS,
    taken=st.integers(0, 500),
    earlier=st.integers(0, rates.WINDOW),
    later=st.integers(0, rates.WINDOW),
)
def test_waiting_never_takes_anything_away(per_minute: int, taken: int, earlier: int, later: int) -> None:
    """Later there is at least as much as earlier."""
    bucket, _ = ask(empty(per_minute), 0, waiting=taken)
    earlier, later = sorted((earlier, later))
    before, after = (ask(bucket, at, waiting=0)[1].remaining for at in (earlier, later))
    assert before <= after


@given(per_minute=LIMITS, taken=st.integers(0, 500), back=st.integers(0, 3_600_000_000))
def test_a_clock_put_back_makes_nobody_wait_for_it(per_minute: int, taken: int, back: int) -> None:
    """After an hour taken off the clock, the wait is at most that for one request."""
    bucket, _ = ask(empty(per_minute, 3_600_000_000), 3_600_000_000, waiting=taken)
    _, grant = ask(bucket, 3_600_000_000 - back, waiting=0)
    assert grant.next_at - (3_600_000_000 - back) <= rates.step(per_minute)


def test_another_plan_counts_at_once() -> None:
    """What was used of a small limit is that many requests of a big one: a bigger plan lets through at once."""
    bucket, grant = ask(empty(1), 0)
    assert (grant.granted, grant.remaining) == (1, 0)
    _, grant = ask(bucket, 0, per_minute=3000)
    assert (grant.granted, grant.remaining) == (1, 248)
    bucket, _ = ask(empty(3000), 0, waiting=250)
    bucket, grant = ask(bucket, 0, per_minute=100)
    assert not grant.granted
    assert ask(bucket, rates.step(100), per_minute=100)[1].granted


def test_what_is_held_is_half_of_the_rest_at_most_and_comes_back() -> None:
    """One process leaves something to the others, and what it gives back is there again; after its life it is not."""
    bucket, grant = ask(empty(100), 0, ahead=100)
    assert (grant.granted, grant.lent, grant.remaining) == (1, 3, 4)
    _, back = ask(bucket, 0, unused=3, waiting=0)
    assert back.remaining == 7
    _, late = ask(bucket, rates.LEASE, unused=3, waiting=0)
    assert late.remaining == 8
    assert ask(bucket, 0, "b", unused=3, waiting=0)[1].remaining == 4


def standing(name: str, per_minute: int | None, remaining: int) -> Standing:
    return Standing(name=name, per_minute=per_minute, remaining=remaining, reset_at=1000.2, reset_in=0.6)


def test_headers_tell_of_the_limit_that_ends_first() -> None:
    """X-RateLimit-* of the nearest, RateLimit of both, as structured fields."""
    assert rates.headers([standing("key", 100, 9), standing("account", 1000, 7)]) == {
        "X-RateLimit-Limit": "1000",
        "X-RateLimit-Remaining": "7",
        "X-RateLimit-Reset": "1001",
        "RateLimit-Policy": '"key";q=100;w=60, "account";q=1000;w=60',
        "RateLimit": '"key";r=9;t=1, "account";r=7;t=1',
    }


def test_headers_of_a_plan_without_limits_have_no_policy() -> None:
    """2^53 − 1, and no RateLimit; where one of the two is limited, that one is told."""
    none = rates.headers([standing("key", None, 0), standing("account", None, 0)])
    assert none == {
        "X-RateLimit-Limit": str(UNLIMITED),
        "X-RateLimit-Remaining": str(UNLIMITED),
        "X-RateLimit-Reset": "1001",
    }
    one = rates.headers([standing("key", None, 0), standing("account", 50, 3)])
    assert (one["X-RateLimit-Limit"], one["RateLimit"]) == ("50", '"account";r=3;t=1')


def test_what_is_held_counts_as_saved_up() -> None:
    """While a process holds three, nobody saves up more than the rest, however long nothing comes."""
    bucket, grant = ask(empty(100), 0, ahead=100)
    assert grant.lent == 3
    assert ask(bucket, rates.LEASE - 1, "b", waiting=100)[1].granted == rates.burst(100) - 3
    assert ask(bucket, rates.LEASE, "b", waiting=100)[1].granted == rates.burst(100)
