"""POST /agent/query and POST /agent/search: contract.md §2, through HTTP."""

import hashlib
import json
import re
from typing import Any
from uuid import UUID

import pytest

from tests.conftest import Account, HandClock
from tests.faces.wire import (
    CITATION_KEYS,
    MEMORY_KEYS,
    OUR_CITATION_KEYS,
    QUERY,
    SEARCH,
    TEMPORAL_KEYS,
    at,
    nothing_stored,
    ok,
    problem,
    require_instant,
    require_memory,
    require_no_null,
)

ANSWER_KEYS = {
    "question",
    "answer",
    "answer_with_citations",
    "sentences",
    "citations",
    "memories",
    "memories_searched",
    "search_type",
    "proof_tree",
    "grounded",
    "refused",
    "receipt_id",
    "transaction",
    "as_of",
    "warnings",
}
CITED_KEYS = {
    "index",
    "memory_id",
    "decision",
    "topic",
    "similarity",
    "cited_by_llm",
    "valid_from",
    "is_superseded",
    "tenant_id",
    "source",
    "quote",
    "span",
}
CITY = {"subject": "kim", "attribute": "city"}


async def _cities(account: Account) -> tuple[str, str]:
    """Kim lived in Oslo from 2020 and lives in Rome from 2022."""
    oslo = await account.add("Kim lives in Oslo", valid_from="2020-01-01", **CITY)
    rome = await account.add("Kim lives in Rome", valid_from="2022-01-01", **CITY)
    return oslo, rome


async def test_an_answer_has_exactly_the_contract_keys(account: Account) -> None:
    """question, answer, answer_with_citations, citations[], memories[], memories_searched, search_type, proof_tree;
    ours: sentences, grounded, refused, receipt_id, transaction, as_of."""
    await account.add("Kim lives in Oslo", topic="Home", source="crm")
    answer = ok(await account.client.post(QUERY, json={"question": "Where does Kim live?"}))
    assert set(answer) == ANSWER_KEYS
    assert answer["question"] == "Where does Kim live?"
    assert answer["search_type"] in ("hybrid", "vector", "keyword")
    assert answer["memories_searched"] == 1
    assert answer["proof_tree"] is None
    assert UUID(answer["receipt_id"])
    assert (answer["grounded"], answer["refused"]) == (True, False)
    assert set(answer["transaction"]) == {"id", "at"}
    require_instant(answer["as_of"])
    [citation] = answer["citations"]
    assert set(citation) == CITED_KEYS
    assert (citation["index"], citation["decision"], citation["topic"]) == (1, "Kim lives in Oslo", "Home")
    assert (citation["source"], citation["tenant_id"], citation["is_superseded"]) == ("crm", None, False)
    assert citation["cited_by_llm"] is True
    require_memory(answer["memories"][0])
    require_no_null(answer)


async def test_markers_name_positions_in_citations(account: Account) -> None:
    """`answer_with_citations` is the same text with `[mem-N]`, N = position in `citations`, from 1."""
    for fact in ("Kim lives in Oslo", "Kim was born in Bergen", "The moon is far away", "Lunch was soup"):
        await account.add(fact)
    answer = await account.post(QUERY, question="Where does Kim live?")
    marked = answer["answer_with_citations"]
    numbers = {int(number) for number in re.findall(r"\[mem-(\d+)\]", marked)}
    assert numbers
    assert "[mem-" not in answer["answer"]
    assert re.sub(r"\s*\[mem-\d+\]", "", marked).split() == answer["answer"].split()
    assert [citation["index"] for citation in answer["citations"]] == list(range(1, len(answer["citations"]) + 1))
    assert {citation["index"] for citation in answer["citations"] if citation["cited_by_llm"]} == numbers


async def test_every_retrieved_candidate_is_listed(account: Account) -> None:
    """Every retrieved candidate is listed, flagged cited or not; `similarity` lies in 0…1."""
    for fact in ("Kim lives in Oslo", "The moon is far away", "Lunch was soup"):
        await account.add(fact)
    answer = await account.post(QUERY, question="Where does Kim live?")
    assert [one["memory_id"] for one in answer["citations"]] == [one["id"] for one in answer["memories"]]
    assert len(answer["citations"]) == answer["memories_searched"] == 3
    assert {one["cited_by_llm"] for one in answer["citations"]} == {True, False}
    for one in answer["citations"]:
        assert 0 <= one["similarity"] <= 1
        if one["quote"]:
            start, end = one["span"]
            assert one["decision"][start:end] == one["quote"]
    require_no_null(answer)


