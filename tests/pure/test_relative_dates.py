"""Relative dates: resolved where the words leave no doubt, left alone everywhere else."""

import datetime as dt
import os
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurra import relative_dates

WEDNESDAY = dt.datetime(2026, 5, 20, 10, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("I started last Friday.", "I started last Friday (2026-05-15)."),
        ("I moved last week.", "I moved last week (week of 2026-05-11)."),
        ("We met last month.", "We met last month (2026-04)."),
        ("We met last year.", "We met last year (2025)."),
        ("Yesterday I swam.", "Yesterday (2026-05-19) I swam."),
        ("Kim: Yesterday I swam.", "Kim: Yesterday (2026-05-19) I swam."),
        ("I ran the day before yesterday.", "I ran the day before yesterday (2026-05-18)."),
        ("I slept badly last night.", "I slept badly last night (2026-05-19)."),
        ("I leave tomorrow morning.", "I leave tomorrow morning (2026-05-21)."),
        ("I leave tomorrow.", "I leave tomorrow (2026-05-21)."),
        ("It broke 3 days ago.", "It broke 3 days ago (2026-05-17)."),
        ("It broke two weeks ago.", "It broke two weeks ago (week of 2026-05-04)."),
        ("I left a month ago.", "I left a month ago (2026-04)."),
        ("I left five years ago.", "I left five years ago (2021)."),
        ("I fly two days from now.", "I fly two days from now (2026-05-22)."),
        ("I will fly in 3 days.", "I will fly in 3 days (2026-05-23)."),
        ("We meet this Friday.", "We meet this Friday (2026-05-22)."),
        ("We meet next Monday.", "We meet next Monday (2026-05-25)."),
        ("I read last year's report.", "I read last year's (2025) report."),
    ],
)
def test_what_is_clear_is_resolved_no_finer_than_the_words(said: str, shown: str) -> None:
    """Said on Wednesday, 20 May 2026: a day, the Monday of a week, a month or a year stands beside the words."""
    assert relative_dates.beside(said, WEDNESDAY) == shown


@pytest.mark.parametrize(
    "said",
    [
        "I moved recently, I was there once, and the other day I swam; we meet soon.",
        "A few days ago I ran; a couple of weeks ago too.",
        "I ran last Monday.",  # two days ago, or nine
        "We meet next Friday.",  # in two days, or nine
        "We meet next weekend.",
        "The last week was hard, and so was the last year.",
        "It was the last Friday of May.",
        "It was last Friday, May 8.",
        "I saw it two or three days ago, about 4 days ago.",
        "I read the book in two weeks.",
        'She said: "I come tomorrow."',
        "She called it 'yesterday' again.",
        "I read USA Today.",
        "In today's world all is fast.",
        "I ran yesterday (2026-05-19).",
        "A year ago today I ran.",
        "I left a year and a half ago.",
    ],
)
def test_what_is_vague_ambiguous_or_quoted_is_left_alone(said: str) -> None:
    """A date that is missing can be asked for; a wrong one is believed."""
    assert relative_dates.beside(said, WEDNESDAY) == said


def test_on_a_sunday_weeks_are_in_doubt() -> None:
    """Whether Sunday begins a week or ends it depends on the country."""
    sunday = dt.datetime(2026, 5, 24, tzinfo=dt.UTC)
    assert relative_dates.beside("I ran last week, last Friday.", sunday) == "I ran last week, last Friday."
    assert relative_dates.beside("I ran yesterday.", sunday) == "I ran yesterday (2026-05-23)."


def test_the_day_is_that_of_the_speakers_own_clock() -> None:
    """At 22:30 in New York it is tomorrow in UTC already."""
    evening = dt.datetime(2026, 5, 20, 22, 30, tzinfo=dt.timezone(dt.timedelta(hours=-4)))
    assert relative_dates.beside("I ran yesterday.", evening) == "I ran yesterday (2026-05-19)."


@pytest.fixture
def somewhere_else() -> Iterator[None]:
    """A machine on the other side of the world."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Pacific/Kiritimati"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.usefixtures("somewhere_else")
def test_the_zone_of_the_machine_is_nothing_to_it() -> None:
    """The only day that counts is the argument's."""
    relative_dates._parsed.cache_clear()  # pyright: ignore[reportPrivateUsage]
    said = "I ran yesterday, 3 days ago, last week, last Friday, last month, last year."
    assert relative_dates.beside(said, WEDNESDAY) == (
        "I ran yesterday (2026-05-19), 3 days ago (2026-05-17), last week (week of 2026-05-11), "
        "last Friday (2026-05-15), last month (2026-04), last year."
    )


