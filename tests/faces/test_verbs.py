"""Correct, retract, restore over HTTP: receipts, dry runs, refusals. time.md §3."""

import datetime as dt
from typing import Any

import pytest

from tests.conftest import Account, HandClock, MakeAccount
from tests.faces.wire import MEMORIES, NOWHERE, list_of, nothing_stored, ok, problem, same_for_all

CITY = {"subject": "kim", "attribute": "city"}


async def pieces(account: Account, memory_id: str, **query: Any) -> list[tuple[str, str | None]]:
    """The memory's believed pieces, as days."""
    found = (await account.get(f"/memories/{memory_id}", **query))["pieces"]
    return [(one["valid_from"][:10], one["valid_to"] and one["valid_to"][:10]) for one in found]


async def test_a_corrected_content_keeps_id_intervals_and_the_past(account: Account) -> None:
    """Same id, same pieces; what was believed before is still what was believed before."""
    memory = await account.add("Kim lives in Olso", valid_from="2026-01-01", importance_score=8, topic="home", **CITY)
    answer = await account.post(f"/memories/{memory}/correct", content="Kim lives in Oslo", reason="spelling")
    assert (answer["status"], answer["memory_id"], answer["transaction"]["id"]) == ("corrected", memory, 2)
    assert [(one["op"], one["valid_from"][:10]) for one in answer["receipt"]["opened"]] == [("correct", "2026-01-01")]
    assert len(answer["receipt"]["closed"]) == 1
    shown = (await account.get(f"/memories/{memory}"))["memory"]
    assert (shown["decision"], shown["importance_score"], shown["topic"]) == ("Kim lives in Oslo", 8, "home")
    assert await account.decisions(transaction_as_of=1) == ["Kim lives in Olso"]
    assert await account.decisions(transaction_as_of=2) == ["Kim lives in Oslo"]
    assert (await account.get("/plan/status"))["writes_used"] == 1
    event = (await account.get(f"/memories/{memory}/audit"))["history"][-1]
    assert (event["event"], event["details"]["reason"]) == ("corrected", "spelling")


async def test_a_corrected_content_is_found_by_its_new_words(account: Account) -> None:
    """Search and duplicates know the new text, and no longer the old one."""
    memory = await account.add("Kim plays the violin")
    await account.post(f"/memories/{memory}/correct", content="Kim plays the cello", reason="misheard")
    found = await account.post("/agent/search", query="cello")
    assert found["memories"][0]["decision"] == "Kim plays the cello"
    assert (await account.post(MEMORIES, content="kim plays the CELLO"))["status"] == "duplicate"
    assert (await account.post(MEMORIES, content="Kim plays the violin"))["status"] == "saved"


async def test_a_corrected_start_displaces_others_as_an_assert_does(account: Account) -> None:
    """A correction with an earlier start takes what it claims; who held it keeps the rest, and names the successor."""
    oslo = await account.add("Oslo", valid_from="2026-01-01", **CITY)
    rome = await account.add("Rome", valid_from="2026-03-01", **CITY)
    await account.post(f"/memories/{rome}/correct", valid_from="2026-02-01", reason="moved earlier")
    assert await pieces(account, oslo) == [("2026-01-01", "2026-02-01")]
    assert await pieces(account, rome) == [("2026-02-01", None)]
    assert (await account.get(f"/memories/{oslo}"))["memory"]["superseded_by"] == rome


async def test_absent_keeps_the_end_and_null_opens_it(account: Account) -> None:
    """`valid_to`: absent stays as it is, null is open, and an open one yields to what starts later."""
    memory = await account.add("Oslo", valid_from="2026-01-01", valid_to="2026-02-01", **CITY)
    rome = await account.add("Rome", valid_from="2026-06-01", **CITY)
    await account.post(f"/memories/{memory}/correct", valid_from="2026-01-15", reason="r")
    assert await pieces(account, memory) == [("2026-01-15", "2026-02-01")]
    await account.post(f"/memories/{memory}/correct", valid_to=None, reason="still there")
    assert await pieces(account, memory) == [("2026-01-15", "2026-06-01")]
    assert (await account.get(f"/memories/{memory}"))["memory"]["superseded_by"] == rome
    await account.post(f"/memories/{memory}/correct", valid_to="2026-04-01", reason="left")
    shown = (await account.get(f"/memories/{memory}"))["memory"]
    assert (shown["valid_to"][:10], shown["superseded_by"]) == ("2026-04-01", None)


