"""Extraction in the background: what waits is done once, as the key that sent it, whatever is killed meanwhile."""

import asyncio
import contextlib
import datetime as dt
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aurra import jobs
from aurra.context import Service
from aurra.jobs.extraction import extract
from aurra.settings import read_settings
from aurra.store import jobs as queue
from aurra.store.accounts import open_directory
from aurra.store.jobs import Job
from tests.conftest import Account, HandClock, MakeAccount, service_on
from tests.faces.test_conversations import CONVERSATIONS, HARBOUR, HELLO, OSLO, conversation, keep, messages
from tests.faces.test_models import answering, fact
from tests.faces.wire import SETTINGS, account_on_plan, at, list_of, ok, problem
from tests.plain import connected, execute, own_database
from tests.providers.scripted_provider import Exchange, ScriptedProvider, answers, status
from tests.running import running

LEASE = dt.timedelta(minutes=5)


@pytest.fixture(scope="module")
async def dsn(dsn: str) -> AsyncIterator[str]:
    """A database of its own: a service that other tests leave running would do these jobs."""
    async with own_database(dsn) as own:
        yield own


@pytest.fixture(scope="module")
async def service(dsn: str, clock: HandClock) -> AsyncIterator[Service]:
    """The service on it."""
    async with service_on(dsn, clock) as running:
        yield running


