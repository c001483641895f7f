"""From the registry to commands: how each operation and each of its fields is called and said on the command line."""

import inspect
import re
import types
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, Union, cast, get_args, get_origin

import msgspec
from msgspec import UnsetType
from msgspec.inspect import (
    BoolType,
    FloatType,
    IntType,
    ListType,
    LiteralType,
    Metadata,
    NoneType,
    StrType,
    StructType,
    Type,
    UnionType,
    type_info,
)

from aurra.faces.commands.catalogue import Command, Field, Kind
from aurra.ops import OPERATIONS, Operation

_BRACES = re.compile(r"{(\w+)}")


def describe(taken: frozenset[str]) -> tuple[Command, ...]:
    """Every operation as a command; `taken` are the operator's words.

    Raises TypeError where two commands would have one name: that is for whoever adds an operation to mend.
    """
    return _describe(taken, tuple(OPERATIONS.values()))


@cache
def _describe(taken: frozenset[str], operations: tuple[Operation, ...]) -> tuple[Command, ...]:
    commands = tuple(_command(op, taken) for op in operations)
    groups = {command.group for command in commands}
    names = [f"{command.group} {command.verb}" for command in commands]
    names += [*(command.short for command in commands if command.short), *groups, *taken]
    for name in names:
        if names.count(name) > 1:
            raise TypeError(f"there are two commands `aurra {name}`")
    return commands


def _command(op: Operation, taken: frozenset[str]) -> Command:
    noun, verb = op.name.split(".", 1)
    short = op.command.split()[0] if op.command else None
    answered = {field.encode_name: field.type for field in msgspec.structs.fields(op.answer)}
    fields = _fields(op)
    return Command(
        name=op.name,
        method=op.method,
        path=op.path,
        group=_group(noun, op.path, taken),
        verb=verb.replace("_", "-"),
        short=short,
        short_positional=tuple(_BRACES.findall(op.command or "")),
        summary=op.summary,
        help=inspect.cleandoc(op.run.__doc__ or ""),
        fields=fields,
        is_idempotent=op.is_idempotent,
        is_read_only=op.is_read_only,
        is_destructive=op.is_destructive,
        body_limit=op.body_limit,
        has_page=op.markdown is not None,
        has_tenant=any(field.name == "tenant_id" for field in fields),
        tenant_inside=tuple(_with_tenant(op)),
        rows=_rows(answered) if {"cursor"} <= {field.name for field in fields} else None,
    )


def _group(noun: str, path: str, taken: frozenset[str]) -> str:
    """The noun; where the operator's commands have it, the path's word: `keys.list` at /api-keys is `api-keys list`."""
    if noun not in taken:
        return noun.replace("_", "-")
    return next(part for part in path.split("/") if part not in ("", "agent"))


def _fields(op: Operation) -> tuple[Field, ...]:
    plain = msgspec.structs.fields(op.request)
    inspected = type_info(op.request)
    assert isinstance(inspected, StructType)
    lists = [field.name for field in inspected.fields if field.required and _is_list_of_objects(field.type)]
    described: list[Field] = []
    for field, type_ in zip(plain, (each.type for each in inspected.fields), strict=True):
        kind = _kind(type_)
        described.append(
            Field(
                name=field.encode_name,
                kind=kind,
                required=field.required,
                null_tells=UnsetType in _members(field.type),
                choices=tuple(_choices(type_)),
                default=field.default if isinstance(field.default, str | int | float) else None,
                help=_description(type_),
                takes_lines=lists == [field.name],
            )
        )
    return tuple(described)


def _kind(type_: Type) -> Kind:
    alone = [member for member in _union(type_) if not isinstance(member, NoneType)]
    if len(alone) == 1:
        (only,) = alone
        if isinstance(only, ListType) and all(isinstance(item, StrType) for item in _union(only.item_type)):
            return "texts"
        kinds: dict[type[Type], Kind] = {
            **{StrType: "text", LiteralType: "text", IntType: "whole", FloatType: "number", BoolType: "flag"}
        }
        return kinds.get(type(only), "json")
    is_moment = all(isinstance(member, StrType | IntType) for member in alone)
    return "moment" if is_moment else "json"


def _union(type_: Type) -> Iterator[Type]:
    """The members of a union, through what describes them."""
    if isinstance(type_, Metadata):
        yield from _union(type_.type)
    elif isinstance(type_, UnionType):
        for member in type_.types:
            yield from _union(member)
    else:
        yield type_


def _described(type_: Type) -> Iterator[Metadata]:
    if isinstance(type_, Metadata):
        yield type_
        yield from _described(type_.type)
    elif isinstance(type_, UnionType):
        for member in type_.types:
            yield from _described(member)


def _description(type_: Type) -> str:
    """The outermost description."""
    return next((text for meta in _described(type_) if (text := _schema(meta).get("description"))), "")


def _choices(type_: Type) -> Iterator[str]:
    for member in _union(type_):
        if isinstance(member, LiteralType):
            yield from (value for value in member.values if isinstance(value, str))
    for meta in _described(type_):
        yield from (value for value in _schema(meta).get("enum", []) if isinstance(value, str))


def _schema(meta: Metadata) -> dict[str, Any]:
    return cast("dict[str, Any]", meta.extra_json_schema or {})


def _is_list_of_objects(type_: Type) -> bool:
    (only, *more) = _union(type_)
    return not more and isinstance(only, ListType) and isinstance(next(_union(only.item_type)), StructType)


def _with_tenant(op: Operation) -> Iterator[str]:
    """Fields whose objects have a tenant of their own."""
    inspected = type_info(op.request)
    assert isinstance(inspected, StructType)
    for field in inspected.fields:
        for member in _union(field.type):
            items = _union(member.item_type) if isinstance(member, ListType) else [member]
            structs = [item for item in items if isinstance(item, StructType)]
            if any(inner.encode_name == "tenant_id" for struct in structs for inner in struct.fields):
                yield field.encode_name


def _rows(answered: dict[str, Any]) -> str | None:
    """The list of an answer that has a next page."""
    if "next_cursor" not in answered:
        return None
    lists = (name for name, type_ in answered.items() if get_origin(_undescribed(type_)) is list and name != "warnings")
    return next(lists, None)


def _undescribed(type_: Any) -> Any:
    return get_args(type_)[0] if get_origin(type_) is Annotated else type_


def _members(type_: Any) -> tuple[Any, ...]:
    """The members of a union, through what it is annotated with."""
    if get_origin(type_) is Annotated:
        return _members(get_args(type_)[0])
    if get_origin(type_) in (types.UnionType, Union):
        return tuple(member for part in get_args(type_) for member in _members(part))
    return (type_,)
