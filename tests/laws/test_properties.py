"""The laws of time, each by its number, over the running service."""

import datetime as dt
import itertools
import random
from typing import Any, NamedTuple
from uuid import uuid4

import msgspec
import pytest

from tests.conftest import Account, HandClock, MakeAccount

MEMORIES = "/agent/memories"
CITY = {"subject": "kim", "attribute": "city"}
Json = dict[str, Any]


class Known(NamedTuple):
    """What every one of these accounts knows at first: a memory in two pieces, another between, two free ones."""

    oslo: str
    rome: str
    tea: str
    coffee: str


async def begin(account: Account) -> Known:
    """Four transactions."""
    return Known(
        oslo=await account.add("Kim lives in Oslo", **CITY, valid_from="2026-01-01"),
        rome=await account.add("Kim lives in Rome", **CITY, valid_from="2026-03-01", valid_to="2026-04-01"),
        tea=await account.add("Kim likes tea", valid_from="2026-01-01"),
        coffee=await account.add("Kim likes coffee", valid_from="2026-02-01"),
    )


class Verb(msgspec.Struct, frozen=True):
    """A request on what `begin` made; `{oslo}` and the like stand for ids."""

    method: str
    path: str
    body: Json = {}

    def on(self, known: Known) -> tuple[str, str, Json]:
        names = known._asdict()
        filled = {name: names.get(str(value)[1:-1], value) for name, value in self.body.items()}
        return self.method, self.path.format(**names), filled


CHANGES = {
    "assert bounded": Verb(
        "POST", MEMORIES, {"content": "Kim lives in Bern", **CITY, "valid_from": "2026-02-10", "valid_to": "2026-03-10"}
    ),
    "assert open": Verb("POST", MEMORIES, {"content": "Kim lives in Bern", **CITY, "valid_from": "2026-02-10"}),
    "supersede": Verb("POST", "/memories/{tea}/supersede", {"superseded_by": "{coffee}"}),
    "end": Verb("POST", "/memories/{oslo}/supersede", {"valid_to": "2026-05-01"}),
    "correct content": Verb("POST", "/memories/{oslo}/correct", {"content": "Kim lives in Moss", "reason": "misheard"}),
    "correct interval": Verb("POST", "/memories/{rome}/correct", {"valid_from": "2026-02-15", "reason": "misdated"}),
    "retract": Verb("POST", "/memories/{oslo}/retract"),
    "delete": Verb("DELETE", "/memories/{rome}"),
    "restore": Verb("POST", "/agent/transactions/2/restore"),
}
"""Every verb but erase."""
ERASE = {"erase": Verb("POST", "/memories/{oslo}/erase")}
every_change = pytest.mark.parametrize("verb", CHANGES.values(), ids=CHANGES)
every_verb = pytest.mark.parametrize("verb", (CHANGES | ERASE).values(), ids=CHANGES | ERASE)


async def play(account: Account, verb: Verb, known: Known, key: str | None = None, **more: Any) -> tuple[bytes, Json]:
    """The answer, as bytes and as JSON; it must be a success."""
    method, path, body = verb.on(known)
    fields: Json = {"json": {**body, **more}} if method == "POST" else {"params": more}
    answer = await account.client.request(method, path, headers={"Idempotency-Key": key} if key else {}, **fields)
    assert answer.status_code == 200, answer.text
    return answer.content, answer.json()


async def believed(account: Account, **query: Any) -> list[tuple[Any, ...]]:
    """Every piece believed, without what tells one version from another that says the same."""
    page = await account.get(MEMORIES, limit=1000, **(query or {"include_superseded": "true"}))
    names = ("id", "decision", "valid_from", "valid_to", "superseded_by")
    return [tuple(memory[name] for name in names) for memory in page["memories"]]


async def newest(account: Account) -> int:
    return (await account.get(MEMORIES, limit=1))["transaction"]["id"]


def day(number: int) -> str:
    """A day of 2026 and later."""
    return str(dt.date(2026, 1, 1) + dt.timedelta(days=number))


