"""T14: a model that fails in every way, at the wire, through a whole service: no 500, nothing invented, in time."""

import asyncio
import contextlib
import itertools
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from tests.providers.scripted_provider import (
    KEY,
    Behaviour,
    Exchange,
    ScriptedProvider,
    calls,
    cuts_short,
    floods,
    hangs,
    refuses,
    resets,
    says,
    sends,
    status,
    trickles,
)
from tests.running import Running, running

BUDGET = 1.0
"""Seconds, of the service's setting; each answer comes within it and one second more."""

FACTS = ["Kim lives in Oslo", "Kim's boat is named Sirius", "Acme pays 120 euros a month"]
QUESTION = "Where does Kim live, and what is the boat named?"
TURNS = [
    {"role": "user", "content": "I moved to Oslo last week. My boat is named Sirius.", "name": "Kim"},
    {"role": "assistant", "content": "Welcome to Norway!"},
]
SAID = " ".join(turn["content"] for turn in TURNS)


def sentence(text: str, *citations: int) -> dict[str, Any]:
    return {"text": text, "citations": list(citations)}


def fact(text: str, quote: str, turn: int = 0) -> dict[str, Any]:
    return {
        "fact": text,
        "turn": turn,
        "quote": quote,
        "topic": "Home",
        "importance": 7,
        "people": [],
        "action_items": [],
        "subject": None,
        "attribute": None,
    }


def of_each_kind(answer: dict[str, Any], facts: dict[str, Any]) -> Behaviour:
    """One of two objects, by what is asked for, in the way it is asked for."""

    async def behave(exchange: Exchange) -> None:
        value = facts if '"facts"' in msgspec.json.encode(exchange.request.body).decode() else answer
        reply = calls(value) if exchange.request.tool else says(msgspec.json.encode(value).decode())
        await reply(exchange)

    return behave


SOON = {"retry-after-ms": "20"}
ELSEWHERE = {"Location": "http://169.254.169.254/latest/meta-data"}
UNSUPPORTED = "response_format is not supported, nor are tools"

FAULTS: dict[str, Behaviour] = {
    "429_with_retry_after_ms": status(429, SOON),
    "429_with_a_long_retry_after": status(429, {"Retry-After": "600"}),
    "429_quota": status(429, error_code="insufficient_quota"),
    "401": status(401),
    "500": status(500),
    "503": status(503, SOON),
    "404_with_a_page": sends(b"<html>no such page</html>", {"Content-Type": "text/html"}, code=404),
    "hang_before_headers": hangs(),
    "hang_inside_the_body": hangs(after=b'{"choices": [{"message": {"content": "{'),
    "trickle": trickles(every_seconds=0.05),
    "connection_reset": resets(),
    "truncated_json": cuts_short(),
    "empty_body": sends(b""),
    "empty_object": sends(b"{}"),
    "no_json": says("I am a language model."),
    "wrong_schema": of_each_kind({"sentences": "many"}, {"facts": [{"fact": 7}]}),
    "wrong_content_type": sends(b"<html>503</html>", {"Content-Type": "text/html"}),
    "flood": floods(5 * 1024 * 1024),
    "compressed": sends(b"\x1f\x8b\x08", {"Content-Encoding": "gzip"}),
    "nul_and_surrogates": sends(b'{"choices": [{"message": {"content": "{\\"sentences\\": [\\ud800\\u0000]}"}}]}'),
    "deep_nesting": says('{"sentences": ' + "[" * 5000 + "]" * 5000 + "}"),
    "refusal": refuses(),
    "redirect": status(307, ELSEWHERE),
    "no_way_of_asking": status(400, message=UNSUPPORTED),
    "invented_markers": of_each_kind(
        {"sentences": [sentence("Kim lives in Oslo.", 0, 99, -1), sentence("Kim lives in Paris. [mem-1] [mem-7]", 42)]},
        {"facts": [fact("Kim lives in Oslo", "I moved to Oslo", 99), fact("Kim lives in Oslo", "Oslo", -1)]},
    ),
    "invented_quotes": of_each_kind(
        {"sentences": [sentence('Kim said "I own 900 boats".', 1), sentence("Kim has owned Vega since 1999.", 2)]},
        {"facts": [fact("Kim owns 900 boats", "I own 900 boats"), fact("Kim is in Rome", "I moved to Rome")]},
    ),
    "invented_facts_with_true_quotes": of_each_kind(
        {"sentences": [sentence("Kim pays 4711 euros.", 1, 2, 3)]},
        {"facts": [fact("Kim lives in Oslo", "I moved to Oslo"), fact("Kim owns 4711 boats", "My boat")]},
    ),
    "hundreds_of_sentences": of_each_kind(
        {"sentences": [sentence("Kim lives in Oslo.", 1)] * 500}, {"facts": [fact("Kim lives in Oslo", "Oslo")] * 500}
    ),
}
"""By what goes wrong; whatever it is, it goes on."""

