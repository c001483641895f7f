"""A fresh tenant of the account, and everything that can be done in it; all that a law touches."""

import datetime as dt
from collections.abc import Awaitable
from typing import Any
from uuid import uuid4

import msgspec

from aurra.conformance.client import Answer, Client, Json
from aurra.conformance.expecting import Broken, KeyRefused, NotAllowed, expect, lasting

SUBJECT, ATTRIBUTE = "kim", "city"
SLOT = {"subject": SUBJECT, "attribute": ATTRIBUTE}
FAR = "2999-01-01T00:00:00.000000+00:00"
"""An instant that has not come."""
REASON = "played by the conformance suite"
_FIRST_DAY = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
_PAGE = 1000


def shown(at: dt.datetime) -> str:
    """An instant as the contract shows it: UTC, microseconds, +00:00. The order of such texts is that of time."""
    return at.astimezone(dt.UTC).isoformat(timespec="microseconds")


def day(number: float) -> str:
    """The instant so many days after 2024-01-01, 00:00 UTC."""
    return shown(_FIRST_DAY + dt.timedelta(days=number))


def moved(at: str, **by: float) -> str:
    """An instant moved by days, seconds, microseconds …"""
    return shown(dt.datetime.fromisoformat(at) + dt.timedelta(**by))


def covers(piece: Json, at: str) -> bool:
    """Whether a piece holds at the instant."""
    return piece["valid_from"] <= at and (piece["valid_to"] is None or at < piece["valid_to"])


class Unexpected(Broken):
    """A request was refused."""

    def __init__(self, request: str, answer: Answer) -> None:
        self.status, self.body = answer.status, answer.body
        said = f"{answer.status} {answer.body.get('code')}: {answer.body.get('detail')}"
        super().__init__(f"{request} succeeds", 200, said)


async def refusal(call: Awaitable[Any], status: int, what: str, code: str | None = None) -> Json:
    """The error that the call is refused with. Raises Broken when it succeeds, or fails in another way."""
    try:
        came = await call
    except Unexpected as refused:
        expect(refused.status, status, f"{what}: the status")
        if code is not None:
            expect(refused.body.get("code"), code, f"{what}: the code")
        return refused.body
    raise Broken(what, f"{status} {code or ''}".strip(), f"200 {came}")


class Done(msgspec.Struct, frozen=True):
    """What a verb answered."""

    id: str
    """The memory; empty for a verb on many."""
    tx: int
    at: str
    body: Json

    @property
    def opened(self) -> list[Json]:
        """Versions that it opened, in valid order."""
        return sorted(self.body["receipt"]["opened"], key=lambda version: (version["valid_from"], str(version)))

    @property
    def closed(self) -> list[Json]:
        """Versions that it closed, in valid order."""
        return sorted(self.body["receipt"]["closed"], key=lambda version: (version["valid_from"], str(version)))


