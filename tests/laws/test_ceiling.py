"""A key with a ceiling is told what a key without one was told when the ceiling's transaction was the newest.

The history is played step by step; after each step a key without a ceiling asks everything there is to ask, and its
answers are kept. At the end keys with ceilings ask the same, with the clock where it was, and must get the same bytes.
"""

import base64
import datetime as dt
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import httpx2
import msgspec
import pytest

from aurra.context import Service
from aurra.keys import SCOPES
from aurra.limiter import Limiter
from aurra.ops import OPERATIONS
from aurra.rates import HEADERS
from tests.conftest import Account, HandClock, MakeAccount, client_at
from tests.plain import connected

BEGINNING = dt.datetime(2040, 1, 1, tzinfo=dt.UTC)
RECEIPT = re.compile(rb'"receipt_id":"[^"]*"')
REFUSED_READS = {"provider.get", "plan.status", "plan.history", "keys.list", "keys.get"}
"""Reads that such a key is refused: what they tell is the account's today, and no memory."""


class Asked(NamedTuple):
    """A request."""

    method: str
    path: str
    fields: tuple[tuple[str, Any], ...] = ()


def get(path: str, **query: Any) -> Asked:
    return Asked("GET", path, tuple(query.items()))


def post(path: str, **body: Any) -> Asked:
    return Asked("POST", path, tuple(body.items()))


