"""The index of large tenants: it may be there, be behind, be broken or not be there at all; a search says the same."""

import asyncio
import datetime as dt
import itertools
import random
import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from numpy.typing import NDArray

from aurra import jobs, sketches
from aurra.app import open_service
from aurra.context import Service
from aurra.ids import Ids
from aurra.settings import read_settings
from aurra.store import ledger, migrate, search, segments
from aurra.store.queries import load
from aurra.store.search import Scope
from tests.conftest import Account, MakeAccount
from tests.plain import connected, execute, own_database

EXACT_UP_TO = 40
Json = dict[str, Any]


@pytest.fixture(scope="module", params=["none", "minilm"])
def embedder(request: pytest.FixtureRequest) -> str:
    """Without and with vectors."""
    return request.param


@pytest.fixture(scope="module")
async def dsn(dsn: str, embedder: str) -> AsyncIterator[str]:
    """A database of its own: the first service on it decides on the embedder."""
    assert embedder
    async with own_database(dsn) as own:
        yield own


@pytest.fixture(scope="module")
async def service(dsn: str, embedder: str) -> AsyncIterator[Service]:
    """A service for which forty memories are many. It runs jobs when a test says so."""
    await migrate.migrate(dsn)
    settings = {"AURRA_EXACT_UP_TO": str(EXACT_UP_TO), "AURRA_EMBEDDER": embedder}
    async with open_service(read_settings(settings), dsn) as running:
        assert (running.embedder is None) == (embedder == "none")
        yield running


async def run_jobs(service: Service, account: Account) -> None:
    """What was asked for in the background is done."""
    await asyncio.gather(*service.tasks)
    await jobs.run_due(service, account.row.id)


async def covered(service: Service, account: Account, tenant: str = "") -> list[segments.Span]:
    """The tenant's segments."""
    model = service.embedder.name if service.embedder else None
    async with service.database.read(account.row.id) as tx:
        return await segments.spans(tx, tenant, model)


async def index(service: Service, account: Account, tenant: str = "") -> None:
    """Everything of the tenant is indexed."""
    await run_jobs(service, account)
    job = jobs.indexing.Job(uuid4(), account.row.id, "index", f'{{"tenant_id": "{tenant}"}}', 1)
    await jobs.indexing.index(service, job)


WORDS = ["ship", "harbour", "song", "tree", "bread", "winter", "letter", "bridge", "candle", "river", "stone", "garden"]


def sentence(number: int) -> str:
    """One of many, no two alike."""
    chosen = random.Random(number)
    return f"{' '.join(chosen.choices(WORDS, k=chosen.randint(2, 7)))} number {number}"


async def tell(account: Account, first: int, last: int, tenant_id: str = "") -> None:
    """Memories by their numbers, in a few transactions; every third in a session, topics in turn."""
    numbers = range(first, last)
    for start in range(0, len(numbers), 25):
        batch = [
            {
                "content": sentence(number),
                "tenant_id": tenant_id,
                "topic": f"topic {number % 4}",
                **({"session_id": f"talk {number % 2}"} if number % 3 == 0 else {}),
                **({"subject": "kim"} if number % 5 == 0 else {}),
            }
            for number in numbers[start : start + 25]
        ]
        await account.post("/agent/memories/bulk", memories=batch)


async def change(account: Account) -> None:
    """Something is superseded, retracted, corrected, scheduled and over."""
    ids = [memory["id"] for memory in (await account.get("/agent/memories", limit=30))["memories"]]
    await account.post(f"/memories/{ids[0]}/supersede", superseded_by=ids[1])
    await account.post(f"/memories/{ids[2]}/retract")
    await account.post(f"/memories/{ids[3]}/correct", content="the ship was a river of bread", reason="misheard")
    await account.post(f"/memories/{ids[4]}/supersede", valid_to="2098-01-01")
    await account.add("the ship will be a bridge", valid_from="2999-01-01")
    for colour in ("red", "green", "blue"):
        await account.add(f"the ship is {colour}", subject="ship", attribute="colour")


