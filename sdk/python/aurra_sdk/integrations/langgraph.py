"""LangGraph's long-term memory on Aurra: `AurraStore`, a `BaseStore`.

```python
from aurra_sdk import Aurra
from aurra_sdk.integrations.langgraph import AurraStore

store = AurraStore(Aurra())
store.put(("users", "kim"), "food", {"likes": "noodles"})
```
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Any, cast

from aurra_sdk._async.client import AsyncAurra
from aurra_sdk._given import Moment
from aurra_sdk._sync.client import Aurra
from aurra_sdk.integrations import _filters
from aurra_sdk.integrations._either import at_once, in_time
from aurra_sdk.integrations._frameworks import missing
from aurra_sdk.integrations._store import ItemStore
from aurra_sdk.integrations._stored import Given, Stored

try:
    from langgraph.store.base import (
        BaseStore,
        GetOp,
        Item,
        ListNamespacesOp,
        Op,
        PutOp,
        Result,
        SearchItem,
        SearchOp,
        TTLConfig,
        get_text_at_path,
        validate_op_namespace,
    )
except ModuleNotFoundError as error:
    raise missing(error, "LangGraph", "langgraph") from error


class AurraStore(BaseStore):
    """Items are memories: what was put before, and what was deleted, stays in the past and can be read there.

    A batch reads before it writes, and its puts (up to 500) are one transaction; the last put of a key counts. What
    must be gone for good is erased.

    Args:
        client: Over `Aurra` both the sync and the async methods work (these in threads); over `AsyncAurra` the async
            ones alone.
        fields: What a query finds of an item, as paths like `title` or `chapters[*].text`; `$` is everything. `index`
            of a put says otherwise for one item. The service makes the vectors.
        ttl: Defaults for times to live; expired items are never returned, so there is nothing to sweep.
        source: The `source` of the memories, and the beginning of their subjects: another is another store.
    """

    supports_ttl = True

    def __init__(
        self,
        client: Aurra | AsyncAurra,
        *,
        fields: Sequence[str] = ("$",),
        ttl: TTLConfig | None = None,
        source: str = "langgraph",
    ) -> None:
        super().__init__()
        self.ttl_config = ttl
        self._client = client
        self._fields = list(fields)
        self._source = source
        self._items = ItemStore(client, source)
        self._is_past = False

    def at(self, as_of: Moment, transaction_as_of: int | Moment | None = None) -> "AurraStore":
        """The store as it was, or will be, at an instant, for reading alone; with `transaction_as_of`, as was believed
        then: a transaction's number, or an instant."""
        moment: dict[str, int | Moment] = {"as_of": as_of}
        if transaction_as_of is not None:
            moment["transaction_as_of"] = transaction_as_of
        other = AurraStore(self._client, fields=self._fields, ttl=self.ttl_config, source=self._source)
        other._items = ItemStore(self._client, self._source, moment)
        other._is_past = True
        return other

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """The results in the order of the operations."""
        return at_once(self._client, self._run(list(ops)), "AurraStore")

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """The results in the order of the operations."""
        return await in_time(self._client, self._run(list(ops)))

    def erase(self, namespace: tuple[str, ...], reason: str | None = None) -> None:
        """Removes all that ever was in exactly this namespace for good. Needs the scope `memories:erase`."""
        self._require_now()
        at_once(self._client, self._items.erase(namespace, reason), "AurraStore")

    async def aerase(self, namespace: tuple[str, ...], reason: str | None = None) -> None:
        """Removes all that ever was in exactly this namespace for good. Needs the scope `memories:erase`."""
        self._require_now()
        await in_time(self._client, self._items.erase(namespace, reason))

    async def _run(self, ops: Sequence[Op]) -> list[Result]:
        for op in ops:
            validate_op_namespace(op)
        puts = {(op.namespace, op.key): op for op in ops if isinstance(op, PutOp)}
        if puts:
            self._require_now()
        results = [None if isinstance(op, PutOp) else await self._read(op) for op in ops]
        await self._items.write([self._given(op, op.value) for op in puts.values() if op.value is not None])
        for op in puts.values():
            if op.value is None:
                await self._items.end(op.namespace, op.key)
        return results

    def _require_now(self) -> None:
        if self._is_past:
            raise ValueError("This is the store as of another moment: it can be read, not changed.")

    async def _read(self, op: GetOp | SearchOp | ListNamespacesOp) -> Result:
        match op:
            case GetOp():
                found = await self._items.find(op.namespace, op.key)
                items = [found] if found else []
            case SearchOp():
                items = await self._search(op)
            case ListNamespacesOp():
                return await self._list_namespaces(op)
        if op.refresh_ttl:
            await self._items.refresh(items)
        if isinstance(op, SearchOp):
            return [SearchItem(**_fields_of(item), score=item.score) for item in items]
        return Item(**_fields_of(items[0])) if items else None

    async def _search(self, op: SearchOp) -> list[Stored]:
        def accepts(item: Stored) -> bool:
            return _filters.matches(item.value, op.filter)

        wanted = op.offset + op.limit
        if op.query and op.query.strip():
            found = await self._items.nearest(op.namespace_prefix, op.query, accepts, wanted)
        else:
            found = await self._items.newest(op.namespace_prefix, accepts, wanted)
        return found[op.offset :]

    async def _list_namespaces(self, op: ListNamespacesOp) -> list[tuple[str, ...]]:
        conditions = op.match_conditions or ()
        literal = next((one.path for one in conditions if one.match_type == "prefix"), ())
        known = tuple(takewhile(lambda label: label != "*", literal))
        found = {
            namespace[: op.max_depth]
            for namespace in await self._items.namespaces(known)
            if all(_filters.is_named(namespace, one.match_type, one.path) for one in conditions)
        }
        return sorted(found)[op.offset : op.offset + op.limit]

    def _given(self, op: PutOp, value: Mapping[str, Any]) -> Given:
        paths = self._fields if op.index is None or op.index is False else op.index
        texts = [text for path in paths for text in _texts_at(value, path)]
        return Given(
            namespace=op.namespace,
            key=op.key,
            value=value,
            # A memory says something; an item without any of the fields is not found by them.
            text="\n".join(texts) or f"{op.key}: an item without a text",
            is_indexed=op.index is not False and bool(texts),
            ttl_minutes=op.ttl,
        )


def _fields_of(item: Stored) -> dict[str, Any]:
    return {
        "namespace": item.namespace,
        "key": item.key,
        "value": item.value,
        "created_at": item.created_at,
        "updated_at": item.updated_at,
    }


def _texts_at(value: Mapping[str, Any], path: str) -> list[str]:
    """Texts of a field; of the whole, a line for each leaf, since that is what people and embedders read best."""
    texts = list(_lines("", value)) if path in ("", "$") else get_text_at_path(value, path)
    return [text for text in texts if text.strip()]


def _lines(name: str, value: Any) -> Iterable[str]:
    if isinstance(value, Mapping):
        for field, inner in cast("Mapping[str, Any]", value).items():
            yield from _lines(f"{name}.{field}" if name else str(field), inner)
    elif isinstance(value, (list, tuple)):
        for inner in cast("Sequence[Any]", value):
            yield from _lines(name, inner)
    elif value is not None:
        yield f"{name}: {value}"
