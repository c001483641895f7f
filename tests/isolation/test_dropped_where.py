"""T5: every statement of the store without its account. Row-level security alone shows and changes no row of another.

The arguments are those that account A's own requests were run with: so each statement, once its `company_id =
:company_id` is gone, means rows of A's. It runs as the service's role with account B's setting.
"""

import datetime as dt
import re
import time
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_network
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec
import numpy as np
import pytest

from aurra import jobs, sealing
from aurra.app import open_service
from aurra.context import Service
from aurra.keys import Terms
from aurra.settings import read_settings
from aurra.store import migrate, pool
from aurra.store.queries import Query, every
from tests.conftest import Account, HandClock, MakeAccount
from tests.faces.connecting import register
from tests.isolation import cases
from tests.isolation.asking import Rest
from tests.isolation.planting import Planted, plant, word
from tests.isolation.trying import cases_of
from tests.plain import connected

STATEMENTS = {
    (noun, query.name): query
    for noun, queries in every().items()
    # The migrating login's and the operator's, and those of the queue, which has no account (see test_catalogue.py).
    if noun not in ("cluster", "jobs", "backups", "finishing", "invariants")
    for query in queries.values()
    if not query.sql.startswith("LOCK") and query.name not in ("set_account", "now")
}
REFUSED = (
    asyncpg.InsufficientPrivilegeError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.RaiseError,
    # Two accounts' rows where one row is meant.
    asyncpg.CardinalityViolationError,
)
"""What keeps a statement from doing anything; each is an outcome like another."""
Arguments = dict[str, Any]


@pytest.fixture(scope="module")
async def service(dsn: str, clock: HandClock) -> AsyncIterator[Service]:
    """With vectors, and for which ten memories are many."""
    await migrate.migrate(dsn)
    settings = {"AURRA_EXACT_UP_TO": "10", "AURRA_SECRET_KEYS": sealing.new_key()}
    async with open_service(read_settings(settings), dsn, clock) as running:
        yield running