async def test_a_search_says_the_same_whatever_the_index_holds(account: Account, service: Service, dsn: str) -> None:
    """At one moment of both times, a question finds the same, in the same order, with the same shares: before anything
    is indexed, indexed, half indexed, with a segment gone, and after any later writes."""
    await tell(account, 0, 30)
    moments = [await moment(account)]
    await tell(account, 30, 70)
    moments.append(await moment(account))
    await change(account)
    moments.append(await moment(account))
    before = await asked(account, moments)
    assert await covered(service, account) == []
    await index(service, account)
    spans = await covered(service, account)
    assert sum(span.contents for span in spans) == 30 + 40 + 5
    assert await asked(account, moments) == before
    await tell(account, 70, 250)
    await change(account)
    assert await asked(account, moments) == before
    moments.append(await moment(account))
    late = await asked(account, moments)
    await index(service, account)
    assert await asked(account, moments) == late
    spans = await covered(service, account)
    assert len(spans) > 1
    for span in spans[:2]:
        await forget(service, account, span.id)
        assert await asked(account, moments) == late
    await index(service, account)
    assert await asked(account, moments) == late
    assert all(span.is_sketched or service.embedder is None for span in await covered(service, account))


async def moment(account: Account) -> Json:
    """Both times of now."""
    answer = await account.post("/agent/search", query="ship")
    return {"as_of": answer["as_of"], "transaction_as_of": answer["transaction"]["id"]}


FILTERS: list[Json] = [
    {},
    {"limit": 37},
    {"topics": ["topic 1"]},
    {"session_id": "talk 1"},
    {"subject": "kim"},
    {"topics": ["topic 2"], "session_id": "talk 0"},
]
QUESTIONS = ["Which ship is red?", "a letter from the harbour in winter", "xyzzy plugh", "number 17"]


async def asked(account: Account, moments: list[Json]) -> list[Any]:
    """Every question at every moment, with every filter: ids, scores and their shares."""
    found: list[Any] = []
    for query in QUESTIONS:
        for when in moments:
            for fields in FILTERS:
                answer = await account.post("/agent/search", query=query, explain=True, **when, **fields)
                found.append([(one["id"], one["score"], one["signals"]) for one in answer["memories"]])
            then = await account.post("/agent/search", query=query, transaction_as_of=when["transaction_as_of"])
            found.append([(one["id"], one["score"]) for one in then["memories"]])
    return found


async def forget(service: Service, account: Account, segment: UUID) -> None:
    """A segment is gone."""
    async with service.database.begin(account.row.id) as tx:
        await segments.remove(tx, [segment])


async def test_property_24_a_large_tenant_loses_nothing_and_shows_nothing_else(
    account: Account, service: Service
) -> None:
    """min(limit, what qualifies), for every filter and moment; and only what the list says is believed and valid."""
    await tell(account, 0, 130)
    await change(account)
    first = await moment(account)
    await index(service, account)
    await tell(account, 130, 170)
    await change(account)
    await tell(account, 0, 90, tenant_id="other")
    for when in (first, await moment(account), {"transaction_as_of": first["transaction_as_of"]}):
        for fields in FILTERS:
            qualify = await believed(account, {**when, **fields})
            for limit in (1, 10, 100, 1000):
                for query in QUESTIONS:
                    answer = await account.post("/agent/search", query=query, **{**when, **fields, "limit": limit})
                    ids = [one["id"] for one in answer["memories"]]
                    assert len(ids) == min(limit, len(qualify))
                    assert set(ids) <= qualify


async def believed(account: Account, fields: Json) -> set[str]:
    """The ids that the list has, page by page."""
    fields = dict(fields)
    fields.pop("limit", None)
    topics = fields.pop("topics", [None])
    found: set[str] = set()
    query: Json = {**fields, "limit": 100, **({"topic": topics[0]} if topics[0] else {})}
    while True:
        page = await account.get("/agent/memories", **query)
        found |= {memory["id"] for memory in page["memories"]}
        if not page.get("next_cursor"):
            return found
        query["cursor"] = page["next_cursor"]


async def test_another_account_and_tenant_are_not_in_it(make_account: MakeAccount, service: Service) -> None:
    """Two accounts and two tenants with the same contents: each finds its own."""
    one, other = await make_account(), await make_account()
    for account in (one, other):
        for tenant in ("", "b"):
            await tell(account, 0, 60, tenant_id=tenant)
            await index(service, account, tenant)
    for account in (one, other):
        for tenant in ("", "b"):
            answer = await account.post("/agent/search", query=sentence(7), limit=1000, tenant_id=tenant)
            own = await believed(account, {"tenant_id": tenant})
            assert {memory["id"] for memory in answer["memories"]} == own
            assert answer["memories"][0]["decision"] == sentence(7)


