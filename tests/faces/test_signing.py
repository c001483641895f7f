"""Signed requests: accepted once, as sent, near the clock; everything else is 401."""

import asyncio
import datetime as dt
import json
import random
import re
import string
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import msgspec
import pytest
from aurra_sdk import Aurra

from aurra import sealing, signing
from aurra.context import Service
from aurra.errors import CannotStart
from aurra.faces import examining
from aurra.keys import NewKey, Terms, parse_scopes
from aurra.settings import read_settings
from aurra.signing import Signable
from aurra.store.accounts import AccountRow, open_directory
from tests.conftest import Account, HandClock, MakeAccount, service_on
from tests.plain import connected, own_database
from tests.running import running

PAGE = Path(__file__).parents[2] / "aurra" / "signing.md"
CODES = {"signature_required", "malformed_signature", "invalid_signature", "signature_expired", "nonce_used"}


@pytest.fixture(scope="module")
async def dsn(dsn: str) -> AsyncIterator[str]:
    """A database of its own: the doctor looks at every account."""
    async with own_database(dsn) as own:
        yield own


@pytest.fixture(scope="module")
async def service(dsn: str, clock: HandClock) -> AsyncIterator[Service]:
    """A service on it."""
    async with service_on(dsn, clock) as running:
        yield running


class Sent(msgspec.Struct, frozen=True):
    """A request as it goes out."""

    method: str
    target: str
    body: bytes
    key_id: str
    timestamp: str
    nonce: str
    signature: str


class Signer(msgspec.Struct):
    """A signed key, and how it asks."""

    account: AccountRow
    key: NewKey
    client: httpx2.AsyncClient

    def sign(
        self, method: str, target: str, body: bytes = b"", *, timestamp: int | None = None, nonce: str | None = None
    ) -> Sent:
        at, once = str(int(time.time()) if timestamp is None else timestamp), nonce or uuid4().hex
        request = Signable(method=method, target=target.encode(), body=body)
        id_ = self.key.key_id
        made = signing.sign(self.key.signing_secret or "", request, key_id=id_, timestamp=at, nonce=once)
        return Sent(method, target, body, id_, at, once, made)

    async def send(
        self,
        sent: Sent,
        client: httpx2.AsyncClient | None = None,
        more: dict[str, str] | None = None,
        body: AsyncIterator[bytes] | None = None,
    ) -> httpx2.Response:
        headers = {
            "X-Aurra-Key": sent.key_id,
            "X-Aurra-Timestamp": sent.timestamp,
            "X-Aurra-Nonce": sent.nonce,
            "X-Aurra-Signature": sent.signature,
            "Content-Type": "application/json",
            "X-Request-Id": "same",
        }
        client = client or self.client
        content = sent.body if body is None else body
        return await client.request(sent.method, sent.target, content=content, headers={**headers, **(more or {})})

    async def ask(self, method: str, target: str, body: bytes = b"", **how: Any) -> httpx2.Response:
        return await self.send(self.sign(method, target, body, **how))


MakeSigner = Callable[..., Awaitable[Signer]]


@pytest.fixture
async def make_signer(service: Service, dsn: str, bare: httpx2.AsyncClient) -> AsyncIterator[MakeSigner]:
    """Makes signed keys, each of an account of its own unless one is given."""

    async def make(of: AccountRow | None = None, **terms: Any) -> Signer:
        async with open_directory(dsn) as directory:
            row = of or await directory.create_account(f"signed-{uuid4()}", "enterprise")
            given = Terms(scopes=parse_scopes("full"), is_signed=True, **terms)
            return Signer(row, await directory.create_key(row, given, service.secret_keys.get()), bare)

    yield make


@pytest.fixture
async def signer(make_signer: MakeSigner) -> Signer:
    return await make_signer()


def refused(response: httpx2.Response, code: str) -> None:
    assert (response.status_code, response.json()["code"]) == (401, code), response.text
    assert response.headers["www-authenticate"] == "Bearer"


def memory(content: str) -> bytes:
    return json.dumps({"content": content}).encode()


