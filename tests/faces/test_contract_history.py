"""Supersede, timeline, audit, retract, get by id: contract.md §2 and time.md §3 and §4, through HTTP."""

import itertools
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from tests.conftest import Account, HandClock, MakeAccount
from tests.faces.wire import (
    MEMORIES,
    NOWHERE,
    TEMPORAL_KEYS,
    at,
    list_of,
    nothing_stored,
    ok,
    problem,
    require_instant,
    require_memory,
    require_no_null,
    same_for_all,
)

CITY = {"subject": "kim", "attribute": "city"}
MALFORMED = ["x", "123", f"{NOWHERE}0", NOWHERE[:-1], "null", "%FF", "é", "a" * 2000]


def _supersede(account: Account, memory_id: str, **body: Any) -> Any:
    return account.client.post(f"/memories/{memory_id}/supersede", json=body)


async def _memory(account: Account, memory_id: str, **query: Any) -> dict[str, Any]:
    return (await account.get(f"/memories/{memory_id}", **query))["memory"]


async def _timeline(account: Account, memory_id: str) -> list[str]:
    return [memory["id"] for memory in (await account.get(f"/memories/{memory_id}/timeline"))["timeline"]]


# ---- one 404 for all


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/memories/{id}", None),
        ("GET", "/agent/memories/{id}", None),
        ("GET", "/memories/{id}/timeline", None),
        ("GET", "/memories/{id}/audit", None),
        ("DELETE", "/memories/{id}", None),
        ("DELETE", "/agent/memories/{id}", None),
        ("POST", "/memories/{id}/supersede", {"valid_to": "2099-01-01"}),
    ],
)
async def test_foreign_unknown_and_malformed_ids_are_the_same_404(
    account: Account, make_account: MakeAccount, method: str, path: str, body: dict[str, Any] | None
) -> None:
    """An id of another account, of another tenant under a pinned key, or of nothing: the same 404, byte for byte (the
    request's id apart)."""
    other = await make_account()
    foreign = await other.add("a secret of another account")
    south = await account.add("a secret of another tenant", tenant_id="south")
    default = await account.add("a secret of the default tenant")
    pinned = await make_account(of=account.row, tenant_id="north")
    answers: list[httpx2.Response] = []
    async with nothing_stored(other), nothing_stored(account):
        for client, ids in (
            (account.client, [foreign, NOWHERE, str(uuid4()), *MALFORMED]),
            (pinned.client, [foreign, south, default, NOWHERE, *MALFORMED]),
        ):
            for one in ids:
                answers.append(await client.request(method, path.replace("{id}", one), json=body))
    same_for_all(answers)
    lengths = {len(answer.content) for answer in answers}
    assert len(lengths) == 1
    assert len({tuple(sorted(name for name in answer.headers)) for answer in answers}) == 1


@pytest.mark.parametrize(
    ("method", "path"), [("GET", ""), ("GET", "/timeline"), ("POST", "/supersede"), ("DELETE", "")]
)
async def test_nul_in_an_id_is_the_same_404(account: Account, method: str, path: str) -> None:
    """An id with NUL is the id of nothing, for every method: the same 404."""
    body = {"valid_to": "2099-01-01"} if method == "POST" else None
    paths = [f"/memories/{one}{path}" for one in ("%00", NOWHERE)]
    same_for_all([await account.client.request(method, one, json=body) for one in paths])


async def test_a_replacement_of_another_account_is_the_same_404(account: Account, make_account: MakeAccount) -> None:
    """`superseded_by` of another account, or of nothing: 404 without a hint; text that is no UUID is the caller's
    mistake."""
    other = await make_account()
    foreign = await other.add("a secret of another account")
    mine = await account.add("Kim likes tea")
    async with nothing_stored(account), nothing_stored(other):
        same_for_all([await _supersede(account, mine, superseded_by=one) for one in (foreign, NOWHERE, str(uuid4()))])
        body = problem(await _supersede(account, mine, superseded_by="x"))
        assert body["param"] == "superseded_by"


async def test_a_replacement_of_another_tenant(account: Account, make_account: MakeAccount) -> None:
    """Same tenant only: 400; 404 under a key pinned to a tenant."""
    north = await account.add("north", tenant_id="north")
    south = await account.add("south", tenant_id="south")
    pinned = await make_account(of=account.row, tenant_id="north")
    async with nothing_stored(account):
        problem(await _supersede(account, north, superseded_by=south), 400, "invalid_request")
        problem(await _supersede(pinned, north, superseded_by=south), 404, "not_found")
        problem(await _supersede(pinned, south, superseded_by=north), 404, "not_found")
    assert await account.decisions(tenant_id="north") == ["north"]