async def test_nothing_retrieved_is_an_honest_answer(account: Account) -> None:
    """Nothing retrieved → an honest "no relevant memories" answer, never a guess."""
    answer = await account.post(QUERY, question="Where does Kim live?", include_proof_tree=True)
    assert set(answer) == ANSWER_KEYS
    assert "no relevant memories" in answer["answer"].lower()
    assert (answer["citations"], answer["memories"], answer["memories_searched"]) == ([], [], 0)
    assert answer["search_type"] == "none"
    assert answer["refused"] is True
    require_no_null(answer)


async def test_a_question_that_the_memories_do_not_answer_is_refused(account: Account) -> None:
    """Never a guess: evidence that does not answer is not cited."""
    await account.add("Kim lives in Oslo")
    answer = await account.post(QUERY, question="What is the boiling point of tungsten?")
    assert answer["refused"] is True
    assert "Oslo" not in answer["answer"]
    assert [one["cited_by_llm"] for one in answer["citations"]] == [False]


async def test_in_the_past_the_answer_is_framed(account: Account) -> None:
    """In the past, the answer is framed "as of <date>"; flags are evaluated then."""
    oslo, _ = await _cities(account)
    answer = await account.post(QUERY, question="Where does Kim live?", as_of="2021-06-15")
    assert "as of" in answer["answer"].lower()
    assert "2021" in answer["answer"]
    assert "Oslo" in answer["answer"]
    assert "Rome" not in answer["answer"]
    assert answer["as_of"] == "2021-06-15T00:00:00.000000+00:00"
    [citation] = answer["citations"]
    assert (citation["memory_id"], citation["is_superseded"]) == (oslo, False)
    assert answer["memories"][0]["temporal"]["is_current"] is True
    now = await account.post(QUERY, question="Where does Kim live?")
    assert "Rome" in now["answer"]
    assert "as of" not in now["answer"].lower()


async def test_a_query_at_an_earlier_transaction_sees_what_was_believed_then(account: Account) -> None:
    """`transaction_as_of` (number or instant): what was believed then; with `as_of`, about that time."""
    oslo, rome = await _cities(account)
    for name, path in (("question", QUERY), ("query", SEARCH)):
        for asked in (1, "1"):
            found = await account.post(path, **{name: "Where does Kim live?", "transaction_as_of": asked})
            assert [one["id"] for one in found["memories"]] == [oslo]
            assert found["memories"][0]["superseded_by"] is None
            assert found["transaction"]["id"] == 1
            assert found["as_of"] is None
        both = await account.post(path, **{name: "Where does Kim live?", "transaction_as_of": 1, "as_of": "2023-01-01"})
        assert [one["id"] for one in both["memories"]] == [oslo]
        now = await account.post(path, **{name: "Where does Kim live?", "as_of": "2023-01-01"})
        assert [one["id"] for one in now["memories"]] == [rome]


@pytest.mark.parametrize(("path", "name"), [(SEARCH, "query"), (QUERY, "question")])
async def test_repeating_with_both_times_gives_the_same_answer(account: Account, path: str, name: str) -> None:
    """Repeated with its own `transaction` and `as_of`, a search or answer is the same after any later writes."""
    await _cities(account)
    await account.add("Kim likes to travel to Oslo")
    first = await account.post(path, **{name: "Where does Kim live?"})
    for content in ("Kim lives in Bonn", "Kim lives in Wien"):
        await account.add(content, **CITY)
    for number in range(5):
        await account.add(f"Kim lives happily, says note {number}")
    moment = {"as_of": first["as_of"], "transaction_as_of": first["transaction"]["id"]}
    again = await account.post(path, **{name: "Where does Kim live?", **moment})
    assert again["memories"] == first["memories"]
    assert again["memories_searched"] == first["memories_searched"]
    assert (again["transaction"], again["as_of"]) == (first["transaction"], first["as_of"])


async def test_the_filters_of_a_query(account: Account) -> None:
    """`sources[]`, `topics`, `subject`, `session_id`, `tenant_id` narrow what is retrieved."""
    await account.add("tea from crm", source="crm", topic="Work", subject="Kim")
    await account.add("tea from chat", source="chat", topic="Home", session_id="s-1")
    await account.add("tea from mail", source="mail")
    filters: list[tuple[dict[str, Any], set[str]]] = [
        ({"sources": ["crm", "mail"]}, {"tea from crm", "tea from mail"}),
        ({"sources": []}, {"tea from crm", "tea from chat", "tea from mail"}),
        ({"sources": None}, {"tea from crm", "tea from chat", "tea from mail"}),
        ({"topics": ["Home", "Work"]}, {"tea from crm", "tea from chat"}),
        ({"subject": "KIM "}, {"tea from crm"}),
        ({"session_id": "s-1"}, {"tea from chat"}),
        ({"sources": ["crm"], "topics": ["Home"]}, set()),
        ({"sources": ["nobody"]}, set()),
    ]
    for path, name in ((QUERY, "question"), (SEARCH, "query")):
        for body, expected in filters:
            found = await account.post(path, **{name: "tea", **body})
            assert {one["decision"] for one in found["memories"]} == expected, body
            assert found["memories_searched"] == len(expected)


