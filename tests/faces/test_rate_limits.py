"""Requests a minute: what every answer says of them, who is refused, and what a refusal costs."""

import contextlib
import datetime as dt
import time
from collections.abc import AsyncGenerator
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from aurra_sdk import AsyncAurra, RateLimitError
from msgspec.structs import replace

from aurra import keys, limiter, signing
from aurra.app import build_app
from aurra.context import Service
from aurra.keys import Terms
from aurra.limiter import Limiter
from aurra.plans import UNLIMITED
from aurra.rates import HEADERS
from aurra.signing import Signable
from aurra.store.accounts import AccountRow, open_directory
from tests.conftest import Account, HandClock, MakeAccount, client_at
from tests.counted import Counted
from tests.faces.wire import MEMORIES, NOWHERE, PLAN, problem
from tests.plain import connected

_SHOWN = [name.lower() for name in HEADERS]
_IETF = [name for name in _SHOWN if name.startswith("ratelimit")]


@pytest.fixture
def turned(service: Service, hand_clock: HandClock) -> Service:
    """The service with limits that go by the hand clock alone."""
    hand_clock.at = dt.datetime.now(dt.UTC)
    return replace(service, limiter=Limiter(ticks=lambda: hand_clock.at.timestamp() if hand_clock.at else 0.0))


def at_address(service: Service, address: str, **headers: str) -> httpx2.AsyncClient:
    """A client whose connections come from an address."""
    app: Any = build_app(service)
    transport = httpx2.ASGITransport(app, client=(address, 40000))
    return httpx2.AsyncClient(transport=transport, base_url="http://aurra", headers=headers)


async def test_every_answer_to_a_key_tells_of_the_limit(make_account: MakeAccount, turned: Service, dsn: str) -> None:
    """200, 400, 403, 404, 405, 413, 415, 422, the index: X-RateLimit-* and RateLimit; health and no key: none."""
    account = await make_account(plan=await plan_of(dsn, key=120, account=1000), scopes="read_only")
    json = {"Content-Type": "application/json"}
    async with client_at(turned, account) as client:
        answers = [
            await client.get(PLAN),
            await client.post("/agent/search", content=b"{", headers=json),
            await client.post(MEMORIES, json={"content": "x"}),
            await client.get(f"/memories/{NOWHERE}"),
            await client.get("/no/such/path"),
            await client.put(MEMORIES),
            await client.post("/agent/search", content=b"x" * 1_048_577, headers=json),
            await client.post("/agent/search", content=b"{}"),
            await client.post("/agent/search", json={}),
            await client.get("/"),
        ]
        assert [answer.status_code for answer in answers] == [200, 400, 403, 404, 404, 405, 413, 415, 422, 200]
        assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == [str(n) for n in range(9, -1, -1)]
        for answer in answers:
            assert answer.headers["x-ratelimit-limit"] == "120"
            assert answer.headers["ratelimit-policy"] == '"key";q=120;w=60, "account";q=1000;w=60'
            assert answer.headers["ratelimit"].startswith(f'"key";r={answer.headers["x-ratelimit-remaining"]};t=')
        for path in ("/health", "/health/live", "/health/ready"):
            assert not set(_SHOWN) & set((await client.get(path)).headers)
        del client.headers["authorization"]
        for path in (PLAN, "/no/such/path", "/"):
            assert not set(_SHOWN) & set((await client.get(path)).headers)


