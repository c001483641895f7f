"""Automatic supersession without a slot: what gives way, what does not, and what waits for a person."""

import asyncio
from typing import Any

import msgspec
import pytest

from tests.conftest import Account, HandClock, MakeAccount
from tests.faces.wire import BULK, MEMORIES, SETTINGS, at, list_of, ok, problem, require_no_null
from tests.providers.scripted_provider import KEY, Answer, ScriptedProvider, answers, status

REVIEWS = "/agent/reviews"


def llm(provider: ScriptedProvider, **fields: Any) -> dict[str, Any]:
    return {"provider": "openai", "model": "m-1", "api_key": KEY, "base_url": provider.base_url, **fields}


def verdicts(*decisions: dict[str, Any]) -> Answer:
    """A model that always decides so."""
    base = {"new": 0, "old": 0, "verdict": "supersedes", "confidence": 0.95, "reasoning": "The home changed."}

    def answer(_: dict[str, Any]) -> dict[str, Any]:
        return {"decisions": [{**base, **decision} for decision in decisions]}

    return answer


async def superseding(account: Account, content: str, **fields: Any) -> dict[str, Any]:
    return await account.post(MEMORIES, content=content, auto_supersede=True, **fields)


async def queue(account: Account, **settings: Any) -> None:
    ok(await account.client.patch(SETTINGS, json={"review_queue": True, **settings}))


async def open_reviews(account: Account, **query: Any) -> list[dict[str, Any]]:
    return (await account.get(REVIEWS, **query))["reviews"]


# ---- by rules


@pytest.mark.parametrize(
    ("old", "new"),
    [("Kim lives in Oslo", "Kim lives in Rome"), ("The limit is 50 requests", "The limit is 60 requests")],
)
async def test_a_state_that_changed_supersedes_in_the_same_transaction(
    account: Account, hand_clock: HandClock, old: str, new: str
) -> None:
    """A near-duplicate that differs in one value of a state ends the old one where the new one begins: one number."""
    hand_clock.at = at("2040-01-01")
    first = await account.add(old)
    hand_clock.at = at("2040-02-01")
    written = await superseding(account, new)
    report = written["auto_supersede"]
    assert report["ran"] is True and report["skipped_reason"] is None and report["candidates_examined"] == 1
    assert report["supersession"]["old_memory_id"] == first and report["supersession"]["verdict"] == "supersedes"
    assert 0.85 <= report["supersession"]["confidence"] <= 1
    require_no_null(written)
    assert written["transaction"]["id"] == 2
    entry = await account.get("/agent/transactions/2")
    assert entry["verb"] == "assert"
    assert {version["memory_id"] for version in entry["opened"]} == {first, written["memory_id"]}
    memory = (await account.get(f"/memories/{first}"))["memory"]
    assert memory["superseded_by"] == written["memory_id"]
    assert memory["valid_to"] == "2040-02-01T00:00:00.000000+00:00"
    assert await account.decisions() == [new]
    chain = (await account.get(f"/memories/{first}/timeline"))["timeline"]
    assert [one["decision"] for one in chain] == [old, new]
    assert (await account.get("/agent/transactions/verify"))["ok"] is True
    diff = await account.get("/agent/diff", **{"from": 1, "to": 2})
    assert {change["kind"] for change in diff["changes"]} == {"superseded", "added"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Kim visited Oslo", "Kim visited Rome"),
        ("Kim likes tea", "Kim likes coffee"),
        ("I live in Oslo", "I live in Rome"),
        ("Kim does not live in Oslo", "Kim does not live in Rome"),
        ("Kim lives in Oslo in summer", "Kim lives in Oslo in winter"),
        ("Kim lives in Oslo", "Bob lives in Oslo"),
        ("Kim lives in Oslo", "Kim lives in Oslo with Bob"),
    ],
)
async def test_what_can_both_be_true_stays(account: Account, old: str, new: str) -> None:
    """Events, several likes, unnamed speakers, negations, other subjects and more detail displace nothing."""
    await account.add(old)
    report = (await superseding(account, new))["auto_supersede"]
    assert (report["ran"], report["skipped_reason"], report["supersession"]) == (True, None, None)
    assert report["candidates_examined"] == 1
    assert sorted(await account.decisions()) == sorted([old, new])


