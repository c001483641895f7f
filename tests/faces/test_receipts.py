"""Receipts of answers, their replay, what invalidates them, and what becomes of them when evidence is erased."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import Account, MakeAccount
from tests.faces.test_erase import dump
from tests.faces.test_models import answering, llm
from tests.faces.wire import NOWHERE, QUERY, nothing_stored, problem, require_instant, same_for_all
from tests.plain import connected
from tests.providers.scripted_provider import KEY, Exchange, ScriptedProvider, answers

RECEIPTS = "/agent/receipts"
CITY = {"subject": "kim", "attribute": "city"}
FOUND_KEYS = {
    *("receipt_id", "at", "tenant_id", "actor", "request_id", "transaction", "as_of", "request", "search_type"),
    *("embedder", "ranker", "provider", "model", "rung", "prompt_version", "prompt_hash", "answer", "answer_hash"),
    *("grounded", "refused", "evidence", "invalidated", "warnings"),
}


async def ask(account: Account, question: str = "Where does Kim live?", **fields: Any) -> dict[str, Any]:
    return await account.post(QUERY, question=question, **fields)


async def receipt(account: Account, receipt_id: str) -> dict[str, Any]:
    return await account.get(f"{RECEIPTS}/{receipt_id}")


async def replay(account: Account, receipt_id: str, **body: Any) -> dict[str, Any]:
    return await account.post(f"{RECEIPTS}/{receipt_id}/replay", **body)


def sentences(*texts: str) -> dict[str, Any]:
    return {"sentences": [{"text": text, "citations": [1]} for text in texts]}


async def test_every_answer_has_a_receipt(account: Account) -> None:
    """Question, parameters, both times, evidence in order with what is cited, answer and hash: as answered."""
    await account.add("Kim lives in Oslo")
    await account.add("The moon is far away")
    answer = await ask(account, include_proof_tree=True, limit=5, sources=["agent"])
    found = await receipt(account, answer["receipt_id"])
    assert set(found) == FOUND_KEYS
    assert (found["transaction"], found["as_of"]) == (answer["transaction"], answer["as_of"])
    require_instant(found["at"])
    assert found["request"]["question"] == "Where does Kim live?"
    assert (found["request"]["limit"], found["request"]["sources"]) == (5, ["agent"])
    assert (found["answer"], found["search_type"]) == (answer["answer"], answer["search_type"])
    assert found["answer_hash"] == answer["proof_tree"]["answer_hash"]
    assert (found["grounded"], found["refused"], found["invalidated"]) == (True, False, None)
    assert (found["provider"], found["model"], found["prompt_version"], found["prompt_hash"]) == (None,) * 4
    assert found["embedder"] and found["ranker"]
    assert found["evidence"] == [
        {
            "place": one["index"],
            "memory_id": one["memory_id"],
            "version": memory["version"],
            "cited": one["cited_by_llm"],
        }
        for one, memory in zip(answer["citations"], answer["memories"], strict=True)
    ]
    assert [one["cited"] for one in found["evidence"]] == [True, False]


async def test_refusals_have_one_too(account: Account) -> None:
    """With evidence that does not answer, and with none."""
    empty = await receipt(account, (await ask(account))["receipt_id"])
    assert (empty["refused"], empty["evidence"], empty["search_type"], empty["transaction"]["id"]) == (
        True,
        [],
        "none",
        0,
    )
    await account.add("The moon is far away")
    refused = await receipt(account, (await ask(account, "What is the boiling point of tungsten?"))["receipt_id"])
    assert refused["refused"] is True
    assert [one["cited"] for one in refused["evidence"]] == [False]


async def test_a_model_is_kept_without_its_key(account: Account, dsn: str) -> None:
    """Provider, model, rung, prompt; of the request's model only the names."""
    await account.add("Kim lives in Oslo")
    async with ScriptedProvider(answering(answer=sentences("Kim lives in Oslo."))) as provider:
        answer = await ask(account, llm=llm(provider, extra={"user": "a-secret"}))
    found = await receipt(account, answer["receipt_id"])
    assert (found["provider"], found["model"], found["rung"]) == ("openai", "m-1", "json_schema")
    assert found["prompt_version"] and len(found["prompt_hash"]) == 64
    assert found["request"]["llm"] == {"provider": "openai", "model": "m-1"}
    for secret in (KEY, "a-secret", provider.base_url):
        assert secret.encode() not in dump(dsn)


