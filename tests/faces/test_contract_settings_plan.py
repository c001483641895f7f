"""Settings, plan, metering, grace, and what a key may: contract.md §1 and §2, through HTTP."""

import datetime as dt
from typing import Any

import httpx2
import pytest

from aurra import keys
from aurra.store import pool
from aurra.store.accounts import open_directory
from tests.conftest import Account, HandClock, MakeAccount
from tests.faces.wire import (
    BULK,
    MEMORIES,
    NOWHERE,
    PLAN,
    PLAN_KEYS,
    SETTINGS,
    account_on_plan,
    at,
    nothing_stored,
    ok,
    problem,
    require_instant,
    require_no_null,
)

DEFAULTS: dict[str, Any] = {
    "auto_supersede_default": False,
    "excluded_categories": ["health_medical", "legal_status"],
    "min_confidence": 0.85,
    "classifier_model": None,
    "freshness_half_life_days": 30,
    "review_queue": False,
}
WARNING = "x-plan-warning"


# ---- settings


async def test_settings_are_flat_with_their_defaults(account: Account) -> None:
    """Per key, a flat object: nested one level deeper a client would silently read its own defaults."""
    settings = await account.get(SETTINGS)
    del settings["warnings"]
    classifier = settings.pop("classifier_model")
    assert classifier is None or isinstance(classifier, str)
    assert settings == {name: value for name, value in DEFAULTS.items() if name != "classifier_model"}


async def test_what_is_patched_is_kept_and_the_rest_stays(account: Account) -> None:
    """PATCH changes what is given, answers all of it, and `excluded_categories` is replaced whole."""
    change = {
        "auto_supersede_default": True,
        "excluded_categories": ["finance"],
        "min_confidence": 0.9,
        "classifier_model": "small-1",
        "freshness_half_life_days": 7.5,
    }
    expected = dict(DEFAULTS)
    for name, value in change.items():
        expected[name] = value
        patched = ok(await account.client.patch(SETTINGS, json={name: value}))
        del patched["warnings"]
        assert patched == expected
        read = await account.get(SETTINGS)
        del read["warnings"]
        assert read == expected
    ok(await account.client.patch(SETTINGS, json={"excluded_categories": []}))
    assert (await account.get(SETTINGS))["excluded_categories"] == []


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("min_confidence", [0.85, 0.9, 1.0, 1], [0.849, 0.8499999, 1.0001, 0, -1, 2, 1e300]),
        ("freshness_half_life_days", [1, 1.5, 3650], [0.999, 0, -1, 3650.1, 1e300]),
    ],
)
async def test_settings_out_of_range_are_400(
    account: Account, name: str, inside: list[float], outside: list[float]
) -> None:
    """Out of range → 400 with `detail` and `status:"error", error:"validation failed", hint`; nothing changes."""
    for value in inside:
        assert ok(await account.client.patch(SETTINGS, json={name: value}))[name] == value
    before = await account.get(SETTINGS)
    for value in outside:
        response = await account.client.patch(SETTINGS, json={name: value, "auto_supersede_default": True})
        body = problem(response, 400, "validation_failed")
        assert isinstance(body["detail"], str)
        assert name in body["detail"]
        assert (body["status"], body["error"], body["param"]) == ("error", "validation failed", name)
        assert await account.get(SETTINGS) == before


async def test_settings_belong_to_the_key(account: Account, make_account: MakeAccount) -> None:
    """Settings are per key: another key of the same account has its own."""
    second = await make_account(of=account.row)
    ok(await account.client.patch(SETTINGS, json={"auto_supersede_default": True, "min_confidence": 0.99}))
    assert (await second.get(SETTINGS))["min_confidence"] == 0.85
    slot = {"subject": "kim", "attribute": "city"}
    assert (await second.post(MEMORIES, content="one", **slot))["auto_supersede"]["ran"] is False
    assert (await account.post(MEMORIES, content="two", **slot))["auto_supersede"]["ran"] is True


