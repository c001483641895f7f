"""A key-value store over memories, written once for both clients.

An item is the memory that holds the slot of its namespace (subject) and key (attribute): putting asserts, so that the
value before ends and stays in the past; deleting ends; a time to live is the end of validity.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from aurra_sdk import types
from aurra_sdk._async.client import AsyncAurra
from aurra_sdk._given import Moment
from aurra_sdk._sync.client import Aurra
from aurra_sdk.errors import ConflictError, NotFoundError, PermissionDeniedError
from aurra_sdk.integrations import _names, _stored
from aurra_sdk.integrations._either import Calls
from aurra_sdk.integrations._stored import Draft, Given, Namespace, Stored

Accepts: TypeAlias = Callable[[Stored], bool]
Looked: TypeAlias = tuple[Stored | None, dt.datetime]
"""The item, if there is one, and when that was, by the service's clock."""
_PAGE = 1000
_MANY_KEYS = 10
_MOST_ITEMS = 500
"""In one transaction."""
_MOST_BYTES = 4_000_000
_MOST_TOPICS = 500
_MOST_SUBJECTS = 16
"""Looked at one by one; of more, the whole store is read through."""


class ItemStore:
    """Items of one source, at one moment: now, or, for reading alone, one in the past or to come."""

    def __init__(
        self, client: Aurra | AsyncAurra, source: str, moment: Mapping[str, Moment | int] | None = None
    ) -> None:
        self._calls = Calls(client)
        self._source = source
        self._moment = moment or {}

    async def find(self, namespace: Namespace, key: str) -> Stored | None:
        """The item, if there is one."""
        return (await self._look(namespace, key))[0]

    async def newest(self, prefix: Namespace, accepts: Accepts, wanted: int) -> list[Stored]:
        """The first items below a namespace, the last put first; reads no more pages than it must."""
        subjects = await self._subjects(prefix) if prefix else None
        if subjects is None or len(subjects) > _MOST_SUBJECTS:
            return await self._pages({}, lambda item: item.namespace[: len(prefix)] == prefix and accepts(item), wanted)
        found = [item for subject in subjects for item in await self._pages({"subject": subject}, accepts, wanted)]
        return sorted(found, key=lambda item: (item.updated_at, item.memory.id), reverse=True)[:wanted]

    async def nearest(self, prefix: Namespace, query: str, accepts: Accepts, wanted: int) -> list[Stored]:
        """Items below a namespace, the best for the query first; then, without a score, those that it cannot find."""
        subjects = await self._subjects(prefix) if prefix else []
        if prefix and not subjects:
            return []
        filters: dict[str, Any] = {"sources": [self._source], **self._moment}
        if 0 < len(subjects) <= _MOST_TOPICS:
            filters["topics"] = subjects
        limit = min(_PAGE, max(wanted, 10))
        while True:
            answer = await self._calls.search(query, limit=limit, **filters)
            items = [item for item in self._items(answer) if item.namespace[: len(prefix)] == prefix and accepts(item)]
            found = [item for item in items if item.is_indexed]
            is_all = len(answer.memories) < limit
            if len(found) >= wanted or is_all or limit == _PAGE:
                break
            limit = min(_PAGE, limit * 8)
        if is_all:
            return [*found, *(item for item in items if not item.is_indexed)][:wanted]
        seen = {item.memory.id for item in found}
        found += await self.newest(
            prefix, lambda item: item.memory.id not in seen and accepts(item), max(0, wanted - len(found))
        )
        return found[:wanted]

    async def namespaces(self, prefix: Namespace) -> list[Namespace]:
        """Those at or below a namespace in which there is something."""
        named = [_names.namespace_of(self._source, subject) for subject in await self._subjects(prefix)]
        return [namespace for namespace in named if namespace is not None]

    async def write(self, given: Sequence[Given]) -> None:
        """Afterwards each item has its value. Up to 500 are one transaction; a value that is there already is none."""
        held = await self._held(given)
        for part in _parts([_stored.draft_of(self._source, item, *held[item.namespace, item.key]) for item in given]):
            again = await self._write(part)
            if again:
                await self._write([_stored.marked(draft) for draft in again])

    async def end(self, namespace: Namespace, key: str) -> None:
        """Afterwards there is no such item; what it was until now stays."""
        held, read_at = await self._look(namespace, key)
        if held is None:
            return
        began = dt.datetime.fromisoformat(held.memory.valid_from)
        end = max(read_at, began + dt.timedelta(microseconds=1))
        try:
            await self._calls.supersede(held.memory.id, valid_to=end.isoformat())
        except ConflictError as error:
            if error.code not in ("already_ended", "not_believed"):
                raise

    async def erase(self, namespace: Namespace, reason: str | None) -> None:
        """Afterwards all that ever was in exactly this namespace is gone, from every transaction."""
        subject = _names.subject_of(self._source, namespace)
        while (await self._calls.erase_matching(subject=subject, reason=reason)).remaining:
            pass

    async def refresh(self, items: Sequence[Stored]) -> None:
        """Afterwards the time to live of each begins with its reading, unless it was put or ended meanwhile, or the key
        may not say so."""
        for item in items:
            if (due := item.due) is not None and not self._moment:
                try:
                    await self._calls.correct(
                        item.memory.id,
                        "It was read: its time to live begins anew.",
                        # What was cut meanwhile is another version, and is not stretched over its successor.
                        version=item.memory.version,
                        valid_to=due.isoformat(),
                    )
                except (ConflictError, NotFoundError, PermissionDeniedError):
                    continue

    async def _held(self, given: Sequence[Given]) -> dict[tuple[Namespace, str], Looked]:
        """What is there in the place of each; of many keys in one namespace, a page of it is looked at first."""
        held: dict[tuple[Namespace, str], Looked] = {}
        keys: dict[Namespace, dict[str, None]] = {}
        for item in given:
            keys.setdefault(item.namespace, {})[item.key] = None
        for namespace, wanted in keys.items():
            if len(wanted) >= _MANY_KEYS:
                page = await self._calls.list_memories(
                    subject=_names.subject_of(self._source, namespace), source=self._source, limit=_PAGE
                )
                found = {item.key: item for item in self._items(page)}
                known = wanted if page.next_cursor is None else found.keys() & wanted.keys()
                held |= {(namespace, key): (found.get(key), _read_at(page)) for key in known}
            for key in wanted:
                if (namespace, key) not in held:
                    held[namespace, key] = await self._look(namespace, key)
        return held

    async def _look(self, namespace: Namespace, key: str) -> Looked:
        page = await self._calls.list_memories(
            subject=_names.subject_of(self._source, namespace),
            attribute=_names.attribute_of(key),
            source=self._source,
            limit=1,
            **self._moment,
        )
        return next(iter(self._items(page)), None), _read_at(page)

    async def _pages(self, filters: Mapping[str, str], accepts: Accepts, wanted: int) -> list[Stored]:
        found: list[Stored] = []
        cursor: str | None = None
        while len(found) < wanted:
            page = await self._calls.list_memories(
                source=self._source,
                limit=_PAGE if cursor else min(_PAGE, max(wanted, 20)),
                cursor=cursor,
                **filters,
                **self._moment,
            )
            found += filter(accepts, self._items(page))
            cursor = page.next_cursor
            if cursor is None:
                break
        return found[:wanted]

    async def _subjects(self, prefix: Namespace) -> list[str]:
        """Names of the subjects at or below a namespace."""
        name = _names.subject_of(self._source, prefix)
        found: list[str] = []
        cursor: str | None = None
        while True:
            page = await self._calls.list_subjects(query=name, limit=_PAGE, cursor=cursor, **self._moment)
            for subject in page.subjects:
                namespace = _names.namespace_of(self._source, subject.subject)
                if namespace is not None and namespace[: len(prefix)] == prefix:
                    found.append(subject.subject)
            cursor = page.next_cursor
            if cursor is None:
                return found

    async def _write(self, drafts: Sequence[Draft]) -> list[Draft]:
        """Writes; returns those that the service took for what the slot says already, though they are not."""
        written = await self._calls.bulk(drafts)
        await self._end_leftovers(written, drafts)
        again: list[Draft] = []
        for outcome, draft in zip(written.items, drafts, strict=True):
            if outcome.status == "duplicate" and outcome.memory_id is not None:
                found = await self._calls.get_memory(outcome.memory_id)
                if not _stored.says(found.memory, draft):
                    again.append(draft)
        return again

    async def _end_leftovers(self, written: types.BulkWritten, drafts: Sequence[Draft]) -> None:
        """What held a slot before a value with a time to live would hold it again after that: it ends instead."""
        ends = {dt.datetime.fromisoformat(draft["valid_to"]) for draft in drafts if "valid_to" in draft}
        for opened in written.receipt.opened:
            if opened.op == "leftover" and opened.memory_id and dt.datetime.fromisoformat(opened.valid_from) in ends:
                await self._calls.supersede(opened.memory_id, valid_to=opened.valid_from)

    def _items(self, answer: types.MemoryPage | types.Found) -> list[Stored]:
        read_at = _read_at(answer)
        items = [_stored.item_of(self._source, memory, read_at) for memory in answer.memories]
        return [item for item in items if item is not None]


def _read_at(answer: types.MemoryPage | types.Found) -> dt.datetime:
    return dt.datetime.fromisoformat(answer.as_of or answer.transaction.at)


def _parts(drafts: Sequence[Draft]) -> list[list[Draft]]:
    """In order, as many as fit a transaction and a request; each slot once in all."""
    parts: list[list[Draft]] = []
    room = 0
    for draft in drafts:
        size = len(repr(draft).encode("utf-8", "surrogatepass"))
        if not parts or size > room or len(parts[-1]) == _MOST_ITEMS:
            parts.append([])
            room = _MOST_BYTES
        parts[-1].append(draft)
        room -= size
    return parts