async def test_a_fact_of_a_dialog_supersedes_what_its_speaker_said(account: Account) -> None:
    """In messages mode there is one report a memory; "I" is the speaker who has a name."""
    said = {"role": "user", "name": "Kim", "content": "I live in Oslo these days.", "at": "2026-01-01T00:00:00Z"}
    first = (await account.post(MEMORIES, messages=[said]))["memory_ids"]
    later = {**said, "content": "I live in Rome these days.", "at": "2026-03-01T00:00:00Z"}
    written = await account.post(MEMORIES, messages=[later], auto_supersede=True)
    [report] = written["auto_supersede"]
    assert report["memory_id"] == written["memory_ids"][0]
    assert report["supersession"]["old_memory_id"] == first[0]
    assert (await account.get(f"/memories/{first[0]}"))["memory"]["valid_to"] == "2026-03-01T00:00:00.000000+00:00"


async def test_nothing_is_superseded_unless_it_is_asked_for(account: Account) -> None:
    """`auto_supersede` decides, and else the key's setting."""
    await account.add("Kim lives in Oslo")
    report = (await account.post(MEMORIES, content="Kim lives in Rome"))["auto_supersede"]
    assert (report["ran"], report["skipped_reason"], report["candidates_examined"]) == (False, "disabled", 0)
    assert len(await account.decisions()) == 2
    ok(await account.client.patch(SETTINGS, json={"auto_supersede_default": True}))
    await account.post(MEMORIES, content="Kim lives in Bonn")
    assert "Kim lives in Bonn" in await account.decisions() and len(await account.decisions()) == 1


@pytest.mark.parametrize(("old_topic", "new_topic"), [("Health / Medical", "General"), ("General", "HEALTH-MEDICAL")])
async def test_excluded_categories_are_never_superseded_automatically(
    account: Account, old_topic: str, new_topic: str
) -> None:
    """Topics compare in lower case, all but letters as `_`; of the old memory and of the new one."""
    await account.add("Kim's dose limit is 50 mg", topic=old_topic)
    report = (await superseding(account, "Kim's dose limit is 60 mg", topic=new_topic))["auto_supersede"]
    assert report["supersession"] is None
    assert (report["skipped_reason"] == "excluded_category") is (new_topic != "General")
    assert len(await account.decisions()) == 2
    ok(await account.client.patch(SETTINGS, json={"excluded_categories": []}))
    report = (await superseding(account, "Kim's dose limit is 70 mg", topic=new_topic))["auto_supersede"]
    assert report["supersession"] is not None


async def test_what_holds_for_a_while_or_began_later_ends_nothing(account: Account) -> None:
    """A bounded new memory would end the old one for ever; one that begins before it cannot follow it."""
    await account.add("Kim lives in Oslo", valid_from="2026-01-01")
    bounded = await superseding(account, "Kim lives in Rome", valid_from="2026-02-01", valid_to="2027-03-01")
    assert bounded["auto_supersede"]["skipped_reason"] == "bounded_interval"
    earlier = await superseding(account, "Kim lives in Bonn", valid_from="2025-01-01")
    assert earlier["auto_supersede"]["skipped_reason"] == "starts_later"
    assert (await list_of(account, include_superseded="true", limit=9))[-1]["superseded_by"] is None


async def test_a_dry_run_shows_what_would_give_way(account: Account) -> None:
    """The report and the receipt of the real run, and nothing changed."""
    old = await account.add("Kim lives in Oslo")
    shown = await superseding(account, "Kim lives in Rome", dry_run=True)
    assert shown["auto_supersede"]["supersession"]["old_memory_id"] == old
    assert [one["memory_id"] for one in shown["receipt"]["closed"]] == [old]
    assert await account.decisions() == ["Kim lives in Oslo"]
    real = await superseding(account, "Kim lives in Rome")
    assert [one["op"] for one in real["receipt"]["opened"]] == [one["op"] for one in shown["receipt"]["opened"]]


