"""POST, GET /agent/memories and the bulk path: contract.md §1 and §2, through HTTP."""

from typing import Any

import pytest

from tests.conftest import Account, HandClock, MakeAccount
from tests.faces.wire import (
    BULK,
    MEMORIES,
    PLAN,
    REPORT_KEYS,
    WRITTEN_KEYS,
    at,
    encoded,
    list_of,
    nothing_stored,
    ok,
    problem,
    raw_post,
    require_instant,
    require_memory,
    require_no_null,
)

TALK = [
    {"role": "user", "content": "I moved to Lisbon in the spring of last year. My dog is called Bruno."},
    {"role": "assistant", "content": "Lisbon is lovely! I have noted the name of your dog."},
]
SMALL_TALK = [{"role": "user", "content": "Hi there!"}, {"role": "assistant", "content": "How are you?"}]


# ---- what a write answers


async def test_a_write_answers_with_exactly_the_contract_keys(account: Account) -> None:
    """Answer: status, memory_id, memory_ids[], extracted_count, saved_count, company_id, tenant_id, extraction,
    transaction, auto_supersede (an object in content mode); ours on top. Success is 200."""
    answer = ok(await account.client.post(MEMORIES, json={"content": "Kim likes tea"}))
    assert set(answer) == WRITTEN_KEYS
    assert answer["status"] == "saved"
    assert answer["memory_ids"] == [answer["memory_id"]]
    assert (answer["extracted_count"], answer["saved_count"]) == (1, 1)
    assert answer["company_id"] == str(account.row.id)
    assert answer["tenant_id"] is None
    assert set(answer["extraction"]) == {"mode", "provider", "model", "prompt_version"}
    assert set(answer["transaction"]) == {"id", "at"}
    assert answer["transaction"]["id"] == 1
    require_instant(answer["transaction"]["at"])
    assert set(answer["auto_supersede"]) == REPORT_KEYS
    assert answer["auto_supersede"]["memory_id"] == answer["memory_id"]
    assert answer["auto_supersede"]["candidates_examined"] == 0
    require_no_null(answer)


async def test_messages_mode_answers_a_null_memory_id_and_an_array_of_reports(account: Account) -> None:
    """In messages mode `memory_id` is null and `auto_supersede` an array, one item a memory."""
    answer = await account.post(MEMORIES, messages=TALK)
    assert set(answer) == WRITTEN_KEYS
    assert answer["status"] == "saved"
    assert answer["memory_id"] is None
    assert answer["saved_count"] == len(answer["memory_ids"]) >= 2
    assert answer["extracted_count"] == answer["saved_count"]
    assert [report["memory_id"] for report in answer["auto_supersede"]] == answer["memory_ids"]
    assert all(set(report) == REPORT_KEYS for report in answer["auto_supersede"])
    require_no_null(answer)


async def test_small_talk_gives_no_facts(account: Account) -> None:
    """0…n facts are extracted; small talk gives 0: `no_facts`, nothing stored, nothing metered."""
    async with nothing_stored(account):
        for messages in (SMALL_TALK, [], [{"role": "user", "content": ""}]):
            answer = await account.post(MEMORIES, messages=messages)
            assert answer["status"] == "no_facts"
            assert answer["memory_id"] is None
            assert answer["memory_ids"] == []
            assert answer["auto_supersede"] == []
            assert (answer["extracted_count"], answer["saved_count"]) == (0, 0)
            require_no_null(answer)


async def test_content_is_stored_verbatim_as_exactly_one_memory(account: Account) -> None:
    """Content is stored as received, white space included, as exactly one memory."""
    text = "  First sentence. Second sentence!\n\n\tThird?  "
    assert (await account.post(MEMORIES, content=text))["saved_count"] == 1
    assert [memory["decision"] for memory in await list_of(account)] == [text]


async def test_both_and_neither_of_content_and_messages_are_400(account: Account) -> None:
    """One of `content` / `messages`; both or neither → 400. A call without arguments does reach the server."""
    async with nothing_stored(account):
        for body in ({}, {"topic": "General"}, {"content": "a", "messages": TALK}, {"content": "", "messages": TALK}):
            problem(await account.client.post(MEMORIES, json=body), 400, "invalid_request")
        problem(await account.client.post(MEMORIES, json={"content": "  \n "}), 400)
        problem(await account.client.post(MEMORIES), 400, "invalid_request")
        problem(await account.client.post(MEMORIES, json={"content": None, "messages": None}), 400)


async def test_an_answer_is_always_an_object(account: Account) -> None:
    """Success is 200 for every compatible path, POST included, and always a JSON object."""
    memory_id = await account.add("Kim likes tea")
    other = await account.add("Kim likes coffee")
    for response in (
        await account.client.get(MEMORIES),
        await account.client.post("/agent/query", json={"question": "tea?"}),
        await account.client.post(f"/memories/{memory_id}/supersede", json={"superseded_by": other}),
        await account.client.get(f"/memories/{memory_id}/timeline"),
        await account.client.get(f"/memories/{memory_id}/audit"),
        await account.client.get("/agent/settings"),
        await account.client.patch("/agent/settings", json={}),
        await account.client.get(PLAN),
        await account.client.delete(f"/memories/{memory_id}"),
    ):
        require_no_null(ok(response))


# ---- defaults and fields


async def test_defaults_of_a_content_write(account: Account) -> None:
    """topic "General", importance_score 5, source "agent", tenant null, valid from the transaction's instant, open."""
    answer = await account.post(MEMORIES, content="Kim likes tea")
    [memory] = await list_of(account)
    require_memory(memory)
    assert (memory["topic"], memory["importance_score"], memory["importance"]) == ("General", 5, "medium")
    assert (memory["source"], memory["source_citation"]["type"], memory["tenant_id"]) == ("agent", "agent", None)
    assert memory["valid_from"] == memory["created_at"] == answer["transaction"]["at"]
    assert memory["transaction_time_start"] == answer["transaction"]["at"]
    assert memory["valid_to"] is memory["superseded_by"] is memory["transaction_time_end"] is None
    assert memory["people"] == memory["action_items"] == []
    assert memory["freshness"] == 1.0
    assert memory["channel"] is None
    assert memory["original_message"] is None
    temporal = memory["temporal"]
    assert temporal["is_current"] is temporal["is_known_current"] is True
    assert temporal["is_expired"] is temporal["is_superseded"] is False


