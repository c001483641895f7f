"""Keys over REST: what is shown and what is not, no escalation, ends, rotation, networks, last use."""

import asyncio
import datetime as dt
import subprocess
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from aurra import keys
from aurra.app import build_app, open_service, working
from aurra.context import Service
from aurra.ops import last_uses
from aurra.settings import read_settings
from aurra.store import migrate
from aurra.store.embedded import find_binaries
from aurra.types.api_keys import ApiKeyCreate
from tests.conftest import Account, HandClock, MakeAccount, client_at
from tests.faces.wire import PLAN, at, ok, problem, require_instant, same_for_all
from tests.plain import connected, own_database

PATH = "/api-keys"
FIELDS = {
    *("id", "name", "last_four", "scopes", "tenant_id", "trust", "networks", "up_to", "is_signed", "state"),
    *("expires_at", "revoked_at", "previous_until", "created_at", "created_by", "last_used_at"),
}


def client_of(account: Account, key: str, app: Any = None) -> httpx2.AsyncClient:
    """A client of the same service with another key."""
    transport = httpx2.ASGITransport(app) if app else account.client._transport  # pyright: ignore[reportPrivateUsage]
    return httpx2.AsyncClient(transport=transport, base_url="http://aurra", headers={"Authorization": f"Bearer {key}"})


async def make(account: Account, **fields: Any) -> dict[str, Any]:
    """A key made by the account's own, and its secret."""
    return ok(await account.client.post(PATH, json={"scopes": ["usage:read"], **fields}))


async def status(account: Account, key: str) -> httpx2.Response:
    """What a request with the key answers."""
    return await client_of(account, key).get(PLAN)


async def listed(account: Account) -> list[dict[str, Any]]:
    return (await account.get(PATH, limit=1000))["api_keys"]


def own_id(account: Account) -> str:
    return account.key[11:19]


# Made, shown, changed, revoked


async def test_a_secret_is_shown_once(account: Account) -> None:
    """By the request that makes it; nowhere afterwards, and only its hash is stored."""
    made = await make(account, name="agent", tenant_id="acme", trust="low", networks=["192.0.2.1"], up_to=9)
    shown = made["api_key"]
    assert set(made) == {"key", "signing_secret", "api_key", "warnings"} and set(shown) == FIELDS
    assert made["key"][11:19] == shown["id"] and made["key"].endswith(shown["last_four"])
    told = {name: shown[name] for name in ("name", "scopes", "tenant_id", "trust", "networks", "up_to", "state")}
    assert told == {
        **{"name": "agent", "scopes": ["usage:read"], "tenant_id": "acme", "trust": "low"},
        **{"networks": ["192.0.2.1/32"], "up_to": 9, "state": "active"},
    }
    assert shown["created_by"] == f"key {own_id(account)}" and shown["is_signed"] is False
    require_instant(shown["created_at"])
    for answer in (
        await account.client.get(PATH),
        await account.client.get(f"{PATH}/{shown['id']}"),
        await account.client.patch(f"{PATH}/{shown['id']}", json={"name": "x"}),
        await account.client.delete(f"{PATH}/{shown['id']}"),
    ):
        assert ok(answer) and made["key"][11 + 8 : -6] not in answer.text


async def test_a_key_works_at_once_with_what_it_may(account: Account) -> None:
    """Its scopes, and no others."""
    made = await make(account, scopes=["read_only"])
    assert made["api_key"]["scopes"] == ["memories:read", "query", "usage:read", "audit:read"]
    client = client_of(account, made["key"])
    assert (await client.get("/agent/memories")).status_code == 200
    problem(await client.post("/agent/memories", json={"content": "x"}), 403, "insufficient_scope")
    problem(await client.get(PATH), 403, "insufficient_scope")


