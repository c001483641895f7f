"""What names something, in every request of the registry: the cases of the differential test.

A field of a request stands in NAMES, with the kind of thing it names, or in PLAIN, since it names nothing. A field that
stands in neither stops the build: decide here. An operation whose required fields are not enough for a request that
means something has the rest in REQUESTS.
"""

import itertools
import types
from collections.abc import Iterator
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

from aurra.ops import Operation
from aurra.types.common import LlmChoice

Place = tuple[str | int, ...]
"""Where a field stands in a request: `("memories", 0, "subject")`."""

NAMES: dict[str, str] = {
    "memory_id": "memory",
    "superseded_by": "memory",
    "version": "version",
    "session_id": "session",
    "subject": "subject",
    "attribute": "attribute",
    "external_id": "external",
    "tenant_id": "tenant",
    "receipt_id": "receipt",
    "review_id": "review",
    "tx": "number",
    "from": "moment",
    "to": "moment",
    "since": "moment",
    "transaction_as_of": "moment",
    "cursor": "cursor",
    "source": "label",
    "sources": "label",
    "topic": "label",
    "topics": "label",
    "channel": "label",
    "content": "text",
    "query": "text",
    "question": "text",
    "id": "turn",
    "key_id": "api_key",
}
"""The kind of what a field names; `planting.py` has something of every kind."""

PLAIN = frozenset(
    {
        # How much, when in valid time, and how.
        "limit", "as_of", "valid_from", "valid_to", "include_superseded", "explain", "strict", "include_proof_tree",
        "mode", "state", "extraction", "dry_run", "auto_supersede", "cardinality", "importance", "importance_score",
        # What is said, and by whom: stored with what is written, looked up by nothing.
        "reason", "metadata", "role", "name", "at", "uri",
        # A key's settings, and the account's model: of the caller alone.
        "auto_supersede_default", "excluded_categories", "min_confidence", "classifier_model",
        "freshness_half_life_days", "review_queue", "provider", "model", "api_key", "base_url", "extra",
        # What a key may.
        "scopes", "trust", "expires_at", "networks", "up_to", "is_signed", "overlap_hours",
    }
)  # fmt: skip
"""Fields that name nothing."""

WHOLE: tuple[type[msgspec.Struct], ...] = (LlmChoice,)
"""Structs inside requests that name nothing, whatever their fields are."""

REQUESTS: dict[str, dict[str, Any]] = {
    "settings.update": {"review_queue": True},
    "provider.update": {"provider": "extractive"},
    "keys.create": {"scopes": ["query"]},
    "memories.add": {"content": "a plain fact"},
    "memories.bulk": {"memories": [{"content": "a plain item"}]},
    "memories.supersede": {"valid_to": "2098-01-01"},
    "memories.correct": {"reason": "misheard", "valid_to": "2097-01-01"},
    "conversations.add": {"turns": [{"role": "user", "content": "We keep goats in the yard."}]},
    "memories.erase_matching": {"subject": "nobody at all"},
    "subjects.update": {"external_id": "crm-1"},
    "transactions.diff": {"from": 0},
    "reviews.list": {"state": "all"},
    "memories.search": {"query": "the harbour is deep"},
    "memories.query": {"question": "How deep is the harbour?"},
}
"""What a request needs besides its path, so that it means something."""

STORES = frozenset({"memories.add", "memories.bulk", "conversations.add"})
"""Writes that take nothing away from who asks; the others run dry where a key alone is tried."""


class Field(msgspec.Struct, frozen=True):
    """A field of a request that names something."""

    place: Place
    kind: str


class Unknown(Exception):
    """A field or an operation that nobody has decided about."""


def fields_of(op: Operation) -> list[Field]:
    """All that name something, also inside. Raises Unknown, which says what to do."""
    return list(_walk(op, op.request, ()))


def request_of(op: Operation, own: dict[str, list[Any]]) -> dict[str, Any]:
    """A request of the caller's about things of its own. Raises Unknown for an operation that needs more."""
    found: dict[str, Any] = {}
    for field in msgspec.structs.fields(op.request):
        if field.required and field.encode_name in NAMES:
            found[field.encode_name] = own["number" if field.encode_name == "from" else NAMES[field.encode_name]][0]
    found |= REQUESTS.get(op.name, {})
    missing = [f.encode_name for f in msgspec.structs.fields(op.request) if f.required and f.encode_name not in found]
    if missing:
        raise Unknown(
            f"{op.name} requires {', '.join(missing)}: put a request that means something into REQUESTS of "
            "tests/isolation/cases.py."
        )
    return found


def _walk(op: Operation, struct: type[msgspec.Struct], at: Place) -> Iterator[Field]:
    for field in msgspec.structs.fields(struct):
        name = field.encode_name
        inner = _struct_inside(field.type)
        if inner in WHOLE:
            continue
        if inner is not None:
            yield from _walk(op, inner, (*at, name, 0))
        elif name in NAMES:
            yield Field((*at, name), NAMES[name])
        elif name not in PLAIN:
            where = ".".join(map(str, (*at, name)))
            raise Unknown(
                f"`{where}` of {op.name} ({struct.__name__}) is new: does it name something that may be another "
                "account's? Put it into NAMES of tests/isolation/cases.py, with its kind, or into PLAIN."
            )


def _struct_inside(type_: Any) -> type[msgspec.Struct] | None:
    """The Struct that a field holds, or a list of which it holds."""
    if isinstance(type_, type):
        return type_ if issubclass(type_, msgspec.Struct) else None
    if get_origin(type_) in (Annotated, list, types.UnionType, Union):
        return next((found for inner in get_args(type_) if (found := _struct_inside(inner)) is not None), None)
    return None


def is_list(op: Operation, place: Place) -> bool:
    """Whether the field takes a list of names."""
    struct: Any = op.request
    field = None
    for name in place:
        if isinstance(name, str):
            field = next(f for f in msgspec.structs.fields(struct) if f.encode_name == name)
            struct = _struct_inside(field.type)
    assert field is not None
    return _takes_list(field.type)


def _takes_list(type_: Any) -> bool:
    return get_origin(type_) is list or any(_takes_list(inner) for inner in get_args(type_))


def with_value(request: dict[str, Any], place: Place, value: Any) -> dict[str, Any]:
    """The request with a value at the place; a list or an object that is not there is made."""
    made: Any = msgspec.json.decode(msgspec.json.encode(request))
    at: Any = made
    for name, following in itertools.pairwise(place):
        if isinstance(name, str):
            at.setdefault(name, [{}] if following == 0 else {})
        at = at[name]
    at[place[-1]] = value
    if "messages" in place:
        holder = made["memories"][0] if place[0] == "memories" else made
        holder.pop("content", None)
        holder["messages"][0] = {"role": "user", "content": "We keep bees in the garden.", **holder["messages"][0]}
    return made
