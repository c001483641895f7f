"""One account's, or one tenant's, whole life: something of every kind, and in every text that can be written one word
by which it is known again."""

import asyncio
import secrets
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from aurra.context import Service
from aurra.ops import OPERATIONS
from tests.conftest import Account

Json = dict[str, Any]
LETTERS = "bdgklmnprtvz"


def word() -> str:
    """Letters that nothing else holds, that no stemmer changes and that nobody takes for a name or a number."""
    return "q" + "".join(secrets.choice(LETTERS) + secrets.choice("aou") for _ in range(7)) + "x"


class Planted(msgspec.Struct, kw_only=True):
    """What there is of an account or a tenant, by kind (see cases.py), as its owner would name it."""

    word: str
    values: dict[str, list[Any]]

    def one(self, kind: str, place: int = 0) -> Any:
        """One of a kind; the same for the same place."""
        found = self.values[kind]
        return found[place % len(found)]


class Planter:
    """Who plants: a key that may write everywhere in its account, or the one tenant."""

    def __init__(self, account: Account, low: Account, known: str, tenant: str | None) -> None:
        self.account = account
        self.low = low
        self.word = known
        self.tenant: Json = {} if tenant is None else {"tenant_id": tenant}
        self.values: dict[str, list[Any]] = defaultdict(list)

    def text(self, name: str) -> str:
        """Something that a caller might write, with the word in it."""
        return f"{name} {self.word}"

    def keep(self, kind: str, *values: Any) -> None:
        self.values[kind] += values

    async def add(self, content: str, of: Account | None = None, **fields: Any) -> Json:
        """A memory, and what it is known by."""
        found = await (of or self.account).post("/agent/memories", content=content, **self.tenant, **fields)
        self.keep("memory", *found["memory_ids"])
        self.keep("number", found["transaction"]["id"])
        self.keep("version", *(one["version"] for one in found["receipt"]["opened"]))
        return found


async def plant(
    service: Service,
    account: Account,
    low: Account,
    known: str,
    *,
    tenant: str | None = None,
    more: int = 1,
    fillers: int = 0,
    with_model: bool = False,
) -> Planted:
    """Something of every kind, `more` times over, and so many transactions besides. `low` is a key of the same account
    that is trusted less. With a model set for the account, nothing that asks one works any more."""
    planter = Planter(account, low, known, tenant)
    steps: list[Callable[[Planter, int], Awaitable[None]]] = [
        _memories,
        _api_keys,
        _keys,
        _changes,
        _conversations,
        _answers,
        _reviews,
    ]
    for number in range(more):
        for step in steps:
            await step(planter, number)
    await _cursors(planter)
    for number in range(0, fillers, 50):
        await asyncio.gather(*(planter.add(planter.text(f"filler {number + one} says")) for one in range(50)))
    await _settings(planter)
    if with_model:
        await _model(planter, service)
    planter.keep("tenant", *([tenant] if tenant else [planter.text("tenant 0")]))
    # The newest first: of who asks, fewer transactions are there.
    planter.values["number"].sort(reverse=True)
    planter.keep("moment", *planter.values["number"])
    return Planted(word=known, values=dict(planter.values))


async def _memories(by: Planter, number: int) -> None:
    """Every text field of a memory, with a key for the request, alone and in a bulk."""
    fields: Json = {
        "topic": by.text("topic"),
        "source": by.text("source"),
        "session_id": by.text(f"session {number}"),
        "subject": by.text(f"subject {number}"),
        "attribute": by.text("attribute"),
        "external_id": by.text(f"external {number}"),
        "metadata": {by.word: {by.word: [by.word]}},
    }
    by.keep("session", fields["session_id"])
    by.keep("subject", fields["subject"])
    by.keep("attribute", fields["attribute"])
    by.keep("external", fields["external_id"])
    by.keep("label", fields["topic"], fields["source"])
    content = by.text(f"the harbour of {number} is deep, says")
    by.keep("text", content)
    await by.add(content, reason=by.text("reason"), **fields)
    items = [{"content": by.text(f"item {item} of {number} says"), **by.tenant, **fields, "attribute": None}
             for item in range(2)]  # fmt: skip
    if not by.tenant:
        items.append({"content": by.text(f"elsewhere {number} says"), **fields, "tenant_id": by.text("tenant 0")})
    bulk = await by.account.post("/agent/memories/bulk", memories=items, reason=by.text("reason"))
    by.keep("memory", *(item["memory_id"] for item in bulk["items"]))
    await by.account.client.patch(
        f"/agent/subjects/{fields['subject']}", json={"external_id": fields["external_id"], **by.tenant}
    )


async def _api_keys(by: Planter, number: int) -> None:
    """A key of the account's, with a name; one that asks for nothing it is told."""
    made = await by.account.post("/api-keys", name=by.text(f"agent {number}"), scopes=["query"], **by.tenant)
    by.keep("api_key", made["api_key"]["id"])