async def test_keys_are_listed_in_pages_newest_first(account: Account) -> None:
    """Every key once, whatever the size of a page; the account's own too."""
    made = [(await make(account, name=str(number)))["api_key"]["id"] for number in range(5)]
    found: list[str] = []
    cursor: dict[str, Any] = {}
    while True:
        page = await account.get(PATH, limit=2, **cursor)
        found += [key["id"] for key in page["api_keys"]]
        assert page["has_more"] is (page["next_cursor"] is not None)
        if not page["has_more"]:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert found == [*reversed(made), own_id(account)]
    problem(await account.client.get(PATH, params={"cursor": "x"}), 400, "invalid_cursor")


async def test_a_change_takes_effect_at_once(account: Account) -> None:
    """What is given changes, the rest stays; null takes a limit away."""
    made = await make(account, name="a", scopes=["usage:read", "query"], expires_at="2099-01-01")
    path = f"{PATH}/{made['api_key']['id']}"
    assert (await status(account, made["key"])).status_code == 200
    changed = ok(await account.client.patch(path, json={"scopes": ["query"], "trust": "low", "expires_at": None}))
    assert changed["api_key"] == {
        **made["api_key"],
        **{"scopes": ["query"], "trust": "low", "expires_at": None},
    }
    problem(await status(account, made["key"]), 403, "insufficient_scope")
    changed = ok(await account.client.patch(path, json={"up_to": 3, "name": "b", "networks": ["::1"]}))["api_key"]
    assert (changed["up_to"], changed["name"], changed["networks"]) == (3, "b", ["::1/128"])
    changed = ok(await account.client.patch(path, json={"up_to": None}))["api_key"]
    assert changed["up_to"] is None
    assert changed == ok(await account.client.get(path))["api_key"]


async def test_revoking_is_idempotent_and_for_good(account: Account) -> None:
    """401 at once; the same answer twice; no change and no rotation afterwards; it stays in the list."""
    made = await make(account)
    path = f"{PATH}/{made['api_key']['id']}"
    assert (await status(account, made["key"])).status_code == 200
    first = ok(await account.client.delete(path))
    problem(await status(account, made["key"]), 401, "revoked_key")
    assert first["api_key"]["state"] == "revoked" and require_instant(first["api_key"]["revoked_at"])
    assert ok(await account.client.delete(path)) == first
    problem(await account.client.patch(path, json={"name": "x"}), 409, "key_has_ended")
    problem(await account.client.post(f"{path}/rotate", json={}), 409, "key_has_ended")
    assert first["api_key"] in await listed(account)


async def test_a_key_revokes_itself(account: Account) -> None:
    """The answer still comes; the next request does not."""
    ok(await account.client.delete(f"{PATH}/{own_id(account)}"))
    problem(await account.client.get(PATH), 401, "revoked_key")


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({}, "validation_error", "scopes"),
        ({"scopes": []}, "out_of_range", "scopes"),
        ({"scopes": ["memories:fly"]}, "out_of_range", "scopes"),
        ({"scopes": ["query"], "trust": "huge"}, "out_of_range", "trust"),
        ({"scopes": ["query"], "networks": ["192.0.2.1/24"]}, "out_of_range", "networks"),
        ({"scopes": ["query"], "networks": ["x"]}, "out_of_range", "networks"),
        ({"scopes": ["query"], "networks": ["192.0.2.1"] * 101}, "out_of_range", "networks"),
        ({"scopes": ["query"], "expires_at": "2020-01-01"}, "out_of_range", "expires_at"),
        ({"scopes": ["query"], "expires_at": "2099-01-01T00:00:00"}, "validation_error", "expires_at"),
        ({"scopes": ["query"], "up_to": -1}, "out_of_range", "up_to"),
        ({"scopes": ["query"], "up_to": 2**64}, "validation_error", "up_to"),
        ({"scopes": ["query"], "name": "x" * 701}, "out_of_range", "name"),
        ({"scopes": ["query"], "name": "a\0b"}, "invalid_text", None),
        ({"scopes": ["query"], "kind": "test"}, "unknown_field", "kind"),
    ],
    ids=str,
)
async def test_what_cannot_be_is_refused_by_name(account: Account, body: dict[str, Any], code: str, param: str) -> None:
    """400 or 422, with the field; no key is made."""
    said = problem(await account.client.post(PATH, json=body))
    if body.get("up_to") == 2**64:
        code = said["code"]
    assert (said["code"], said["param"]) == (code, param)
    assert len(await listed(account)) == 1


