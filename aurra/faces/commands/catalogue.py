"""What the command line knows of each operation, without importing them: derived from the registry, and kept in the
user's cache directory until a source file changes."""

import contextlib
import hashlib
import importlib
import os
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal

import click
import msgspec
from platformdirs import user_cache_dir

Kind = Literal["text", "whole", "number", "flag", "moment", "texts", "json"]
"""How a field is said: `moment` is a text that may be a transaction's number, `texts` a list; `json` all the rest."""
_ROOT = Path(__file__).parents[2]
Operators = Callable[[], click.Group]
"""Gives the operator's commands; costs a second, since it imports the whole service."""


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A field of a request."""

    name: str
    kind: Kind
    required: bool
    null_tells: bool
    """Null says something that absence does not."""
    choices: tuple[str, ...] = ()
    default: Any = None
    help: str = ""
    takes_lines: bool = False
    """The one required list of objects: it may come as a file of lines, of any length."""


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """An operation as the command line has it; also what `Remote` needs to know of it."""

    name: str
    method: str
    path: str
    group: str
    verb: str
    short: str | None
    """A word of its own beside `group verb`."""
    short_positional: tuple[str, ...]
    summary: str
    help: str
    fields: tuple[Field, ...]
    is_idempotent: bool
    is_read_only: bool
    is_destructive: bool
    body_limit: int
    has_page: bool
    has_tenant: bool
    tenant_inside: tuple[str, ...]
    rows: str | None
    """The list in the answer, where it comes page by page."""

    @property
    def path_parameters(self) -> tuple[str, ...]:
        """The fields that stand in the path."""
        return tuple(re.findall(r"{(\w+)}", self.path))

    @property
    def positional(self) -> tuple[str, ...]:
        """Fields of `group verb` that need no name."""
        return tuple(field.name for field in self.fields if field.required)

    @property
    def lines(self) -> Field | None:
        """The field that may come as a file of lines, if there is one."""
        return next((field for field in self.fields if field.takes_lines and self.is_idempotent), None)


class Operator(msgspec.Struct, frozen=True, kw_only=True):
    """A command of the operator."""

    name: str
    summary: str
    hidden: bool


class Catalogue(msgspec.Struct, frozen=True, kw_only=True):
    """All commands."""

    made_from: str
    commands: tuple[Command, ...]
    operators: tuple[Operator, ...]


def load(operators: Operators) -> Catalogue:
    """All commands there are: from the registry where it is imported anyway; else as they were kept for these sources;
    else from the registry, which is imported then."""
    return _derive(operators, "") if "aurra.ops" in sys.modules else _load(operators)


@cache
def _load(operators: Operators) -> Catalogue:
    made_from, kept = _sources(), _file()
    with contextlib.suppress(OSError, msgspec.DecodeError):
        catalogue = msgspec.json.decode(kept.read_bytes(), type=Catalogue)
        if catalogue.made_from == made_from:
            return catalogue
    catalogue = _derive(operators, made_from)
    _keep(kept, msgspec.json.encode(catalogue))
    return catalogue


def _derive(operators: Operators, made_from: str) -> Catalogue:
    # Imported by its name: it imports every operation, and this module must not.
    describing: Any = importlib.import_module("aurra.faces.commands.describing")
    group = operators()
    context = click.Context(group)
    theirs = [(name, group.get_command(context, name)) for name in group.list_commands(context)]
    found = tuple(
        Operator(name=name, summary=command.get_short_help_str(200), hidden=command.hidden)
        for name, command in theirs
        if command is not None
    )
    commands = describing.describe(frozenset(name for name, _ in theirs))
    return Catalogue(made_from=made_from, commands=commands, operators=found)


def _file() -> Path:
    """Where it is kept: one file for each place where Aurra is installed."""
    place = hashlib.sha256(str(_ROOT).encode()).hexdigest()[:16]
    return Path(user_cache_dir("aurra", appauthor=False)) / f"commands-{place}.json"


def _keep(file: Path, content: bytes) -> None:
    """The file has the content, or stays as it was where it may not be written."""
    unfinished = file.with_suffix(f".{os.getpid()}")
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(content)
        unfinished.replace(file)


def _sources() -> str:
    """A digest of which source files there are, how large, and when changed: what Python's own byte code goes by."""
    found = sorted(f"{path} {size} {changed}" for path, size, changed in _files(_ROOT))
    return hashlib.sha256("\n".join([sys.version, *found]).encode()).hexdigest()


def _files(directory: str | Path) -> Iterator[tuple[str, int, int]]:
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir() and entry.name != "__pycache__":
                yield from _files(entry.path)
            elif entry.name.endswith(".py"):
                status = entry.stat()
                yield entry.path, status.st_size, status.st_mtime_ns