# ---- the plan


@pytest.mark.parametrize(
    ("plan", "limit"), [("free", 1_000), ("starter", 50_000), ("pro", 500_000), ("enterprise", 9007199254740991)]
)
async def test_plan_status_has_exactly_the_contract_form(make_account: MakeAccount, plan: str, limit: int) -> None:
    """plan_tier, writes_used, writes_limit, writes_remaining, in_grace_period, blocked; ours: the period."""
    account = await make_account(plan=plan)
    await account.add("Kim likes tea")
    status = await account.get(PLAN)
    assert set(status) == PLAN_KEYS | {"warnings"}
    assert (status["plan_tier"], status["writes_limit"]) == (plan, limit)
    assert (status["writes_used"], status["writes_remaining"]) == (1, limit - 1)
    assert (status["in_grace_period"], status["blocked"], status["grace_ends_at"]) == (False, False, None)
    require_no_null(status)


async def test_an_account_without_a_plan_is_enterprise(dsn: str, make_account: MakeAccount) -> None:
    """An account made without a plan is `enterprise`: self-hosting is not rationed unless asked."""
    assert (await (await make_account()).get(PLAN))["plan_tier"] == "enterprise"


async def test_the_period_is_a_calendar_month(account: Account, hand_clock: HandClock) -> None:
    """Writes are counted a calendar month, UTC; the next period starts from nothing."""
    for now, start, end in (
        ("2040-01-31T23:59:59.999999", "2040-01-01", "2040-02-01"),
        ("2040-02-01T00:00:00", "2040-02-01", "2040-03-01"),
        ("2040-12-31T12:00:00", "2040-12-01", "2041-01-01"),
    ):
        hand_clock.at = at(now)
        status = await account.get(PLAN)
        assert require_instant(status["period_start"]) == at(start)
        assert require_instant(status["period_end"]) == at(end)
        assert status["writes_used"] == 0
        await account.add(f"written at {now}")
        assert (await account.get(PLAN))["writes_used"] == 1


async def test_what_costs_nothing(account: Account) -> None:
    """Duplicates, no facts, supersede, retract, settings, queries, dry runs, refused requests cost nothing; nothing is
    refunded."""
    old = await account.add("Kim likes tea")
    new = await account.add("Kim likes coffee")
    for response in (
        await account.client.post(MEMORIES, json={"content": "kim likes tea"}),
        await account.client.post(MEMORIES, json={"messages": [{"role": "user", "content": "Hi!"}]}),
        await account.client.post(MEMORIES, json={"content": "x", "dry_run": True}),
        await account.client.post(f"/memories/{old}/supersede", json={"superseded_by": new}),
        await account.client.delete(f"/memories/{new}"),
        await account.client.patch(SETTINGS, json={"min_confidence": 0.9}),
        await account.client.post("/agent/query", json={"question": "tea?"}),
        await account.client.post("/agent/search", json={"query": "tea?"}),
        await account.client.get(MEMORIES),
    ):
        ok(response)
        assert (await account.get(PLAN))["writes_used"] == 2
    problem(await account.client.post(MEMORIES, json={"content": ""}), 400)
    assert (await account.get(PLAN))["writes_used"] == 2


async def test_each_extracted_fact_is_a_write(account: Account) -> None:
    """A write is one persisted memory: a request of three turns kept verbatim costs three."""
    turns = [{"role": "user", "content": f"turn {number}"} for number in range(3)]
    await account.post(MEMORIES, messages=turns, extraction="verbatim")
    assert (await account.get(PLAN))["writes_used"] == 3


# ---- grace and blocking


async def _fill(account: Account, count: int, name: str = "fill") -> httpx2.Response:
    return await account.client.post(BULK, json={"memories": [{"content": f"{name} {n}"} for n in range(count)]})