class Recorder:
    """What each statement was run with, the last time that it was run with the most."""

    def __init__(self) -> None:
        self.seen: dict[str, list[Arguments]] = {}

    def saw(self, query: Query, company_id: UUID, arguments: Arguments) -> None:
        self.seen.setdefault(query.sql, []).append({**arguments, "company_id": company_id})

    def fullest(self, query: Query) -> list[Arguments]:
        """Some of the calls: those with the most in them, and the last ones."""
        calls = self.seen.get(query.sql, [])
        return sorted(calls[-40:], key=lambda call: -len(repr(call)))[:2] + calls[-2:]


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Sees every statement on its way; changes nothing."""
    recording = Recorder()
    bind = pool.Transaction._bind  # pyright: ignore[reportPrivateUsage]

    def seeing(self: pool.Transaction, query: Query, arguments: Arguments) -> list[Any]:
        recording.saw(query, self.company_id, arguments)
        return bind(self, query, arguments)

    monkeypatch.setattr(pool.Transaction, "_bind", seeing)
    return recording


COLLECTIONS = (
    # Each in its natural order and in another, with what leads from its nodes to others.
    """{ memoriesCollection(first: 5) { edges { node { about { subject } conversation { messages { content } }
         openedBy { id } versions { version } } } }
         last: memoriesCollection(last: 5) { totalCount }
         at(asOf: "2000-01-01") { memoriesCollection { totalCount } }
         all: at(transactionAsOf: %d) { memoriesCollection(orderBy: [{topic: AscNullsLast}]) { totalCount edges { node {
           successor { id } } } } } }""",
    """{ subjectsCollection { edges { node { memoriesCollection { totalCount } } } }
         conversationsCollection { edges { node { memoriesCollection { totalCount } messages { content } } } } }""",
    """{ transactionsCollection(first: 100) { edges { node { memoriesCollection { totalCount } } } }
         last: transactionsCollection(last: 5) { totalCount } keysCollection { edges { node { id
           transactionsCollection { totalCount } } } } }""",
)


async def _collections(owner: Account) -> None:
    """Every collection of GraphQL is asked."""
    newest = (await owner.get("/agent/transactions"))["transaction"]["id"]
    for query in COLLECTIONS:
        query = query.replace("%d", str(newest))
        answer = (await owner.client.post("/graphql", json={"query": query})).json()
        assert "errors" not in answer, answer["errors"]


async def _connect(owner: Account) -> None:
    """A host is granted something, uses it, and ends it."""
    host = await register(owner.client)
    for path in ("/oauth/revoke", None):
        tokens = (await host.refresh(await host.connect(owner.key))).json()
        await host.calls(tokens)
        if path is not None:
            await host.post(path, token=tokens["refresh_token"])


async def live(service: Service, owner: Account, planted: Planted) -> None:
    """The owner asks for all that it has, by every operation; its index is built; something is erased."""
    face = Rest(owner)
    for case in cases_of(planted, names=1):
        fields = cases.request_of(case.op, planted.values)
        for place, value in case.values:
            fields = cases.with_value(fields, place, [value] if cases.is_list(case.op, place) else value)
        if "dry_run" in case.op.request.__struct_fields__ and case.op.name not in cases.STORES:
            fields["dry_run"] = True
        await face.ask(case.op, fields, case.key, uuid4().hex)
    told = {"role": "user", "content": f"I sold {planted.word}.", "id": planted.word}
    session = {"session_id": f"gone {planted.word}", "subject": f"gone {planted.word}", "attribute": "a"}
    kept = await owner.post("/agent/memories", messages=[told], extraction="verbatim", session_id=session["session_id"])
    gone = await owner.add(f"gone {planted.word}", reason=planted.word, **session)
    await owner.post("/agent/query", question=f"What is gone {planted.word}?")
    await owner.post(f"/memories/{gone}/erase", reason=planted.word)
    await owner.client.get(f"/memories/{gone}")
    await owner.post("/agent/erase", session_id=session["session_id"])
    await owner.client.get(f"/memories/{kept['memory_ids'][0]}")
    await jobs.run_due(service, owner.row.id)
    index = jobs.indexing.Job(uuid4(), owner.row.id, "index", '{"tenant_id": ""}', 1)
    await jobs.indexing.index(service, index)
    await owner.post("/agent/search", query=planted.one("text"))
    past = {"transaction_as_of": planted.one("number"), "as_of": "2098-01-01"}
    await owner.post("/agent/search", query="elsewhere", tenant_id=planted.one("tenant"), **past)
    for id_ in planted.values["memory"][:2]:
        for path in ("", "/timeline", "/audit", "/versions"):
            await owner.get(f"/memories/{id_}{path}")
    for id_ in planted.values["receipt"]:
        await owner.get(f"/agent/receipts/{id_}")
    await owner.post(f"/memories/{planted.one('memory')}/retract")
    await owner.get("/agent/receipts")
    await owner.get("/agent/reviews", state="all")
    await owner.post(f"/agent/reviews/{planted.one('review')}/reject")
    model = {"provider": "openai", "model": planted.word, "api_key": f"sk-{planted.word}"}
    await owner.client.patch("/agent/provider", json=model)
    await owner.get("/agent/provider")
    for path in ("/api-keys", "/usage/summary", "/usage/details", "/usage/by-key", "/plan/history"):
        await owner.get(path)
    await owner.get("/plan/status", as_of=(await owner.get("/agent/transactions"))["transactions"][0]["at"])
    signed = await owner.post("/api-keys", scopes=["query"], is_signed=True)
    await owner.post(f"/api-keys/{signed['api_key']['id']}/rotate")
    await _collections(owner)
    key_id = planted.one("api_key")
    await owner.client.patch(f"/api-keys/{key_id}", json={"name": planted.word})
    await owner.client.post(f"/api-keys/{key_id}/rotate", headers={"Idempotency-Key": planted.word})
    await owner.client.delete(f"/api-keys/{key_id}")
    await _connect(owner)


def without_account(query: Query, *, each: bool) -> Iterator[str]:
    """The statement with every comparison with the account gone; with joins of two accounts gone too; and, with `each`,
    with each comparison alone gone. A parameter stays where it was, so that it keeps its type."""
    if "company_id" not in query.parameters:
        yield query.sql
        return
    number = query.parameters.index("company_id") + 1
    compared = re.compile(rf"(?:\b\w+\.)?\bcompany_id = \${number}(?!\d)")
    gone = f"${number}::uuid IS NOT NULL"
    everywhere = compared.sub(gone, query.sql)
    yield everywhere
    joins = re.sub(r"\b\w+\.company_id = \w+\.company_id", "true", everywhere)
    if joins != everywhere:
        yield joins
    for found in compared.finditer(query.sql) if each else ():
        yield query.sql[: found.start()] + gone + query.sql[found.end() :]


class Trial:
    """Runs statements for one account over another's rows, as the service's role or past row-level security."""

    def __init__(self, connection: Any, prying: UUID, owner: UUID, marks: list[str]) -> None:
        self._connection = connection
        self._prying, self._owner = prying, owner
        self._marks = marks

    async def run(self, query: Query, sql: str, arguments: Arguments, *, bound: bool) -> list[str]:
        """What comes of it: its rows, in no order, and the owner's rows afterwards where it is one that writes."""
        role = "SET LOCAL ROLE aurra_app;" if bound else ""
        await self._connection.execute(f"BEGIN; {role} SET LOCAL aurra.company_id = '{self._prying}'")
        # A transaction fills it in by itself.
        arguments = {"ceiling": pool.NEWEST, **arguments}
        try:
            rows = await self._connection.fetch(sql, *(arguments[name] for name in query.parameters))
            found = sorted(repr(tuple(row)) for row in rows)
            if _WRITES.search(sql):
                await self._connection.execute("RESET ROLE")
                found += await self.stored()
        except REFUSED as refusal:
            return [type(refusal).__name__]
        finally:
            await self._connection.execute("ROLLBACK")
        return found

    def mark(self, rows: list[str], arguments: Arguments) -> str | None:
        """A text or an id of the owner's in the rows, unless it was sent with the statement."""
        text, sent = "".join(rows).lower(), repr(arguments).lower()
        return next((mark for mark in self._marks if mark in text and mark not in sent), None)

    async def stored(self) -> list[str]:
        """A digest of each table's rows of the owner."""
        return [str(record[0]) for record in await self._connection.fetch(STORED, self._owner)]