async def random_history(account: Account, dice: random.Random, steps: int) -> list[str]:
    """Verbs on one slot; what is refused is no step. Returns the ids of all memories there were."""
    ids: list[str] = []
    for _ in range(steps):
        start, length = dice.randint(0, 40), dice.randint(1, 15)
        verb = dice.choice(["open", "open", "bounded", "bounded", "cut", "move", "move", "say", "retract", "restore"])
        if verb in ("open", "bounded") or len(ids) < 2:
            until = {"valid_to": day(start + length)} if verb == "bounded" else {}
            ids.append(await account.add(f"city {len(ids)}", **CITY, valid_from=day(start), **until))
            continue
        one, two = dice.sample(ids, 2)
        pieces: list[Json] = (await account.get(f"/memories/{one}"))["pieces"] or [{"version": one}]
        path, body = {
            "cut": (f"/memories/{one}/supersede", {"superseded_by": two}),
            "move": (f"/memories/{one}/correct", {"valid_from": day(start), "version": dice.choice(pieces)["version"]}),
            "say": (f"/memories/{one}/correct", {"content": f"city {start} of {len(ids)}"}),
            "retract": (f"/memories/{one}/retract", {}),
            "restore": (f"/agent/transactions/{max(1, await newest(account) - dice.randint(0, 2))}/restore", {}),
        }[verb]
        answer = await account.client.post(path, json={**body, "reason": "dice"})
        assert answer.status_code in (200, 400, 409), answer.text
    return ids


async def test_property_02_a_state_never_changes_whatever_is_done_later(account: Account) -> None:
    """state(k) now is JSON-identical to state(k) when k was newest, an erased memory apart."""
    known = await begin(account)
    seen: list[Json] = []
    for verb in [*CHANGES.values(), *ERASE.values()]:
        method, path, body = verb.on(known)
        await account.client.request(method, path, json=body if method == "POST" else None)
        seen.append(await account.get(MEMORIES, limit=1000, transaction_as_of=await newest(account)))
    assert len({page["transaction"]["id"] for page in seen}) > 7
    for then in seen:
        then["memories"] = [memory for memory in then["memories"] if memory["id"] != known.oslo]
        assert await account.get(MEMORIES, limit=1000, transaction_as_of=then["transaction"]["id"]) == then


@pytest.mark.parametrize("seed", range(4))
async def test_property_04_following_links_valid_to_grows(account: Account, seed: int) -> None:
    """From a piece to the piece of the named memory that holds its `valid_to`, else the next: `valid_to` grows at each
    step, so every walk ends; no piece is open and superseded, none names its own memory."""
    await random_history(account, random.Random(seed), 30)
    pieces = await believed(account)
    assert all(valid_to is not None and link != id_ for id_, _, _, valid_to, link in pieces if link)
    for _, _, _, valid_to, link in pieces:
        walked: list[str] = []
        while link is not None:
            walked.append(valid_to)
            after = sorted(piece[2:] for piece in pieces if piece[0] == link and (piece[3] or "9999") > valid_to)
            if not after:
                break
            _, valid_to, link = after[0]
        assert walked == sorted(set(walked))


@pytest.mark.parametrize("seed", range(3))
async def test_property_09_a_bounded_edit_changes_nothing_outside(account: Account, seed: int) -> None:
    """An assert over [a, b) leaves every answer before a and from b on as it was; inside it is the answer."""
    dice = random.Random(seed)
    await random_history(account, dice, 15)
    for number in range(5):
        start = dice.randint(0, 40)
        end = start + dice.randint(1, 10)
        before = [await account.decisions(as_of=day(at)) for at in range(55)]
        text = f"edit {number}"
        await account.add(text, **CITY, valid_from=day(start), valid_to=day(end))
        after = [await account.decisions(as_of=day(at)) for at in range(55)]
        assert after == [*before[:start], *[[text]] * (end - start), *before[end:]]