class World(msgspec.Struct):
    """What a caller without a ceiling has heard of."""

    newest: int = 0
    at: dt.datetime = BEGINNING
    memories: list[str] = []
    receipts: list[str] = []
    sessions: list[str] = []
    subjects: list[str] = []
    labels: list[str] = []

    def moments(self) -> list[dict[str, Any]]:
        """Every way to name both times, and not to; some that lie in the future."""
        n = self.newest
        return [
            {},
            {"as_of": "2040-01-01T00:03:30Z"},
            {"as_of": "2039-06-01"},
            {"as_of": "2041-01-01"},
            {"transaction_as_of": n},
            {"transaction_as_of": n // 2, "as_of": "2039-06-01"},
            {"transaction_as_of": 0},
            {"transaction_as_of": n + 1},
            {"transaction_as_of": "9" * 25},
            {"transaction_as_of": (BEGINNING + dt.timedelta(minutes=max(0, n // 2))).isoformat()},
            {"transaction_as_of": self.at.isoformat()},
            {"transaction_as_of": (self.at + dt.timedelta(microseconds=1)).isoformat()},
        ]


Case = Callable[[World], Iterator[Asked]]
CASES: dict[str, Case] = {}
"""What is asked of each operation; one without a case fails the test."""


def case(name: str) -> Callable[[Case], Case]:
    def register(made: Case) -> Case:
        CASES[name] = made
        return made

    return register


@case("memories.list")
def _(world: World) -> Iterator[Asked]:
    for moment in world.moments():
        yield get("/agent/memories", limit=3, **moment)
    yield get("/agent/memories", include_superseded="true", limit=100)
    yield get("/agent/memories", tenant_id="t2")
    yield get("/agent/memories", subject="kim", attribute="city", include_superseded="true")
    yield get("/agent/memories", external_id="e-1")


def _of_memory(path: str) -> Case:
    def asked(world: World) -> Iterator[Asked]:
        for memory in world.memories:
            yield get(path.format(memory))
        for moment in world.moments():
            for memory in world.memories[:1] + world.memories[-1:]:
                yield get(path.format(memory), **moment)

    return asked


for _name, _path in {
    "memories.get": "/memories/{}",
    "memories.timeline": "/memories/{}/timeline",
    "memories.get_audit": "/memories/{}/audit",
    "memories.versions": "/memories/{}/versions",
}.items():
    CASES[_name] = _of_memory(_path)


@case("transactions.list")
def _(world: World) -> Iterator[Asked]:
    for moment in world.moments():
        yield get("/agent/transactions", limit=2, **moment)
    yield get("/agent/transactions", since=0, limit=3)
    yield get("/agent/transactions", since=world.newest)
    yield get("/agent/transactions", since=world.newest + 3)
    yield get("/agent/transactions", tenant_id="t2")


@case("transactions.get")
def _(world: World) -> Iterator[Asked]:
    for number in {0, 1, world.newest // 2, world.newest, world.newest + 1, world.newest + 50}:
        yield get(f"/agent/transactions/{number}")
    yield get("/agent/transactions/1", transaction_as_of=world.newest + 1)


@case("transactions.diff")
def _(world: World) -> Iterator[Asked]:
    for first in {0, world.newest // 2, world.newest, world.newest + 1}:
        yield Asked("GET", "/agent/diff", (("from", first),))
        yield Asked("GET", "/agent/diff", (("from", 0), ("to", first)))
        yield Asked("GET", "/agent/diff", (("from", 0), ("to", first), ("as_of", "2040-01-01T00:05:00Z")))
    yield Asked("GET", "/agent/diff", (("from", "2039-01-01"), ("tenant_id", "t2")))


@case("transactions.verify")
def _(world: World) -> Iterator[Asked]:
    yield get("/agent/transactions/verify")
    yield get("/agent/transactions/verify", since=world.newest // 2)
    yield get("/agent/transactions/verify", since=world.newest + 1)


@case("subjects.list")
def _(world: World) -> Iterator[Asked]:
    for moment in world.moments():
        yield get("/agent/subjects", limit=1, **moment)
    for label in [*world.labels, "never"]:
        yield get("/agent/subjects", external_id=label)
        yield get("/agent/subjects", query=label)
    yield get("/agent/subjects", query="i")


@case("subjects.get")
def _(world: World) -> Iterator[Asked]:
    for subject in [*world.subjects, "nobody"]:
        yield get(f"/agent/subjects/{subject}")
    for moment in world.moments():
        yield get("/agent/subjects/kim", **moment)


@case("conversations.list")
def _(world: World) -> Iterator[Asked]:
    for moment in world.moments():
        yield get("/agent/conversations", limit=1, **moment)
    for label in [*world.labels, "call", "chat", "never"]:
        yield get("/agent/conversations", channel=label)
        yield get("/agent/conversations", external_id=label)


@case("conversations.get")
def _(world: World) -> Iterator[Asked]:
    for session in [*world.sessions, "none"]:
        for moment in world.moments():
            yield get(f"/agent/conversations/{session}", **moment)


@case("conversations.messages")
def _(world: World) -> Iterator[Asked]:
    for session in [*world.sessions, "none"]:
        yield get(f"/agent/conversations/{session}/messages", limit=1)
        yield get(f"/agent/conversations/{session}/messages", transaction_as_of=world.newest // 2)


@case("reviews.list")
def _(_: World) -> Iterator[Asked]:
    for state in ("open", "accepted", "rejected", "all"):
        yield get("/agent/reviews", state=state, limit=2)


@case("receipts.list")
def _(world: World) -> Iterator[Asked]:
    yield get("/agent/receipts", limit=2)
    yield get("/agent/receipts", limit=100)
    for memory in world.memories[-3:]:
        yield get("/agent/receipts", memory_id=memory)


@case("receipts.get")
def _(world: World) -> Iterator[Asked]:
    for receipt in [*world.receipts[-12:], str(uuid4())]:
        yield get(f"/agent/receipts/{receipt}")


@case("receipts.replay")
def _(world: World) -> Iterator[Asked]:
    for receipt in [*world.receipts[:1], *world.receipts[-1:]]:
        yield post(f"/agent/receipts/{receipt}/replay")


@case("settings.get")
def _(_: World) -> Iterator[Asked]:
    yield get("/agent/settings")


@case("memories.search")
def _(world: World) -> Iterator[Asked]:
    yield post("/agent/search", query="Where does Kim live?", explain=True)
    yield post("/agent/search", query="limit of requests", subject="kim")
    yield post("/agent/search", query="moved", session_id="s-1")
    yield post("/agent/search", query="city", transaction_as_of=world.newest // 2)
    yield post("/agent/search", query="city", transaction_as_of=world.newest + 1)


@case("memories.query")
def _(world: World) -> Iterator[Asked]:
    yield post("/agent/query", question="Where does Kim live?", include_proof_tree=True)
    yield post("/agent/query", question="Where does Kim live?", as_of="2039-06-01", transaction_as_of=world.newest)
    yield post("/agent/query", question="What is the limit?", transaction_as_of=world.newest + 1)


async def ask(client: httpx2.AsyncClient, asked: Asked) -> httpx2.Response:
    fields: dict[str, Any] = {"params" if asked.method == "GET" else "json": dict(asked.fields)}
    return await client.request(asked.method, asked.path, headers={"X-Request-Id": "same"}, **fields)


def told(response: httpx2.Response, asked: Asked) -> tuple[int, bytes]:
    """The answer, without the id of a receipt that it made."""
    is_answer = asked.path == "/agent/query"
    return response.status_code, RECEIPT.sub(b"", response.content) if is_answer else response.content


class Recording(msgspec.Struct):
    """What was asked when a transaction was the newest, and told."""

    at: dt.datetime
    """What the clock said."""
    answers: dict[str, list[tuple[Asked, tuple[int, bytes]]]]
    cursors: list[Asked]


async def record(account: Account, world: World, share: float) -> Recording:
    """A share, at random, of all that there is to ask now. Questions come first: they leave receipts."""
    dice = random.Random(world.newest)
    recording = Recording(world.at, {}, [])
    for name in sorted(CASES, key=lambda name: name != "memories.query"):
        answers = recording.answers.setdefault(name, [])
        every = list(CASES[name](world))
        waiting = [asked for asked in every if dice.random() < share] or every[:1]
        while waiting:
            asked = waiting.pop()
            response = await ask(account.client, asked)
            answers.append((asked, told(response, asked)))
            body = response.json()
            if name == "memories.query" and response.status_code == 200:
                world.receipts.append(body["receipt_id"])
            if response.status_code == 200 and (cursor := body.get("next_cursor")):
                following = Asked("GET", asked.path, (*asked.fields, ("cursor", cursor)))
                following = following._replace(fields=tuple(dict(following.fields).items()))
                if dice.random() < share:
                    waiting.append(following)
                recording.cursors.append(following)
    return recording


class Player:
    """Plays random steps, as two keys of one account: one of normal trust, one of low."""

    def __init__(self, account: Account, low: Account, dice: random.Random) -> None:
        self.account, self.low, self.dice = account, low, dice
        self.world = World()
        self.labelled = 0

    async def step(self, number: int) -> None:
        """One step; the first ones make sure that everything there is happens."""
        first = ["slot", "free", "chat", "label", "doubt", "doubt", "relabel", "misheard", "undo", "label", "accept"]
        first += ["reject", "retract", "unlabel", "free"]
        kinds = [*first, "slot", "supersede", "end", "restore", "talk", "free", "bulk", "correct", "unlabel"]
        kind = first[number] if number < len(first) else self.dice.choice(kinds)
        answer = await getattr(self, f"_{kind}")()
        assert answer.status_code in (200, 400, 404, 409), answer.text
        body = answer.json()
        found = [body.get("memory_id"), *body.get("memory_ids", [])]
        found += [item["memory_id"] for item in body.get("items", [])]
        self.world.memories += [one for one in dict.fromkeys(found) if one and one not in self.world.memories]
        page = await self.account.get("/agent/memories", limit=1)
        self.world.newest = page["transaction"]["id"]

    async def _post(self, path: str, by: Account | None = None, /, **body: Any) -> httpx2.Response:
        return await (by or self.account).client.post(path, json=body)

    def _any(self) -> str:
        return self.dice.choice(self.world.memories)

    def _day(self) -> str:
        return f"2039-{self.dice.randint(1, 12):02}-{self.dice.randint(1, 28):02}"

    async def _slot(self) -> httpx2.Response:
        self.world.subjects = ["kim"]
        city = self.dice.choice(["Oslo", "Rome", "Bern", "Nice"])
        fields: dict[str, Any] = {"subject": "Kim", "attribute": "city", "external_id": "e-1", "reason": "told"}
        if self.dice.random() < 0.4:
            fields["valid_to"] = "2041-01-01"
        return await self._post("/agent/memories", content=f"Kim lives in {city}", valid_from=self._day(), **fields)

    async def _free(self) -> httpx2.Response:
        tenant = self.dice.choice([None, None, "t2"])
        content = f"note {self.dice.random()}"
        return await self._post("/agent/memories", content=content, subject="Mia", tenant_id=tenant)

    async def _bulk(self) -> httpx2.Response:
        items = [{"content": f"part {self.dice.random()}", "valid_from": self._day()} for _ in range(2)]
        return await self._post("/agent/memories/bulk", memories=items)

    async def _chat(self) -> httpx2.Response:
        self.world.sessions = ["s-1", "s-2"]
        self.world.labels = ["l-1", "l-2", "l-3"]
        labels = {"channel": "call", "external_id": "l-1", "metadata": {"b": 1, "a": [2]}}
        return await self._talk(session_id="s-1", **labels)

    async def _talk(self, session_id: str | None = None, **labels: Any) -> httpx2.Response:
        session = session_id or self.dice.choice(["s-1", "s-2"])
        turns = [{"id": str(self.dice.random()), "role": "user", "content": "I moved to Rome in May.", "name": "Kim"}]
        how = self.dice.choice(["now", "never"])
        if not labels:
            given: list[dict[str, Any]] = [{}, {"channel": "call"}, {"uri": f"https://x/{self.dice.random()}"}]
            labels = self.dice.choice(given)
        return await self._post("/agent/conversations", session_id=session, turns=turns, extraction=how, **labels)

    async def _relabel(self) -> httpx2.Response:
        return await self._talk(session_id="s-1", channel="chat", external_id=self.dice.choice(["l-2", "l-3"]))

    async def _label(self) -> httpx2.Response:
        self.labelled += 1
        label = f"l-{self.labelled % 2 + 1}"
        return await self.account.client.patch("/agent/subjects/kim", json={"external_id": label})

    async def _unlabel(self) -> httpx2.Response:
        return await self.account.client.patch("/agent/subjects/kim", json={"external_id": None})

    async def _doubt(self) -> httpx2.Response:
        """Low trust would supersede what normal trust wrote: a review."""
        rate = self.dice.randint(100, 10_000)
        old = await self._post("/agent/memories", content=f"The limit is {rate} requests")
        self.world.memories.append(old.json()["memory_id"])
        content = f"The limit is {rate + 7} requests"
        return await self._post("/agent/memories", self.low, content=content, auto_supersede=True)

    async def _decide(self, how: str) -> httpx2.Response:
        reviews = (await self.account.get("/agent/reviews"))["reviews"]
        if not reviews:
            return await self._free()
        return await self._post(f"/agent/reviews/{reviews[0]['id']}/{how}")

    async def _accept(self) -> httpx2.Response:
        return await self._decide("accept")

    async def _reject(self) -> httpx2.Response:
        return await self._decide("reject")

    async def _supersede(self) -> httpx2.Response:
        return await self._post(f"/memories/{self._any()}/supersede", superseded_by=self._any())

    async def _end(self) -> httpx2.Response:
        return await self._post(f"/memories/{self._any()}/supersede", valid_to="2040-06-01")

    async def _correct(self) -> httpx2.Response:
        content = f"corrected {self.dice.random()}"
        return await self._post(f"/memories/{self._any()}/correct", content=content, reason="misheard")

    async def _misheard(self) -> httpx2.Response:
        """What answers rest on turns out wrong."""
        return await self._post(f"/memories/{self.world.memories[0]}/correct", content="Kim lives in Moss", reason="x")

    async def _undo(self) -> httpx2.Response:
        return await self._post(f"/agent/transactions/{self.world.newest}/restore")

    async def _retract(self) -> httpx2.Response:
        return await self._post(f"/memories/{self._any()}/retract", reason="wrong")

    async def _restore(self) -> httpx2.Response:
        number = max(1, self.world.newest - self.dice.randint(0, 2))
        return await self._post(f"/agent/transactions/{number}/restore")


async def compare(client: httpx2.AsyncClient, recording: Recording, names: list[str]) -> int:
    """Asks what was asked, and must be told the same; how often."""
    count = 0
    for name in names:
        for asked, expected in recording.answers[name]:
            assert told(await ask(client, asked), asked) == expected, asked
            count += 1
    return count


async def play_and_compare(
    make_account: MakeAccount, clock: HandClock, seed: int, steps: int, share: float = 1.0
) -> int:
    """A random history; how many answers were compared."""
    clock.at = BEGINNING
    account = await make_account()
    low = await make_account(of=account.row, trust=1)
    await low.client.patch("/agent/settings", json={"review_queue": True})
    player = Player(account, low, random.Random(seed))
    recordings: dict[int, Recording] = {0: await record(account, player.world, share)}
    known = {0: len(player.world.memories)}
    for number in range(steps):
        player.world.at = clock.at = BEGINNING + dt.timedelta(minutes=number + 1)
        await player.step(number)
        recordings[player.world.newest] = await record(account, player.world, share)
        known[player.world.newest] = len(player.world.memories)
    newest, memories, receipts = player.world.newest, player.world.memories, player.world.receipts
    keys = {number: (await make_account(of=account.row, up_to=number)).client for number in recordings}
    keys[newest + 9] = (await make_account(of=account.row, up_to=newest + 9)).client
    recordings[newest + 9], known[newest + 9] = recordings[newest], known[newest]
    compared = 0
    # Questions of keys with a ceiling leave receipts that such keys see; so they come last.
    names = sorted(CASES, key=lambda name: name == "memories.query")
    for number, client in keys.items():
        clock.at = recordings[number].at
        compared += await compare(client, recordings[number], names[:-1])
        compared += await unknown(client, memories[known[number] :], receipts, recordings, number)
    for number, client in keys.items():
        clock.at = recordings[number].at
        compared += await compare(client, recordings[number], names[-1:])
    return compared


async def unknown(
    client: httpx2.AsyncClient, later: list[str], receipts: list[str], recordings: dict[int, Recording], number: int
) -> int:
    """What came later is nothing: its ids are those of nothing, its cursors those of a moment that has not been."""
    count = 0
    for path in ("/memories/{}", "/memories/{}/timeline", "/memories/{}/audit", "/memories/{}/versions"):
        nothing = (await ask(client, get(path.format(uuid4())))).content
        for memory in later:
            response = await ask(client, get(path.format(memory)))
            assert (response.status_code, response.content) == (404, nothing)
            count += 1
    for memory in later:
        assert (await ask(client, get("/agent/receipts", memory_id=memory))).status_code == 404
    ahead = [(at, recording) for at, recording in recordings.items() if at > number]
    for at, recording in ahead:
        for asked in recording.cursors[::5]:
            response = await ask(client, asked)
            if asked.path not in ("/agent/reviews", "/agent/receipts") and cursor_number(asked) > number:
                assert response.status_code == 400, asked
                assert response.json()["code"] == "transaction_in_the_future"
            assert at == number + 1 or f'"id":{at}' not in response.text
            count += 1
    shown = {one["receipt_id"] for one in (await ask(client, get("/agent/receipts", limit=1000))).json()["receipts"]}
    for receipt in set(receipts[-30:]) - shown:
        assert (await ask(client, get(f"/agent/receipts/{receipt}"))).status_code == 404
        assert (await ask(client, post(f"/agent/receipts/{receipt}/replay"))).status_code == 404
        count += 2
    return count


def cursor_number(asked: Asked) -> int:
    """The transaction that a list's cursor names."""
    text = dict(asked.fields)["cursor"]
    body = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))[16:])
    place = {"/agent/memories": 3, "/agent/transactions": 2, "/agent/subjects": 1, "/agent/conversations": 2}
    return body[place.get(asked.path, 2)]


async def test_a_ceiling_shows_what_was_shown_when_it_was_the_newest(
    make_account: MakeAccount, hand_clock: HandClock
) -> None:
    """The law, over one history in which everything happens; byte for byte, up to ids of requests and receipts."""
    assert await play_and_compare(make_account, hand_clock, seed=1, steps=15, share=0.2) > 1_000


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(2, 8))
async def test_a_ceiling_shows_what_was_shown_in_random_histories(
    make_account: MakeAccount, hand_clock: HandClock, seed: int
) -> None:
    """The law, over histories at random."""
    assert await play_and_compare(make_account, hand_clock, seed, steps=20, share=0.4) > 2_000


async def test_an_instant_after_the_ceiling_is_the_ceiling(make_account: MakeAccount, hand_clock: HandClock) -> None:
    """Instants that have passed since are those after the newest transaction: read as it, whatever happened then."""
    hand_clock.at = BEGINNING
    account = await make_account()
    await account.add("Kim lives in Oslo", subject="kim", attribute="city")
    key = await make_account(of=account.row, up_to=1)
    hand_clock.at = BEGINNING + dt.timedelta(minutes=1)
    await account.add("Kim lives in Rome", subject="kim", attribute="city")
    for path, name, fixed in [
        ("/agent/memories", "transaction_as_of", {"as_of": "2041-01-01"}),
        ("/agent/subjects/kim", "transaction_as_of", {"as_of": "2041-01-01"}),
        ("/agent/transactions", "transaction_as_of", {}),
        ("/agent/diff", "to", {"from": 0}),
    ]:
        by_number = await ask(key.client, get(path, **{name: 1}, **fixed))
        by_instant = await ask(key.client, get(path, **{name: hand_clock.at.isoformat()}, **fixed))
        assert by_number.status_code == 200 and by_instant.content == by_number.content
        assert "Rome" not in by_instant.text
        assert "2040-01-01T00:01" not in by_instant.text


async def test_what_is_erased_later_is_nothing(make_account: MakeAccount) -> None:
    """Its text is gone for everybody; that and when it was erased is told to those who may know of it."""
    account = await make_account()
    erased = await account.add("Kim lives in Oslo", subject="kim", attribute="city")
    await account.post("/agent/query", question="Where does Kim live?")
    await account.post(f"/memories/{erased}/erase", reason="asked to")
    before, after = [await make_account(of=account.row, up_to=number) for number in (1, 2)]
    nothing = await ask(before.client, get(f"/memories/{uuid4()}"))
    for path in ("/memories/{}", "/memories/{}/timeline", "/memories/{}/audit", "/memories/{}/versions"):
        response = await ask(before.client, get(path.format(erased)))
        assert (response.status_code, response.content) == (404, nothing.content)
        assert (await ask(after.client, get(path.format(erased)))).json()["code"] == "memory_erased"
    assert (await before.get("/agent/transactions/verify"))["checked"] == 1
    assert (await before.get("/agent/transactions/verify"))["ok"] is True
    assert [one["id"] for one in (await before.get("/agent/transactions"))["transactions"]] == [1]
    assert (await before.get("/agent/diff", **{"from": 0}))["changes"] == []
    assert (await after.get("/agent/diff", **{"from": 1}))["changes"][0]["kind"] == "erased"


async def test_labels_go_with_what_they_belong_to(make_account: MakeAccount, dsn: str) -> None:
    """Those that were replaced, too: nothing of a label stays when its conversation or its subject is erased."""
    account = await make_account()
    turn = {"role": "user", "content": "I moved to Rome in May.", "name": "Kim"}
    for label in ("first", "second"):
        labels = {"channel": label, "metadata": {label: 1}}
        await account.post("/agent/conversations", session_id="s", turns=[turn], extraction="never", **labels)
    await account.add("Kim lives in Oslo", subject="kim", attribute="city")
    for label in ("first", None):
        assert (await account.client.patch("/agent/subjects/kim", json={"external_id": label})).status_code == 200
        await account.add(f"Kim is {label}", subject="kim")
    before = await make_account(of=account.row, up_to=1)
    assert (await before.get("/agent/conversations/s"))["conversation"]["channel"] == "first"
    assert (await (await make_account(of=account.row, up_to=3)).get("/agent/subjects/kim"))["external_id"] == "first"
    assert (await account.get("/agent/subjects/kim"))["external_id"] is None
    tables = ("conversation", "conversation_label", "subject", "subject_label")

    async def counted() -> list[int]:
        async with connected(dsn) as connection:
            sql = "SELECT count(*) FROM {} WHERE company_id = $1"
            return [await connection.fetchval(sql.format(table), account.row.id) for table in tables]

    assert await counted() == [1, 2, 1, 2]
    await account.post("/agent/erase", session_id="s")
    await account.post("/agent/erase", subject="kim")
    assert await counted() == [0, 0, 0, 0]


async def test_what_waits_of_later_turns_is_not_told(make_account: MakeAccount) -> None:
    """`pending` is false, of turns that may be known of too: when they are done is told by no transaction."""
    account = await make_account()
    turn = {"role": "user", "content": "I moved to Rome in May.", "name": "Kim"}
    await account.post("/agent/conversations", session_id="s", turns=[turn], extraction="never")
    await account.post("/agent/conversations", session_id="s", turns=[turn], extraction="later")
    for turns, key in [(turns, await make_account(of=account.row, up_to=turns)) for turns in (1, 2)]:
        for told in (await key.get("/agent/conversations/s"), await key.get("/agent/conversations")):
            shown = told.get("conversation") or told["conversations"][0]
            assert (shown["turns"], shown["pending"]) == (turns, False)
    assert (await account.get("/agent/conversations/s"))["conversation"]["pending"] is True


async def test_receipts_of_a_key_with_a_ceiling(make_account: MakeAccount) -> None:
    """It may ask, and see the receipts of what keys of its ceiling or a lower one asked, whenever that was."""
    account = await make_account()
    memory = await account.add("Kim lives in Oslo", subject="kim", attribute="city")
    low = await make_account(of=account.row, up_to=1)
    await account.post(f"/memories/{memory}/correct", content="Kim lives in Moss", reason="misheard")
    high = await make_account(of=account.row, up_to=2)
    asked = {"question": "Where does Kim live?"}
    by_low = (await low.post("/agent/query", **asked))["receipt_id"]
    by_high = (await high.post("/agent/query", **asked))["receipt_id"]
    by_all = (await account.post("/agent/query", **asked, transaction_as_of=1))["receipt_id"]

    async def seen(by: Account) -> set[str]:
        return {one["receipt_id"] for one in (await by.get("/agent/receipts"))["receipts"]}

    assert await seen(low) == {by_low}
    assert await seen(high) == {by_low, by_high, by_all} == await seen(account)
    used = await low.get(f"/memories/{memory}")
    assert (used["used_in_count"], [use["receipt_id"] for use in used["used_in"]]) == (1, [by_low])
    # The correction that broke it comes after the ceiling.
    assert (await low.get(f"/agent/receipts/{by_low}"))["invalidated"] is None
    assert (await account.get(f"/agent/receipts/{by_low}"))["invalidated"]["transaction"] == 2
    assert (await low.post(f"/agent/receipts/{by_low}/replay"))["drift"] == "none"


async def test_the_limits_of_a_key_with_a_ceiling_are_its_own(
    make_account: MakeAccount, service: Service, hand_clock: HandClock, dsn: str
) -> None:
    """What the headers of every answer say, of 200, 403, 404 and 429, is the same whether the account is busy or not;
    only `Retry-After` of a refusal that the account's limit makes is not."""
    hand_clock.at = BEGINNING
    at = BEGINNING.timestamp()
    async with connected(dsn) as connection:
        await connection.execute("INSERT INTO plan VALUES ('ceiling', 1000, 100, 120) ON CONFLICT DO NOTHING")
    told: list[list[tuple[int, dict[str, str]]]] = []
    for busy in (0, 7):
        turned = msgspec.structs.replace(service, limiter=Limiter(ticks=lambda: at))
        account = await make_account(plan="ceiling")
        key = await make_account(of=account.row, up_to=0)
        async with client_at(turned, account) as others, client_at(turned, key) as client:
            for _ in range(busy):
                assert (await others.get("/agent/memories")).status_code == 200
            paths = ("/agent/memories", "/plan/status", "/no/such/path")
            answers = [await client.get(path) for path in paths]
            if busy:
                refused = await client.get("/agent/memories")
                assert refused.status_code == 429 and int(refused.headers["retry-after"]) >= 1
                assert set(refused.headers) >= set(answers[0].headers) - {"content-type"}
                assert refused.headers["ratelimit-policy"] == answers[0].headers["ratelimit-policy"]
                assert refused.headers["x-ratelimit-limit"] == "100"
        shown = [{name: answer.headers[name] for name in HEADERS} for answer in answers]
        told.append([(answer.status_code, headers) for answer, headers in zip(answers, shown, strict=True)])
        assert all('"account"' not in headers["RateLimit"] + headers["RateLimit-Policy"] for headers in shown)
    assert told[0] == told[1]
    assert [status for status, _ in told[0]] == [200, 403, 404]


def test_operations_have_one_door_to_the_database() -> None:
    """What an operation reads for a caller, it reads through `ctx.database`, which knows the caller's ceiling."""
    others = ("growing.py", "following.py", "last_uses.py", "limiting.py", "watching.py")
    for path in (Path(__file__).parents[2] / "aurra" / "ops").glob("*.py"):
        found = re.findall(r"\w*service\.database\b", path.read_text("utf-8"))
        assert not found or path.name in others, path.name


def test_every_read_keeps_the_ceiling_or_is_refused() -> None:
    """A new operation that reads memories, answers or the ledger has a case here, or keeps such keys out on purpose."""
    keeping = {op.name for op in OPERATIONS.values() if op.keeps_ceiling}
    assert set(CASES) == keeping
    reads = {
        op.name
        for op in OPERATIONS.values()
        if op.method == "GET" and op.scope.split(":")[0] in ("memories", "query", "audit")
    }
    assert reads <= keeping
    refused = {op.name for op in OPERATIONS.values() if op.method == "GET"} - keeping
    assert {name for name in refused if not name.startswith(("usage.", "webhooks."))} <= REFUSED_READS


@pytest.mark.parametrize("name", [op.name for op in OPERATIONS.values() if not op.keeps_ceiling])
async def test_everything_else_is_refused_with_its_own_code(make_account: MakeAccount, name: str) -> None:
    """Whatever scopes it has: writes, erasures, settings, providers, keys, the plan."""
    account = await make_account()
    memory = await account.add("Kim lives in Oslo", subject="kim")
    key = await make_account(of=account.row, scopes=",".join(SCOPES), up_to=1)
    op = OPERATIONS[name]
    path = re.sub(r"{(\w+)}", lambda match: {"tx": "1", "subject": "kim"}.get(match[1], memory), op.path)
    body: dict[str, Any] = {"content": "x", "memories": [], "turns": [], "session_id": "s", "reason": "r", "scopes": []}
    fields = {field.encode_name for field in msgspec.structs.fields(op.request)}
    given: dict[str, Any] = {name: value for name, value in body.items() if name in fields}
    sent: dict[str, Any] = {} if op.method in ("GET", "DELETE") else {"json": given}
    response = await key.client.request(op.method, path, headers={"Idempotency-Key": "k"}, **sent)
    if response.status_code in (400, 422):
        pytest.fail(f"{name}: give its case what it needs: {response.text}")
    assert (response.status_code, response.json()["code"]) == (403, "key_has_ceiling")
    assert await account.decisions() == ["Kim lives in Oslo"]