async def test_the_list_is_paged_newest_first_and_by_memory(account: Account) -> None:
    """Cursor, limit, tenant; with `memory_id` only the answers that considered it, in whichever tenant it is."""
    kim = await account.add("Kim lives in Oslo")
    first = [(await ask(account))["receipt_id"] for _ in range(3)]
    await account.add("Lee likes tea")
    last = (await ask(account, "Who likes tea?", limit=1))["receipt_id"]
    elsewhere = await account.add("Kim lives in Rome", tenant_id="b")
    other = (await ask(account, tenant_id="b"))["receipt_id"]
    pages: list[str] = []
    cursor: dict[str, Any] = {}
    while True:
        page = await account.get(RECEIPTS, limit=3, **cursor)
        pages += [one["receipt_id"] for one in page["receipts"]]
        if not page["has_more"]:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert pages == [last, *reversed(first)]
    [shown] = (await account.get(RECEIPTS, tenant_id="b"))["receipts"]
    assert (shown["receipt_id"], shown["question"], shown["tenant_id"]) == (other, "Where does Kim live?", "b")
    assert (shown["memories_considered"], shown["memories_cited"], shown["invalidated"]) == (1, 1, None)
    by_memory = (await account.get(RECEIPTS, memory_id=kim))["receipts"]
    assert [one["receipt_id"] for one in by_memory] == list(reversed(first))
    assert [one["receipt_id"] for one in (await account.get(RECEIPTS, memory_id=elsewhere))["receipts"]] == [other]
    foreign = await account.client.get(RECEIPTS, params={"cursor": "AAAA"})
    problem(foreign, 400, "invalid_cursor")


async def test_nobody_else_sees_it(account: Account, make_account: MakeAccount) -> None:
    """Another account's, another tenant's, and one that never was: the same 404, byte for byte."""
    await account.add("Kim lives in Oslo", tenant_id="b")
    mine = (await ask(account, tenant_id="b"))["receipt_id"]
    pinned = await make_account(of=account.row, tenant_id="a")
    inside = await make_account(of=account.row, tenant_id="b")
    other = await make_account()
    assert (await receipt(inside, mine))["receipt_id"] == mine
    assert (await replay(inside, mine))["drift"] == "none"
    assert len((await inside.get(RECEIPTS))["receipts"]) == 1
    assert (await pinned.get(RECEIPTS))["receipts"] == (await other.get(RECEIPTS))["receipts"] == []
    ids = [(pinned, mine), (other, mine), (account, NOWHERE), (account, "nothing")]
    same_for_all([await one.client.get(f"{RECEIPTS}/{id_}") for one, id_ in ids])
    same_for_all([await one.client.post(f"{RECEIPTS}/{id_}/replay", json={}) for one, id_ in ids])
    reader = await make_account(of=account.row, scopes="memories:read")
    problem(await reader.client.get(f"{RECEIPTS}/{mine}"), 403, "insufficient_scope")


