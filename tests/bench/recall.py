"""Recall on LoCoMo through the service itself: `python -m tests.bench.recall [DATA]` (`make bench-recall`).

A real service stores every turn verbatim over HTTP, a tenant for each conversation, and is asked every question: once
for each embedder. Prints Markdown tables, which `aurra/recall.md` shows. Figures of one run on one machine; nothing is
asserted.
"""

import argparse
import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg as _asyncpg
import msgspec

from aurra.store.embedded import EmbeddedPostgres
from tests.bench import judged, locomo, updates
from tests.bench.locomo import CATEGORIES, Asked, Conversation
from tests.bench.measures import (
    Hit,
    Measure,
    Searched,
    adversarial,
    answerable,
    answered_from_gold,
    hit_at,
    ndcg,
    percent,
    recall_at,
    refused,
    session_recall,
    session_recall_of_turns,
)
from tests.bench.running import Caller, Processor, Running, quantile, serving, table, temporary_home, timed

asyncpg: Any = _asyncpg

_BATCH = 100
"""Turns of one request."""
_LIMIT = 100
"""Memories of one search, from which those without a signal are ranked again."""
_DEFAULT_LIMIT = 10
_FLOOR = """
SELECT o.message_id FROM version v JOIN content c ON c.company_id = v.company_id AND c.id = v.content_id
  JOIN memory m ON m.company_id = v.company_id AND m.id = v.memory_id
  JOIN source o ON o.company_id = m.company_id AND o.id = m.source_id,
  (SELECT replace(plainto_tsquery('english', $2)::text, ' & ', ' | ')::tsquery AS terms) AS asked
WHERE v.tenant_id = $1 AND v.tx_to IS NULL AND c.words @@ asked.terms
ORDER BY ts_rank(c.words, asked.terms) DESC LIMIT 10
"""
"""The 10 best by ts_rank of an OR query, on the same tables: what a plain search finds and costs here."""
_MEASURES: dict[str, Measure] = {
    "recall@5": recall_at(5),
    "recall@10": recall_at(10),
    "nDCG@10": ndcg,
    "any hit@5": hit_at(5),
    "session recall@10": session_recall,
    "sessions of the first 10 turns": session_recall_of_turns,
}
_SIGNALS = {
    "BM25 of the text itself": ("bm25",),
    "the session's best three": ("session",),
    "the person named": ("named",),
    "an answer inherits its question's match, and the turn before": ("previous",),
    "the turn after": ("next",),
    "the date": ("date",),
    "a question for a time": ("when",),
    "that it is a question itself": ("is_question",),
    "vectors, all": ("dense", "dense_next", "dense_session"),
    "vector of the text itself": ("dense",),
}


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
    floor: list[Searched]
    floor_seconds: list[float]
    current: dict[str, int]
    """In how many knowledge updates the current version came first, by how they were told."""


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


def search(caller: Caller, tenant: str, question: str) -> list[Hit]:
    """The turns found, best first, with what each signal added."""
    found = caller.post("/agent/search", query=question, tenant_id=tenant, limit=_LIMIT, explain=True)
    return [
        Hit(turn=memory["source_citation"]["message_id"], signals=memory["signals"]) for memory in found["memories"]
    ]


def answer(caller: Caller, tenant: str, question: str) -> tuple[bool, frozenset[str]]:
    """Whether the answer is a refusal, and the ids of the turns that it cites."""
    answered = caller.post("/agent/query", question=question, tenant_id=tenant, limit=10)
    cited = [
        memory["source_citation"]["message_id"]
        for citation, memory in zip(answered["citations"], answered["memories"], strict=True)
        if citation["cited_by_llm"]
    ]
    return answered["refused"], frozenset(cited)