async def test_of_several_pieces_one_must_be_named(account: Account) -> None:
    """409 `several_pieces` lists them; with `version` that one is corrected, and pieces that touch become one."""
    oslo = await account.add("Oslo", valid_from="2026-01-01", **CITY)
    await account.add("Rome", valid_from="2026-03-01", valid_to="2026-04-01", **CITY)
    path = f"/memories/{oslo}/correct"
    async with nothing_stored(account):
        for version in (None, NOWHERE):
            body = {"valid_from": "2026-05-01", "reason": "r", **({"version": version} if version else {})}
            said = problem(await account.client.post(path, json=body), 409, "several_pieces")
            assert len(said["versions"]) == 2
    versions = said["versions"]
    await account.post(path, valid_from="2026-05-01", version=versions[1], reason="r")
    assert await pieces(account, oslo) == [("2026-01-01", "2026-03-01"), ("2026-05-01", None)]
    last = (await account.get(f"/memories/{oslo}"))["pieces"][1]["version"]
    await account.post(path, valid_from="2026-03-01", version=last, reason="never in Rome")
    assert await pieces(account, oslo) == [("2026-01-01", None)]


async def test_content_and_interval_together_are_one_transaction(account: Account) -> None:
    """Both change at once: the content of all pieces, the interval of one."""
    memory = await account.add("Olso", valid_from="2026-01-01", **CITY)
    answer = await account.post(f"/memories/{memory}/correct", content="Oslo", valid_from="2026-02-01", reason="both")
    assert answer["transaction"]["id"] == 2
    assert await pieces(account, memory) == [("2026-02-01", None)]
    assert await account.decisions(**CITY, as_of="2026-03-01") == ["Oslo"]
    assert await account.decisions(**CITY, as_of="2026-01-15") == []


async def test_nothing_to_change_takes_no_number(account: Account) -> None:
    """`unchanged`: the same content, the same interval."""
    memory = await account.add("Oslo", valid_from="2026-01-01", **CITY)
    for body in ({"content": "Oslo"}, {"valid_from": "2026-01-01"}, {"valid_to": None}, {}):
        answer = await account.post(f"/memories/{memory}/correct", reason="r", **body)
        assert (answer["status"], answer["transaction"]["id"]) == ("unchanged", 1)
        assert answer["receipt"] == {"opened": [], "closed": []}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"content": "x"}, 422, "validation_error"),
        ({"content": " ", "reason": "r"}, 400, "invalid_request"),
        ({"valid_to": "2025-01-01", "reason": "r"}, 400, "empty_interval"),
        ({"valid_to": "2026-01-01", "reason": "r"}, 400, "empty_interval"),
        ({"valid_from": "2026-05-01", "valid_to": "2026-04-01", "reason": "r"}, 400, "empty_interval"),
        ({"valid_from": "2026-01-01T00:00:00", "reason": "r"}, 422, "validation_error"),
        ({"valid_from": "0001-01-01", "reason": "r"}, 400, "out_of_range"),
        ({"version": "x", "valid_to": None, "reason": "r"}, 422, "validation_error"),
        ({"topic": "t", "reason": "r"}, 400, "unknown_field"),
    ],
)
async def test_a_correction_that_cannot_be_changes_nothing(
    account: Account, body: dict[str, Any], status: int, code: str
) -> None:
    """Bad input: the error names the field."""
    memory = await account.add("Oslo", valid_from="2026-01-01", **CITY)
    async with nothing_stored(account):
        problem(await account.client.post(f"/memories/{memory}/correct", json=body), status, code)


