"""A model of the caller's own, faked at the wire: extraction, answers, faults."""

from collections.abc import Callable
from typing import Any

import msgspec

from tests.conftest import Account
from tests.providers.scripted_provider import KEY, ScriptedProvider, cuts_short, status

TURNS = [
    {"role": "user", "content": "I moved to Oslo last week. How are you?", "name": "Kim", "at": "2026-05-20T10:00:00Z"},
    {"role": "assistant", "content": "Welcome to Norway!"},
]


def fact(**fields: Any) -> dict[str, Any]:
    base = {
        "fact": "Kim lives in Oslo",
        "turn": 0,
        "quote": "I moved to Oslo",
        "topic": "Home",
        "importance": 7,
        "people": ["Kim"],
        "action_items": [],
        "subject": "kim",
        "attribute": "city",
    }
    return {**base, **fields}


def answering(**by_schema: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Answers by which schema is asked for: `facts` or `answer`."""

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        text = msgspec.json.encode(request).decode()
        return by_schema["facts"] if '"facts"' in text else by_schema["answer"]

    return answer


def llm(provider: ScriptedProvider, **fields: Any) -> dict[str, Any]:
    return {"provider": "openai", "model": "m-1", "api_key": KEY, "base_url": provider.base_url, **fields}


async def test_facts_of_a_model_are_stored_with_their_turn_and_span(account: Account) -> None:
    """Each fact is a memory of its own that points to the words which say it; the slot it names is used."""
    async with ScriptedProvider(answering(facts={"facts": [fact()]})) as provider:
        written = await account.post("/agent/memories", messages=TURNS, session_id="s1", llm=llm(provider))
    assert written["extraction"] == {"mode": "llm", "provider": "openai", "model": "m-1", "prompt_version": "extract-2"}
    memory = (await account.get(f"/memories/{written['memory_ids'][0]}"))["memory"]
    assert memory["decision"] == "Kim lives in Oslo" and memory["topic"] == "Home" and memory["importance_score"] == 7
    assert (memory["subject"], memory["attribute"]) == ("kim", "city")
    assert memory["valid_from"] == "2026-05-20T10:00:00.000000+00:00"
    start, end = memory["source_citation"]["span"]
    assert TURNS[0]["content"][start:end] == "I moved to Oslo"
    audit = await account.get(f"/memories/{memory['id']}/audit")
    assert audit["extraction"]["model"] == "m-1" and audit["extraction"]["prompt_version"] == "extract-2"


async def test_a_fact_whose_quote_is_not_in_the_source_is_dropped_and_counted(account: Account) -> None:
    """Nobody invents: the quote must stand in the turn that is named."""
    facts = [fact(), fact(fact="Kim owns a boat", quote="I bought a boat"), fact(fact="Kim is in turn 9", turn=9)]
    async with ScriptedProvider(answering(facts={"facts": facts})) as provider:
        written = await account.post("/agent/memories", messages=TURNS, llm=llm(provider))
    assert (written["extracted_count"], written["saved_count"]) == (3, 1)
    assert any("2 proposed facts were dropped" in warning for warning in written["warnings"])
    assert await account.decisions() == ["Kim lives in Oslo"]


async def test_an_answer_of_a_model_cites_what_was_handed_out(account: Account) -> None:
    """Sentences carry their markers; a marker that was never handed out does not count."""
    await account.add("Kim lives in Oslo")
    sentences = [{"text": "Kim lives in Oslo.", "citations": [1, 7]}]
    async with ScriptedProvider(answering(answer={"sentences": sentences})) as provider:
        answer = await account.post("/agent/query", question="Where does Kim live?", llm=llm(provider))
    assert answer["answer"] == "Kim lives in Oslo."
    assert answer["answer_with_citations"] == "Kim lives in Oslo. [mem-1]"
    assert answer["grounded"] is True and answer["refused"] is False
    assert [citation["cited_by_llm"] for citation in answer["citations"]] == [True]


async def test_an_unsupported_sentence_is_flagged_or_dropped(account: Account) -> None:
    """A number or a name that no cited memory has: `grounded` is false; with `strict` the sentence is gone."""
    await account.add("Kim lives in Oslo")
    sentences = [
        {"text": "Kim lives in Oslo.", "citations": [1]},
        {"text": "Kim pays 900 for it.", "citations": [1]},
    ]
    async with ScriptedProvider(answering(answer={"sentences": sentences})) as provider:
        loose = await account.post("/agent/query", question="Where does Kim live?", llm=llm(provider))
        strict = await account.post("/agent/query", question="Where does Kim live?", llm=llm(provider), strict=True)
    assert loose["grounded"] is False and "900" in loose["answer"]
    assert strict["grounded"] is True and strict["answer"] == "Kim lives in Oslo."


async def test_a_model_that_cites_nothing_is_a_refusal(account: Account) -> None:
    """No citation, no answer."""
    await account.add("Kim lives in Oslo")
    sentences: list[dict[str, Any]] = [{"text": "Paris is the capital of France.", "citations": []}]
    async with ScriptedProvider(answering(answer={"sentences": sentences})) as provider:
        answer = await account.post("/agent/query", question="What is the capital of France?", llm=llm(provider))
    assert answer["refused"] is True and "Paris" not in answer["answer"]


async def test_a_provider_that_fails_is_told_as_the_contract_says(account: Account) -> None:
    """`llm_provider_error` with the provider and a message; nothing is stored, and the key is nowhere."""
    async with ScriptedProvider() as provider:
        provider.always(status(401))
        refused = await account.client.post("/agent/memories", json={"messages": TURNS, "llm": llm(provider)})
    assert refused.status_code == 400
    assert refused.json()["detail"]["error"] == "llm_provider_error"
    assert refused.json()["detail"]["provider"] == "openai"
    assert KEY not in refused.text and "Retry-After" not in refused.headers
    async with ScriptedProvider() as provider:
        provider.always(cuts_short())
        broken = await account.client.post("/agent/memories", json={"messages": TURNS, "llm": llm(provider)})
    assert broken.status_code == 503 and broken.headers["Retry-After"]
    assert broken.json()["detail"]["error"] == "llm_provider_error" and KEY not in broken.text
    assert (await account.get("/plan/status"))["writes_used"] == 0


async def test_a_replay_asks_no_model_again(account: Account) -> None:
    """The stored answer of a key is found before the model is called; the model's own key is no part of the request."""
    async with ScriptedProvider(answering(facts={"facts": [fact()]})) as provider:
        body = {"messages": TURNS, "llm": llm(provider)}
        first = await account.client.post("/agent/memories", json=body, headers={"Idempotency-Key": "one"})
        body["llm"] = llm(provider, api_key="another")
        second = await account.client.post("/agent/memories", json=body, headers={"Idempotency-Key": "one"})
        assert len(provider.requests) == 1
    assert second.headers["Idempotent-Replayed"] == "true" and second.content == first.content


async def test_a_key_of_a_provider_is_stored_nowhere(account: Account, dsn: str) -> None:
    """No table holds the key after extraction and an answer."""
    import subprocess

    from aurra.store.embedded import find_binaries

    facts, sentences = {"facts": [fact()]}, {"sentences": [{"text": "Kim lives in Oslo.", "citations": [1]}]}
    async with ScriptedProvider(answering(facts=facts, answer=sentences)) as provider:
        await account.client.post(
            "/agent/memories", json={"messages": TURNS, "llm": llm(provider)}, headers={"Idempotency-Key": "two"}
        )
        await account.post("/agent/query", question="Where does Kim live?", llm=llm(provider))
    dump = subprocess.run([find_binaries() / "pg_dump", "--data-only", dsn], capture_output=True, text=True, check=True)
    assert "Kim lives in Oslo" in dump.stdout
    assert KEY not in dump.stdout


async def test_a_provider_that_is_not_there_is_the_callers_error(account: Account) -> None:
    """An unknown provider is 400 and says which there are."""
    refused = await account.client.post(
        "/agent/query", json={"question": "Who?", "llm": {"provider": "oracle", "model": "m", "api_key": "k"}}
    )
    assert refused.status_code == 200  # nothing was found, so no model is asked
    await account.add("Kim lives in Oslo")
    refused = await account.client.post(
        "/agent/query", json={"question": "Who?", "llm": {"provider": "oracle", "model": "m", "api_key": "k"}}
    )
    assert refused.status_code == 400 and refused.json()["code"] == "bad_provider"


async def test_an_answer_that_cannot_be_stored_is_the_models_fault(account: Account) -> None:
    """NUL in what a model says: the provider failed, not the caller."""
    await account.add("Kim lives in Oslo")
    sentences = [{"text": "Kim lives in Oslo\0.", "citations": [1]}]
    async with ScriptedProvider(answering(answer={"sentences": sentences})) as provider:
        body = {"question": "Where does Kim live?", "llm": llm(provider)}
        broken = await account.client.post("/agent/query", json=body)
    assert broken.status_code == 503
    assert broken.json()["detail"]["error"] == "llm_provider_error"