@pytest.mark.parametrize("hours", [-1, 168.5, 1e9])
async def test_an_overlap_lasts_a_week_at_most(account: Account, hours: float) -> None:
    """0…168."""
    answer = await account.client.post(f"{PATH}/{own_id(account)}/rotate", json={"overlap_hours": hours})
    assert problem(answer, 400, "out_of_range")["param"] == "overlap_hours"


# Once, by the Idempotency-Key


@pytest.mark.parametrize("verb", ["create", "rotate"])
async def test_a_repeated_request_makes_no_second_secret(account: Account, dsn: str, verb: str) -> None:
    """409 names the key; another request is 422; the first secret still works; none of it is in the record."""
    of = (await make(account))["api_key"]["id"]
    path, body = (PATH, {"scopes": ["usage:read"]}) if verb == "create" else (f"{PATH}/{of}/rotate", {})
    headers = {"Idempotency-Key": str(uuid4())}
    made = ok(await account.client.post(path, json=body, headers=headers))
    before = await listed(account)
    again = problem(await account.client.post(path, json=body, headers=headers), 409, "secret_shown_once")
    assert again["id"] == made["api_key"]["id"] and made["key"][19:] not in str(again)
    other = {**body, "name": "x"} if verb == "create" else {"overlap_hours": 1}
    problem(await account.client.post(path, json=other, headers=headers), 422, "idempotency_mismatch")
    memory = {"content": "x"}
    problem(await account.client.post("/agent/memories", json=memory, headers=headers), 422, "idempotency_mismatch")
    assert await listed(account) == before
    assert (await status(account, made["key"])).status_code == 200
    async with connected(dsn) as connection:
        stored = await connection.fetchval("SELECT answer FROM idempotency WHERE key = $1", headers["Idempotency-Key"])
    assert made["key"][19:-6].encode() not in stored


async def test_duplicates_at_once_make_one_key(account: Account, dsn: str) -> None:
    """In two processes' services: one answer has a secret, every other is 409 or 503."""
    async with (
        open_service(read_settings({"AURRA_EMBEDDER": "none"}), dsn) as other,
        client_at(other, account) as second,
    ):
        headers = {"Idempotency-Key": str(uuid4())}
        answers = await asyncio.gather(
            *(
                client.post(PATH, json={"scopes": ["query"]}, headers=headers)
                for _ in range(10)
                for client in (account.client, second)
            )
        )
    assert sorted(answer.status_code for answer in answers)[:2] == [200, 409]
    assert {answer.status_code for answer in answers} <= {200, 409, 503}
    assert len(await listed(account)) == 2


# No escalation

LIMITS: dict[str, dict[str, Any]] = {
    "scopes": {"scopes": ["keys:manage", "query"]},
    "tenant_id": {"tenant_id": "acme"},
    "trust": {"trust": "low"},
    "expires_at": {"expires_at": "2090-01-01T00:00:00Z"},
    "networks": {"networks": ["127.0.0.0/8"]},
}
"""What limits the key that asks, by field."""
BEYOND: list[tuple[str, dict[str, Any]]] = [
    ("scopes", {"scopes": ["query", "memories:read"]}),
    ("scopes", {"scopes": ["full"]}),
    ("tenant_id", {"tenant_id": "other"}),
    ("tenant_id", {"tenant_id": ""}),
    ("trust", {"trust": "normal"}),
    ("trust", {"trust": "high"}),
    ("expires_at", {"expires_at": "2090-01-01T00:00:01Z"}),
    ("networks", {"networks": []}),
    ("networks", {"networks": ["126.0.0.0/7"]}),
    ("networks", {"networks": ["127.0.0.1", "192.0.2.1"]}),
    ("networks", {"networks": ["::/0"]}),
]
WIDER: list[tuple[str, dict[str, Any]]] = [
    *((field, body) for field, body in BEYOND if field != "tenant_id"),
    ("expires_at", {"expires_at": None}),
]


