"""The service's annotations as the SDK's source code."""

import datetime as dt
import typing
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from uuid import UUID

import msgspec

Side = Literal["input", "answer"]
"""Inputs are generous in what they accept; answers in what they tolerate."""

_PLAIN: dict[Any, str] = {Any: "Any", str: "str", int: "int", float: "float", bool: "bool", NoneType: "None"}
_FORMATS = {"date-time": "Moment", "uuid": "Id"}
_COLLECTIONS: dict[Any, dict[Side, str]] = {
    list: {"input": "Sequence", "answer": "list"},
    dict: {"input": "Mapping", "answer": "dict"},
}
_SPECIAL: dict[Any, str] = {dt.datetime: "Moment", dt.date: "Moment", UUID: "Id"}


def source(annotation: Any, side: Side, prefix: str = "", text: str = "str") -> str:
    """The annotation as source code; `text` stands for `str` inside. Raises TypeError for one that is not known."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        for meta in reversed(arguments[1:]):
            text = _text(meta, text) if side == "input" else text
        return source(arguments[0], side, prefix, text)
    if origin is Literal:
        return _literal(arguments) if side == "input" else _join(_PLAIN[type(value)] for value in arguments)
    if origin in (Union, UnionType):
        members = [member for member in arguments if member is not msgspec.UnsetType]
        return _join(source(member, side, prefix, text) for member in members)
    if origin in _COLLECTIONS:
        inner = ", ".join(source(argument, side, prefix, text) for argument in arguments)
        return f"{_COLLECTIONS[origin][side]}[{inner}]"
    return _leaf(annotation, side, prefix, text)


def or_unset(annotation: str) -> str:
    """The source of the same annotation where nothing may be given."""
    return f"{annotation.removesuffix(' | None')} | UnsetType{' | None' * annotation.endswith(' | None')}"


def structs_in(annotation: Any) -> list[type[msgspec.Struct]]:
    """Every Struct that the annotation names."""
    if is_struct(annotation):
        return [annotation]
    return [struct for argument in get_args(annotation) for struct in structs_in(argument)]


def description(annotation: Any) -> str:
    """What the annotation says of itself, the outermost first; else nothing."""
    if get_origin(annotation) is Annotated:
        for meta in reversed(get_args(annotation)[1:]):
            if isinstance(meta, msgspec.Meta) and meta.description:
                return meta.description
    return next(filter(None, (description(argument) for argument in get_args(annotation))), "")


def is_secret(annotation: Any) -> bool:
    """Whether it says so of itself."""
    if get_origin(annotation) is not Annotated:
        return any(is_secret(argument) for argument in get_args(annotation))
    inner, *metas = get_args(annotation)
    schemas: list[dict[str, Any]] = [meta.extra_json_schema or {} for meta in metas if isinstance(meta, msgspec.Meta)]
    return any(schema.get("format") == "password" for schema in schemas) or is_secret(inner)


def is_struct(annotation: Any) -> typing.TypeGuard[type[msgspec.Struct]]:
    """Whether it is a Struct class."""
    return isinstance(annotation, type) and issubclass(annotation, msgspec.Struct)


def _leaf(annotation: Any, side: Side, prefix: str, text: str) -> str:
    if annotation is str:
        return text
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    if annotation in _SPECIAL:
        return _SPECIAL[annotation] if side == "input" else "str"
    if is_struct(annotation):
        return f"{prefix}{annotation.__name__}" + (" | Mapping[str, Any]" if side == "input" else "")
    raise TypeError(f"the SDK's generator does not know {annotation!r}; teach it in generator/annotations.py")


def _text(meta: Any, text: str) -> str:
    schema: dict[str, Any] = (meta.extra_json_schema or {}) if isinstance(meta, msgspec.Meta) else {}
    if "enum" in schema:
        return _literal(value for value in schema["enum"] if value is not None)
    return _FORMATS.get(schema.get("format", ""), text)


def _literal(values: typing.Iterable[Any]) -> str:
    return f"Literal[{', '.join(repr(value) for value in values)}]"


def _join(members: typing.Iterable[str]) -> str:
    """A union without repetitions, None last."""
    unique = list(dict.fromkeys(part for member in members for part in member.split(" | ")))
    return " | ".join(sorted(unique, key=lambda member: member == "None"))