# ---- supersede


async def test_supersede_answers_with_the_contract_keys(account: Account) -> None:
    """{status:"superseded", memory_id, superseded_by, valid_to}; ours on top."""
    old, new = await account.add("old"), await account.add("new")
    answer = ok(await _supersede(account, old, superseded_by=new))
    assert set(answer) == {
        *("status", "memory_id", "superseded_by", "valid_to"),
        *("transaction", "receipt", "dry_run", "warnings"),
    }
    assert (answer["status"], answer["memory_id"], answer["superseded_by"]) == ("superseded", old, new)
    require_instant(answer["valid_to"])
    assert answer["transaction"]["id"] == 3
    assert set(answer["receipt"]) == {"opened", "closed"}
    require_no_null(answer)
    shown = await _memory(account, old)
    assert (shown["superseded_by"], shown["valid_to"]) == (new, answer["valid_to"])
    assert await account.decisions() == ["new"]


async def test_supersede_with_neither_field_is_400(account: Account) -> None:
    """`superseded_by` and/or `valid_to`; neither → 400."""
    old = await account.add("old")
    async with nothing_stored(account):
        for body in ({}, {"superseded_by": None, "valid_to": None}, {"reason": "x"}):
            problem(await account.client.post(f"/memories/{old}/supersede", json=body), 400)
        problem(await account.client.post(f"/memories/{old}/supersede"), 400)


async def test_the_boundary_is_valid_to_if_given(account: Account) -> None:
    """Boundary: `valid_to` if given, even beside a replacement that starts elsewhere."""
    old = await account.add("old", valid_from="2020-01-01")
    new = await account.add("new", valid_from="2022-01-01")
    answer = ok(await _supersede(account, old, superseded_by=new, valid_to="2021-06-01T02:00:00+02:00"))
    assert answer["valid_to"] == "2021-06-01T00:00:00.000000+00:00"
    assert (await _memory(account, old))["valid_to"] == answer["valid_to"]
    assert (await _memory(account, new))["valid_from"] == "2022-01-01T00:00:00.000000+00:00"


async def test_the_boundary_is_else_the_later_start_of_the_replacement(account: Account) -> None:
    """…else the replacement's `valid_from` if later than the old one's."""
    old = await account.add("old", valid_from="2020-01-01")
    new = await account.add("new", valid_from="2022-01-01")
    assert ok(await _supersede(account, old, superseded_by=new))["valid_to"] == "2022-01-01T00:00:00.000000+00:00"
    assert await account.decisions(as_of="2021-12-31") == ["old"]
    assert await account.decisions(as_of="2022-01-01") == ["new"]


async def test_the_boundary_is_else_now(account: Account, hand_clock: HandClock) -> None:
    """…else now: the transaction's instant."""
    hand_clock.at = at("2040-01-01T00:00:00")
    old = await account.add("old", valid_from="2022-01-01")
    news = [await account.add(f"new {start}", valid_from=start) for start in ("2020-01-01", "2022-01-01")]
    hand_clock.at = at("2040-06-01T00:00:00")
    for new in news:
        answer = ok(await _supersede(account, old, superseded_by=new, dry_run=True))
        assert answer["valid_to"] == "2040-06-01T00:00:00.000000+00:00"
        assert answer["dry_run"] is True
    real = ok(await _supersede(account, old, superseded_by=news[0]))
    assert real["valid_to"] == real["transaction"]["at"]


async def test_valid_to_alone_ends_a_memory_without_a_successor(account: Account) -> None:
    """`valid_to` alone ends it: expired, not superseded."""
    old = await account.add("old", valid_from="2020-01-01")
    answer = ok(await _supersede(account, old, valid_to="2021-01-01"))
    assert answer["superseded_by"] is None
    [memory] = await list_of(account, include_superseded="true")
    assert memory["temporal"]["is_expired"] is True
    assert memory["temporal"]["is_superseded"] is False
    assert await account.decisions() == []
    assert await account.decisions(as_of="2020-12-31") == ["old"]