class Tenant:
    """A tenant of its own name. Calls raise Broken when they are refused; `refusal` turns that round."""

    def __init__(self, client: Client, made: list[str]) -> None:
        self.name = f"conformance-{uuid4()}"
        self._client = client
        self._made = made
        made.append(self.name)

    def another(self) -> "Tenant":
        """A second fresh tenant of the same account."""
        return Tenant(self._client, self._made)

    # Writing

    async def write(self, content: str, *, idempotency_key: str | None = None, **fields: Any) -> Json:
        """The answer to POST /agent/memories, whatever its `status` says."""
        body = {"content": content, "tenant_id": self.name, **fields}
        return await self._ok("POST", "/agent/memories", body=body, idempotency_key=idempotency_key)

    async def add(self, content: str, **fields: Any) -> Done:
        """One memory more, stored."""
        answer = await self.write(content, **fields)
        expect(answer["status"], "saved", "a new fact is saved")
        return _done(answer)

    async def city(self, value: str, start: str | None = None, end: str | None = None, **fields: Any) -> Done:
        """Asserts a value of the slot (kim, city)."""
        return await self.add(value, **{**SLOT, "valid_from": start, "valid_to": end, **fields})

    async def fact(self, content: str, start: str | None = None, end: str | None = None, **fields: Any) -> Done:
        """Asserts a memory without a slot: it is a lane of its own."""
        return await self.add(content, valid_from=start, valid_to=end, **fields)

    async def supersede(self, memory_id: str, **body: Any) -> Done:
        """Ends a memory, with `superseded_by` or without (then it is `end`)."""
        return _done(await self._ok("POST", f"/memories/{memory_id}/supersede", body=body))

    async def correct(self, memory_id: str, **body: Any) -> Done:
        """The record was wrong: other content, another interval."""
        answer = await self._ok("POST", f"/memories/{memory_id}/correct", body={"reason": REASON, **body})
        return _done(answer)

    async def retract(self, memory_id: str, **body: Any) -> Done:
        """Takes a memory back."""
        return _done(await self._ok("POST", f"/memories/{memory_id}/retract", body=body))

    async def delete(self, memory_id: str) -> Done:
        """Takes a memory back, by the other way."""
        return _done(await self._ok("DELETE", f"/memories/{memory_id}"))

    async def restore(self, tx: int, **body: Any) -> Done:
        """Undoes a transaction."""
        return _done(await self._ok("POST", f"/agent/transactions/{tx}/restore", body=body))

    async def erase(self, memory_id: str, **body: Any) -> Done:
        """Removes a memory for good."""
        return _done(await self._ok("POST", f"/memories/{memory_id}/erase", body=body))

    async def erase_all(self, **body: Any) -> Done:
        """Removes for good what matches in this tenant."""
        return _done(await self._ok("POST", "/agent/erase", body={"tenant_id": self.name, **body}))

    # Reading

    async def page(self, **query: Any) -> Json:
        """One page of the list."""
        return await self._ok("GET", "/agent/memories", query={"tenant_id": self.name, "limit": _PAGE, **query})

    async def listed(self, **query: Any) -> list[Json]:
        """All entries of the list, page by page."""
        page = await self.page(**query)
        entries: list[Json] = page["memories"]
        while page["has_more"]:
            page = await self.page(**query, cursor=page["next_cursor"])
            entries += page["memories"]
        return entries

    async def state(self, tx: int) -> list[Json]:
        """All that was believed at a transaction, whatever its validity, without what the clock changes."""
        return lasting(await self.listed(transaction_as_of=tx))

    async def believed(self) -> list[Json]:
        """What is believed now, whatever its validity: what each piece says, its interval and its link."""
        names = ("id", "decision", "subject", "attribute", "valid_from", "valid_to", "superseded_by", "created_at")
        return [{name: piece[name] for name in names} for piece in await self.listed(include_superseded="true")]

    async def pieces(self, memory_id: str, tx: int | None = None) -> list[tuple[str, str | None, str | None]]:
        """Of each believed piece of a memory: from, to, and who took over."""
        found = await self.get(memory_id, transaction_as_of=tx)
        return [(piece["valid_from"], piece["valid_to"], piece["superseded_by"]) for piece in found["pieces"]]

    async def holds(self, at: str | None = None, tx: int | None = None) -> list[str]:
        """What the slot (kim, city) says at an instant, as believed at a transaction."""
        page = await self.page(**SLOT, as_of=at, transaction_as_of=tx)
        return [memory["decision"] for memory in page["memories"]]

    async def newest(self) -> Json:
        """The account's newest transaction: `id` and `at`."""
        return (await self.page(limit=1))["transaction"]

    async def get(self, memory_id: str, **query: Any) -> Json:
        """One memory with its pieces."""
        return await self._ok("GET", f"/memories/{memory_id}", query=query)

    async def timeline(self, memory_id: str, **query: Any) -> Json:
        """The chain of a memory."""
        return await self._ok("GET", f"/memories/{memory_id}/timeline", query=query)

    async def audit(self, memory_id: str, **query: Any) -> Json:
        """Where a memory comes from, and what happened to it."""
        return await self._ok("GET", f"/memories/{memory_id}/audit", query=query)

    async def versions(self, memory_id: str, **query: Any) -> Json:
        """All versions of a memory."""
        return await self._ok("GET", f"/memories/{memory_id}/versions", query=query)

    async def search(self, words: str, **body: Any) -> Json:
        """What is found by words."""
        return await self._ok("POST", "/agent/search", body={"query": words, "tenant_id": self.name, **body})

    async def query(self, question: str, **body: Any) -> Json:
        """An answer with citations."""
        return await self._ok("POST", "/agent/query", body={"question": question, "tenant_id": self.name, **body})

    async def diff(self, first: int, last: int, **query: Any) -> Json:
        """What changed over (first, last]."""
        asked = {"from": first, "to": last, "tenant_id": self.name, **query}
        return await self._ok("GET", "/agent/diff", query=asked)

    async def subjects(self, **query: Any) -> Json:
        """Whom the memories are about."""
        return await self._ok("GET", "/agent/subjects", query={"tenant_id": self.name, **query})

    async def profile(self, subject: str, **query: Any) -> Json:
        """What is believed about a subject."""
        return await self._ok("GET", f"/agent/subjects/{subject}", query={"tenant_id": self.name, **query})

    async def transactions(self, *, account: bool = False, **query: Any) -> list[Json]:
        """The ledger's entries that touch this tenant, or of the whole account; page by page."""
        asked = {"limit": _PAGE, **({} if account else {"tenant_id": self.name}), **query}
        page = await self._ok("GET", "/agent/transactions", query=asked)
        entries: list[Json] = page["transactions"]
        while page["has_more"]:
            page = await self._ok("GET", "/agent/transactions", query={**asked, "cursor": page["next_cursor"]})
            entries += page["transactions"]
        return entries

    async def transaction(self, tx: int) -> Json:
        """One entry of the ledger with what it opened and closed."""
        return await self._ok("GET", f"/agent/transactions/{tx}")

    async def verify(self) -> Json:
        """Whether the ledger's chain is whole."""
        return await self._ok("GET", "/agent/transactions/verify")

    async def plan(self) -> Json:
        """The plan's meter."""
        return await self._ok("GET", "/plan/status")

    # The suite's own business

    async def require_usable(self) -> None:
        """Returns when the key can play here. Raises KeyRefused or Unreachable with a sentence; stores nothing."""
        body = {"content": "May this key write?", "tenant_id": self.name, "dry_run": True}
        answer = await self._client.send("POST", "/agent/memories", body=body)
        if answer.status == 404 and (await self._client.send("GET", "/agent/memories")).status == 200:
            raise KeyRefused("The key is pinned to one tenant; the suite makes tenants of its own: use another key.")
        if answer.status in (401, 402, 403):
            raise KeyRefused(f"The key cannot be used ({answer.status}): {_said(answer)}")
        if answer.status != 200:
            raise Unexpected("POST /agent/memories (dry_run)", answer)

    async def _ok(
        self,
        method: str,
        path: str,
        *,
        query: Json | None = None,
        body: Json | None = None,
        idempotency_key: str | None = None,
    ) -> Json:
        answer = await self._client.send(method, path, query=query, body=body, idempotency_key=idempotency_key)
        if answer.status == 403:
            raise NotAllowed(_said(answer))
        if answer.status != 200:
            raise Unexpected(f"{method} {path}", answer)
        return answer.body


def _done(body: Json) -> Done:
    return Done(body.get("memory_id") or "", body["transaction"]["id"], body["transaction"]["at"], body)


def _said(answer: Answer) -> str:
    detail: Any = answer.body.get("detail")
    try:
        return detail["message"]
    except (TypeError, KeyError):
        return str(detail)
