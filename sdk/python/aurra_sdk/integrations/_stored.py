"""Items of a key-value store as memories: what is written for one, and what a memory says of its item. Pure."""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from typing import Any, TypeAlias, cast

import msgspec

from aurra_sdk import types
from aurra_sdk.integrations import _names, _packing

Namespace: TypeAlias = tuple[str, ...]
Draft: TypeAlias = dict[str, Any]
"""The fields of one memory of a bulk write."""
_OF_ITEM = ("value", "json", "ttl_minutes", "is_unindexed")


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What is put."""

    namespace: Namespace
    key: str
    value: Mapping[str, Any]
    text: str
    """What is to be found of it."""
    is_indexed: bool = True
    """Whether a query may find it."""
    ttl_minutes: float | None = None


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """An item as it is at the moment read."""

    namespace: Namespace
    key: str
    value: dict[str, Any]
    created_at: dt.datetime
    updated_at: dt.datetime
    memory: types.Memory
    read_at: dt.datetime
    """By the service's clock."""
    is_indexed: bool
    """Whether a query may find it."""
    score: float | None
    """Of the query that found it."""

    @property
    def due(self) -> dt.datetime | None:
        """Until when it lives if its time begins anew with this reading; None where that is as good as it was, or it
        has no such time. A sixtieth of it may be lost, so that not each reading writes."""
        minutes, end = (self.memory.metadata or {}).get("ttl_minutes"), self.memory.valid_to
        if not isinstance(minutes, (int, float)) or end is None:
            return None
        life = dt.timedelta(minutes=minutes)
        due = self.read_at + life
        return due if due - dt.datetime.fromisoformat(end) >= life / 60 else None


def item_of(source: str, memory: types.Memory, read_at: dt.datetime) -> Stored | None:
    """The item that a memory is; None for a memory that is none of this source's."""
    namespace = _names.namespace_of(source, memory.subject)
    value = _packing.unpacked(memory.metadata)
    if namespace is None or memory.attribute is None or memory.source != source or not isinstance(value, dict):
        return None
    updated_at = dt.datetime.fromisoformat(memory.created_at)
    metadata = memory.metadata or {}
    first, is_indexed = metadata.get("created_at"), not metadata.get("is_unindexed")
    return Stored(
        namespace=namespace,
        key=_names.key_of(memory.attribute),
        value=cast("dict[str, Any]", value),
        created_at=dt.datetime.fromisoformat(first) if isinstance(first, str) else updated_at,
        updated_at=updated_at,
        memory=memory,
        read_at=read_at,
        is_indexed=is_indexed,
        score=memory.score if is_indexed and isinstance(memory, types.ScoredMemory) else None,
    )


def draft_of(source: str, given: Given, held: Stored | None, read_at: dt.datetime) -> Draft:
    """The memory to write, in the slot of namespace and key.

    Raises TypeError or ValueError for a value that is no JSON, a name that is too long, a time to live that is none.
    """
    metadata = _packing.packed(given.value)
    subject = _names.subject_of(source, given.namespace)
    draft: Draft = {
        "content": _packing.storable(given.text),
        "subject": subject,
        "attribute": _names.attribute_of(given.key),
        # The service searches in several topics at once, but in one subject only.
        "topic": subject,
        "source": source,
        "auto_supersede": False,
        "metadata": metadata,
    }
    if not given.is_indexed:
        metadata["is_unindexed"] = True
    if given.ttl_minutes is not None:
        if not given.ttl_minutes > 0:
            raise ValueError("A time to live must be more than 0 minutes.")
        metadata["ttl_minutes"] = given.ttl_minutes
        draft["valid_to"] = (read_at + dt.timedelta(minutes=given.ttl_minutes)).isoformat()
    if held is not None:
        metadata["created_at"] = held.created_at.isoformat()
    return draft


def says(memory: types.Memory, draft: Draft) -> bool:
    """Whether the memory is what is to be written, but for when the item was first put."""
    held = memory.metadata or {}
    return all(held.get(name) == draft["metadata"].get(name) for name in _OF_ITEM)


def marked(draft: Draft) -> Draft:
    """The same with a text that no other value of the slot has. Memories of one slot that say the same are one to the
    service, whatever their metadata."""
    told = json.dumps([draft["metadata"], draft.get("valid_to")], sort_keys=True)
    return {**draft, "content": f"{draft['content']}\n(value {hashlib.sha256(told.encode()).hexdigest()[:12]})"}
