"""What versions and transactions cost: `python -m tests.bench.time` (`make bench-time`).

Operations inside this process, without HTTP or embedder, beside raw asyncpg, COPY, or the same read of now, all on one
embedded PostgreSQL. Ratios of one run on one machine; nothing is asserted.
"""

import asyncio
import datetime as dt
import itertools
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any
from uuid import uuid4

import msgspec
import numpy as np
from numpy.typing import NDArray

from aurra.types.common import Request, TransactionRef
from aurra.types.memories import BulkItem, BulkWrite, BulkWritten, MemoryList, MemoryWrite
from aurra.types.questions import Search
from aurra.types.verbs import Correct, Supersede
from tests.bench.inside import Agent, Inside, Send, Spent, Work, at_once, beside, one_by_one, opened, ratio, run
from tests.bench.running import table

BULK = 500
WRITERS = 32
ROUNDS = 13
"""Of each figure, and one before them to warm up."""
SINGLE = 80
"""Requests of a round that come one after the other."""
EACH = 6
"""Requests of each of the writers in a round."""
PLAIN = 160
"""Transactions of the floor in a round."""
STORED = 5000
"""Memories whose bytes are counted."""
FURTHER = 2
"""Further versions of each of them."""
VACUUM_EVERY = 1000
"""Versions closed in between: autovacuum's share of the 5,000."""
HISTORIES = 300
VERSIONS = 10
READS = 10
READ_ROUNDS = 40