async def test_a_replay_answers_the_stored_report(account: Account) -> None:
    """The same idempotency key supersedes once."""
    await account.add("Kim lives in Oslo")
    body = {"content": "Kim lives in Rome", "auto_supersede": True}
    first = await account.client.post(MEMORIES, json=body, headers={"Idempotency-Key": "k"})
    second = await account.client.post(MEMORIES, json=body, headers={"Idempotency-Key": "k"})
    assert first.json()["auto_supersede"]["supersession"] and second.content == first.content


async def test_bulk_supersedes_each_item_on_its_own(account: Account) -> None:
    """Items of a bulk that ask for it say what gave way; two cannot take one memory's place."""
    home, limit = await account.add("Kim lives in Oslo"), await account.add("The limit is 50 requests")
    items = [
        {"content": "Kim lives in Rome", "auto_supersede": True},
        {"content": "The limit is 60 requests", "auto_supersede": True},
        {"content": "Kim lives in Bonn", "auto_supersede": True},
        {"content": "Bob lives in Bonn"},
    ]
    for mode in ("all", "partial"):
        answer = await account.post(BULK, memories=items, mode=mode, dry_run=mode == "all")
    reports: list[dict[str, Any]] = [item["auto_supersede"][0] for item in answer["items"][:3]]
    done = [one["supersession"] for one in reports]
    assert [one and one["old_memory_id"] for one in done] == [home, limit, None]
    assert reports[2]["skipped_reason"] == "changed_meanwhile"
    assert "auto_supersede" not in answer["items"][3]
    assert answer["transaction"]["id"] == 3


async def test_an_undone_supersession_is_as_before(account: Account) -> None:
    """Restoring the transaction takes the new memory back and re-opens the old one, open as it was."""
    old = await account.add("Kim lives in Oslo")
    number = (await superseding(account, "Kim lives in Rome"))["transaction"]["id"]
    await account.post(f"/agent/transactions/{number}/restore")
    memory = (await account.get(f"/memories/{old}"))["memory"]
    assert (memory["valid_to"], memory["superseded_by"]) == (None, None)
    assert await account.decisions() == ["Kim lives in Oslo"]


# ---- by a model


async def test_items_of_one_model_are_judged_together(account: Account) -> None:
    """Twenty in a call, also where each item of a bulk brings the model itself."""
    await account.add("Kim moved into a flat in Oslo")
    async with ScriptedProvider(verdicts({})) as provider:
        model = {"auto_supersede": True, "llm": llm(provider)}
        items = [{"content": f"Kim moved into a flat in {city}", **model} for city in ("Rome", "Bonn", "Lima")]
        answer = await account.post(BULK, memories=items)
    assert len(provider.requests) == 1
    assert answer["items"][0]["auto_supersede"][0]["supersession"] is not None


async def test_a_model_judges_what_the_rules_cannot(account: Account) -> None:
    """Its verdict is carried out at or above `min_confidence`; the settings name the model that judges."""
    old = await account.add("Kim moved into a flat in Oslo")
    ok(await account.client.patch(SETTINGS, json={"classifier_model": "small-1"}))
    async with ScriptedProvider(verdicts({})) as provider:
        written = await superseding(account, "Kim has settled in Rome for good", llm=llm(provider))
        [request] = provider.requests
    assert request.body["model"] == "small-1" and "never" in request.text
    assert written["auto_supersede"]["supersession"] == {
        "old_memory_id": old,
        "confidence": 0.95,
        "verdict": "supersedes",
        "reasoning": "The home changed.",
    }
    assert (await account.get(f"/agent/transactions/{written['transaction']['id']}"))["model"] == "small-1"