ANSWERED = {"invented_markers", "invented_quotes", "invented_facts_with_true_quotes", "hundreds_of_sentences"}
"""Those that are answers by their form: what the model says is checked, and the request succeeds."""

REFUSED = {"401", "404_with_a_page", "429_quota", "redirect", "no_way_of_asking"}
"""Those that another call with the same key would not mend: 400."""


class Bench(msgspec.Struct):
    """One account of a running service."""

    client: httpx2.AsyncClient
    ids: dict[str, str]
    """What each memory says, by its id."""
    late: list[str] = []
    keys: Iterator[int] = msgspec.field(default_factory=itertools.count)

    def llm(self, provider: ScriptedProvider, name: str) -> dict[str, Any]:
        """A key of its own a call, so that the breaker of no other one is open."""
        base_url = provider.root if name == "anthropic" else provider.base_url
        key = f"{KEY}-{next(self.keys)}"
        return {"provider": name, "model": "m", "api_key": key, "base_url": base_url}

    async def send(self, path: str, body: dict[str, Any], label: str) -> httpx2.Response:
        """The answer; whether it came in time is noted."""
        begun = time.monotonic()
        response = await self.client.post(path, json=body)
        if time.monotonic() - begun > BUDGET + 1:
            self.late.append(f"{label}: {time.monotonic() - begun:.1f} s")
        return response


Play = Callable[[Bench, ScriptedProvider, str, str], Awaitable[None]]


async def a_question(bench: Bench, provider: ScriptedProvider, name: str, fault: str) -> None:
    body = {"question": QUESTION, "llm": bench.llm(provider, name), "include_proof_tree": True}
    response = await bench.send("/agent/query", body, f"{fault}, {name}, query")
    require_expected(response, name, fault)
    if response.status_code == 200:
        require_nothing_invented(response.json(), bench.ids)


async def a_conversation(bench: Bench, provider: ScriptedProvider, name: str, fault: str) -> None:
    # A tenant of its own, so that what one run stored is no duplicate of another's.
    tenant = f"t{next(bench.keys)}"
    body = {"messages": TURNS, "llm": bench.llm(provider, name), "tenant_id": tenant}
    response = await bench.send("/agent/memories", body, f"{fault}, {name}, memories")
    require_expected(response, name, fault)
    kept = (await bench.client.get("/agent/memories", params={"tenant_id": tenant})).json()["memories"]
    assert response.status_code == 200 or kept == []
    for memory in kept:
        start, end = memory["source_citation"]["span"]
        turn = next(turn["content"] for turn in TURNS if memory["original_message"].endswith(turn["content"]))
        assert turn[start:end] and turn[start:end] in SAID


def require_expected(response: httpx2.Response, name: str, fault: str) -> None:
    """Success where the fault is one of content, else the contract's error; never a 500, nor the key."""
    what = f"{fault}, {name}: {response.status_code} {response.text[:300]}"
    assert KEY not in response.text, what
    if fault in ANSWERED:
        assert response.status_code == 200, what
        return
    assert response.status_code == (400 if fault in REFUSED else 503), what
    detail = response.json()["detail"]
    assert detail["error"] == "llm_provider_error" and detail["provider"] == name, what
    assert (response.headers.get("Retry-After") is None) == (fault in REFUSED), what


def require_nothing_invented(answer: dict[str, Any], ids: dict[str, str]) -> None:
    """Each citation is of a memory that was handed out and says what is quoted; each marker names a cited one."""
    for citation in answer["citations"]:
        assert ids[citation["memory_id"]] == citation["decision"]
        assert citation["quote"] is None or citation["quote"] in citation["decision"]
    cited = {citation["index"] for citation in answer["citations"] if citation["cited_by_llm"]}
    marked = {int(number) for number in re.findall(r"\[mem-(-?\d+)\]", answer["answer_with_citations"])}
    assert marked <= cited and "[mem-" not in answer["answer"]
    assert answer["refused"] or cited
    if re.search(r"900|1999|4711|Paris|Vega|Rome", answer["answer"]):
        assert answer["grounded"] is False
    tree: dict[str, Any] = answer["proof_tree"] or {"evidence_chain": []}
    for one in tree["evidence_chain"]:
        assert ids[one["memory_id"]] == one["decision"]