async def test_what_is_written_is_indexed_in_the_background(account: Account, service: Service) -> None:
    """Once enough was written a job waits, one, however often it was asked for; nothing is left afterwards."""
    await tell(account, 0, 20)
    await run_jobs(service, account)
    assert await covered(service, account) == []
    await tell(account, 20, 200)
    await run_jobs(service, account)
    spans = await covered(service, account)
    head = (await account.post("/agent/search", query="ship"))["transaction"]["id"]
    assert (spans[0].from_tx, spans[-1].to_tx) == (0, head)
    assert all(left.to_tx == right.from_tx for left, right in itertools.pairwise(spans))
    assert sum(span.contents for span in spans) == 200


async def test_the_queue_names_no_tenant(account: Account, service: Service, dsn: str) -> None:
    """Its table is the installation's, without row-level security: a job knows the tenant by a memory's id. Where that
    was erased, nothing is done; what waits from the release before, which has the name, still is."""
    tenant = f"tenant {uuid4()}"
    await tell(account, 0, 60, tenant)
    await asyncio.gather(*service.tasks)
    async with connected(dsn) as connection:
        waiting = [
            row[0] for row in await connection.fetch("SELECT t::text FROM job t WHERE account = $1", account.row.id)
        ]
    assert waiting and not [job for job in waiting if tenant in job]
    await jobs.run_due(service, account.row.id)
    assert sum(span.contents for span in await covered(service, account, tenant)) == 60
    for arguments in (f'{{"memory_id": "{uuid4()}"}}', f'{{"tenant_id": "{tenant}"}}'):
        await jobs.indexing.index(service, jobs.indexing.Job(uuid4(), account.row.id, "index", arguments, 1))


async def test_a_search_that_finds_much_unindexed_has_it_indexed(account: Account, service: Service, dsn: str) -> None:
    """Whatever became of the job that a write asked for."""
    await tell(account, 0, 100)
    await asyncio.gather(*service.tasks)
    await execute(dsn, f"DELETE FROM job WHERE account = '{account.row.id}'")
    await account.post("/agent/search", query="ship")
    await run_jobs(service, account)
    assert sum(span.contents for span in await covered(service, account)) == 100


async def test_a_killed_job_loses_nothing(account: Account, service: Service) -> None:
    """Stopped after any segment, what it made is whole; the next goes on from there."""
    await tell(account, 0, 400)
    await asyncio.gather(*service.tasks)
    now = await moment(account)
    before = await asked(account, [now])
    task = asyncio.create_task(index(service, account))
    while not await covered(service, account):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait((task,))
    begun = await covered(service, account)
    assert await asked(account, [now]) == before
    await index(service, account)
    spans = await covered(service, account)
    assert spans[0].id == begun[0].id
    assert sum(span.contents for span in spans) == 400
    assert await asked(account, [now]) == before


async def test_few_segments_and_none_made_again_often(account: Account, service: Service) -> None:
    """A tenant that grows little by little, among others that grow faster, has few segments, which cover all."""
    await tell(account, 0, 60)
    for number in range(60, 100, 4):
        await tell(account, number, number + 4)
        await tell(account, number, number + 20, tenant_id="other")
        await index(service, account)
    spans = await covered(service, account)
    assert len(spans) <= 4
    assert sum(span.contents for span in spans) == 100
    await tell(account, 100, 120, tenant_id="other")
    await index(service, account)
    head = (await account.post("/agent/search", query="ship"))["transaction"]["id"]
    assert (await covered(service, account))[-1].to_tx == head


async def test_erased_words_leave_the_index_at_once(account: Account, service: Service, dsn: str) -> None:
    """No word, id or vector of an erased memory is in the index; all else is found as before, and indexed anew."""
    await tell(account, 0, 80)
    word = f"canary{uuid4().hex}"
    memory = await account.add(f"the plan is {word}")
    await account.post(f"/memories/{memory}/correct", content=f"the {word} was the plan", reason="misheard")
    await tell(account, 80, 160)
    await index(service, account)
    assert await lexemes(dsn, account, word) == 1
    erased = len(await covered(service, account))
    await account.post(f"/memories/{memory}/erase", reason="asked to")
    assert await lexemes(dsn, account, word) == 0
    assert len(await covered(service, account)) < erased
    assert await rows_of(dsn, account, "segment_sketch") <= len(await covered(service, account))
    answer = await account.post("/agent/search", query=word, limit=1000)
    assert {one["id"] for one in answer["memories"]} == await believed(account, {})
    await index(service, account)
    assert sum(span.contents for span in await covered(service, account)) == 160
    assert await lexemes(dsn, account, word) == 0
    again = await account.post("/agent/search", query=word, limit=1000)
    assert again["memories"] == answer["memories"]


