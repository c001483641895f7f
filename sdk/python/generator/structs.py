"""aurra_sdk/types.py: a Struct for everything that is nested in a request, or answered."""

import inspect
import keyword
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import NODEFAULT
from msgspec.structs import FieldInfo

from aurra.ops import Operation
from generator import annotations
from generator.annotations import Side
from generator.texts import docstring

StructType = type[msgspec.Struct]
FIRST = {"memories.add": "messages"}
"""Optional fields that the published client takes by position."""
LISTS = {"memories.timeline": "timeline"}
"""Answers that are lists in the published client, and so can be looped over."""
_TAKEN = {"get", "to_dict", "raw", "page_items"}
_HEADER = '''"""Everything typed that goes in or comes out; nested inputs may be plain dicts as well."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import msgspec
from msgspec import UNSET, UnsetType

from aurra_sdk._given import Id, Moment
from aurra_sdk._records import Input, Page, Record
'''


def types_module(operations: Iterable[Operation]) -> str:
    """The source of types.py. A Struct that is both sent and answered is written as an answer."""
    operations = list(operations)
    nested = [struct for op in operations for field in fields(op.request) for struct in structs_of(field)]
    answers = _closure(op.answer for op in operations)
    items: dict[StructType, FieldInfo | None] = {op.answer: _looped(op) for op in operations}
    structs = _closure([*nested, *answers])
    classes = [_answer(struct, items.get(struct)) if struct in answers else _input(struct) for struct in structs]
    return "\n\n".join([_HEADER + f"\n__all__ = {sorted(struct.__name__ for struct in structs)!r}", *classes])


def fields(struct: StructType) -> tuple[FieldInfo, ...]:
    """The Struct's fields, inherited ones first."""
    return msgspec.structs.fields(struct)


def structs_of(field: FieldInfo) -> list[StructType]:
    """The Structs a field holds."""
    return annotations.structs_in(field.type)


def items_field(op: Operation) -> FieldInfo | None:
    """For an operation that pages: the field of the answer that has the items."""
    by_name = {field.name: field for field in fields(op.answer)}
    if "next_cursor" not in by_name or "cursor" not in op.request.__struct_fields__:
        return None
    lists = [field for field in by_name.values() if structs_of(field) and _is_list(field)]
    if len(lists) != 1:
        raise TypeError(f"{op.name} has a next_cursor, but not exactly one list to page through")
    return lists[0]


def _looped(op: Operation) -> FieldInfo | None:
    """The field of the answer that it is looped over, if any."""
    listed = next((field for field in fields(op.answer) if field.name == LISTS.get(op.name)), None)
    return listed or items_field(op)


def positional(op: Operation) -> list[FieldInfo]:
    """The fields that its method takes by position: those of the path, what else is required, and FIRST."""
    given = [field for field in fields(op.request) if field.required or field.name == FIRST.get(op.name)]
    return sorted(given, key=lambda field: (field.name not in op.path_parameters, not field.required))


def item_of(field: FieldInfo, prefix: str = "") -> str:
    """The source of the type of one item."""
    return annotations.source(structs_of(field)[0], "answer", prefix)


def safe(name: str) -> str:
    """The name as Python can have it."""
    return f"{name}_" if keyword.iskeyword(name) else name


def _is_list(field: FieldInfo) -> bool:
    return annotations.source(field.type, "answer").startswith("list[")


def _closure(roots: Iterable[StructType]) -> list[StructType]:
    """The Structs and all they need, each after what it needs."""
    ordered: list[StructType] = []

    def visit(struct: StructType) -> None:
        if struct in ordered:
            return
        base = struct.__bases__[0]
        needed = [base] if fields(base) else []
        for one in needed + [inner for field in fields(struct) for inner in structs_of(field)]:
            visit(one)
        ordered.append(struct)

    for root in roots:
        visit(root)
    return ordered


def _input(struct: StructType) -> str:
    base = struct.__bases__[0]
    return _class(struct, base.__name__ if fields(base) else "Input", "input", [])


def _answer(struct: StructType, items: FieldInfo | None) -> str:
    base = struct.__bases__[0]
    bases = base.__name__ if fields(base) else "Record"
    if items is None:
        return _class(struct, bases, "answer", _flat(struct))
    item = item_of(items)
    page = [f"    def page_items(self) -> list[{item}]:\n        return self.{safe(items.name)}"]
    return _class(struct, f"{bases}, Page[{item}]", "answer", page)


def _flat(struct: StructType) -> list[str]:
    """What the published client says of a memory at once, and the service inside `temporal`."""
    own = {field.name: field for field in fields(struct)}
    inside = own.get("temporal")
    if inside is None or "temporal" not in inspect.get_annotations(struct) or not structs_of(inside):
        return []
    return [
        f'''    @property
    def {field.name}(self) -> bool:
        """`temporal.{field.name}`."""
        return self.temporal.{field.name}'''
        for field in fields(structs_of(inside)[0])
        if field.name not in own and annotations.source(field.type, "answer") == "bool"
    ]


def _secrets(struct: StructType) -> list[str]:
    """What its `repr` leaves out, if there is such a field."""
    secret = sorted(safe(field.name) for field in fields(struct) if annotations.is_secret(field.type))
    if not secret:
        return []
    names = ", ".join(repr(name) for name in secret)
    return [f"    _secrets: ClassVar[frozenset[str]] = frozenset({{{names}}})"]


def _class(struct: StructType, bases: str, side: Side, methods: list[str]) -> str:
    own = inspect.get_annotations(struct)
    lines = [_field(field, side) for field in fields(struct) if field.name in own]
    said = struct.__dict__.get("__doc__") or ""
    head = f"class {struct.__name__}({bases}, kw_only=True):"
    body = [*([docstring(said, 4)] if said else []), "\n".join(lines), *_secrets(struct), *methods]
    return "\n\n".join([f"{head}\n{body[0]}", *body[1:]]) if any(body) else f"{head}\n    pass"


def _field(field: FieldInfo, side: Side) -> str:
    if field.name in _TAKEN:
        raise TypeError(f"a field `{field.name}` would hide the method of that name; see _records.py")
    shown = annotations.source(field.type, side)
    default = _default(field)
    # An answer leaves out what it says nothing of.
    if default and (side == "input" or default == "UNSET"):
        shown, default = annotations.or_unset(shown), "UNSET"
    if field.encode_name != safe(field.name):
        given = f"{default.removesuffix(')')}, " if default.startswith("msgspec.field(") else ""
        plain = f"default={default}, " if default and not given else ""
        default = f"{given or 'msgspec.field(' + plain}name={field.encode_name!r})"
    line = f"    {safe(field.name)}: {shown}" + (f" = {default}" if default else "")
    said = annotations.description(field.type)
    return f"{line}\n{docstring(said, 4)}" if said else line


def _default(field: FieldInfo) -> str:
    """The default's source; empty for a required field."""
    value: Any = field.default
    if field.default_factory is not NODEFAULT:
        return f"msgspec.field(default_factory=lambda: {field.default_factory()!r})"
    if value is NODEFAULT:
        return ""
    return "UNSET" if value is msgspec.UNSET else repr(value)
