"""The `aurra` command. What a command does not need is not imported: one against a URL starts at once (ADR 0023)."""

from contextlib import AbstractAsyncContextManager

import click

from aurra import __version__
from aurra.faces.commands.group import Aurra
from aurra.faces.ways import Reach


def _operators() -> click.Group:
    from aurra import serving

    return serving.main


def _local(account: str | None) -> AbstractAsyncContextManager[Reach]:
    from aurra import local

    return local.opened(account)


main = click.version_option(__version__, prog_name="aurra")(
    Aurra(_operators, _local, help="Aurra: memory infrastructure for AI agents.")
)

if __name__ == "__main__":
    main(prog_name="aurra")