@settings(max_examples=60, deadline=None)
@given(
    st.dates(dt.date(1990, 1, 1), dt.date(2060, 12, 31)),
    st.sampled_from(["last", "next", "this", "this past", "this coming"]),
    st.sampled_from(["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]),
)
def test_a_day_of_the_week_is_that_day_and_on_the_right_side(said_on: dt.date, which: str, name: str) -> None:
    """Never a date that the words cannot mean."""
    base = dt.datetime(said_on.year, said_on.month, said_on.day, 12, tzinfo=dt.UTC)
    for one in relative_dates.resolve(f"We meet {which} {name}", base):
        assert one.first.strftime("%A") == name
        assert (one.first < said_on) is (which in ("last", "this past"))
        assert 0 < abs((one.first - said_on).days) <= 7


@settings(max_examples=60, deadline=None)
@given(st.dates(dt.date(1990, 1, 1), dt.date(2060, 12, 31)), st.integers(1, 99), st.booleans())
def test_counted_days_are_that_many(said_on: dt.date, count: int, ago: bool) -> None:
    """n days ago and n days from now, across months, years and leap days."""
    base = dt.datetime(said_on.year, said_on.month, said_on.day, 12, tzinfo=dt.UTC)
    [one] = relative_dates.resolve(f"I ran {count} days {'ago' if ago else 'from now'}", base)
    assert one.first == said_on + dt.timedelta(days=-count if ago else count)


@given(st.text(max_size=200))
def test_nothing_but_dates_is_added(text: str) -> None:
    """Whatever the text, what is added stands in parentheses, and taking it out gives the text back."""
    shown = relative_dates.beside(text, WEDNESDAY)
    for one in relative_dates.resolve(text, WEDNESDAY):
        shown = shown.replace(f" ({one.shown})", "", 1)
    assert shown == text


@pytest.mark.parametrize(
    ("fact", "quote"),
    [
        ("Kim moved on 2026-05-15", "I moved last Friday"),
        ("Kim moved on 15 May 2026", "I moved last Friday"),
        ("Kim moved in May 2026", "I moved last Friday"),
        ("Kim moved in 2026", "I moved last Friday"),
        ("Kim moved on Friday", "I moved last Friday"),
        ("Kim moved last Friday", "I moved last Friday"),
        ("Kim was born on 3 March 1990", "I was born on March 3rd, 1990"),
        ("Kim may march", "I may march"),
        ("Kim has 12 boats", "I have 12 boats"),
    ],
)
def test_a_date_that_the_quote_names_or_means_is_borne_out(fact: str, quote: str) -> None:
    """In other words, or less exactly."""
    assert not relative_dates.unsupported(fact, quote, WEDNESDAY)


@pytest.mark.parametrize(
    ("fact", "quote"),
    [
        ("Kim moved on 2026-05-14", "I moved last Friday"),
        ("Kim moved on 2026-05-15", "I moved"),
        ("Kim moved in June 2026", "I moved last Friday"),
        ("Kim moved on Monday", "I moved last Friday"),
        ("Kim moved last week", "I moved"),
        ("Kim moved yesterday", "I moved last week"),
        ("Kim moved on 3 March 2026", "I moved on 3 March"),
        ("Kim moved on 3/4/2026", "I moved in spring"),
        ("Kim moved on 2026-05-13", "I moved last week"),
        ("Kim moved on 2026-05-18", "I moved last Monday"),
    ],
)
def test_an_invented_date_is_found_out(fact: str, quote: str) -> None:
    """Another day, a finer one, a year that nobody said, a reading of what is ambiguous."""
    assert relative_dates.unsupported(fact, quote, WEDNESDAY)


def test_without_a_time_of_the_turn_nothing_is_borne_out_by_it() -> None:
    """Words mean no date when nobody knows when they were said."""
    assert relative_dates.unsupported("Kim moved on 2026-05-15", "I moved last Friday", None)
    assert not relative_dates.unsupported("Kim moved last Friday", "I moved last Friday", None)