async def test_property_20_an_extractive_answer_replays_after_any_later_writes(account: Account) -> None:
    """Property 20: same evidence in the same order, same answer, same hash, whatever was written since: asserts,
    supersessions, corrections, retractions, restores, other tenants; asked now, as of then, or at a transaction."""
    ids = [await account.add(f"Kim lives in {city}", valid_from=f"20{year}-01-01", **CITY) for city, year in CITIES]
    for number in range(15):
        ids.append(await account.add(f"Kim was seen in Oslo on day {number}"))
    moments: list[dict[str, Any]] = [
        {},
        {"as_of": "2021-06-01"},
        {"transaction_as_of": 4},
        {"transaction_as_of": 9, "as_of": "2022-01-01"},
    ]
    answers = [
        await ask(account, question, limit=limit, **moment)
        for moment in moments
        for question, limit in (
            ("Where does Kim live?", 10),
            ("Was Kim seen in Oslo on day 3?", 3),
            ("Why tungsten?", 5),
        )
    ]
    before = [await receipt(account, answer["receipt_id"]) for answer in answers]
    for number in range(12):
        await account.add(f"Kim lives in town {number} of Oslo", valid_from=f"20{24 + number}-01-01", **CITY)
        await account.add(f"Oslo day {number} Kim Kim Kim")
        await account.add(f"Kim lives in Oslo {number}", tenant_id="b")
    await account.post(f"/memories/{ids[5]}/supersede", superseded_by=ids[6])
    await account.post(f"/memories/{ids[7]}/correct", content="Alva was seen in Rome", reason="r")
    for retracted in ids[8:14]:
        await account.post(f"/memories/{retracted}/retract")
    tx = (await account.get("/agent/transactions", limit=1))["transactions"][0]["id"]
    await account.post(f"/agent/transactions/{tx}/restore")
    async with nothing_stored(account):
        for answer, kept in zip(answers, before, strict=True):
            played = await replay(account, answer["receipt_id"])
            assert played["drift"] == "none", played
            assert played["evidence"] == {"same": True, "missing": [], "added": [], "moved": []}
            assert played["answer"] == {"same": True, "then": answer["answer"], "now": answer["answer"], "why": None}
            assert played["answer_hash"]["same"] and played["model"]["same"] and played["ranker"]["same"]
            assert (played["transaction"], played["as_of"]) == (answer["transaction"], answer["as_of"])
            now = await receipt(account, answer["receipt_id"])
            assert {**now, "invalidated": None} == kept
    assert len((await account.get(RECEIPTS, limit=100))["receipts"]) == len(answers)


QUESTIONS = [("Where does Kim live?", 10), ("Was Kim seen in Oslo on day 3?", 3), ("Why tungsten?", 5)]
CITIES = [("Bergen", 18), ("Oslo", 20), ("Rome", 22)]


async def test_a_replay_says_what_drifted_of_a_model(account: Account) -> None:
    """The same model, the same answer: none. Another answer: `answer`. Of another model: `model`. Without a model,
    where the request brought its own: `not_asked`, and the evidence is compared all the same."""
    await account.add("Kim lives in Oslo")
    async with ScriptedProvider(answering(answer=sentences("Kim lives in Oslo."))) as provider:
        asked = (await ask(account, llm=llm(provider)))["receipt_id"]
        same = await replay(account, asked, llm=llm(provider))
    async with ScriptedProvider(answering(answer=sentences("It is Oslo."))) as provider:
        answer = await replay(account, asked, llm=llm(provider))
        model = await replay(account, asked, llm=llm(provider, model="m-2"))
    unasked = await replay(account, asked)
    assert [one["drift"] for one in (same, answer, model, unasked)] == ["none", "answer", "model", "not_asked"]
    assert answer["answer"] == {"same": False, "then": "Kim lives in Oslo.", "now": "It is Oslo.", "why": None}
    assert model["model"] == {"same": False, "then": "openai/m-1", "now": "openai/m-2"}
    assert (unasked["answer"]["same"], unasked["answer"]["now"]) == (False, None)
    assert "llm" in unasked["answer"]["why"]
    assert unasked["evidence"]["same"] is True