async def _keys(by: Planter, number: int) -> None:
    """As many idempotency keys as there are operations that take one."""
    for place, op in enumerate(op for op in OPERATIONS.values() if op.is_idempotent):
        key = f"key-{by.word}-{number}-{place}"
        body = {"content": by.text(f"kept for {op.name} {number}"), **by.tenant}
        answer = await by.account.client.post("/agent/memories", json=body, headers={"Idempotency-Key": key})
        assert answer.status_code == 200, answer.text
        by.keep(f"key of {op.name}", key)
        by.keep("number", answer.json()["transaction"]["id"])


async def _changes(by: Planter, number: int) -> None:
    """Something is superseded, corrected, retracted, restored and erased."""
    ids = [
        (await by.add(by.text(f"version {place} of {number} says"), subject=by.text("changing")))["memory_id"]
        for place in range(5)
    ]
    reason = by.text("reason")
    await by.account.post(f"/memories/{ids[0]}/supersede", superseded_by=ids[1], reason=reason)
    await by.account.post(f"/memories/{ids[2]}/correct", content=by.text(f"corrected {number} says"), reason=reason)
    retracted = await by.account.post(f"/memories/{ids[3]}/retract", reason=reason)
    await by.account.post(f"/agent/transactions/{retracted['transaction']['id']}/restore", reason=reason)
    erased = await by.account.post(f"/memories/{ids[4]}/erase")
    by.keep("number", retracted["transaction"]["id"], erased["transaction"]["id"])


async def _conversations(by: Planter, number: int) -> None:
    """Turns with ids, names, addresses and labels; kept, and made into memories."""
    turns = [
        {
            "role": "user",
            "content": by.text(f"I keep bees in garden {place} of {number}, says"),
            "name": by.text("speaker"),
            "id": by.text(f"turn {place}"),
            "uri": f"https://recordings.example/{by.word}",
            "metadata": {by.word: by.word},
        }
        for place in range(2)
    ]
    for extraction, session in (("never", f"call {number}"), ("now", f"chat {number}")):
        answer = await by.account.post(
            "/agent/conversations",
            session_id=by.text(session),
            turns=turns,
            channel=by.text("channel"),
            external_id=by.text(f"conversation {number}"),
            uri=f"https://calls.example/{by.word}",
            metadata={by.word: by.word},
            reason=by.text("reason"),
            extraction=extraction,
            **by.tenant,
        )
        by.keep("number", answer["transaction"]["id"])
        by.keep("session", by.text(session))
    by.keep("label", by.text("channel"))
    by.keep("external", by.text(f"conversation {number}"))
    by.keep("turn", by.text("turn 0"), by.text("turn 1"))
    verbatim = await by.account.post(
        "/agent/memories",
        messages=turns,
        extraction="verbatim",
        session_id=by.text(f"verbatim {number}"),
        source=by.text("source"),
        **by.tenant,
    )
    by.keep("memory", *verbatim["memory_ids"])


async def _answers(by: Planter, number: int) -> None:
    """Receipts of answers, one grounded and one refused."""
    for question in (f"How deep is the harbour of {number}?", by.text("What of")):
        answer = await by.account.post("/agent/query", question=question, **by.tenant)
        by.keep("receipt", answer["receipt_id"])
    by.keep("text", by.text("What of"))


async def _reviews(by: Planter, number: int) -> None:
    """What is not trusted enough waits for a person."""
    await by.low.client.patch("/agent/settings", json={"review_queue": True})
    place = f"{by.word.title()}{LETTERS[number % 12]}"
    await by.add(f"{place} lives in Oslo")
    await by.low.post("/agent/memories", content=f"{place} lives in Rome", auto_supersede=True, **by.tenant)
    reviews = (await by.account.get("/agent/reviews", **by.tenant))["reviews"]
    by.keep("review", reviews[0]["id"])


async def _cursors(by: Planter) -> None:
    """The cursor of every list."""
    for path in ("memories", "conversations", "subjects", "receipts", "reviews", "transactions"):
        page = await by.account.get(f"/agent/{path}", limit=1, **by.tenant)
        if page["next_cursor"]:
            by.keep("cursor", page["next_cursor"])
    session = by.values["session"][1]
    page = await by.account.get(f"/agent/conversations/{session}/messages", limit=1, **by.tenant)
    by.keep("cursor", page["next_cursor"])


async def _settings(by: Planter) -> None:
    """The key's settings."""
    changed = {"excluded_categories": [by.word], "classifier_model": by.word}
    assert (await by.account.client.patch("/agent/settings", json=changed)).status_code == 200


async def _model(by: Planter, service: Service) -> None:
    """The account's model, with a key."""
    assert service.secret_keys.find() is not None
    model = {"provider": "openai", "model": by.word, "api_key": f"sk-{by.word}", "extra": {by.word: by.word}}
    answer = await by.account.client.patch("/agent/provider", json=model)
    assert answer.status_code == 200, answer.text