@pytest.mark.parametrize("seed", range(4))
async def test_property_10_pieces_of_one_memory_never_touch(account: Account, seed: int) -> None:
    """Between two pieces of a memory there is always an instant that it does not hold."""
    await begin(account)
    await random_history(account, random.Random(seed), 40)
    several = 0
    for number in range(2, await newest(account) + 1, 5):
        state = await believed(account, transaction_as_of=number)
        for one in {piece[0] for piece in state}:
            pieces = sorted(piece[2:4] for piece in state if piece[0] == one)
            several += len(pieces) > 1
            assert all(left[1] is not None and left[1] < right[0] for left, right in itertools.pairwise(pieces))
    assert several


@pytest.mark.parametrize("is_open", [False, True], ids=["bounded", "open"])
async def test_property_11_asserts_commute(account: Account, is_open: bool) -> None:
    """Bounded asserts on disjoint intervals come to the same in any order of arrival; so do open ones with distinct
    starts."""
    outcomes: list[list[tuple[Any, ...]]] = []
    for order in itertools.permutations([0, 5, 9]):
        subject = f"kim {order}"
        for start in order:
            until = {} if is_open else {"valid_to": day(start + 4)}
            fields = {"subject": subject, "attribute": "city", "valid_from": day(start)}
            await account.add(f"from {start}", **fields, **until)
        pieces = await believed(account, include_superseded="true", subject=subject)
        texts = {id_: text for id_, text, *_ in pieces}
        outcomes.append(sorted((text, *when, link and texts[link]) for _, text, *when, link in pieces))
    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert len(outcomes[0]) == 3


async def test_property_12_the_future_comes_with_no_job_run(account: Account, hand_clock: HandClock) -> None:
    """A future-dated fact is invisible before its start and visible from it on, and what it displaces goes then."""
    hand_clock.at = dt.datetime(2040, 1, 1, tzinfo=dt.UTC)
    await account.add("Kim lives in Oslo", **CITY)
    await account.add("Kim lives in Rome", **CITY, valid_from="2040-06-01", valid_to="2040-07-01")
    newest_ = await newest(account)
    start = dt.datetime(2040, 6, 1, tzinfo=dt.UTC)
    for at, text in [
        (start - dt.timedelta(microseconds=1), "Kim lives in Oslo"),
        (start, "Kim lives in Rome"),
        (start + dt.timedelta(days=30) - dt.timedelta(microseconds=1), "Kim lives in Rome"),
        (start + dt.timedelta(days=30), "Kim lives in Oslo"),
    ]:
        hand_clock.at = at
        assert await account.decisions() == [text]
    assert await newest(account) == newest_


@every_change
async def test_property_13_restore_right_after_a_change_is_the_identity(account: Account, verb: Verb) -> None:
    """Undone at once, a change leaves what is believed as it was, and undoing that brings the change back."""
    known = await begin(account)
    before = await believed(account)
    _, changed = await play(account, verb, known)
    after = await believed(account)
    assert after != before
    undone = await account.post(f"/agent/transactions/{changed['transaction']['id']}/restore")
    assert await believed(account) == before
    await account.post(f"/agent/transactions/{undone['transaction']['id']}/restore")
    assert await believed(account) == after


@every_verb
async def test_property_14_an_idempotency_key_twice_is_one_transaction(account: Account, verb: Verb) -> None:
    """The second answer is the first, byte for byte, and took no number, also after other writes."""
    known = await begin(account)
    key = str(uuid4())
    first, body = await play(account, verb, known, key)
    assert body["transaction"]["id"] == 5
    assert (await play(account, verb, known, key))[0] == first
    await account.add("Kim likes water")
    assert (await play(account, verb, known, key))[0] == first
    assert await newest(account) == 6