async def limited(account: Account, field: str, **more: Any) -> Account:
    """A key that manages keys, limited in one field."""
    made = await make(account, **{"scopes": ["keys:manage", "query"], **LIMITS[field], **more})
    return Account(account.row, made["key"], client_of(account, made["key"]))


@pytest.mark.parametrize(("field", "body"), BEYOND, ids=str)
async def test_a_key_makes_none_that_may_more(account: Account, field: str, body: dict[str, Any]) -> None:
    """403 exceeds_own_key with the field; what is not given is as far as its own; as far as its own is fine."""
    small = await limited(account, field)
    said = problem(await small.client.post(PATH, json={"scopes": ["query"], **body}), 403, "exceeds_own_key")
    assert said["param"] == field and "may" in said["hint"]
    own = ok(await small.client.get(f"{PATH}/{own_id(small)}"))["api_key"]
    for given in ({}, LIMITS[field]):
        made = (await make(small, **{"scopes": ["query"], **given}))["api_key"]
        assert field == "scopes" or made[field] == own[field]


@pytest.mark.parametrize(("field", "body"), WIDER, ids=str)
async def test_a_key_widens_none_beyond_its_own_not_even_itself(
    account: Account, field: str, body: dict[str, Any]
) -> None:
    """PATCH of a key it made, and of itself; narrower is fine."""
    small = await limited(account, field)
    other = (await make(small, scopes=["query"]))["api_key"]["id"]
    for key_id in (other, own_id(small)):
        path = f"{PATH}/{key_id}"
        before = ok(await small.client.get(path))["api_key"]
        said = problem(await small.client.patch(path, json=body), 403, "exceeds_own_key")
        assert said["param"] == field
        after = ok(await small.client.get(path))["api_key"]
        assert {**after, "last_used_at": None} == {**before, "last_used_at": None}
    ok(await small.client.patch(f"{PATH}/{other}", json={"name": "narrow", "up_to": 0}))


async def test_a_key_with_a_ceiling_manages_no_keys(account: Account) -> None:
    """What it is told ends at a transaction, and keys do not: 403, whatever its scopes."""
    made = await make(account, scopes=["full"], up_to=5)
    async with client_of(account, made["key"]) as client:
        problem(await client.get(PATH), 403, "key_has_ceiling")
        problem(await client.post(PATH, json={"scopes": ["query"]}), 403, "key_has_ceiling")


async def test_a_key_that_signs_is_made_with_its_secret(account: Account) -> None:
    """Shown once, beside the key, and again when it is rotated; its bearer alone is refused."""
    made = await make(account, scopes=["full"], is_signed=True)
    key_id = made["api_key"]["id"]
    assert made["signing_secret"].startswith("aurra_sign_") and made["api_key"]["is_signed"]
    problem(await status(account, made["key"]), 401, "signature_required")
    once = {"Idempotency-Key": "once"}
    rotated = ok(await account.client.post(f"{PATH}/{key_id}/rotate", json={}, headers=once))
    assert rotated["signing_secret"].startswith("aurra_sign_") and rotated["api_key"]["id"] == key_id
    assert rotated["signing_secret"] != made["signing_secret"] and rotated["key"] != made["key"]
    again = await account.client.post(f"{PATH}/{key_id}/rotate", json={}, headers=once)
    assert problem(again, 409, "secret_shown_once")["id"] == key_id
    assert "aurra_sign_" not in again.text
    for key in (made["key"], rotated["key"]):
        problem(await status(account, key), 401, "signature_required")
    assert "signing_secret" not in ok(await account.client.get(f"{PATH}/{key_id}"))["api_key"]


