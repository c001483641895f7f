"""T4: what is not in an answer's text: ranking, counts, duplicates, candidates, and names that two have in common.

The differential test of `tests/isolation/` goes without vectors; here all accounts have those of one model.
"""

import datetime as dt
import re
from typing import Any

import httpx2
import msgspec
import pytest

from aurra.context import Service
from tests.conftest import Account, HandClock, MakeAccount

START = dt.datetime(2031, 1, 1, tzinfo=dt.UTC)
LATER = START + dt.timedelta(hours=1)
Json = dict[str, Any]
FACTS = [
    "Kim Okafor lives in Oslo with two cats.",
    "The harbour of Bergen is deep enough for tankers.",
    "Kim prefers green tea in the morning.",
    "The budget of the ferry is 40,000 crowns.",
]
QUESTIONS = ["Where does Kim live?", "How deep is the harbour?", "What is the budget?", "Who feeds the penguins?"]


async def told(account: Account) -> list[Any]:
    """What searches, questions and lists answer, but for what is made anew each time."""
    answers: list[Any] = []
    for question in QUESTIONS:
        answers.append(await account.post("/agent/search", query=question, explain=True))
        answer = await account.post("/agent/query", question=question, include_proof_tree=True)
        answers.append({name: value for name, value in answer.items() if name != "receipt_id"})
    answers.append(await account.get("/agent/memories"))
    answers.append(await account.get("/agent/subjects"))
    answers.append(await account.post("/agent/memories", content=FACTS[0].replace("Oslo", "Rome"), dry_run=True,
                                      auto_supersede=True))  # fmt: skip
    return answers


async def fill(account: Account, tenant: str | None, times: int) -> None:
    """The same facts, and many like them: what would change any weight of words, any rank, any count."""
    facts = [*FACTS, *(f"{fact} Again {number}: Kim, harbour, budget." for number in range(times) for fact in FACTS)]
    items = [{"content": fact, "tenant_id": tenant, "subject": "Kim", "session_id": "talk"} for fact in facts]
    await account.post("/agent/memories/bulk", memories=items)


@pytest.mark.parametrize("times", [10, pytest.param(300, id="long", marks=pytest.mark.long)])
@pytest.mark.timeout(3600)
async def test_what_others_say_changes_no_answer(
    account: Account, make_account: MakeAccount, hand_clock: HandClock, times: int
) -> None:
    """Scores, their shares, ranks, counts, candidates: the same before another account, and another tenant of this one,
    says the same things and many like them."""
    hand_clock.at = START
    pinned = await make_account(of=account.row, tenant_id="mine")
    for own in (account, pinned):
        for fact in FACTS:
            await own.add(fact, subject="Kim", session_id="talk")
    hand_clock.at = LATER
    before = [await told(account), await told(pinned)]
    hand_clock.at = START
    other = await make_account()
    for start in range(0, times, 100):
        await fill(other, None, min(100, times - start))
        await fill(other, "mine", min(100, times - start))
    hand_clock.at = LATER
    assert [await told(account), await told(pinned)] == before
    hand_clock.at = START
    await fill(account, "another", min(times, 100))
    hand_clock.at = LATER
    now = [await told(account), await told(pinned)]
    assert [without_number(one) for one in now] == [without_number(one) for one in before]


def without_number(answers: list[Any]) -> Any:
    """Without the newest transaction of the account: it is its tenants' in common."""
    text = msgspec.json.encode(answers).decode()
    text = re.sub(r'"transaction":{[^}]*}', "", text)
    return re.sub(r'"transaction_as_of":[^,}]*', "", text)


