"""Idempotency-Key: contract.md §1 and §4, trust.md §2, through HTTP."""

import asyncio
import datetime as dt
from typing import Any

import httpx2
import pytest

from tests.conftest import Account, HandClock, MakeAccount
from tests.faces.wire import BULK, MEMORIES, PLAN, account_on_plan, at, nothing_stored, ok, problem

REPLAYED = "idempotent-replayed"
TURNS = {"messages": [{"role": "user", "content": "The office moved to Lisbon."}], "session_id": "s"}
BODIES: list[tuple[str, dict[str, Any]]] = [
    (MEMORIES, {"content": "Kim likes tea"}),
    (MEMORIES, TURNS),
    (MEMORIES, {"messages": []}),
    (BULK, {"memories": [{"content": "Kim likes tea"}, TURNS]}),
    (BULK, {"memories": [{"content": "Kim likes tea"}, {"content": ""}], "mode": "partial"}),
]


async def _send(account: Account, path: str, key: str | None, **body: Any) -> httpx2.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return await account.client.post(path, json=body, headers=headers)


@pytest.mark.parametrize(("path", "body"), BODIES, ids=["content", "messages", "no facts", "bulk", "partial bulk"])
async def test_a_replay_is_byte_identical(account: Account, path: str, body: dict[str, Any]) -> None:
    """The same key and request again: the stored answer, byte for byte, with `Idempotent-Replayed: true`."""
    first = await _send(account, path, "key-1", **body)
    ok(first)
    assert REPLAYED not in first.headers
    async with nothing_stored(account):
        for _ in range(3):
            again = await _send(account, path, "key-1", **body)
            assert again.status_code == 200
            assert again.content == first.content
            assert again.headers[REPLAYED] == "true"


async def test_a_replay_stays_the_same_after_other_writes(account: Account) -> None:
    """The answer is the one given then, whatever was written, superseded or retracted since."""
    slot = {"subject": "kim", "attribute": "city"}
    first = await _send(account, MEMORIES, "key-1", content="Oslo", **slot)
    await account.add("Rome", **slot)
    ok(await account.client.delete(f"/memories/{first.json()['memory_id']}"))
    assert (await _send(account, MEMORIES, "key-1", content="Oslo", **slot)).content == first.content


async def test_fields_in_another_order_or_spacing_are_the_same_request(account: Account) -> None:
    """The fingerprint is over the canonical request, so that every client and face agrees."""
    first = await _send(account, MEMORIES, "key-1", content="Oslo", subject="kim", attribute="city")
    headers = {"Idempotency-Key": "key-1", "Content-Type": "application/json"}
    raw = b'{ "attribute":"city",\n"subject" : "\\u006bim", "topic": null, "content":"Oslo" }'
    again = await account.client.post(MEMORIES, content=raw, headers=headers)
    assert again.content == first.content
    assert again.headers[REPLAYED] == "true"


async def test_the_models_key_is_no_part_of_the_request(account: Account) -> None:
    """The model's key is used and never kept, not even in the fingerprint: a rotated one replays; in bulk, too."""
    for path, key in ((MEMORIES, "one"), (BULK, "many")):
        bodies = [{"content": "Kim likes tea", "llm": {"model": "m", "api_key": secret}} for secret in ("sk-1", "sk-2")]
        bodies = [{"memories": [body]} for body in bodies] if path == BULK else bodies
        first, again = [await _send(account, path, key, **body) for body in bodies]
        ok(first)
        assert again.content == first.content
        assert again.headers[REPLAYED] == "true"


async def test_another_request_with_the_same_key_is_422(account: Account) -> None:
    """A changed body, or another operation, is 422 idempotency_mismatch; nothing is stored."""
    ok(await _send(account, MEMORIES, "key-1", content="Kim likes tea"))
    async with nothing_stored(account):
        for path, body in (
            (MEMORIES, {"content": "Kim likes coffee"}),
            (MEMORIES, {"content": "Kim likes tea "}),
            (MEMORIES, {"content": "Kim likes tea", "topic": "Drinks"}),
            (MEMORIES, {"content": "Kim likes tea", "dry_run": True}),
            (BULK, {"memories": [{"content": "Kim likes tea"}]}),
        ):
            problem(await _send(account, path, "key-1", **body), 422, "idempotency_mismatch")