async def test_over_the_limit_is_429_until_retry_after(
    make_account: MakeAccount, turned: Service, hand_clock: HandClock
) -> None:
    """429 rate_limited with whole seconds in Retry-After, which are enough; the reset is when all can be had again."""
    account = await make_account(plan="free")
    assert hand_clock.at is not None
    async with client_at(turned, account) as client:
        for _ in range(8):
            assert (await client.get(PLAN)).status_code == 200
        refused = await client.get(PLAN)
        said = problem(refused, 429, "rate_limited")
        assert said["hint"] == "Retry after the seconds in Retry-After."
        assert (refused.headers["retry-after"], refused.headers["x-ratelimit-remaining"]) == ("1", "0")
        reset = int(refused.headers["x-ratelimit-reset"])
        assert 4 < reset - hand_clock.at.timestamp() <= 6
        hand_clock.at += dt.timedelta(seconds=1)
        assert (await client.get(PLAN)).status_code == 200
        problem(await client.get(PLAN), 429, "rate_limited")
        hand_clock.at = dt.datetime.fromtimestamp(reset + 1, dt.UTC)
        assert (await client.get(PLAN)).headers["x-ratelimit-remaining"] == "7"


async def test_a_refusal_asks_nothing_of_the_database(make_account: MakeAccount, turned: Service) -> None:
    """A thousand refused requests: no round trip, not even for the key."""
    account = await make_account(plan="free")
    counted = replace(turned, database=Counted(turned.database))
    async with client_at(counted, account) as client:
        while (await client.get(PLAN)).status_code == 200:
            pass
        before = counted.database.asked  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
        for _ in range(1000):
            assert (await client.get(PLAN)).status_code == 429
        assert counted.database.asked == before  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


async def test_keys_share_the_limit_of_their_account(make_account: MakeAccount, turned: Service, dsn: str) -> None:
    """Keys of one account together are held to its limit, another account is not; each key to its own."""
    first = await make_account(plan=await plan_of(dsn, key=100, account=120))
    second = await make_account(of=first.row)
    other = await make_account(plan=first.row.plan)
    clients = [client_at(turned, account) for account in (first, second, other)]
    try:
        for _ in range(8):
            assert (await clients[0].get(PLAN)).status_code == 200
        problem(await clients[0].get(PLAN), 429)
        for left in (1, 0):
            answer = await clients[1].get(PLAN)
            assert (answer.status_code, answer.headers["x-ratelimit-limit"]) == (200, "120")
            assert answer.headers["x-ratelimit-remaining"] == str(left)
        refused = await clients[1].get(PLAN)
        problem(refused, 429)
        assert refused.headers["x-ratelimit-limit"] == "120"
        assert (await clients[2].get(PLAN)).headers["x-ratelimit-remaining"] == "7"
    finally:
        for client in clients:
            await client.aclose()


async def plan_of(dsn: str, *, key: int | None, account: int | None) -> str:
    """A plan of the operator's own."""
    name = f"rates-{key}-{account}"
    async with connected(dsn) as connection:
        await connection.execute(
            "INSERT INTO plan (plan, writes_limit, key_requests_per_minute, account_requests_per_minute) "
            "VALUES ($1, 1000, $2, $3) ON CONFLICT DO NOTHING",
            name,
            key,
            account,
        )
    return name


async def test_another_plan_is_noticed_within_seconds(
    make_account: MakeAccount, turned: Service, hand_clock: HandClock, dsn: str
) -> None:
    """From a small limit to none and back: at the latest three seconds later."""
    account = await make_account(plan=await plan_of(dsn, key=1, account=None))
    assert hand_clock.at is not None
    async with client_at(turned, account) as client:
        assert (await client.get(PLAN)).status_code == 200
        assert (await client.get(PLAN)).headers["retry-after"] == "60"
        await move(dsn, account.row, "enterprise")
        hand_clock.at += dt.timedelta(seconds=3)
        answer = await client.get(PLAN)
        assert (answer.status_code, answer.headers["x-ratelimit-limit"]) == (200, str(UNLIMITED))
        assert answer.headers["x-ratelimit-remaining"] == str(UNLIMITED)
        assert abs(int(answer.headers["x-ratelimit-reset"]) - hand_clock.at.timestamp()) <= 1
        assert not set(_IETF) & set(answer.headers)
        await move(dsn, account.row, "free")
        hand_clock.at += dt.timedelta(seconds=3)
        assert (await client.get(PLAN)).headers["x-ratelimit-limit"] == "100"