async def test_every_verb_shows_its_receipt_in_a_dry_run(account: Account) -> None:
    """Property 18: a dry run's receipt is the one that the real run then gives, ids of new versions apart."""
    oslo = await account.add("Oslo", valid_from="2026-01-01", **CITY)
    await account.add("Rome", valid_from="2026-03-01", **CITY)
    steps: list[tuple[str, dict[str, Any]]] = [
        (f"/memories/{oslo}/correct", {"content": "Oslo, Norway", "valid_from": "2025-01-01", "reason": "r"}),
        (f"/memories/{oslo}/supersede", {"valid_to": "2026-02-01"}),
        (f"/memories/{oslo}/retract", {"reason": "r"}),
        ("/agent/transactions/5/restore", {}),
    ]
    for path, body in steps:
        async with nothing_stored(account):
            planned = ok(await account.client.post(path, json={**body, "dry_run": True}))
        done = await account.post(path, **body)
        assert planned["dry_run"] and not done["dry_run"]
        for one in [*planned["receipt"]["opened"], *done["receipt"]["opened"]]:
            one["version"] = None
        assert planned["receipt"] == done["receipt"], path
        assert planned["transaction"]["id"] == done["transaction"]["id"] - 1


async def test_a_restore_gives_back_what_was(account: Account) -> None:
    """Property 13: restore right after a change is the identity on the current state; it can be restored itself."""
    oslo = await account.add("Oslo", valid_from="2026-01-01", **CITY)
    changes: list[tuple[str, dict[str, Any]]] = [
        (MEMORIES, {"content": "Rome", "valid_from": "2026-02-01", **CITY}),
        (f"/memories/{oslo}/correct", {"content": "Oslo!", "valid_to": "2027-01-01", "reason": "r"}),
        (f"/memories/{oslo}/supersede", {"valid_to": "2026-06-01"}),
        (f"/memories/{oslo}/retract", {}),
    ]

    def stripped(memories: list[dict[str, Any]]) -> list[Any]:
        return [
            (one["id"], one["decision"], one["valid_from"], one["valid_to"], one["superseded_by"]) for one in memories
        ]

    for path, body in changes:
        before = stripped(await list_of(account, include_superseded="true"))
        number = (await account.post(path, **body))["transaction"]["id"]
        after = stripped(await list_of(account, include_superseded="true"))
        answer = await account.post(f"/agent/transactions/{number}/restore", reason="undo")
        assert (answer["status"], answer["restored"]) == ("restored", number)
        assert {one["op"] for one in answer["receipt"]["opened"]} <= {"restore"}
        assert stripped(await list_of(account, include_superseded="true")) == before
        again = (await account.post(f"/agent/transactions/{number + 1}/restore"))["transaction"]["id"]
        assert stripped(await list_of(account, include_superseded="true")) == after
        await account.post(f"/agent/transactions/{again}/restore")
        assert stripped(await list_of(account, include_superseded="true")) == before
    assert (await account.get("/agent/transactions/verify"))["ok"]


async def test_a_restore_over_later_changes_names_them(account: Account) -> None:
    """409 `in_the_way`: who touched a memory of it later, and who holds an instant that would be given back."""
    oslo = await account.add("Oslo", valid_from="2026-01-01", **CITY)
    await account.post(f"/memories/{oslo}/retract")
    await account.add("Rome", valid_from="2026-01-01", **CITY)
    async with nothing_stored(account):
        said = problem(await account.client.post("/agent/transactions/2/restore", json={}), 409, "in_the_way")
        assert said["in_the_way"] == [3]
        said = problem(await account.client.post("/agent/transactions/1/restore", json={}), 409, "in_the_way")
        assert said["in_the_way"] == [2]
    await account.post("/agent/transactions/3/restore")
    await account.post("/agent/transactions/2/restore")
    assert await account.decisions(**CITY) == ["Oslo"]