async def test_what_was_sent_is_what_is_read_back(account: Account) -> None:
    """Every field of a content write comes back, as given."""
    sent: dict[str, Any] = {
        "content": "Kim works at Acme",
        "topic": "Work",
        "importance_score": 9,
        "source": "crm",
        "tenant_id": "north",
        "session_id": "call-1",
        "valid_from": "2024-03-01T10:00:00+02:00",
        "valid_to": "2099-03-01",
        "subject": "Kim",
        "attribute": "Employer",
        "cardinality": "one",
        "metadata": {"deal": 7, "tags": ["a", None, {"x": 1.5}]},
        "external_id": "crm-77",
    }
    answer = await account.post(MEMORIES, **sent)
    assert answer["tenant_id"] == "north"
    [memory] = await list_of(account, tenant_id="north")
    assert memory["decision"] == sent["content"]
    for name in ("topic", "importance_score", "source", "tenant_id", "session_id", "subject", "attribute"):
        assert memory[name] == sent[name], name
    assert memory["metadata"] == sent["metadata"]
    assert memory["external_id"] == sent["external_id"]
    assert memory["valid_from"] == "2024-03-01T08:00:00.000000+00:00"
    assert memory["valid_to"] == "2099-03-01T00:00:00.000000+00:00"


@pytest.mark.parametrize(("word", "score"), [("low", 2), ("medium", 5), ("high", 8)])
async def test_legacy_importance_is_a_score(account: Account, word: str, score: int) -> None:
    """`importance` low/medium/high is accepted for ever: 2/5/8."""
    await account.post(MEMORIES, content="Kim likes tea", importance=word)
    [memory] = await list_of(account)
    assert (memory["importance_score"], memory["importance"]) == (score, word)


async def test_importance_score_wins_over_the_legacy_word(account: Account) -> None:
    """`importance_score` wins over `importance`."""
    await account.post(MEMORIES, content="Kim likes tea", importance="low", importance_score=10)
    assert (await list_of(account))[0]["importance_score"] == 10


@pytest.mark.parametrize("score", [0, 11, -1, 10**30])
async def test_importance_out_of_range_is_400(account: Account, score: int) -> None:
    """importance_score outside 1…10 → 400."""
    async with nothing_stored(account):
        problem(await raw_post(account, MEMORIES, encoded({"content": "a", "importance_score": score})), 400)
    for edge in (1, 10):
        await account.add(f"edge {edge}", importance_score=edge)


async def test_an_unknown_legacy_importance_is_400(account: Account) -> None:
    """`importance` is one of low, medium, high."""
    problem(await account.client.post(MEMORIES, json={"content": "a", "importance": "urgent"}), 400, "out_of_range")


@pytest.mark.parametrize(("sent", "stored"), [(None, "agent_session"), ("agent", "agent_session"), ("zoom", "zoom")])
async def test_the_source_of_messages(account: Account, sent: str | None, stored: str) -> None:
    """In messages mode a missing source or "agent" means `agent_session`; another stays."""
    await account.post(MEMORIES, messages=TALK, **({} if sent is None else {"source": sent}))
    memories = await list_of(account)
    assert {memory["source"] for memory in memories} == {stored}
    assert {memory["source_citation"]["type"] for memory in memories} == {stored}


async def test_topic_is_ignored_in_messages_mode(account: Account) -> None:
    """`topic` is content mode only (clients always send it)."""
    await account.post(MEMORIES, messages=TALK, topic="Sales")
    assert all(memory["topic"] != "Sales" for memory in await list_of(account))


async def test_the_session_is_the_channel_of_extracted_memories(account: Account) -> None:
    """`session_id` becomes the `channel` of the extracted memories: flat, and in the source citation."""
    await account.post(MEMORIES, messages=TALK, session_id="s-1")
    memories = await list_of(account)
    assert memories
    for memory in memories:
        assert memory["channel"] == memory["session_id"] == "s-1"
        assert memory["source_citation"]["channel"] == memory["source_citation"]["session_id"] == "s-1"


async def test_the_flat_original_message_is_the_one_turn(account: Account) -> None:
    """Flat `original_message` is the one turn the fact came from, `User: …`; the whole dialog stays in
    `source_citation.original_message`."""
    await account.post(MEMORIES, messages=TALK, session_id="s-1")
    memories = {memory["decision"]: memory for memory in await list_of(account)}
    user = next(memory for text, memory in memories.items() if "Bruno" in text)
    assistant = next(memory for text, memory in memories.items() if "noted" in text)
    assert user["original_message"] == f"User: {TALK[0]['content']}"
    assert assistant["original_message"] == f"Assistant: {TALK[1]['content']}"
    dialog = f"User: {TALK[0]['content']}\nAssistant: {TALK[1]['content']}"
    for memory in memories.values():
        require_memory(memory)
        assert memory["source_citation"]["original_message"] == dialog


async def test_the_flat_original_message_has_at_most_500_characters(account: Account) -> None:
    """Flat `original_message`: 500 characters at most; nothing of the citation is lost."""
    long = "The contract was signed by both parties in Lisbon. " * 40
    await account.post(MEMORIES, messages=[{"role": "user", "content": long}])
    for memory in await list_of(account):
        assert len(memory["original_message"]) == 500
        assert f"User: {long}".startswith(memory["original_message"])
        assert memory["source_citation"]["original_message"] == f"User: {long}"


async def test_verbatim_turns_keep_speaker_time_and_the_callers_id(account: Account) -> None:
    """`"extraction": "verbatim"` is one memory a turn, with `name` (speaker), `at` and `id` as `message_id`."""
    turns = [
        {"role": "user", "name": "Ana", "at": "2023-05-08T13:56:00Z", "id": "D1:1", "content": "Hi!"},
        {"role": "assistant", "name": "Ben", "at": "2023-05-08T15:57:00+02:00", "id": "D1:2", "content": " Oh, hello "},
    ]
    answer = await account.post(MEMORIES, messages=turns, session_id="s-1", extraction="verbatim")
    assert (answer["saved_count"], answer["extracted_count"]) == (2, 2)
    assert answer["extraction"]["mode"] == "verbatim"
    by_id = {memory["id"]: memory for memory in await list_of(account)}
    for turn, memory_id, said in zip(turns, answer["memory_ids"], ("13:56", "13:57"), strict=True):
        memory = by_id[memory_id]
        require_memory(memory)
        require_no_null(memory)
        assert memory["decision"] == turn["content"]
        citation = memory["source_citation"]
        assert (citation["message_id"], citation["speaker"]) == (turn["id"], turn["name"])
        assert citation["said_at"] == memory["valid_from"] == f"2023-05-08T{said}:00.000000+00:00"
        assert memory["original_message"] == f"{turn['role'].capitalize()}: {turn['content']}"
        assert turn["content"] in citation["original_message"]
        assert memory["people"] == [turn["name"]]


@pytest.mark.parametrize("mode", ["auto", "verbatim"])
async def test_a_span_points_into_its_turn(account: Account, mode: str) -> None:
    """`source_citation.span` are the characters of the turn that say the fact."""
    await account.post(MEMORIES, messages=TALK, extraction=mode)
    by_prefix = {f"{turn['role'].capitalize()}: {turn['content']}": turn["content"] for turn in TALK}
    for memory in await list_of(account):
        start, end = memory["source_citation"]["span"]
        assert by_prefix[memory["original_message"]][start:end] == memory["decision"]


