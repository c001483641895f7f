"""Conversations: turns kept as said, what was made of each, and how they are found again. Through HTTP."""

import asyncio
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx2
import pytest

from tests.conftest import Account, HandClock, MakeAccount
from tests.faces.test_erase import dump
from tests.faces.wire import MEMORIES, account_on_plan, at, list_of, nothing_stored, ok, problem, same_for_all

CONVERSATIONS = "/agent/conversations"
OSLO = {"role": "user", "content": "I moved to Oslo in May.", "name": "Kim", "id": "t1", "at": "2026-05-02T10:00:00Z"}
HELLO = {"role": "assistant", "content": "Hello there!", "id": "t2", "at": "2026-05-02T10:01:00Z"}
HARBOUR = {"role": "user", "content": "I work at the harbour now.", "name": "Kim", "id": "t3"}
ADDED_KEYS = {
    *("status", "session_id", "turns_saved", "turns_known", "memory_ids", "extracted_count", "saved_count"),
    *("extraction", "company_id", "tenant_id", "channel", "transaction", "receipt", "dry_run", "warnings"),
}
CONVERSATION_KEYS = {
    *("session_id", "tenant_id", "channel", "external_id", "uri", "metadata", "turns", "memories"),
    *("started_at", "last_at", "created_at", "pending"),
}
MESSAGE_KEYS = {"id", "role", "name", "content", "at", "uri", "metadata", "position", "memories"}


async def keep(account: Account, *turns: dict[str, Any], session: str = "s", **fields: Any) -> dict[str, Any]:
    """Turns kept without extraction, unless `extraction` says otherwise."""
    body = {"session_id": session, "turns": list(turns), "extraction": "never", **fields}
    return await account.post(CONVERSATIONS, **body)


async def messages(account: Account, session: str = "s", **query: Any) -> list[dict[str, Any]]:
    """All turns of a conversation."""
    found = await account.get(f"{CONVERSATIONS}/{quote(session, safe='')}/messages", **query)
    return found["messages"]


async def conversation(account: Account, session: str = "s", **query: Any) -> dict[str, Any]:
    """What is known of one."""
    return (await account.get(f"{CONVERSATIONS}/{quote(session, safe='')}", **query))["conversation"]


async def contents(account: Account, session: str = "s") -> list[str]:
    """What was said."""
    return [one["content"] for one in await messages(account, session)]


def said(text: str, id_: str | None = None) -> dict[str, Any]:
    """A turn of the user."""
    return {"role": "user", "content": text, "id": id_}


async def test_turns_are_kept_as_said_and_cost_nothing(account: Account) -> None:
    """One transaction of the verb `keep` that opens nothing; the turns come back to the letter; no write is metered."""
    full = {**OSLO, "uri": "https://calls.example/1#10", "metadata": {"n": 1.50, "deep": [{"a": None}]}}
    answer = await keep(account, full, HELLO, {"role": "user", "content": "  spaces \n stay "}, channel="call")
    assert set(answer) == ADDED_KEYS
    assert (answer["status"], answer["turns_saved"], answer["turns_known"]) == ("saved", 3, 0)
    assert (answer["memory_ids"], answer["saved_count"], answer["extraction"]["state"]) == ([], 0, "none")
    assert answer["receipt"] == {"opened": [], "closed": []}
    assert answer["transaction"]["id"] == 1
    first, second, third = await messages(account)
    assert set(first) == MESSAGE_KEYS
    assert first == {
        **{name: full[name] for name in ("id", "role", "name", "content", "uri", "metadata")},
        "at": "2026-05-02T10:00:00.000000+00:00",
        "position": 0,
        "memories": [],
    }
    assert (second["id"], second["position"], second["uri"], second["metadata"]) == ("t2", 1, None, None)
    assert (third["content"], third["at"], third["id"]) == ("  spaces \n stay ", None, None)
    assert (await account.get("/plan/status"))["writes_used"] == 0
    assert await list_of(account) == []
    [entry] = (await account.get("/agent/transactions"))["transactions"]
    assert (entry["verb"], entry["opened_count"], entry["closed_count"], entry["writes"]) == ("keep", 0, 0, 0)