async def test_superseding_twice_is_409(account: Account) -> None:
    """409 already_superseded: the last piece has a successor that is itself still believed."""
    old, new, third = [await account.add(text) for text in ("old", "new", "third")]
    ok(await _supersede(account, old, superseded_by=new))
    async with nothing_stored(account):
        for successor in (third, new):
            problem(await _supersede(account, old, superseded_by=successor), 409, "already_superseded")
    ok(await account.client.delete(f"/memories/{new}"))
    assert ok(await _supersede(account, old, superseded_by=third))["superseded_by"] == third


async def test_what_a_slot_superseded_is_superseded_already(account: Account) -> None:
    """The rule holds for the successor that an assert in the slot made."""
    old = await account.add("Oslo", **CITY)
    await account.add("Rome", **CITY)
    other = await account.add("Bonn")
    problem(await _supersede(account, old, superseded_by=other), 409, "already_superseded")


async def test_ending_what_has_ended_is_409(account: Account) -> None:
    """409 already_ended: no replacement, and nothing reaches past `valid_to`; an earlier end is taken."""
    old = await account.add("old", valid_from="2020-01-01")
    ok(await _supersede(account, old, valid_to="2021-01-01"))
    async with nothing_stored(account):
        for later in ("2021-01-01", "2022-01-01"):
            problem(await _supersede(account, old, valid_to=later), 409, "already_ended")
    ok(await _supersede(account, old, valid_to="2020-06-01"))
    assert (await _memory(account, old))["valid_to"] == "2020-06-01T00:00:00.000000+00:00"


async def test_itself_or_a_circle_is_400(account: Account) -> None:
    """Itself or a cycle → 400; a cycle of three, too."""
    one, two, three = [await account.add(text) for text in ("one", "two", "three")]
    problem(await _supersede(account, one, superseded_by=one), 400)
    problem(await _supersede(account, one, superseded_by=one.upper()), 400)
    ok(await _supersede(account, one, superseded_by=two))
    async with nothing_stored(account):
        problem(await _supersede(account, two, superseded_by=one), 400)
    ok(await _supersede(account, two, superseded_by=three))
    async with nothing_stored(account):
        problem(await _supersede(account, three, superseded_by=one), 400)
        problem(await _supersede(account, three, superseded_by=two), 400)


async def test_an_end_at_or_before_the_start_is_400_with_a_hint_to_retract(account: Account) -> None:
    """`valid_to` at or before the first start → 400 (hint: retract)."""
    new = await account.add("new")
    old = await account.add("old", valid_from="2020-01-01")
    async with nothing_stored(account):
        for boundary in ("2020-01-01", "2019-01-01"):
            for more in ({}, {"superseded_by": new}):
                body = problem(await _supersede(account, old, valid_to=boundary, **more), 400)
                assert "retract" in body["detail"] + body["hint"]


async def test_a_future_memory_superseded_now_is_closed_whole(account: Account) -> None:
    """A boundary "now" before the start closes all, with `replaced_by`: it is in no list, and found by id."""
    new = await account.add("new", valid_from="2020-01-01")
    future = await account.add("future", valid_from="2090-01-01")
    ok(await _supersede(account, future, superseded_by=new))
    assert await account.decisions(include_superseded="true") == ["new"]
    found = await account.get(f"/memories/{future}")
    assert found["pieces"] == []
    assert found["memory"]["superseded_by"] == new
    assert found["memory"]["transaction_time_end"] is not None
    assert await _timeline(account, new) == await _timeline(account, future)
    problem(await _supersede(account, future, superseded_by=new), 409, "not_believed")


async def test_refused_values_of_supersede(account: Account) -> None:
    """Naive → 422, far years → 400, wrong types → 422."""
    old = await account.add("old", valid_from="2020-01-01")
    async with nothing_stored(account):
        for value, status in (("2021-01-01T00:00:00", 422), ("x", 422), ("9999-12-31", 400), (5, 422), (True, 422)):
            assert problem(await _supersede(account, old, valid_to=value), status)["param"] == "valid_to"
        assert problem(await _supersede(account, old, superseded_by=7), 422)["param"] == "superseded_by"


