"""From bytes and query strings to an operation's request; every fault becomes the contract's error."""

import re
import types
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, get_args, get_origin

import msgspec

from aurra import texts
from aurra.errors import AurraError, BadRequest, Unprocessable
from aurra.ops import Operation
from aurra.types.common import Request

MOST_LEVELS = 32
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)
_PLACE = re.compile(r" - at `\$\.?(?:(?:\.\.\.)?)(.*)`$")
_FIELD = re.compile(r"`(\w+)`")


@cache
def _decoder(type_: type[Request]) -> msgspec.json.Decoder[Request]:
    return msgspec.json.Decoder(type_)


_top_level = msgspec.json.Decoder(dict[str, msgspec.Raw])


def decode(op: Operation, body: bytes, path: Mapping[str, str], query: Mapping[str, str]) -> tuple[Request, list[str]]:
    """The request, and the names of fields that were ignored.

    Raises BadRequest for what is no JSON, too deep, or unknown where unknown fields are refused; Unprocessable for a
    field that is missing or has the wrong type.
    """
    try:
        if body:
            _require_shallow(body)
        request, given = _from_body(op, body, path, query) if body else _from_query(op, path, query)
    except msgspec.ValidationError as error:
        raise _unprocessable(str(error)) from None
    except msgspec.DecodeError as error:
        raise BadRequest(f"The body is not JSON: {error}.", code="malformed_json") from None
    except UnicodeDecodeError:
        raise BadRequest("The body is not UTF-8.", code="malformed_json") from None
    except RecursionError:
        raise _too_deep() from None
    unknown = [name for name in given if name not in op.request.__struct_fields__]
    if unknown and not op.ignores_unknown:
        raise _unknown(unknown[0])
    return request, unknown


def _from_body(
    op: Operation, body: bytes, path: Mapping[str, str], query: Mapping[str, str]
) -> tuple[Request, list[str]]:
    given = list(_top_level.decode(body))
    # NUL and lone surrogates hide in escapes; only then is every text looked at.
    suspicious = b"\\u0000" in body or b"\\ud" in body.lower() or b"\0" in body
    if not path and not query and not suspicious and op.ignores_unknown:
        return _decoder(op.request).decode(body), given
    whole = msgspec.json.decode(body)
    if suspicious:
        texts.require_storable(whole)
    whole = {**query, **whole, **path}
    if not op.ignores_unknown:
        _require_known(whole, op.request, "")
    return msgspec.convert(whole, op.request), [name for name in given if name not in path]


def _from_query(op: Operation, path: Mapping[str, str], query: Mapping[str, str]) -> tuple[Request, list[str]]:
    whole = {**query, **path}
    texts.require_storable(whole)
    return msgspec.convert(whole, op.request, strict=False), list(query)


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


def _require_known(value: Any, type_: Any, at: str) -> None:
    """Returns when no object, where the type says which fields it has, has another."""
    if get_origin(type_) is Annotated:
        type_ = get_args(type_)[0]
    if get_origin(type_) in (types.UnionType,):
        for choice in get_args(type_):
            _require_known(value, choice, at)
    elif get_origin(type_) is list and isinstance(value, list):
        for index, item in enumerate(value):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            _require_known(item, get_args(type_)[0], f"{at}[{index}]")
    elif isinstance(type_, type) and issubclass(type_, msgspec.Struct) and isinstance(value, dict):
        fields = {field.encode_name: field.type for field in msgspec.structs.fields(type_)}
        for name, inner in value.items():  # pyright: ignore[reportUnknownVariableType]
            if name not in fields:
                raise _unknown(f"{at}.{name}".lstrip("."))
            _require_known(inner, fields[name], f"{at}.{name}")


def _unknown(name: str) -> BadRequest:
    return BadRequest(f"There is no field `{name}` here.", code="unknown_field", param=name)


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