async def move(dsn: str, account: AccountRow, plan: str) -> None:
    async with open_directory(dsn) as directory:
        await directory.change_plan(account.name, plan)


async def test_a_limit_that_cannot_be_read_is_503(make_account: MakeAccount, turned: Service, dsn: str) -> None:
    """While the table of limits is locked away, the answer is the usual 503; afterwards all is well."""
    account = await make_account(plan="free")
    async with client_at(turned, account) as client, connected(dsn) as connection:
        async with connection.transaction():
            await connection.execute("LOCK TABLE request_rate")
            answer = await client.get(PLAN)
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert answer.headers["retry-after"] == "1"
        assert (await client.get(PLAN)).status_code == 200


@pytest.mark.parametrize(
    ("address", "neighbour", "stranger"),
    [
        ("100.70.1.7", "100.70.1.200", "100.70.2.7"),
        ("::ffff:203.0.115.7", "203.0.115.9", "203.0.116.9"),
        ("2001:db8:0:100::1", "2001:db8:0:1ff::2", "2001:db8:0:200::1"),
    ],
)
async def test_who_guesses_keys_is_stopped(
    account: Account, turned: Service, hand_clock: HandClock, address: str, neighbour: str, stranger: str
) -> None:
    """Twenty failures of a /24 or /56 are 401, the next 429 until Retry-After; a good key from there is let through."""
    guarded = replace(turned, settings=replace(turned.settings, aurra_failed_authentications=20))
    bad: tuple[dict[str, str], ...] = (
        {},
        {"Authorization": "Bearer aurra_live_x"},
        {"Authorization": f"Bearer {account.key[:-1]}~"},
    )
    assert hand_clock.at is not None
    async with (
        at_address(guarded, address) as guesser,
        at_address(guarded, neighbour) as near,
        at_address(guarded, stranger) as far,
    ):
        for number in range(20):
            problem(await (guesser, near)[number % 2].get(PLAN, headers=bad[number % 3]), 401)
        for client in (guesser, near):
            refused = await client.get(PLAN, headers=bad[1])
            problem(refused, 429, "rate_limited")
            assert refused.headers["retry-after"] == "3"
        good = {"Authorization": f"Bearer {account.key}"}
        assert (await guesser.get(PLAN, headers=good)).status_code == 200
        problem(await far.get(PLAN, headers=bad[1]), 401)
        hand_clock.at += dt.timedelta(seconds=3)
        problem(await guesser.get(PLAN, headers=bad[1]), 401)
        problem(await near.get(PLAN, headers=bad[1]), 429)


async def test_pages_of_other_origins_may_read_the_headers(account: Account) -> None:
    """CORS exposes every header that tells of limits."""
    answer = await account.client.get(PLAN, headers={"Origin": "https://elsewhere.example"})
    exposed = {name.strip().lower() for name in answer.headers["access-control-expose-headers"].split(",")}
    assert exposed >= {*_SHOWN, "retry-after", "x-request-id"}


@contextlib.asynccontextmanager
async def sdk(app: Any, account: Account, **options: Any) -> AsyncGenerator[AsyncAurra]:
    """The Python client on the service."""
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app)) as http:
        yield AsyncAurra(account.key, base_url="http://aurra", http_client=http, **options)


async def test_the_python_client_waits_as_it_is_told(make_account: MakeAccount, app: Any) -> None:
    """A call over the limit is tried again after Retry-After and succeeds; without retries the error says how long."""
    account = await make_account(plan="free")
    async with sdk(app, account, max_retries=0) as hasty:
        raw = await hasty.plan.with_raw_response.status()
        assert raw.headers["x-ratelimit-limit"] == "100"
        assert raw.headers["ratelimit-policy"].startswith('"key";q=100;w=60')
        with pytest.raises(RateLimitError) as caught:
            for _ in range(12):
                await hasty.plan.status()
        assert (caught.value.code, caught.value.retry_after) == ("rate_limited", 1)
        assert caught.value.headers["x-ratelimit-remaining"] == "0"
    async with sdk(app, account) as patient:
        before = time.monotonic()
        assert (await patient.plan.status()).plan_tier == "free"
        assert time.monotonic() - before > 0.5