async def later(account: Account, *turns: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Turns whose extraction waits."""
    return await keep(account, *turns, extraction="later", **fields)


async def work(service: Service, account: Account) -> int:
    """Runs the account's jobs that are due."""
    return await jobs.run_due(service, account.row.id)


async def claimed(service: Service, account: Account) -> Job:
    """The account's job, leased as a worker has it."""
    job = await queue.claim(service.database, LEASE, account.row.id)
    assert job is not None
    return job


async def release(dsn: str, account: Account) -> None:
    """The leases of the account's jobs have run out, and every pause is over."""
    past = "leased_until = leased_until - interval '1 hour', run_at = '-infinity'"
    await execute(dsn, f"UPDATE job SET {past} WHERE account = '{account.row.id}'")


async def waiting(dsn: str, account: Account) -> list[tuple[str, str]]:
    """Arguments and failure of the account's jobs."""
    async with connected(dsn) as connection:
        rows = await connection.fetch("SELECT arguments, failure FROM job WHERE account = $1", account.row.id)
    return [(row["arguments"], row["failure"]) for row in rows]


def with_model(service: Service, provider: ScriptedProvider) -> Service:
    """The service with a model of the server's own."""
    environment = {"AURRA_LLM_PROVIDER": "openai", "AURRA_LLM_MODEL": "m-1", "AURRA_LLM_API_KEY": "k"}
    settings = read_settings({**environment, "AURRA_LLM_BASE_URL": provider.base_url})
    return msgspec.structs.replace(service, settings=settings)


async def require_done_once(account: Account) -> None:
    """Fails unless Oslo and the harbour are believed, each once, from their turns."""
    made = [turn["memories"] for turn in await messages(account)]
    assert [len(one) for one in made] == [1, 0, 1]
    assert len(await list_of(account, include_superseded="true")) == 2
    assert (await account.get("/plan/status"))["writes_used"] == 2
    assert (await account.get("/agent/transactions"))["transaction"]["id"] == 2
    assert (await conversation(account))["pending"] is False
    assert (await account.get("/agent/transactions/verify"))["ok"]


async def test_turns_are_kept_at_once_and_facts_made_later(service: Service, account: Account, dsn: str) -> None:
    """Pending until the job ran; then the facts that `now` makes, each citing its turn, by the key that sent them."""
    answer = await later(account, OSLO, HELLO, HARBOUR, channel="call")
    assert (answer["turns_saved"], answer["memory_ids"]) == (3, [])
    assert (answer["extraction"]["state"], answer["extraction"]["mode"]) == ("pending", "extractive")
    found = await conversation(account)
    assert (found["pending"], found["turns"], found["memories"]) == (True, 3, 0)
    assert (await account.get("/plan/status"))["writes_used"] == 0
    [(arguments, _)] = await waiting(dsn, account)
    assert set(msgspec.json.decode(arguments)) == {"dialog", "key"}
    assert await work(service, account) == 1
    await require_done_once(account)
    now = await account.post(CONVERSATIONS, session_id="now", turns=[OSLO, HELLO, HARBOUR], tenant_id="other")
    expected = {one["decision"]: one for one in await list_of(account, tenant_id="other")}
    assert now["saved_count"] == 2
    for memory in await list_of(account):
        twin = expected[memory["decision"]]
        for name in ("source", "original_message", "people", "topic", "importance_score"):
            assert memory[name] == twin[name]
        assert memory["session_id"] == memory["channel"] == "s"
        citation, other = memory["source_citation"], twin["source_citation"]
        assert (citation["message_id"], citation["span"]) == (other["message_id"], other["span"])
        assert citation["original_message"] == other["original_message"]
    kept, made = [await account.get(f"/agent/transactions/{number}") for number in (1, 2)]
    assert (kept["verb"], made["verb"]) == ("keep", "assert")
    assert kept["actor"] == made["actor"]


async def test_nothing_waits_where_nothing_is_new(service: Service, account: Account, dsn: str) -> None:
    """Known turns, dry runs and refused requests leave no job; what is new waits, and only that is extracted."""
    await keep(account, OSLO)
    await later(account, OSLO)
    await later(account, HARBOUR, dry_run=True)
    body = {"session_id": "s", "turns": [HARBOUR, {"role": " ", "content": ""}], "extraction": "later"}
    problem(await account.client.post(CONVERSATIONS, json=body), 400)
    assert await waiting(dsn, account) == []
    await later(account, OSLO, HARBOUR)
    await work(service, account)
    assert [len(turn["memories"]) for turn in await messages(account)] == [0, 1]


async def test_a_fact_holds_since_it_was_told(service: Service, account: Account, hand_clock: HandClock) -> None:
    """A turn without an instant counts from when it was kept, not from when the job ran."""
    hand_clock.at = at("2040-01-01T00:00:00")
    await later(account, HARBOUR)
    hand_clock.at = at("2040-02-01T00:00:00")
    await work(service, account)
    [memory] = await list_of(account)
    assert (memory["valid_from"][:10], memory["created_at"][:10]) == ("2040-01-01", "2040-02-01")


async def test_killed_before_it_began(service: Service, account: Account, dsn: str) -> None:
    """A claim that nobody honours: when its lease has run out another worker does the job."""
    await later(account, OSLO, HELLO, HARBOUR)
    await claimed(service, account)
    assert await work(service, account) == 0
    assert (await conversation(account))["pending"] is True
    await release(dsn, account)
    assert await work(service, account) == 1
    await require_done_once(account)


async def test_killed_while_it_asks_a_model(service: Service, account: Account, dsn: str, tmp_path: Path) -> None:
    """A whole process killed in the middle of its job: nothing is stored of it, and the next one does all of it."""
    asked = asyncio.Event()

    async def hang(exchange: Exchange) -> None:
        asked.set()
        await exchange.hang()

    await later(account, OSLO, HELLO, HARBOUR)
    async with ScriptedProvider() as provider:
        provider.always(hang)
        model = {"aurra_llm_provider": "openai", "aurra_llm_model": "m", "aurra_llm_api_key": "k"}
        settings = {"database_url": dsn, "aurra_embedder": "none", "aurra_llm_base_url": provider.base_url, **model}
        with contextlib.ExitStack() as stack:
            process = running(tmp_path / "log", **settings)
            killed = await asyncio.to_thread(stack.enter_context, process)
            async with asyncio.timeout(30):
                await asked.wait()
            killed.kill()
    assert (await conversation(account))["pending"] is True
    assert await work(service, account) == 0
    await release(dsn, account)
    assert await work(service, account) == 1
    await require_done_once(account)


def wordy() -> ScriptedProvider:
    """A model that says the same differently each time, so that no duplicate gives a second run away."""
    count = itertools.count(1)

    def answer(_: dict[str, Any]) -> dict[str, Any]:
        said = f"Kim moved to Oslo, in words number {next(count)}"
        return {"facts": [fact(fact=said, quote="I moved to Oslo", subject=None, attribute=None)]}

    return ScriptedProvider(answer)


async def require_one_fact(account: Account, dsn: str) -> None:
    """Fails unless one run of the job has stored its fact, and the job is gone."""
    assert len(await list_of(account, include_superseded="true")) == 1
    assert (await account.get("/plan/status"))["writes_used"] == 1
    assert (await account.get("/agent/transactions"))["transaction"]["id"] == 2
    assert await waiting(dsn, account) == []


async def test_killed_after_it_committed(service: Service, account: Account, dsn: str) -> None:
    """The job goes with the transaction that stores its facts: a worker that had claimed it finds nothing to do."""
    await later(account, OSLO)
    job = await claimed(service, account)
    async with wordy() as provider:
        modelled = with_model(service, provider)
        await extract(modelled, job)
        # Killed here, the worker would not have told the queue.
        await require_one_fact(account, dsn)
        await extract(modelled, job)
        assert len(provider.requests) == 2
    await require_one_fact(account, dsn)


async def test_two_workers_with_the_same_job(service: Service, account: Account, dsn: str) -> None:
    """A lease that ran out while its worker was slow: all finish, one of them stores."""
    await later(account, OSLO)
    job = await claimed(service, account)
    async with wordy() as provider:
        await asyncio.gather(*(extract(with_model(service, provider), job) for _ in range(4)))
        assert len(provider.requests) == 4
    await require_one_fact(account, dsn)


async def test_a_model_that_is_down_is_asked_again(service: Service, account: Account, dsn: str) -> None:
    """The job waits with its failure, which says nothing of what was said; then facts, checked as ever, are stored."""
    facts = [fact(quote="I moved to Oslo"), fact(fact="Kim owns a boat", quote="I bought a boat")]
    async with ScriptedProvider(answering(facts={"facts": facts})) as provider:
        provider.always(status(401))
        modelled = with_model(service, provider)
        await later(account, OSLO, HELLO)
        assert await work(modelled, account) == 1
        assert [failure for _, failure in await waiting(dsn, account)] == ["llm_provider_refused"]
        assert (await list_of(account), (await conversation(account))["pending"]) == ([], True)
        provider.always(answers())
        await release(dsn, account)
        assert await work(modelled, account) == 1
    [memory] = await list_of(account)
    assert (memory["decision"], memory["subject"], memory["attribute"]) == ("Kim lives in Oslo", "kim", "city")
    assert (await messages(account))[0]["memories"][0]["id"] == memory["id"]
    assert (await account.get("/agent/transactions/2"))["model"] == "m-1"


async def test_erased_turns_are_passed_over(service: Service, account: Account, dsn: str) -> None:
    """What was erased while it waited is not extracted; nothing is left to do where all is gone."""
    await later(account, OSLO, HARBOUR)
    await later(account, OSLO, session="t")
    made = await account.post("/agent/memories", messages=[OSLO], session_id="u")
    await account.post("/agent/erase", session_id="t")
    await work(service, account)
    assert await waiting(dsn, account) == []
    assert [one["session_id"] for one in await list_of(account)] == ["s", "u"]
    assert len(made["memory_ids"]) == 1


async def test_a_turn_erased_in_the_middle_of_the_job(service: Service, account: Account) -> None:
    """Extracted already, but erased before its facts are stored: they are not stored."""
    erased = asyncio.Event()

    async def behave(exchange: Exchange) -> None:
        await account.post("/agent/erase", session_id="s")
        erased.set()
        await answers()(exchange)

    await later(account, OSLO)
    async with ScriptedProvider(answering(facts={"facts": [fact(quote="I moved to Oslo")]})) as provider:
        provider.always(behave)
        assert await work(with_model(service, provider), account) == 1
    assert erased.is_set()
    assert await list_of(account, include_superseded="true") == []
    assert (await account.get("/agent/transactions"))["transactions"][0]["verb"] == "erase"


async def test_a_revoked_key_does_not_lose_what_it_sent(
    service: Service, account: Account, make_account: MakeAccount, dsn: str
) -> None:
    """Revoking stops new requests; what was accepted is done, as that key: its tenant, its trust."""
    pinned = await make_account(of=account.row, tenant_id="acme", trust=1)
    await later(pinned, OSLO)
    async with open_directory(dsn) as directory:
        [entry] = (await pinned.get("/agent/transactions"))["transactions"]
        await directory.revoke_key(entry["actor"].removeprefix("key "))
    await work(service, account)
    [memory] = await list_of(account, tenant_id="acme")
    assert memory["tenant_id"] == "acme"
    assert (await account.get("/agent/transactions/2"))["actor"] == entry["actor"]
    async with connected(dsn) as connection:
        trust = await connection.fetchval("SELECT trust FROM memory WHERE company_id = $1", account.row.id)
    assert trust == 1


async def test_a_blocked_plan_makes_it_wait(service: Service, make_account: MakeAccount, dsn: str) -> None:
    """The turns are kept; the facts are made when the plan lets them in."""
    account = await account_on_plan(make_account, dsn, 10)
    for number in range(11):
        await account.add(f"memory {number}")
    await later(account, OSLO)
    assert await work(service, account) == 1
    assert [failure for _, failure in await waiting(dsn, account)] == ["plan_limit_exceeded"]
    assert (await conversation(account))["pending"] is True
    async with open_directory(dsn) as directory:
        await directory.change_plan(account.row.name, "enterprise")
    await release(dsn, account)
    await work(service, account)
    assert (await conversation(account))["memories"] == 1
    assert await waiting(dsn, account) == []


async def test_a_fact_known_meanwhile_is_no_second_one(service: Service, account: Account) -> None:
    """Duplicates are recognised by what is believed when the job runs."""
    await later(account, {**OSLO, "id": "other"}, session="s")
    await account.post("/agent/memories", messages=[OSLO], session_id="t")
    await work(service, account)
    assert len(await list_of(account, include_superseded="true")) == 1
    assert (await conversation(account))["pending"] is False


async def test_what_it_would_supersede_has_a_successor(service: Service, account: Account, dsn: str) -> None:
    """A memory that another is to replace one day has its successor already: the facts are stored beside it."""
    home = await account.add("Kim lives in Oslo")
    other = await account.add("Kim lives in a house by the sea")
    ended = {"superseded_by": other, "valid_to": "2999-01-01T00:00:00Z"}
    await account.post(f"/memories/{home}/supersede", **ended)
    ok(await account.client.patch(SETTINGS, json={"auto_supersede_default": True}))
    await later(account, {"role": "user", "name": "Ann", "content": "Kim lives in Rome."})
    await work(service, account)
    assert await waiting(dsn, account) == []
    assert "Ann: Kim lives in Rome." in await account.decisions()


async def test_a_worker_outlives_what_the_database_refuses(service: Service, account: Account, dsn: str) -> None:
    """A refusal that nobody foresaw: the queue out of reach for a while."""
    await later(account, OSLO)
    await execute(dsn, "ALTER TABLE job RENAME TO hidden")
    worker = asyncio.create_task(jobs.work(service))
    try:
        await asyncio.wait((worker,), timeout=0.5)
        assert not worker.done()
    finally:
        await execute(dsn, "ALTER TABLE hidden RENAME TO job")
    async with asyncio.timeout(30):
        while await waiting(dsn, account):
            await asyncio.sleep(0.1)
    worker.cancel()
    await asyncio.wait((worker,))
    assert (await conversation(account))["memories"] == 1