async def test_names_that_two_share_are_two(account: Account, make_account: MakeAccount) -> None:
    """Sessions, subjects, slots, external ids, turns, idempotency keys: each account and each tenant has its own."""
    pinned = await make_account(of=account.row, tenant_id="mine")
    owners = [account, pinned, await make_account()]
    turn = {"role": "user", "content": "I keep bees in the garden.", "id": "turn 1"}
    for owner in owners:
        answer = await owner.client.post(
            "/agent/memories",
            json={"content": "Kim lives in Oslo", "subject": "Kim", "attribute": "city", "external_id": "crm-1"},
            headers={"Idempotency-Key": "the same"},
        )
        assert answer.json()["status"] == "saved", answer.text
        assert "Idempotent-Replayed" not in answer.headers
        kept = await owner.post("/agent/conversations", session_id="call", turns=[turn], external_id="crm-1")
        assert (kept["turns_saved"], kept["turns_known"]) == (1, 0)
    for owner in owners:
        listed = await owner.get("/agent/memories", external_id="crm-1")
        assert len(listed["memories"]) == 1 and not listed["has_more"]
        profile = await owner.get("/agent/subjects/Kim")
        assert len(profile["attributes"][0]["history"]) == 1
        assert (await owner.get("/agent/conversations/call"))["conversation"]["turns"] == 1


async def test_a_pinned_keys_idempotency_keys_are_its_tenants(account: Account, make_account: MakeAccount) -> None:
    """Found by the differential test: another tenant's use of a name was told by 422. Keys pinned to one tenant share
    its names, so that a retry may come with another key of it."""
    path, headers = "/agent/memories", {"Idempotency-Key": "the same"}
    one, two, other = [await make_account(of=account.row, tenant_id=tenant) for tenant in ("a", "a", "b")]
    for owner in (account, one, other):
        assert (await owner.client.post(path, json={"content": owner.key}, headers=headers)).status_code == 200
    replayed = await two.client.post(path, json={"content": one.key}, headers=headers)
    assert replayed.headers["Idempotent-Replayed"] == "true"
    assert (await two.client.post(path, json={"content": "x"}, headers=headers)).json()[
        "code"
    ] == "idempotency_mismatch"
    # Nobody can send the name that it is kept under.
    sent = await account.client.post(path, json={"content": "x"}, headers=[(b"Idempotency-Key", "·the same".encode())])
    assert sent.status_code == 400


async def test_a_cursor_is_the_tenants_that_got_it(account: Account, make_account: MakeAccount) -> None:
    """Found by the differential test: a cursor of another tenant's list, or of the whole account's, was taken."""
    one, two, other = [await make_account(of=account.row, tenant_id=tenant) for tenant in ("a", "a", "b")]
    for owner in (account, one, other):
        for number in range(3):
            await owner.add(f"fact {number}")
    cursors = {
        owner.key: (await owner.get("/agent/memories", limit=1))["next_cursor"] for owner in (account, one, other)
    }
    assert len((await two.get("/agent/memories", cursor=cursors[one.key]))["memories"]) == 2
    for owner, cursor in ((one, cursors[other.key]), (one, cursors[account.key]), (account, cursors[one.key])):
        refused = await owner.client.get("/agent/memories", params={"cursor": cursor})
        assert refused.json()["code"] == "invalid_cursor"


async def test_an_absent_tenant_is_the_default_one(account: Account, service: Service) -> None:
    """Never all of them: of every list and search, also with a filter that another tenant's memories pass."""
    assert service
    word = "quzogadox"
    await account.post("/agent/conversations", session_id="call", external_id="crm-1", tenant_id="other", turns=[
        {"role": "user", "content": f"I keep {word}s in the garden.", "id": "turn"}
    ])  # fmt: skip
    await account.add(f"Kim lives in {word}", tenant_id="other", subject="Kim", attribute="city", external_id="crm-1")
    await account.post("/agent/query", question=f"Who lives in {word}?", tenant_id="other")
    await account.post("/agent/memories", content=f"Kim lives in {word}", subject="Kim", dry_run=True)
    for asked in ({}, {"tenant_id": ""}):
        pages = [
            await account.get(f"/agent/{path}", **asked)
            for path in ("memories", "conversations", "subjects", "receipts", "reviews")
        ]
        pages += [await account.client.get("/agent/diff", params={"from": 0, **asked})]
        pages += [await account.get("/agent/memories", subject="Kim", external_id="crm-1", **asked)]
        pages += [await account.post("/agent/search", query="Kim lives in the garden", **asked)]
        pages += [await account.post("/agent/query", question="Where does Kim live?", **asked)]
        assert not [page for page in pages if word in (page.text if isinstance(page, httpx2.Response) else str(page))]
        for path in ("conversations/call", "conversations/call/messages", "subjects/Kim"):
            assert (await account.client.get(f"/agent/{path}", params=asked)).status_code == 404
