"""From bytes and query strings to an operation's request; every fault becomes the contract's error."""

import contextlib
import json
import re
import types
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any, Union, cast, get_args, get_origin

import msgspec

from aurra import texts
from aurra.errors import AurraError, BadRequest, Unprocessable
from aurra.ops import Operation
from aurra.types.common import Request

MOST_LEVELS = 32
# A string that never ends is one token; possessive, so that no quote is looked at twice.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[{]|[\]}]', re.DOTALL)
_PLACE = re.compile(r" - at `\$\.?(?:(?:\.\.\.)?)(.*)`$")
_FIELD = re.compile(r"`(\w+)`")


def decode(op: Operation, body: bytes, path: Mapping[str, str], query: Mapping[str, str]) -> tuple[Request, list[str]]:
    """The request, and the names of fields that were ignored.

    Raises BadRequest for what is no JSON, too deep, or unknown where unknown fields are refused; Unprocessable for a
    field that is missing or has the wrong type.
    """
    try:
        if body:
            _require_shallow(body)
        if body and query:
            raise BadRequest("Send parameters in the query string or in the body, not in both.")
        given = _object(body) if body else dict(query)
        # NUL hides in escapes; only then is every text looked at.
        if not body or b"\\u0000" in body or b"\0" in body:
            texts.require_storable(given)
        unknown = list(_unknown_fields(given, op.request, ""))
        if unknown and not op.ignores_unknown:
            raise BadRequest(f"There is no field `{unknown[0]}` here.", code="unknown_field", param=unknown[0])
        # Clients send null for what they do not give; where null says something, the type tells it from absence.
        telling = _where_null_tells(op.request)
        given = {name: value for name, value in given.items() if value is not None or name in telling}
        return msgspec.convert({**given, **path}, op.request, strict=bool(body)), unknown
    except msgspec.ValidationError as error:
        raise _unprocessable(str(error)) from None
    except RecursionError:
        raise _too_deep() from None


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object of a body that is no operation's own. Raises BadRequest for what is no JSON, too deep, or holds
    text that cannot be stored; Unprocessable for JSON that is no object."""
    try:
        _require_shallow(body)
        given = _object(body)
        if b"\\u0000" in body or b"\0" in body:
            texts.require_storable(given)
    except msgspec.ValidationError as error:
        raise _unprocessable(str(error)) from None
    except RecursionError:
        raise _too_deep() from None
    return given


def _object(body: bytes) -> dict[str, Any]:
    """The body's JSON object."""
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        _require_no_surrogates(body)
        raise BadRequest(f"The body is not JSON in UTF-8: {error}.", code="malformed_json") from None


def _require_no_surrogates(body: bytes) -> None:
    """Raises BadRequest when unpaired surrogates are all that is wrong with the body."""
    if b"\\ud" not in body.lower():
        return
    with contextlib.suppress(ValueError, RecursionError):
        texts.require_storable(json.loads(body))


def _require_shallow(body: bytes) -> None:
    if body.count(b"[") + body.count(b"{") <= MOST_LEVELS:
        return
    level = 0
    for token in _TOKEN.finditer(body):
        if token[0] in b"[{":
            level += 1
            if level > MOST_LEVELS:
                raise _too_deep()
        elif token[0] in b"]}":
            level -= 1


def _unknown_fields(value: Any, type_: Any, at: str) -> Iterator[str]:
    """Fields that no Struct has, wherever the types say which fields an object has."""
    if get_origin(type_) is Annotated:
        type_ = get_args(type_)[0]
    if get_origin(type_) is types.UnionType:
        for choice in get_args(type_):
            yield from _unknown_fields(value, choice, at)
    elif get_origin(type_) is list and isinstance(value, list):
        for index, item in enumerate(cast(list[Any], value)):
            yield from _unknown_fields(item, get_args(type_)[0], f"{at}[{index}]")
    elif isinstance(type_, type) and issubclass(type_, msgspec.Struct) and isinstance(value, dict):
        fields = _fields(type_)
        for name, inner in cast(dict[str, Any], value).items():
            place = f"{at}.{name}" if at else name
            if name not in fields:
                yield place
            elif isinstance(inner, dict | list):
                yield from _unknown_fields(inner, fields[name], place)


@cache
def _fields(type_: type[msgspec.Struct]) -> dict[str, Any]:
    return {field.encode_name: field.type for field in msgspec.structs.fields(type_)}


@cache
def _where_null_tells(type_: type[msgspec.Struct]) -> frozenset[str]:
    return frozenset(name for name, inner in _fields(type_).items() if msgspec.UnsetType in _members(inner))


def _members(type_: Any) -> tuple[Any, ...]:
    """The members of a union, through what it is annotated with."""
    if get_origin(type_) is Annotated:
        return _members(get_args(type_)[0])
    return get_args(type_) if get_origin(type_) in (types.UnionType, Union) else (type_,)


def _too_deep() -> BadRequest:
    return BadRequest(f"The JSON is nested deeper than {MOST_LEVELS} levels.", code="too_deep")


def _unprocessable(message: str) -> AurraError:
    place = _PLACE.search(message)
    said = message[: place.start()] if place else message
    param = place[1] if place else ""
    if "missing required field" in said and (field := _FIELD.search(said)):
        param = f"{param}.{field[1]}".lstrip(".")
        said = f"`{param}` is required"
    elif param:
        said = f"`{param}`: {said[0].lower()}{said[1:]}"
    return Unprocessable(f"{said}.", param=param or None, errors=[{"param": param, "message": said}])