async def test_every_piece_is_cut_at_the_boundary(account: Account) -> None:
    """Cut every piece: what begins later is closed, what straddles is shortened, nothing is lengthened; the link
    stands on the last piece left."""
    old = await account.add("Oslo", valid_from="2020-01-01", **CITY)
    await account.add("Rome", valid_from="2021-01-01", valid_to="2022-01-01", **CITY)
    await account.add("Bonn", valid_from="2023-01-01", valid_to="2024-01-01", **CITY)
    new = await account.add("new")
    answer = ok(await _supersede(account, old, superseded_by=new, valid_to="2022-06-01"))
    assert len(answer["receipt"]["closed"]) == 2
    pieces = (await account.get(f"/memories/{old}"))["pieces"]
    spans = [(piece["valid_from"][:10], piece["valid_to"][:10]) for piece in pieces]
    assert spans == [("2020-01-01", "2021-01-01"), ("2022-01-01", "2022-06-01")]
    assert pieces[-1]["superseded_by"] == new
    assert await account.decisions(as_of="2022-07-01") == []
    assert await account.decisions(as_of="2023-07-01") == ["Bonn"]
    assert await account.decisions(as_of="2022-07-01", transaction_as_of=4) == ["Oslo"]


# ---- timeline


async def test_a_timeline_has_exactly_the_contract_keys(account: Account) -> None:
    """memory_id, company_id, chain_length, timeline[] = memory objects oldest → newest; the whole chain whichever id
    is asked; flags inside `temporal`."""
    ids = [
        await account.add(city, valid_from=f"202{n}-01-01", **CITY) for n, city in enumerate(["Oslo", "Rome", "Bonn"])
    ]
    for asked in ids:
        answer = await account.get(f"/memories/{asked}/timeline")
        assert set(answer) == {
            *("memory_id", "company_id", "chain_length", "timeline"),
            *("transaction", "as_of", "warnings"),
        }
        assert (answer["memory_id"], answer["company_id"]) == (asked, str(account.row.id))
        assert answer["chain_length"] == len(answer["timeline"]) == 3
        assert [memory["id"] for memory in answer["timeline"]] == ids
        for memory in answer["timeline"]:
            require_memory(memory)
        assert [memory["temporal"]["is_superseded"] for memory in answer["timeline"]] == [True, True, False]
        assert [memory["superseded_by"] for memory in answer["timeline"]] == [ids[1], ids[2], None]
        require_no_null(answer)
        assert (await account.get(f"/agent/memories/{asked}/timeline"))["timeline"] == answer["timeline"]


async def test_a_chain_of_links_is_a_timeline_without_a_slot(account: Account) -> None:
    """Else the memories joined by links, whichever id is asked."""
    ids = [await account.add(text, valid_from=f"202{n}-01-01") for n, text in enumerate(["one", "two", "three"])]
    for old, new in itertools.pairwise(ids):
        ok(await _supersede(account, old, superseded_by=new))
    for asked in ids:
        assert await _timeline(account, asked) == ids


async def test_two_memories_may_have_the_same_successor(account: Account) -> None:
    """All memories joined by links, also where two lead to one."""
    one, two = [await account.add(text, valid_from="2020-01-01") for text in ("one", "two")]
    new = await account.add("new", valid_from="2022-01-01")
    for old in (one, two):
        ok(await _supersede(account, old, superseded_by=new))
    for asked in (one, two, new):
        assert set(await _timeline(account, asked)) == {one, two, new}
        assert (await _timeline(account, asked))[-1] == new


async def test_a_lone_memory_is_its_own_timeline(account: Account) -> None:
    """A memory without a chain: one entry, itself; a retracted one, too."""
    memory_id = await account.add("alone")
    assert await _timeline(account, memory_id) == [memory_id]
    ok(await account.client.delete(f"/memories/{memory_id}"))
    assert await _timeline(account, memory_id) == [memory_id]


async def test_a_retracted_value_is_in_its_own_timeline_alone(account: Account) -> None:
    """In a `one` slot its pieces in valid order, plus the asked memory's last version if it has none."""
    oslo = await account.add("Oslo", valid_from="2020-01-01", **CITY)
    rome = await account.add("Rome", valid_from="2022-01-01", **CITY)
    ok(await account.client.delete(f"/memories/{rome}"))
    assert await _timeline(account, oslo) == [oslo]
    assert await _timeline(account, rome) == [oslo, rome]


async def test_a_timeline_at_an_earlier_transaction(account: Account) -> None:
    """A timeline at `transaction_as_of` shows what was believed then; flags at `as_of`."""
    oslo = await account.add("Oslo", valid_from="2020-01-01", **CITY)
    rome = await account.add("Rome", valid_from="2022-01-01", **CITY)
    answer = await account.get(f"/memories/{oslo}/timeline", transaction_as_of=1)
    [memory] = answer["timeline"]
    assert (memory["superseded_by"], memory["valid_to"], answer["transaction"]["id"]) == (None, None, 1)
    same_for_all([await account.client.get(f"/memories/{rome}/timeline", params={"transaction_as_of": 1})])
    flags = (await account.get(f"/memories/{oslo}/timeline", as_of="2021-01-01"))["timeline"]
    assert [one["temporal"]["is_current"] for one in flags] == [True, False]