@pytest.mark.parametrize(
    "decision",
    [
        {"verdict": "independent"},
        {"verdict": "refines"},
        {"verdict": "duplicate"},
        {"confidence": 0.84},
        {"confidence": -5},
        {"old": 7},
        {"old": -1},
        {"new": 3},
    ],
)
async def test_other_verdicts_and_numbers_that_were_not_handed_out_change_nothing(
    account: Account, decision: dict[str, Any]
) -> None:
    """Only `supersedes`, only what was handed out, only at or above `min_confidence`."""
    await account.add("Kim lives in Oslo")
    async with ScriptedProvider(verdicts(decision)) as provider:
        report = (await superseding(account, "Kim lives in Rome", llm=llm(provider)))["auto_supersede"]
    assert report["ran"] is True and report["supersession"] is None
    assert (report["skipped_reason"] == "low_confidence") is ("confidence" in decision)
    assert len(await account.decisions()) == 2


async def test_a_confidence_is_clamped(account: Account) -> None:
    """A model that is 900 % sure is sure."""
    await account.add("Kim lives in Oslo")
    async with ScriptedProvider(verdicts({"confidence": 9})) as provider:
        report = (await superseding(account, "Kim lives in Rome", llm=llm(provider)))["auto_supersede"]
    assert report["supersession"]["confidence"] == 1.0


async def test_a_model_that_fails_judges_nothing_and_loses_nothing(account: Account) -> None:
    """The memory is stored; the report says why nothing was judged."""
    await account.add("Kim lives in Oslo")
    async with ScriptedProvider() as provider:
        provider.always(status(401))
        answer = await superseding(account, "Kim lives in Rome", llm=llm(provider))
        assert answer["auto_supersede"]["skipped_reason"] == "classifier_unavailable"
    async with ScriptedProvider(lambda _: {"decisions": [{"new": "x"}]}) as provider:
        answer = await superseding(account, "Kim lives in Bonn", llm=llm(provider))
        assert (answer["status"], answer["auto_supersede"]["ran"]) == ("saved", False)
    assert len(await account.decisions()) == 3


async def test_what_changed_while_the_model_thought_is_left_alone(account: Account) -> None:
    """A verdict is on what the memory said when it was judged."""
    old = await account.add("Kim lives in Oslo")

    async def correct() -> None:
        await account.post(f"/memories/{old}/correct", content="Kim lives in Bergen", reason="typing error")

    async with ScriptedProvider(verdicts({})) as provider:

        async def thinking(exchange: Any) -> None:
            await correct()
            await answering(exchange)

        answering = answers()
        provider.always(thinking)
        report = (await superseding(account, "Kim lives in Rome", llm=llm(provider)))["auto_supersede"]
    assert (report["skipped_reason"], report["supersession"]) == ("changed_meanwhile", None)
    assert sorted(await account.decisions()) == ["Kim lives in Bergen", "Kim lives in Rome"]


# ---- trust


SLOT = {"subject": "kim", "attribute": "city"}


@pytest.fixture
async def low(account: Account, make_account: MakeAccount) -> Account:
    """A key of low trust of the same account."""
    return await make_account(of=account.row, trust=1)


async def test_memories_tell_the_trust_of_the_key_that_wrote_them(
    account: Account, low: Account, make_account: MakeAccount
) -> None:
    """low, normal, high: in lists, in search and by id."""
    high = await make_account(of=account.row, trust=3)
    for key, trust in ((low, "low"), (account, "normal"), (high, "high")):
        id_ = await key.add(f"Kim likes {trust} tables")
        assert (await account.get(f"/memories/{id_}"))["memory"]["trust"] == trust
    found = (await account.post("/agent/search", query="Kim likes tables"))["memories"]
    assert {memory["trust"] for memory in found} == {"low", "normal", "high"}
    assert (await account.get("/agent/transactions/verify"))["ok"] is True


