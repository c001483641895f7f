"""What is tried again, how often, after how long, and under which key."""

import asyncio
import datetime as dt
import email.utils
import time

import msgspec
import pytest
from aurra_sdk import (
    APIConnectionError,
    APITimeoutError,
    AsyncAurra,
    AurraError,
    BadRequestError,
    ConflictError,
    RateLimitError,
    ServerError,
    types,
)
from aurra_sdk._operation import Operation
from aurra_sdk._options import Options
from aurra_sdk._retrying import seconds_before_retry
from aurra_sdk._sync.transport import Transport

from aurra.keys import BUNDLES
from aurra.ops import OPERATIONS
from aurra.ops import Operation as ServiceOperation
from tests.sdk.conftest import Either, MakeClient
from tests.sdk.scripted_server import PLAN, RETRACTED, Behaviour, ScriptedServer, answers, hangs, problem, resets

BUSY = problem(503, "unavailable")


async def test_a_write_is_repeated_under_the_same_key(scripted: Either, server: ScriptedServer) -> None:
    """503, a lost connection, 409 in flight: each attempt carries the same Idempotency-Key; the next call another."""
    in_flight = problem(409, "idempotency_in_flight", {"Retry-After": "0"})
    server.script(BUSY, resets(), in_flight, answers(RETRACTED), answers(RETRACTED))
    either = scripted.with_options(max_retries=3)
    assert (await either("memories.retract", "m1")).status == "retracted"
    await either("memories.retract", "m1")
    keys = [request.headers["idempotency-key"] for request in server.requests]
    assert len(set(keys[:4])) == 1
    assert keys[4] != keys[0]


@pytest.mark.parametrize("op", OPERATIONS.values(), ids=list(OPERATIONS))
async def test_every_write_is_repeated_under_one_key_of_its_own(
    scripted: Either, server: ScriptedServer, op: ServiceOperation
) -> None:
    """Generated from the registry: what changes something carries a key without being asked, the same one again after a
    lost connection, another one in another call; what takes no key is repeated only where it reads."""
    arguments = [[{"content": "x"}] if field.name == "memories" else "x" for field in required_fields(op)]
    refused = problem(400, "invalid_request")
    server.script(resets(), refused, refused)
    for _ in range(2):
        with pytest.raises((BadRequestError, APIConnectionError)):
            await scripted(op.name, *arguments)
    keys = [request.headers.get("idempotency-key") for request in server.requests]
    if op.is_idempotent:
        assert len(keys) == 3 and keys[0] == keys[1] != keys[2]
        assert all(key and len(key) >= 16 for key in keys)
    else:
        assert keys == [None] * (3 if op.method == "GET" or op.scope in BUNDLES["read_only"] else 2)


def required_fields(op: ServiceOperation) -> list[msgspec.structs.FieldInfo]:
    """Those without a default, the path's first."""
    required = [field for field in msgspec.structs.fields(op.request) if field.required]
    return sorted(required, key=lambda field: field.name not in op.path_parameters)


async def test_the_callers_own_key_is_sent(scripted: Either, server: ScriptedServer) -> None:
    """idempotency_key= takes the place of the one that is made."""
    server.script(BUSY, answers(RETRACTED))
    await scripted("memories.retract", "m1", idempotency_key="order-7")
    assert [request.headers["idempotency-key"] for request in server.requests] == ["order-7", "order-7"]


@pytest.mark.parametrize(
    "fault",
    [
        BUSY,
        problem(500, "internal"),
        problem(408, "slow"),
        problem(429, "rate_limited", {"Retry-After": "0"}),
        resets(),
    ],
    ids=["503", "500", "408", "429", "reset"],
)
async def test_a_read_is_repeated(scripted: Either, server: ScriptedServer, fault: Behaviour) -> None:
    """Reads have no key and need none."""
    server.script(fault, answers(PLAN))
    assert (await scripted("plan.status")).writes_used == 49
    assert "idempotency-key" not in server.requests[0].headers


@pytest.mark.parametrize("method", ["memories.search", "memories.query", "settings.update"])
async def test_a_post_that_reads_and_a_merge_of_settings_are_repeated(
    scripted: Either, server: ScriptedServer, method: str
) -> None:
    """They are sent again after a lost connection; here until the attempts run out."""
    arguments = ["what"] if method != "settings.update" else []
    with pytest.raises(APIConnectionError) as caught:
        await scripted(method, *arguments)
    assert caught.value.was_sent
    assert len(server.requests) == 3


async def test_after_the_last_attempt_the_last_error_is_raised(scripted: Either, server: ScriptedServer) -> None:
    """max_retries=2 is three attempts; max_retries=0 is one."""
    server.script(resets(), BUSY, problem(500, "internal", request_id="r-3"), BUSY)
    with pytest.raises(ServerError) as caught:
        await scripted("plan.status")
    assert (caught.value.status_code, caught.value.request_id) == (500, "r-3")
    with pytest.raises(ServerError):
        await scripted.with_options(max_retries=0)("plan.status")
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    ("fault", "kind"),
    [(problem(400, "invalid_request"), BadRequestError), (problem(409, "already_ended"), ConflictError)],
    ids=["400", "409"],
)
async def test_what_would_fail_again_is_not_repeated(
    scripted: Either, server: ScriptedServer, fault: Behaviour, kind: type[AurraError]
) -> None:
    """A refusal is raised at once."""
    server.script(fault)
    with pytest.raises(kind):
        await scripted("memories.retract", "m1")
    assert len(server.requests) == 1


