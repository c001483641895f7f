"""Both clients against the real service."""

import datetime as dt
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest
from aurra_sdk import (
    AsyncAurra,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    LLMProviderError,
    NotFoundError,
    PermissionDeniedError,
    UnprocessableError,
    types,
)

from tests.conftest import Account, MakeAccount
from tests.providers.scripted_provider import ScriptedProvider, status
from tests.sdk.conftest import Either

MakeEither = Callable[..., Awaitable[Either]]


async def _decisions(either: Either, **query: Any) -> list[str]:
    return [memory.decision for memory in await either("memories.list", **query)]


async def test_what_is_stored_is_answered_with_its_citation(either: Either) -> None:
    """add, query: typed answers, the memory cited."""
    written = await either("memories.add", content="Kim lives in Oslo", subject="kim", attribute="city")
    assert isinstance(written, types.MemoryWritten)
    assert written.status == "saved"
    answer = await either("memories.query", "Where does Kim live?", limit=5)
    assert "Oslo" in answer.answer
    assert [citation.memory_id for citation in answer.citations] == [written.memory_id]
    assert answer.memories[0].source_citation.type == "agent"


async def test_a_chain_is_superseded_and_shown_whole(either: Either) -> None:
    """supersede by position, timeline, get_audit, get, retract."""
    old = (await either("memories.add", content="The office is in Rome")).memory_id
    new = (await either("memories.add", content="The office is in Turin")).memory_id
    superseded = await either("memories.supersede", old, superseded_by=new)
    assert (superseded.memory_id, superseded.superseded_by) == (old, new)
    assert [memory.id for memory in (await either("memories.timeline", new)).timeline] == [old, new]
    assert (await either("memories.get_audit", old)).history[0].event == "created"
    assert (await either("memories.get", uuid.UUID(old))).memory.temporal.is_superseded
    assert (await either("memories.retract", new, reason="wrong")).status == "retracted"
    with pytest.raises(ConflictError) as caught:
        await either("memories.supersede", old, superseded_by=new)
    assert caught.value.code in ("already_superseded", "not_believed")


async def test_iterate_follows_the_cursor_to_the_end(either: Either) -> None:
    """iterate yields every memory once, whatever the size of a page; list is one page."""
    contents = [f"fact number {number}" for number in range(5)]
    written = await either("memories.bulk", [{"content": content} for content in contents])
    assert written.saved_count == 5
    assert sorted(memory.decision for memory in await either("memories.iterate", limit=2)) == contents
    page = await either("memories.list", limit=2)
    assert (len(page), page.has_more, len(page.memories)) == (2, True, 2)
    rest = await either("memories.iterate", limit=2, cursor=page.next_cursor)
    assert len(rest) == 3


async def test_every_verb_is_a_method(either: Either) -> None:
    """correct (absent keeps the end, None opens it), restore, verify, erase, erase_matching."""
    kim = {"subject": "kim", "attribute": "city"}
    oslo = (
        await either("memories.add", content="Olso", valid_from="2026-01-01", valid_to="2026-02-01", **kim)
    ).memory_id
    assert (await either("memories.correct", oslo, "spelling", content="Oslo")).status == "corrected"
    assert (await either("memories.get", oslo)).memory.valid_to == "2026-02-01T00:00:00.000000+00:00"
    assert (await either("memories.correct", oslo, "still there", valid_to=None, dry_run=True)).dry_run
    await either("memories.correct", oslo, "still there", valid_to=None)
    assert (await either("memories.get", oslo)).memory.valid_to is None
    restored = await either("transactions.restore", 3, reason="no")
    assert (restored.restored, restored.transaction.id) == (3, 4)
    with pytest.raises(ConflictError) as caught:
        await either("transactions.restore", 1)
    assert caught.value.code == "in_the_way"
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["in_the_way"] == [2, 3, 4]
    erased = await either("memories.erase", oslo, reason="asked to")
    assert (erased.count, erased.certificate.versions) == (1, 4)
    assert (await either("memories.erase_matching", subject="kim")).status == "nothing"
    verified = await either("transactions.verify")
    assert (verified.ok, verified.checked) == (True, 5)


async def test_history_is_read_by_both_clients(either: Either) -> None:
    """versions, diff with its `from`, transactions after a number, subjects, a profile; a name may hold a slash."""
    kim = {"subject": "acme/kim", "attribute": "city"}
    oslo = (await either("memories.add", content="Oslo", valid_from="2020-01-01", **kim)).memory_id
    await either("memories.add", content="Rome", valid_from="2022-01-01", reason="moved", **kim)
    assert [version.opened_by for version in (await either("memories.versions", oslo)).versions] == [1, 2]
    difference = await either("transactions.diff", 1)
    assert (difference.from_.id, difference.to.id) == (1, 2)
    [change] = difference.changes
    assert (change.kind, change.before.decision, change.after.decision) == ("superseded", "Oslo", "Rome")
    assert [one.id for one in await either("transactions.iterate", since=0, limit=1)] == [1, 2]
    assert (await either("transactions.get", 2)).reason == "moved"
    assert [one.subject for one in await either("subjects.iterate")] == ["acme/kim"]
    [city] = (await either("subjects.get", "Acme/Kim", as_of=dt.date(2021, 1, 1))).attributes
    assert [memory.decision for memory in city.current] == ["Oslo"]


