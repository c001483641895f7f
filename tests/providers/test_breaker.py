"""Breaker and bulkhead: by a hand-cranked clock, and through the service with a provider on a real socket."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2
import pytest

from aurra import sealing
from aurra.app import open_service
from aurra.context import Service
from aurra.providers import breaker as breakers
from aurra.providers.breaker import FAILURES, OPEN_SECONDS, Breaker, LeftAlone
from aurra.providers.bulkhead import MOST, Bulkhead, Full
from aurra.settings import read_settings
from tests.conftest import MakeAccount, client_at
from tests.providers.scripted_provider import (
    KEY,
    Exchange,
    ScriptedProvider,
    answers,
    hangs,
    refuses,
    says,
    status,
)

BUDGET = 2.0


class HandMonotonic:
    """Seconds that only a test moves."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def now() -> HandMonotonic:
    return HandMonotonic()


@pytest.fixture
def breaker(now: HandMonotonic) -> Breaker:
    return Breaker(now)


def fail(breaker: Breaker, line: str, times: int = 1, wait: float = 0) -> None:
    for _ in range(times):
        with breaker.turn(line) as turn:
            turn.failed(wait)


def succeed(breaker: Breaker, line: str) -> None:
    with breaker.turn(line) as turn:
        turn.answered()


def left_alone(breaker: Breaker, line: str) -> float:
    """Seconds that a caller is told to wait; fails where it may go."""
    with pytest.raises(LeftAlone) as raised:
        breaker.turn(line)
    return raised.value.seconds


# The breaker itself


def test_a_line_opens_after_failures_in_a_row(breaker: Breaker, now: HandMonotonic) -> None:
    """Until then calls go; afterwards none does, and each is told how long."""
    fail(breaker, "a", FAILURES)
    assert left_alone(breaker, "a") == OPEN_SECONDS
    now.at += OPEN_SECONDS - 4
    assert left_alone(breaker, "a") == 4


def test_an_answer_in_between_begins_the_count_anew(breaker: Breaker) -> None:
    """In a row means in a row; what answered is not remembered."""
    for _ in range(3):
        fail(breaker, "a", FAILURES - 1)
        succeed(breaker, "a")
    assert len(breaker) == 0


def test_one_line_opens_no_other(breaker: Breaker) -> None:
    """Whose key, and where: nobody's failures are anybody else's."""
    fail(breaker, "a", FAILURES)
    with breaker.turn("b"):
        pass
    assert left_alone(breaker, "a")


def test_half_open_lets_one_through(breaker: Breaker, now: HandMonotonic) -> None:
    """After its time one call tries, the others still fail at once; when it fails the line is open again as long."""
    fail(breaker, "a", FAILURES)
    now.at += OPEN_SECONDS
    with breaker.turn("a") as trial:
        assert left_alone(breaker, "a") >= 1
        trial.failed(0)
    assert left_alone(breaker, "a") == OPEN_SECONDS
    now.at += OPEN_SECONDS
    succeed(breaker, "a")
    with breaker.turn("a"), breaker.turn("a"):
        pass


def test_a_trial_that_is_given_up_is_taken_by_the_next(breaker: Breaker, now: HandMonotonic) -> None:
    """A client that hangs up in the middle of the trial closes nothing, and locks nobody out."""
    fail(breaker, "a", FAILURES)
    now.at += OPEN_SECONDS
    with pytest.raises(asyncio.CancelledError), breaker.turn("a"):
        raise asyncio.CancelledError
    with breaker.turn("a"):
        assert left_alone(breaker, "a")


def test_calls_from_before_it_opened_change_nothing_by_failing(breaker: Breaker, now: HandMonotonic) -> None:
    """Eight in flight fail one after the other: the time runs from the one that opened, and the trial stays one."""
    with breaker.turn("a") as late, breaker.turn("a") as later:
        fail(breaker, "a", FAILURES)
        now.at += OPEN_SECONDS - 4
        late.failed(0)
        assert left_alone(breaker, "a") == 4
        now.at += 4
        with breaker.turn("a"):
            later.failed(0)
            assert left_alone(breaker, "a") < OPEN_SECONDS
    with breaker.turn("a"):
        pass


def test_a_wait_that_the_provider_asks_for_is_kept_within_bounds(breaker: Breaker) -> None:
    """Longer than ours where it asks for more, and never for ever."""
    fail(breaker, "a", FAILURES, wait=40)
    assert left_alone(breaker, "a") == 40
    fail(breaker, "b", FAILURES, wait=3600)
    assert left_alone(breaker, "b") == breakers.LONGEST_SECONDS