async def test_extraction_now_makes_facts_that_cite_their_turns(account: Account) -> None:
    """One `assert` transaction with turns and facts: as messages mode makes them, each from its turn."""
    body = {"session_id": "s", "turns": [OSLO, HELLO, HARBOUR], "channel": "chat", "reason": "call of May"}
    answer = await account.post(CONVERSATIONS, **body)
    assert answer["transaction"]["id"] == 1
    assert answer["extraction"] == {
        **{"mode": "extractive", "provider": None, "model": None, "prompt_version": None},
        "state": "done",
    }
    assert (answer["turns_saved"], answer["extracted_count"], answer["saved_count"]) == (3, 2, 2)
    assert len(answer["receipt"]["opened"]) == 2
    oslo, hello, harbour = await messages(account)
    assert [len(turn["memories"]) for turn in (oslo, hello, harbour)] == [1, 0, 1]
    made = oslo["memories"][0]
    assert set(made) == {"id", "decision", "is_current"}
    assert (made["id"], made["is_current"]) == (answer["memory_ids"][0], True)
    memory = (await account.get(f"/memories/{made['id']}"))["memory"]
    assert made["decision"] == memory["decision"]
    assert (memory["channel"], memory["session_id"], memory["source"]) == ("s", "s", "agent_session")
    assert memory["source_citation"]["message_id"] == "t1"
    assert memory["original_message"] == "User: I moved to Oslo in May."
    assert memory["valid_from"] == "2026-05-02T10:00:00.000000+00:00"
    entry = await account.get("/agent/transactions/1")
    assert (entry["verb"], entry["reason"], entry["writes"]) == ("assert", "call of May", 2)
    assert (await account.get("/plan/status"))["writes_used"] == 2


async def test_it_makes_what_messages_mode_makes(account: Account) -> None:
    """The same turns give the same facts either way, and a fact that is believed already is a duplicate."""
    turns = [{name: turn[name] for name in turn if name != "id"} for turn in (OSLO, HELLO, HARBOUR)]
    first = await account.post(MEMORIES, messages=turns, session_id="m")
    again = await account.post(CONVERSATIONS, session_id="s", turns=turns)
    assert (again["saved_count"], again["memory_ids"]) == (0, first["memory_ids"])
    assert (again["status"], again["turns_saved"]) == ("saved", 3)
    assert (await account.get("/agent/transactions"))["transactions"][0]["verb"] == "keep"
    assert (await account.get("/plan/status"))["writes_used"] == len(first["memory_ids"])


async def test_a_turn_is_known_by_its_id(account: Account) -> None:
    """Within a request and across requests: stored once, and nothing is made of it again; without an id always anew."""
    await account.post(CONVERSATIONS, session_id="s", turns=[OSLO, OSLO, HELLO])
    assert await contents(account) == [OSLO["content"], HELLO["content"]]
    answer = await account.post(CONVERSATIONS, session_id="s", turns=[OSLO, HELLO, HARBOUR])
    assert (answer["turns_saved"], answer["turns_known"], answer["saved_count"]) == (1, 2, 1)
    assert await contents(account) == [OSLO["content"], HELLO["content"], HARBOUR["content"]]
    async with nothing_stored(account):
        answer = await account.post(CONVERSATIONS, session_id="s", turns=[OSLO, HARBOUR])
    assert (answer["status"], answer["turns_known"], answer["warnings"]) == ("unchanged", 2, [])
    assert (answer["extraction"]["state"], answer["memory_ids"]) == ("none", [])
    for session, tenant in (("other", None), ("s", "acme")):
        elsewhere = await keep(account, OSLO, session=session, tenant_id=tenant)
        assert elsewhere["turns_saved"] == 1
    for _ in range(2):
        assert (await keep(account, said("no id"), session="anonymous"))["turns_saved"] == 1


