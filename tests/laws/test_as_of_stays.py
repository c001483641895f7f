"""T8, second half: what was answered about a moment is answered again, byte for byte, whatever was written since."""

import asyncio
import datetime as dt
import random
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from aurra import jobs
from aurra.app import open_service
from aurra.context import Service
from aurra.settings import read_settings
from aurra.store import migrate, segments
from tests.conftest import Account
from tests.plain import execute, own_database

Json = dict[str, Any]
SUBJECTS = [f"person {number}" for number in range(12)]
ATTRIBUTES = ["city", "drink", "job"]
WORDS = ["harbour", "winter", "letter", "bridge", "candle", "river", "stone", "garden", "bread", "song", "tree", "ship"]


@pytest.fixture(scope="module")
async def dsn(dsn: str) -> AsyncIterator[str]:
    """A database of its own: the first service on it decides on the embedder."""
    async with own_database(dsn) as own:
        yield own


@pytest.fixture(scope="module")
async def service(dsn: str) -> AsyncIterator[Service]:
    """A service without vectors, which would take minutes to make, and for which a few hundred memories are many: most
    answers are found by scans at first, and by the index afterwards."""
    await migrate.migrate(dsn)
    async with open_service(read_settings({"AURRA_EMBEDDER": "none", "AURRA_EXACT_UP_TO": "400"}), dsn) as running:
        yield running


class Writer:
    """Writes of every kind, drawn by one seed: into the same slots, subjects, sessions and tenants all the time."""

    def __init__(self, account: Account, seed: int) -> None:
        self.account = account
        self.draw = random.Random(seed)
        self.memories: list[str] = []
        self.told = 0

    def item(self) -> Json:
        """A memory to write."""
        draw = self.draw
        self.told += 1
        since = dt.date(2020, 1, 1) + dt.timedelta(days=draw.randrange(3000))
        return {
            "content": f"{' '.join(draw.choices(WORDS, k=5))} {draw.randrange(10**9)}",
            "valid_from": since.isoformat(),
            **(
                {"valid_to": (since + dt.timedelta(days=draw.randrange(1, 900))).isoformat()}
                if draw.random() < 0.3
                else {}
            ),
            **({"subject": draw.choice(SUBJECTS)} if draw.random() < 0.7 else {}),
            **({"session_id": f"talk {draw.randrange(9)}"} if draw.random() < 0.4 else {}),
            **({"tenant_id": "acme"} if draw.random() < 0.3 else {}),
            "topic": draw.choice(WORDS),
        }

    async def bulk(self, size: int) -> None:
        """So many memories in one transaction; one in ten takes over in a slot."""
        items = [self.item() for _ in range(size)]
        for item in items:
            if "subject" in item and self.draw.random() < 0.1:
                item["attribute"] = self.draw.choice(ATTRIBUTES)
        written = await self.account.post("/agent/memories/bulk", memories=items, mode="partial", reason="told")
        self.memories += [item["memory_id"] for item in written["items"] if item["memory_id"]]

    async def change(self, some: list[str]) -> None:
        """Supersedes, ends, corrects, retracts and restores, of those; what cannot be is refused."""
        client = self.account.client
        for memory in some:
            verb = self.draw.choice(["supersede", "end", "correct", "retract", "restore"])
            if verb == "supersede":
                body: Json = {"superseded_by": self.draw.choice(self.memories)}
            elif verb == "end":
                verb, body = "supersede", {"valid_to": "2099-01-01"}
            elif verb == "correct":
                body = {"content": f"corrected {self.draw.randrange(10**9)}", "reason": "misheard"}
            else:
                body = {}
            if verb == "restore":
                answer = await client.delete(f"/memories/{memory}")
                if answer.status_code == 200:
                    number = answer.json()["transaction"]["id"]
                    answer = await client.post(f"/agent/transactions/{number}/restore", json={})
            else:
                answer = await client.post(f"/memories/{memory}/{verb}", json=body)
            assert answer.status_code in (200, 400, 404, 409), answer.text


class Recorded(msgspec.Struct):
    """A question about a moment, and what was answered."""

    method: str
    path: str
    fields: Json
    answer: bytes