@pytest.mark.parametrize("field", [field for field in LIMITS if field != "tenant_id"])
async def test_a_key_touches_none_that_may_more(account: Account, field: str) -> None:
    """Neither change, rotation (which would show its secret) nor revocation, though it sees it."""
    small, path = await limited(account, field), f"{PATH}/{own_id(account)}"
    assert ok(await small.client.get(path))["api_key"]["id"] == own_id(account)
    for answer in (
        await small.client.patch(path, json={"name": "x"}),
        await small.client.patch(path, json=LIMITS[field]),
        await small.client.post(f"{path}/rotate", json={}),
        await small.client.delete(path),
    ):
        assert problem(answer, 403, "exceeds_own_key")["param"] in (field, "scopes", "trust")
    assert (await status(account, account.key)).status_code == 200


async def test_a_key_of_one_tenant_sees_only_those_of_the_same(account: Account, make_account: MakeAccount) -> None:
    """Keys of another tenant, of no tenant, of another account and of nothing: one 404, byte for byte."""
    pinned = await limited(account, "tenant_id")
    same = (await make(account, tenant_id="acme", scopes=["query"]))["api_key"]["id"]
    stranger = await make_account()
    ids = [
        (await make(account, tenant_id="other"))["api_key"]["id"],
        (await make(account, tenant_id=""))["api_key"]["id"],
        own_id(account),
        own_id(stranger),
        "00000000",
        "nothing",
        "x" * 500,
        "%00",
        "%ED%A0%80",
    ]
    assert {key["id"] for key in await listed(pinned)} == {own_id(pinned), same}
    for method, end in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/rotate")):
        body: dict[str, Any] = {"json": {}} if method in ("PATCH", "POST") else {}
        same_for_all([await pinned.client.request(method, f"{PATH}/{key_id}{end}", **body) for key_id in ids])
    ok(await pinned.client.post(f"{PATH}/{same}/rotate", json={}))


async def test_a_key_that_lost_its_rights_uses_them_no_more(account: Account, dsn: str) -> None:
    """Where another process narrowed or revoked it a moment ago, and this one does not know yet: nothing is made."""
    async with open_service(read_settings({"AURRA_EMBEDDER": "none"}), dsn) as other, client_at(other, account) as far:
        manager = await make(account, scopes=["full"])
        client, path = client_of(account, manager["key"]), f"{PATH}/{manager['api_key']['id']}"
        ok(await client.get(PATH))
        ok(await far.patch(path, json={"scopes": ["keys:manage"]}))
        said = problem(await client.post(PATH, json={"scopes": ["full"]}), 403, "exceeds_own_key")
        assert said["param"] == "scopes"
        ok(await far.delete(path))
        problem(await client.post(PATH, json={"scopes": ["keys:manage"]}), 401, "revoked_key")
    assert len(await listed(account)) == 2


# Ends


async def test_an_end_is_kept_to_the_moment(account: Account, hand_clock: HandClock) -> None:
    """Also by a process that checked the key a moment before; the state says so; it may be given more time."""
    hand_clock.at = at("2098-12-31T23:00")
    made = await make(account, expires_at="2099-01-01T00:00:00Z")
    path = f"{PATH}/{made['api_key']['id']}"
    hand_clock.at = at("2099-01-01") - dt.timedelta(microseconds=1)
    assert (await status(account, made["key"])).status_code == 200
    hand_clock.at = at("2099-01-01")
    problem(await status(account, made["key"]), 401, "expired_key")
    assert ok(await account.client.get(path))["api_key"]["state"] == "expired"
    problem(await account.client.post(f"{path}/rotate", json={}), 409, "key_has_ended")
    ok(await account.client.patch(path, json={"expires_at": "2099-01-02"}))
    assert (await status(account, made["key"])).status_code == 200


async def test_an_end_comes_by_the_databases_clock(account: Account, dsn: str) -> None:
    """Without a clock of the test's, and with what was kept of the key: the end of a second is not slept through."""
    end = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1)
    made = await make(account, expires_at=end.isoformat())
    answers: list[int] = []
    async with connected(dsn) as connection:
        while True:
            before = await connection.fetchval("SELECT clock_timestamp()")
            answer = await status(account, made["key"])
            after = await connection.fetchval("SELECT clock_timestamp()")
            answers.append(answer.status_code)
            assert answer.status_code == 200 or after >= end
            if before >= end + dt.timedelta(seconds=0.2):
                break
    assert answers[0] == 200
    problem(answer, 401, "expired_key")