async def test_arrays_of_a_memory_without_a_source_turn_are_not_null(account: Account) -> None:
    """Arrays are never null: neither `people` nor `span`, in content mode either."""
    await account.add("Kim likes tea")
    [memory] = await list_of(account)
    for array in (memory["people"], memory["action_items"], memory["source_citation"]["span"]):
        assert isinstance(array, list)


async def test_a_model_named_for_content_is_not_asked_and_not_shown(account: Account) -> None:
    """`llm` is used for this request, never stored; `key` is accepted for `api_key`. Content needs no model."""
    for name in ("api_key", "key"):
        secret = f"sk-canary-{name}"
        llm: dict[str, Any] = {
            "provider": "openai",
            "model": "m",
            name: secret,
            "base_url": "http://127.0.0.1:9/v1",
            "extra": {},
        }
        response = await account.client.post(MEMORIES, json={"content": f"Kim likes {name}", "llm": llm})
        assert ok(response)["extraction"]["mode"] == "verbatim"
        assert secret not in response.text
        assert secret not in (await account.client.get(MEMORIES)).text


async def test_an_unknown_provider_is_refused_with_a_name_of_the_field(account: Account) -> None:
    """A provider this server does not have is the caller's mistake: 400, and nothing is stored."""
    async with nothing_stored(account):
        for llm in ({"provider": "nobody", "model": "m"}, {"provider": "openai", "model": "m"}, {"model": "m"}):
            body = problem(await account.client.post(MEMORIES, json={"messages": TALK, "llm": llm}), 400)
            assert body["code"] == "bad_provider"


# ---- company and tenant


async def test_the_company_is_set_by_the_key_never_by_the_request(account: Account, make_account: MakeAccount) -> None:
    """`company_id` is the owning account: in a request it is an unknown field, ignored and named."""
    other = await make_account()
    answer = await account.post(MEMORIES, content="Kim likes tea", company_id=str(other.row.id))
    assert answer["company_id"] == str(account.row.id)
    assert any("company_id" in warning for warning in answer["warnings"])
    assert {memory["company_id"] for memory in await list_of(account)} == {str(account.row.id)}
    assert await other.decisions() == []


async def test_an_absent_or_null_tenant_is_the_default_tenant_only(account: Account) -> None:
    """Absent or null tenant_id is the default tenant only, never all."""
    await account.post(MEMORIES, content="of nobody", tenant_id=None)
    await account.post(MEMORIES, content="of north", tenant_id="north")
    await account.post(MEMORIES, content="of south", tenant_id="south")
    assert await account.decisions() == ["of nobody"]
    assert await account.decisions(tenant_id="north") == ["of north"]
    for path, name in (("/agent/search", "query"), ("/agent/query", "question")):
        for body, text in (({}, "of nobody"), ({"tenant_id": None}, "of nobody"), ({"tenant_id": "south"}, "of south")):
            found = await account.post(path, **{name: "of", **body})
            assert [memory["decision"] for memory in found["memories"]] == [text]


async def test_an_unknown_tenant_is_simply_empty(account: Account) -> None:
    """A tenant nobody has written to is empty, not an error."""
    await account.add("of nobody")
    answer = await account.get(MEMORIES, tenant_id="nowhere")
    assert answer["memories"] == []
    assert answer["has_more"] is False
    assert (await account.post("/agent/search", query="of", tenant_id="nowhere"))["memories"] == []


async def test_a_pinned_key_sees_and_writes_its_tenant_alone(account: Account, make_account: MakeAccount) -> None:
    """Under a key pinned to a tenant the default is that tenant, and another one cannot be reached."""
    await account.add("of nobody")
    await account.add("of south", tenant_id="south")
    pinned = await make_account(of=account.row, tenant_id="north")
    written = await pinned.post(MEMORIES, content="of north")
    assert written["tenant_id"] == "north"
    assert await pinned.decisions() == ["of north"]
    assert await pinned.decisions(tenant_id="north") == ["of north"]
    assert await account.decisions(tenant_id="north") == ["of north"]
    async with nothing_stored(account):
        problem(await pinned.client.post(MEMORIES, json={"content": "of south", "tenant_id": "south"}), 404)
    refused = await pinned.client.get(MEMORIES, params={"tenant_id": "south"})
    assert "of south" not in refused.text


# ---- duplicates


async def test_a_duplicate_answers_the_existing_id_and_costs_nothing(account: Account) -> None:
    """`duplicate` answers the existing id, saves and meters nothing; the transaction shown is the newest."""
    first = await account.post(MEMORIES, content="Kim likes tea")
    async with nothing_stored(account):
        for same in ("Kim likes tea", "  kim LIKES\ttea ", "KIM likes tea"):
            again = await account.post(MEMORIES, content=same)
            assert set(again) == WRITTEN_KEYS
            assert again["status"] == "duplicate"
            assert again["memory_id"] == first["memory_id"]
            assert again["memory_ids"] == [first["memory_id"]]
            assert again["saved_count"] == 0
            assert again["transaction"] == first["transaction"]
            require_no_null(again)


async def test_only_the_same_tenant_and_source_make_a_duplicate(account: Account) -> None:
    """Without a slot: the same tenant, source and normalised text."""
    ids = {
        await account.add("Kim likes tea"),
        await account.add("Kim likes tea", source="crm"),
        await account.add("Kim likes tea", tenant_id="north"),
        await account.add("Kim likes tea", subject="kim", attribute="drink"),
    }
    assert len(ids) == 4
    assert (await account.get(PLAN))["writes_used"] == 4


async def test_a_duplicate_in_a_slot_is_the_same_text_whatever_the_source(account: Account) -> None:
    """With a slot: a believed version of the same slot with the same normalised text."""
    first = await account.add("Tea", subject="kim", attribute="drink")
    again = await account.post(MEMORIES, content="tea", subject=" KIM", attribute="Drink ", source="crm")
    assert (again["status"], again["memory_id"]) == ("duplicate", first)


async def test_a_duplicate_covers_the_whole_asserted_interval(account: Account) -> None:
    """The same value in another period is a new fact; within the period it is a duplicate."""
    slot = {"subject": "kim", "attribute": "city"}
    first = await account.add("Oslo", valid_from="2020-01-01", valid_to="2021-01-01", **slot)
    inside = await account.post(MEMORIES, content="Oslo", valid_from="2020-03-01", valid_to="2020-04-01", **slot)
    assert (inside["status"], inside["memory_id"]) == ("duplicate", first)
    later = await account.post(MEMORIES, content="Oslo", valid_from="2022-01-01", valid_to="2023-01-01", **slot)
    assert (later["status"], later["saved_count"]) == ("saved", 1)
    wider = await account.post(MEMORIES, content="Oslo", valid_from="2019-01-01", valid_to="2020-06-01", **slot)
    assert wider["status"] == "saved"


