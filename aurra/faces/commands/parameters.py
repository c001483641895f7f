"""The arguments and options of an operation's command: from its fields, and those that every command has."""

from collections.abc import Iterator
from typing import Any

import click

from aurra.faces.commands.catalogue import Command, Field
from aurra.faces.commands.where import DEFAULT_URL
from aurra.faces.ways import SECONDS

PREFIX = "field_"
"""Of the names under which click keeps fields, so that none is another's."""
_METAVARS = {"whole": "NUMBER", "number": "NUMBER", "moment": "MOMENT", "text": "TEXT", "texts": "TEXT", "json": "JSON"}


def common(command: Command) -> list[click.Parameter]:
    """What the command line itself is told: where to ask, and how to show what comes."""
    options = [
        click.Option(["--url"], envvar="AURRA_BASE_URL", show_envvar=True, help="Where a service answers."),
        click.Option(
            ["--key"], envvar="AURRA_API_KEY", show_envvar=True, help=f"Its key; without --url, of {DEFAULT_URL}."
        ),
        click.Option(["--account"], help="Whose memories, of the service in this process; the only one's if absent."),
        click.Option(
            ["--timeout"],
            type=click.FloatRange(0, min_open=True),
            default=SECONDS,
            show_default=True,
            metavar="SECONDS",
            help="How long an answer may take.",
        ),
        click.Option(
            ["--from-file", "from_file"],
            type=click.Path(allow_dash=True, dir_okay=False),
            metavar="FILE",
            help="The whole request as JSON, - for standard input; what is given beside it comes first."
            + (f" Or lines, each an object of `{command.lines.name}`: any number." if command.lines else ""),
        ),
        click.Option(["--json", "as_json"], is_flag=True, help="The answer as it is, on one line."),
        click.Option(["--pretty"], is_flag=True, help="The answer as it is, indented."),
    ]
    if command.rows:
        everything = "All pages to the end; with --json an object a line."
        options.append(click.Option(["--all", "everything"], is_flag=True, help=everything))
    if command.is_idempotent:
        again = "Again with the same within 24 hours, it is answered as it was and has no second effect."
        options.append(click.Option(["--idempotency-key"], metavar="TEXT", help=again))
    if command.is_destructive:
        options.append(click.Option(["--yes"], is_flag=True, help="Do not ask, on a terminal, whether to go on."))
    return [*options]


def fields(command: Command, positional: tuple[str, ...], others: list[click.Parameter]) -> Iterator[click.Parameter]:
    """An argument for each positional field, an option for each other one."""
    taken = {name for parameter in others for name in parameter.opts} | {"--help"}
    by_name = {field.name: field for field in command.fields}
    for name in positional:
        yield _argument(by_name[name], is_last=name == positional[-1])
    for field in command.fields:
        if field.name not in positional:
            yield _option(field, taken)


def _argument(field: Field, *, is_last: bool) -> click.Parameter:
    # Whether one is missing is looked at once a file is read, which may have it.
    shown = field.name.upper() if field.required else f"[{field.name.upper()}]"
    takes_many = field.kind == "texts" and is_last
    return Described(
        [f"{PREFIX}{field.name}"],
        required=False,
        nargs=-1 if takes_many else 1,
        metavar=f"{shown}..." if takes_many else shown,
        type=_type(field),
        said=_help(field),
    )


class Described(click.Argument):
    """An argument that says what it is."""

    def __init__(self, *arguments: Any, said: str, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.said = said

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        """For a section of the help."""
        return self.make_metavar(ctx), self.said


def _option(field: Field, taken: set[str]) -> click.Option:
    word = field.name.replace("_", "-")
    # What the command line itself is told has that name already.
    word = f"field-{word}" if f"--{word}" in taken else word
    name = f"{PREFIX}{field.name}"
    if field.kind == "flag":
        return click.Option([name, f"--{word}/--no-{word}"], default=None, help=_help(field))
    return click.Option(
        [name, f"--{word}"],
        multiple=field.kind == "texts",
        type=_type(field),
        metavar=None if field.choices else _METAVARS[field.kind],
        help=_help(field),
    )


def _type(field: Field) -> click.ParamType[Any] | None:
    if field.choices:
        return click.Choice([*field.choices, *(["null"] if field.null_tells else [])])
    return click.STRING


def _help(field: Field) -> str:
    more = [
        field.help,
        "JSON, @FILE or -." if field.kind == "json" else "",
        "May be given several times; [] is none." if field.kind == "texts" else "",
        f"[default: {field.default}]" if field.default not in (None, "") and field.kind != "flag" else "",
    ]
    return " ".join(filter(None, more))