async def test_an_erased_tenant_is_in_no_segment(account: Account, service: Service, dsn: str) -> None:
    """Nor is its name, in a segment that covers what others wrote."""
    await tell(account, 0, 60, "acme")
    await index(service, account, "acme")
    await account.add("told elsewhere")
    await index(service, account, "acme")
    assert [span.contents for span in await covered(service, account, "acme")][-1] == 0
    await account.post("/agent/erase", tenant_id="acme")
    assert await covered(service, account, "acme") == []


async def lexemes(dsn: str, account: Account, word: str) -> int:
    """In how many segments of the account the word stands."""
    async with connected(dsn) as connection:
        query = "SELECT count(*) FROM segment_word WHERE company_id = $1 AND lexeme = $2"
        return await connection.fetchval(query, account.row.id, word)


async def rows_of(dsn: str, account: Account, table: str) -> int:
    """How many rows of the account a table has."""
    async with connected(dsn) as connection:
        return await connection.fetchval(f"SELECT count(*) FROM {table} WHERE company_id = $1", account.row.id)


async def test_what_is_erased_while_it_is_indexed_is_not_kept(account: Account, service: Service) -> None:
    """A segment that was read before an erasure is not committed after it."""
    await tell(account, 0, 60)
    memory = await account.add("the plan")
    async with service.database.begin(account.row.id) as tx:
        head = await ledger.head(tx, None)
        await segments.add(tx, Ids(head.at).new(), "", after=0, to=head.last_tx)
        assert not await segments.erased_since(tx, head.last_tx)
        await account.post(f"/memories/{memory}/erase", reason="asked to")
        await ledger.lock(tx, None)
        assert await segments.erased_since(tx, head.last_tx)


async def test_segments_never_count_a_content_twice(account: Account, service: Service) -> None:
    """Whoever builds what another has built is refused by the database."""
    await tell(account, 0, 60)
    await index(service, account)
    span = (await covered(service, account))[0]
    with pytest.raises(Exception, match="segment_counts_once"):
        async with service.database.begin(account.row.id) as tx:
            head = await ledger.head(tx, None)
            await segments.add(tx, Ids(head.at).new(), "", after=span.to_tx - 1, to=span.to_tx)


async def with_vectors(
    service: Service, account: Account, dsn: str, sizes: dict[str, int], seed: int = 5, said: str = ""
) -> dict[str, tuple[list[str], NDArray[np.float32]]]:
    """Tenants of so many memories, with vectors that are noise about centres, of which no text says anything. By
    tenant: texts and vectors. The same of the same size in every account, but for what they say."""
    made: dict[str, tuple[list[str], NDArray[np.float32]]] = {}
    generator = np.random.default_rng(seed)
    centres = generator.standard_normal((50, 384))
    for tenant, size in sizes.items():
        for start in range(0, size, 500):
            numbers = range(start, min(size, start + 500))
            batch = [{"content": f"{tenant}{said} {number}", "tenant_id": tenant} for number in numbers]
            await account.post("/agent/memories/bulk", memories=batch)
        vectors = centres[generator.integers(0, 50, size)] + generator.standard_normal((size, 384)) * 1.5
        vectors /= np.linalg.norm(vectors, axis=1)[:, None]
        made[tenant] = [f"{tenant}{said} {number}" for number in range(size)], vectors.astype(np.float32)
        async with connected(dsn) as connection:
            rows = await connection.fetch(
                "SELECT c.id, c.text FROM content c "
                "JOIN memory m ON m.company_id = c.company_id AND m.id = c.memory_id "
                "WHERE c.company_id = $1 AND m.tenant_id = $2",
                account.row.id,
                tenant,
            )
            await connection.executemany(
                "INSERT INTO embedding (company_id, content_id, model, vector) VALUES ($1, $2, $3, $4::text::halfvec)",
                [
                    (account.row.id, row["id"], "of the test", shown(vectors[int(row["text"].split()[1])]))
                    for row in rows
                ],
            )
    return made


def shown(vector: NDArray[np.floating[Any]]) -> str:
    """A vector as text."""
    return "[" + ",".join(f"{number:.5f}" for number in vector) + "]"


