"""What a search costs in small and in large tenants: `python -m tests.bench.scale` (`make bench-scale`).

Memories are stored through the API, in one account, 500 a request, each of a dozen words drawn as a language draws
them (the n-th word as often as 1/n), in conversations of thirty; questions are words of a memory. Their vectors, which
a model would take minutes for, are noise about a thousand centres, copied into the database under the name of the
service's model; what embedding a question costs is measured apart and taken off. Nothing is asserted.
"""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg as _asyncpg
import msgspec
import numpy as np

from aurra.providers.embed.minilm import DIMENSION, MiniLM
from aurra.store.embedded import EmbeddedPostgres
from tests.bench.running import Caller, Processor, Running, quantile, serving, table, temporary_home, timed

asyncpg: Any = _asyncpg

SIZES = (600, 6_000, 60_000)
GROWTH = 6.0
"""The most that a search in the largest may cost, in searches in the smallest."""
SEARCHES = 200
VOCABULARY = 30_000
_BATCH = 500
_WAIT_SECONDS = 300
_POSTED = """
    SELECT c.id FROM content c JOIN memory m ON m.company_id = c.company_id AND m.id = c.memory_id
    WHERE m.tenant_id = $1 ORDER BY c.id"""
_COPIED = """
    INSERT INTO embedding (company_id, content_id, model, vector)
    SELECT c.company_id, c.id, $2, v.vector::halfvec
    FROM unnest($1::uuid[], $3::text[]) AS v(id, vector) JOIN content c ON c.id = v.id"""
_UNINDEXED = """
    SELECT count(*) FROM content c JOIN memory m ON m.company_id = c.company_id AND m.id = c.memory_id
    WHERE m.tenant_id = $1 AND NOT EXISTS (
      SELECT 1 FROM segment s
      WHERE s.company_id = c.company_id AND s.tenant_id = $1 AND c.tx > s.from_tx AND c.tx <= s.to_tx
        AND ($2::text IS NULL OR EXISTS (
          SELECT 1 FROM segment_sketch k
          WHERE k.company_id = s.company_id AND k.segment_id = s.id AND k.model = $2)))"""


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """Of searches in one tenant: seconds of each, and CPU milliseconds of one in the service and in PostgreSQL."""

    seconds: list[float]
    service_cpu: float
    database_cpu: float

    @property
    def cpu(self) -> float:
        return self.service_cpu + self.database_cpu


def texts(count: int, seed: int) -> list[str]:
    """As many sentences of a dozen made-up words."""
    generator = np.random.default_rng(seed)
    weights = 1 / np.arange(1, VOCABULARY + 1)
    drawn = generator.choice(VOCABULARY, size=(count, 12), p=weights / weights.sum())
    return [" ".join(_word(number) for number in row) for row in drawn.tolist()]


