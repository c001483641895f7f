"""Recall on LoCoMo through the service itself: `python -m tests.bench.recall [DATA]` (`make bench-recall`).

A real service stores every turn verbatim over HTTP, a tenant for each conversation, and answers every question.
Figures of one run on one machine; nothing is asserted.
"""

import argparse
import asyncio
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import asyncpg as _asyncpg
import msgspec

from aurra.store.embedded import EmbeddedPostgres
from tests.bench import locomo
from tests.bench.locomo import ADVERSARIAL, CATEGORIES, Asked, Conversation, session_of
from tests.bench.running import Caller, Processor, Running, quantile, serving, table, temporary_home, timed

asyncpg: Any = _asyncpg

_BATCH = 100
"""Turns of one request."""
_DEFAULT_LIMIT = 10
_FLOOR = """
SELECT c.text FROM version v JOIN content c ON c.company_id = v.company_id AND c.id = v.content_id,
  (SELECT replace(plainto_tsquery('english', $2)::text, ' & ', ' | ')::tsquery AS terms) AS asked
WHERE v.tenant_id = $1 AND v.tx_to IS NULL AND c.words @@ asked.terms
ORDER BY ts_rank(c.words, asked.terms) DESC LIMIT 10
"""
"""The 10 best by ts_rank of an OR query, on the same tables: what a plain search costs here."""


class Searched(msgspec.Struct, frozen=True, kw_only=True):
    """A question, the turns that a search found for it, best first, and how it was answered."""

    asked: Asked
    found: list[str]
    refused: bool
    cited: frozenset[str]


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What one run saw."""

    searched: list[Searched]
    turns: int
    ingestion_seconds: float
    search_seconds: list[float]
    """Of the same searches again, with the default limit."""
    service_cpu: float | None
    """Seconds of the service's process in those; with the embedder, where there is one."""
    database_cpu: float | None
    floor_seconds: list[float]


def recall_at(k: int, one: Searched) -> float:
    """Share of the question's gold turns among the first k."""
    return len(one.asked.gold.intersection(one.found[:k])) / len(one.asked.gold)


def ndcg(one: Searched, k: int = 10) -> float:
    """Normalised discounted cumulative gain of the first k, each gold turn worth 1."""
    gain = sum(1 / math.log2(place + 2) for place, turn in enumerate(one.found[:k]) if turn in one.asked.gold)
    return gain / sum(1 / math.log2(place + 2) for place in range(min(k, len(one.asked.gold))))


def session_recall(one: Searched, k: int = 10) -> float:
    """Share of the sessions with gold turns that the first k turns come from."""
    gold = {session_of(turn) for turn in one.asked.gold}
    return len(gold.intersection(map(session_of, one.found[:k]))) / len(gold)


def session_hit(one: Searched, k: int = 10) -> bool:
    """Whether one of the first k turns comes from a session with a gold turn."""
    return session_recall(one, k) > 0


def store(caller: Caller, conversation: Conversation) -> None:
    """Every turn is a memory of the tenant that has the conversation's name."""
    for session, turns in conversation.sessions.items():
        for start in range(0, len(turns), _BATCH):
            messages = [
                {
                    "role": turn.role,
                    "content": turn.text,
                    "name": turn.speaker,
                    "at": turn.at.isoformat(),
                    "id": turn.id,
                }
                for turn in turns[start : start + _BATCH]
            ]
            caller.post(
                "/agent/memories",
                messages=messages,
                extraction="verbatim",
                session_id=session,
                tenant_id=conversation.name,
            )


def search(caller: Caller, tenant: str, question: str, limit: int) -> list[str]:
    """The ids of the turns found, best first."""
    found = caller.post("/agent/search", query=question, tenant_id=tenant, limit=limit)
    return [memory["source_citation"]["message_id"] for memory in found["memories"]]


def answer(caller: Caller, tenant: str, question: str) -> tuple[bool, frozenset[str]]:
    """Whether the answer is a refusal, and the ids of the turns that it cites."""
    answered = caller.post("/agent/query", question=question, tenant_id=tenant, limit=10)
    cited = [
        memory["source_citation"]["message_id"]
        for citation, memory in zip(answered["citations"], answered["memories"], strict=True)
        if citation["cited_by_llm"]
    ]
    return answered["refused"], frozenset(cited)


def measure(running: Running, conversations: Sequence[Conversation], limit: int) -> Measured:
    """Stores the conversations, asks their questions, and times the same questions as a plain SELECT."""
    caller = running.caller("bench")
    began = time.perf_counter()
    for conversation in conversations:
        store(caller, conversation)
    ingestion = time.perf_counter() - began
    asked = [(one.name, question) for one in conversations for question in one.questions if question.gold]
    found = [search(caller, tenant, question.text, limit) for tenant, question in asked]
    processor = Processor(running)
    seconds = [timed(lambda one=one: search(caller, one[0], one[1].text, _DEFAULT_LIMIT)) for one in asked]
    service_cpu, database_cpu = processor.spent()
    answers = [answer(caller, tenant, question.text) for tenant, question in asked]
    return Measured(
        searched=[
            Searched(asked=question, found=turns, refused=refused, cited=cited)
            for (_, question), turns, (refused, cited) in zip(asked, found, answers, strict=True)
        ],
        search_seconds=seconds,
        turns=sum(conversation.turns for conversation in conversations),
        ingestion_seconds=ingestion,
        service_cpu=service_cpu,
        database_cpu=database_cpu,
        floor_seconds=asyncio.run(_floor(running.home, [(tenant, question.text) for tenant, question in asked])),
    )