async def test_a_key_belongs_to_its_account(account: Account, make_account: MakeAccount) -> None:
    """Another account's key of the same name is another key; another API key of the same account is not."""
    other, second = await make_account(), await make_account(of=account.row)
    first = await _send(account, MEMORIES, "key-1", content="Kim likes tea")
    foreign = await _send(other, MEMORIES, "key-1", content="Kim likes coffee")
    assert ok(foreign)["status"] == "saved"
    assert REPLAYED not in foreign.headers
    assert (await _send(second, MEMORIES, "key-1", content="Kim likes tea")).content == first.content


async def test_a_replay_is_not_given_to_a_key_of_another_tenant(account: Account, make_account: MakeAccount) -> None:
    """A pinned key never learns what was written in another tenant, by a replay either: its request is another one."""
    first = await _send(account, MEMORIES, "key-1", content="Kim likes tea")
    pinned = await make_account(of=account.row, tenant_id="north")
    again = await _send(pinned, MEMORIES, "key-1", content="Kim likes tea")
    assert first.json()["memory_id"] not in again.text


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", b"\xc3\xa9", b"a\x7fb"], ids=repr)
async def test_a_key_is_1_to_255_printable_ascii(account: Account, key: str | bytes) -> None:
    """Idempotency-Key: 1–255 printable ASCII; else 400, and nothing is stored."""
    raw = key.encode() if isinstance(key, str) else key
    async with nothing_stored(account):
        for path, body in ((MEMORIES, {"content": "x"}), (BULK, {"memories": [{"content": "x"}]})):
            response = await account.client.post(path, json=body, headers=[(b"Idempotency-Key", raw)])
            assert problem(response, 400)["param"] == "Idempotency-Key"


async def test_the_longest_key_is_taken(account: Account) -> None:
    """255 characters, any printable ASCII."""
    for key in ("x" * 255, "!#$%&'()*+,-./:;<=>?@[]^_`{|}~ a"):
        first = await _send(account, MEMORIES, key, content=f"with {key[:40]}")
        again = await _send(account, MEMORIES, key, content=f"with {key[:40]}")
        assert again.headers[REPLAYED] == "true"
        assert again.content == first.content


@pytest.mark.parametrize("path", [MEMORIES, BULK])
async def test_concurrent_duplicates_store_once(account: Account, path: str) -> None:
    """Of 20 at once exactly one is stored; the rest are 409 with Retry-After, or byte-identical."""
    item = {"messages": [{"role": "user", "content": "yes"}], "extraction": "verbatim"}
    body: dict[str, Any] = item if path == MEMORIES else {"memories": [item, item]}
    responses = await asyncio.gather(*(_send(account, path, "key-1", **body) for _ in range(20)))
    answers = [response for response in responses if response.status_code == 200]
    assert answers
    assert len({answer.content for answer in answers}) == 1
    assert sum(REPLAYED not in answer.headers for answer in answers) == 1
    for response in responses:
        if response.status_code != 200:
            problem(response, 409, "idempotency_in_flight")
            assert int(response.headers["retry-after"]) >= 1
    written = 1 if path == MEMORIES else 2
    assert (await account.get(PLAN))["writes_used"] == written
    after = await _send(account, path, "key-1", **body)
    assert after.content == answers[0].content


async def test_concurrent_different_requests_with_one_key_store_one(account: Account) -> None:
    """One key, ten different bodies at once: one is stored, the rest are refused with 409 or 422."""
    responses = await asyncio.gather(*(_send(account, MEMORIES, "key-1", content=f"memory {n}") for n in range(10)))
    statuses = sorted(response.status_code for response in responses)
    assert statuses.count(200) == 1
    assert set(statuses) <= {200, 409, 422}
    assert (await account.get(PLAN))["writes_used"] == 1


async def test_concurrent_writes_with_keys_of_their_own_are_all_stored(account: Account) -> None:
    """Different keys do not wait for one another."""
    responses = await asyncio.gather(*(_send(account, MEMORIES, f"key-{n}", content=f"memory {n}") for n in range(10)))
    assert [response.status_code for response in responses] == [200] * 10
    assert (await account.get(PLAN))["writes_used"] == 10


