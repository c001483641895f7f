"""The `aurra` command: what it is made of is looked up by name, and nothing else is imported."""

from collections.abc import Callable
from gettext import gettext
from typing import Any

import click
from click.shell_completion import CompletionItem, get_completion_class

from aurra.faces.commands import asked, catalogue, parameters, running
from aurra.faces.commands.catalogue import Catalogue, Command, Operators
from aurra.faces.commands.gate import PlanGate
from aurra.faces.commands.parameters import Described
from aurra.faces.commands.running import Extra
from aurra.faces.commands.stopping import Commands
from aurra.faces.commands.where import Local

EXTRAS: dict[str, Extra] = {"plan.status": PlanGate()}
"""Operations whose command does more than ask."""
_SHELLS = ("bash", "zsh", "fish")


class OperationCommand(click.Command):
    """The command of an operation; its help tells the fields from what every command is told."""

    def __init__(self, command: Command, name: str, positional: tuple[str, ...], local: Local) -> None:
        extra = EXTRAS.get(command.name)
        more = extra.options() if extra else []
        common = parameters.common(command)
        fields = list(parameters.fields(command, positional, [*more, *common]))
        self._sections = [("Options", [*fields, *more]), ("Where, and how", common)]
        super().__init__(
            name,
            params=[*fields, *more, *common],
            help=command.help,
            short_help=command.summary,
            callback=_callback(command, local, extra),
        )

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Arguments, the fields' options, then the others."""
        arguments = [param for param in self.params if isinstance(param, Described)]
        _section(ctx, formatter, "Arguments", [*arguments])
        for title, params in self._sections:
            help_option = self.get_help_option(ctx) if title != "Options" else None
            _section(ctx, formatter, title, [p for p in params if p not in arguments] + [*filter(None, [help_option])])


def _section(ctx: click.Context, formatter: click.HelpFormatter, title: str, params: list[click.Parameter]) -> None:
    records = [record for param in params if (record := param.get_help_record(ctx)) is not None]
    if records:
        with formatter.section(gettext(title)):
            formatter.write_dl(records)


def _callback(command: Command, local: Local, extra: Extra | None) -> Callable[..., None]:
    def callback(**given: Any) -> None:
        ctx = click.get_current_context()
        ctx.exit(running.run(asked.read(ctx, command, given), local, extra))

    return callback


class Operations(click.Group):
    """A noun: its operations."""

    def __init__(self, name: str, commands: list[Command], local: Local) -> None:
        verbs = ", ".join(command.verb for command in commands)
        super().__init__(name, help=f"Operations on {name.replace('-', ' ')}.", short_help=verbs)
        for command in commands:
            self.add_command(OperationCommand(command, command.verb, command.positional, local))


class Aurra(Commands):
    """All commands: the operations' by nouns and short words, and the operator's."""

    def __init__(self, operators: Operators, local: Local, **more: Any) -> None:
        super().__init__("aurra", **more)
        self._operators = operators
        self._local = local
        self.add_command(_completion(self))

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in order."""
        found = self._catalogue()
        return sorted({*self.commands, *_short(found), *_nouns(found), *(one.name for one in found.operators)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, which alone is made."""
        if (own := super().get_command(ctx, cmd_name)) is not None:
            return own
        found = self._catalogue()
        if (command := _short(found).get(cmd_name)) is not None:
            return OperationCommand(command, cmd_name, _positional(command), self._local)
        if cmd_name in (nouns := _nouns(found)):
            return Operations(cmd_name, nouns[cmd_name], self._local)
        if any(one.name == cmd_name for one in found.operators):
            return self._operators().get_command(ctx, cmd_name)
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The short words, the nouns with their verbs, the operator's commands."""
        found = self._catalogue()
        limit = formatter.width - 24
        for title, records in (
            ("Short", [(name, command.summary) for name, command in _short(found).items()]),
            ("Operations", [(name, ", ".join(c.verb for c in commands)) for name, commands in _nouns(found).items()]),
            ("Operator", [(one.name, one.summary) for one in found.operators if not one.hidden]),
            ("Shell", [(name, command.get_short_help_str(limit)) for name, command in self.commands.items()]),
        ):
            with formatter.section(title):
                formatter.write_dl(sorted(records))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names that begin so; none of the commands is made for that."""
        found = self._catalogue()
        known = {name: command.summary for name, command in _short(found).items()}
        known |= {name: ", ".join(c.verb for c in commands) for name, commands in _nouns(found).items()}
        known |= {one.name: one.summary for one in found.operators if not one.hidden}
        known |= {name: command.get_short_help_str() for name, command in self.commands.items()}
        items = [CompletionItem(name, help=said) for name, said in sorted(known.items()) if name.startswith(incomplete)]
        return [*items, *click.Command.shell_complete(self, ctx, incomplete)]

    def _catalogue(self) -> Catalogue:
        return catalogue.load(self._operators)


def _short(found: Catalogue) -> dict[str, Command]:
    return {command.short: command for command in found.commands if command.short}


def _nouns(found: Catalogue) -> dict[str, list[Command]]:
    nouns: dict[str, list[Command]] = {}
    for command in found.commands:
        nouns.setdefault(command.group, []).append(command)
    return nouns


def _positional(command: Command) -> tuple[str, ...]:
    """Of the short word: the fields it names, then what is required besides."""
    rest = (name for name in command.positional if name not in command.short_positional)
    return (*command.short_positional, *rest)


def _completion(main: click.Group) -> click.Command:
    @click.command("completion", short_help="Print what makes a shell complete `aurra`.")
    @click.argument("shell", type=click.Choice(_SHELLS))
    def completion(shell: str) -> None:
        """Print what makes a shell complete `aurra`.

        \b
        bash: eval "$(aurra completion bash)" in ~/.bashrc
        zsh:  eval "$(aurra completion zsh)" in ~/.zshrc
        fish: aurra completion fish > ~/.config/fish/completions/aurra.fish
        """
        kind = get_completion_class(shell)
        assert kind is not None
        click.echo(kind(main, {}, "aurra", "_AURRA_COMPLETE").source())

    return completion