async def test_what_was_retracted_makes_no_duplicate(account: Account) -> None:
    """Only a *believed* version makes a duplicate."""
    first = await account.add("Kim likes tea")
    ok(await account.client.delete(f"/memories/{first}"))
    again = await account.post(MEMORIES, content="Kim likes tea")
    assert again["status"] == "saved"
    assert again["memory_id"] != first


async def test_verbatim_turns_are_never_duplicates_but_by_their_id(account: Account) -> None:
    """Verbatim turns are never duplicates of one another unless their `id` is the same in the same session."""
    turn = {"role": "user", "content": "yes"}
    one = await account.post(MEMORIES, messages=[turn, turn], session_id="s", extraction="verbatim")
    assert one["saved_count"] == 2
    with_id = {**turn, "id": "m-1"}
    first = await account.post(MEMORIES, messages=[with_id], session_id="s", extraction="verbatim")
    again = await account.post(MEMORIES, messages=[with_id], session_id="s", extraction="verbatim")
    assert (again["status"], again["memory_ids"]) == ("duplicate", first["memory_ids"])
    other = await account.post(MEMORIES, messages=[with_id], session_id="t", extraction="verbatim")
    assert other["status"] == "saved"
    both = await account.post(
        MEMORIES, messages=[with_id, {**turn, "id": "m-2"}], session_id="s", extraction="verbatim"
    )
    assert (both["status"], both["saved_count"], both["extracted_count"]) == ("saved", 1, 2)
    assert first["memory_ids"][0] in both["memory_ids"]
    assert (await account.get(PLAN))["writes_used"] == 5


async def test_the_same_content_twice_in_one_bulk_is_stored_once(account: Account) -> None:
    """Items are applied in order: the second of two equal ones is the duplicate of the first."""
    answer = await account.post(BULK, memories=[{"content": "Kim likes tea"}, {"content": "kim likes tea"}])
    assert [item["status"] for item in answer["items"]] == ["saved", "duplicate"]
    assert answer["items"][0]["memory_id"] == answer["items"][1]["memory_id"]
    assert (await account.get(PLAN))["writes_used"] == 1


# ---- automatic supersession


async def test_auto_supersede_reports_what_the_slot_displaced(account: Account) -> None:
    """`auto_supersede: true` → ran, with {old_memory_id, confidence, verdict, reasoning}; false → skipped."""
    slot = {"subject": "kim", "attribute": "city"}
    old = await account.add("Kim lives in Oslo", **slot)
    answer = await account.post(MEMORIES, content="Kim lives in Rome", auto_supersede=True, **slot)
    report = answer["auto_supersede"]
    assert report["ran"] is True
    assert report["candidates_examined"] >= 1
    assert set(report["supersession"]) == {"old_memory_id", "confidence", "verdict", "reasoning"}
    assert report["supersession"]["old_memory_id"] == old
    assert report["supersession"]["verdict"] == "supersedes"
    assert 0 <= report["supersession"]["confidence"] <= 1
    skipped = (await account.post(MEMORIES, content="Kim lives in Bonn", auto_supersede=False, **slot))[
        "auto_supersede"
    ]
    assert (skipped["ran"], skipped["supersession"]) == (False, None)
    assert skipped["skipped_reason"]
    require_no_null(answer)


async def test_auto_supersede_defaults_to_the_setting(account: Account) -> None:
    """`auto_supersede`: default from the settings."""
    slot = {"subject": "kim", "attribute": "city"}
    assert (await account.post(MEMORIES, content="one", **slot))["auto_supersede"]["ran"] is False
    await account.client.patch("/agent/settings", json={"auto_supersede_default": True})
    assert (await account.post(MEMORIES, content="two", **slot))["auto_supersede"]["ran"] is True
    off = await account.post(MEMORIES, content="three", auto_supersede=False, **slot)
    assert off["auto_supersede"]["ran"] is False
    free = await account.post(MEMORIES, content="four")
    assert (free["auto_supersede"]["ran"], free["auto_supersede"]["skipped_reason"]) == (True, None)


# ---- slots


async def test_an_attribute_needs_a_subject(account: Account) -> None:
    """`attribute` needs `subject` (400)."""
    async with nothing_stored(account):
        problem(await account.client.post(MEMORIES, json={"content": "Oslo", "attribute": "city"}), 400)


async def test_cardinality_is_fixed_by_the_first_assert(account: Account) -> None:
    """Another cardinality later is 400; a `many` slot keeps all its values current."""
    slot = {"subject": "kim", "attribute": "language"}
    await account.add("Norwegian", cardinality="many", **slot)
    await account.add("Italian", **slot)
    assert sorted(await account.decisions()) == ["Italian", "Norwegian"]
    async with nothing_stored(account):
        problem(await account.client.post(MEMORIES, json={"content": "German", "cardinality": "one", **slot}), 400)


async def test_a_bounded_assert_leaves_what_holds_before_and_after(account: Account) -> None:
    """A given `valid_to` takes all of [from, to); what held it is shortened, before and after."""
    slot = {"subject": "kim", "attribute": "city"}
    oslo = await account.add("Oslo", valid_from="2020-01-01", **slot)
    rome = await account.add("Rome", valid_from="2021-01-01", valid_to="2022-01-01", **slot)
    pieces = (await account.get(f"/memories/{oslo}"))["pieces"]
    assert [piece["superseded_by"] for piece in pieces] == [rome, None]
    for day, city in (
        ("2020-06-01", "Oslo"),
        ("2020-12-31T23:59:59.999999Z", "Oslo"),
        ("2021-01-01", "Rome"),
        ("2021-12-31T23:59:59.999999Z", "Rome"),
        ("2022-01-01", "Oslo"),
        ("2030-01-01", "Oslo"),
    ):
        assert await account.decisions(as_of=day) == [city], day
    assert await account.decisions(as_of="2019-12-31") == []


async def test_a_fact_that_arrives_late_does_not_displace_what_holds_later(account: Account) -> None:
    """An open assert takes every instant from its start that no memory starting later holds."""
    slot = {"subject": "kim", "attribute": "city"}
    rome = await account.add("Rome", valid_from="2021-01-01", **slot)
    await account.add("Oslo", valid_from="2019-01-01", **slot)
    assert await account.decisions() == ["Rome"]
    [oslo] = await list_of(account, as_of="2020-01-01")
    assert (oslo["decision"], oslo["valid_to"]) == ("Oslo", "2021-01-01T00:00:00.000000+00:00")
    assert oslo["superseded_by"] == rome