async def test_a_key_from_elsewhere_uses_up_nothing(make_account: MakeAccount, turned: Service, dsn: str) -> None:
    """A key that is used from outside its networks is refused before it is counted: its account goes on."""
    plan = await plan_of(dsn, key=12, account=12)
    bound = await make_account(plan=plan, networks=["192.0.2.0/24"])
    other = await make_account(of=bound.row)
    async with at_address(turned, "198.51.100.7", **bound.client.headers) as stranger:
        for _ in range(5):
            problem(await stranger.get(PLAN), 403, "address_not_allowed")
    async with client_at(turned, other) as client:
        assert (await client.get(PLAN)).status_code == 200


async def test_what_nothing_answers_counts_for_a_key_that_signs(
    make_account: MakeAccount, service: Service, dsn: str, bare: httpx2.AsyncClient
) -> None:
    """A path that is not there, a method that it does not have, the index: with the headers of the limits, and one less
    left each. With a body that nothing reads, or a wrong signature, nobody is known, and nothing is told."""
    account = await make_account(plan=await plan_of(dsn, key=120, account=1000))
    async with open_directory(dsn) as directory:
        key = await directory.create_key(
            account.row, Terms(scopes=["query"], is_signed=True), service.secret_keys.get()
        )

    async def ask(method: str, path: str, content: bytes = b"", secret: str | None = key.signing_secret) -> Any:
        request = Signable(method=method, target=path.encode(), body=content)
        at, nonce = str(int(time.time())), uuid4().hex
        made = signing.sign(secret or "", request, key_id=key.key_id, timestamp=at, nonce=nonce)
        headers: dict[str, str] = dict(zip(signing.HEADERS, (key.key_id, at, nonce, made), strict=True))
        return await bare.request(method, path, content=content, headers=headers)

    answers = [await ask("GET", "/no/such/path"), await ask("PUT", MEMORIES), await ask("GET", "/")]
    assert [answer.status_code for answer in answers] == [404, 405, 200]
    for answer in answers:
        assert answer.headers["x-ratelimit-limit"] == "120"
        assert answer.headers["ratelimit-policy"].startswith('"key";q=120;w=60')
    left = [int(answer.headers["x-ratelimit-remaining"]) for answer in answers]
    assert left == sorted(left, reverse=True) and left[0] < 10
    for unknown in (await ask("POST", "/no/such/path", b"{}"), await ask("GET", "/no/such/path", secret="x")):
        assert unknown.status_code == 404 and not set(_SHOWN) & set(unknown.headers)


async def test_a_refusal_is_looked_up_once(make_account: MakeAccount, turned: Service) -> None:
    """An answer of 401 asks for its key once, not again for its headers."""
    counted = Counted(turned.database)
    account = await make_account()
    unknown = keys.make_key().raw
    async with client_at(replace(turned, database=counted), account) as client:
        problem(await client.get(PLAN, headers={"Authorization": f"Bearer {unknown}"}), 401, "invalid_key")
    assert counted.asked == 1


def test_many_keys_of_one_account_are_forgotten_in_time() -> None:
    """After ten thousand keys, what is held of them goes, and the next one is served."""
    account = limiter._Account()  # pyright: ignore[reportPrivateUsage]
    for number in range(limiter._MOST + 5):  # pyright: ignore[reportPrivateUsage]
        assert account.line(f"key {number}") is account.line(f"key {number}")
    assert len(account.lines) < 10