async def test_no_answer_in_time_is_a_timeout(scripted: Either, server: ScriptedServer) -> None:
    """Also a built-in TimeoutError and ConnectionError; repeated like any lost connection."""
    server.script(hangs(), hangs())
    with pytest.raises(APITimeoutError) as caught:
        await scripted.with_options(timeout=0.05, max_retries=1)("plan.status")
    assert isinstance(caught.value, TimeoutError)
    assert isinstance(caught.value, ConnectionError)
    assert len(server.requests) == 2


async def test_nobody_there_is_a_connection_error(make_scripted: MakeClient, server: ScriptedServer) -> None:
    """The message names the place, not the key."""
    async with ScriptedServer() as gone:
        url = gone.url
    with pytest.raises(APIConnectionError) as caught:
        await make_scripted(base_url=url)("plan.status")
    assert not caught.value.was_sent
    assert url in str(caught.value)
    assert "aurra_" not in str(caught.value)


async def test_retry_after_is_waited_for(scripted: Either, server: ScriptedServer) -> None:
    """A second in the header is a second on the clock; a server that asks for over a minute is not asked again."""
    server.script(problem(429, "rate_limited", {"Retry-After": "1"}), answers(PLAN))
    started = time.monotonic()
    await scripted("plan.status")
    assert time.monotonic() - started >= 1
    server.script(problem(429, "rate_limited", {"Retry-After": "3600"}))
    with pytest.raises(RateLimitError) as caught:
        await scripted("plan.status")
    assert caught.value.retry_after == 3600


async def test_a_cancelled_call_is_not_repeated(server: ScriptedServer) -> None:
    """Cancelling the task of an async call ends its wait at once."""
    server.script(BUSY)
    async with AsyncAurra("aurra_x", base_url=server.url, backoff_seconds=60) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await client.plan.status()
    assert len(server.requests) == 1


OPTIONS = Options(
    signing_secret=None, api_key="k", base_url="http://x", tenant_id=None, timeout=1, max_retries=9, backoff_seconds=0.5
)


def _wait(error: AurraError, retries: int = 0, *, is_repeatable: bool = True) -> float | None:
    return seconds_before_retry(error, OPTIONS, retries=retries, is_repeatable=is_repeatable)


def test_waits_double_up_to_eight_seconds_and_are_spread() -> None:
    """Between half of the longest and the longest."""
    for retries, longest in enumerate([0.5, 1, 2, 4, 8, 8, 8]):
        waits = [_wait(ServerError("x", status_code=500), retries) or 0 for _ in range(50)]
        assert longest / 2 <= min(waits) <= max(waits) <= longest
        assert len(set(waits)) > 1


def test_retry_after_may_be_a_date() -> None:
    """An HTTP date is the time until then; what is neither is ignored."""
    at = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=30)
    error = RateLimitError("x", status_code=429, headers={"retry-after": email.utils.format_datetime(at)})
    assert 25 < (error.retry_after or 0) <= 30
    assert 25 < (_wait(error) or 0) < 31
    for text in ("soon", "Mon, 01 Jan 2029 00:00:00 -0000"):
        assert AurraError("x", headers={"retry-after": text}).retry_after is None


def test_what_is_not_repeatable_is_repeated_only_where_it_cannot_have_begun() -> None:
    """Not after a 500 or a lost connection; after a 429, or where no connection was made."""
    assert _wait(ServerError("x", status_code=500), is_repeatable=False) is None
    assert _wait(APIConnectionError("x"), is_repeatable=False) is None
    assert _wait(APIConnectionError("x", was_sent=False), is_repeatable=False) is not None
    assert _wait(RateLimitError("x", status_code=429), is_repeatable=False) is not None
    assert _wait(AurraError("no status")) is None


async def test_a_write_without_a_key_is_sent_once(make_scripted: MakeClient, server: ScriptedServer) -> None:
    """An operation that is neither a read nor idempotent is not sent again after a 503."""
    either = make_scripted()
    operation = Operation(
        name="keys.create",
        method="POST",
        path="/keys",
        answer=types.PlanStatus,
        is_idempotent=False,
        is_repeatable=False,
        has_tenant=False,
    )
    transport = either.client._transport  # pyright: ignore[reportPrivateUsage]
    server.script(BUSY)
    with pytest.raises(ServerError):
        if isinstance(transport, Transport):
            await asyncio.to_thread(transport.send, operation, {}, None)
        else:
            await transport.send(operation, {}, None)
    assert len(server.requests) == 1