async def _looks(account: Account, known: Known, **query: Any) -> list[bytes | Json]:
    """What there is to read, at a fixed moment of valid time; without the transaction, if a tenant is asked."""
    answers: list[bytes | Json] = []
    for path, more in [
        (MEMORIES, {"as_of": "2026-03-15"}),
        (MEMORIES, {"include_superseded": "true", "as_of": "2026-03-15"}),
        (f"/memories/{known.oslo}", {"as_of": "2026-03-15"}),
        (f"/memories/{known.rome}/timeline", {"as_of": "2026-03-15"}),
        ("/agent/search", {}),
    ]:
        if path == "/agent/search":
            asked = {"query": "where does Kim live", "as_of": "2026-03-15", **query}
            answer = await account.client.post(path, json=asked)
        else:
            answer = await account.client.get(path, params={**more, **(query if path == MEMORIES else {})})
        assert answer.status_code == 200, answer.text
        body = {name: value for name, value in answer.json().items() if name != "transaction"}
        answers.append(body if query else answer.content)
    return answers


async def test_property_15_other_tenants_and_accounts_read_the_same(
    account: Account, make_account: MakeAccount, hand_clock: HandClock
) -> None:
    """Whatever is done here, reads of another account stay byte-identical, those of another tenant `transaction`
    apart."""
    hand_clock.at = dt.datetime(2040, 1, 1, tzinfo=dt.UTC)
    known, stranger = await begin(account), await make_account()
    theirs = await begin(stranger)
    tenant = Known(
        oslo=await account.add("Kim lives in Oslo", **CITY, valid_from="2026-01-01", tenant_id="acme"),
        rome=await account.add("Kim lives in Rome", **CITY, valid_from="2026-03-01", tenant_id="acme"),
        tea="",
        coffee="",
    )
    before = await _looks(stranger, theirs), await _looks(account, tenant, tenant_id="acme")
    for verb in [*CHANGES.values(), *ERASE.values()]:
        method, path, body = verb.on(known)
        await account.client.request(method, path, json=body if method == "POST" else None)
    assert await newest(account) > 12
    assert (await _looks(stranger, theirs), await _looks(account, tenant, tenant_id="acme")) == before


async def test_property_16_the_same_instant_in_any_offset_gives_the_same_answer(
    account: Account, hand_clock: HandClock
) -> None:
    """Read or written, an instant is an instant."""
    hand_clock.at = dt.datetime(2040, 1, 1, tzinfo=dt.UTC)
    await begin(account)
    hand_clock.at += dt.timedelta(hours=1)
    at = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    zones = [dt.timezone(dt.timedelta(minutes=minutes)) for minutes in (0, 60, -480, 345, 840, -720)]
    spelled = [at.astimezone(zone).isoformat() for zone in zones] + ["2026-03-01", "2026-03-01T00:00:00.000Z"]
    reads: list[Json] = []
    for number, text in enumerate(spelled):
        then = hand_clock.at.astimezone(zones[number % 6]).isoformat()
        reads.append(await account.get(MEMORIES, as_of=text, transaction_as_of=then))
    assert all(read == reads[0] for read in reads)
    assert [memory["decision"] for memory in reads[0]["memories"]] == [
        "Kim likes coffee",
        "Kim likes tea",
        "Kim lives in Rome",
    ]
    writes = [await account.post(MEMORIES, content=text, valid_from=text, dry_run=True) for text in spelled]
    assert {written["receipt"]["opened"][0]["valid_from"] for written in writes} == {"2026-03-01T00:00:00.000000+00:00"}


async def test_property_17_true_at_valid_from_false_at_valid_to(account: Account) -> None:
    """Intervals are half-open, to the microsecond; also where one fact follows another."""
    await begin(account)
    for at, text in [
        ("2026-02-28T23:59:59.999999Z", "Kim lives in Oslo"),
        ("2026-03-01T00:00:00.000000Z", "Kim lives in Rome"),
        ("2026-03-31T23:59:59.999999Z", "Kim lives in Rome"),
        ("2026-04-01T00:00:00.000000Z", "Kim lives in Oslo"),
    ]:
        page = await account.get(MEMORIES, as_of=at, subject="kim")
        assert [(one["decision"], one["temporal"]["is_current"]) for one in page["memories"]] == [(text, True)]