_TOWNS = ["Lisbon", "Bergen", "Krakow", "Nagoya", "Valencia", "Tampere", "Galway", "Quebec", "Utrecht", "Salta"]
_TRADES = ["bookbinder", "ferry pilot", "gardener", "piano tuner", "translator", "welder", "nurse"]
_FIRST = ("memory", "content", "version", "embedding", "transaction")
_TABLES = """
SELECT relname, pg_total_relation_size(oid) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
"""


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the report; without an aim it only stands beside another."""

    name: str
    value: float | str
    unit: str = "×"
    most: float | None = None
    least: float | None = None

    def cells(self) -> list[str]:
        """As the table shows it."""
        if isinstance(self.value, str):
            return [self.name, self.value, "", ""]
        shown = f"{self.value:.0f} {self.unit}" if self.value >= 100 else f"{self.value:.2f} {self.unit}"
        if self.most is not None:
            return [self.name, shown, f"≤ {self.most:g} {self.unit}", _reached(self.value <= self.most)]
        if self.least is not None:
            return [self.name, shown, f"≥ {self.least:g} {self.unit}", _reached(self.value >= self.least)]
        return [self.name, shown, "", ""]


def _reached(is_reached: bool) -> str:
    return "yes" if is_reached else "NO"


class RandomVectors:
    """An embedder of 384 random dimensions: what vectors take on disk, whatever they mean."""

    name = "random"
    dimension = 384
    window = 1_000_000

    def __init__(self) -> None:
        self._random = np.random.default_rng(1)

    def length(self, text: str) -> int:
        """Nothing is too long."""
        return 0

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """A random unit vector a text."""
        vectors = self._random.standard_normal((len(texts), self.dimension), dtype=np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    async def close(self) -> None:
        """Nothing to release."""


def fact(number: int) -> str:
    """A short fact of some 60 characters; no two are equal."""
    town, trade = _TOWNS[number % len(_TOWNS)], _TRADES[number % len(_TRADES)]
    return f"Moved to {town} and works there as a {trade} since day {number}"


def in_slot(number: int, slots: int) -> MemoryWrite:
    """A fact for one of so many slots."""
    return MemoryWrite(content=fact(number), subject=f"Person {number % slots}", attribute="home and work")


async def stored(agent: Agent, count: int) -> list[str]:
    """Ids of so many new memories of the account, each alone in its slot."""
    ids: list[str] = []
    for first in range(0, count, BULK):
        done = await _bulk(agent, range(first, min(first + BULK, count)), count)
        ids += map(_id_of, done.items)
    return ids


async def _bulk(agent: Agent, numbers: range, slots: int) -> BulkWritten:
    return await agent.do("memories.bulk", BulkWrite(memories=[in_slot(number, slots) for number in numbers]))


def _id_of(item: BulkItem) -> str:
    assert item.memory_id is not None
    return item.memory_id


# What it takes on disk.


async def bytes_on_disk(inside: Inside) -> list[Figure]:
    """Of first versions, and of further ones that share their content. The database must hold nothing else."""
    agent = await inside.agent("on disk", embedder=RandomVectors())
    empty = await _sizes(inside)
    ids = await stored(agent, STORED)
    first = await _sizes(inside)
    await shorten(inside, agent, ids)
    further = await _sizes(inside)
    versions = FURTHER * STORED
    return [
        _bytes("bytes of a first version, its vector and indexes", empty, first, _FIRST, STORED, 2600),
        _bytes("– and its slot", empty, first, ("slot",), STORED),
        _bytes("bytes of a further version with the same content", first, further, ("version",), versions, 700),
        _bytes("– and its transaction", first, further, ("transaction",), versions),
    ]


async def shorten(inside: Inside, agent: Agent, ids: Sequence[str]) -> None:
    """Each memory ends earlier and earlier, so often as it gets further versions."""
    for year in range(2090, 2090 - FURTHER, -1):
        end = f"{year}-01-01"
        for first in range(0, len(ids), VACUUM_EVERY):
            await _end_all(agent, iter(ids[first : first + VACUUM_EVERY]), end)
            await inside.superuser.execute("VACUUM version")


async def _end_all(agent: Agent, ids: Iterator[str], end: str) -> None:
    async def writer() -> None:
        for id_ in ids:
            await agent.do("memories.supersede", Supersede(memory_id=id_, valid_to=end))

    await asyncio.gather(*(writer() for _ in range(WRITERS)))


async def _sizes(inside: Inside) -> dict[str, int]:
    """Bytes of each table with its indexes."""
    await inside.superuser.execute("VACUUM ANALYZE")
    return dict(await inside.superuser.fetch(_TABLES))


def _bytes(
    name: str, was: dict[str, int], now: dict[str, int], tables: Sequence[str], count: int, most: float | None = None
) -> Figure:
    grown = sum(now[one] - was[one] for one in tables)
    return Figure(name=name, value=grown / count, unit="B", most=most)


# Supersessions.

_RAW_OPEN = """
SELECT company_id, id, tenant_id, memory_id, lane, content_id, valid, tx_from FROM bench_version
WHERE tx_to IS NULL ORDER BY id DESC LIMIT $1
"""
_RAW_CLOSE = """
UPDATE bench_version SET tx_to = $3, tx_to_at = $4, replaced_by = $5 WHERE company_id = $1 AND id = $2 AND tx_to IS NULL
"""
_RAW_INSERT = """
INSERT INTO bench_version (company_id, id, tenant_id, memory_id, lane, content_id, valid, tx_from, tx_from_at, op)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'leftover')
"""


async def supersessions(inside: Inside) -> list[Figure]:
    """One at a time and 32 at once, beside a raw transaction of two statements."""
    works = await superseding_works(inside)
    works["raw"] = one_by_one(PLAIN, await _raw_supersession(inside))
    await inside.superuser.execute("ANALYZE")
    spent = await inside.rounds(works, ROUNDS)
    return [
        *_against_raw(spent, "assert", "CPU of an assert into a held slot / of a raw close and open", 3.5),
        *_against_raw(spent, "supersede", "CPU of a supersede by an existing memory / of the same", 3.5),
        *_against_raw(spent, "asserts", f"CPU of an assert, {WRITERS} at once / of the same, one at a time", 1.5),
        *_against_raw(spent, "supersedes", f"CPU of a supersede, {WRITERS} at once / of the same", 1.5),
    ]


async def superseding_works(inside: Inside) -> dict[str, Work]:
    """What supersedes in this product, each memory once."""
    agent = await inside.agent("supersessions")
    targets = (ROUNDS + 1) * (SINGLE + WRITERS * EACH)
    ids = await stored(agent, 3 * targets)
    persons, others = iter(range(targets)), iter(ids[targets:])

    def assert_(agent: Agent = agent) -> Awaitable[object]:
        return agent.do("memories.add", in_slot(next(persons) + len(ids), len(ids)))

    def supersede(agent: Agent = agent) -> Awaitable[object]:
        return agent.do("memories.supersede", Supersede(memory_id=next(others), superseded_by=next(others)))

    return {
        "assert": one_by_one(SINGLE, assert_),
        "asserts": at_once(WRITERS, EACH, assert_),
        "supersede": one_by_one(SINGLE, supersede),
        "supersedes": at_once(WRITERS, EACH, supersede),
    }


def _against_raw(spent: dict[str, list[Spent]], name: str, title: str, most: float) -> list[Figure]:
    value = ratio(spent[name], spent["raw"], lambda one: one.cpu_each)
    return [Figure(name=title, value=value, most=most), _with_database(spent[name], spent["raw"])]


def _with_database(ours: Sequence[Spent], floor: Sequence[Spent]) -> Figure:
    return Figure(name="– CPU each, here + in PostgreSQL", value=f"{beside(ours)} / {beside(floor)}")


async def _raw_supersession(inside: Inside) -> Send:
    """Each call closes the next row of a table like `version`, and opens one in its place."""
    await inside.superuser.execute("CREATE TABLE bench_version (LIKE version INCLUDING ALL)")
    await inside.superuser.execute("INSERT INTO bench_version SELECT * FROM version")
    connection = await inside.connect()
    rows = iter(await connection.fetch(_RAW_OPEN, (ROUNDS + 1) * PLAIN))
    close, insert = await connection.prepare(_RAW_CLOSE), await connection.prepare(_RAW_INSERT)

    async def supersede() -> None:
        company_id, version, tenant_id, memory_id, lane, content_id, valid, tx_from = next(rows)
        tx, at = tx_from + 1, dt.datetime.now(dt.UTC)
        async with connection.transaction():
            await close.fetch(company_id, version, tx, at, memory_id)
            await insert.fetch(company_id, uuid4(), tenant_id, memory_id, lane, content_id, valid, tx, at)

    return supersede


# Writers at once.


async def writers(inside: Inside) -> list[Figure]:
    """Requests a second of 32 writers of one account, beside one writer, and 32 connections that insert plain rows."""
    agent = await inside.agent("writers")
    numbers = itertools.count()

    def add() -> Awaitable[object]:
        return agent.do("memories.add", MemoryWrite(content=fact(next(numbers))))

    works = {
        "one": one_by_one(SINGLE, add),
        "many": at_once(WRITERS, 2 * EACH, add),
        "raw": await _raw_inserts(inside, 4 * EACH),
    }
    spent = await inside.rounds(works, ROUNDS)
    one, many, raw = spent["one"], spent["many"], spent["raw"]
    return [
        Figure(name=f"memories a second, {WRITERS} writers / 1 writer", value=ratio(many, one, _rate), least=4),
        Figure(name="– memories a second", value=f"{_rates(many)} / {_rates(one)}"),
        _with_database(many, one),
        Figure(
            name=f"{WRITERS} writers / {WRITERS} raw inserts of plain rows", value=ratio(many, raw, _rate), least=0.2
        ),
        Figure(name="– rows a second", value=f"{_rates(many)} / {_rates(raw)}"),
        _with_database(many, raw),
    ]


async def _raw_inserts(inside: Inside, each: int) -> Work:
    """As many connections as writers insert rows, each row in a durable transaction of its own."""
    await inside.superuser.execute("CREATE TABLE bench_plain (id integer PRIMARY KEY, text text NOT NULL)")
    connections = [await inside.connect() for _ in range(WRITERS)]
    inserts = [await one.prepare("INSERT INTO bench_plain (id, text) VALUES ($1, $2)") for one in connections]
    numbers = itertools.count()

    async def write(insert: Any) -> int:
        for number in itertools.islice(numbers, each):
            await insert.fetch(number, fact(number))
        return each

    async def work(_: int) -> int:
        return sum(await asyncio.gather(*map(write, inserts)))

    return work


def _rate(spent: Spent) -> float:
    return spent.rate


def _rates(spent: Sequence[Spent]) -> str:
    return f"{statistics.median(map(_rate, spent)):,.0f}"


# Bulk.

_COPIED = {"transaction": "id", "slot": "tx", "memory": "created_tx", "content": "tx", "version": "tx_from"}
"""Tables in the order of their references, with the column that names the transaction of a row."""
Rows = dict[str, list[tuple[Any, ...]]]


async def bulks(inside: Inside) -> list[Figure]:
    """Bulk of 500, beside COPY of the very same rows for another account, in one transaction."""
    agent, other = await inside.agent("bulk"), await inside.agent("copy")
    copying = await inside.connect()
    # The driver has no form for it: bytes, as they are on the wire.
    await copying.set_type_codec("tsvector", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary")
    ours, floor = list[Spent](), list[Spent]()
    for number in range(ROUNDS + 1):
        ours.append(await inside.measure(lambda number: _one_bulk(agent, number), number))
        rows = await _rows_of(copying, agent, other, number + 1)
        floor.append(await inside.measure(lambda _, rows=rows: _copy(copying, rows), number))
    ours, floor = ours[1:], floor[1:]
    return [
        Figure(
            name=f"rows a second, bulk of {BULK} / COPY of the same rows", value=ratio(ours, floor, _rate), least=0.3
        ),
        Figure(name="– rows a second", value=f"{_rates(ours)} / {_rates(floor)}"),
        _with_database(ours, floor),
    ]


async def _one_bulk(agent: Agent, number: int) -> int:
    await _bulk(agent, range(number * BULK, (number + 1) * BULK), BULK * (ROUNDS + 1))
    return BULK


async def _rows_of(connection: Any, agent: Agent, other: Agent, tx: int) -> Rows:
    """All rows of a transaction, as another account would have them."""
    found: Rows = {}
    for name, number in _COPIED.items():
        query = f"SELECT * FROM {name} WHERE company_id = $1 AND {number} = $2"
        records = await connection.fetch(query, agent.company_id, tx)
        found[name] = [(other.company_id, *tuple(record)[1:]) for record in records]
    return found


async def _copy(connection: Any, rows: Rows) -> int:
    async with connection.transaction():
        for name, records in rows.items():
            await connection.copy_records_to_table(name, records=records)
    return BULK


# Reading the past.


async def past(inside: Inside) -> list[Figure]:
    """A list and a search at a past transaction, beside the same now; 300 memories with 10 versions each."""
    agent = await inside.agent("past")
    middle = await _histories(agent)
    await inside.superuser.execute("VACUUM ANALYZE")
    then = {"transaction_as_of": middle.id}
    moments: list[dict[str, Any]] = [{}, then, {**then, "as_of": middle.at}]
    numbers = itertools.count()

    def asked(moment: dict[str, Any]) -> Request:
        number = next(numbers)
        query = f"Who works in {_TOWNS[number % len(_TOWNS)]} as a {_TRADES[number % len(_TRADES)]}?"
        return Search(query=query, **moment)

    listed = await _reads(inside, agent, "memories.list", [lambda one=one: MemoryList(**one) for one in moments])
    found = await _reads(inside, agent, "memories.search", [lambda one=one: asked(one) for one in moments])
    return [*_against_now("list", listed), *_against_now("search", found)]


async def _histories(agent: Agent) -> TransactionRef:
    """Memories that are corrected again and again; returns the transaction in the middle."""
    ids = await stored(agent, HISTORIES)
    done: list[TransactionRef] = []

    async def correct(left: Iterator[tuple[int, str]]) -> None:
        for number, id_ in left:
            request = Correct(memory_id=id_, reason="It was another town.", content=fact(number))
            done.append((await agent.do("memories.correct", request)).transaction)

    for version in range(1, VERSIONS):
        left = enumerate(ids, version * HISTORIES)
        await asyncio.gather(*(correct(left) for _ in range(WRITERS)))
    return sorted(done, key=lambda one: one.id)[len(done) // 2]


class Reads(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of read: seconds of each, and what they took."""

    seconds: list[float]
    spent: list[Spent]