async def recall(
    service: Service, account: Account, tenant: str, texts: list[str], vectors: NDArray[np.float32], questions: int
) -> float:
    """The share of the ten nearest by brute force that are among the candidates' ten nearest."""
    generator = np.random.default_rng(11)
    shares: list[float] = []
    for _ in range(questions):
        noise = generator.standard_normal(384) * 0.05
        vector = (vectors[generator.integers(0, len(vectors))] + noise).astype(np.float32)
        vector /= np.float32(np.linalg.norm(vector))
        async with service.database.read(account.row.id) as tx:
            found, _ = await search.candidates(
                tx,
                Scope(tenant_id=tenant, valid_at=None, number=None),
                "xyzzy",
                vector=vector,
                model="of the test",
                limit=10,
                exact_up_to=service.settings.aurra_exact_up_to,
            )
        assert len(found) >= min(10, len(texts))
        assert {one.text for one in found} <= set(texts)
        nearest: list[str] = [texts[int(place)] for place in np.argsort(-(vectors @ vector))[:10]]
        ranked = sorted(found, key=lambda one: -(one.similarity or -1))[:10]
        shares.append(len({one.text for one in ranked} & set(nearest)) / min(10, len(nearest)))
    return float(np.mean(shares))


class Named:
    """Stands for the model of vectors that a test brought along."""

    name = "of the test"


async def sketched(service: Service, account: Account, tenants: list[str]) -> None:
    """The tenants are indexed with the test's vectors."""
    model = service.embedder
    service.embedder = Named()  # type: ignore[assignment]
    try:
        for tenant in tenants:
            await index(service, account, tenant)
    finally:
        service.embedder = model


OWN_VECTORS = pytest.mark.parametrize("embedder", ["none"], indirect=True)
"""Where vectors are the test's own, the service has none to make."""


@OWN_VECTORS
async def test_t6_nothing_near_is_lost(account: Account, service: Service, dsn: str) -> None:
    """T6, short: the ten nearest of small and large tenants beside one another, against brute force."""
    made = await with_vectors(service, account, dsn, {"a": 10, "b": 400, "c": 3000})
    await sketched(service, account, list(made))
    assert await rows_of(dsn, account, "segment_sketch") > 0
    for tenant, (texts, vectors) in made.items():
        assert await recall(service, account, tenant, texts, vectors, 20) >= 0.99, tenant


@OWN_VECTORS
@pytest.mark.long
async def test_t6_among_a_hundred_thousand(account: Account, service: Service, dsn: str) -> None:
    """T6: 10, 400 and 20,000 memories among 100,000."""
    made = await with_vectors(service, account, dsn, {"a": 10, "b": 400, "c": 20_000, "d": 79_590})
    await sketched(service, account, list(made))
    for tenant, (texts, vectors) in made.items():
        least = 0.99 if len(texts) <= 10_000 else 0.95
        assert await recall(service, account, tenant, texts, vectors, 50) >= least, tenant


AMONG = [
    pytest.param({"a": 10, "b": 300}, {"d": 1200}, id="short"),
    pytest.param({"a": 10, "b": 400, "c": 20_000}, {"d": 40_000, "e": 39_590}, id="long", marks=pytest.mark.long),
]


@OWN_VECTORS
@pytest.mark.parametrize(("asked", "others"), AMONG)
@pytest.mark.timeout(3600)
async def test_t6_accounts_among_others(
    make_account: MakeAccount, service: Service, dsn: str, asked: dict[str, int], others: dict[str, int]
) -> None:
    """T6 between accounts: each has a tenant of one name, and all have the same vectors, so that others' are as near to
    every question as its own. What is found is the account's own, never fewer than there are, and the nearest of it."""
    made: dict[str, tuple[Account, list[str], NDArray[np.float32]]] = {}
    for said, size in {**others, **asked}.items():
        account = await make_account()
        texts, vectors = (await with_vectors(service, account, dsn, {"t": size}, said=said))["t"]
        await sketched(service, account, ["t"])
        made[said] = account, texts, vectors
    await execute(dsn, "ANALYZE")
    for said in asked:
        account, texts, vectors = made[said]
        least = 0.99 if len(texts) <= 10_000 else 0.95
        share = await recall(service, account, "t", texts, vectors, 20 if len(texts) < 2000 else 50)
        print(f"{len(texts)} among {sum(len(one[1]) for one in made.values())}: recall@10 {share:.3f}")
        assert share >= least, said


