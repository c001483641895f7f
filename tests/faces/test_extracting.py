"""Facts from conversations, through HTTP: dates beside what was said, duplicates, what is no fact."""

from typing import Any

from tests.conftest import Account
from tests.faces.wire import MEMORIES, list_of
from tests.providers.scripted_provider import KEY, ScriptedProvider


def said(content: str, at: str | None = "2026-05-20T10:00:00Z", **fields: Any) -> dict[str, Any]:
    return {"role": "user", "name": "Kim", "content": content, "at": at, **fields}


async def test_a_relative_date_stands_beside_the_words(account: Account) -> None:
    """The text says what "last Friday" was; the span is still the words of the turn, the turn is as said."""
    turn = said("Hi! I started at Acme last Friday. Maybe I'll stay.")
    written = await account.post(MEMORIES, messages=[turn])
    assert written["extracted_count"] == written["saved_count"] == 1
    [memory] = await list_of(account)
    assert memory["decision"] == "Kim: I started at Acme last Friday (2026-05-15)."
    assert memory["valid_from"] == "2026-05-20T10:00:00.000000+00:00"
    start, end = memory["source_citation"]["span"]
    assert turn["content"][start:end] == "I started at Acme last Friday."
    assert memory["original_message"] == f"User: {turn['content']}"
    found = (await account.post("/agent/search", query="What happened on 2026-05-15?"))["memories"]
    assert found[0]["id"] == memory["id"]


async def test_the_day_is_that_of_the_clock_that_the_turn_names(account: Account) -> None:
    """22:30 at -04:00 is still the 20th there; a turn without a time resolves nothing."""
    await account.post(MEMORIES, messages=[said("I saw the sea yesterday.", "2026-05-20T22:30:00-04:00")])
    await account.post(MEMORIES, messages=[said("I saw the lake yesterday.", None)])
    assert sorted(await account.decisions()) == [
        "Kim: I saw the lake yesterday.",
        "Kim: I saw the sea yesterday (2026-05-19).",
    ]


async def test_the_same_fact_is_known_again(account: Account) -> None:
    """Told twice in one dialog, and again in a later one, it is stored once; about another day it is another fact."""
    twice = [said("I live in Oslo now."), said("All fine here?"), said("I live in  oslo now.")]
    first = await account.post(MEMORIES, messages=twice, session_id="a")
    assert (first["extracted_count"], first["saved_count"]) == (2, 1)
    later = await account.post(MEMORIES, messages=[said("I live in Oslo now.", "2026-06-01T00:00:00Z")], session_id="b")
    assert later["status"] == "duplicate" and later["memory_ids"] == first["memory_ids"][:1]
    for day in ("2026-05-20", "2026-05-21"):
        await account.post(MEMORIES, messages=[said("I swam in the sea yesterday.", day)])
    assert len(await account.decisions()) == 3


async def test_a_model_that_invents_a_date_loses_the_fact(account: Account) -> None:
    """Dropped and counted, as one without its quote is; what the words mean is kept, resolved beside."""
    base: dict[str, Any] = {
        "turn": 0,
        "quote": "I moved to Oslo last week",
        "topic": "Home",
        "importance": 70,
        "people": [],
        "action_items": [],
        "subject": None,
        "attribute": None,
    }
    facts = [
        {**base, "fact": "Kim moved to Oslo last week"},
        {**base, "fact": "Kim moved to Oslo on 12 May 2026"},
        {**base, "fact": "Kim moved to Oslo in 2019"},
        {**base, "fact": "Kim moved to Rome", "quote": "I moved to Rome"},
    ]
    async with ScriptedProvider(lambda _: {"facts": facts}) as provider:
        llm = {"provider": "openai", "model": "m-1", "api_key": KEY, "base_url": provider.base_url}
        written = await account.post(MEMORIES, messages=[said("I moved to Oslo last week.")], llm=llm)
    assert (written["extracted_count"], written["saved_count"]) == (4, 1)
    assert any(warning.startswith("1 proposed facts were dropped: their quotes") for warning in written["warnings"])
    assert any(warning.startswith("2 proposed facts were dropped: they name dates") for warning in written["warnings"])
    [memory] = await list_of(account)
    assert memory["decision"] == "Kim moved to Oslo last week (week of 2026-05-11)"
    assert memory["importance_score"] == 10