async def test_a_slot_of_higher_trust_is_refused(account: Account, low: Account) -> None:
    """409 lower_trust and nothing stored; before it held, in another slot, and the same text are no conflict."""
    old = await account.add("Kim lives in Oslo", valid_from="2026-01-01", **SLOT)
    problem(await low.client.post(MEMORIES, json={"content": "Kim lives in Rome", **SLOT}), 409, "lower_trust")
    assert await account.decisions() == ["Kim lives in Oslo"]
    assert (await low.post(MEMORIES, content="kim lives in oslo", **SLOT))["memory_id"] == old
    await low.add("Kim lived in Bergen", valid_from="2025-01-01", valid_to="2026-01-01", **SLOT)
    await low.add("Kim works for Acme", subject="kim", attribute="employer")
    answer = await low.post(
        BULK, mode="partial", memories=[{"content": "Kim lives in Rome", **SLOT}, {"content": "Kim likes tea"}]
    )
    assert [item["status"] for item in answer["items"]] == ["error", "saved"]
    assert answer["items"][0]["error"]["code"] == "lower_trust"


async def test_what_a_low_key_schedules_ends_nothing_of_higher_trust(account: Account, low: Account) -> None:
    """Scheduled changes stand among equals; one of lower trust would end, when it likes, what is said after it."""
    planned = await low.add("Kim lives in Rome", **SLOT, valid_from="2990-01-01")
    said = await account.add("Kim lives in Oslo", **SLOT)
    memory = (await account.get(f"/memories/{said}"))["memory"]
    assert (memory["valid_to"], memory["superseded_by"]) == (None, None)
    assert (await account.get(f"/memories/{planned}"))["memory"]["transaction_time_end"] is not None
    await account.post(f"/memories/{said}/correct", valid_to="2030-01-01", reason="misread")
    await low.add("Kim lives in Bonn", **SLOT, valid_from="2990-01-01")
    await account.post(f"/memories/{said}/correct", valid_to=None, reason="misread")
    memory = (await account.get(f"/memories/{said}"))["memory"]
    assert (memory["valid_to"], memory["superseded_by"]) == (None, None)
    assert (await account.get("/agent/transactions/verify"))["ok"] is True
    ours = await account.add("Bob lives in Rome", subject="bob", attribute="city", valid_from="2990-01-01")
    first = await account.add("Bob lives in Oslo", subject="bob", attribute="city")
    assert (await account.get(f"/memories/{first}"))["memory"]["superseded_by"] == ours


async def test_an_extracted_fact_yields_its_slot_to_higher_trust(account: Account, low: Account) -> None:
    """It is stored without its slot, and a warning says so; in bulk, too."""
    old = await account.add("Kim lives in Oslo", **SLOT)
    fact: dict[str, Any] = {
        "fact": "Kim lives in Rome",
        "turn": 0,
        "quote": "I live in Rome",
        "topic": "Home",
        "importance": 7,
        "people": [],
        "action_items": [],
        **SLOT,
    }
    turns = [{"role": "user", "content": "I live in Rome now.", "name": "Kim"}]
    async with ScriptedProvider(lambda _: {"facts": [fact]}) as provider:
        written = await low.post(MEMORIES, messages=turns, llm=llm(provider))
        again = await low.post(BULK, memories=[{"messages": turns, "llm": llm(provider)}], mode="partial")
    assert any("without their slot" in warning for warning in written["warnings"])
    memory = (await account.get(f"/memories/{written['memory_ids'][0]}"))["memory"]
    assert (memory["subject"], memory["attribute"]) == ("kim", None)
    assert (await account.get(f"/memories/{old}"))["memory"]["valid_to"] is None
    assert again["items"][0]["status"] == "duplicate"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/memories/{id}/supersede", {"valid_to": "2099-01-01"}),
        ("/memories/{id}/supersede", {"superseded_by": "{other}"}),
        ("/memories/{id}/correct", {"content": "Kim lives in Rome", "reason": "x"}),
        ("/memories/{id}/retract", {}),
        ("/agent/transactions/1/restore", {}),
        ("/agent/transactions/3/restore", {}),
    ],
)
async def test_no_verb_of_a_low_key_changes_what_a_higher_one_wrote(
    account: Account, low: Account, path: str, body: dict[str, Any]
) -> None:
    """409 lower_trust, in a dry run too; a key of the same trust may."""
    old = await account.add("Kim lives in Oslo")
    other = await low.add("Kim lives in Rome")
    gone = await account.add("Kim likes tea")
    await account.client.delete(f"/memories/{gone}")
    path = path.replace("{id}", old)
    body = {name: value.replace("{other}", other) for name, value in body.items()}
    before = await account.get(MEMORIES, include_superseded="true")
    for dry_run in (True, False):
        problem(await low.client.post(path, json={**body, "dry_run": dry_run}), 409, "lower_trust")
    after = await account.get(MEMORIES, include_superseded="true", as_of=before["as_of"])
    assert after["memories"] == before["memories"]
    if "transactions/3" not in path:
        ok(await account.client.post(path, json=body))