def _word(number: int) -> str:
    """A word that no stemmer changes."""
    return "".join("bdgklmnprtvz"[number // 12**place % 12] + "aou"[place % 3] for place in range(4)) + "x"


def store(caller: Caller, tenant: str, sentences: Sequence[str]) -> None:
    """Each is a memory of the tenant; thirty are a conversation."""
    for start in range(0, len(sentences), _BATCH):
        memories = [
            {"content": text, "tenant_id": tenant, "session_id": f"talk {(start + number) // 30}"}
            for number, text in enumerate(sentences[start : start + _BATCH])
        ]
        caller.post("/agent/memories/bulk", memories=memories)


async def copy_vectors(connection: Any, tenant: str) -> None:
    """Every content of the tenant has a vector of the default model."""
    generator = np.random.default_rng(len(tenant))
    centres = generator.standard_normal((1000, DIMENSION))
    ids = [row["id"] for row in await connection.fetch(_POSTED, tenant)]
    for start in range(0, len(ids), 2000):
        some = ids[start : start + 2000]
        vectors = centres[generator.integers(0, 1000, len(some))] + 1.5 * generator.standard_normal(
            (len(some), DIMENSION)
        )
        vectors /= np.linalg.norm(vectors, axis=1)[:, None]
        shown = [f"[{','.join(f'{number:.5f}' for number in vector)}]" for vector in vectors.tolist()]
        await connection.execute(_COPIED, some, MiniLM.name, shown)


async def wait_for_index(connection: Any, caller: Caller, tenant: str, model: str | None) -> float:
    """Seconds until everything is indexed; a search asks for what is left."""
    began = time.monotonic()
    while left := await connection.fetchval(_UNINDEXED, tenant, model):
        if time.monotonic() - began > _WAIT_SECONDS:
            raise TimeoutError(f"{left} contents of {tenant} are not indexed")
        await asyncio.to_thread(search, caller, tenant, "anything")
        await asyncio.sleep(1)
    return time.monotonic() - began


def search(caller: Caller, tenant: str, query: str) -> None:
    """Ten of the tenant."""
    caller.post("/agent/search", query=query, tenant_id=tenant)


def measured(running: Running, caller: Caller, tenant: str, queries: Sequence[str]) -> Cost:
    """What searching costs once connections and pages are warm."""
    for query in queries[:20]:
        search(caller, tenant, query)
    processor = Processor(running)
    seconds = [timed(lambda query=query: search(caller, tenant, query)) for query in queries]
    service, database = processor.spent()
    each = 1000 / len(queries)
    return Cost(seconds=seconds, service_cpu=(service or 0.0) * each, database_cpu=(database or 0.0) * each)


def embedding_cost(queries: Sequence[str]) -> tuple[float, float]:
    """Milliseconds by the clock and of CPU that the model takes for a question."""

    async def embed() -> tuple[float, float]:
        model = MiniLM()
        await model.embed(queries[:20])
        began, cpu = time.perf_counter(), time.process_time()
        for query in queries:
            await model.embed([query])
        spent = time.perf_counter() - began, time.process_time() - cpu
        await model.close()
        return spent

    clock, cpu = asyncio.run(embed())
    return 1000 * clock / len(queries), 1000 * cpu / len(queries)


async def raw_floor(connection: Any) -> Cost:
    """One row by its key, with nothing around it."""
    statement = await connection.prepare("SELECT text FROM content WHERE company_id = $1 AND id = $2")
    keys = await connection.fetch("SELECT company_id, id FROM content LIMIT 500")
    seconds: list[float] = []
    for row in keys:
        began = time.perf_counter()
        await statement.fetch(row["company_id"], row["id"])
        seconds.append(time.perf_counter() - began)
    return Cost(seconds=seconds, service_cpu=0.0, database_cpu=0.0)


async def _with_words(running: Running, caller: Caller, connection: Any) -> dict[int, Cost]:
    for size in SIZES:
        sentences = texts(size, size)
        seconds = await asyncio.to_thread(timed, lambda size=size, s=sentences: store(caller, tenant_of(size), s))
        indexed = await wait_for_index(connection, caller, tenant_of(size), None) if size > SIZES[0] else 0.0
        print(f"stored {size} in {seconds:.1f} s, indexed {indexed:.1f} s later", flush=True)
    await connection.execute("ANALYZE")
    return await _rounds(running, caller)


async def _with_vectors(running: Running, caller: Caller, connection: Any) -> dict[int, Cost]:
    for size in SIZES:
        await copy_vectors(connection, tenant_of(size))
    await connection.execute("ANALYZE")
    # It finds the vectors made; the service takes it up within seconds.
    await asyncio.to_thread(running.command, "embeddings", "switch", "minilm")
    for size in SIZES[1:]:
        seconds = await wait_for_index(connection, caller, tenant_of(size), MiniLM.name)
        print(f"vectors of {size} indexed in {seconds:.1f} s", flush=True)
    return await _rounds(running, caller)


async def _rounds(running: Running, caller: Caller) -> dict[int, Cost]:
    queries = questions()
    return {size: await asyncio.to_thread(measured, running, caller, tenant_of(size), queries) for size in SIZES}


def tenant_of(size: int) -> str:
    """The tenant of that many memories."""
    return f"tenant of {size}"


def questions() -> list[str]:
    """Six words of a memory each: common ones and rare ones."""
    return [" ".join(text.split()[:6]) for text in texts(SEARCHES, 1)]


def report(rounds: dict[str, dict[int, Cost]], embedding: tuple[float, float], floor: Cost) -> str:
    """A row a round and size; the last column is the cost in that of the smallest."""
    rows: list[list[str]] = []
    for name, costs in rounds.items():
        off_clock, off_cpu = embedding if name == "vectors" else (0.0, 0.0)
        p50s = {size: 1000 * quantile(cost.seconds, 0.5) - off_clock for size, cost in costs.items()}
        cpus = {size: cost.cpu - off_cpu for size, cost in costs.items()}
        for size, cost in costs.items():
            growth = max(p50s[size] / p50s[SIZES[0]], cpus[size] / cpus[SIZES[0]])
            rows.append(
                [
                    f"{name}, {size:,}",
                    f"{p50s[size]:.1f} ms",
                    f"{1000 * quantile(cost.seconds, 0.95) - off_clock:.1f} ms",
                    f"{cost.service_cpu - off_cpu:.1f} ms",
                    f"{cost.database_cpu:.1f} ms",
                    f"{p50s[size] / p50s[SIZES[0]]:.1f} ×",
                    f"{cpus[size] / cpus[SIZES[0]]:.1f} ×",
                    "yes" if growth <= GROWTH else "NO",
                ]
            )
    head = ["memories", "p50", "p95", "CPU, service", "CPU, PostgreSQL", "p50 growth", "CPU growth", f"≤ {GROWTH:g} ×"]
    below = (
        f"\nOff a question with vectors are {embedding[0]:.1f} ms ({embedding[1]:.1f} ms of CPU) of embedding. "
        f"A raw select by key: p50 {1000 * quantile(floor.seconds, 0.5):.2f} ms."
    )
    return table(head, rows) + below


async def _measured(home: Path) -> tuple[dict[str, dict[int, Cost]], Cost]:
    with serving(home, "none") as running, EmbeddedPostgres.open(running.home) as postgres:
        caller = running.caller("scale")
        connection = await asyncpg.connect(postgres.dsn)
        try:
            words = await _with_words(running, caller, connection)
            vectors = await _with_vectors(running, caller, connection)
            return {"words": words, "vectors": vectors}, await raw_floor(connection)
        finally:
            await connection.close()


def main() -> None:
    """Prints the table."""
    with temporary_home() as home:
        rounds, floor = asyncio.run(_measured(home))
    print(report(rounds, embedding_cost(questions()), floor))


if __name__ == "__main__":
    main()