def questions(writer: Writer, moment: int) -> list[tuple[str, str, Json]]:
    """One of each kind, at a transaction and an instant."""
    draw = writer.draw
    as_of = (dt.date(2020, 1, 1) + dt.timedelta(days=draw.randrange(4000))).isoformat()
    both = {"as_of": as_of, "transaction_as_of": moment}
    memory = draw.choice(writer.memories)
    words, subject = " ".join(draw.sample(WORDS, 3)), draw.choice(SUBJECTS)
    tenant = draw.choice([{}, {"tenant_id": "acme"}])
    return [
        ("GET", "/agent/memories", {**both, **tenant, "limit": 50}),
        ("GET", "/agent/memories", {"transaction_as_of": moment, "include_superseded": True, "subject": subject}),
        ("POST", "/agent/search", {**both, **tenant, "query": words, "explain": True}),
        ("POST", "/agent/search", {**both, "query": words, "session_id": f"talk {draw.randrange(9)}"}),
        ("GET", "/agent/diff", {"from": draw.randrange(moment + 1), "to": moment, **tenant}),
        ("GET", f"/memories/{memory}/timeline", both),
        ("GET", f"/memories/{memory}/versions", both),
        ("GET", f"/agent/subjects/{subject}", both),
        ("GET", "/agent/subjects", {**both, **tenant}),
        ("GET", "/agent/transactions", {"transaction_as_of": moment, "limit": 20}),
        ("GET", f"/agent/transactions/{draw.randrange(1, moment + 1)}", {}),
    ]  # fmt: skip


def plain(method: str, path: str, answer: bytes) -> bytes:
    """What must stay. A transaction alone names the newest one; so that is left out."""
    if not path.startswith("/agent/transactions/"):
        return answer
    found = msgspec.json.decode(answer)
    return msgspec.json.encode({name: value for name, value in found.items() if name not in ("transaction", "as_of")})


async def ask(account: Account, method: str, path: str, fields: Json) -> bytes:
    """The answer's bytes, an error's without its request id."""
    sent: Json = {"params": fields} if method == "GET" else {"json": fields}
    answer = await account.client.request(method, path, headers={"X-Request-Id": "the-same"}, **sent)
    assert answer.status_code in (200, 404), answer.text
    return plain(method, path, answer.content)


async def record(writer: Writer, number: int) -> list[Recorded]:
    """So many answers, about moments all over the past."""
    head = (await writer.account.post("/agent/search", query="x"))["transaction"]["id"]
    found: list[Recorded] = []
    while len(found) < number:
        for method, path, fields in questions(writer, writer.draw.randrange(1, head + 1)):
            found.append(Recorded(method, path, fields, await ask(writer.account, method, path, fields)))
    return found[:number]


async def receipts(account: Account, draw: random.Random, number: int) -> list[str]:
    """Receipts of answers, some of past moments."""
    return [
        (
            await account.post(
                "/agent/query", question=f"What of the {draw.choice(WORDS)} and the {draw.choice(WORDS)}?"
            )
        )["receipt_id"]
        for _ in range(number)
    ]


SIZES = [
    pytest.param(100, 3_000, id="short"),
    pytest.param(1_000, 100_000, id="long", marks=pytest.mark.long),
]


@pytest.mark.parametrize(("answers", "writes"), SIZES)
@pytest.mark.timeout(3600)
async def test_t8_answers_of_the_past_stay(
    account: Account, service: Service, dsn: str, answers: int, writes: int
) -> None:
    """Lists, searches, differences, timelines, versions, profiles, the ledger, and replays of receipts: 0 differences
    after so many more writes, into the same slots, subjects, sessions and tenants, and changes to what was answered."""
    writer = Writer(account, seed=8)
    for _ in range(6):
        await writer.bulk(50)
        await writer.change(writer.draw.sample(writer.memories, 8))
    asked = await record(writer, answers)
    assert sum(len(one.answer) > 300 for one in asked) > 0.8 * answers
    quoted = await receipts(account, writer.draw, answers // 20)
    replayed = {id_: await ask(account, "POST", f"/agent/receipts/{id_}/replay", {}) for id_ in quoted}
    await write_more(writer, service, dsn, writes)
    differing = [one for one in asked if await ask(account, one.method, one.path, one.fields) != one.answer]
    print(f"{answers} answers, {len(replayed)} replays, {writes} writes: {len(differing)} differ")
    assert not differing, (
        f"{len(differing)}; the first: {differing[0].method} {differing[0].path} {differing[0].fields}"
    )
    for id_, before in replayed.items():
        assert await ask(account, "POST", f"/agent/receipts/{id_}/replay", {}) == before
    assert (await account.get("/agent/transactions/verify"))["ok"]


async def write_more(writer: Writer, service: Service, dsn: str, writes: int) -> None:
    """So many memories, with changes to old ones in between; the index follows."""
    old = list(writer.memories)
    begun = len(writer.memories)
    while (left := begun + writes - len(writer.memories)) > 0:
        await writer.bulk(min(500, left))
        if writes <= 10_000 or writer.draw.random() < 0.2:
            await writer.change(writer.draw.sample(old, 5))
            await asyncio.gather(*service.tasks)
            await jobs.run_due(service, writer.account.row.id)
    await execute(dsn, "ANALYZE")
    for tenant in ("", "acme"):
        assert await covered(service, writer.account, tenant) > 0


async def covered(service: Service, account: Account, tenant: str) -> int:
    """How many contents of the tenant are in the index."""
    async with service.database.read(account.row.id) as tx:
        return sum(span.contents for span in await segments.spans(tx, tenant, None))