async def test_a_low_key_may_change_what_it_wrote_itself(low: Account) -> None:
    """Trust orders keys; within one level nothing is forbidden."""
    id_ = await low.add("Kim lives in Oslo", **SLOT)
    await low.add("Kim lives in Rome", **SLOT)
    await low.post(f"/memories/{id_}/correct", content="Kim lives in Bergen", reason="typing error")
    ok(await low.client.delete(f"/memories/{id_}"))


async def test_an_interval_that_is_corrected_displaces_no_higher_trust(account: Account, low: Account) -> None:
    """Correct displaces as an assert does, and is held to the same rule."""
    mine = await low.add("Kim lived in Bergen", valid_from="2024-01-01", valid_to="2025-01-01", **SLOT)
    await account.add("Kim lives in Oslo", valid_from="2025-01-01", **SLOT)
    correction = {"valid_to": "2026-01-01", "reason": "x"}
    problem(await low.client.post(f"/memories/{mine}/correct", json=correction), 409, "lower_trust")
    ok(await account.client.post(f"/memories/{mine}/correct", json=correction))


async def test_what_a_higher_key_confirms_is_as_safe_as_what_it_says(account: Account, low: Account) -> None:
    """The same text by a key of higher trust is no duplicate: it takes the slot; the low key cannot take it back."""
    await low.add("Kim lives in Oslo", **SLOT)
    assert (await account.post(MEMORIES, content="Kim lives in Oslo", **SLOT))["status"] == "saved"
    problem(await low.client.post(MEMORIES, json={"content": "Kim lives in Rome", **SLOT}), 409, "lower_trust")


async def test_a_low_key_supersedes_nothing_of_higher_trust_automatically(account: Account, low: Account) -> None:
    """`lower_trust` in the report; a flood of repetitions changes nothing either, and repeats count once."""
    await account.add("Kim lives in Oslo")
    report = (await superseding(low, "Kim lives in Rome"))["auto_supersede"]
    assert (report["ran"], report["skipped_reason"], report["supersession"]) == (True, "lower_trust", None)
    for _ in range(5):
        assert (await superseding(low, "Kim lives in Rome"))["status"] == "duplicate"
    assert sorted(await account.decisions()) == ["Kim lives in Oslo", "Kim lives in Rome"]
    assert await open_reviews(account) == []


# ---- the review queue


async def waiting(account: Account) -> tuple[str, str, dict[str, Any]]:
    """Two memories that may replace one another, and the review that asks."""
    await queue(account)
    old = await account.add("Kim prefers tea", valid_from="2026-01-01")
    new = (await superseding(account, "Kim prefers coffee", valid_from="2026-02-01"))["memory_id"]
    [review] = await open_reviews(account)
    return old, new, review


async def test_what_is_not_sure_waits_where_the_account_asks_for_it(account: Account) -> None:
    """A review has both memories as they are now, the verdict, and why it waits."""
    old, new, review = await waiting(account)
    assert (review["old_memory_id"], review["new_memory_id"]) == (old, new)
    assert (review["why"], review["verdict"], review["classifier"]) == ("low_confidence", "supersedes", "rules")
    assert (review["state"], review["created_by"]) == ("open", 2)
    assert review["old_memory"]["decision"] == "Kim prefers tea" and review["old_memory"]["valid_to"] is None
    assert review["new_memory"]["decision"] == "Kim prefers coffee"
    assert review["decided_at"] is review["decided_by"] is review["decided_transaction"] is None
    assert (await account.get("/agent/transactions/verify"))["ok"] is True


