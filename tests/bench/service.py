"""Start, CPU, latency and memory of the service: `python -m tests.bench.service` (`make bench`).

Figures of one run on one machine, beside raw asyncpg on the same PostgreSQL; nothing is asserted.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg as _asyncpg
import msgspec

from aurra.store.embedded import EmbeddedPostgres
from tests.bench.running import (
    Caller,
    Processor,
    Running,
    quantile,
    resident_bytes,
    serving,
    table,
    temporary_home,
    timed,
)

asyncpg: Any = _asyncpg

MEMORIES = 200
SEARCHES = 500
RAW = 500

_WHO = ["Kim", "Alva", "Bo", "Chen", "Dara", "Emeka", "Farah", "Gil"]
_DID = ["bought", "repaired", "painted", "sold", "lost", "borrowed", "described", "photographed", "returned", "wrapped"]
_WHAT = [
    "a green chair",
    "the old piano",
    "two bicycles",
    "a map of the coast",
    "her grandmother's ring",
    "a blue kite",
]
_WHERE = ["in Oslo", "near the harbour", "at the market", "on the night train", "behind the school", "in the garden"]


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """Of one kind of request: seconds of each, and CPU seconds of all in the service and in PostgreSQL."""

    seconds: list[float]
    service_cpu: float | None
    database_cpu: float | None


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What one service saw."""

    cold_seconds: float
    warm_seconds: float
    stored: Cost
    searched: Cost
    inserted: Cost
    selected: Cost
    resident: int | None


def sentence(number: int) -> str:
    """A short fact; no two of the first 2,000 are equal."""
    picked = [words[number * step % len(words)] for words, step in ((_WHO, 1), (_DID, 3), (_WHAT, 5), (_WHERE, 7))]
    return f"{' '.join(picked)} on day {number}"


def question(number: int) -> str:
    """A question that some of the facts bear on."""
    return f"What has {_WHO[number % len(_WHO)]} {_DID[number % len(_DID)]} {_WHERE[number % len(_WHERE)]}?"


def measure(home: Path, embedder: str) -> Measured:
    """Starts the service on the empty home, and again; stores and searches through the second."""
    cold = _start(home, embedder)
    began = time.perf_counter()
    with serving(home, embedder) as running:
        warm = time.perf_counter() - began
        caller = running.caller("bench")
        # The first requests open connections and load the model; another tenant takes them.
        for number in range(30):
            _store(caller, "warm", number)
            _search(caller, "warm", number)
        stored = _cost(running, MEMORIES, lambda number: _store(caller, "bench", number))
        searched = _cost(running, SEARCHES, lambda number: _search(caller, "bench", number))
        inserted, selected = asyncio.run(_raw(running))
        resident = resident_bytes(running.pid)
    return Measured(
        cold_seconds=cold,
        warm_seconds=warm,
        stored=stored,
        searched=searched,
        inserted=inserted,
        selected=selected,
        resident=resident,
    )


def _start(home: Path, embedder: str) -> float:
    began = time.perf_counter()
    with serving(home, embedder):
        return time.perf_counter() - began


def _store(caller: Caller, tenant: str, number: int) -> None:
    caller.post("/agent/memories", content=sentence(number), tenant_id=tenant)


def _search(caller: Caller, tenant: str, number: int) -> None:
    caller.post("/agent/search", query=question(number), tenant_id=tenant)


def _cost(running: Running, times: int, work: Callable[[int], None]) -> Cost:
    processor = Processor(running)
    seconds = [timed(lambda number=number: work(number)) for number in range(times)]
    service_cpu, database_cpu = processor.spent()
    return Cost(seconds=seconds, service_cpu=service_cpu, database_cpu=database_cpu)