async def test_a_search_has_scored_memories_and_exactly_its_keys(account: Account) -> None:
    """`POST /agent/search` → {"memories":[… with score]}, best first; no model."""
    for fact in ("Kim lives in Oslo", "The moon is far away", "Kim was born in Bergen"):
        await account.add(fact)
    answer = await account.post(SEARCH, query="Where does Kim live?")
    assert set(answer) == {"memories", "memories_searched", "search_type", "transaction", "as_of", "warnings"}
    assert set(answer["memories"][0]) == MEMORY_KEYS | {"score", "similarity", "signals"}
    scores = [one["score"] for one in answer["memories"]]
    assert scores == sorted(scores, reverse=True)
    assert answer["memories"][0]["decision"] == "Kim lives in Oslo"
    assert all(0 <= one["similarity"] <= 1 for one in answer["memories"])
    explained = (await account.post(SEARCH, query="Where does Kim live?", explain=True))["memories"][0]["signals"]
    assert explained
    require_no_null(answer)


async def test_a_search_gives_never_fewer_than_what_qualifies(account: Account) -> None:
    """Results are never fewer than min(limit, qualifying rows), however unlike the question."""
    for number in range(12):
        await account.add(f"zebra {number}")
    for limit in (1, 5, 12, 50):
        found = await account.post(SEARCH, query="quantum chromodynamics", limit=limit)
        assert len(found["memories"]) == min(limit, 12)
        assert found["memories_searched"] == 12


async def test_nothing_superseded_expired_or_future_is_found(account: Account) -> None:
    """Nothing superseded or outside its validity."""
    await _cities(account)
    await account.add("Kim lives on Mars", valid_from="2090-01-01")
    await account.add("Kim lives in Paris", valid_from="2010-01-01", valid_to="2011-01-01")
    retracted = await account.add("Kim lives in Lund")
    ok(await account.client.delete(f"/memories/{retracted}"))
    for path, name in ((QUERY, "question"), (SEARCH, "query")):
        found = await account.post(path, **{name: "Where does Kim live?"})
        assert [one["decision"] for one in found["memories"]] == ["Kim lives in Rome"]


async def test_the_proof_tree_has_the_contract_form(account: Account) -> None:
    """proof_tree v2: version "2.0", question, answer_hash, generated_at, retrieval, evidence_chain, chains."""
    for fact in ("Kim lives in Oslo", "The moon is far away"):
        await account.add(fact)
    answer = await account.post(QUERY, question="Where does Kim live?", include_proof_tree=True, sources=["agent"])
    tree = answer["proof_tree"]
    assert set(tree) == {
        *("version", "question", "answer_hash", "generated_at", "retrieval", "evidence_chain"),
        "supersession_chains",
    }
    assert (tree["version"], tree["question"]) == ("2.0", "Where does Kim live?")
    require_instant(tree["generated_at"])
    assert set(tree["retrieval"]) == {"method", "k", "memories_evaluated", "memories_cited", "filters"}
    assert tree["retrieval"]["method"] == answer["search_type"]
    assert tree["retrieval"]["memories_evaluated"] == len(answer["citations"])
    cited = [one["memory_id"] for one in answer["citations"] if one["cited_by_llm"]]
    assert tree["retrieval"]["memories_cited"] == len(cited)
    assert tree["retrieval"]["filters"] == {"sources": ["agent"]}
    assert len(tree["evidence_chain"]) == 2
    for one in tree["evidence_chain"]:
        assert set(one) >= {"memory_id", "similarity", "cited", "decision", "bi_temporal", "source_citation"}
        assert set(one["bi_temporal"]) >= TEMPORAL_KEYS
        assert set(one["source_citation"]) == CITATION_KEYS | OUR_CITATION_KEYS
    assert tree["supersession_chains"] == []
    require_no_null(tree)