async def test_a_signed_key_reads_and_writes(signer: Signer) -> None:
    """Every method, with and without query and body; what is encoded in the path is signed as it was sent."""
    stored = await signer.ask("POST", "/agent/memories", memory("Kim lives in Oslo"))
    assert stored.status_code == 200, stored.text
    id_ = stored.json()["memory_id"]
    assert (await signer.ask("GET", "/agent/memories?limit=5&source=agent")).json()["memories"][0]["id"] == id_
    assert (await signer.ask("GET", "/agent/memories/")).status_code == 200
    assert (await signer.ask("PATCH", "/agent/settings", b'{"min_confidence": 0.9}')).status_code == 200
    assert (
        await signer.ask("GET", "/agent/subjects/a%2Fb%20c?as_of=2026-01-01T00%3A00%3A00%2B01%3A00")
    ).status_code == 404
    assert (await signer.ask("DELETE", f"/memories/{id_}?reason=typo")).status_code == 200
    actors = (await signer.ask("GET", "/agent/transactions")).json()["transactions"]
    assert {one["actor"] for one in actors} == {f"key {signer.key.key_id}"}


async def test_a_thousand_mutations_are_refused(make_signer: MakeSigner, service: Service, dsn: str) -> None:
    """T12: method, path, query, body, timestamp, nonce, key or a bit of the signature: 401, and nothing stays of it."""
    dice = random.Random(12)
    signer = await make_signer()
    other = await make_signer(of=signer.account)
    stored = (await signer.ask("POST", "/agent/memories", memory("Kim lives in Oslo"))).json()["memory_id"]
    bases = [
        ("GET", f"/memories/{stored}", b""),
        ("GET", "/agent/memories?limit=5&subject=kim", b""),
        ("POST", "/agent/memories", memory("Kim lives in Rome")),
        ("DELETE", f"/memories/{stored}?reason=typo", b""),
    ]
    counted: Counter[str] = Counter()
    for number in range(1_000):
        kind = list(MUTATIONS)[number % len(MUTATIONS)]
        sent = signer.sign(*dice.choice(bases))
        changed = MUTATIONS[kind](sent, dice, other)
        assert changed != sent
        response = await signer.send(changed)
        assert response.status_code == 401, (kind, changed, response.text)
        assert response.json()["code"] in CODES, response.text
        counted[kind] += 1
    assert min(counted.values()) >= 100
    listed = (await signer.ask("GET", "/agent/memories?include_superseded=true")).json()["memories"]
    assert [one["decision"] for one in listed] == ["Kim lives in Oslo"]
    async with connected(dsn) as connection:
        kept = await connection.fetchval(
            "SELECT count(*) FROM signature_nonce WHERE company_id = $1", signer.account.id
        )
    assert kept == 2


def _flip_bit(text: str, dice: random.Random) -> str:
    """The text with one of its bits turned, so that it can still stand in a header."""
    while True:
        place = dice.randrange(len(text))
        turned = chr(ord(text[place]) ^ 1 << dice.randrange(7))
        if turned.isprintable() and not turned.isspace():
            return text[:place] + turned + text[place + 1 :]


def _other_path(sent: Sent, dice: random.Random) -> Sent:
    path, mark, query = sent.target.partition("?")
    choices = [f"/agent{path}" if path.startswith("/memories") else f"{path}/", f"/memories/{uuid4()}"]
    if path.startswith("/memories"):
        place = len("/memories/") + dice.randrange(36)
        choices.append(f"{path[:place]}{'0' if path[place] != '0' else '1'}{path[place + 1 :]}")
        choices.append(f"{path[:place]}%{ord(path[place]):02x}{path[place + 1 :]}")
    path = dice.choice(choices)
    return (
        msgspec.structs.replace(sent, target=path + mark + query, method="GET" if "%" in path else sent.method)
        if (sent.method != "POST")
        else msgspec.structs.replace(sent, target=f"{sent.target}/bulk")
    )


def _other_query(sent: Sent, dice: random.Random) -> Sent:
    path, _, query = sent.target.partition("?")
    choices = [f"{path}?{query}&limit=1", f"{path}?x=1", path, f"{path}?{query.upper()}", f"{path}?{query}&"]
    target = dice.choice([choice for choice in choices if choice.rstrip("?") != sent.target])
    return msgspec.structs.replace(sent, target=target)