async def test_at_the_limit_grace_begins(make_account: MakeAccount, dsn: str, hand_clock: HandClock) -> None:
    """When `writes_used` reaches the limit, grace starts: 7 days; writes go on, and each answer carries a warning
    header. `in_grace_period` is used ≥ limit and not blocked; `writes_remaining` never falls below 0."""
    hand_clock.at = at("2040-03-10T11:00:00")
    account = await account_on_plan(make_account, dsn, 20)
    under = await _fill(account, 19)
    ok(under)
    assert WARNING not in under.headers
    status = await account.get(PLAN)
    assert (status["in_grace_period"], status["writes_remaining"], status["grace_ends_at"]) == (False, 1, None)
    hand_clock.at = at("2040-03-10T12:00:00")
    ok(await _fill(account, 1, "last"))
    status = await account.get(PLAN)
    assert (status["writes_used"], status["writes_limit"], status["writes_remaining"]) == (20, 20, 0)
    assert (status["in_grace_period"], status["blocked"]) == (True, False)
    assert require_instant(status["grace_ends_at"]) == at("2040-03-17T12:00:00")
    hand_clock.at = at("2040-03-17T11:59:59.999999")
    over = await account.client.post(MEMORIES, json={"content": "in grace"})
    assert ok(over)["status"] == "saved"
    assert over.headers[WARNING]
    status = await account.get(PLAN)
    assert (status["writes_used"], status["writes_remaining"], status["in_grace_period"]) == (21, 0, True)
    assert require_instant(status["grace_ends_at"]) == at("2040-03-17T12:00:00")
    require_no_null(status)


async def test_after_seven_days_of_grace_writes_are_blocked(
    make_account: MakeAccount, dsn: str, hand_clock: HandClock
) -> None:
    """When grace ends, `blocked` is true and writes get 402; reads and what costs nothing go on; the next period
    unblocks."""
    hand_clock.at = at("2040-03-10T12:00:00")
    account = await account_on_plan(make_account, dsn, 20)
    ok(await _fill(account, 20))
    hand_clock.at = at("2040-03-17T12:00:00")
    status = await account.get(PLAN)
    assert (status["blocked"], status["in_grace_period"], status["writes_remaining"]) == (True, False, 0)
    async with nothing_stored(account):
        body = problem(await account.client.post(MEMORIES, json={"content": "x"}), 402, "plan_limit_exceeded")
        assert body["detail"]["error"] == "plan_limit_exceeded"
        assert isinstance(body["detail"]["message"], str)
        assert set(body["detail"]) == {"error", "message"} | PLAN_KEYS
        fields = {name: value for name, value in status.items() if name != "warnings"}
        assert {name: body["detail"][name] for name in PLAN_KEYS} == fields
        messages = [{"role": "user", "content": "x"}]
        problem(await account.client.post(MEMORIES, json={"messages": messages, "extraction": "verbatim"}), 402)
        problem(await account.client.post(BULK, json={"memories": [{"content": "x"}]}), 402)
    memories = (await account.get(MEMORIES, limit=3))["memories"]
    assert len(memories) == 3
    ok(await account.client.post("/agent/query", json={"question": "fill?"}))
    again = ok(await account.client.post(MEMORIES, json={"content": memories[0]["decision"]}))
    assert again["status"] == "duplicate"
    ok(await account.client.post(MEMORIES, json={"messages": [{"role": "user", "content": "Hi!"}]}))
    pair = {"superseded_by": memories[1]["id"]}
    ok(await account.client.post(f"/memories/{memories[0]['id']}/supersede", json=pair))
    ok(await account.client.delete(f"/memories/{memories[2]['id']}"))
    hand_clock.at = at("2040-04-01T00:00:00")
    status = await account.get(PLAN)
    assert (status["writes_used"], status["blocked"], status["in_grace_period"]) == (0, False, False)
    response = await account.client.post(MEMORIES, json={"content": "in April"})
    assert ok(response)["status"] == "saved"
    assert WARNING not in response.headers