# ---- audit


async def test_an_audit_has_exactly_the_contract_keys(account: Account) -> None:
    """memory_id, memory{…}, provenance{…}, extraction{…}, temporal{…}, history[]{event, at, by, details}; keys are
    present even where the value is null; the first event is `created`."""
    old = await account.add("Oslo", source="crm", external_id="c-1", topic="Home", **CITY)
    new = await account.add("Rome", **CITY)
    answer = await account.get(f"/memories/{old}/audit")
    assert set(answer) == {"memory_id", "memory", "provenance", "extraction", "temporal", "history", "warnings"}
    assert answer["memory"] == {"summary": "Oslo", "decision": "Oslo", "topic": "Home"}
    assert set(answer["provenance"]) == {
        *("source_type", "channel", "tenant_id", "workspace_id", "org_id", "external_id", "original_input"),
        "captured_at",
    }
    assert answer["provenance"]["source_type"] == "crm"
    assert answer["provenance"]["external_id"] == "c-1"
    assert answer["provenance"]["original_input"] == "Oslo"
    assert answer["provenance"]["workspace_id"] is answer["provenance"]["org_id"] is None
    assert set(answer["extraction"]) == {"model", "prompt_version", "extracted_at"}
    assert set(answer["temporal"]) == TEMPORAL_KEYS
    assert answer["temporal"]["superseded_by"] == new
    assert [event["event"] for event in answer["history"]] == ["created", "superseded"]
    for event in answer["history"]:
        assert set(event) == {"event", "at", "by", "details"}
        require_instant(event["at"])
        assert isinstance(event["by"], str)
        assert event["by"]
    require_no_null(answer)
    assert (await account.get(f"/agent/memories/{old}/audit"))["history"] == answer["history"]


async def test_the_audit_of_an_extracted_fact_names_its_session_and_input(account: Account) -> None:
    """`channel` is the session; `original_input` is what was said."""
    messages = [{"role": "user", "content": "The office moved to Lisbon. Lunch is at noon on weekdays."}]
    [first, *_] = (await account.post(MEMORIES, messages=messages, session_id="s-1"))["memory_ids"]
    answer = await account.get(f"/memories/{first}/audit")
    assert answer["provenance"]["channel"] == "s-1"
    assert messages[0]["content"] in answer["provenance"]["original_input"]
    assert answer["provenance"]["source_type"] == "agent_session"
    assert answer["history"][0]["event"] == "created"


async def test_the_audit_names_each_verb(account: Account, hand_clock: HandClock) -> None:
    """created, then each verb that touched it: superseded, ended, retracted; in order, at their instants."""
    hand_clock.at = at("2040-01-01T00:00:00")
    one, two = await account.add("one"), await account.add("two")
    hand_clock.at = at("2040-02-01T00:00:00")
    ok(await _supersede(account, one, superseded_by=two, reason="moved"))
    ok(await _supersede(account, two, valid_to="2041-01-01"))
    ok(await account.client.delete(f"/memories/{two}"))
    first = (await account.get(f"/memories/{one}/audit"))["history"]
    assert [event["event"] for event in first] == ["created", "superseded"]
    assert first[1]["details"]["reason"] == "moved"
    assert require_instant(first[1]["at"]) == at("2040-02-01T00:00:00")
    second = (await account.get(f"/memories/{two}/audit"))["history"]
    assert [event["event"] for event in second] == ["created", "ended", "retracted"]
    assert [event["at"] for event in second] == sorted(event["at"] for event in second)
    early = (await account.get(f"/memories/{two}/audit", transaction_as_of=2))["history"]
    assert [event["event"] for event in early] == ["created"]


# ---- retract