def measure(running: Running, caller: Caller, conversations: Sequence[Conversation]) -> Measured:
    """Stores the conversations, asks their questions, and times the same questions as a plain SELECT."""
    began = time.perf_counter()
    for conversation in conversations:
        store(caller, conversation)
    ingestion = time.perf_counter() - began
    asked = questions_of(conversations)
    found = [search(caller, tenant, question.text) for tenant, question in asked]
    processor = Processor(running)
    seconds = [timed(lambda one=one: _plain_search(caller, one[0], one[1].text)) for one in asked]
    service_cpu, database_cpu = processor.spent()
    answers = [answer(caller, tenant, question.text) for tenant, question in asked]
    floor, floor_seconds = asyncio.run(_floor(running.home, asked))
    return Measured(
        searched=[
            Searched(asked=question, hits=hits, refused=is_refused, cited=cited)
            for (_, question), hits, (is_refused, cited) in zip(asked, found, answers, strict=True)
        ],
        search_seconds=seconds,
        turns=sum(conversation.turns for conversation in conversations),
        ingestion_seconds=ingestion,
        service_cpu=service_cpu,
        database_cpu=database_cpu,
        floor=floor,
        floor_seconds=floor_seconds,
        current={
            "subject and attribute given": updates.by_slot(caller, "by slot"),
            "superseded by the caller": updates.by_verb(caller, "by verb"),
            "text alone, `auto_supersede`": updates.by_itself(caller, "by itself"),
        },
    )


def questions_of(conversations: Sequence[Conversation]) -> list[tuple[str, Asked]]:
    """Every question that has gold turns, with its tenant."""
    return [(one.name, question) for one in conversations for question in one.questions if question.gold]


def _plain_search(caller: Caller, tenant: str, question: str) -> None:
    caller.post("/agent/search", query=question, tenant_id=tenant, limit=_DEFAULT_LIMIT)


async def _floor(home: Path, asked: Sequence[tuple[str, Asked]]) -> tuple[list[Searched], list[float]]:
    with EmbeddedPostgres.open(home) as postgres:
        connection = await asyncpg.connect(postgres.dsn)
        try:
            statement = await connection.prepare(_FLOOR)
            seconds: list[float] = []
            found: list[Searched] = []
            for tenant, question in asked:
                began = time.perf_counter()
                rows = await statement.fetch(tenant, question.text)
                seconds.append(time.perf_counter() - began)
                hits = [Hit(turn=row[0], signals={}) for row in rows]
                found.append(Searched(asked=question, hits=hits, refused=not hits, cited=frozenset()))
            return found, seconds
        finally:
            await connection.close()


def quality(runs: dict[str, Measured]) -> str:
    """Recall of the answerable questions by embedder, and by category; the adversarial questions apart."""
    plain = next(iter(runs.values()))
    rows = [["PostgreSQL alone: OR query, ts_rank", *_figures(answerable(plain.floor))]]
    for name, measured in runs.items():
        rows.append([f"**{_named(name)}, answerable**", *_figures(answerable(measured.searched))])
        for kind, category in CATEGORIES.items():
            group = [one for one in measured.searched if one.asked.category == kind]
            if group:
                rows.append([f"{_named(name)}, {category} ({len(group)})", *_figures(group)])
    return table(["questions", *_MEASURES], rows)


def _figures(group: Sequence[Searched]) -> list[str]:
    return [f"{percent(group, measure):.1f}" for measure in _MEASURES.values()]


def signals(runs: dict[str, Measured]) -> str:
    """recall@10 that is lost when a signal is left out of the sum (the others' weights as they are)."""
    rows: list[list[str]] = []
    for title, names in _SIGNALS.items():
        row = [title]
        for measured in runs.values():
            group = answerable(measured.searched)
            left = [one.without(names) for one in group]
            row.append(f"{percent(group, recall_at(10)) - percent(left, recall_at(10)):+.1f}")
        rows.append(row)
    return table(["left out", *(f"lost recall@10, {_named(name)}" for name in runs)], rows)


def answered(runs: dict[str, Measured]) -> str:
    """Extractive answers at the one threshold of `citations`: what is answered from a gold turn, what is refused."""
    rows: list[tuple[str, list[str]]] = [
        ("answerable: answered citing a gold turn, %", []),
        ("answerable: refused, %", []),
        ("adversarial: refused, %", []),
        ("most citations of one answer", []),
    ]
    for measured in runs.values():
        good, bad = answerable(measured.searched), adversarial(measured.searched)
        figures = [
            f"{percent(good, answered_from_gold):.1f}",
            f"{percent(good, refused):.1f}",
            f"{percent(bad, refused):.1f}" if bad else "–",
            str(max(len(one.cited) for one in measured.searched)),
        ]
        for (_, row), figure in zip(rows, figures, strict=True):
            row.append(figure)
    return table(["answers without a model", *map(_named, runs)], [[title, *row] for title, row in rows])


