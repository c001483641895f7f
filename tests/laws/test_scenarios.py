"""Four textbook scenarios that stamping `valid_to` in place gets wrong."""

import datetime as dt
from typing import Any

import pytest

from tests.conftest import Account, HandClock
from tests.plain import connected

CITY = {"subject": "kim", "attribute": "city"}
JANUARY = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def date(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.fixture
async def kim(account: Account, dsn: str, hand_clock: HandClock) -> Account:
    """An account that was made on 1 January 2026, which is today."""
    async with connected(dsn) as connection:
        await connection.execute("UPDATE account SET created_at = $2 WHERE company_id = $1", account.row.id, JANUARY)
        await connection.execute(
            "UPDATE ledger SET last_at = $2, period_start = $2 WHERE company_id = $1", account.row.id, JANUARY
        )
    hand_clock.at = JANUARY
    return account


async def pieces(account: Account, **query: Any) -> list[tuple[str, str, str | None]]:
    """What is believed of Kim's city, by start: who says what from when to when."""
    query = query or {"include_superseded": "true"}
    found = (await account.get("/agent/memories", **query))["memories"]
    spans = [(one["decision"], one["valid_from"][:10], one["valid_to"] and one["valid_to"][:10]) for one in found]
    return sorted(spans, key=lambda span: span[1])


async def test_what_february_believed_about_april(kim: Account, hand_clock: HandClock) -> None:
    """In February April was going to be Rome; in March the plan changed. Both are still told, each at its time."""
    hand_clock.at = date("2026-01-10")
    await kim.add("Kim lives in Oslo", **CITY)
    hand_clock.at = date("2026-02-10")
    rome = await kim.add("Kim lives in Rome", **CITY, valid_from="2026-04-01")
    hand_clock.at = date("2026-03-10")
    await kim.post(f"/memories/{rome}/retract", reason="the move was called off")
    await kim.add("Kim lives in Bern", **CITY, valid_from="2026-04-01")
    hand_clock.at = date("2026-05-10")
    assert await kim.decisions() == ["Kim lives in Bern"]
    for then, april in [
        ("2026-01-31", "Kim lives in Oslo"),
        ("2026-02-28", "Kim lives in Rome"),
        ("2026-03-31", "Kim lives in Bern"),
    ]:
        assert await kim.decisions(as_of="2026-04-15", transaction_as_of=then) == [april]
        assert await kim.decisions(as_of="2026-03-15", transaction_as_of=then) == ["Kim lives in Oslo"]
    assert await pieces(kim, transaction_as_of="2026-02-28") == [
        ("Kim lives in Oslo", "2026-01-10", "2026-04-01"),
        ("Kim lives in Rome", "2026-04-01", None),
    ]
    assert await kim.decisions(as_of="2026-01-05", transaction_as_of="2026-02-28") == []


async def test_a_bounded_retroactive_edit_leaves_no_hole(kim: Account, hand_clock: HandClock) -> None:
    """Learned in June: March was spent in Rome. Before and after it is Oslo, as it was; nothing else changes."""
    await kim.add("Kim lives in Oslo", **CITY)
    hand_clock.at = date("2026-06-01")
    await kim.add("Kim lives in Rome", **CITY, valid_from="2026-03-01", valid_to="2026-04-01")
    assert await pieces(kim) == [
        ("Kim lives in Oslo", "2026-01-01", "2026-03-01"),
        ("Kim lives in Rome", "2026-03-01", "2026-04-01"),
        ("Kim lives in Oslo", "2026-04-01", None),
    ]
    assert await kim.decisions() == ["Kim lives in Oslo"]
    for at, text in [("2026-02-28", "Oslo"), ("2026-03-01", "Rome"), ("2026-03-31", "Rome"), ("2026-04-01", "Oslo")]:
        assert await kim.decisions(as_of=at) == [f"Kim lives in {text}"]
    assert await kim.decisions(as_of="2026-03-15", transaction_as_of="2026-05-31") == ["Kim lives in Oslo"]


async def test_a_correction_with_the_same_start_date(kim: Account, hand_clock: HandClock) -> None:
    """It was never Oslo: corrected from the same day on. Nothing of zero length stays, one answer for every day since;
    what was believed before is still what was believed."""
    oslo = await kim.add("Kim lives in Oslo", **CITY, valid_from="2026-01-01")
    hand_clock.at = date("2026-02-01")
    await kim.post(f"/memories/{oslo}/correct", content="Kim lives in Moss", reason="misheard")
    hand_clock.at = date("2026-03-01")
    moss = await kim.add("Kim lives in Bergen", **CITY, valid_from="2026-01-01")
    assert await pieces(kim) == [("Kim lives in Bergen", "2026-01-01", None)]
    for then, text in [("2026-01-15", "Oslo"), ("2026-02-15", "Moss"), ("2026-03-01", "Bergen")]:
        assert await pieces(kim, transaction_as_of=then) == [(f"Kim lives in {text}", "2026-01-01", None)]
        for at in ("2026-01-01", "2026-07-01"):
            assert await kim.decisions(as_of=at, transaction_as_of=then) == [f"Kim lives in {text}"]
    taken = await kim.get(f"/memories/{oslo}")
    assert taken["pieces"] == []
    assert taken["memory"]["superseded_by"] == moss


async def test_an_older_fact_arrives_late_without_an_end(kim: Account, hand_clock: HandClock) -> None:
    """Rome since May is known; then comes that it was Oslo since February: it holds until Rome does, and no longer."""
    hand_clock.at = date("2026-06-01")
    rome = await kim.add("Kim lives in Rome", **CITY, valid_from="2026-05-01")
    hand_clock.at = date("2026-07-01")
    oslo = await kim.add("Kim lives in Oslo", **CITY, valid_from="2026-02-01")
    assert await kim.decisions() == ["Kim lives in Rome"]
    assert await pieces(kim) == [
        ("Kim lives in Oslo", "2026-02-01", "2026-05-01"),
        ("Kim lives in Rome", "2026-05-01", None),
    ]
    assert (await kim.get(f"/memories/{oslo}"))["memory"]["superseded_by"] == rome
    assert await kim.decisions(as_of="2026-03-01", transaction_as_of="2026-06-15") == []
    assert await kim.decisions(as_of="2026-03-01") == ["Kim lives in Oslo"]


async def test_an_older_fact_arrives_late_with_an_end(kim: Account, hand_clock: HandClock) -> None:
    """Given an end it takes all that it names: Oslo until June is stronger than Rome since May, which holds after."""
    hand_clock.at = date("2026-06-15")
    rome = await kim.add("Kim lives in Rome", **CITY, valid_from="2026-05-01")
    hand_clock.at = date("2026-07-01")
    oslo = await kim.add("Kim lives in Oslo", **CITY, valid_from="2026-02-01", valid_to="2026-06-01")
    assert await kim.decisions() == ["Kim lives in Rome"]
    assert await pieces(kim) == [
        ("Kim lives in Oslo", "2026-02-01", "2026-06-01"),
        ("Kim lives in Rome", "2026-06-01", None),
    ]
    assert (await kim.get(f"/memories/{oslo}"))["memory"]["superseded_by"] is None
    assert (await kim.get(f"/memories/{rome}"))["pieces"][0]["valid_from"][:10] == "2026-06-01"
    assert await kim.decisions(as_of="2026-05-15", transaction_as_of="2026-06-20") == ["Kim lives in Rome"]
    assert await kim.decisions(as_of="2026-05-15") == ["Kim lives in Oslo"]