async def test_a_transaction_that_is_not_there_cannot_be_restored(account: Account, make_account: MakeAccount) -> None:
    """The one 404: for number 0, one that has not happened, no number, another account's, another tenant's."""
    await account.add("mine")
    await account.add("another tenant's", tenant_id="b")
    pinned = await make_account(of=account.row, tenant_id="a")
    responses = [
        await account.client.post(f"/agent/transactions/{number}/restore", json={})
        for number in ("0", "3", "99999999999999999999", "x", "-1", "1.0")
    ]
    responses += [await pinned.client.post(f"/agent/transactions/{number}/restore", json={}) for number in (1, 2)]
    same_for_all(responses)


async def test_retracted_by_post_as_by_delete(account: Account) -> None:
    """POST …/retract and DELETE are one verb: gone now, there before, 409 the second time."""
    one, other = await account.add("one"), await account.add("other")
    assert (await account.post(f"/memories/{one}/retract", reason="wrong"))["status"] == "retracted"
    assert ok(await account.client.delete(f"/memories/{other}"))["status"] == "retracted"
    assert await account.decisions() == []
    assert await account.decisions(transaction_as_of=2) == ["other", "one"]
    for memory in (one, other):
        for path, body in (
            ("retract", {}),
            ("correct", {"content": "x", "reason": "r"}),
            ("supersede", {"valid_to": "2030-01-01"}),
        ):
            said = problem(await account.client.post(f"/memories/{memory}/{path}", json=body), 409, "not_believed")
            assert f"transaction {3 if memory == one else 4}" in said["detail"]


async def test_verbs_keep_to_their_account_and_tenant(account: Account, make_account: MakeAccount) -> None:
    """A memory of another account, of another tenant than the key's, of nobody: the same 404 for every verb."""
    other = await make_account()
    pinned = await make_account(of=account.row, tenant_id="a")
    memory = await account.add("mine", tenant_id="b")
    for verb, body in (("correct", {"content": "x", "reason": "r"}), ("retract", {}), ("erase", {})):
        path = f"/memories/{memory}/{verb}"
        same_for_all(
            [
                await other.client.post(path, json=body),
                await pinned.client.post(path, json=body),
                await account.client.post(f"/memories/{NOWHERE}/{verb}", json=body),
            ]
        )


async def test_the_same_key_twice_is_one_transaction(account: Account) -> None:
    """Property 14: every verb answers a repeated Idempotency-Key with what it answered first."""
    memory = await account.add("Oslo", valid_from="2026-01-01", **CITY)
    steps: list[tuple[str, dict[str, Any]]] = [
        (f"/memories/{memory}/correct", {"content": "Rome", "reason": "r"}),
        ("/agent/transactions/2/restore", {}),
        (f"/memories/{memory}/retract", {}),
        ("/agent/transactions/4/restore", {}),
    ]
    for number, (path, body) in enumerate(steps):
        headers = {"Idempotency-Key": f"key {number}"}
        first = await account.client.post(path, json=body, headers=headers)
        again = await account.client.post(path, json=body, headers=headers)
        assert ok(first)["transaction"]["id"] == number + 2
        assert again.content == first.content
        assert again.headers["Idempotent-Replayed"] == "true"


async def test_a_correction_of_what_starts_later_is_no_rewriting_of_now(
    account: Account, hand_clock: HandClock
) -> None:
    """Property 12: a future-dated fact is invisible before its start and visible after it, with no job run."""
    hand_clock.at = dt.datetime(2031, 1, 1, tzinfo=dt.UTC)
    memory = await account.add("Rome", valid_from="2031-06-01", **CITY)
    assert await account.decisions() == []
    await account.post(f"/memories/{memory}/correct", valid_from="2031-03-01", reason="earlier")
    hand_clock.at = dt.datetime(2031, 2, 28, tzinfo=dt.UTC)
    assert await account.decisions() == []
    hand_clock.at = dt.datetime(2031, 3, 1, tzinfo=dt.UTC)
    assert await account.decisions() == ["Rome"]