async def test_a_dry_run_stores_nothing_and_says_what_would_be(account: Account) -> None:
    """`dry_run` returns the receipt and commits nothing; its transaction is the newest."""
    slot = {"subject": "kim", "attribute": "city"}
    old = await account.add("Oslo", **slot)
    async with nothing_stored(account):
        answer = await account.post(MEMORIES, content="Rome", dry_run=True, **slot)
        assert answer["dry_run"] is True
        assert set(answer) == WRITTEN_KEYS
        assert answer["transaction"]["id"] == 1
        assert [one["memory_id"] for one in answer["receipt"]["closed"]] == [old]
        require_no_null(answer)
        await account.post(BULK, memories=[{"content": "Bonn"}], dry_run=True)
    real = await account.post(MEMORIES, content="Rome", **slot)
    assert len(real["receipt"]["opened"]) == len(answer["receipt"]["opened"])


# ---- lists


async def test_a_list_answers_with_exactly_the_contract_keys(account: Account) -> None:
    """{"memories":[…], "has_more", "next_cursor", "transaction":{id, at}, "as_of"}; also when empty."""
    for count in (0, 1):
        answer = await account.get(MEMORIES)
        assert set(answer) == {"memories", "has_more", "next_cursor", "transaction", "as_of", "warnings"}
        assert len(answer["memories"]) == count
        assert answer["has_more"] is False
        assert answer["next_cursor"] is None
        assert answer["transaction"]["id"] == count
        require_instant(answer["as_of"])
        require_instant(answer["transaction"]["at"])
        require_no_null(answer)
        await account.add("Kim likes tea")


async def test_newest_first(account: Account) -> None:
    """Order: `created_at` descending, whatever the validity."""
    for number, start in enumerate(["2020-01-01", "2015-01-01", "2024-01-01", "2018-01-01"]):
        await account.add(f"memory {number}", valid_from=start)
    assert await account.decisions() == ["memory 3", "memory 2", "memory 1", "memory 0"]
    made = [memory["created_at"] for memory in await list_of(account)]
    assert made == sorted(made, reverse=True)


@pytest.mark.parametrize(("limit", "count"), [(0, 1), (-5, 1), (1, 1), (3, 3), (10**6, 25), (10**30, 25)])
async def test_limit_is_clamped_and_never_refused(account: Account, limit: int, count: int) -> None:
    """limit is clamped into 1…1000, never refused, on list, search and query; 20 and 10 are the defaults."""
    await account.post(BULK, memories=[{"content": f"tea number {number}"} for number in range(25)])
    assert len(await list_of(account, limit=str(limit))) == count
    for path, name in (("/agent/search", "query"), ("/agent/query", "question")):
        found = ok(await raw_post(account, path, encoded({name: "tea", "limit": limit})))
        assert len(found["memories"]) == count
    assert len(await list_of(account)) == 20
    for path, name in (("/agent/search", "query"), ("/agent/query", "question")):
        assert len((await account.post(path, **{name: "tea", "limit": None}))["memories"]) == 10


async def test_a_limit_over_a_thousand_is_a_thousand(account: Account) -> None:
    """1000 is the most a page has, and `has_more` says that there is more."""
    for start in (0, 500, 1000):
        await account.post(
            BULK,
            memories=[
                {"messages": [{"role": "user", "content": f"turn {start + n}"}], "extraction": "verbatim"}
                for n in range(500 if start < 1000 else 1)
            ],
        )
    page = await account.get(MEMORIES, limit=5000)
    assert len(page["memories"]) == 1000
    assert page["has_more"] is True
    assert len(await list_of(account, limit=5000, cursor=page["next_cursor"])) == 1


async def test_the_filters_of_a_list(account: Account) -> None:
    """`source`, `topic`, `session_id`, `subject`, `attribute`: each alone and together."""
    await account.add("one", source="crm", topic="Work", subject="Kim", attribute="job")
    await account.add("two", source="agent", topic="Home", subject="kim")
    await account.post(
        MEMORIES, messages=[{"role": "user", "content": "three"}], extraction="verbatim", session_id="s-1"
    )
    assert await account.decisions(source="crm") == ["one"]
    assert await account.decisions(topic="Home") == ["two"]
    assert await account.decisions(session_id="s-1") == ["three"]
    assert await account.decisions(subject=" KIM ") == ["two", "one"]
    assert await account.decisions(subject="kim", attribute="Job") == ["one"]
    assert await account.decisions(source="crm", topic="Home") == []


async def test_cursors_page_through_everything_once(account: Account) -> None:
    """`cursor`, `has_more`, `next_cursor`: all memories, each once, in the order of the whole list."""
    await account.post(BULK, memories=[{"content": f"memory {number}"} for number in range(7)])
    for number in range(7, 12):
        await account.add(f"memory {number}")
    whole = [memory["id"] for memory in await list_of(account)]
    assert len(whole) == 12
    paged: list[str] = []
    cursor: str | None = None
    for _ in range(20):
        query = {"cursor": cursor} if cursor else {}
        page = await account.get(MEMORIES, limit=5, **query)
        paged += [memory["id"] for memory in page["memories"]]
        assert page["has_more"] is (page["next_cursor"] is not None)
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert paged == whole


async def test_pages_are_stable_while_writes_go_on(account: Account) -> None:
    """A cursor carries both times: what is written, superseded or retracted meanwhile changes no later page."""
    for number in range(6):
        await account.add(f"value {number}", subject=f"s{number}", attribute="a")
    whole = await list_of(account)
    first = await account.get(MEMORIES, limit=2)
    await account.add("new", subject="s9", attribute="a")
    await account.add("replaced", subject="s1", attribute="a")
    ok(await account.client.delete(f"/memories/{whole[-1]['id']}"))
    rest = await account.get(MEMORIES, limit=10, cursor=first["next_cursor"])
    told = first["memories"] + rest["memories"]
    assert [memory["decision"] for memory in told] == [memory["decision"] for memory in whole]
    assert all(memory["temporal"]["is_current"] for memory in told)
    assert rest["transaction"] == first["transaction"]
    assert rest["as_of"] == first["as_of"]
    assert rest["has_more"] is False


async def test_pages_of_the_past_stay_in_the_past(account: Account) -> None:
    """With `transaction_as_of` alone, and with `include_superseded`, every page keeps what the first one meant."""
    for number in range(5):
        await account.add(f"value {number}", subject="s", attribute="a")
    for query in (
        {"transaction_as_of": 4},
        {"include_superseded": "true"},
        {"transaction_as_of": 4, "as_of": "2000-01-01"},
    ):
        whole = await list_of(account, **query)
        paged: list[dict[str, Any]] = []
        page = await account.get(MEMORIES, limit=1, **query)
        while True:
            paged += page["memories"]
            if not page["has_more"]:
                break
            page = await account.get(MEMORIES, limit=1, cursor=page["next_cursor"], **query)
        assert [memory["version"] for memory in paged] == [memory["version"] for memory in whole]
    assert len(await list_of(account, include_superseded="true")) == 5