TABLES = (
    "account", "api_key", "content", "conversation", "embedding", "idempotency", "ledger", "memory", "provider",
    "receipt", "receipt_evidence", "review", "segment", "segment_sketch", "segment_word", "slot", "source", "subject",
    "tombstone", "transaction", "version", "plan_change", "signature_nonce", "subject_label", "conversation_label",
    "request_rate", "oauth_grant", "oauth_token",
)  # fmt: skip


STORED = " UNION ALL ".join(
    f"SELECT '{table} ' || md5(string_agg(md5(t::text), '' ORDER BY md5(t::text))) FROM {table} t WHERE company_id = $1"
    for table in TABLES
)
_WRITES = re.compile(r"\b(INSERT|UPDATE|DELETE|erase\()")


def guessed(query: Query, known: Arguments) -> Arguments:
    """Arguments for what no request runs: the operator's statements."""
    return {name: known[name] for name in query.parameters if name != "company_id"}


QUIET = {
    # Of the installation, or of no table at all.
    ("accounts", "list_plans"), ("accounts", "service_secret"),
    ("embedders", "active"), ("embedders", "filling"), ("embedders", "adopt"), ("embedders", "activate"),
    ("embedders", "retire"), ("embedders", "start_filling"), ("embedders", "stop_filling"),
    # Refuses by itself: see test_catalogue.py.
    ("ledger", "erase"),
    # Tenants of which nothing is left: there is none here.
    ("erasures", "emptied_tenants"),
    # An address has no account; a plan without limits asks for nothing.
    ("rates", "fail"), ("rates", "lease"),
}  # fmt: skip
"""Statements that say nothing of any account by themselves."""


@pytest.mark.parametrize(
    "each", [pytest.param(False, id="short"), pytest.param(True, id="long", marks=pytest.mark.long)]
)
async def test_without_its_account_no_statement_shows_or_changes_another(
    service: Service, make_account: MakeAccount, recorder: Recorder, dsn: str, each: bool
) -> None:
    """Under row-level security a statement without its comparison is the same statement, and one that asks for the
    other account is one that asks for nothing. Past row-level security they are not: so each of them means something.
    """
    owner = await make_account()
    low = await make_account(of=owner.row, trust=1)
    planted = await plant(service, owner, low, word())
    await live(service, owner, planted)
    prying = await make_account()
    await prying.add("a fact", subject="kim")
    told: list[str] = []
    telling = set(QUIET)
    async with connected(dsn) as connection:
        await pool.register_vector(connection)
        known, special = await _known(connection, owner), await _special(connection, owner)
        trial = Trial(connection, prying.row.id, owner.row.id, [planted.word, *await _ids(connection, owner.row.id)])
        before = await trial.stored()
        for name, query in STATEMENTS.items():
            calls = recorder.fullest(query)
            if name in special or not calls:
                calls.append(guessed(query, known | special.get(name, {})))
            for arguments in calls:
                if arguments.get("clock", 0) is None:
                    arguments["clock"] = known["at"]
                said, would = await tried(trial, query, arguments, before, prying.row.id, owner.row.id, each=each)
                told += [f"{name} {what}" for what in said]
                telling |= {name} if would else set()
                if would and not each:
                    break
    print(f"{len(STATEMENTS)} statements; quiet: {sorted(set(STATEMENTS) - telling)}")
    assert not told, f"{len(told)}: " + "\n".join(told[:5])
    assert set(STATEMENTS) - telling == set()