def current(runs: dict[str, Measured]) -> str:
    """Knowledge updates: the new version is found, the old one is not."""
    told = list(next(iter(runs.values())).current)
    of = len(updates.UPDATES)
    rows = [[how, *(f"{measured.current[how]} of {of}" for measured in runs.values())] for how in told]
    return table(["current version first", *map(_named, runs)], rows)


def speed(runs: dict[str, Measured]) -> str:
    """Time and CPU of ingestion and search, beside the plain SELECT of the same run."""
    rows: dict[str, list[str]] = {}
    for measured in runs.values():
        seconds, floor = measured.search_seconds, measured.floor_seconds
        figures = {
            "turns stored a second": f"{measured.turns / measured.ingestion_seconds:.0f}",
            "search over HTTP, p50": _milliseconds(quantile(seconds, 0.5)),
            "search over HTTP, p95": _milliseconds(quantile(seconds, 0.95)),
            "raw asyncpg, 10 best by ts_rank, p50": _milliseconds(quantile(floor, 0.5)),
            "ratio of the p50": f"{quantile(seconds, 0.5) / quantile(floor, 0.5):.1f}",
            "CPU a search, service (embedder included)": _each(measured.service_cpu, len(seconds)),
            "CPU a search, PostgreSQL": _each(measured.database_cpu, len(seconds)),
        }
        for title, figure in figures.items():
            rows.setdefault(title, []).append(figure)
    return table(["speed", *map(_named, runs)], [[title, *row] for title, row in rows.items()])


def by_model(caller: Caller, llm: dict[str, str], asked: Sequence[tuple[str, Asked]]) -> str:
    """Accuracy of answers by a model, as the same model judges them."""
    verdicts = judged.correct(llm, [question for _, question in asked], judged.answers(caller, llm, asked))
    right = {
        name: [ok for (_, question), ok in zip(asked, verdicts, strict=True) if question.category == kind]
        for kind, name in CATEGORIES.items()
    }
    rows = [[name, str(len(group)), f"{100 * sum(group) / len(group):.1f}"] for name, group in right.items() if group]
    return table([f"answers by {llm['model']}, judged by it", "n", "correct, %"], rows)


def _named(embedder: str) -> str:
    return "words alone" if embedder == "none" else embedder


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.2f} ms"


def _each(cpu: float | None, searches: int) -> str:
    return "–" if cpu is None else _milliseconds(cpu / searches)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.recall", description=__doc__)
    parser.add_argument("data", nargs="?", type=Path, default=locomo.DEFAULT_FILE, help="LoCoMo's JSON file")
    parser.add_argument("--conversations", default="all", help="names with commas, or `all`")
    parser.add_argument("--embedders", default="none,minilm", help="names with commas")
    given = parser.parse_args()
    if not given.data.is_file():
        raise SystemExit(f"There is no file {given.data}: give the path of LoCoMo's JSON (make bench-recall DATA=…).")
    conversations = locomo.load(given.data, given.conversations)
    runs: dict[str, Measured] = {}
    for embedder in given.embedders.split(","):
        with temporary_home() as home, serving(home, embedder) as running:
            caller = running.caller("bench")
            runs[embedder] = measure(running, caller, conversations)
            if (llm := judged.chosen()) is not None:
                print(by_model(caller, llm, questions_of(conversations)) + "\n")
    turns = next(iter(runs.values())).turns
    questions = len(next(iter(runs.values())).searched)
    print(f"LoCoMo, turn level, through the service: {len(conversations)} conversations, {turns} turns, ", end="")
    print(f"{questions} questions; memories of one turn each.\n")
    for part in (quality, signals, answered, current, speed):
        print(f"{part(runs)}\n")


if __name__ == "__main__":
    main()