async def _reads(inside: Inside, agent: Agent, operation: str, asked: Sequence[Callable[[], Request]]) -> list[Reads]:
    """Each kind of read many times, in turn."""
    seconds: list[list[float]] = [[] for _ in asked]

    async def read(index: int) -> None:
        began = time.perf_counter()
        await agent.do(operation, asked[index]())
        seconds[index].append(time.perf_counter() - began)

    works = {str(index): one_by_one(READS, lambda index=index: read(index)) for index in range(len(asked))}
    spent = await inside.rounds(works, READ_ROUNDS)
    return [Reads(seconds=one[READS:], spent=spent[str(index)]) for index, one in enumerate(seconds)]


def _against_now(title: str, reads: Sequence[Reads]) -> list[Figure]:
    now, *thens = reads
    figures: list[Figure] = []
    for name, then in zip(("transaction", "transaction and instant"), thens, strict=True):
        p50, p50_now = statistics.median(then.seconds), statistics.median(now.seconds)
        figures += [
            Figure(name=f"{title} at a past {name} / now", value=p50 / p50_now, most=2),
            Figure(name="– p50", value=f"{1000 * p50:.2f} / {1000 * p50_now:.2f} ms"),
            _with_database(then.spent, now.spent),
        ]
    return figures


async def measured() -> list[Figure]:
    """Every figure. Bytes come first, while the database is empty."""
    async with opened() as inside:
        on_disk = await bytes_on_disk(inside)
        return [
            *await supersessions(inside),
            *await writers(inside),
            *await bulks(inside),
            *await past(inside),
            *on_disk,
        ]


def main() -> None:
    """Prints the table."""
    figures = run(measured())
    print(table(["figure", "value", "aim", "reached"], [figure.cells() for figure in figures]))


if __name__ == "__main__":
    main()