async def tried(
    trial: Trial, query: Query, arguments: Arguments, before: list[str], prying: UUID, owner: UUID, *, each: bool
) -> tuple[list[str], bool]:
    """What the statement told under row-level security, dropped or not; and whether it would have told without."""
    mine = {**arguments, "company_id": prying}
    theirs, nobodys = {**arguments, "company_id": owner}, {**arguments, "company_id": uuid4()}
    meant = await trial.run(query, query.sql, mine, bound=True)
    told: list[str] = []
    would = False
    for sql in without_account(query, each=each):
        found = await trial.run(query, sql, mine, bound=True)
        if found != meant or trial.mark(found, mine):
            told.append(f"without its account: {found} instead of {meant}\n{sql}")
        would = would or await trial.run(query, sql, mine, bound=False) != meant
    found = await trial.run(query, query.sql, theirs, bound=True)
    empty = await trial.run(query, query.sql, nobodys, bound=True)
    if [row.replace(str(owner), "") for row in found] != [row.replace(str(nobodys["company_id"]), "") for row in empty]:
        told.append(f"of the other account: {found} instead of {empty}\n{query.sql}")
    would = would or await trial.run(query, query.sql, theirs, bound=False) != found
    if _WRITES.search(query.sql):
        told += [
            f"changes rows:\n{query.sql}" for rows in (meant, found) if len(rows) > 1 and rows[-len(before) :] != before
        ]
    return told, would


async def _ids(connection: Any, owner: UUID) -> list[str]:
    """Every id of the owner's."""
    found = [str(owner)]
    for table in ("memory", "version", "content", "source", "receipt", "review", "segment", "slot"):
        found += [str(one[0]) for one in await connection.fetch(f"SELECT id FROM {table} WHERE company_id = $1", owner)]
    return found


async def _special(connection: Any, owner: Account) -> dict[tuple[str, str], Arguments]:
    """For statements that requests run with little in them, or one time only."""
    review = "UPDATE review SET state = 'open', decided_at = NULL WHERE company_id = $1 RETURNING id"
    sources = [one[0] for one in await connection.fetch("SELECT id FROM source WHERE company_id = $1", owner.row.id)]
    segments = [one[0] for one in await connection.fetch("SELECT id FROM segment WHERE company_id = $1", owner.row.id)]
    assert sources and segments
    terms = msgspec.structs.asdict(Terms(scopes=["query"]))
    nonce = "INSERT INTO signature_nonce VALUES ($1, 'abcdefgh', 'n', '2000-01-01')"
    await connection.execute(nonce, owner.row.id)
    ceiling = "UPDATE api_key SET up_to = 99 WHERE company_id = $1 AND signing_sealed IS NOT NULL"
    await connection.execute(ceiling, owner.row.id)
    granted = "SELECT grant_id FROM oauth_grant WHERE company_id = $1"
    grant_id = await connection.fetchval(granted, owner.row.id)
    of_grant = "key_id, consented_by, scopes, client_hash, client_name, redirect_uri, resource, challenge, created_at"
    without_tokens = f"""INSERT INTO oauth_grant (company_id, grant_id, issued_at, {of_grant})
                         SELECT company_id, gen_random_uuid(), issued_at, {of_grant} FROM oauth_grant
                         WHERE company_id = $1"""
    await connection.execute(without_tokens, owner.row.id)
    active = "SELECT key_id FROM api_key WHERE company_id = $1 AND revoked_at IS NULL"
    active_keys = [one[0] for one in await connection.fetch(active, owner.row.id)]
    reach = {"from_tx": 0, "to_tx": 10_000, "every": 1000, "vector": pool.half_vector(np.ones(384))}
    return {
        ("chain", "others_of"): {"sources": sources, "memories": []},
        ("chain", "sources_named"): {"sources": sources},
        ("chain", "sources_matching"): {"session_id": None},
        ("chain", "slots_written"): {"after": 0},
        ("chain", "versions_closed"): {"after": 0},
        ("reviews", "decide"): {
            "id": await connection.fetchval(review, owner.row.id),
            "state": "rejected",
            "actor": "x",
            "tx": None,
        },
        ("api_keys", "change"): {**terms, "name": "changed"},
        ("api_keys", "revoke"): {"key_id": active_keys[0]},
        ("erasures", "stay_revoked"): {"key_ids": active_keys},
        ("grants", "end_tokens"): {"grant_id": grant_id},
        ("grants", "end_grant"): {"grant_id": grant_id},
        ("grants", "forget_tokens"): {"before": dt.datetime(2099, 1, 1, tzinfo=dt.UTC)},
        ("history", "shared"): {"ids": list(range(1, 200)), "tenant_id": "another", "digest": b""},
        ("plans", "accounts_on"): {"plan": "enterprise"},
        ("signing", "forget_expired"): {},
        ("signing", "forget_ended"): {"at": dt.datetime(2100, 1, 1, tzinfo=dt.UTC)},
        ("segments", "erased_since"): {"tx": 0},
        ("segments", "remove"): {"segments": segments},
        ("segments", "remove_sketches"): {"segments": segments},
        ("segments", "remove_words"): {"segments": segments},
        ("segments", "unindexed"): {**reach, "lexemes": ["harbour"]},
    }