@pytest.mark.parametrize("path", ["/memories/{id}", "/agent/memories/{id}"])
async def test_delete_retracts_and_the_past_still_shows_it(account: Account, path: str) -> None:
    """DELETE retracts: no longer believed, still visible at earlier transaction times."""
    memory_id = await account.add("Kim likes tea")
    answer = ok(await account.client.delete(path.replace("{id}", memory_id)))
    assert set(answer) == {"status", "memory_id", "transaction", "receipt", "dry_run", "warnings"}
    assert (answer["status"], answer["memory_id"], answer["transaction"]["id"]) == ("retracted", memory_id, 2)
    require_no_null(answer)
    for query in ({}, {"include_superseded": "true"}, {"transaction_as_of": 2}):
        assert await account.decisions(**query) == []
    assert await account.decisions(transaction_as_of=1) == ["Kim likes tea"]
    assert (await account.post("/agent/search", query="tea"))["memories"] == []
    found = await account.get(f"/memories/{memory_id}")
    assert found["pieces"] == []
    assert found["memory"]["temporal"]["is_current"] is False
    assert found["memory"]["transaction_time_end"] == answer["transaction"]["at"]


async def test_retracting_twice_is_409_naming_the_transaction(account: Account) -> None:
    """Any verb on a memory without a piece: 409 not_believed, naming the transaction that closed it."""
    other = await account.add("other")
    memory_id = await account.add("Kim likes tea")
    ok(await account.client.delete(f"/memories/{memory_id}"))
    async with nothing_stored(account):
        for response in (
            await account.client.delete(f"/memories/{memory_id}"),
            await _supersede(account, memory_id, valid_to="2099-01-01"),
            await _supersede(account, memory_id, superseded_by=other),
        ):
            assert "3" in problem(response, 409, "not_believed")["detail"]
        problem(await _supersede(account, other, superseded_by=memory_id), 409, "not_believed")


async def test_holes_are_not_refilled(account: Account) -> None:
    """Retract closes all pieces; holes are not refilled."""
    await account.add("Oslo", valid_from="2020-01-01", **CITY)
    rome = await account.add("Rome", valid_from="2022-01-01", **CITY)
    ok(await account.client.delete(f"/memories/{rome}"))
    assert await account.decisions() == []
    assert await account.decisions(as_of="2021-01-01") == ["Oslo"]


async def test_a_dry_run_of_a_retraction_changes_nothing(account: Account) -> None:
    """`dry_run` returns the receipt and commits nothing."""
    memory_id = await account.add("Kim likes tea")
    async with nothing_stored(account):
        answer = ok(await account.client.delete(f"/memories/{memory_id}", params={"dry_run": "true"}))
    assert answer["dry_run"] is True
    assert [one["memory_id"] for one in answer["receipt"]["closed"]] == [memory_id]
    assert await account.decisions() == ["Kim likes tea"]


# ---- get


async def test_a_memory_by_id_shows_all_its_pieces(account: Account) -> None:
    """GET /memories/{id} shows flat the piece at `as_of`; else the latest begun before, else the first to come."""
    oslo = await account.add("Oslo", valid_from="2020-01-01", **CITY)
    await account.add("Rome", valid_from="2021-01-01", valid_to="2022-01-01", **CITY)
    answer = await account.get(f"/memories/{oslo}")
    assert set(answer) == {"memory", "pieces", "used_in", "used_in_count", "transaction", "as_of", "warnings"}
    require_memory(answer["memory"])
    require_no_null(answer)
    assert [piece["valid_from"][:10] for piece in answer["pieces"]] == ["2020-01-01", "2022-01-01"]
    assert all(set(piece) == {"version", "valid_from", "valid_to", "superseded_by"} for piece in answer["pieces"])
    for asked, start in (
        ("2030-01-01", "2022-01-01"),
        ("2020-06-01", "2020-01-01"),
        ("2021-06-01", "2020-01-01"),
        ("2010-01-01", "2020-01-01"),
    ):
        assert (await _memory(account, oslo, as_of=asked))["valid_from"][:10] == start
    first = await account.get(f"/memories/{oslo}", transaction_as_of=1)
    assert len(first["pieces"]) == 1
    assert first["memory"]["valid_to"] is None
    assert (await account.get(f"/agent/memories/{oslo}"))["memory"] == answer["memory"]


async def test_a_memory_is_not_there_before_its_transaction(account: Account) -> None:
    """At an earlier transaction it is the id of nothing: the same 404."""
    await account.add("first")
    memory_id = await account.add("Kim likes tea")
    early = await account.client.get(f"/memories/{memory_id}", params={"transaction_as_of": 1})
    same_for_all([early, await account.client.get(f"/memories/{NOWHERE}", params={"transaction_as_of": 1})])


async def test_ids_are_uuids_and_any_case_of_them_is_the_same(account: Account) -> None:
    """ids: UUID."""
    memory_id = await account.add("Kim likes tea")
    assert (await _memory(account, memory_id.upper()))["id"] == memory_id