async def _raw(running: Running) -> tuple[Cost, Cost]:
    """One durable insert of a plain row, and one select of it by its key, through asyncpg with nothing around it."""
    with EmbeddedPostgres.open(running.home) as postgres:
        connection = await asyncpg.connect(postgres.dsn)
        try:
            await connection.execute("CREATE TABLE bench_plain (id integer PRIMARY KEY, text text NOT NULL)")
            insert = await connection.prepare("INSERT INTO bench_plain (id, text) VALUES ($1, $2)")
            select = await connection.prepare("SELECT text FROM bench_plain WHERE id = $1")
            inserted = await _raw_cost(running, lambda number: insert.fetch(number, sentence(number)))
            selected = await _raw_cost(running, lambda number: select.fetch(number))
            await connection.execute("DROP TABLE bench_plain")
            return inserted, selected
        finally:
            await connection.close()


async def _raw_cost(running: Running, work: Callable[[int], Awaitable[object]]) -> Cost:
    processor, seconds = Processor(running), list[float]()
    for number in range(RAW):
        began = time.perf_counter()
        await work(number)
        seconds.append(time.perf_counter() - began)
    _, database_cpu = processor.spent()
    return Cost(seconds=seconds, service_cpu=None, database_cpu=database_cpu)


def report(plain: Measured, embedding: Measured) -> str:
    """Each figure with its aim; `plain` is without an embedder."""
    p50 = [quantile(cost.seconds, 0.5) for cost in (plain.stored, plain.searched, plain.inserted, plain.selected)]
    return table(
        ["figure", "value", "aim", "reached"],
        [
            _row("start to a healthy answer, cold (MiniLM)", embedding.cold_seconds, "s", 10),
            _row("start to a healthy answer, warm (MiniLM)", embedding.warm_seconds, "s", 3),
            _row("CPU a stored memory: service, no embedder", _each(plain.stored, "service_cpu"), "ms", 3),
            _row("CPU a stored memory: PostgreSQL", _each(plain.stored, "database_cpu"), "ms"),
            _row("CPU a stored memory: service, with MiniLM", _each(embedding.stored, "service_cpu"), "ms"),
            _row(f"CPU a search in {MEMORIES}: service, no embedder", _each(plain.searched, "service_cpu"), "ms", 4),
            _row(f"CPU a search in {MEMORIES}: PostgreSQL", _each(plain.searched, "database_cpu"), "ms"),
            _row(f"CPU a search in {MEMORIES}: service, with MiniLM", _each(embedding.searched, "service_cpu"), "ms"),
            _row("stored memory over HTTP, p50", p50[0] * 1000, "ms"),
            _row("raw durable insert, p50", p50[2] * 1000, "ms"),
            _row("stored memory / raw insert", p50[0] / p50[2], "×"),
            _row("search over HTTP, p50", p50[1] * 1000, "ms"),
            _row("search over HTTP with MiniLM, p50", quantile(embedding.searched.seconds, 0.5) * 1000, "ms"),
            _row("raw select by key, p50", p50[3] * 1000, "ms"),
            _row("search / raw select", p50[1] / p50[3], "×"),
            _row("resident memory without embedder", _megabytes(plain.resident), "MB"),
            _row("resident memory with MiniLM", _megabytes(embedding.resident), "MB", 350),
        ],
    )


def _row(name: str, value: float | None, unit: str, aim: float | None = None) -> list[str]:
    shown = "–" if value is None else f"{value:.2f} {unit}"
    if aim is None or value is None:
        return [name, shown, "" if aim is None else f"≤ {aim:g} {unit}", ""]
    return [name, shown, f"≤ {aim:g} {unit}", "yes" if value <= aim else "NO"]


def _each(cost: Cost, which: str) -> float | None:
    """CPU milliseconds of one request."""
    total: float | None = getattr(cost, which)
    return None if total is None else 1000 * total / len(cost.seconds)


def _megabytes(size: int | None) -> float | None:
    return None if size is None else size / 1_000_000


def main() -> None:
    """Prints the table."""
    measured: list[Measured] = []
    for embedder in ("none", "minilm"):
        with temporary_home() as home:
            measured.append(measure(home, embedder))
    print(report(*measured))


if __name__ == "__main__":
    main()