async def test_messages_may_be_structs_or_dicts(either: Either) -> None:
    """Both kinds of turn are sent, in verbatim mode one memory each."""
    written = await either(
        "memories.add",
        messages=[
            types.Message(role="user", content="I moved to Lisbon.", at=dt.datetime(2026, 5, 1, tzinfo=dt.UTC)),
            {"role": "assistant", "content": "Noted."},
        ],
        extraction="verbatim",
        session_id="s1",
    )
    assert written.saved_count == 2
    found = await either("memories.search", "Lisbon", session_id="s1")
    assert found.memories[0].valid_from == "2026-05-01T00:00:00.000000+00:00"
    assert found.memories[0].score > 0


async def test_instants_may_be_datetimes_dates_or_text(either: Either) -> None:
    """In a body and in a query string; a naive datetime is refused by the service."""
    await either("memories.add", content="Ada leads", valid_from=dt.date(2026, 1, 1), valid_to="2026-02-01T00:00:00Z")
    middle = dt.datetime(2026, 1, 15, 12, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    assert await _decisions(either, as_of=middle) == ["Ada leads"]
    assert await _decisions(either, as_of=dt.date(2026, 2, 1)) == []
    assert await _decisions(either, include_superseded=True) == ["Ada leads"]
    assert await _decisions(either, transaction_as_of=0, include_superseded=True) == []
    with pytest.raises(UnprocessableError) as caught:
        await either("memories.add", content="x", valid_from=dt.datetime(2026, 1, 1))  # noqa: DTZ001 - naive on purpose
    assert caught.value.param == "valid_from"


async def test_settings_change_only_where_something_is_given(either: Either) -> None:
    """settings.get and update; what is absent stays."""
    before = await either("settings.get")
    assert before.min_confidence == 0.85
    after = await either("settings.update", min_confidence=0.9)
    assert (after.min_confidence, after.excluded_categories) == (0.9, before.excluded_categories)
    assert (await either("settings.get"))["min_confidence"] == 0.9
    with pytest.raises(BadRequestError) as caught:
        await either("settings.update", min_confidence=0.1)
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["error"] == "validation failed"


async def test_the_plan_says_what_was_used(either: Either) -> None:
    """plan.status after one write."""
    await either("memories.add", content="one thing")
    assert (await either("plan.status")).writes_used == 1


async def test_the_clients_tenant_is_that_of_every_call_that_names_none(
    make_either: MakeEither, account: Account
) -> None:
    """Also inside bulk; None names the default tenant."""
    acme = await make_either(account, tenant_id="acme")
    await acme("memories.add", content="of acme")
    await acme("memories.bulk", [types.MemoryWrite(content="bulk of acme"), {"content": "of none", "tenant_id": None}])
    await acme("memories.add", content="of globex", tenant_id="globex")
    assert await _decisions(acme) == ["bulk of acme", "of acme"]
    assert await _decisions(acme, tenant_id=None) == ["of none"]
    assert await _decisions(acme.with_options(tenant_id="globex")) == ["of globex"]
    assert await _decisions(acme.with_options(tenant_id=None)) == ["of none"]
    assert await _decisions(acme.with_options(max_retries=0)) == ["bulk of acme", "of acme"]


async def test_an_idempotency_key_of_the_callers_own_is_replayed(either: Either) -> None:
    """Two calls with one key store once, and the second says so; without a key, two calls are two requests."""
    key = str(uuid.uuid4())
    add = "memories.with_raw_response.add"
    first = await either(add, content="Bo likes tea", subject="bo", attribute="drink", idempotency_key=key)
    second = await either(add, content="Bo likes tea", subject="bo", attribute="drink", idempotency_key=key)
    third = await either(add, content="Bo likes tea", subject="bo", attribute="drink")
    assert first.parsed.memory_id == second.parsed.memory_id
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert third.parsed.status == "duplicate"
    with pytest.raises(UnprocessableError) as caught:
        await either("memories.add", content="something else", idempotency_key=key)
    assert caught.value.code == "idempotency_mismatch"


async def test_keys_are_made_rotated_and_revoked(either: Either) -> None:
    """A repeated call makes no second secret, and is told which key it made."""
    key = str(uuid.uuid4())
    made = await either("keys.create", ["query"], name="agent", idempotency_key=key)
    assert made.key.startswith(f"aurra_live_{made.api_key.id}")
    with pytest.raises(ConflictError) as caught:
        await either("keys.create", ["query"], name="agent", idempotency_key=key)
    assert caught.value.code == "secret_shown_once"
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["id"] == made.api_key.id
    changed = await either("keys.update", made.api_key.id, up_to=0, expires_at=dt.date(2099, 1, 1))
    assert changed.api_key.expires_at == "2099-01-01T00:00:00.000000+00:00"
    rotated = await either("keys.rotate", made.api_key.id, overlap_hours=1)
    assert rotated.key != made.key and rotated.api_key.previous_until
    assert (await either("keys.revoke", made.api_key.id)).api_key.state == "revoked"
    listed = await either("keys.iterate", limit=1)
    assert [one.name for one in listed] == ["agent", ""]


async def test_a_raw_response_has_the_answer_its_status_and_its_headers(either: Either) -> None:
    """with_raw_response of a read."""
    raw = await either("plan.with_raw_response.status")
    assert isinstance(raw.parsed, types.PlanStatus)
    assert (raw.status_code, raw.headers["content-type"]) == (200, "application/json")
    assert raw.request_id


async def test_answers_have_the_habits_of_dicts(either: Either) -> None:
    """What code for the published client does with its answers works."""
    result = await either("memories.add", content="Cy prefers tea", metadata={"a": [1]})
    assert result["memory_id"] == result.memory_id == result.get("memory_id")
    assert "memory_id" in result
    assert "nothing" not in result
    assert result.get("nothing", 5) == 5
    with pytest.raises(KeyError):
        result["nothing"]
    memories = await either("memories.list", limit=5)
    for memory in memories:
        assert memory["source_citation"]["type"] == "agent"
    assert memories[0]["decision"] == memories["memories"][0]["decision"] == "Cy prefers tea"
    assert memories[0] in memories
    assert memories.to_dict()["memories"][0]["metadata"] == {"a": [1]}


async def test_what_the_service_refuses_is_raised_by_kind(either: Either, make_either: MakeEither) -> None:
    """404, 400, 422, with what the service said of it."""
    nobody = str(uuid.uuid4())
    with pytest.raises(NotFoundError) as missing:
        await either("memories.get", nobody)
    error = missing.value
    assert (error.status_code, error.code) == (404, "not_found")
    assert error.request_id
    assert error.request_id in str(error)
    assert error.hint in error.__notes__
    with pytest.raises(BadRequestError):
        await either("memories.add")
    with pytest.raises(BadRequestError):
        await either("memories.supersede", nobody)
    with pytest.raises(UnprocessableError) as wrong:
        await either("memories.add", content=7)
    assert wrong.value.param == "content"


async def test_a_key_that_does_not_count_and_a_key_that_may_not(
    make_either: MakeEither, make_account: MakeAccount
) -> None:
    """401 and 403."""
    reader = await make_account(scopes="read_only")
    with pytest.raises(PermissionDeniedError) as caught:
        await (await make_either(reader))("memories.add", content="x")
    assert "memories:write" in str(caught.value.detail)
    reader.key = reader.key[:-1] + "~"
    with pytest.raises(AuthenticationError):
        await (await make_either(reader))("plan.status")


async def test_a_provider_that_refuses_is_an_error_of_the_provider(either: Either) -> None:
    """The service's own account of a failed model arrives as LLMProviderError with the provider's name."""
    await either("memories.add", content="Kim lives in Oslo")
    async with ScriptedProvider() as provider:
        provider.always(status(401))
        llm = types.LlmChoice(provider="openai", model="m", api_key="sk-canary", base_url=provider.base_url)
        with pytest.raises(LLMProviderError) as caught:
            await either("memories.query", "Where does Kim live?", llm=llm)
    assert caught.value.provider == "openai"
    assert "sk-canary" not in f"{caught.value} {caught.value.body} {llm!r}"


async def test_async_calls_run_side_by_side_and_break_off_cleanly(make_account: MakeAccount, app: Any) -> None:
    """Typed use of the async client; leaving a loop over iterate early fetches no more."""
    account = await make_account()
    transport = httpx2.AsyncClient(transport=httpx2.ASGITransport(app))
    async with transport, AsyncAurra(account.key, base_url="http://aurra", http_client=transport) as client:
        written = await client.memories.bulk([types.MemoryWrite(content=f"fact {number}") for number in range(3)])
        assert [item.status for item in written.items] == ["saved"] * 3
        seen: list[types.Memory] = []
        async for memory in client.memories.iterate(limit=1):
            seen.append(memory)
            break
        assert len(seen) == 1