async def test_a_replay_says_what_drifted_of_the_evidence(account: Account, dsn: str) -> None:
    """What is missing, added and moved, by memory, version and place; the cause is named: ranker, embedder, else the
    evidence itself."""
    memories = [await account.add(f"Kim lives in {city}") for city in ("Oslo", "Rome", "Bonn")]
    answer = await ask(account, limit=2)
    asked = answer["receipt_id"]
    left_out = (set(memories) - {one["memory_id"] for one in answer["citations"]}).pop()
    found = await receipt(account, asked)
    first, second = found["evidence"]

    async def change(statement: str, *values: Any) -> None:
        async with connected(dsn) as connection:
            await connection.execute(statement, *values)

    version = (await account.get(f"/memories/{left_out}"))["memory"]["version"]
    at = "WHERE receipt_id = $1 AND place = "
    await change(f"UPDATE receipt_evidence SET memory_id = $2, version_id = $3 {at} 1", asked, left_out, version)
    played = await replay(account, asked)
    assert played["drift"] == "evidence"
    gone = {"memory_id": left_out, "version": version, "then": 1, "now": None}
    new = {"memory_id": first["memory_id"], "version": first["version"], "then": None, "now": 1}
    assert played["evidence"] == {"same": False, "missing": [gone], "added": [new], "moved": []}
    assert played["answer"]["same"] is True
    await change(
        f"UPDATE receipt_evidence SET memory_id = $2, version_id = $3 {at} 1",
        asked,
        second["memory_id"],
        second["version"],
    )
    await change(
        f"UPDATE receipt_evidence SET memory_id = $2, version_id = $3 {at} 2",
        asked,
        first["memory_id"],
        first["version"],
    )
    played = await replay(account, asked)
    assert [(one["then"], one["now"]) for one in played["evidence"]["moved"]] == [(1, 2), (2, 1)]
    for column in ("ranker", "embedder"):
        await change(f"UPDATE receipt SET {column} = 'old' WHERE id = $1", asked)
        played = await replay(account, asked)
        assert played["drift"] == column
        assert (played[column]["same"], played[column]["then"]) == (False, "old")


async def used(account: Account, memory: str) -> tuple[int, list[bool]]:
    """How many answers considered a memory, and which of them are invalidated, newest first."""
    found = await account.get(f"/memories/{memory}")
    return found["used_in_count"], [one["invalidated"] for one in found["used_in"]]


async def test_a_correction_invalidates(account: Account) -> None:
    """The receipt names transaction, instant, verb and memory; an answer made afterwards stands."""
    memory, other = await account.add("Kim lives in Oslo"), await account.add("The moon is far away")
    asked = (await ask(account))["receipt_id"]
    assert (await used(account, memory), await used(account, other)) == ((1, [False]), (1, [False]))
    await account.post(f"/memories/{other}/correct", content="The moon is near", reason="r")
    assert (await receipt(account, asked))["invalidated"] is None  # not cited
    corrected = await account.post(f"/memories/{memory}/correct", content="Kim lives in Rome", reason="r")
    assert (await receipt(account, asked))["invalidated"] == {
        "transaction": corrected["transaction"]["id"],
        "at": corrected["transaction"]["at"],
        "verb": "correct",
        "memory_ids": [memory],
    }
    again = await ask(account)
    assert (await receipt(account, again["receipt_id"]))["invalidated"] is None
    listed = (await account.get(RECEIPTS))["receipts"]
    assert [one["invalidated"] is None for one in listed] == [True, False]
    assert await used(account, memory) == (2, [False, True])
    shown = (await account.get(f"/memories/{memory}"))["used_in"]
    assert [one["receipt_id"] for one in shown] == [again["receipt_id"], asked]
    assert [one["cited"] for one in shown] == [True, True]
    assert [one["cited"] for one in (await account.get(f"/memories/{other}"))["used_in"]] == [False, False]


