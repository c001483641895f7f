"""The language models against a provider on a real socket that misbehaves as scripted."""

import asyncio
import contextlib
import email.utils
import logging
import random
import socket
import sys
import time
import traceback
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import httpx2
import pytest

from aurra.errors import BadRequest, ProviderError
from aurra.guard import transaction_open
from aurra.providers.base import Completion, LanguageModel, ModelChoice, Secret
from aurra.providers.llm import PRESETS, http, open_model, retry
from aurra.providers.llm import openai as adapter
from tests.providers.scripted_provider import (
    KEY,
    Behaviour,
    Received,
    ScriptedProvider,
    answers,
    asked_rung,
    by,
    calls,
    cuts_short,
    floods,
    hangs,
    offers_only,
    refuses,
    resets,
    says,
    sends,
    status,
    trickles,
)

SYSTEM = "Extract the facts."
USER = "canary-memory: the vault opens with 4711"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "facts": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"text": {"type": "string"}, "importance": {"type": "integer"}},
                "required": ["text", "importance"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["facts"],
    "additionalProperties": False,
}
FACTS = {"facts": [{"text": "The vault opens.", "importance": 5}]}
BOTH = pytest.mark.parametrize("name", ["openai", "anthropic"])
SOON = {"retry-after-ms": "20"}


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripted provider is on this machine: no proxy of whoever runs the tests stands between."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def scripted() -> ScriptedProvider:
    return ScriptedProvider(answer=lambda _: FACTS)


async def complete(model: LanguageModel, user: str = USER) -> Completion:
    return await model.complete(system=SYSTEM, user=user, schema=SCHEMA, schema_name="facts")


@contextlib.asynccontextmanager
async def opened(
    choice: ModelChoice, *, budget_seconds: float = 5.0, transport: httpx2.AsyncBaseTransport | None = None
) -> AsyncGenerator[LanguageModel]:
    model = open_model(choice, budget_seconds=budget_seconds, transport=transport)
    try:
        yield model
    finally:
        await model.close()


async def ask(choice: ModelChoice, *, budget_seconds: float = 5.0) -> Completion:
    async with opened(choice, budget_seconds=budget_seconds) as model:
        return await complete(model)


async def failure(choice: ModelChoice, *, budget_seconds: float = 5.0) -> ProviderError:
    """The ProviderError that asking ends in: within the budget and a second, and with nothing secret in it."""
    begun = time.monotonic()
    with pytest.raises(ProviderError) as raised:
        await ask(choice, budget_seconds=budget_seconds)
    assert time.monotonic() - begun < budget_seconds + 1
    require_clean(raised.value, choice)
    return raised.value


def require_clean(error: ProviderError, choice: ModelChoice) -> None:
    told = "".join([str(error), repr(error), repr(error.detail), *traceback.format_exception(error)])
    assert KEY not in told
    assert "4711" not in told
    assert error.__cause__ is None
    assert error.__context__ is None
    assert isinstance(error.detail, dict)
    assert error.detail["error"] == "llm_provider_error"
    assert error.detail["provider"] == choice.provider


def kind(error: ProviderError) -> str:
    return str(error).partition(": ")[2]


# What is asked, and what comes back


async def test_openai_is_asked_by_schema() -> None:
    """The first rung is a strict json_schema; the value, the rung and the tokens come back."""
    async with scripted() as provider:
        completion = await ask(provider.choice(temperature=0))
    assert completion == Completion(value=FACTS, rung="json_schema", input_tokens=11, output_tokens=7)
    (request,) = provider.requests
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.body == {
        "temperature": 0,
        "model": "scripted-1",
        "messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": USER}],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "facts", "strict": True, "schema": SCHEMA},
        },
    }


