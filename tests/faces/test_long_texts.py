"""A long text is found by what it says anywhere; quoting, the chain and erasing take it as one."""

from typing import Any

import numpy as np

from aurra import parts
from aurra.context import Service
from aurra.parts import MOST
from tests.conftest import Account
from tests.plain import connected

FACT = "The vaccine against yellow fever was given to Anna before her flight to Ghana."
ASKED = "Which inoculation did she get before travelling to Africa?"


def long_text(last: str, words: int = 3_000) -> str:
    """About so many words on other things, and the fact at the end."""
    sentences = [
        f"On day {number} the committee of the harbour town discussed the budget for the new pier and its lamps."
        for number in range(words // 18)
    ]
    return " ".join([*sentences, last])


async def nearness(account: Account, decision: str) -> float:
    """How near the question is to a memory, by vectors alone."""
    answer = await account.post("/agent/search", query=ASKED, limit=50)
    return next(memory["similarity"] for memory in answer["memories"] if memory["decision"] == decision)


async def vectors(dsn: str, account: Account) -> list[tuple[int, int | None]]:
    async with connected(dsn) as connection:
        records = await connection.fetch(
            "SELECT part, tx FROM embedding WHERE company_id = $1 ORDER BY content_id, part", account.row.id
        )
    return [(record["part"], record["tx"]) for record in records]


async def test_what_a_long_text_says_at_its_end_is_found_by_meaning(account: Account, dsn: str) -> None:
    """The best of its parts is what counts; without them the end of the text is not there."""
    text = long_text(FACT)
    await account.post(
        "/agent/memories/bulk",
        memories=[{"content": text}, *({"content": f"The harbour office closes at {hour}."} for hour in range(12))],
    )
    found = await account.post("/agent/search", query=ASKED)
    assert found["memories"][0]["decision"] == text
    near = await nearness(account, text)
    async with connected(dsn) as connection:
        await connection.execute("DELETE FROM embedding WHERE company_id = $1 AND part > 0", account.row.id)
    assert await nearness(account, text) < near - 0.2
    found = await account.post("/agent/search", query=ASKED)
    assert found["memories"][0]["decision"] != text


async def test_a_short_text_has_one_vector_and_a_long_one_some(account: Account, dsn: str) -> None:
    """Only the first is in the chain; there are never more than are documented."""
    await account.add("Kim lives in Oslo")
    assert await vectors(dsn, account) == [(0, 1)]
    memory = await account.add(long_text(FACT, 800))
    long = (await vectors(dsn, account))[1:]
    assert 4 <= len(long) <= 8
    assert long == [(0, 2), *((part, None) for part in range(1, len(long)))]
    await account.post(f"/memories/{memory}/correct", content=long_text("Endless. ", 12_000), reason="more")
    assert (await vectors(dsn, account))[1 + len(long) :] == [(0, 3), *((part, None) for part in range(1, MOST))]


async def test_the_chain_verifies_and_erasing_leaves_no_vector(account: Account, dsn: str) -> None:
    """Further parts are outside the chain, and go with the memory."""
    kept = await account.add("Kim lives in Oslo")
    memory = await account.add(long_text(FACT, 800))
    await account.post(f"/memories/{memory}/correct", content=long_text(FACT, 400), reason="shorter")
    assert (await account.get("/agent/transactions/verify"))["ok"]
    await account.post(f"/memories/{memory}/erase")
    assert await vectors(dsn, account) == [(0, 1)]
    verdict = await account.get("/agent/transactions/verify")
    assert (verdict["ok"], verdict["checked"]) == (True, 4)
    assert kept in [one["id"] for one in (await account.get("/agent/memories"))["memories"]]


async def test_a_fact_at_the_end_is_quoted_where_it_stands(account: Account) -> None:
    """The quote is the source's own words, at the span that is told."""
    text = long_text(FACT, 800)
    await account.add(text)
    answer = await account.post("/agent/query", question="Which vaccine was given to Anna before her flight?")
    citation: dict[str, Any] = next(one for one in answer["citations"] if one["cited_by_llm"])
    start, end = citation["span"]
    assert FACT in text[start:end] and text[start:end] == citation["quote"]


async def test_every_part_says_who_speaks(account: Account, service: Service, dsn: str) -> None:
    """A part has the vector of "speaker: part", as a short text has."""
    text = long_text(FACT, 800)
    await account.post(
        "/agent/memories",
        messages=[{"role": "user", "name": "Dr. Okafor", "content": text}],
        extraction="verbatim",
        session_id="s",
    )
    assert service.embedder is not None
    who, embedder = "Dr. Okafor: ", service.embedder
    cut = parts.cut(text, embedder.window - embedder.length(who), embedder.length)
    expected = await embedder.embed([who + part for part in cut])
    async with connected(dsn) as connection:
        records = await connection.fetch(
            "SELECT vector::text AS v FROM embedding WHERE company_id = $1 ORDER BY part", account.row.id
        )
    stored = np.array([np.fromstring(record["v"].strip("[]"), sep=",") for record in records])
    np.testing.assert_allclose(stored, expected, atol=1e-3)
    assert len(cut) > 3
