"""From what stands on the command line to the fields of a request."""

import math
import sys
from pathlib import Path
from typing import Any, cast

import click
import msgspec

from aurra.faces.commands.catalogue import Field

Json = dict[str, Any]
STDIN = "-"


def value_of(field: Field, given: Any) -> Any:
    """The field's value. Raises BadParameter for what is none of its kind.

    `-` is what standard input says; `null` is null where that says something; of a list, `[]` alone is the empty one.
    """
    if field.kind == "flag":
        return given
    if field.kind == "texts":
        texts = [_text(field, text) for text in cast("tuple[str, ...]", given)]
        return [] if texts == ["[]"] else texts
    given = _text(field, given)
    if field.null_tells and given == "null":
        return None
    if field.kind == "json":
        return _json(field, given)
    if given == STDIN:
        given = _text(field, sys.stdin.buffer.read().decode("utf-8", "surrogateescape").rstrip("\r\n"))
    return _scalar(field, given)


def _text(field: Field, text: str) -> str:
    """The text. Raises BadParameter for bytes that were no UTF-8."""
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise click.BadParameter("it is not UTF-8", param_hint=field.name)
    return text


def _scalar(field: Field, text: str) -> Any:
    if field.kind in ("whole", "number"):
        try:
            return int(text) if field.kind == "whole" else _finite(text)
        except ValueError:
            raise click.BadParameter(f"{text!r} is not a number", param_hint=field.name) from None
    # A transaction is named by its number or an instant.
    is_number = field.kind == "moment" and text.isascii() and text.isdigit()
    return int(text) if is_number else text


def _finite(text: str) -> float:
    """A number that JSON has. Raises ValueError for another."""
    if not math.isfinite(number := float(text)):
        raise ValueError(text)
    return number


def _json(field: Field, text: str) -> Any:
    """JSON as it stands there, of a file (`@file.json`), or of standard input."""
    if text == STDIN:
        content = sys.stdin.buffer.read()
    elif text.startswith("@"):
        content = read(text[1:], field.name)
    else:
        content = text.encode()
    try:
        return msgspec.json.decode(content)
    except msgspec.DecodeError as error:
        raise click.BadParameter(
            f"it is JSON, @file.json, or - for standard input; this is none ({error})", param_hint=field.name
        ) from None


def document(content: bytes) -> Json:
    """A whole request. Raises BadParameter for what is no JSON object."""
    try:
        return msgspec.json.decode(content, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise click.BadParameter(f"it is no JSON object ({error})", param_hint="--from-file") from None


def read(name: str, hint: str) -> bytes:
    """What a file holds, or standard input. Raises BadParameter where it cannot be read."""
    if name == STDIN:
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise click.BadParameter(f"{name!r} cannot be read ({error.strerror})", param_hint=hint) from None


def with_tenant(arguments: Json, tenant_id: str, *, has_tenant: bool, inside: tuple[str, ...]) -> Json:
    """The arguments, with the tenant wherever one may stand and none does."""
    filled = {"tenant_id": tenant_id, **arguments} if has_tenant else dict(arguments)
    for name in inside:
        value = filled.get(name)
        if isinstance(value, list):
            filled[name] = [tenanted(item, tenant_id) for item in cast("list[Any]", value)]
        elif value is not None:
            filled[name] = tenanted(value, tenant_id)
    return filled


def tenanted(item: Any, tenant_id: str) -> Any:
    """An object with the tenant where it has none."""
    return {"tenant_id": tenant_id, **cast("Json", item)} if isinstance(item, dict) else item