async def test_a_cursor_is_signed_and_belongs_to_its_account(account: Account, make_account: MakeAccount) -> None:
    """A changed cursor, and one of another account, are refused with 400 invalid_cursor."""
    other = await make_account()
    for _, one in enumerate((account, other)):
        for number in range(3):
            await one.add(f"memory {number}")
    cursor: str = (await account.get(MEMORIES, limit=1))["next_cursor"]
    problem(await other.client.get(MEMORIES, params={"cursor": cursor}), 400, "invalid_cursor")
    middle = len(cursor) // 2
    changed = cursor[:middle] + ("A" if cursor[middle] != "A" else "B") + cursor[middle + 1 :]
    for bad in (changed, cursor[:-4], cursor + cursor, "abc", "é", "=", "AAAA", "x" * 30_000):
        problem(await account.client.get(MEMORIES, params={"cursor": bad}), 400, "invalid_cursor")


async def test_superseded_and_expired_are_shown_only_when_asked(account: Account) -> None:
    """`include_superseded=true` drops the test of validity: superseded, expired and future ones are listed too."""
    await account.add("old", subject="kim", attribute="city")
    await account.add("new", subject="kim", attribute="city")
    await account.add("expired", valid_from="2020-01-01", valid_to="2021-01-01")
    await account.add("future", valid_from="2090-01-01")
    assert await account.decisions() == ["new"]
    shown = {memory["decision"]: memory for memory in await list_of(account, include_superseded="true")}
    assert set(shown) == {"old", "new", "expired", "future"}
    flags = {
        text: [name for name in ("is_current", "is_expired", "is_superseded") if memory["temporal"][name]]
        for text, memory in shown.items()
    }
    assert flags == {"old": ["is_superseded"], "new": ["is_current"], "expired": ["is_expired"], "future": []}
    assert (shown["old"]["freshness"], shown["expired"]["freshness"], shown["future"]["freshness"]) == (0.0, 0.0, 1.0)


# ---- times of a list


async def test_as_of_alone_is_the_world_then_with_todays_knowledge(account: Account) -> None:
    """`as_of` alone: the world then; flags at that instant, so the row that is wanted is current, not superseded."""
    slot = {"subject": "kim", "attribute": "city"}
    oslo = await account.add("Oslo", valid_from="2020-01-01", **slot)
    rome = await account.add("Rome", valid_from="2022-01-01", **slot)
    answer = await account.get(MEMORIES, as_of="2020-01-31")
    assert answer["as_of"] == "2020-01-31T00:00:00.000000+00:00"
    [memory] = answer["memories"]
    assert memory["id"] == oslo
    assert memory["temporal"]["is_current"] is True
    assert memory["temporal"]["is_superseded"] is False
    assert memory["superseded_by"] == rome
    assert memory["freshness"] == 0.5


async def test_transaction_as_of_alone_is_all_that_was_believed_then(account: Account) -> None:
    """`transaction_as_of` alone: everything believed then, whatever its validity; later closings and links are null."""
    slot = {"subject": "kim", "attribute": "city"}
    await account.add("Oslo", valid_from="2020-01-01", **slot)
    await account.add("expired", valid_from="2010-01-01", valid_to="2011-01-01")
    await account.add("Rome", valid_from="2022-01-01", **slot)
    answer = await account.get(MEMORIES, transaction_as_of=2)
    assert answer["transaction"]["id"] == 2
    assert answer["as_of"] is None
    shown = {memory["decision"]: memory for memory in answer["memories"]}
    assert set(shown) == {"Oslo", "expired"}
    assert shown["Oslo"]["valid_to"] is shown["Oslo"]["superseded_by"] is None
    assert shown["Oslo"]["transaction_time_end"] is None
    assert shown["Oslo"]["temporal"]["is_current"] is True
    assert (await account.get(MEMORIES, transaction_as_of=0))["memories"] == []


async def test_both_times_ask_what_was_believed_then_about_another_time(account: Account) -> None:
    """ "What did we, at transaction 1, believe about 2023?" differs from what is believed now."""
    slot = {"subject": "kim", "attribute": "city"}
    await account.add("Oslo", valid_from="2020-01-01", **slot)
    await account.add("Rome", valid_from="2022-01-01", **slot)
    assert await account.decisions(as_of="2023-01-01", transaction_as_of=1) == ["Oslo"]
    assert await account.decisions(as_of="2023-01-01", transaction_as_of=2) == ["Rome"]
    assert await account.decisions(as_of="2019-01-01", transaction_as_of=2) == []


async def test_a_transaction_is_named_by_number_or_by_instant(account: Account, hand_clock: HandClock) -> None:
    """A number (digits only) or an instant = the newest transaction at or before it; before the first = 0."""
    for hour, text in ((10, "ten"), (11, "eleven"), (12, "twelve")):
        hand_clock.at = at(f"2040-05-01T{hour}:00:00")
        await account.add(text)
    for asked, number in (
        ("2", 2),
        ("002", 2),
        ("2040-05-01T11:00:00Z", 2),
        ("2040-05-01T13:00:00+02:00", 2),
        ("2040-05-01T11:59:59.999999Z", 2),
        ("2040-05-01T10:59:59.999999Z", 1),
        ("2040-05-01T12:00:00Z", 3),
        ("2040-05-01", 0),
        ("1999-01-01", 0),
        ("0", 0),
    ):
        answer = await account.get(MEMORIES, transaction_as_of=asked)
        assert answer["transaction"]["id"] == number, asked
        assert len(answer["memories"]) == number
        searched = await account.post("/agent/search", query="ten eleven twelve", transaction_as_of=asked)
        assert searched["transaction"] == answer["transaction"]
        assert len(searched["memories"]) == number


async def test_a_bare_date_is_that_day_at_midnight_utc(account: Account) -> None:
    """In: a bare date means that day at 00:00 UTC; the same instant in any offset is the same."""
    await account.add("from March", valid_from="2024-03-01", valid_to="2024-04-01")
    for asked, shown in (
        ("2024-03-01", True),
        ("2024-03-01T00:00:00Z", True),
        ("2024-03-01T05:30:00+05:30", True),
        ("2024-02-29T19:00:00-05:00", True),
        ("2024-02-29T23:59:59.999999+00:00", False),
        ("2024-04-01", False),
        ("2024-03-31T23:59:59.999999Z", True),
    ):
        assert await account.decisions(as_of=asked) == (["from March"] if shown else []), asked