async def _floor(home: Path, asked: Sequence[tuple[str, str]]) -> list[float]:
    with EmbeddedPostgres.open(home) as postgres:
        connection = await asyncpg.connect(postgres.dsn)
        try:
            statement = await connection.prepare(_FLOOR)
            seconds: list[float] = []
            for tenant, question in asked:
                began = time.perf_counter()
                await statement.fetch(tenant, question)
                seconds.append(time.perf_counter() - began)
            return seconds
        finally:
            await connection.close()


def quality(searched: Sequence[Searched]) -> str:
    """Recall by category; the adversarial questions apart, not in the total."""
    answerable = [one for one in searched if one.asked.category != ADVERSARIAL]
    groups = [("**answerable**", answerable)]
    groups += [(name, [one for one in searched if one.asked.category == kind]) for kind, name in CATEGORIES.items()]
    signals: list[Callable[[Searched], float]] = [
        lambda one: recall_at(5, one),
        lambda one: recall_at(10, one),
        ndcg,
        session_recall,
        session_hit,
    ]
    return table(
        ["questions", "n", "recall@5", "recall@10", "nDCG@10", "session recall@10", "any session@10"],
        [
            [name, str(len(group)), *(_percent([signal(one) for one in group]) for signal in signals)]
            for name, group in groups
            if group
        ],
    )


def answers(searched: Sequence[Searched]) -> str:
    """Extractive answers at the one threshold of `citations`: what is answered from a gold turn, what is refused."""
    answerable = [one for one in searched if one.asked.category != ADVERSARIAL]
    adversarial = [one for one in searched if one.asked.category == ADVERSARIAL]
    return table(
        ["answers without a model", "share"],
        [
            [
                "answerable: answered citing a gold turn",
                _percent([bool(one.cited & one.asked.gold) for one in answerable]),
            ],
            ["answerable: refused", _percent([one.refused for one in answerable])],
            ["adversarial: refused", _percent([one.refused for one in adversarial])],
            ["most citations of one answer", str(max(len(one.cited) for one in searched))],
        ],
    )


def speed(measured: Measured) -> str:
    """Time and CPU of ingestion and search, beside the plain SELECT of the same run."""
    seconds, floor = measured.search_seconds, measured.floor_seconds
    return table(
        ["speed", "figure"],
        [
            ["turns stored a second", f"{measured.turns / measured.ingestion_seconds:.0f}"],
            ["search over HTTP, p50", _milliseconds(quantile(seconds, 0.5))],
            ["search over HTTP, p95", _milliseconds(quantile(seconds, 0.95))],
            ["raw asyncpg, 10 best by ts_rank, p50", _milliseconds(quantile(floor, 0.5))],
            ["raw asyncpg, 10 best by ts_rank, p95", _milliseconds(quantile(floor, 0.95))],
            ["ratio of the p50", f"{quantile(seconds, 0.5) / quantile(floor, 0.5):.1f}"],
            ["CPU a search, service (embedder included)", _each(measured.service_cpu, len(seconds))],
            ["CPU a search, PostgreSQL", _each(measured.database_cpu, len(seconds))],
        ],
    )


def _percent(values: Sequence[float]) -> str:
    return f"{100 * sum(values) / len(values):.1f}" if values else "–"


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.2f} ms"


def _each(cpu: float | None, searches: int) -> str:
    return "–" if cpu is None else _milliseconds(cpu / searches)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.recall", description=__doc__)
    parser.add_argument("data", nargs="?", type=Path, default=locomo.DEFAULT_FILE, help="LoCoMo's JSON file")
    parser.add_argument("--conversations", default="conv-26", help="names with commas, or `all`")
    parser.add_argument("--embedder", default="minilm", choices=("minilm", "none"))
    parser.add_argument("--limit", type=int, default=50, help="memories asked for in a search")
    given = parser.parse_args()
    if not given.data.is_file():
        raise SystemExit(f"There is no file {given.data}: give the path of LoCoMo's JSON (make bench-recall DATA=…).")
    conversations = locomo.load(given.data, given.conversations)
    with temporary_home() as home, serving(home, given.embedder) as running:
        measured = measure(running, conversations, given.limit)
    names = ", ".join(conversation.name for conversation in conversations)
    print(f"LoCoMo, turn level, through the service: {names}; {measured.turns} turns; embedder {given.embedder}\n")
    for part in (quality(measured.searched), answers(measured.searched), speed(measured)):
        print(f"{part}\n")


if __name__ == "__main__":
    main()