@every_verb
async def test_property_18_a_dry_run_tells_what_the_real_run_does(account: Account, verb: Verb) -> None:
    """Its receipt (of an erase: its certificate) is the one that the real run then gives, new ids apart; and it changes
    nothing."""
    known = await begin(account)
    before = await account.get(MEMORIES, limit=1000, transaction_as_of=4)
    _, dry = await play(account, verb, known, dry_run=True)
    assert dry["dry_run"] is True
    assert await newest(account) == 4
    assert await account.get(MEMORIES, limit=1000, transaction_as_of=4) == before
    assert (await account.get("/plan/status"))["writes_used"] == 4
    _, real = await play(account, verb, known)
    assert real["transaction"]["id"] == 5
    if "certificate" in real:
        assert dry["certificate"] == real["certificate"]
        return
    born = real["memory_id"] if verb.path == MEMORIES else None
    for version in [*real["receipt"]["opened"], *real["receipt"]["closed"]]:
        version["memory_id"] = None if version["memory_id"] == born else version["memory_id"]
        version["superseded_by"] = None if version["superseded_by"] == born else version["superseded_by"]
    for version in real["receipt"]["opened"]:
        version["version"] = None
    assert dry["receipt"] == real["receipt"]


async def test_property_21_writes_used_counts_memories_first_committed_in_the_period(
    account: Account, hand_clock: HandClock
) -> None:
    """Whatever befalls them since: no other verb costs or refunds anything, and a new month begins at 0."""
    hand_clock.at = dt.datetime(2040, 1, 10, tzinfo=dt.UTC)
    known = await begin(account)

    async def used() -> int:
        return (await account.get("/plan/status"))["writes_used"]

    assert await used() == 4
    for verb in (name for name in CHANGES | ERASE if not name.startswith("assert")):
        method, path, body = (CHANGES | ERASE)[verb].on(known)
        await account.client.request(method, path, json=body if method == "POST" else None)
        assert await used() == 4, verb
    assert (await account.post(MEMORIES, content="Kim likes coffee", valid_from="2026-02-01"))["status"] == "duplicate"
    assert await used() == 4
    hand_clock.at = dt.datetime(2040, 2, 1, tzinfo=dt.UTC)
    assert await used() == 0
    water = await account.add("Kim likes water")
    assert await used() == 1
    await account.post(f"/memories/{water}/erase")
    assert await used() == 1


async def test_property_03_an_end_corrected_to_open_yields_and_links_as_an_assert_does(account: Account) -> None:
    """A piece that yields to a later one carries `superseded_by` = that one; also if its end was there before."""
    oslo = await account.add("Kim lives in Oslo", **CITY, valid_from="2026-01-01", valid_to="2026-03-01")
    rome = await account.add("Kim lives in Rome", **CITY, valid_from="2026-03-01")
    corrected = await account.post(f"/memories/{oslo}/correct", valid_to=None, reason="it had no end of its own")
    (piece,) = (await account.get(f"/memories/{oslo}"))["pieces"]
    assert (piece["valid_to"][:10], piece["superseded_by"]) == ("2026-03-01", rome)
    assert corrected["status"] == "corrected"


async def test_property_03_pieces_that_become_one_keep_the_link_of_the_end_that_stays(account: Account) -> None:
    """A piece is corrected to end where the memory's next piece ends: that end has not moved, its link stays."""
    oslo = await account.add("Kim lives in Oslo", **CITY, valid_from="2026-01-01")
    await account.add("Kim lives in Rome", **CITY, valid_from="2026-03-01", valid_to="2026-05-01")
    bern = await account.add("Kim lives in Bern", **CITY, valid_from="2026-08-01")
    first, last = (await account.get(f"/memories/{oslo}"))["pieces"]
    assert (last["valid_to"][:10], last["superseded_by"]) == ("2026-08-01", bern)
    moved = {"valid_from": "2026-04-01", "valid_to": "2026-08-01", "version": first["version"]}
    await account.post(f"/memories/{oslo}/correct", reason="misdated", **moved)
    (piece,) = (await account.get(f"/memories/{oslo}"))["pieces"]
    assert (piece["valid_from"][:10], piece["valid_to"][:10]) == ("2026-04-01", "2026-08-01")
    assert piece["superseded_by"] == bern