@pytest.mark.parametrize("path", ["list", "/agent/search", "/agent/query"])
async def test_refused_times(account: Account, path: str) -> None:
    """A transaction in the future, by number or instant, is 400; naive or malformed is 422; far years are 400."""
    await account.add("Kim likes tea")
    for name, value, status, code in (
        ("transaction_as_of", "2", 400, "transaction_in_the_future"),
        ("transaction_as_of", "99999999999999999999999", 400, "transaction_in_the_future"),
        ("transaction_as_of", "2900-01-01T00:00:00Z", 400, "transaction_in_the_future"),
        ("transaction_as_of", "2024-01-01T00:00:00", 422, "validation_error"),
        ("transaction_as_of", "yesterday", 422, "validation_error"),
        ("as_of", "2024-01-01T00:00:00", 422, "validation_error"),
        ("as_of", "2024-02-30", 422, "validation_error"),
        ("as_of", "soon", 422, "validation_error"),
        ("as_of", "1700000000", 422, "validation_error"),
        ("as_of", "0001-01-01", 400, "out_of_range"),
        ("as_of", "9999-12-31", 400, "out_of_range"),
        ("as_of", "10000-01-01", 400, "out_of_range"),
    ):
        if path == "list":
            response = await account.client.get(MEMORIES, params={name: value})
        else:
            ask = "query" if path == "/agent/search" else "question"
            response = await account.client.post(path, json={ask: "tea", name: value})
        body = problem(response, status, code)
        assert body["param"] == name


async def test_a_transaction_number_of_thousands_of_digits_is_in_the_future(account: Account) -> None:
    """A number above the newest is 400, however long it is."""
    for digits in (19, 20, 400, 5000):
        number = "9" * digits
        problem(await account.client.get(MEMORIES, params={"transaction_as_of": number}), 400)
        response = await raw_post(account, "/agent/search", b'{"query":"x","transaction_as_of":%s}' % number.encode())
        problem(response, 400 if digits < 5000 else None)
        problem(await account.client.post("/agent/search", json={"query": "x", "transaction_as_of": number}), 400)


async def test_repeating_a_read_with_both_of_its_times_gives_the_same_answer(account: Account) -> None:
    """Every answer carries `transaction` and `as_of`; repeated with both, it is the same for ever."""
    slot = {"subject": "kim", "attribute": "city"}
    await account.add("Kim lives in Oslo", **slot)
    await account.add("Kim likes tea")
    first = await account.get(MEMORIES)
    await account.add("Kim lives in Rome", **slot)
    await account.add("Kim likes coffee")
    again = await account.get(MEMORIES, as_of=first["as_of"], transaction_as_of=first["transaction"]["id"])
    assert again == first
    past = await account.get(MEMORIES, transaction_as_of=2)
    await account.add("Kim lives in Bonn", **slot)
    assert await account.get(MEMORIES, transaction_as_of=2) == past


async def test_freshness_halves_every_half_life(account: Account, hand_clock: HandClock) -> None:
    """freshness = 0.5^(age in days / half life), 3 decimals; 1.0 for the future; the half life is a setting."""
    hand_clock.at = at("2040-01-01T00:00:00")
    await account.add("Kim likes tea")
    for day, freshness in (("2040-01-01", 1.0), ("2040-01-31", 0.5), ("2040-01-16", 0.707), ("2040-03-31", 0.125)):
        assert (await list_of(account, as_of=day))[0]["freshness"] == freshness
    await account.client.patch("/agent/settings", json={"freshness_half_life_days": 15})
    assert (await list_of(account, as_of="2040-01-31"))[0]["freshness"] == 0.25
    hand_clock.at = at("2040-02-15T00:00:00")
    assert (await list_of(account))[0]["freshness"] == 0.125


async def test_a_future_fact_is_invisible_before_and_visible_after_its_start(
    account: Account, hand_clock: HandClock
) -> None:
    """A future-dated fact takes effect with no job run; at `valid_to` it is false, at `valid_from` true."""
    hand_clock.at = at("2040-01-01T00:00:00")
    slot = {"subject": "kim", "attribute": "city"}
    await account.add("Oslo", **slot)
    await account.add("Rome", valid_from="2040-02-01", valid_to="2040-03-01", **slot)
    for now, city in (
        ("2040-01-31T23:59:59", "Oslo"),
        ("2040-02-01T00:00:00", "Rome"),
        ("2040-03-01T00:00:00", "Oslo"),
    ):
        hand_clock.at = at(now)
        assert await account.decisions() == [city]


# ---- unknown fields


async def test_unknown_fields_are_ignored_and_named_on_published_paths(account: Account) -> None:
    """On the paths of §2 unknown fields are ignored, and named in `warnings[]`."""
    memory_id = await account.add("Kim likes tea")
    other = await account.add("Kim likes coffee")
    client = account.client
    for response in (
        await client.post(MEMORIES, json={"content": "x", "workspace": 1}),
        await client.get(MEMORIES, params={"workspace": "1"}),
        await client.post("/agent/query", json={"question": "tea", "workspace": {"a": [1]}}),
        await client.post(f"/memories/{memory_id}/supersede", json={"superseded_by": other, "workspace": 1}),
        await client.get(f"/memories/{memory_id}/timeline", params={"workspace": "1"}),
        await client.get(f"/memories/{memory_id}/audit", params={"workspace": "1"}),
        await client.get("/agent/settings", params={"workspace": "1"}),
        await client.patch("/agent/settings", json={"workspace": 1}),
        await client.get(PLAN, params={"workspace": "1"}),
        await client.delete(f"/memories/{memory_id}", params={"workspace": "1"}),
    ):
        warnings = ok(response)["warnings"]
        assert any("workspace" in warning for warning in warnings), (response.request.url, warnings)


async def test_unknown_fields_inside_messages_are_ignored_and_named(account: Account) -> None:
    """The rule holds for the objects inside, too: a turn's unknown field is ignored and named."""
    messages = [{"role": "user", "content": "The office moved to Lisbon.", "mood": "glad"}]
    answer = await account.post(MEMORIES, messages=messages)
    assert answer["status"] == "saved"
    assert any("mood" in warning for warning in answer["warnings"])


async def test_unknown_fields_are_refused_elsewhere(account: Account) -> None:
    """Elsewhere an unknown field is 400 unknown_field, nested ones too, and the field is named."""
    memory_id = await account.add("Kim likes tea")
    client = account.client
    message = {"role": "user", "content": "The office moved to Lisbon.", "mood": "glad"}
    async with nothing_stored(account):
        for name, response in (
            ("foo", await client.post("/agent/search", json={"query": "tea", "foo": 1})),
            ("foo", await client.post(BULK, json={"memories": [{"content": "x"}], "foo": 1})),
            ("memories[0].foo", await client.post(BULK, json={"memories": [{"content": "x", "foo": 1}]})),
            ("memories[1].foo", await client.post(BULK, json={"memories": [{"content": "x"}, {"foo": 1}]})),
            ("memories[0].messages[0].mood", await client.post(BULK, json={"memories": [{"messages": [message]}]})),
            ("memories[0].llm.foo", await client.post(BULK, json={"memories": [{"content": "x", "llm": {"foo": 1}}]})),
            ("foo", await client.get(f"/memories/{memory_id}", params={"foo": "1"})),
        ):
            assert problem(response, 400, "unknown_field")["param"] == name
    free = {"memories": [{"content": "x", "metadata": {"anything": {"goes": 1}}, "llm": {"extra": {"goes": 1}}}]}
    ok(await client.post(BULK, json=free))