async def test_grace_ends_at_a_hundred_and_ten_percent(
    make_account: MakeAccount, dsn: str, hand_clock: HandClock
) -> None:
    """Grace is never past floor(1.1 × limit): 22 of 20, 16 of 15; to the unit, and within one second."""
    hand_clock.at = at("2040-03-10T12:00:00")
    for limit, hard in ((20, 22), (15, 16)):
        account = await account_on_plan(make_account, dsn, limit)
        ok(await _fill(account, limit - 1))
        for number in range(limit - 1, hard):
            ok(await account.client.post(MEMORIES, json={"content": f"one {number}"}))
        status = await account.get(PLAN)
        assert (status["writes_used"], status["blocked"], status["in_grace_period"]) == (hard, True, False)
        problem(await account.client.post(MEMORIES, json={"content": "x"}), 402)
        assert (await account.get(PLAN))["writes_used"] == hard


async def test_a_batch_that_would_cross_the_hard_limit_is_refused_whole(
    make_account: MakeAccount, dsn: str, hand_clock: HandClock
) -> None:
    """A batch that would cross 110 % is refused whole; one that just reaches it is stored. One request of several turns
    is a batch, too."""
    hand_clock.at = at("2040-03-10T12:00:00")
    account = await account_on_plan(make_account, dsn, 20)
    async with nothing_stored(account):
        problem(await _fill(account, 23), 402, "plan_limit_exceeded")
    ok(await _fill(account, 10, "first"))
    async with nothing_stored(account):
        problem(await _fill(account, 13, "second"), 402, "plan_limit_exceeded")
        turns = [{"role": "user", "content": f"turn {number}"} for number in range(13)]
        problem(await account.client.post(MEMORIES, json={"messages": turns, "extraction": "verbatim"}), 402)
    ok(await _fill(account, 12, "third"))
    status = await account.get(PLAN)
    assert (status["writes_used"], status["blocked"]) == (22, True)


async def test_partial_mode_stores_what_fits_and_gives_402_for_the_rest(
    make_account: MakeAccount, dsn: str, hand_clock: HandClock
) -> None:
    """`"mode":"partial"`: per-item outcomes at the hard limit, too; duplicates cost nothing and are no error."""
    hand_clock.at = at("2040-03-10T12:00:00")
    account = await account_on_plan(make_account, dsn, 20)
    ok(await _fill(account, 20))
    memories = [{"content": "fill 3"}, *({"content": f"new {number}"} for number in range(4)), {"content": "fill 4"}]
    answer = ok(await account.client.post(BULK, json={"memories": memories, "mode": "partial"}))
    statuses = [item["status"] for item in answer["items"]]
    assert statuses == ["duplicate", "saved", "saved", "error", "error", "duplicate"]
    for item in answer["items"][3:5]:
        assert (item["error"]["code"], item["error"]["status"]) == ("plan_limit_exceeded", 402)
        assert item["memory_id"] is None
    assert (await account.get(PLAN))["writes_used"] == 22
    async with nothing_stored(account):
        answer = ok(await account.client.post(BULK, json={"memories": [{"content": "more"}], "mode": "partial"}))
        assert [item["status"] for item in answer["items"]] == ["error"]


async def test_a_bigger_plan_unblocks_at_once(make_account: MakeAccount, dsn: str, hand_clock: HandClock) -> None:
    """A bigger plan unblocks at once; what was used stays used."""
    hand_clock.at = at("2040-03-10T12:00:00")
    account = await account_on_plan(make_account, dsn, 20)
    ok(await _fill(account, 22))
    problem(await account.client.post(MEMORIES, json={"content": "x"}), 402)
    async with open_directory(dsn) as directory:
        await directory.change_plan(account.row.name, "starter")
    status = await account.get(PLAN)
    assert (status["plan_tier"], status["writes_used"], status["writes_limit"]) == ("starter", 22, 50_000)
    assert (status["blocked"], status["in_grace_period"], status["grace_ends_at"]) == (False, False, None)
    response = await account.client.post(MEMORIES, json={"content": "x"})
    assert ok(response)["status"] == "saved"
    assert WARNING not in response.headers