def _other_body(sent: Sent, dice: random.Random) -> Sent:
    if not sent.body:
        return msgspec.structs.replace(sent, body=dice.choice([b"{}", b" ", b"\0", b"x" * dice.randint(1, 5000)]))
    place = dice.randrange(len(sent.body))
    turned = bytes([sent.body[place] ^ 1 << dice.randrange(8)])
    whole = [sent.body[:place] + turned + sent.body[place + 1 :], sent.body + b" ", b"", sent.body[:-1]]
    return msgspec.structs.replace(sent, body=dice.choice(whole))


def _other_timestamp(sent: Sent, dice: random.Random) -> Sent:
    at = int(sent.timestamp)
    choices = [str(at + dice.choice([-300, -1, 1, 7, 299])), f"0{at}", f"+{at}", f"{at}.0", "", "-1", "9" * 12]
    return msgspec.structs.replace(sent, timestamp=dice.choice(choices))


def _other_nonce(sent: Sent, dice: random.Random) -> Sent:
    choices = [_flip_bit(sent.nonce, dice), sent.nonce + "0", sent.nonce[:-1], sent.nonce.upper() + "x", "", "a" * 65]
    return msgspec.structs.replace(sent, nonce=dice.choice(choices))


def _other_key(sent: Sent, other: Signer, dice: random.Random) -> Sent:
    unknown = "".join(dice.choice(string.ascii_letters) for _ in range(8))
    choices = [other.key.key_id, unknown, _flip_bit(sent.key_id, dice), "", other.key.raw, "٣" * 8]
    key_id = dice.choice([choice for choice in choices if choice.isascii()])
    return msgspec.structs.replace(sent, key_id=key_id)


def _other_signature(sent: Sent, dice: random.Random) -> Sent:
    turned = _flip_bit(sent.signature, dice)
    choices = [turned, turned, turned, sent.signature[:-1], sent.signature.upper(), sent.signature[3:], "v1="]
    return msgspec.structs.replace(sent, signature=dice.choice(choices))


MUTATIONS: dict[str, Callable[[Sent, random.Random, Signer], Sent]] = {
    "method": lambda sent, dice, _: msgspec.structs.replace(
        sent, method={"GET": "DELETE", "DELETE": "GET", "POST": "GET"}[sent.method], target=_as_both(sent)
    ),
    "path": lambda sent, dice, _: _other_path(sent, dice),
    "query": lambda sent, dice, _: _other_query(sent, dice),
    "body": lambda sent, dice, _: _other_body(sent, dice),
    "timestamp": lambda sent, dice, _: _other_timestamp(sent, dice),
    "nonce": lambda sent, dice, _: _other_nonce(sent, dice),
    "key": lambda sent, dice, other: _other_key(sent, other, dice),
    "signature": lambda sent, dice, _: _other_signature(sent, dice),
}


def _as_both(sent: Sent) -> str:
    """A target that has both methods."""
    return f"/memories/{uuid4()}" if sent.target.startswith("/agent/memories?") else sent.target


async def test_a_nonce_is_good_for_one_request(signer: Signer, make_signer: MakeSigner) -> None:
    """The same request again is refused; another key may use the same nonce."""
    sent = signer.sign("POST", "/agent/memories", memory("once"))
    assert (await signer.send(sent)).status_code == 200
    for _ in range(3):
        refused(await signer.send(sent), "nonce_used")
    refused(await signer.ask("GET", "/agent/memories", nonce=sent.nonce), "nonce_used")
    beside = await make_signer(of=signer.account)
    assert (await beside.ask("GET", "/agent/memories", nonce=sent.nonce)).json()["memories"][0]["decision"] == "once"


async def test_a_nonce_is_good_for_one_process(signer: Signer, service: Service, dsn: str, tmp_path: Path) -> None:
    """Sent to two processes at once, thirty times: one of all is answered; and each takes what was signed for any."""
    settings = {"database_url": dsn, "aurra_embedder": "none", "aurra_secret_keys": service.settings.aurra_secret_keys}
    with running(tmp_path / "log", **settings) as process:
        async with httpx2.AsyncClient(base_url=process.url) as there:
            for number in range(3):
                sent = signer.sign("POST", "/agent/memories", memory(f"fact {number}"))
                clients = [there, signer.client] * 5
                answers = await asyncio.gather(*(signer.send(sent, client) for client in clients))
                assert sorted(answer.status_code for answer in answers) == [200] + [401] * 9
            assert (await signer.send(signer.sign("GET", "/agent/memories"), there)).status_code == 200
        with Aurra(signer.key.raw, signing_secret=signer.key.signing_secret, base_url=process.url) as client:
            read = await asyncio.to_thread(lambda: [one.decision for one in client.memories.iterate(limit=2)])
    assert len(read) == 3
    assert len((await signer.ask("GET", "/agent/memories")).json()["memories"]) == 3