async def test_a_correction_of_the_interval_invalidates(account: Account) -> None:
    """The same words about another time: the record was wrong."""
    memory = await account.add("Kim lives in Oslo", valid_from="2020-01-01")
    asked = (await ask(account))["receipt_id"]
    await account.post(f"/memories/{memory}/correct", valid_from="2019-01-01", reason="r")
    assert (await receipt(account, asked))["invalidated"]["verb"] == "correct"
    await account.post("/agent/transactions/2/restore")
    assert (await receipt(account, asked))["invalidated"] is None


async def test_a_retraction_invalidates_until_it_is_restored(account: Account) -> None:
    """A restore of the retraction gives the record back; a restore of what had opened it takes it."""
    memory = await account.add("Kim lives in Oslo")
    asked = (await ask(account))["receipt_id"]
    await account.post(f"/memories/{memory}/retract")
    told = (await receipt(account, asked))["invalidated"]
    assert (told["transaction"], told["verb"], told["memory_ids"]) == (2, "retract", [memory])
    await account.post("/agent/transactions/2/restore")
    assert (await receipt(account, asked))["invalidated"] is None
    await account.post(f"/memories/{memory}/retract")
    assert (await receipt(account, asked))["invalidated"]["transaction"] == 4
    await account.post("/agent/transactions/4/restore")
    other = await account.add("Lee likes tea")
    asked = (await ask(account, "Who likes tea?"))["receipt_id"]
    await account.post("/agent/transactions/6/restore")
    told = (await receipt(account, asked))["invalidated"]
    assert (told["transaction"], told["verb"], told["memory_ids"]) == (7, "restore", [other])


@pytest.mark.parametrize("verb", ["supersede", "end", "assert"])
async def test_that_the_world_changed_invalidates_nothing(account: Account, verb: str) -> None:
    """It was true then, and is still held to have been: until what is left of it is retracted."""
    memory = await account.add("Kim lives in Oslo", valid_from="2020-01-01", **CITY)
    asked = (await ask(account))["receipt_id"]
    if verb == "assert":
        await account.add("Kim lives in Rome", **CITY)
    else:
        successor = {"superseded_by": await account.add("Kim lives in Rome")} if verb == "supersede" else {}
        await account.post(f"/memories/{memory}/supersede", valid_to="2026-01-01", **successor)
    assert (await receipt(account, asked))["invalidated"] is None
    assert (await replay(account, asked))["drift"] == "none"
    await account.post(f"/memories/{memory}/retract")
    assert (await receipt(account, asked))["invalidated"]["verb"] == "retract"


async def test_the_newest_twenty_uses_are_shown_and_all_counted(account: Account) -> None:
    """`used_in` and `used_in_count`; reads and searches are no uses."""
    memory = await account.add("Kim lives in Oslo")
    await account.post("/agent/search", query="Kim")
    assert await used(account, memory) == (0, [])
    made = [(await ask(account))["receipt_id"] for _ in range(22)]
    found = await account.get(f"/memories/{memory}")
    assert found["used_in_count"] == 22
    assert [one["receipt_id"] for one in found["used_in"]] == made[:1:-1]


async def test_an_erased_memory_is_in_no_receipt(account: Account, dsn: str) -> None:
    """Questions and answers that quote it go with it, whether they cite it or only considered it: no byte of it is in a
    dump; the receipt is 404, and others stay."""
    word = f"canary{uuid4().hex}"
    memory = await account.add(f"Kim lives in {word}")
    cites = (await ask(account, f"Does Kim live in {word}?"))["receipt_id"]
    considers = (await ask(account, f"What is the boiling point of tungsten in {word}s?"))["receipt_id"]
    async with ScriptedProvider(answering(answer=sentences(f"Kim lives in {word}."))) as provider:
        by_model = (await ask(account, llm=llm(provider)))["receipt_id"]
    await account.add("Lee likes tea")
    stays = (await ask(account, "Who likes tea?", limit=1))["receipt_id"]
    assert dump(dsn).count(word.encode()) >= 5
    await account.post(f"/memories/{memory}/erase")
    assert word.encode() not in dump(dsn)
    for gone in (cites, considers, by_model):
        problem(await account.client.get(f"{RECEIPTS}/{gone}"), 404, "not_found")
        problem(await account.client.post(f"{RECEIPTS}/{gone}/replay", json={}), 404, "not_found")
    assert [one["receipt_id"] for one in (await account.get(RECEIPTS))["receipts"]] == [stays]
    assert (await replay(account, stays))["drift"] == "none"