async def test_anthropic_is_asked_by_tool() -> None:
    """The schema is the input of the one tool that must be called."""
    async with scripted() as provider:
        completion = await ask(provider.choice("anthropic", max_tokens=99))
    assert completion == Completion(value=FACTS, rung="tool_call", input_tokens=11, output_tokens=7)
    (request,) = provider.requests
    assert (request.method, request.path) == ("POST", "/v1/messages")
    assert KEY in request.headers["authorization"]
    assert request.body["max_tokens"] == 99
    assert request.body["tools"][0]["input_schema"] == SCHEMA
    assert request.body["tool_choice"] == {"type": "tool", "name": "facts", "disable_parallel_tool_use": True}


@BOTH
async def test_nothing_of_the_operators_environment_is_sent(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The libraries read keys, addresses and headers from the environment; a stranger's base URL gets none of them."""
    for variable in ("API_KEY", "ADMIN_KEY", "AUTH_TOKEN", "ORG_ID", "PROJECT_ID", "BASE_URL"):
        for prefix in ("OPENAI", "ANTHROPIC"):
            monkeypatch.setenv(f"{prefix}_{variable}", "http://operators-own.invalid/")
    for prefix in ("OPENAI", "ANTHROPIC"):
        monkeypatch.setenv(f"{prefix}_CUSTOM_HEADERS", "authorization: Bearer operators-own\nX-Secret: operators-own")
    async with scripted() as provider:
        await ask(provider.choice(name))
    (request,) = provider.requests
    assert "operators-own" not in repr(request.headers)
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["user-agent"] == "aurra"


@pytest.mark.parametrize("name", ["ollama", "vllm", "lmstudio", "openai_compatible"])
async def test_a_local_server_needs_no_key(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key no Authorization is sent, whatever the environment holds or lacks."""
    async with scripted() as provider:
        monkeypatch.delenv("OPENAI_API_KEY", raising=False)
        await ask(provider.choice(name, key=""))
        monkeypatch.setenv("OPENAI_API_KEY", "operators-own")
        await ask(provider.choice(name, key=""))
    assert ["authorization" in request.headers for request in provider.requests] == [False, False]


async def test_one_model_answers_many_at_once() -> None:
    """Concurrent calls of one model do not mix up."""

    def echo(request: dict[str, Any]) -> dict[str, Any]:
        return {"facts": [{"text": request["messages"][1]["content"], "importance": 1}]}

    async with ScriptedProvider(answer=echo) as provider, opened(provider.choice()) as model:
        completions = await asyncio.gather(*(complete(model, f"user {n}") for n in range(50)))
    assert [completion.value["facts"][0]["text"] for completion in completions] == [f"user {n}" for n in range(50)]


# The ladder


@pytest.mark.parametrize("rung", adapter.LADDER)
async def test_the_ladder_ends_where_the_server_offers_a_way(rung: str) -> None:
    """Each 400 that names the way moves one rung down, is no failure, and is not repeated by the next call."""
    height = adapter.LADDER.index(rung) + 1
    async with scripted() as provider:
        provider.always(offers_only(rung))
        choice = provider.choice(model=f"ladder-{rung}")
        first, second = await ask(choice), await ask(choice)
    assert first.value == second.value == FACTS
    assert first.rung == second.rung == rung
    assert [asked_rung(request) for request in provider.requests] == [*adapter.LADDER[:height], rung]


async def test_where_the_schema_is_not_a_parameter_it_is_in_the_prompt() -> None:
    """json_object and the last rung put the schema into words; the upper rungs do not repeat it."""
    async with scripted() as provider:
        provider.always(offers_only("repaired"))
        await ask(provider.choice(model="words"))
    spelled = {asked_rung(request): '"additionalProperties"' in request.text for request in provider.requests}
    assert spelled == {"json_schema": False, "json_object": True, "tool_call": False, "repaired": True}


@pytest.mark.parametrize(
    ("code", "message"), [(400, "maximum context length exceeded"), (401, "response_format"), (403, "response_format")]
)
async def test_only_a_complaint_about_the_way_of_asking_moves_down(code: int, message: str) -> None:
    """Any other refusal is one at once."""
    async with scripted() as provider:
        provider.always(status(code, message=message))
        error = await failure(provider.choice(model="refused"))
    assert error.status == 400
    assert len(provider.requests) == 1


async def test_rungs_are_remembered_for_a_bounded_number_of_models() -> None:
    """After as many other models as are remembered, the first is asked from the top again."""
    async with scripted() as provider:
        provider.always(offers_only("json_object"))
        await ask(provider.choice(model="bounded"))
        for group in range(8):
            others = range(adapter.REMEMBERED // 8)
            await asyncio.gather(*(ask(provider.choice(model=f"bounded-{group}-{n}")) for n in others))
        provider.requests.clear()
        await ask(provider.choice(model="bounded"))
    assert [asked_rung(request) for request in provider.requests] == ["json_schema", "json_object"]


async def test_a_tool_that_is_ignored_may_be_answered_in_text() -> None:
    """What the model says instead of calling the tool is used, and called repaired."""
    async with scripted() as provider:
        for name in ("openai", "anthropic"):
            choice = provider.choice(name, model="ignores-tools")
            provider.always(by(lambda request: says_facts() if request.tool else offers_only("tool_call")))
            assert (await ask(choice)).rung == "repaired"


def says_facts() -> Behaviour:
    return says('Here you are: {"facts": [{"text": "The vault opens.", "importance": 5}]}')


# Faults that pass


@BOTH
@pytest.mark.parametrize("code", [408, 409, 429, 500, 502, 503, 504, 529])
async def test_a_passing_fault_is_repeated(code: int, name: str) -> None:
    """After the wait that the provider asked for the answer comes."""
    async with scripted() as provider:
        provider.script(status(code, {"retry-after-ms": "60"}))
        begun = time.monotonic()
        completion = await ask(provider.choice(name))
    assert completion.value == FACTS
    assert len(provider.requests) == 2
    assert time.monotonic() - begun >= 0.06


async def test_without_a_wait_of_the_providers_there_is_a_backoff() -> None:
    """At least half a second passes before the second attempt."""
    async with scripted() as provider:
        provider.script(status(500))
        begun = time.monotonic()
        await ask(provider.choice())
    assert 0.5 <= time.monotonic() - begun < 2


@BOTH
@pytest.mark.parametrize(
    "fault",
    [resets(), cuts_short(), sends(b"<html>Bad gateway</html>"), sends(b"")],
    ids=["reset", "cut", "html", "empty"],
)
async def test_a_broken_answer_is_asked_for_again(fault: Behaviour, name: str) -> None:
    """A reset, half a body, something that is no JSON: the next answer counts."""
    async with scripted() as provider:
        provider.script(fault)
        completion = await ask(provider.choice(name))
    assert completion.value == FACTS
    assert len(provider.requests) == 2


# Faults that stay


@BOTH
async def test_rate_limited_for_ever(name: str) -> None:
    """The attempts are counted, even where the provider asks for short waits."""
    async with scripted() as provider:
        provider.always(status(429, SOON))
        error = await failure(provider.choice(name))
    assert kind(error) == "rate limited (429)"
    assert (error.status, error.code, error.retry_after) == (503, "llm_provider_error", 1)
    assert len(provider.requests) == retry.TRANSIENT


@pytest.mark.parametrize("unit", ["seconds", "milliseconds", "date"])
async def test_a_wait_beyond_the_budget_is_passed_on(unit: str) -> None:
    """Nobody waits in vain: the error comes at once and carries the provider's wait."""
    headers = {
        "seconds": {"Retry-After": "60"},
        "milliseconds": {"retry-after-ms": "60000", "Retry-After": "1"},
        "date": {"Retry-After": email.utils.formatdate(time.time() + 60, usegmt=True)},
    }[unit]
    async with scripted() as provider:
        provider.always(status(429, headers))
        begun = time.monotonic()
        error = await failure(provider.choice())
    assert time.monotonic() - begun < 1
    assert error.retry_after in (59, 60)
    assert len(provider.requests) == 1


@pytest.mark.parametrize("asked", ["nan", "inf", "-5", "soon", "1e300", "Fri, 31 Dec 9999 23:59:59 GMT"])
async def test_a_senseless_wait_does_no_harm(asked: str) -> None:
    """It is ignored, or cut to an hour."""
    async with scripted() as provider:
        provider.always(status(503, {"Retry-After": asked}))
        error = await failure(provider.choice(), budget_seconds=0.5)
    assert kind(error) == "failed (503)"
    assert error.retry_after in (1, retry.LONGEST_RETRY_AFTER)


@BOTH
@pytest.mark.parametrize(
    ("code", "message"),
    [
        (400, "refused the request (400)"),
        (401, "refused the key (401)"),
        (402, "refused the request (402)"),
        (403, "refused the key (403)"),
        (404, "knows no such model or address (404)"),
        (422, "refused the request (422)"),
    ],
)
async def test_what_is_the_callers_fault_is_not_repeated(code: int, message: str, name: str) -> None:
    """One request; the caller gets a 400 that says which."""
    async with scripted() as provider:
        provider.always(status(code, SOON))
        error = await failure(provider.choice(name))
    assert kind(error) == message
    assert (error.status, error.code) == (400, "llm_provider_refused")
    assert len(provider.requests) == 1


async def test_a_used_up_quota_is_not_repeated() -> None:
    """OpenAI says it with the status of a rate limit."""
    async with scripted() as provider:
        provider.always(status(429, error_code="insufficient_quota"))
        error = await failure(provider.choice())
    assert (kind(error), error.status) == ("the quota is used up (429)", 400)
    assert len(provider.requests) == 1


@BOTH
@pytest.mark.parametrize(
    "fault", [hangs(), hangs(after=b'{"choices": ['), trickles(every_seconds=0.02)], ids=["hang", "half", "trickle"]
)
async def test_a_provider_that_never_ends_is_left_when_the_budget_is(fault: Behaviour, name: str) -> None:
    """No answer, half an answer, an answer byte by byte: the whole call ends in time."""
    async with scripted() as provider:
        provider.always(fault)
        error = await failure(provider.choice(name), budget_seconds=0.3)
    assert kind(error) == "timed out after 0.3 s"
    assert error.status == 503
    assert len(provider.requests) == 1


@BOTH
async def test_the_budget_covers_all_attempts(name: str) -> None:
    """Failures first and a hang then do not add up to more."""
    async with scripted() as provider:
        provider.script(status(500, SOON), status(429, SOON))
        provider.always(hangs())
        error = await failure(provider.choice(name), budget_seconds=0.5)
    assert kind(error) == "timed out after 0.5 s"
    assert len(provider.requests) == 3


async def test_a_connection_that_keeps_breaking() -> None:
    """Repeated while the budget lasts."""
    async with scripted() as provider:
        provider.always(resets())
        error = await failure(provider.choice(), budget_seconds=1.2)
    assert kind(error) == "the connection broke"
    assert len(provider.requests) == 2


async def test_a_provider_that_is_not_there() -> None:
    """Nobody listens on the port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        base_url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        choice = ModelChoice(provider="openai", model="m", api_key=Secret(KEY), base_url=base_url)
        error = await failure(choice, budget_seconds=0.5)
    assert kind(error) == "could not be reached"
    assert error.status == 503


# Answers that are no answer


@BOTH
@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        (sends(b"not JSON at all"), "answered with no valid JSON"),
        (sends(b"[" * 100_000), "answered with no valid JSON"),
        (sends(b'{"choices": 7, "content": 7}'), "answered with no valid JSON"),
        (cuts_short(), "answered with no valid JSON"),
        (sends(b'{"choices": [], "content": []}'), "answered with nothing"),
        (sends(b'{"error": {"message": "busy"}}'), "answered with nothing"),
        (says("I would rather tell you about 4711."), "answered with no valid JSON"),
        (says('{"facts": [{"text": "4711'), "answered with JSON that was cut off"),
        (says('{"facts": []} {"facts": [{"text": "4711", "importance": 1}]}'), "answered with several JSON objects"),
        (says('["4711"]'), "answered with JSON that is no object"),
        (says('{"truths": ["4711"]}'), "answered with JSON that does not fit the schema: the answer lacks `facts`"),
        (
            says('{"facts": [{"text": 4711, "importance": 1}]}'),
            "answered with JSON that does not fit the schema: the answer.facts[0].text is not of type string",
        ),
    ],
)
async def test_an_unusable_answer_is_asked_for_again_twice(behaviour: Behaviour, message: str, name: str) -> None:
    """Then it is an error that says what was wrong, without a word of the answer."""
    async with scripted() as provider:
        provider.always(behaviour)
        error = await failure(provider.choice(name))
    assert kind(error) == message
    assert error.status == 503
    assert len(provider.requests) == retry.UNUSABLE


@pytest.mark.parametrize(("name", "reason"), [("openai", "length"), ("anthropic", "max_tokens")])
async def test_an_answer_that_ran_out_of_tokens_is_not_dug_out(name: str, reason: str) -> None:
    """What is left of it is not taken for the whole."""
    async with scripted() as provider:
        provider.always(says('{"facts": [{"text": "a", "importance": 1}, {"te', finish_reason=reason))
        error = await failure(provider.choice(name))
    assert kind(error) == "answered with JSON that was cut off"


async def test_after_an_unusable_answer_the_schema_is_put_into_words() -> None:
    """Some servers take response_format and ignore it; the rung stays."""
    async with scripted() as provider:
        provider.script(says("Sure! Which facts?"))
        completion = await ask(provider.choice())
    assert completion.rung == "json_schema"
    assert ['"additionalProperties"' in request.text for request in provider.requests] == [False, True]


@BOTH
@pytest.mark.parametrize(
    "text",
    [
        '```json\n{"facts": [{"text": "The vault opens.", "importance": 5}]}\n```',
        'Sure:\n{"facts": [{"text": "The vault opens.", "importance": 5,},],}\nAnything else?',
        '<think>{"facts": []}</think>{"facts": [{"text": "The vault opens.", "importance": 5}]}',
    ],
)
async def test_fences_prose_and_trailing_commas_are_repaired(text: str, name: str) -> None:
    """One request, and the rung says that it took repairs."""
    async with scripted() as provider:
        provider.always(says(text))
        completion = await ask(provider.choice(name))
    assert (completion.value, completion.rung) == (FACTS, "repaired")
    assert len(provider.requests) == 1


@BOTH
async def test_invented_keys_do_not_come_through(name: str) -> None:
    """Keys that the schema forbids are dropped, at every depth."""
    invented = {"facts": [{"text": "t", "importance": 5.0, "confidence": 1}], "sources": ["mem-99"]}
    async with ScriptedProvider(answer=lambda _: invented) as provider:
        completion = await ask(provider.choice(name))
    assert completion.value == {"facts": [{"text": "t", "importance": 5}]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([FACTS, FACTS], "answered with several JSON objects"),
        (['{"facts": ['], "answered with JSON that was cut off"),
        ([{"facts": "none"}], "answered with JSON that does not fit the schema: the answer.facts is not of type array"),
    ],
)
async def test_an_unusable_tool_call(arguments: list[dict[str, Any] | str], message: str) -> None:
    """Arguments are held to the schema like text."""
    async with scripted() as provider:
        provider.always(
            by(lambda request: calls(*arguments) if asked_rung(request) == "tool_call" else offers_only("tool_call"))
        )
        error = await failure(provider.choice(model="bad-tools"))
    assert kind(error) == message


@BOTH
async def test_a_refusal_of_the_model_is_not_repeated(name: str) -> None:
    """It is the provider's error, not the caller's key."""
    async with scripted() as provider:
        provider.always(refuses())
        error = await failure(provider.choice(name))
    assert (kind(error), error.status) == ("the model refused", 503)
    assert len(provider.requests) == 1


async def test_a_content_filter_is_a_refusal() -> None:
    async with scripted() as provider:
        provider.always(says("", finish_reason="content_filter"))
        error = await failure(provider.choice())
    assert kind(error) == "the model refused"


# A provider that means harm


@BOTH
async def test_a_redirect_is_not_followed(name: str) -> None:
    """The key and the prompt go nowhere else."""
    async with scripted() as elsewhere, scripted() as provider:
        provider.always(status(307, {"Location": f"{elsewhere.root}/v1/chat/completions"}))
        error = await failure(provider.choice(name))
    assert (kind(error), error.status) == ("answered with a redirect (307)", 400)
    assert elsewhere.requests == []


@BOTH
async def test_an_endless_answer_is_not_read_to_the_end(name: str) -> None:
    async with scripted() as provider:
        provider.always(floods(http.ANSWER_LIMIT + 1))
        error = await failure(provider.choice(name))
    assert kind(error) == "answered with too much"
    assert len(provider.requests) == 1


@BOTH
async def test_a_compressed_answer_is_not_unpacked(name: str) -> None:
    """Identity is asked for; a few bytes of gzip could be gigabytes."""
    async with scripted() as provider:
        provider.always(sends(b"\x1f\x8b", {"Content-Encoding": "gzip"}))
        error = await failure(provider.choice(name))
    assert kind(error) == "answered compressed, unasked"
    assert provider.requests[0].headers["accept-encoding"] == "identity"


@BOTH
async def test_a_guarding_transport_is_asked_for_every_connection(name: str) -> None:
    """Where it refuses, nothing is sent or repeated, and the caller is told."""

    class Guard(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            raise http.AddressRefused(f"not {request.url.host}")

    async with scripted() as provider, opened(provider.choice(name), transport=Guard()) as model:
        with pytest.raises(ProviderError) as raised:
            await complete(model)
    assert (kind(raised.value), raised.value.status) == (
        "this server may not connect to that address (see AURRA_LLM_ALLOWED_NETWORKS)",
        400,
    )
    assert provider.requests == []


@BOTH
async def test_logs_carry_neither_key_nor_prompt(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Not even where the operator logs everything."""
    caplog.set_level(logging.DEBUG)
    async with scripted() as provider:
        await ask(provider.choice(name))
        provider.always(status(401))
        await failure(provider.choice(name))
        provider.always(resets())
        await failure(provider.choice(name), budget_seconds=0.3)
    assert KEY not in caplog.text
    assert "4711" not in caplog.text


# Being called


@BOTH
async def test_cancellation_passes_through(name: str) -> None:
    """Who cancels gets CancelledError, and the provider sees the connection close."""
    arrived = asyncio.Event()

    def note(_: Received) -> Behaviour:
        arrived.set()
        return hangs()

    async with scripted() as provider:
        provider.always(by(note))
        task = asyncio.create_task(ask(provider.choice(name)))
        await asyncio.wait_for(arrived.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert len(provider.requests) == 1


@BOTH
async def test_cancellation_between_attempts_passes_through(name: str) -> None:
    async with scripted() as provider:
        provider.always(status(503, {"Retry-After": "4"}))
        task = asyncio.create_task(ask(provider.choice(name)))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(task, 0.3)
    assert task.cancelled()
    assert len(provider.requests) == 1


@BOTH
async def test_no_model_is_called_inside_a_transaction(name: str) -> None:
    """The guard raises before anything is sent."""
    async with scripted() as provider:
        with transaction_open(), pytest.raises(RuntimeError, match="inside a database transaction"):
            await ask(provider.choice(name))
    assert provider.requests == []


@pytest.mark.parametrize(
    ("choice", "param", "sentence"),
    [
        (ModelChoice(provider="extractive", model="m"), "provider", "is none of: anthropic, azure"),
        (ModelChoice(provider="retry", model="m"), "provider", "is none of"),
        (ModelChoice(provider="openai", model=""), "model", "send `llm.model`"),
        (ModelChoice(provider="openai", model="m"), "provider", "send `llm.api_key`"),
        (ModelChoice(provider="anthropic", model="m", api_key=Secret("")), "provider", "send `llm.api_key`"),
        (ModelChoice(provider="openai", model="m", api_key=Secret(f"{KEY}\n")), "api_key", "copied whole"),
        (ModelChoice(provider="openai", model="m", api_key=Secret(f"{KEY}é")), "api_key", "copied whole"),
        (ModelChoice(provider="azure", model="m", api_key=Secret(KEY)), "provider", "send `llm.base_url`"),
        (ModelChoice(provider="openai_compatible", model="m"), "provider", "send `llm.base_url`"),
        (ModelChoice(provider="vllm", model="m", base_url="ftp://h/"), "base_url", "begin with http"),
        (ModelChoice(provider="vllm", model="m", base_url="http://"), "base_url", "name a host"),
        (ModelChoice(provider="vllm", model="m", base_url="http://h:99999/"), "base_url", "not an address"),
        (ModelChoice(provider="vllm", model="m", base_url=f"http://u:{KEY}@h/"), "base_url", "must not hold"),
        (ModelChoice(provider="vllm", model="m", base_url=f"http://h/?key={KEY}"), "base_url", "must not hold"),
        (ModelChoice(provider="vllm", model="m", extra={"messages": []}), "extra", "`messages`"),
        (ModelChoice(provider="vllm", model="m", extra={"stream": True}), "extra", "`stream`"),
    ],
)
def test_a_choice_that_cannot_be_opened(choice: ModelChoice, param: str, sentence: str) -> None:
    """A 400 that says what to change."""
    with pytest.raises(BadRequest, match=sentence) as raised:
        open_model(choice)
    assert (raised.value.code, raised.value.param) == ("bad_provider", f"llm.{param}")
    assert KEY not in str(raised.value)


def test_anthropic_without_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence is the command that helps."""
    monkeypatch.setitem(sys.modules, "anthropic", None)
    with pytest.raises(BadRequest, match=r"pip install 'aurra-server\[anthropic\]'") as raised:
        open_model(ModelChoice(provider="anthropic", model="m", api_key=Secret(KEY)))
    assert (raised.value.code, raised.value.param) == ("bad_provider", "llm.provider")


@pytest.mark.parametrize("name", sorted(PRESETS))
async def test_every_preset_opens(name: str) -> None:
    """By its name and a key, and an address where it has none; and says what it is."""
    base_url = None if PRESETS[name].base_url else "https://models.example/v1"
    model = open_model(ModelChoice(provider=name, model="m", api_key=Secret(KEY), base_url=base_url))
    await model.close()
    assert (model.provider, model.model) == (name, "m")
    assert KEY not in repr(model)


@pytest.fixture
async def chaos() -> AsyncIterator[ScriptedProvider]:
    """A provider whose next behaviour is drawn from all of them."""
    draw = random.Random(20260515)
    faults = [
        answers(),
        answers(),
        says_facts(),
        says("no"),
        says('{"facts": 4711}'),
        cuts_short(),
        resets(),
        refuses(),
    ]
    faults += [hangs(), hangs(after=b"{"), trickles(every_seconds=0.02), sends(b'{"choices": []}'), calls("{", "{")]
    faults += [status(code, SOON) for code in (400, 401, 404, 429, 500, 503)]
    faults += [status(400, message="response_format is not supported"), sends(b"", {"Content-Encoding": "br"})]
    async with scripted() as provider:
        provider.always(by(lambda _: draw.choice(faults)))
        yield provider


@BOTH
async def test_whatever_happens_it_is_an_answer_or_a_provider_error_in_time(name: str, chaos: ScriptedProvider) -> None:
    """200 calls under faults drawn at random: nothing else is raised, nothing else is answered, nothing is late."""

    async def once(number: int) -> str:
        begun = time.monotonic()
        choice = chaos.choice(name, model=f"chaos-{number % 5}")
        try:
            completion = await ask(choice, budget_seconds=0.8)
        except ProviderError as error:
            require_clean(error, choice)
            return kind(error)
        finally:
            assert time.monotonic() - begun < 1.8
        assert completion.value == FACTS
        return completion.rung

    outcomes: set[str] = set()
    for begin in range(0, 200, 50):
        outcomes |= set(await asyncio.gather(*(once(number) for number in range(begin, begin + 50))))
    assert {"timed out after 0.8 s", "refused the key (401)", "the model refused", "repaired"} <= outcomes