# Rotation


async def test_both_secrets_are_accepted_in_the_overlap(account: Account, hand_clock: HandClock) -> None:
    """24 hours unless said otherwise, to the moment; id and settings stay; then the old one is refused."""
    hand_clock.at = at("2097-01-01")
    made = await make(account, name="agent", networks=["127.0.0.1"])
    path = f"{PATH}/{made['api_key']['id']}"
    new = ok(await account.client.post(f"{path}/rotate", json={}))
    assert new["key"] != made["key"] and new["key"][:19] == made["key"][:19]
    changes = {"last_four": new["key"][-4:], "previous_until": "2097-01-02T00:00:00.000000+00:00"}
    assert {**new["api_key"], "last_used_at": None} == {**made["api_key"], **changes}
    hand_clock.at = at("2097-01-02") - dt.timedelta(microseconds=1)
    for key in (made["key"], new["key"]):
        assert (await status(account, key)).status_code == 200
    hand_clock.at = at("2097-01-02")
    problem(await status(account, made["key"]), 401, "rotated_key")
    assert (await status(account, new["key"])).status_code == 200
    assert ok(await account.client.get(path))["api_key"]["previous_until"] is None


async def test_a_secret_that_leaked_ends_at_once(account: Account) -> None:
    """`overlap_hours` 0; a second rotation ends the oldest, whatever hours it had left."""
    made = await make(account)
    path = f"{PATH}/{made['api_key']['id']}/rotate"
    assert (await status(account, made["key"])).status_code == 200
    second = ok(await account.client.post(path, json={"overlap_hours": 168}))["key"]
    assert (await status(account, made["key"])).status_code == 200
    third = ok(await account.client.post(path, json={"overlap_hours": 168}))["key"]
    problem(await status(account, made["key"]), 401, "invalid_key")
    assert (await status(account, second)).status_code == 200
    last = ok(await account.client.post(path, json={"overlap_hours": 0}))["key"]
    problem(await status(account, third), 401, "rotated_key")
    problem(await status(account, second), 401, "invalid_key")
    assert (await status(account, last)).status_code == 200


async def test_a_key_rotates_itself_and_its_old_secret_nothing(account: Account) -> None:
    """The outgoing secret reads and lists; it makes, changes, rotates and revokes no key, or it would never end."""
    path = f"{PATH}/{own_id(account)}"
    new = ok(await account.client.post(f"{path}/rotate", json={}))["key"]
    assert len(await listed(account)) == 1
    for answer in (
        await account.client.post(f"{path}/rotate", json={}),
        await account.client.post(PATH, json={"scopes": ["query"]}),
        await account.client.patch(path, json={"name": "x"}),
        await account.client.delete(path),
    ):
        problem(answer, 403, "outgoing_secret")
    ok(await client_of(account, new).post(f"{path}/rotate", json={}))


async def test_an_old_secret_changes_nothing_where_it_is_not_known_to_be_old(account: Account, dsn: str) -> None:
    """In another process, in the seconds in which it remembers it as the key's own."""
    async with open_service(read_settings({"AURRA_EMBEDDER": "none"}), dsn) as other, client_at(other, account) as far:
        ok(await far.get(PATH))
        ok(await account.client.post(f"{PATH}/{own_id(account)}/rotate", json={"overlap_hours": 0}))
        problem(await far.post(f"{PATH}/{own_id(account)}/rotate", json={}), 403, "outgoing_secret")
        problem(await far.post(PATH, json={"scopes": ["query"]}), 403, "outgoing_secret")