async def test_without_the_queue_nothing_waits(account: Account) -> None:
    """Below `min_confidence` nothing happens; a dry run never leaves a review."""
    await account.add("Kim prefers tea")
    report = (await superseding(account, "Kim prefers coffee"))["auto_supersede"]
    assert (report["ran"], report["skipped_reason"]) == (True, "low_confidence")
    await queue(account)
    await superseding(account, "Kim prefers milk", dry_run=True)
    assert await open_reviews(account) == []


async def test_accepting_supersedes_now(account: Account) -> None:
    """One transaction with the reason, the review is closed by it, and a second decision is 409."""
    old, new, review = await waiting(account)
    dry = await account.post(f"{REVIEWS}/{review['id']}/accept", dry_run=True)
    assert (dry["dry_run"], dry["status"]) == (True, "accepted") and len(await open_reviews(account)) == 1
    done = await account.post(f"{REVIEWS}/{review['id']}/accept")
    assert (done["status"], done["memory_id"], done["superseded_by"]) == ("accepted", old, new)
    assert done["valid_to"] == "2026-02-01T00:00:00.000000+00:00" and done["receipt"]["closed"]
    entry = await account.get(f"/agent/transactions/{done['transaction']['id']}")
    assert (entry["verb"], entry["reason"]) == ("supersede", "review accepted")
    assert await account.decisions() == ["Kim prefers coffee"]
    assert await open_reviews(account) == []
    [closed] = await open_reviews(account, state="accepted")
    assert closed["decided_transaction"] == done["transaction"] and closed["decided_by"].startswith("key ")
    for verb in ("accept", "reject"):
        problem(await account.client.post(f"{REVIEWS}/{review['id']}/{verb}", json={}), 409, "already_decided")


async def test_rejecting_changes_no_memory(account: Account) -> None:
    """No number is taken; the review is in no list but that of the rejected."""
    _, _, review = await waiting(account)
    done = await account.post(f"{REVIEWS}/{review['id']}/reject")
    assert (done["status"], done["superseded_by"], done["valid_to"]) == ("rejected", None, None)
    assert done["transaction"]["id"] == 2
    assert len(await account.decisions()) == 2
    assert [one["id"] for one in await open_reviews(account, state="rejected")] == [review["id"]]
    assert [one["state"] for one in await open_reviews(account, state="all")] == ["rejected"]


async def test_decisions_are_idempotent(account: Account) -> None:
    """The same key gets the same answer, and one transaction."""
    _, _, review = await waiting(account)
    path = f"{REVIEWS}/{review['id']}/accept"
    first = await account.client.post(path, json={"reason": "asked Kim"}, headers={"Idempotency-Key": "a"})
    second = await account.client.post(path, json={"reason": "asked Kim"}, headers={"Idempotency-Key": "a"})
    assert ok(first)["transaction"]["id"] == 3
    assert second.headers["Idempotent-Replayed"] == "true" and second.content == first.content


async def test_one_of_two_decisions_at_once_wins(account: Account) -> None:
    """Eight clients accept and reject at the same time: one is answered, the others are told it is decided."""
    _, _, review = await waiting(account)
    sent = [account.client.post(f"{REVIEWS}/{review['id']}/{verb}", json={}) for verb in ("accept", "reject") * 4]
    answers = await asyncio.gather(*sent)
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"already_decided"}