async def test_a_turn_of_the_same_id_that_says_something_else_is_named(account: Account) -> None:
    """The first one stays as it was said; the warning names the place of the other, and not what it says."""
    await keep(account, said("first", "1"))
    answer = await keep(account, said("second", "2"), said("changed", "1"), said("again", "2"), said("second", "2"))
    assert (answer["turns_saved"], answer["turns_known"]) == (1, 3)
    assert [warning.split(":")[0] for warning in answer["warnings"]] == ["turns[1]", "turns[2]"]
    assert "changed" not in str(answer)
    assert await contents(account) == ["first", "second"]


async def test_many_requests_at_once_keep_each_turn_once(account: Account) -> None:
    """The same turns sent by several clients at the same time, committed together or not."""
    turns = [said(f"I said number {number} here.", str(number)) for number in range(5)]
    sent = [account.post(CONVERSATIONS, session_id="s", turns=turns[n % 3 :]) for n in range(12)]
    answers = await asyncio.gather(*sent)
    assert sum(answer["turns_saved"] for answer in answers) == 5
    assert sum(answer["saved_count"] for answer in answers) == 5
    found = await messages(account)
    assert sorted(turn["id"] for turn in found) == ["0", "1", "2", "3", "4"]
    assert all(len(turn["memories"]) == 1 for turn in found)
    assert (await account.get("/agent/transactions/verify"))["ok"]


async def test_the_same_idempotency_key_answers_again(account: Account) -> None:
    """The stored answer, and nothing is stored twice; another request under it is 422."""
    body = {"session_id": "s", "turns": [said("said once")], "extraction": "never"}
    headers = {"Idempotency-Key": "k"}
    first = await account.client.post(CONVERSATIONS, json=body, headers=headers)
    async with nothing_stored(account):
        again = await account.client.post(CONVERSATIONS, json=body, headers=headers)
        assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
        other = await account.client.post(CONVERSATIONS, json={**body, "channel": "x"}, headers=headers)
        problem(other, 422, "idempotency_mismatch")
    assert await contents(account) == ["said once"]


async def test_labels_stay_until_others_are_given(account: Account) -> None:
    """What a later request leaves out stays; what it gives takes its place, also where all its turns are known."""
    await keep(account, OSLO, channel="call", external_id="c-1", uri="https://x.example/1", metadata={"a": 1})
    await keep(account, HELLO, channel="phone")
    await keep(account, HELLO, metadata={"b": [2.0]}, external_id="c-2")
    found = await conversation(account)
    assert set(found) == CONVERSATION_KEYS
    assert (found["channel"], found["external_id"], found["uri"]) == ("phone", "c-2", "https://x.example/1")
    assert (found["metadata"], found["turns"]) == ({"b": [2.0]}, 2)
    assert (await account.get("/agent/transactions"))["transaction"]["id"] == 2
    assert (await account.get("/agent/transactions/verify"))["ok"]