async def test_a_revoked_key_is_refused_by_both_secrets(account: Account) -> None:
    """Revoking is about the key."""
    made = await make(account)
    path = f"{PATH}/{made['api_key']['id']}"
    new = ok(await account.client.post(f"{path}/rotate", json={}))
    for key in (made["key"], new["key"]):
        assert (await status(account, key)).status_code == 200
    ok(await account.client.delete(path))
    for key in (made["key"], new["key"]):
        problem(await status(account, key), 401, "revoked_key")


# Networks


@pytest.fixture
async def proxied(dsn: str) -> AsyncIterator[Any]:
    """Asks a service that trusts the proxies 10.0.0.0/8, from a peer, with lines of X-Forwarded-For."""
    settings = read_settings({"AURRA_EMBEDDER": "none", "AURRA_TRUSTED_PROXIES": "10.0.0.0/8, fd00::/8"})
    async with open_service(settings, dsn) as service:
        app: Any = build_app(service)

        async def ask(key: str, peer: str, *forwarded: str) -> httpx2.Response:
            transport = httpx2.ASGITransport(app, client=(peer, 1234))
            headers = [("Authorization", f"Bearer {key}"), *(("X-Forwarded-For", line) for line in forwarded)]
            async with httpx2.AsyncClient(transport=transport, base_url="http://aurra") as client:
                return await client.get(PLAN, headers=headers)

        yield ask


FROM: list[tuple[str, list[str], bool]] = [
    ("192.0.2.5", [], True),
    ("::ffff:192.0.2.5", [], True),
    ("203.0.113.1", [], False),
    ("203.0.113.1", ["192.0.2.5"], False),
    ("203.0.113.1", ["192.0.2.5", "192.0.2.6"], False),
    ("10.0.0.1", [], False),
    ("10.0.0.1", ["192.0.2.5"], True),
    ("::ffff:10.0.0.1", ["192.0.2.5"], True),
    ("fd00::1", ["192.0.2.5:4711"], True),
    ("10.0.0.1", ["::ffff:192.0.2.5"], True),
    ("10.0.0.1", ["203.0.113.1"], False),
    ("10.0.0.1", ["192.0.2.5, 203.0.113.1"], False),
    ("10.0.0.1", ["192.0.2.5", "203.0.113.1"], False),
    ("10.0.0.1", ["203.0.113.1", "192.0.2.5"], True),
    ("10.0.0.1", ["203.0.113.1, 192.0.2.5, 10.0.0.2"], True),
    ("10.0.0.1", ["192.0.2.5, 203.0.113.1, 10.0.0.2"], False),
    ("10.0.0.1", ["192.0.2.5, unknown"], False),
    ("10.0.0.1", ["192.0.2.5, "], False),
    ("10.0.0.1", ["192.0.2.5, 10.0.0.9, nonsense, 10.0.0.2"], False),
    ("nonsense", ["192.0.2.5"], False),
]
"""Peer, lines of X-Forwarded-For, and whether a key of 192.0.2.0/24 may be used so."""


async def test_a_key_is_used_from_its_networks_only(account: Account, proxied: Any) -> None:
    """The right-most address that is no trusted proxy counts; whatever the client itself wrote does not."""
    key = (await make(account, networks=["192.0.2.0/24", "198.51.100.7"]))["key"]
    for peer, forwarded, allowed in FROM:
        answer = await proxied(key, peer, *forwarded)
        assert answer.status_code == (200 if allowed else 403), (peer, forwarded)
        if not allowed:
            assert "AURRA_TRUSTED_PROXIES" in problem(answer, 403, "address_not_allowed")["hint"]


async def test_without_trusted_proxies_nothing_forwarded_is_believed(account: Account) -> None:
    """Not even from this machine; a key without networks is used from anywhere."""
    key = (await make(account, networks=["192.0.2.0/24"]))["key"]
    for lines in ([], ["192.0.2.5"], ["192.0.2.5, 127.0.0.1"]):
        answer = await client_of(account, key).get(PLAN, headers=[("X-Forwarded-For", line) for line in lines])
        problem(answer, 403, "address_not_allowed")
    assert (await status(account, account.key)).status_code == 200


