"""aurra_sdk/_operations.py and aurra_sdk/_async/resources.py: every operation as a method of its noun."""

from collections.abc import Iterable
from itertools import groupby

from msgspec.structs import FieldInfo

from aurra.ops import Operation
from generator import annotations, examples
from generator.structs import fields, item_of, items_field, positional, safe, structs_of
from generator.texts import docstring

_OPERATIONS_HEADER = '''"""Every operation of the service, for both clients."""

from aurra_sdk import types
from aurra_sdk._operation import Operation
'''
_RESOURCES_HEADER = '''"""Every operation of the service as a method."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal

from msgspec import UNSET, UnsetType

from aurra_sdk import _operations, types
from aurra_sdk._async.hooks import AsyncHooks
from aurra_sdk._async.resource import AsyncResource, as_raw
from aurra_sdk._async.transport import AsyncTransport
from aurra_sdk._given import Id, Moment
'''
MORE = {"webhooks": "AsyncHooks"}
"""Nouns with methods that are no operations of the service, and the class that has these."""
_KEY = "idempotency_key"
_KEY_SAID = "Sent as Idempotency-Key instead of one made for this call; a second call with it answers as the first did."


def operations_module(operations: Iterable[Operation]) -> str:
    """The source of _operations.py."""
    return "\n".join([_OPERATIONS_HEADER, *(_constant(op) for op in operations)])


def resources_module(operations: Iterable[Operation]) -> str:
    """The source of _async/resources.py."""
    groups = groupby(sorted(operations, key=_noun), key=_noun)
    known = {noun: list(group) for noun, group in groups}
    nouns = {noun: known.get(noun, []) for noun in sorted({*known, *MORE})}
    classes = [part for noun, group in nouns.items() for part in (_resource(noun, group), _raw(noun, group)) if part]
    return "\n\n".join([_RESOURCES_HEADER, *classes, _all(list(nouns))])


def _noun(op: Operation) -> str:
    noun, _, verb = op.name.partition(".")
    if not (noun.isidentifier() and verb.isidentifier()):
        raise TypeError(f"an operation is called noun.verb, not {op.name!r}")
    return noun


def _verb(op: Operation) -> str:
    return op.name.partition(".")[2]


def _class_name(noun: str) -> str:
    return "Async" + "".join(part.title() for part in noun.split("_"))


def _constant_name(op: Operation) -> str:
    return op.id.upper()


def _constant(op: Operation) -> str:
    inside = tuple(
        field.name
        for field in fields(op.request)
        if any("tenant_id" in struct.__struct_fields__ for struct in structs_of(field))
    )
    return f"""{_constant_name(op)} = Operation(
    name={op.name!r},
    method={op.method!r},
    path={op.path!r},
    answer=types.{op.answer.__name__},
    is_idempotent={op.is_idempotent},
    is_repeatable={op.is_repeatable},
    has_tenant={"tenant_id" in op.request.__struct_fields__},
    {f"tenant_inside={inside!r}," if inside else ""}
)"""


def _resource(noun: str, operations: list[Operation]) -> str:
    name = _class_name(noun)
    raw = f'''    @property
    def with_raw_response(self) -> "{name}WithRawResponse":
        """The same methods, but each answer comes with its status and headers: `.parsed`, `.headers`, `.request_id`."""
        return {name}WithRawResponse({name}(self._transport, is_raw=True))'''
    methods = [part for op in operations for part in (_method(op), _iterate(op)) if part]
    bases = MORE.get(noun, "AsyncResource")
    head = f'class {name}({bases}):\n    """`client.{noun}`."""'
    return "\n\n".join([head, *methods, raw] if operations else [head])


def _raw(noun: str, operations: list[Operation]) -> str:
    if not operations:
        return ""
    name = _class_name(noun)
    lines = [f"        self.{safe(_verb(op))} = as_raw({noun}.{safe(_verb(op))})" for op in operations]
    return f'''class {name}WithRawResponse:
    """`client.{noun}.with_raw_response`."""

    def __init__(self, {noun}: {name}) -> None:
''' + "\n".join(lines)


def _all(nouns: list[str]) -> str:
    lines = [f"        self.{noun} = {_class_name(noun)}(transport)" for noun in nouns]
    return '''class AsyncResources:
    """Every operation of the service."""

    def __init__(self, transport: AsyncTransport) -> None:
''' + "\n".join(lines)


def _method(op: Operation) -> str:
    noun, verb = _noun(op), safe(_verb(op))
    given = ", ".join(f'"{field.encode_name}": {safe(field.name)}' for field in fields(op.request))
    key = f", {_KEY}" if op.is_idempotent else ""
    return "\n".join(
        [
            _signature(op, verb, f"types.{op.answer.__name__}", is_async=True, has_key=op.is_idempotent),
            docstring(op.run.__doc__ or "", 8, _said(op), examples.of_call(op, f"client.{noun}.{verb}")),
            f"        return await self._call(_operations.{_constant_name(op)}, {{{given}}}{key})",
        ]
    )


def _iterate(op: Operation) -> str:
    """A method that yields the items of every page; empty for an operation that does not page."""
    items = items_field(op)
    if items is None:
        return ""
    verb = safe(_verb(op))
    name = "iterate" if verb == "list" else f"iterate_{verb}"
    example = examples.of_iteration(op, f"client.{_noun(op)}.{name}")
    passed = ", ".join(f"{safe(field.name)}={safe(field.name)}" for field in fields(op.request))
    return f"""{_signature(op, name, f"AsyncIterator[{item_of(items, 'types.')}]", is_async=True, has_key=False)}
{docstring(f"Every item of `{verb}`, page after page; `limit` is the size of a page.", 8, _said(op), example)}
        while True:
            page = await self.{verb}({passed})
            for item in page.{safe(items.name)}:
                yield item
            if page.next_cursor is None:
                return
            cursor = page.next_cursor"""


def _signature(op: Operation, name: str, answer: str, *, is_async: bool, has_key: bool) -> str:
    by_position = positional(op)
    required = [field for field in by_position if field.required]
    first = [field for field in by_position if not field.required]
    optional = [field for field in fields(op.request) if not field.required and field not in first]
    if _KEY in op.request.__struct_fields__:
        raise TypeError(f"{op.name} has a field `{_KEY}`, which is a parameter of every such method already")
    parameters = ["self", *(_parameter(field) for field in required)]
    parameters += [f"{annotations.or_unset(_parameter(field))} = UNSET" for field in first]
    named = [f"{annotations.or_unset(_parameter(field))} = UNSET" for field in optional]
    if has_key:
        named.append(f"{_KEY}: str | None = None")
    if named:
        parameters += ["*", *named]
    return f"    {'async ' if is_async else ''}def {name}({', '.join(parameters)}) -> {answer}:"


def _parameter(field: FieldInfo) -> str:
    return f"{safe(field.name)}: {annotations.source(field.type, 'input', 'types.')}"


def _said(op: Operation) -> dict[str, str]:
    """What is said of each parameter, in the order of the signature."""
    ordered = sorted(fields(op.request), key=lambda field: not field.required)
    said = {safe(field.name): _said_of(field) for field in ordered}
    if op.is_idempotent:
        said[_KEY] = _KEY_SAID
    return {name: text for name, text in said.items() if text}


def _said_of(field: FieldInfo) -> str:
    said = annotations.description(field.type)
    has_default = not field.required and isinstance(field.default, (str, int, float)) and field.default is not False
    return " ".join(filter(None, [said, f"Default: {field.default}." if has_default else ""]))