async def test_a_dry_run_tells_and_keeps_nothing(account: Account) -> None:
    """The same answer as the real run gives, but for ids."""
    body = {"session_id": "s", "turns": [OSLO, HELLO], "channel": "call"}
    async with nothing_stored(account):
        planned = await account.post(CONVERSATIONS, **body, dry_run=True)
        problem(await account.client.get(f"{CONVERSATIONS}/s"), 404)
    done = await account.post(CONVERSATIONS, **body)
    for name in ADDED_KEYS - {"memory_ids", "transaction", "receipt", "dry_run"}:
        assert planned[name] == done[name], name
    assert planned["dry_run"] is True


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"turns": []}, "turns"),
        ({"turns": [said("x")] * 501}, "turns"),
        ({"session_id": " "}, "session_id"),
        ({"session_id": "x" * 701}, "session_id"),
        ({"channel": "x" * 701}, "channel"),
        ({"extraction": "sometimes"}, "extraction"),
        ({"extraction": "later", "llm": {"model": "m", "api_key": "k"}}, "llm"),
        ({"extraction": "never", "llm": {"model": "m"}}, "llm"),
        ({"extraction": "later", "source": "crm"}, "source"),
        ({"turns": [said("x"), {"role": " ", "content": "y"}]}, "turns[1].role"),
        ({"turns": [{"role": "user", "content": "y", "id": " "}]}, "turns[0].id"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
async def test_what_cannot_be_is_400_and_named(account: Account, change: dict[str, Any], param: str) -> None:
    """Ranges and rules between fields; nothing is stored."""
    async with nothing_stored(account):
        body = {"session_id": "s", "turns": [said("x")], **change}
        assert problem(await account.client.post(CONVERSATIONS, json=body), 400)["param"] == param


async def test_500_turns_fit_and_more_than_2000_facts_do_not(account: Account) -> None:
    """A whole batch of long turns; too many facts are refused before anything is kept, for now and for later alike."""
    assert (await keep(account, *[said("x" * 4000, str(n)) for n in range(500)]))["turns_saved"] == 500
    turns = [said(" ".join(f"This is fact {n} of {m} here." for n in range(50)), f"f{m}") for m in range(41)]
    async with nothing_stored(account):
        for extraction in ("now", "later"):
            body = {"session_id": "s", "turns": turns, "extraction": extraction}
            assert problem(await account.client.post(CONVERSATIONS, json=body), 400, "out_of_range")["param"] == "turns"


async def test_a_blocked_plan_keeps_turns_but_makes_no_facts(make_account: MakeAccount, dsn: str) -> None:
    """402 for what would be a write, whole; turns alone cost nothing and are kept."""
    account = await account_on_plan(make_account, dsn, 10)
    for number in range(11):
        await account.add(f"memory {number}")
    async with nothing_stored(account):
        body = {"session_id": "s", "turns": [OSLO]}
        assert (await account.client.post(CONVERSATIONS, json=body)).status_code == 402
        problem(await account.client.get(f"{CONVERSATIONS}/s"), 404)
    assert (await keep(account, OSLO))["turns_saved"] == 1


async def test_messages_mode_makes_conversations_too(account: Account) -> None:
    """What the published LangChain client sends appears as a conversation, with its turns."""
    made = await account.post(MEMORIES, messages=[OSLO, HELLO], session_id="lc", extraction="verbatim")
    found = await conversation(account, "lc")
    assert (found["channel"], found["turns"], found["memories"]) == (None, 2, 2)
    assert [one["memories"][0]["id"] for one in await messages(account, "lc")] == made["memory_ids"]
    assert (await account.post(MEMORIES, messages=[HELLO], session_id="small talk"))["status"] == "no_facts"
    problem(await account.client.get(f"{CONVERSATIONS}/small talk"), 404, "not_found")


async def test_messages_mode_keeps_uri_and_metadata(account: Account) -> None:
    """A message of POST /agent/memories carries them too."""
    turn = {**OSLO, "uri": "s3://calls/7", "metadata": {"offset": 12}}
    await account.post(MEMORIES, messages=[turn], session_id="s")
    [found] = await messages(account)
    assert (found["uri"], found["metadata"]) == ("s3://calls/7", {"offset": 12})


async def test_the_list_is_newest_first_and_filters(account: Account) -> None:
    """By creation, then session; by channel, by the caller's id, by tenant."""
    for session, channel in (("a", "call"), ("b", "chat"), ("c", "call")):
        await keep(account, said("x", "1"), session=session, channel=channel, external_id=f"ext-{channel}")
    await keep(account, said("y"), session="a")
    await keep(account, said("z"), session="of acme", tenant_id="acme")

    async def sessions(**query: Any) -> list[str]:
        return [one["session_id"] for one in (await account.get(CONVERSATIONS, **query))["conversations"]]

    assert await sessions() == ["c", "b", "a"]
    assert await sessions(channel="call") == ["c", "a"]
    assert await sessions(external_id="ext-chat") == ["b"]
    assert await sessions(channel="call", external_id="ext-chat") == []
    assert await sessions(tenant_id="acme") == ["of acme"]
    answer = await account.get(CONVERSATIONS)
    assert set(answer) == {"conversations", "has_more", "next_cursor", "transaction", "as_of", "warnings"}
    assert [(one["turns"], one["memories"], one["pending"]) for one in answer["conversations"]] == [
        (1, 0, False),
        (1, 0, False),
        (2, 0, False),
    ]


async def test_pages_of_conversations_show_each_once(account: Account, hand_clock: HandClock) -> None:
    """Read at one moment; also those that one commit made. A cursor of another list is refused."""
    hand_clock.at = at("2040-01-01T00:00:00")
    await asyncio.gather(*(keep(account, said("x"), session=f"s{number}") for number in range(7)))
    seen: list[str] = []
    cursor: str | None = None
    while cursor is not None or not seen:
        page = await account.get(CONVERSATIONS, limit=3, **({"cursor": cursor} if cursor else {}))
        seen += [one["session_id"] for one in page["conversations"]]
        assert page["transaction"]["id"] == 7
        cursor = page["next_cursor"]
        await keep(account, said("x"), session=f"later {len(seen)}")
    assert len(seen) == 7
    assert sorted(seen) == [f"s{number}" for number in range(7)]
    page = await account.get(CONVERSATIONS, limit=1)
    for path in (f"{CONVERSATIONS}/s1/messages", "/agent/subjects", MEMORIES):
        problem(await account.client.get(path, params={"cursor": page["next_cursor"]}), 400, "invalid_cursor")


async def test_pages_of_messages_go_on_where_they_ended(account: Account) -> None:
    """In the order in which they were told, over requests; positions run on; what is told meanwhile is not in them."""
    for start in (0, 4, 5):
        await keep(account, *[said(f"turn {n}", str(n)) for n in range(start, {0: 4, 4: 5, 5: 11}[start])])
    seen: list[tuple[int, str]] = []
    cursor: str | None = None
    while cursor is not None or not seen:
        page = await account.get(f"{CONVERSATIONS}/s/messages", limit=4, **({"cursor": cursor} if cursor else {}))
        assert set(page) == {"session_id", "messages", "has_more", "next_cursor", "transaction", "as_of", "warnings"}
        seen += [(one["position"], one["content"]) for one in page["messages"]]
        cursor = page["next_cursor"]
        await keep(account, said("told meanwhile"))
    assert seen == [(number, f"turn {number}") for number in range(11)]


async def test_started_and_last_are_of_what_was_said_or_else_stored(account: Account, hand_clock: HandClock) -> None:
    """The instants of the turns; those without one count from when they were stored."""
    hand_clock.at = at("2041-01-01T00:00:00")
    await keep(account, OSLO, HELLO)
    found = await conversation(account)
    assert (found["started_at"][:16], found["last_at"][:16]) == ("2026-05-02T10:00", "2026-05-02T10:01")
    assert found["created_at"][:10] == "2041-01-01"
    hand_clock.at = at("2042-01-01T00:00:00")
    await keep(account, HARBOUR)
    found = await conversation(account)
    assert (found["started_at"][:10], found["last_at"][:10]) == ("2026-05-02", "2042-01-01")
    await keep(account, said("no instant"), session="t")
    found = await conversation(account, "t")
    assert found["started_at"][:10] == found["last_at"][:10] == "2042-01-01"


async def test_conversations_are_read_at_both_times(account: Account) -> None:
    """Turns as told by a transaction, memories as believed at it and true at an instant; a moment can be read again."""
    await account.post(CONVERSATIONS, session_id="s", turns=[OSLO])
    await account.post(CONVERSATIONS, session_id="s", turns=[HARBOUR])
    await keep(account, said("later"), session="t")
    [oslo, harbour] = [turn["memories"][0]["id"] for turn in await messages(account)]
    await account.post(f"/memories/{oslo}/supersede", valid_to="2026-06-01", reason="moved on")
    await account.post(f"/memories/{harbour}/retract", reason="misheard")
    now = await account.get(f"{CONVERSATIONS}/s/messages")
    assert [[one["is_current"] for one in turn["memories"]] for turn in now["messages"]] == [[False], []]
    then = await messages(account, as_of="2026-05-15")
    assert then[0]["memories"][0]["is_current"] is True
    known = await messages(account, transaction_as_of=3)
    assert [[one["id"] for one in turn["memories"]] for turn in known] == [[oslo], [harbour]]
    assert [turn["content"] for turn in await messages(account, transaction_as_of=1)] == [OSLO["content"]]
    moments: list[dict[str, Any]] = [{}, {"as_of": "2026-05-15"}, {"transaction_as_of": 3}]
    counts = [await conversation(account, **moment) for moment in moments]
    assert [(one["turns"], one["memories"]) for one in counts] == [(2, 0), (2, 1), (2, 2)]
    assert (await conversation(account, transaction_as_of=1))["turns"] == 1
    listed = (await account.get(CONVERSATIONS, transaction_as_of=2))["conversations"]
    assert [one["session_id"] for one in listed] == ["s"]
    problem(await account.client.get(f"{CONVERSATIONS}/t", params={"transaction_as_of": 2}), 404, "not_found")
    problem(await account.client.get(f"{CONVERSATIONS}/s/messages", params={"transaction_as_of": 0}), 404, "not_found")
    again = {"transaction_as_of": now["transaction"]["id"], "as_of": now["as_of"]}
    await account.post(CONVERSATIONS, session_id="s", turns=[said("I bought a boat yesterday.")])
    assert (await account.get(f"{CONVERSATIONS}/s/messages", **again)) == now


async def test_a_corrected_memory_is_shown_as_it_is_now(account: Account) -> None:
    """Each memory of a turn once, with its newest text."""
    await account.post(CONVERSATIONS, session_id="s", turns=[OSLO])
    memory = (await messages(account))[0]["memories"][0]["id"]
    await account.post(f"/memories/{memory}/correct", content="Kim moved to Bergen", reason="misheard")
    assert (await messages(account))[0]["memories"] == [
        {"id": memory, "decision": "Kim moved to Bergen", "is_current": True}
    ]


@pytest.mark.parametrize(
    "session",
    [
        "a/b",
        "a/messages",
        "messages",
        "/messages",
        "a//messages/",
        "x?y#z",
        "50% é 日本",
        "..",
        ".",
        "a b",
        "a%2Fb",
        "A",
    ],
)
async def test_sessions_may_be_called_anything(account: Account, session: str) -> None:
    """Percent-encoded in the path, a session and its messages are found, and never taken for one another."""
    for name in dict.fromkeys([session, "a", "b"]):
        await keep(account, said(f"said in {name}"), session=name)
    name = quote(session, safe="").replace(".", "%2E")
    for slash in ("", "/"):
        assert (await account.get(f"{CONVERSATIONS}/{name}{slash}"))["conversation"]["session_id"] == session
        found = await account.get(f"{CONVERSATIONS}/{name}/messages{slash}")
        assert (found["session_id"], found["messages"][0]["content"]) == (session, f"said in {session}")


async def test_slashes_may_be_sent_as_they_are(account: Account) -> None:
    """As long as the session does not end in `/messages`: that is said by `%2Fmessages`."""
    await keep(account, said("x"), session="teams/7/calls")
    assert (await account.get(f"{CONVERSATIONS}/teams/7/calls"))["conversation"]["turns"] == 1
    assert (await account.get(f"{CONVERSATIONS}/teams/7/calls/messages"))["session_id"] == "teams/7/calls"


async def test_another_accounts_conversation_is_no_conversation(account: Account, make_account: MakeAccount) -> None:
    """Of nothing, of another account, of another tenant: the same 404; a key pinned to a tenant sees that tenant."""
    other = await make_account()
    await keep(other, OSLO, session="foreign")
    await keep(account, OSLO, session="south", tenant_id="south")
    await keep(account, OSLO, session="none")
    pinned = await make_account(of=account.row, tenant_id="north")
    await keep(pinned, OSLO, session="mine")
    answers: list[httpx2.Response] = []
    for session in ("foreign", "south", "nothing", "%00", "%FF", "x" * 3000, "mine"):
        for end in ("", "/messages"):
            answers.append(await account.client.get(f"{CONVERSATIONS}/{session}{end}"))
            if session != "mine":
                answers.append(await pinned.client.get(f"{CONVERSATIONS}/{session}{end}"))
                query = {"tenant_id": "south"}
                answers.append(await pinned.client.get(f"{CONVERSATIONS}/{session}{end}", params=query))
    answers.append(await pinned.client.get(f"{CONVERSATIONS}/none"))
    same_for_all(answers)
    assert (await conversation(pinned, "mine"))["tenant_id"] == "north"
    listed = (await pinned.get(CONVERSATIONS))["conversations"]
    assert [one["session_id"] for one in listed] == ["mine"]
    problem(await pinned.client.get(CONVERSATIONS, params={"tenant_id": "south"}), 404, "not_found")
    body = {"session_id": "s", "turns": [OSLO], "tenant_id": "south"}
    async with nothing_stored(account):
        problem(await pinned.client.post(CONVERSATIONS, json=body), 404, "not_found")


async def test_the_ledger_shows_what_was_kept_to_those_who_see_it(account: Account, make_account: MakeAccount) -> None:
    """`keep` entries are of the tenant whose turns they kept."""
    await keep(account, said("x"), tenant_id="north")
    await keep(account, said("y"), tenant_id="south")
    await keep(account, said("z"))
    pinned = await make_account(of=account.row, tenant_id="north")
    listed = (await pinned.get("/agent/transactions"))["transactions"]
    assert [(one["id"], one["verb"]) for one in listed] == [(1, "keep")]
    assert (await pinned.get("/agent/transactions/1"))["opened"] == []
    problem(await pinned.client.get("/agent/transactions/2"), 404, "not_found")
    mine = (await account.get("/agent/transactions", since=0, tenant_id="south"))["transactions"]
    assert [one["id"] for one in mine] == [2]
    assert len((await account.get("/agent/transactions"))["transactions"]) == 3
    problem(await pinned.client.post("/agent/transactions/1/restore", json={}), 409, "not_restorable")
    problem(await pinned.client.post("/agent/transactions/2/restore", json={}), 404, "not_found")


async def test_keeping_cannot_be_undone_and_changes_no_belief(account: Account) -> None:
    """Restore refuses it: nothing was opened or closed. The difference over it is empty; what is around it restores."""
    await account.add("Kim lives in Oslo", subject="kim", attribute="city")
    await keep(account, OSLO)
    await account.add("Kim lives in Rome", subject="kim", attribute="city")
    async with nothing_stored(account):
        problem(await account.client.post("/agent/transactions/2/restore", json={}), 409, "not_restorable")
    assert (await account.get("/agent/diff", **{"from": 1, "to": 2}))["changes"] == []
    await account.post("/agent/transactions/3/restore")
    assert await account.decisions() == ["Kim lives in Oslo"]
    assert await account.decisions(transaction_as_of=2, as_of="2100-01-01") == ["Kim lives in Oslo"]
    assert (await account.get("/agent/transactions/verify"))["ok"]


# ---- erasing


def canary(word: str) -> dict[str, Any]:
    """A conversation with the word in every place that a caller can put it."""
    turn = {
        "role": f"role {word}",
        "name": f"name {word}",
        "id": f"id {word}",
        "content": f"My plan for {word} is a long journey. Not a fact?",
        "uri": f"https://{word}.example/1",
        "metadata": {word: [word]},
    }
    return {
        "session_id": f"session {word}",
        "channel": f"channel {word}",
        "external_id": f"external {word}",
        "uri": f"https://{word}.example",
        "metadata": {"note": word},
        "turns": [turn],
    }


@pytest.mark.parametrize("extraction", ["now", "never", "later"])
async def test_no_byte_of_an_erased_session_is_left(account: Account, dsn: str, extraction: str) -> None:
    """Turns, labels, answers kept for idempotency keys: all gone from a dump, with facts made of them or not."""
    word, other = f"canary{uuid4().hex}", f"canary{uuid4().hex}"
    for one in (word, other):
        body = {**canary(one), "extraction": extraction}
        ok(await account.client.post(CONVERSATIONS, json=body, headers={"Idempotency-Key": f"k{one == word}"}))
    assert dump(dsn).count(word.encode()) >= 10
    certificate = (await account.post("/agent/erase", session_id=f"session {word}"))["certificate"]
    assert certificate["turns"] == 1
    assert word.encode() not in dump(dsn)
    problem(await account.client.get(f"{CONVERSATIONS}/session {word}"), 404, "not_found")
    again = {**canary(word), "extraction": extraction}
    answer = await account.client.post(CONVERSATIONS, json=again, headers={"Idempotency-Key": "kTrue"})
    problem(answer, 404, "memory_erased")
    kept = {**canary(other), "extraction": extraction}
    answer = await account.client.post(CONVERSATIONS, json=kept, headers={"Idempotency-Key": "kFalse"})
    assert answer.headers["idempotent-replayed"] == "true"
    assert (await conversation(account, f"session {other}"))["turns"] == 1
    assert (await account.get("/agent/transactions/verify"))["ok"]


async def test_no_byte_of_an_erased_tenant_is_left(account: Account, dsn: str) -> None:
    """With the tenant go its conversations and its subjects' labels."""
    word = f"canary{uuid4().hex}"
    await account.post(CONVERSATIONS, **canary(word), tenant_id="acme")
    await account.add("about", subject="kim", tenant_id="acme")
    labelled = await account.client.patch("/agent/subjects/kim", json={"external_id": word, "tenant_id": "acme"})
    ok(labelled)
    await account.post("/agent/erase", tenant_id="acme")
    assert word.encode() not in dump(dsn)


async def test_no_byte_of_an_erased_subjects_label_is_left(account: Account, dsn: str) -> None:
    """The label goes with the last memory about the subject, and not before."""
    word = f"canary{uuid4().hex}"
    first, last = await account.add("one", subject="kim"), await account.add("two", subject="kim")
    ok(await account.client.patch("/agent/subjects/kim", json={"external_id": word}))
    await account.post(f"/memories/{first}/erase")
    assert word.encode() in dump(dsn)
    await account.post(f"/memories/{last}/erase")
    assert word.encode() not in dump(dsn)


async def test_a_memory_takes_the_turn_it_came_from(account: Account, dsn: str) -> None:
    """The other turns stay; with the last one goes what is known of the conversation."""
    word = f"canary{uuid4().hex}"
    turns = [canary(word)["turns"][0], HELLO]
    made = await account.post(CONVERSATIONS, **{**canary(word), "turns": turns, "session_id": "s", "channel": "call"})
    await account.post(f"/memories/{made['memory_ids'][0]}/erase")
    [left] = await messages(account)
    assert (left["content"], left["position"]) == (HELLO["content"], 0)
    assert (await conversation(account))["channel"] == "call"
    await account.post("/agent/erase", session_id="s")
    assert word.encode() not in dump(dsn)
    problem(await account.client.get(f"{CONVERSATIONS}/s"), 404, "not_found")


async def test_an_erased_turn_may_be_told_again(account: Account) -> None:
    """Its id is free: nothing remembers it."""
    await keep(account, OSLO)
    await account.post("/agent/erase", session_id="s")
    assert (await keep(account, OSLO))["turns_saved"] == 1