@pytest.mark.parametrize(("seconds", "code"), [(-301, "signature_expired"), (-299, None), (-300, None), (299, None),
                                               (300, None), (301, "signature_expired")])  # fmt: skip
async def test_a_timestamp_may_be_300_seconds_off(
    signer: Signer, hand_clock: HandClock, seconds: int, code: str | None
) -> None:
    """T12, with a turned clock: the database's, or the one that stands for it, and never this process's."""
    hand_clock.at = dt.datetime(2040, 5, 5, 12, tzinfo=dt.UTC)
    response = await signer.ask("GET", "/agent/memories", timestamp=int(hand_clock.at.timestamp()) + seconds)
    if code is None:
        assert response.status_code == 200, response.text
        return
    refused(response, code)
    assert str(int(hand_clock.at.timestamp())) in response.json()["detail"]


async def test_nonces_are_kept_as_long_as_they_could_be_used(signer: Signer, hand_clock: HandClock, dsn: str) -> None:
    """A timestamp from the future is refused a second time until it has expired; then its nonce goes."""
    begin = hand_clock.at = dt.datetime(2041, 5, 5, 12, tzinfo=dt.UTC)
    sent = signer.sign("GET", "/agent/memories", timestamp=int(begin.timestamp()) + 300)
    assert (await signer.send(sent)).status_code == 200
    for minutes in (5, 9, 10):
        hand_clock.at = begin + dt.timedelta(minutes=minutes)
        refused(await signer.send(sent), "nonce_used")
    hand_clock.at = begin + dt.timedelta(minutes=11)
    refused(await signer.send(sent), "signature_expired")
    hand_clock.at = begin + dt.timedelta(minutes=20)
    assert (await signer.ask("GET", "/agent/memories", timestamp=int(hand_clock.at.timestamp()))).status_code == 200
    async with connected(dsn) as connection:
        sql = "SELECT count(*) FROM signature_nonce WHERE company_id = $1"
        assert await connection.fetchval(sql, signer.account.id) == 1


async def test_nonces_are_an_accounts_own(signer: Signer, make_signer: MakeSigner, dsn: str) -> None:
    """Row-level security keeps them apart as it does memories; with no account there are none."""
    other = await make_signer()
    for one in (signer, other):
        assert (await one.ask("GET", "/agent/memories", nonce="n" * 16)).status_code == 200
    async with connected(dsn) as connection:
        await connection.execute("SET ROLE aurra_app")
        assert await connection.fetchval("SELECT count(*) FROM signature_nonce") == 0
        await connection.execute(f"SET aurra.company_id = '{signer.account.id}'")
        owners = await connection.fetch("SELECT DISTINCT company_id FROM signature_nonce")
        assert [row[0] for row in owners] == [signer.account.id]


async def test_a_bearer_alone_is_not_enough(signer: Signer, make_account: Any) -> None:
    """Whoever has the key without its signing secret gets nothing; whoever has neither is told nothing."""
    bearer = {"Authorization": f"Bearer {signer.key.raw}"}
    refused(await signer.client.get("/agent/memories", headers=bearer), "signature_required")
    guessed = {"Authorization": "Bearer aurra_live_" + "0" * 57}
    refused(await signer.client.get("/agent/memories", headers=guessed), "invalid_key")
    refused(await signer.send(signer.sign("GET", "/agent/memories"), more=bearer), "malformed_signature")
    account: Account = await make_account(of=signer.account)
    assert await account.decisions() == []


async def test_headers_that_are_missing_twice_or_malformed(signer: Signer) -> None:
    """Each of the four once."""
    sent = signer.sign("GET", "/agent/memories")
    headers = [
        ("X-Aurra-Key", sent.key_id),
        ("X-Aurra-Timestamp", sent.timestamp),
        ("X-Aurra-Nonce", sent.nonce),
        ("X-Aurra-Signature", sent.signature),
    ]
    for place in range(4):
        for changed in (headers[:place] + headers[place + 1 :], [*headers, headers[place]]):
            refused(await signer.client.get("/agent/memories", headers=changed), "malformed_signature")
    assert (await signer.client.get("/agent/memories", headers=headers)).status_code == 200