async def test_grace_near_the_end_of_a_month_gives_way_to_the_next_period(
    make_account: MakeAccount, dsn: str, hand_clock: HandClock
) -> None:
    """The next period unblocks at once, even in the middle of grace; grace begins anew when it is used up."""
    hand_clock.at = at("2040-03-29T12:00:00")
    account = await account_on_plan(make_account, dsn, 20)
    ok(await _fill(account, 20))
    hand_clock.at = at("2040-04-01T00:00:00")
    assert (await account.get(PLAN))["in_grace_period"] is False
    ok(await _fill(account, 20, "April"))
    status = await account.get(PLAN)
    assert status["in_grace_period"] is True
    assert require_instant(status["grace_ends_at"]) == at("2040-04-01T00:00:00") + dt.timedelta(days=7)


async def test_the_meter_counts_at_the_transaction_whatever_befalls_later(
    account: Account, hand_clock: HandClock
) -> None:
    """`writes_used` counts memories whose first transaction lies in the period; retracting refunds nothing."""
    hand_clock.at = at("2040-03-10T12:00:00")
    ids = [await account.add(f"memory {number}") for number in range(3)]
    for memory_id in ids:
        ok(await account.client.delete(f"/memories/{memory_id}"))
    assert (await account.get(PLAN))["writes_used"] == 3
    assert (await account.get(MEMORIES))["memories"] == []


# ---- what a key may


UNAUTHENTICATED: list[tuple[str, dict[str, Any]]] = [
    ("GET", {"url": MEMORIES}),
    ("POST", {"url": MEMORIES, "json": {"content": "x"}}),
    ("POST", {"url": BULK, "json": {"memories": [{"content": "x"}]}}),
    ("POST", {"url": "/agent/query", "json": {"question": "x"}}),
    ("POST", {"url": "/agent/search", "json": {"query": "x"}}),
    ("POST", {"url": f"/memories/{NOWHERE}/supersede", "json": {"valid_to": "2099-01-01"}}),
    ("GET", {"url": f"/memories/{NOWHERE}/timeline"}),
    ("GET", {"url": f"/memories/{NOWHERE}/audit"}),
    ("GET", {"url": f"/memories/{NOWHERE}"}),
    ("DELETE", {"url": f"/memories/{NOWHERE}"}),
    ("DELETE", {"url": f"/agent/memories/{NOWHERE}"}),
    ("GET", {"url": SETTINGS}),
    ("PATCH", {"url": SETTINGS, "json": {}}),
    ("GET", {"url": PLAN}),
]


@pytest.mark.parametrize(("method", "request_"), UNAUTHENTICATED, ids=lambda value: str(value)[:40])
async def test_without_a_key_nothing_but_401(bare: httpx2.AsyncClient, method: str, request_: dict[str, Any]) -> None:
    """Missing key: exactly `401 {"detail":"Not authenticated", …}` with WWW-Authenticate: Bearer, on every path."""
    for header in ({}, {"Authorization": ""}, {"Authorization": "Bearer"}, {"Authorization": "Basic YTpi"}):
        response = await bare.request(method, headers=header, **request_)
        assert problem(response, 401, "not_authenticated")["detail"] == "Not authenticated"
    for path in ("/health", "/health/live", "/health/ready", "/", "/openapi.json"):
        ok(await bare.get(path))