def test_the_memory_of_lines_is_bounded(breaker: Breaker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller with ever new addresses pushes out the oldest lines, not the process."""
    monkeypatch.setattr(breakers, "LINES", 3)
    for line in "abcd":
        fail(breaker, line)
    assert len(breaker) == 3


# The bulkhead itself


async def test_no_more_than_the_places_of_an_account() -> None:
    """The ninth is refused when none is given back in time; another account has its own; nothing is left behind."""
    bulkhead, over, inside = Bulkhead(), asyncio.Event(), asyncio.Semaphore(0)

    async def hold(account: str) -> None:
        async with bulkhead.place(account, 5):
            inside.release()
            await over.wait()

    held = [asyncio.create_task(hold("a")) for _ in range(MOST)]
    for _ in held:
        await inside.acquire()
    with pytest.raises(Full):
        async with bulkhead.place("a", 0.01):
            pass
    async with bulkhead.place("b", 0):
        assert len(bulkhead) == 2
    waiting = asyncio.create_task(hold("a"))
    over.set()
    await asyncio.gather(*held, waiting)
    assert len(bulkhead) == 0


async def test_whoever_waits_and_is_cancelled_takes_no_place() -> None:
    """A client that hangs up while it waits leaves nothing behind."""
    bulkhead = Bulkhead(most=1)
    async with bulkhead.place("a", 1):
        waiting = asyncio.create_task(_enter(bulkhead))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
    async with bulkhead.place("a", 0):
        pass
    assert len(bulkhead) == 0


async def _enter(bulkhead: Bulkhead) -> None:
    async with bulkhead.place("a", 5):
        raise AssertionError("there was no place")


# Through the service


@pytest.fixture(scope="module")
async def short(dsn: str, service: Service) -> AsyncIterator[Service]:
    """A service with a small budget for models."""
    assert service
    settings = read_settings(
        {
            "AURRA_EMBEDDER": "none",
            "AURRA_LLM_ALLOWED_NETWORKS": "127.0.0.0/8",
            "AURRA_LLM_BUDGET_SECONDS": str(BUDGET),
            "AURRA_SECRET_KEYS": sealing.new_key(),
        }
    )
    async with open_service(settings, dsn) as running:
        yield running


class Asking:
    """An account with one memory, whose questions go to a scripted provider."""

    def __init__(self, client: httpx2.AsyncClient, others: Callable[[], Awaitable["Asking"]]) -> None:
        self.client = client
        self.another = others
        """Another account of the same service."""

    async def ask(self, provider: ScriptedProvider, key: str = KEY) -> httpx2.Response:
        llm = {"provider": "openai", "model": "m", "api_key": key, "base_url": provider.base_url}
        return await self.client.post("/agent/query", json={"question": "Where does Kim live?", "llm": llm})

    async def ask_with_stored(self) -> httpx2.Response:
        return await self.client.post("/agent/query", json={"question": "Where does Kim live?"})


@pytest.fixture
async def asking(short: Service, make_account: MakeAccount) -> AsyncIterator[Asking]:
    async with contextlib.AsyncExitStack() as stack:

        async def another() -> Asking:
            account = await make_account()
            await account.add("Kim lives in Oslo")
            return Asking(await stack.enter_async_context(client_at(short, account)), another)

        yield await another()


ANSWER = {"sentences": [{"text": "Kim lives in Oslo.", "citations": [1]}]}
LONG_WAIT = {"Retry-After": "20"}


def scripted() -> ScriptedProvider:
    return ScriptedProvider(lambda _: ANSWER)


async def test_a_provider_that_is_down_is_left_alone(asking: Asking) -> None:
    """After five failures in a row a question is 503 with Retry-After at once, and nothing is sent; another key and
    another account still are."""
    async with scripted() as provider:
        provider.always(status(503, LONG_WAIT))
        for _ in range(FAILURES):
            assert (await asking.ask(provider)).status_code == 503
        asked = len(provider.requests)
        refused = await asking.ask(provider)
        assert len(provider.requests) == asked
        assert refused.status_code == 503 and refused.json()["detail"]["error"] == "llm_provider_error"
        assert "left alone" in refused.json()["detail"]["message"] and 1 < int(refused.headers["Retry-After"]) <= 20
        provider.always(answers())
        assert (await asking.ask(provider, key="sk-another")).status_code == 200
        assert (await (await asking.another()).ask(provider)).status_code == 200


@pytest.mark.parametrize("code", [400, 401, 403, 404])
async def test_a_refused_key_opens_nothing(asking: Asking, code: int) -> None:
    """What is wrong with one caller's key or model is told each time, and stops nobody who has a good one."""
    async with scripted() as provider:
        provider.always(status(code))
        for _ in range(FAILURES + 1):
            assert (await asking.ask(provider)).status_code == 400
        provider.always(answers())
        assert (await asking.ask(provider)).status_code == 200


@pytest.mark.parametrize("behaviour", [says("no JSON"), refuses()], ids=["no_json", "refusal"])
async def test_a_bad_answer_is_no_outage(asking: Asking, behaviour: Any) -> None:
    """A text that no model gets right must not stop the other questions of the account."""
    async with scripted() as provider:
        provider.always(behaviour)
        for _ in range(FAILURES + 1):
            assert (await asking.ask(provider)).status_code == 503
        provider.always(answers())
        assert (await asking.ask(provider)).status_code == 200


async def test_a_requests_own_key_does_not_stop_the_stored_one(asking: Asking) -> None:
    """The same provider at the same address, with the key of the account: asked all the same."""
    async with scripted() as provider:
        stored = {"provider": "openai", "model": "m", "api_key": "sk-stored-key-0001", "base_url": provider.base_url}
        assert (await asking.client.patch("/agent/provider", json=stored)).status_code == 200
        provider.always(status(503, LONG_WAIT))
        for _ in range(FAILURES + 1):
            await asking.ask(provider)
        provider.always(answers())
        answer = (await asking.ask_with_stored()).json()
    assert answer["answer"] == "Kim lives in Oslo."
    assert provider.requests[-1].headers["authorization"] == "Bearer sk-stored-key-0001"


async def test_the_ninth_call_of_an_account_waits_and_is_told(asking: Asking, short: Service) -> None:
    """Eight hang; the ninth is 503 with Retry-After long before their budget ends; another account is not held up."""
    async with scripted() as provider:
        arrived = asyncio.Semaphore(0)

        async def hang(exchange: Exchange) -> None:
            arrived.release()
            await exchange.hang()

        provider.always(hang)
        hanging = [asyncio.create_task(asking.ask(provider, key=f"sk-{n}")) for n in range(MOST)]
        for _ in hanging:
            await arrived.acquire()
        ninth = await asking.ask(provider, key="sk-9")
        assert len(provider.requests) == MOST and not any(task.done() for task in hanging)
        assert ninth.status_code == 503 and ninth.headers["Retry-After"] == "1"
        assert f"{MOST} calls" in ninth.json()["detail"]["message"]
        provider.always(answers())
        assert (await (await asking.another()).ask(provider)).status_code == 200
        assert {response.status_code for response in await asyncio.gather(*hanging)} == {503}
    assert len(short.bulkhead) == 0


async def test_a_place_that_becomes_free_is_taken(asking: Asking) -> None:
    """Whoever waits is served when one of the eight ends in time; the wait is part of the budget."""
    async with scripted() as provider:
        arrived, over = asyncio.Semaphore(0), asyncio.Event()

        async def hold(exchange: Exchange) -> None:
            arrived.release()
            await over.wait()
            await answers()(exchange)

        provider.script(*[hold] * MOST)
        held = [asyncio.create_task(asking.ask(provider)) for _ in range(MOST)]
        for _ in held:
            await arrived.acquire()
        ninth = asyncio.create_task(asking.ask(provider))
        asyncio.get_running_loop().call_later(BUDGET * 0.02, over.set)
        assert {response.status_code for response in await asyncio.gather(*held, ninth)} == {200}


async def test_a_client_that_hangs_up_gives_its_place_back(asking: Asking, short: Service) -> None:
    """Cancelled in the middle of a call: no place is lost, and no failure is counted."""
    async with scripted() as provider:
        provider.always(hangs())
        for _ in range(FAILURES + 1):
            task = asyncio.create_task(asking.ask(provider))
            while not provider.requests:
                await asyncio.sleep(0)
            provider.requests.clear()
            task.cancel()
            await asyncio.wait([task])
        assert len(short.bulkhead) == 0
        provider.always(answers())
        assert (await asking.ask(provider)).status_code == 200