# ---- bulk


async def test_bulk_answers_each_item_in_order(account: Account) -> None:
    """Per-item outcome, in order: saved, duplicate, no_facts; one transaction for all."""
    await account.add("known")
    answer = await account.post(
        BULK,
        memories=[
            {"content": "new"},
            {"content": "known"},
            {"messages": SMALL_TALK},
            {"messages": TALK, "session_id": "s"},
        ],
    )
    assert set(answer) == {
        *("status", "items", "saved_count", "duplicate_count", "error_count", "company_id", "transaction"),
        "receipt",
        *("dry_run", "warnings"),
    }
    assert [item["index"] for item in answer["items"]] == [0, 1, 2, 3]
    assert [item["status"] for item in answer["items"]] == ["saved", "duplicate", "no_facts", "saved"]
    assert all(set(item) == {"index", "status", "memory_id", "memory_ids", "error"} for item in answer["items"])
    assert answer["items"][3]["memory_id"] is None
    assert (answer["status"], answer["duplicate_count"], answer["error_count"]) == ("saved", 1, 0)
    assert answer["saved_count"] == 1 + len(answer["items"][3]["memory_ids"])
    assert answer["transaction"]["id"] == 2
    assert (await account.get(PLAN))["writes_used"] == 1 + answer["saved_count"]
    require_no_null(answer)


async def test_bulk_is_all_or_nothing(account: Account) -> None:
    """One bad item refuses the whole batch, and the error names the item."""
    async with nothing_stored(account):
        for bad in (
            {"content": ""},
            {},
            {"content": "x", "importance_score": 11},
            {"content": "x", "valid_to": "2001-01-01"},
        ):
            body = problem(await account.client.post(BULK, json={"memories": [{"content": "good"}, bad]}), 400)
            assert "memories[1]" in body["detail"]


async def test_partial_bulk_gives_each_item_its_own_outcome(account: Account) -> None:
    """`"mode":"partial"`: the good are stored, the bad have an error with code, status, detail and param."""
    answer = await account.post(
        BULK,
        mode="partial",
        memories=[
            {"content": "good"},
            {"content": ""},
            {"content": "x", "importance_score": 11},
            {"content": "x", "valid_from": "2024-01-01T00:00:00"},
            {"content": "better"},
        ],
    )
    assert answer["status"] == "partial"
    assert [item["status"] for item in answer["items"]] == ["saved", "error", "error", "error", "saved"]
    assert (answer["saved_count"], answer["error_count"]) == (2, 3)
    for item, status in zip(answer["items"][1:4], (400, 400, 422), strict=True):
        assert set(item["error"]) >= {"code", "status", "detail", "param"}
        assert item["error"]["status"] == status
        assert item["memory_ids"] == []
    assert await account.decisions() in (["good", "better"], ["better", "good"])
    require_no_null(answer)


async def test_an_item_left_with_no_instant_is_refused_naming_both(account: Account) -> None:
    """The items of one request are applied in order; an item left with no instant is 400, naming the two items."""
    slot = {"subject": "kim", "attribute": "city", "valid_from": "2020-01-01"}
    async with nothing_stored(account):
        memories = [{"content": "Oslo", **slot}, {"content": "Rome", **slot}]
        body = problem(await account.client.post(BULK, json={"memories": memories}), 400)
        assert "memories[0]" in body["detail"]
        assert "memories[1]" in body["detail"]


async def test_no_item_of_a_partial_bulk_names_a_memory_that_is_not_there(account: Account) -> None:
    """Every id in an answer is the id of something: an item that repeats a refused one is not its duplicate."""
    slot = {"subject": "kim", "attribute": "city", "valid_from": "2020-01-01"}
    memories = [{"content": "Oslo", **slot}, {"content": "Oslo", **slot}, {"content": "Rome", **slot}]
    answer = await account.post(BULK, memories=memories, mode="partial")
    assert [item["status"] for item in answer["items"]][::2] == ["error", "saved"]
    for item in answer["items"]:
        for memory_id in item["memory_ids"]:
            ok(await account.client.get(f"/memories/{memory_id}"))
    assert (await account.get(PLAN))["writes_used"] == answer["saved_count"] == 1


@pytest.mark.parametrize("count", [0, 501])
async def test_bulk_takes_1_to_500_items(account: Account, count: int) -> None:
    """0 and 501 items are 400."""
    async with nothing_stored(account):
        problem(await account.client.post(BULK, json={"memories": [{"content": "x"}] * count}), 400, "out_of_range")


async def test_an_unknown_mode_of_bulk_is_400(account: Account) -> None:
    """`mode` is `all` or `partial`."""
    problem(await account.client.post(BULK, json={"memories": [{"content": "x"}], "mode": "some"}), 400)


# ---- paths, keys


async def test_a_trailing_slash_is_accepted_and_never_redirected(account: Account) -> None:
    """A trailing slash is accepted; an API POST is never redirected."""
    memory_id = ok(await account.client.post(f"{MEMORIES}/", json={"content": "Kim likes tea"}))["memory_id"]
    client = account.client
    for response in (
        await client.get(f"{MEMORIES}/"),
        await client.post(f"{BULK}/", json={"memories": [{"content": "x"}]}),
        await client.post("/agent/search/", json={"query": "tea"}),
        await client.post("/agent/query/", json={"question": "tea"}),
        await client.post(f"/memories/{memory_id}/supersede/", json={"valid_to": "2099-01-01"}),
        await client.get(f"/memories/{memory_id}/timeline/"),
        await client.get(f"/memories/{memory_id}/audit/"),
        await client.get(f"/memories/{memory_id}/"),
        await client.get("/agent/settings/"),
        await client.patch("/agent/settings/", json={}),
        await client.get("/plan/status/"),
        await client.delete(f"/memories/{memory_id}/"),
    ):
        ok(response)
        assert response.history == []


async def test_the_request_id_of_the_caller_is_kept(account: Account) -> None:
    """X-Request-Id is on every answer: the caller's own where it is a sensible one, else a new one."""
    response = await account.client.get(MEMORIES, headers={"X-Request-Id": "my-id.1"})
    assert response.headers["x-request-id"] == "my-id.1"
    response = await account.client.get(MEMORIES, headers={"X-Request-Id": "bad id\t" + "x" * 500})
    assert response.headers["x-request-id"] not in ("", "bad id\t" + "x" * 500)
