"""The main job through HTTP: store, supersede, ask, see the meter."""

from tests.conftest import Account


async def test_a_stored_memory_is_recalled_with_its_citation(account: Account) -> None:
    """What was stored is what the answer says, and the answer cites it."""
    memory_id = await account.add("Kim lives in Oslo", subject="kim", attribute="city")
    answer = await account.post("/agent/query", question="Where does Kim live?")
    assert "Oslo" in answer["answer"]
    assert "[mem-1]" in answer["answer_with_citations"]
    assert answer["citations"][0]["memory_id"] == memory_id
    assert answer["citations"][0]["cited_by_llm"] is True


async def test_the_newer_value_of_a_slot_supersedes_the_older(account: Account) -> None:
    """After a second value of one slot, only it is current; the first is kept, with its successor named."""
    first = await account.add("Kim lives in Oslo", subject="kim", attribute="city")
    second = await account.add("Kim lives in Rome", subject="Kim ", attribute="City")
    assert await account.decisions() == ["Kim lives in Rome"]
    assert await account.decisions(include_superseded="true") == ["Kim lives in Rome", "Kim lives in Oslo"]
    timeline = (await account.get(f"/memories/{second}/timeline"))["timeline"]
    assert [memory["id"] for memory in timeline] == [first, second]
    assert timeline[0]["superseded_by"] == second


async def test_the_meter_counts_memories(account: Account) -> None:
    """`writes_used` is the number of memories stored; a duplicate costs nothing."""
    for content in ("one thing", "another thing", "one thing"):
        await account.post("/agent/memories", content=content)
    assert (await account.get("/plan/status"))["writes_used"] == 2