async def test_a_review_that_the_world_has_passed_is_stale(account: Account) -> None:
    """409 stale_review where a memory is not believed any more or was superseded; then it can be rejected."""
    old, new, review = await waiting(account)
    other = await account.add("Kim prefers water")
    await account.post(f"/memories/{old}/supersede", superseded_by=other)
    path = f"{REVIEWS}/{review['id']}"
    problem(await account.client.post(f"{path}/accept", json={}), 409, "stale_review")
    await account.client.delete(f"/memories/{new}")
    problem(await account.client.post(f"{path}/accept", json={}), 409, "stale_review")
    [shown] = await open_reviews(account)
    assert shown["new_memory"] is None and shown["old_memory"]["superseded_by"] == other
    ok(await account.client.post(f"{path}/reject", json={}))


async def test_what_is_not_trusted_enough_waits_for_a_trusted_key(account: Account, low: Account) -> None:
    """A person decides, whoever wrote the new memory; but not with a key of lower trust than the old memory's."""
    await queue(low)
    old = await account.add("Kim lives in Oslo")
    await superseding(low, "Kim lives in Rome")
    [review] = await open_reviews(account)
    assert (review["why"], review["new_memory"]["trust"]) == ("lower_trust", "low")
    problem(await low.client.post(f"{REVIEWS}/{review['id']}/accept", json={}), 409, "lower_trust")
    done = await account.post(f"{REVIEWS}/{review['id']}/accept")
    assert done["memory_id"] == old
    assert await account.decisions() == ["Kim lives in Rome"]


async def test_erasing_either_memory_removes_the_review(account: Account) -> None:
    """A review quotes both; none stays when one goes for good."""
    for which in (0, 1):
        found = await waiting(account)
        ok(await account.client.post(f"/memories/{found[which]}/erase", json={}))
        assert await open_reviews(account, state="all") == []
        ok(await account.client.post(f"/memories/{found[1 - which]}/erase", json={}))


async def test_reviews_are_seen_by_their_own_tenant_alone(account: Account, make_account: MakeAccount) -> None:
    """A key pinned to a tenant sees its own; another account, another tenant and nothing are one 404."""
    _, _, review = await waiting(account)
    pinned = await make_account(of=account.row, tenant_id="t1")
    stranger = await make_account()
    assert await open_reviews(pinned) == await open_reviews(stranger) == []
    assert await open_reviews(account, tenant_id="t1") == []
    said: set[bytes] = set()
    for client in (pinned, stranger):
        for id_ in (review["id"], "00000000-0000-4000-8000-000000000000", "no-uuid"):
            for verb in ("accept", "reject"):
                body = problem(await client.client.post(f"{REVIEWS}/{id_}/{verb}", json={}), 404, "not_found")
                said.add(msgspec.json.encode({name: body[name] for name in ("detail", "code", "hint", "param")}))
    assert len(said) == 1
    problem(await account.client.get(REVIEWS, params={"state": "closed"}), 400, "out_of_range")


async def test_reviews_come_in_pages(account: Account, make_account: MakeAccount) -> None:
    """Newest first, each once; a cursor belongs to its account."""
    await queue(account)
    for name in ("Kim", "Bob", "Ann", "Eva", "Ole"):
        await account.add(f"{name} prefers tea", subject=name)
        await superseding(account, f"{name} prefers coffee", subject=name)
    seen: list[str] = []
    cursor = None
    while True:
        page = await account.get(REVIEWS, limit=2, **({"cursor": cursor} if cursor else {}))
        seen += [review["new_memory"]["subject"] for review in page["reviews"]]
        if not page["has_more"]:
            break
        cursor = page["next_cursor"]
    assert seen == ["Ole", "Eva", "Ann", "Bob", "Kim"]
    stranger = await make_account()
    problem(await stranger.client.get(REVIEWS, params={"cursor": cursor}), 400, "invalid_cursor")


async def test_reading_reviews_needs_no_more_than_read(account: Account, make_account: MakeAccount) -> None:
    """memories:read lists, memories:write decides."""
    _, _, review = await waiting(account)
    reader = await make_account(of=account.row, scopes="read_only")
    assert len(await open_reviews(reader)) == 1
    problem(await reader.client.post(f"{REVIEWS}/{review['id']}/accept", json={}), 403, "insufficient_scope")