async def _known(connection: Any, owner: Account) -> Arguments:
    """For parameters of what no request runs (the operator's statements, and some jobs'): what is the owner's."""

    async def one(query: str) -> Any:
        return await connection.fetchval(query, owner.row.id)

    at = await one("SELECT last_at FROM ledger WHERE company_id = $1")
    content = await one("SELECT content_id FROM embedding WHERE company_id = $1 AND tx IS NOT NULL ORDER BY 1 LIMIT 1")
    model = await one("SELECT max(model) FROM embedding WHERE company_id = $1")
    entry = {"id": 10_000, "at": str(at), "verb": "erase", "actor": "x", "request_id": "x", "writes": 0, "hash": ""}
    key = await one("SELECT max(key) FROM idempotency WHERE company_id = $1")
    return {
        "name": "cursor",
        "plan": "free",
        "at": at,
        "grace_from": at,
        "changed_at": at,
        "expires_at": at,
        "hash": b"",
        "key_id": (key_id := await one("SELECT max(key_id) FROM api_key WHERE company_id = $1")),
        "key_ids": [key_id],
        "last_tx": 1,
        "known": None,
        "instants": [at],
        "until": at,
        "secret_hash": b"x",
        "clock": None,
        "sealed": b"x",
        "ceiling": pool.NEWEST,
        "writes_limit": 1,
        "key_requests_per_minute": None,
        "account_requests_per_minute": None,
        "network": ip_network("192.0.2.0/24"),
        "burst": 20,
        "nonce": "n",
        "timestamp": int(time.time()),
        "most": 300,
        "external_id": await one("SELECT max(external_id) FROM subject_label WHERE company_id = $1"),
        "tenant_id": "",
        "session_id": await one("SELECT max(session_id) FROM source WHERE company_id = $1 AND tenant_id = ''"),
        "subject_key": await one("SELECT max(subject_key) FROM subject WHERE company_id = $1 AND tenant_id = ''"),
        "dialog": await one("SELECT dialog_id FROM source WHERE company_id = $1 LIMIT 1"),
        "turns": [await one("SELECT id FROM source WHERE company_id = $1 LIMIT 1")],
        "memory_id": await one(
            "SELECT memory_id FROM version WHERE company_id = $1 AND superseded_by IS NOT NULL LIMIT 1"
        ),
        "versions": [await one("SELECT id FROM version WHERE company_id = $1 LIMIT 1")],
        "tx": await one("SELECT last_tx + 1 FROM ledger WHERE company_id = $1"),
        "contents": [content],
        "pruned": [model],
        "parts": [7],
        "vectors": [pool.half_vector(np.ones(384))],
        "model": model,
        "models": ["another"],
        "dimension": 384,
        "after": UUID(int=0),
        "limit": 10,
        "entry": msgspec.json.encode(entry).decode(),
        "tombstones": "[]",
        "answers": msgspec.json.encode([{"key": key, "fingerprint": "", "answer": "", "quotes": []}]).decode(),
        "provider": "openai",
        "base_url": None,
        "extra": None,
        "sealed_key": b"x",
        "sealed_by": "x",
        "previous_sealed": None,
        "previous_sealed_by": None,
        "last_four": None,
    }