async def test_what_is_erased_while_a_model_thinks_is_not_answered(account: Account, dsn: str) -> None:
    """The answer cannot be kept any more: the question is asked anew, of what is left."""
    word = f"canary{uuid4().hex}"
    memory = await account.add(f"Kim lives in {word}")
    kept = await account.add("Kim lives in Oslo")

    async def erases(exchange: Exchange) -> None:
        await account.post(f"/memories/{memory}/erase")
        await answers()(exchange)

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        return sentences("Kim lives in Oslo.") if word not in str(request) else sentences(f"Kim lives in {word}.")

    async with ScriptedProvider(answer) as provider:
        provider.script(erases)
        answered = await ask(account, llm=llm(provider), include_proof_tree=True)
        assert len(provider.requests) == 2
    assert word not in str(answered)
    assert [one["memory_id"] for one in answered["citations"]] == [kept]
    assert word.encode() not in dump(dsn)
    assert len((await account.get(RECEIPTS))["receipts"]) == 1


async def test_answers_and_erasures_race(account: Account, dsn: str) -> None:
    """Many rounds of answers being kept while their evidence is erased: no receipt names an erased memory, no answer is
    a server error, and every erasure succeeds."""
    for round_ in range(25):
        word = f"canary{uuid4().hex}"
        memories = [await account.add(f"Kim lives in {word} {number}") for number in range(4)]

        async def erase(memories: list[str] = memories, wait: int = round_) -> None:
            for _ in range(wait % 5):
                await asyncio.sleep(0)
            for memory in memories[: 1 + wait % 4]:
                response = await account.client.post(f"/memories/{memory}/erase", json={})
                assert response.status_code == 200, response.text

        async def query(word: str = word) -> None:
            response = await account.client.post(
                QUERY, json={"question": f"Does Kim live in {word}?", "include_proof_tree": True}
            )
            assert response.status_code in (200, 503), response.text

        await asyncio.gather(query(), erase(), query(), query())
        await account.post("/agent/erase", tenant_id="")
        assert word.encode() not in dump_of(await receipts_of(dsn, account))
    assert (await account.get("/agent/transactions/verify"))["ok"] is True


async def receipts_of(dsn: str, account: Account) -> list[Any]:
    async with connected(dsn) as connection:
        return await connection.fetch(
            "SELECT request::text, answer FROM receipt WHERE company_id = $1 AND id IN "
            "(SELECT receipt_id FROM receipt_evidence)",
            account.row.id,
        )


def dump_of(rows: list[Any]) -> bytes:
    return "\n".join(str(tuple(row)) for row in rows).encode()


async def test_an_emptied_tenants_receipts_go_with_it(account: Account) -> None:
    """What was asked in a tenant goes with the whole tenant, also where its memories were erased before."""
    memory = await account.add("Kim lives in Oslo", tenant_id="acme")
    await account.post(f"/memories/{memory}/erase")
    asked = await account.post("/agent/query", question="Where does Kim live?", tenant_id="acme")
    await account.post("/agent/erase", tenant_id="acme")
    assert (await account.client.get(f"/agent/receipts/{asked['receipt_id']}")).status_code == 404
    assert (await account.get("/agent/receipts", tenant_id="acme"))["receipts"] == []
    assert (await account.get("/agent/transactions/verify"))["ok"] is True
    again = await account.post("/agent/erase", tenant_id="acme")
    assert again["status"] == "nothing"