async def test_a_body_is_read_once_the_signature_has_its_form(signer: Signer) -> None:
    """Who sends what is no signature at all has not one byte of a body read, however much more would come."""
    read = 0

    async def body() -> AsyncGenerator[bytes]:
        nonlocal read
        for piece in (b'{"content": ', b'"Kim"}'):
            read += 1
            yield piece

    sent = signer.sign("POST", "/agent/memories", b'{"content": "Kim"}')
    for changed in (
        msgspec.structs.replace(sent, signature="v1=short"),
        msgspec.structs.replace(sent, nonce="short"),
        msgspec.structs.replace(sent, timestamp="now"),
        msgspec.structs.replace(sent, key_id="x"),
    ):
        refused(await signer.send(changed, body=body()), "malformed_signature")
        assert read == 0
    assert (await signer.send(sent, body=body())).status_code == 200
    assert read == 2


async def test_nothing_is_told_of_other_keys(signer: Signer, make_signer: MakeSigner, make_account: Any) -> None:
    """Unknown, unsigned, another account's, revoked, expired: one answer, byte for byte, to whoever cannot sign."""
    unsigned: Account = await make_account()
    expired = await make_signer(expires_at=dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
    other = await make_signer()
    ids = ["Zz000000", unsigned.key.split("_")[2][:8], expired.key.key_id, other.key.key_id]
    answers: set[bytes] = set()
    for id_ in ids:
        sent = msgspec.structs.replace(signer.sign("GET", "/agent/memories"), key_id=id_)
        response = await signer.send(sent)
        refused(response, "invalid_signature")
        answers.add(response.content)
    assert len(answers) == 1
    refused(await expired.ask("GET", "/agent/memories"), "expired_key")


async def test_a_revoked_key_that_signs_is_refused_at_once(signer: Signer, dsn: str) -> None:
    assert (await signer.ask("GET", "/agent/memories")).status_code == 200
    async with open_directory(dsn) as directory:
        await directory.revoke_key(signer.key.key_id)
    refused(await signer.ask("GET", "/agent/memories"), "revoked_key")


async def test_limits_of_the_body_are_as_ever(signer: Signer) -> None:
    """Over the limit is 413 and no JSON is 415, signed or not; what follows white space is read."""
    assert (await signer.ask("POST", "/agent/memories", b" " * (2**20 + 1))).status_code == 413
    assert (await signer.ask("POST", "/agent/memories", b" \n" + memory("spaced") + b"\n")).status_code == 200
    sent = signer.sign("POST", "/agent/memories", memory("x"))
    assert (await signer.send(sent, more={"Content-Type": "text/plain"})).status_code == 415


def test_the_documented_vector_is_what_is_signed() -> None:
    """The page's example, by the page's own Python and by ours."""
    page = PAGE.read_text("utf-8")
    vector: dict[str, str] = json.loads(re.search(r"```json\n(.*?)```", page, re.DOTALL)[1])  # type: ignore[index]
    request = Signable(method=vector["method"], target=vector["target"].encode(), body=vector["body"].encode())
    names = {"key_id": vector["key_id"], "timestamp": vector["timestamp"], "nonce": vector["nonce"]}
    assert signing.sign(vector["signing_secret"], request, **names) == vector["signature"]
    lines = re.search(r"```text\n(.*?)\n```", page, re.DOTALL)
    assert lines and signing.canonical(request, **names).decode() == lines[1]
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert code
    scope: dict[str, Any] = {}
    exec(code[1], scope)
    given = {name: vector[name] for name in ("signing_secret", "key_id", "timestamp", "nonce", "method", "target")}
    assert scope["signature"](**given, body=vector["body"].encode()) == vector["signature"]
    for header in signing.HEADERS:
        assert header in page
    for code_ in CODES:
        assert code_ in page


async def test_signing_secrets_are_sealed_rewrapped_and_examined(
    signer: Signer, service: Service, dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing that is stored signs; the operator's commands cover them as they do models' keys."""
    secret = signer.key.signing_secret or ""
    async with connected(dsn) as connection:
        row = await connection.fetchrow("SELECT k.*::text AS t FROM api_key k WHERE key_id = $1", signer.key.key_id)
    assert secret.encode().hex() not in row["t"] and secret not in row["t"]
    old, new = service.settings.aurra_secret_keys, sealing.new_key()

    async def told(run: Any, *keys: str) -> list[str]:
        settings = {"DATABASE_URL": dsn, "AURRA_EMBEDDER": "none", "AURRA_SECRET_KEYS": ",".join(keys)}
        await run(read_settings(settings))
        said = capsys.readouterr().out
        assert secret not in said
        return [line for line in said.splitlines() if signer.account.name in line and "signing" in line]

    name, fails = signer.account.name, f"the signing secrets of {signer.key.key_id} cannot be opened"
    assert await told(examining.examine, old) == [f"ok   account {name}: the signing secrets of 1 keys open"]
    assert await told(examining.rewrap, new) == [f"FAIL account {name}: {fails}"]
    assert await told(examining.rewrap, new, old) == []
    assert await told(examining.examine, old) == [f"FAIL account {name}: {fails}"]
    # The service lacks the new key: it says so, and to nobody what it would open.
    assert (await signer.ask("GET", "/agent/memories")).status_code == 503
    assert await told(examining.rewrap, old, new) == []
    assert (await signer.ask("GET", "/agent/memories")).status_code == 200


async def rotated(manager: Account, signer: Signer, hours: float = 24) -> Signer:
    """The same key with the secrets that a rotation answers."""
    made = await manager.post(f"/api-keys/{signer.key.key_id}/rotate", overlap_hours=hours)
    assert made["api_key"]["id"] == signer.key.key_id and made["api_key"]["is_signed"]
    key = msgspec.structs.replace(signer.key, raw=made["key"], signing_secret=made["signing_secret"])
    return Signer(signer.account, key, signer.client)


async def test_rotations_overlap_as_a_model_says(
    signer: Signer, make_account: MakeAccount, hand_clock: HandClock
) -> None:
    """Rotations with overlaps of any length, at any time: the newest secret is always accepted, the one before it until
    its end and not at it, older ones never. A hundred steps, each asked about with the last secrets there were."""
    dice = random.Random(11)
    manager: Account = await make_account(of=signer.account)
    hand_clock.at = dt.datetime(2042, 5, 5, 12, tzinfo=dt.UTC)
    secrets_, until = [signer], hand_clock.at
    told: Counter[str] = Counter()
    for _ in range(100):
        if dice.random() < 0.4:
            hours = dice.choice([0.0, 0.5, 24.0, 168.0])
            secrets_.append(await rotated(manager, secrets_[-1], hours))
            until = hand_clock.at + dt.timedelta(hours=hours)
        left = (until - hand_clock.at).total_seconds()
        hand_clock.at += dt.timedelta(seconds=dice.choice([0.0, 60.0, max(0.0, left - 1e-6), max(0.0, left), 1e6]))
        for age, one in enumerate(reversed(secrets_[-4:])):
            response = await one.ask("GET", "/agent/memories", timestamp=int(hand_clock.at.timestamp()))
            wanted = (
                "ok"
                if age == 0 or (age == 1 and hand_clock.at < until)
                else ("rotated_key", "invalid_signature")[age > 1]
            )
            assert response.json().get("code", "ok") == wanted, (age, hand_clock.at, until)
            told[f"{age} {wanted}"] += 1
    assert min(told[kind] for kind in ("0 ok", "1 ok", "1 rotated_key", "2 invalid_signature")) > 10, told


async def test_the_signing_secret_on_its_way_out_changes_no_keys(signer: Signer, make_account: MakeAccount) -> None:
    """It reads and writes; one that could rotate its key would never end. Revoking ends both."""
    manager: Account = await make_account(of=signer.account)
    new = await rotated(manager, signer)
    assert (await signer.ask("POST", "/agent/memories", memory("said in the overlap"))).status_code == 200
    path = f"/api-keys/{signer.key.key_id}"
    for method, target, body in (
        ("POST", f"{path}/rotate", b"{}"),
        ("POST", "/api-keys", b'{"scopes": ["query"]}'),
        ("PATCH", path, b'{"name": "x"}'),
        ("DELETE", path, b""),
    ):
        answer = await signer.ask(method, target, body)
        assert (answer.status_code, answer.json()["code"]) == (403, "outgoing_secret"), answer.text
    assert (await new.ask("PATCH", path, b'{"name": "x"}')).status_code == 200
    assert (await new.ask("DELETE", path)).status_code == 200
    for one in (signer, new):
        refused(await one.ask("GET", "/agent/memories"), "revoked_key")


async def test_the_signing_secret_before_is_rewrapped_and_examined_while_it_counts(
    signer: Signer, make_account: MakeAccount, service: Service, dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the overlap the operator's commands cover both; afterwards nothing is left that an old key would open."""
    manager: Account = await make_account(of=signer.account)
    new = await rotated(manager, signer)
    old_ring, new_ring = service.settings.aurra_secret_keys, sealing.new_key()
    name, fails = signer.account.name, f"the signing secrets of {signer.key.key_id} cannot be opened"

    async def told(run: Any, *keys: str) -> list[str]:
        settings = {"DATABASE_URL": dsn, "AURRA_EMBEDDER": "none", "AURRA_SECRET_KEYS": ",".join(keys)}
        await run(read_settings(settings))
        return [line for line in capsys.readouterr().out.splitlines() if name in line and "signing" in line]

    async def stored() -> set[str]:
        async with connected(dsn) as connection:
            sql = "SELECT signing_sealed_by, previous_signing_sealed_by FROM api_key WHERE key_id = $1"
            return set(filter(None, await connection.fetchrow(sql, signer.key.key_id)))

    async def change(sql: str) -> None:
        async with connected(dsn) as connection:
            await connection.execute(f"UPDATE api_key SET {sql} WHERE key_id = $1", signer.key.key_id)

    assert await told(examining.examine, old_ring) == [f"ok   account {name}: the signing secrets of 1 keys open"]
    before = await stored()
    assert await told(examining.rewrap, new_ring, old_ring) == [] and not before & await stored()
    assert await told(examining.examine, old_ring) == [f"FAIL account {name}: {fails}"]
    assert await told(examining.rewrap, old_ring, new_ring) == [] and await stored() == before
    for one in (signer, new):
        assert (await one.ask("GET", "/agent/memories")).status_code == 200
    # One that was altered is of no use, and told; the other is as good as ever.
    await change("previous_signing_sealed = signing_sealed || previous_signing_sealed")
    assert await told(examining.examine, old_ring) == [f"FAIL account {name}: {fails}"]
    assert await told(examining.rewrap, old_ring) == [f"FAIL account {name}: {fails}"]
    refused(await signer.ask("GET", "/agent/memories"), "invalid_signature")
    assert (await new.ask("GET", "/agent/memories")).status_code == 200
    await change("previous_until = now() - interval '1 second'")
    assert await told(examining.examine, old_ring) == [f"ok   account {name}: the signing secrets of 1 keys open"]
    assert await told(examining.rewrap, old_ring) == []
    async with connected(dsn) as connection:
        sql = "SELECT previous_signing_sealed IS NULL FROM api_key WHERE key_id = $1"
        assert await connection.fetchval(sql, signer.key.key_id)


async def test_an_operator_rotates_a_key_that_signs(signer: Signer, service: Service, dsn: str) -> None:
    """With the installation's secret keys, and not without."""
    async with open_directory(dsn) as directory:
        with pytest.raises(CannotStart, match="signing secret cannot be kept"):
            await directory.rotate_key(signer.key.key_id, dt.timedelta(hours=1))
        key = await directory.rotate_key(signer.key.key_id, dt.timedelta(hours=1), service.secret_keys.get)
    new = Signer(signer.account, key, signer.client)
    for one in (signer, new):
        assert (await one.ask("GET", "/agent/memories")).status_code == 200


async def test_a_secret_is_bound_to_its_account_and_key(make_signer: MakeSigner, dsn: str) -> None:
    """Whoever can write the table cannot give one key the secret of another."""
    one, other = await make_signer(), await make_signer()
    async with connected(dsn) as connection:
        await connection.execute(
            """UPDATE api_key k SET signing_sealed = o.signing_sealed FROM api_key o
               WHERE o.key_id = $1 AND k.key_id = $2""",
            one.key.key_id,
            other.key.key_id,
        )
    assert (await other.ask("GET", "/agent/memories")).status_code == 503
    async with open_directory(dsn) as directory:
        with pytest.raises(CannotStart, match="signing secret cannot be kept"):
            await directory.create_key(one.account, Terms(scopes=["query"], is_signed=True))