PLAYS: tuple[Play, ...] = (a_question, a_conversation)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A service on a database of its own, with a small budget for models."""
    home = tmp_path_factory.mktemp("faults")
    with running(
        home / "log",
        "--first-key",
        aurra_home=home / "home",
        aurra_embedder="none",
        aurra_llm_budget_seconds=BUDGET,
        aurra_llm_allowed_networks="127.0.0.0/8",
        aurra_log_level="debug",
    ) as started:
        yield started
        assert started.stop() == 0


@contextlib.asynccontextmanager
async def opened(process: Running, name: str) -> AsyncGenerator[Bench]:
    """A fresh account, which has something to ask about; the adapters are loaded."""
    await asyncio.to_thread(process.command, "accounts", "create", name)
    key = (await asyncio.to_thread(process.command, "keys", "create", "--account", name)).strip()
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        httpx2.AsyncClient(base_url=process.url, headers=headers, timeout=60) as client,
        ScriptedProvider() as provider,
    ):
        bench = Bench(client, {})
        for text in FACTS:
            response = await client.post("/agent/memories", json={"content": text})
            bench.ids[response.json()["memory_id"]] = text
        provider.always(status(401))
        for adapter in ("openai", "anthropic"):
            await client.post("/agent/query", json={"question": QUESTION, "llm": bench.llm(provider, adapter)})
        yield bench
        assert bench.late == []


async def play(bench: Bench, runs: Sequence[tuple[str, str, Play]], *, at_once: int) -> None:
    """All runs, some at a time; each has a provider of its own, whose fault goes on as long as it is asked."""
    places = asyncio.Semaphore(at_once)

    async def one(fault: str, name: str, action: Play) -> None:
        async with places, ScriptedProvider(lambda _: {"sentences": [], "facts": []}) as provider:
            provider.always(FAULTS[fault])
            await action(bench, provider, name, fault)
            assert provider.requests, f"{fault}, {name}: the provider was never asked"

    outcomes = await asyncio.gather(*(one(*run) for run in runs), return_exceptions=True)
    assert [str(outcome) for outcome in outcomes if outcome is not None] == []


def require_quiet(log: Path) -> None:
    """Nothing failed inside, and no key is told."""
    text = log.read_text()
    assert '"event": "failed"' not in text and "Traceback" not in text and KEY not in text


async def test_whatever_a_model_does_nothing_is_invented_and_nothing_is_late(process: Running) -> None:
    """Each fault, with either adapter, in a question and in a conversation: what is expected, within budget + 1 s."""
    runs = list(itertools.product(FAULTS, ("openai", "anthropic"), PLAYS))
    assert len(FAULTS) >= 14
    async with opened(process, "short") as bench:
        await play(bench, runs, at_once=6)
    require_quiet(process.log)


async def test_a_model_that_must_judge_much_makes_nobody_wait_longer(process: Running) -> None:
    """Many calls to a model that hangs take no more than the budget of one; then all is stored and nothing ended."""
    async with opened(process, "judging") as bench, ScriptedProvider() as provider:
        provider.always(hangs())
        model = {"auto_supersede": True, "llm": bench.llm(provider, "openai")}
        items = [{"content": f"{FACTS[0]}, said {number} times", **model} for number in range(100)]
        response = await bench.send("/agent/memories/bulk", {"memories": items}, "judging")
        reports = [item["auto_supersede"][0] for item in response.json()["items"]]
        assert {one["skipped_reason"] for one in reports} == {"classifier_unavailable"}


@pytest.mark.long
async def test_a_thousand_faults(process: Running) -> None:
    """T14: 14 kinds and more, 1,000 runs and more: 0 × 500, 0 fabricated citations, all within budget + 1 s."""
    runs = list(itertools.product(FAULTS, ("openai", "anthropic"), PLAYS)) * 10
    assert len(runs) >= 1000
    async with opened(process, "long") as bench:
        await play(bench, runs, at_once=6)
    require_quiet(process.log)


async def test_faults_that_alternate_with_answers(process: Running) -> None:
    """A provider that fails at first and then answers is asked again within the budget; the answer is whole."""
    good = of_each_kind({"sentences": [sentence("Kim lives in Oslo.", 1)]}, {"facts": [fact("Kim", "I moved to Oslo")]})
    async with opened(process, "alternating") as bench:
        for fault in ("429_with_retry_after_ms", "503", "truncated_json", "empty_body", "no_json", "wrong_schema"):
            for name in ("openai", "anthropic"):
                async with ScriptedProvider() as provider:
                    provider.script(FAULTS[fault])
                    provider.always(good)
                    body = {"question": "Where does Kim live?", "llm": bench.llm(provider, name)}
                    response = await bench.send("/agent/query", body, fault)
                    assert response.status_code == 200 and len(provider.requests) == 2, (fault, name, response.text)
                    require_nothing_invented(response.json(), bench.ids)
