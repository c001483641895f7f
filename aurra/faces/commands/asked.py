"""What a command was told: the request, where to send it, and how to show what comes."""

import os
from typing import Any

import click
import msgspec

from aurra.faces.commands import lines, values
from aurra.faces.commands.catalogue import Command
from aurra.faces.commands.lines import Lines
from aurra.faces.commands.parameters import PREFIX
from aurra.faces.commands.where import Where, where
from aurra.faces.ways import Json


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a command."""

    command: Command
    arguments: Json
    lines: Lines | None
    """A file of lines, to be sent in batches beside the arguments."""
    tenant: str | None
    where: Where
    as_json: bool
    indent: int
    everything: bool
    asks_first: bool
    """Whether a person says yes before it is done."""
    idempotency_key: str | None
    more: dict[str, Any]
    """What a command is told beyond its operation."""


def read(ctx: click.Context, command: Command, given: dict[str, Any]) -> Asked:
    """What the command line says. Raises UsageError for what cannot be asked so."""
    place = where(ctx, given.pop("url"), given.pop("key"), given.pop("account"), given.pop("timeout"))
    arguments = _arguments(command, given)
    file = given.pop("from_file")
    content = None if file is None else lines.opened(command, file)
    if isinstance(content, bytes):
        arguments = {**values.document(content), **arguments}
    tenant = os.environ.get("AURRA_TENANT_ID") or None
    if tenant:
        arguments = values.with_tenant(arguments, tenant, has_tenant=command.has_tenant, inside=command.tenant_inside)
    _require(command, arguments, content)
    if isinstance(content, Lines) and given.get("idempotency_key"):
        raise click.UsageError("A file of lines has an Idempotency-Key for each batch; give none.")
    pretty = given.pop("pretty")
    return Asked(
        command=command,
        arguments=arguments,
        lines=content if isinstance(content, Lines) else None,
        tenant=tenant,
        where=place,
        as_json=given.pop("as_json") or pretty,
        indent=2 if pretty else 0,
        everything=given.pop("everything", False),
        asks_first=command.is_destructive and not given.pop("yes") and not arguments.get("dry_run"),
        idempotency_key=given.pop("idempotency_key", None),
        more=given,
    )


def _arguments(command: Command, given: dict[str, Any]) -> Json:
    """The fields that were given one by one, taken out of what was given."""
    said = {field.name: (field, given.pop(f"{PREFIX}{field.name}")) for field in command.fields}
    return {
        name: values.value_of(field, value)
        for name, (field, value) in said.items()
        if value is not None and value != ()
    }


def _require(command: Command, arguments: Json, content: Lines | bytes | None) -> None:
    """Raises UsageError for a field that is missing. Of a whole document the service says what it lacks."""
    if isinstance(content, Lines) and command.lines is not None:
        if command.lines.name in arguments:
            raise click.UsageError(f"Give `{command.lines.name}` or a file of lines, not both.")
        missing = [name for name in command.positional if name not in arguments and name != command.lines.name]
    elif content is not None:
        missing = [name for name in command.path_parameters if arguments.get(name) in (None, "")]
    else:
        missing = [name for name in command.positional if name not in arguments]
    missing += [name for name in command.path_parameters if arguments.get(name) == "" and name not in missing]
    if missing:
        raise click.UsageError(f"Missing argument {missing[0].upper()}.")