INDEXES = {
    ("search", "extent"): [("memory_newest", "created_at")],
    ("search", "extent_of_session"): [("memory_by_session", "session_id")],
    ("search", "extent_of_subject"): [("memory_by_subject", "subject_key")],
    ("search", "believed"): [("content_pkey", "id"), ("memory_pkey", "id"), ("version_of_memory", "memory_id")],
    ("search", "nearness"): [("embedding_pkey", "content_id")],
    ("search", "neighbours"): [("memory_by_session", "id <"), ("version_of_memory", "memory_id")],
    ("segments", "words"): [("segment_word_pkey", "lexeme")],
    ("segments", "sketches"): [("segment_sketch_pkey", "model")],
    ("segments", "unindexed"): [("memory_newest", "created_at"), ("version_opened", "tx_from")],
    ("segments", "reach"): [("memory_newest", "created_at")],
    ("segments", "newest"): [("memory_newest", "tenant_id")],
}
"""Of each statement that a search of a large tenant waits for, the indexes that it reads, and by what."""


MANY_VERSIONS = """
    INSERT INTO version (company_id, id, tenant_id, memory_id, lane, content_id, valid, tx_from, tx_from_at, op)
    SELECT gen_random_uuid(), gen_random_uuid(), '', gen_random_uuid(), gen_random_uuid(), gen_random_uuid(),
           '[2020-01-01,)', 1, now(), 'assert'
    FROM generate_series(1, 5000)"""


@pytest.fixture(scope="module")
async def many_versions(service: Service, dsn: str) -> None:
    """So many of nobody's that an index by the account alone is dear: of few, the planner rightly takes any."""
    assert service
    async with connected(dsn) as connection, connection.transaction():
        # There is nothing that they could refer to.
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(MANY_VERSIONS)


@pytest.mark.usefixtures("many_versions")
@pytest.mark.parametrize(("statement", "indexes"), INDEXES.items(), ids=lambda value: str(value))
async def test_what_a_large_tenant_waits_for_reads_indexes(
    account: Account, dsn: str, statement: tuple[str, str], indexes: list[tuple[str, str]]
) -> None:
    """Row-level security lets only some conditions near an index; each of these is one. The planner is asked what it
    can do, since what it does depends on what other tests have left."""
    query = load(statement[0])[statement[1]]
    values: Json = dict.fromkeys(query.parameters) | {
        "company_id": account.row.id,
        "tenant_id": "",
        "tx": 9,
        "from_tx": 1,
        "to_tx": 9,
        "until": dt.datetime(2030, 1, 1, tzinfo=dt.UTC),
        "session_id": "s" if "session" in query.name else None,
        "subject_key": "s" if "subject" in query.name else None,
        "lexemes": ["ship"],
        "segments": [uuid4()],
        "contents": uuid4().bytes,
        "memories": [uuid4()],
        "sessions": ["s"],
        "model": "m",
    }
    async with connected(dsn) as connection, connection.transaction():
        # What other tests have left counts for nothing: here no table was ever analysed. Undone with the transaction.
        await connection.execute("DELETE FROM pg_statistic WHERE starelid >= 16384")
        await connection.execute(
            "UPDATE pg_class SET reltuples = -1, relpages = 0 WHERE relnamespace = 'public'::regnamespace"
        )
        for setting in (
            "role = aurra_app",
            f"aurra.company_id = '{account.row.id}'",
            "plan_cache_mode = force_generic_plan",
            "enable_seqscan = off",
            "enable_bitmapscan = off",
        ):
            await connection.execute(f"SET LOCAL {setting}")
        rows = await connection.fetch(f"EXPLAIN {query.sql}", *(values.get(name, 5) for name in query.parameters))
    plan = "\n".join(row[0] for row in rows)
    for index_name, column in indexes:
        found = re.findall(rf"using {index_name} on .*\n\s+Index Cond: (.*)", plan)
        assert any(column in condition for condition in found), plan


def test_sketches_keep_what_is_near() -> None:
    """Whatever the dimension, and for numbers that never vary: of noise, nine of the ten nearest are in an eighth."""
    generator = np.random.default_rng(2)
    for dimension in (256, 384, 510, 768, 1536):
        vectors = generator.standard_normal((4000, dimension)).astype(np.float32)
        vectors[:, 7] = 0.25
        vectors /= np.linalg.norm(vectors, axis=1)[:, None]
        question = vectors[5] + 0.5 * vectors[6]
        exact = vectors @ question
        reckoned = sketches.nearness(sketches.sketch(vectors), question)
        assert np.abs(reckoned - exact).max() < 0.5
        kept = set(np.argsort(-reckoned)[:500].tolist())
        assert len(set(np.argsort(-exact)[:10].tolist()) & kept) >= 9