async def test_the_answer_hash_can_be_computed_again(account: Account) -> None:
    """answer_hash = SHA-256 over canonical JSON (keys sorted, no spaces, UTF-8) of answer + evaluated evidence:
    ids, decisions, validity windows, cited flags."""
    await account.add("Kim lives in Malmö")
    await account.add("The moon is far away", valid_to="2099-01-01")
    question = {"question": "Where does Kim live?", "include_proof_tree": True}
    answer = await account.post(QUERY, **question)
    tree = answer["proof_tree"]
    evidence = [
        {
            "memory_id": one["memory_id"],
            "decision": one["decision"],
            "valid_from": one["bi_temporal"]["valid_from"],
            "valid_to": one["bi_temporal"]["valid_to"],
            "cited": one["cited"],
        }
        for one in tree["evidence_chain"]
    ]
    canonical = json.dumps(
        {"answer": answer["answer"], "evidence": evidence}, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    assert tree["answer_hash"] == hashlib.sha256(canonical.encode()).hexdigest()
    assert (await account.post(QUERY, **question))["proof_tree"]["answer_hash"] == tree["answer_hash"]


async def test_the_proof_tree_of_a_past_answer_leads_to_what_holds_now(account: Account) -> None:
    """supersession_chains: {starting_memory_id, current_truth_memory_id, chain[]{memory_id, superseded_by,
    superseded_at, decision_at_time}}."""
    oslo, rome = await _cities(account)
    answer = await account.post(QUERY, question="Where does Kim live?", as_of="2021-01-01", include_proof_tree=True)
    [chain] = answer["proof_tree"]["supersession_chains"]
    assert set(chain) == {"starting_memory_id", "current_truth_memory_id", "chain"}
    assert (chain["starting_memory_id"], chain["current_truth_memory_id"]) == (oslo, rome)
    assert [set(link) for link in chain["chain"]] == [
        {"memory_id", "superseded_by", "superseded_at", "decision_at_time"}
    ] * 2
    first, last = chain["chain"]
    assert (first["memory_id"], first["superseded_by"], first["decision_at_time"]) == (oslo, rome, "Kim lives in Oslo")
    assert first["superseded_at"] == "2022-01-01T00:00:00.000000+00:00"
    assert (last["memory_id"], last["superseded_by"], last["superseded_at"]) == (rome, None, None)


async def test_a_proof_tree_of_an_explicit_supersession(account: Account) -> None:
    """The chain follows links outside slots, too."""
    old = await account.add("Kim drives a Volvo", valid_from="2020-01-01")
    new = await account.add("Kim drives a Tesla", valid_from="2022-01-01")
    await account.post(f"/memories/{old}/supersede", superseded_by=new)
    answer = await account.post(QUERY, question="What does Kim drive?", as_of="2021-01-01", include_proof_tree=True)
    [chain] = answer["proof_tree"]["supersession_chains"]
    assert (chain["starting_memory_id"], chain["current_truth_memory_id"]) == (old, new)


async def test_a_query_stores_nothing(account: Account) -> None:
    """Queries cost nothing and take no transaction number."""
    await account.add("Kim lives in Oslo")
    async with nothing_stored(account):
        await account.post(QUERY, question="Where?", include_proof_tree=True)
        await account.post(SEARCH, query="Where?")


async def test_the_question_is_required_and_not_empty(account: Account) -> None:
    """`question` / `query` missing → 422 naming it; empty → 400."""
    for path, name in ((QUERY, "question"), (SEARCH, "query")):
        assert problem(await account.client.post(path, json={}), 422, "validation_error")["param"] == name
        assert problem(await account.client.post(path), 422, "validation_error")["param"] == name
        assert problem(await account.client.post(path, json={name: None}), 422)["param"] == name
        for empty in ("", " \n\t "):
            assert problem(await account.client.post(path, json={name: empty}), 400)["param"] == name


async def test_searching_by_a_clock_turned_by_hand(account: Account, hand_clock: HandClock) -> None:
    """The default `as_of` is the later of the head's instant and the clock."""
    hand_clock.at = at("2040-01-01T00:00:00")
    await account.add("Kim lives in Oslo", valid_to="2040-02-01")
    for now, count in (("2040-01-31T00:00:00", 1), ("2040-02-01T00:00:00", 0)):
        hand_clock.at = at(now)
        found = await account.post(SEARCH, query="Kim")
        assert len(found["memories"]) == count
        assert found["as_of"] == f"{now}.000000+00:00"
    hand_clock.at = at("2039-01-01T00:00:00")
    assert (await account.post(SEARCH, query="Kim"))["as_of"] == "2040-01-01T00:00:00.000000+00:00"