async def test_an_unknown_key_is_401_with_its_own_code(bare: httpx2.AsyncClient) -> None:
    """Unknown → 401 too, with its own code: wrong form, a typing error, and a well-formed key of nobody."""
    unknown = keys.make_key().raw
    typo = unknown[:-7] + ("0" if unknown[-7] != "0" else "1") + unknown[-6:]
    for key in (unknown, typo, "aurra_live_x", "sk-123", "aurra_" + "x" * 100_000, "é" * 10, f"{unknown} x"):
        response = await bare.get(MEMORIES, headers=[(b"Authorization", f"Bearer {key}".encode("latin-1"))])
        problem(response, 401, "invalid_key")


async def test_the_scheme_is_read_in_any_case(account: Account, bare: httpx2.AsyncClient) -> None:
    """`Authorization: bearer …` is the same as `Bearer` (RFC 9110)."""
    ok(await bare.get(MEMORIES, headers={"Authorization": f"bearer {account.key}"}))


async def test_a_revoked_key_is_401(dsn: str, make_account: MakeAccount) -> None:
    """Revoked → 401 revoked_key."""
    account = await make_account()
    key_id = keys.key_id_of(account.key)
    assert key_id
    async with open_directory(dsn) as directory:
        await directory.revoke_key(key_id)
    problem(await account.client.get(MEMORIES), 401, "revoked_key")


async def test_an_expired_key_is_401(dsn: str, make_account: MakeAccount) -> None:
    """Expired → 401 expired_key."""
    account = await make_account()
    connection = await pool.connect(dsn)
    try:
        await connection.execute("UPDATE api_key SET expires_at = now() WHERE key_id = $1", keys.key_id_of(account.key))
    finally:
        await connection.close()
    problem(await account.client.get(MEMORIES), 401, "expired_key")


async def test_a_key_without_the_scope_is_403(make_account: MakeAccount, account: Account) -> None:
    """403: the key's scope does not allow it; the message names the scope. read_only reads everything."""
    memory_id = await account.add("Kim likes tea")
    reader = await make_account(of=account.row, scopes="read_only")
    async with nothing_stored(account):
        for response in (
            await reader.client.post(MEMORIES, json={"content": "x"}),
            await reader.client.post(BULK, json={"memories": [{"content": "x"}]}),
            await reader.client.post(f"/memories/{memory_id}/supersede", json={"valid_to": "2099-01-01"}),
            await reader.client.delete(f"/memories/{memory_id}"),
            await reader.client.patch(SETTINGS, json={}),
        ):
            assert "memories:write" in problem(response, 403, "insufficient_scope")["detail"]
    for path in (MEMORIES, f"/memories/{memory_id}", f"/memories/{memory_id}/timeline", SETTINGS, PLAN):
        ok(await reader.client.get(path))
    ok(await reader.client.get(f"/memories/{memory_id}/audit"))
    ok(await reader.client.post("/agent/query", json={"question": "tea?"}))
    usage = await make_account(of=account.row, scopes="usage:read")
    ok(await usage.client.get(PLAN))
    problem(await usage.client.get(MEMORIES), 403, "insufficient_scope")
    problem(await usage.client.post("/agent/query", json={"question": "tea?"}), 403, "insufficient_scope")


async def test_what_an_item_of_a_partial_bulk_says_twice_is_counted_once(
    make_account: MakeAccount, dsn: str, hand_clock: HandClock
) -> None:
    """One write is left, and the item makes one memory: the plan has room for it; for one that makes two it has not."""
    hand_clock.at = at("2040-03-10T12:00:00")
    account = await account_on_plan(make_account, dsn, 10)
    await account.post(BULK, memories=[{"content": f"memory {number}"} for number in range(10)])
    twice = {"messages": [{"role": "user", "content": "I live in Oslo."}] * 2}
    two = {"messages": [{"role": "user", "content": f"I live in {city}."} for city in ("Oslo", "Rome")]}
    answer = await account.post(BULK, mode="partial", memories=[two, twice])
    assert [item["status"] for item in answer["items"]] == ["error", "saved"]
    assert answer["items"][0]["error"]["code"] == "plan_limit_exceeded"
    assert (await account.get(PLAN))["writes_used"] == 11