async def test_a_stored_answer_lives_24_hours(account: Account, hand_clock: HandClock) -> None:
    """24 h: just before, the replay; from then on the key is new, for another request, too."""
    start = at("2040-03-10T12:00:00")
    hand_clock.at = start
    first = await _send(account, MEMORIES, "key-1", content="Kim likes tea")
    ok(await _send(account, MEMORIES, "key-2", content="Kim likes cake"))
    hand_clock.at = start + dt.timedelta(hours=24) - dt.timedelta(microseconds=2)
    assert (await _send(account, MEMORIES, "key-1", content="Kim likes tea")).content == first.content
    hand_clock.at = start + dt.timedelta(hours=24, seconds=1)
    again = await _send(account, MEMORIES, "key-1", content="Kim likes tea")
    assert REPLAYED not in again.headers
    assert ok(again)["status"] == "duplicate"
    other = await _send(account, MEMORIES, "key-2", content="Kim likes coffee")
    assert ok(other)["status"] == "saved"
    assert (await account.get(PLAN))["writes_used"] == 3


async def test_without_a_key_every_request_is_its_own(account: Account) -> None:
    """No key: two writes, two transactions."""
    turns = [{"role": "user", "content": "yes"}]
    answers = [ok(await _send(account, MEMORIES, None, messages=turns, extraction="verbatim")) for _ in range(2)]
    assert answers[0]["memory_ids"] != answers[1]["memory_ids"]
    assert [answer["transaction"]["id"] for answer in answers] == [1, 2]


async def test_only_answers_of_success_are_stored(
    account: Account, make_account: MakeAccount, dsn: str, hand_clock: HandClock
) -> None:
    """Only 2xx are stored: after a 400, 402, 404 or 422 the same key works for a good request."""
    cases: list[tuple[str, dict[str, Any], int]] = [
        (MEMORIES, {"content": ""}, 400),
        (MEMORIES, {}, 400),
        (MEMORIES, {"content": 5}, 422),
        (MEMORIES, {"content": "x", "valid_from": "2024-01-01T00:00:00"}, 422),
        (MEMORIES, {"content": "x", "valid_to": "2001-01-01"}, 400),
        (BULK, {"memories": []}, 400),
        (BULK, {"memories": [{"content": "good"}, {}]}, 400),
    ]
    for number, (path, body, status) in enumerate(cases):
        problem(await _send(account, path, f"key-{number}", **body), status)
        response = await _send(account, MEMORIES, f"key-{number}", content=f"good {number}")
        assert ok(response)["status"] == "saved"
        assert REPLAYED not in response.headers
    hand_clock.at = at("2040-03-10T12:00:00")
    poor = await account_on_plan(make_account, dsn, 20)
    ok(await _send(poor, BULK, "fill", memories=[{"content": f"fill {n}"} for n in range(22)]))
    problem(await _send(poor, MEMORIES, "late", content="x"), 402)
    hand_clock.at = at("2040-04-01T00:00:00")
    assert ok(await _send(poor, MEMORIES, "late", content="x"))["status"] == "saved"


async def test_a_replay_works_while_the_plan_blocks_writes(
    make_account: MakeAccount, dsn: str, hand_clock: HandClock
) -> None:
    """A replay writes nothing, so no plan refuses it."""
    hand_clock.at = at("2040-03-10T12:00:00")
    account = await account_on_plan(make_account, dsn, 20)
    body = {"memories": [{"content": f"fill {n}"} for n in range(22)]}
    first = await _send(account, BULK, "fill", **body)
    ok(first)
    problem(await _send(account, MEMORIES, "late", content="x"), 402)
    assert (await _send(account, BULK, "fill", **body)).content == first.content


async def test_a_replay_with_unknown_fields_is_byte_identical(account: Account) -> None:
    """Warnings about unknown fields belong to the answer, in the replay as in the first."""
    first = await _send(account, MEMORIES, "key-1", content="Kim likes tea", workspace=1)
    again = await _send(account, MEMORIES, "key-1", content="Kim likes tea", workspace=1)
    assert ok(first)["warnings"]
    assert again.content == first.content
