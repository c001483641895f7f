"""The words with which a command is told the fields of a request."""

from typing import Any, cast

import click
import msgspec

from aurra.faces.commands.catalogue import Command, Field
from aurra.faces.commands.describing import describe
from aurra.faces.commands.parameters import PREFIX
from aurra.main import main
from aurra.ops import Operation
from aurra.serving import main as operators

Json = dict[str, Any]


def command_of(op: Operation) -> Command:
    """How the command line knows the operation."""
    return next(one for one in describe(frozenset(operators.commands)) if one.name == op.name)


def parameters_of(*words: str) -> dict[str, click.Parameter]:
    """What the command of these words takes, by the name under which click keeps it."""
    group: Any = main
    for word in words:
        group = group.get_command(click.Context(group), word)
    return {parameter.name: parameter for parameter in group.params}


def said(described: Command, fields: Json) -> tuple[list[str], bytes | None]:
    """The words for the fields; and what there are no words for as a document, None where that is nothing.

    A document lets the service say what is missing.
    """
    taken = parameters_of(described.group, described.verb)
    known = {field.name: field for field in described.fields}
    spoken = {name: found for name, value in fields.items() if (found := _words(known.get(name), value)) is not None}
    positional: list[str] = []
    kept = dict(fields)
    gap = False
    for name in described.positional:
        gap = gap or name not in spoken
        if not gap:
            positional += spoken[name]
            del kept[name]
    options: list[str] = []
    for name, words in spoken.items():
        if name not in described.positional:
            options += _option(taken[f"{PREFIX}{name}"], known[name], words, fields[name])
            del kept[name]
    # On several lines: one alone might be a file of lines.
    document = b"{\n" + msgspec.json.encode(kept)[1:] if kept or gap else None
    return [*options, "--", *positional], document


def _option(parameter: click.Parameter, field: Field, words: list[str], value: Any) -> list[str]:
    if field.kind == "flag":
        return [parameter.opts[0] if value else parameter.secondary_opts[0]]
    return [f"{parameter.opts[0]}={word}" for word in words]


def _words(field: Field | None, value: Any) -> list[str] | None:
    """The field's words; None for a value that its kind has no words for."""
    if field is None:
        return None
    if value is None:
        return ["null"] if field.null_tells else None
    if field.kind == "texts":
        texts: list[Any] = cast("list[Any]", value) if isinstance(value, list) else [None]
        return None if not all(isinstance(one, str) for one in texts) or texts == ["[]"] else texts or ["[]"]
    if field.kind == "json":
        return [msgspec.json.encode(value).decode()]
    return _scalar(field, value)


def _scalar(field: Field, value: Any) -> list[str] | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    is_digits = isinstance(value, str) and value.isdigit()
    is_text = isinstance(value, str) and value not in ("-", "null") and value.isprintable()
    fits = {
        "flag": isinstance(value, bool),
        "whole": is_number and isinstance(value, int),
        "number": is_number,
        "moment": (is_number and isinstance(value, int) and value >= 0) or (is_text and not is_digits),
        "text": is_text and (not field.choices or value in field.choices),
    }
    return [str(value)] if fits[field.kind] else None