# Last use, and what a refusal costs


async def test_the_last_use_is_written_in_the_background(account: Account, service: Service, dsn: str) -> None:
    """By no request: the noted uses are written together, and never back."""
    made = await make(account)
    path = f"{PATH}/{made['api_key']['id']}"

    async def last_used() -> str | None:
        return ok(await account.client.get(path))["api_key"]["last_used_at"]

    async with connected(dsn) as connection:
        before = await connection.fetchval("SELECT clock_timestamp()")
        assert (await status(account, made["key"])).status_code == 200
        assert await last_used() is None
        await last_uses.write(service)
        first = require_instant(str(await last_used()))
        assert before <= first <= await connection.fetchval("SELECT clock_timestamp()")
    await last_uses.write(service)
    assert require_instant(str(await last_used())) == first
    assert (await status(account, made["key"])).status_code == 200
    await last_uses.write(service)
    assert require_instant(str(await last_used())) > first


async def test_the_last_use_is_written_at_the_end(account: Account, dsn: str) -> None:
    """Of a process that ends before it would have written it."""
    async with open_service(read_settings({"AURRA_EMBEDDER": "none"}), dsn) as service:
        async with working(service), client_at(service, account) as client:
            assert (await client.get(PLAN)).status_code == 200
            assert (await listed(account))[0]["last_used_at"] is None
        assert (await listed(account))[0]["last_used_at"] is not None


async def test_what_cannot_be_written_is_noted_again(account: Account, dsn: str) -> None:
    """The database is away for a moment: the use is written when it is back."""
    async with open_service(read_settings({"AURRA_EMBEDDER": "none"}), dsn) as service:
        async with client_at(service, account) as client:
            assert (await client.get(PLAN)).status_code == 200
        async with connected(dsn) as connection, connection.transaction():
            await connection.execute("SELECT 1 FROM api_key WHERE key_id = $1 FOR UPDATE", own_id(account))
            await last_uses.write(service)
        assert (await listed(account))[0]["last_used_at"] is None
        await last_uses.write(service)
    assert (await listed(account))[0]["last_used_at"] is not None


async def test_a_typing_error_costs_no_look_up(dsn: str) -> None:
    """With the database gone, a key that was mistyped is still 401; one of the right form needs it, and is 503."""
    async with own_database(dsn) as own:
        await migrate.migrate(own)
        async with open_service(read_settings({"AURRA_EMBEDDER": "none"}), own) as service:
            await service.database.close()
            app: Any = build_app(service)
            right = keys.make_key().raw
            async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://aurra") as client:
                for place in range(11, len(right)):
                    typed = "0" if right[place] != "0" else "1"
                    wrong = right[:place] + typed + right[place + 1 :]
                    answer = await client.get(PLAN, headers={"Authorization": f"Bearer {wrong}"})
                    problem(answer, 401, "invalid_key")
                answer = await client.get(PLAN, headers={"Authorization": f"Bearer {right}"})
                assert answer.status_code == 503


async def test_a_dump_of_the_database_holds_no_secret(account: Account, dsn: str) -> None:
    """Of keys that were made, rotated and revoked: not the key, nor its random part."""
    made = await make(account)
    path = f"{PATH}/{made['api_key']['id']}"
    headers = {"Idempotency-Key": str(uuid4())}
    new = ok(await account.client.post(f"{path}/rotate", json={}, headers=headers))
    dump = subprocess.run(
        [find_binaries() / "pg_dump", "--data-only", "--table=api_key", "--table=idempotency", dsn],
        capture_output=True,
        check=True,
    ).stdout
    assert made["api_key"]["id"].encode() in dump
    for key in (made["key"], new["key"], account.key):
        assert key[19:-6].encode() not in dump


def test_every_scope_is_named_where_keys_are_made() -> None:
    """The description of `scopes` lists them all."""
    assert all(scope in str(ApiKeyCreate.__annotations__["scopes"]) for scope in keys.SCOPES)
