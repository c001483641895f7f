"""Named queries: each `.sql` file beside this one is a library of statements.

A statement begins with `-- name: do_something -> RowStruct` (or without an arrow when it returns nothing), is
explained by the comment under it, and names its parameters `:like_this`. `-- fragment: part` is text that statements
and fragments of the same file include as `{part}`, those of other files as `{noun.part}`. Columns come in the order of
the Struct's fields; a test prepares every statement against the migrated schema and compares.
"""

import re
from functools import cache
from pathlib import Path

import msgspec

_NAME = re.compile(r"^-- (name|fragment): (\w+)(?: -> (\w+))?\s*$", re.MULTILINE)
_INCLUDE = re.compile(r"{(?:(\w+)\.)?(\w+)}")
_TOKEN = re.compile(r"'(?:[^']|'')*'|--[^\n]*|::\w+|(?<![:\w]):([a-z_]\w*)")


class Query(msgspec.Struct, frozen=True):
    """One statement, ready for the driver: `sql` with $1, $2 …, and the parameters' names in that order."""

    name: str
    sql: str
    parameters: tuple[str, ...]
    row: str | None


def parse(text: str) -> list[Query]:
    """All statements of one file, in order."""
    fragments = {mark[2]: body.strip() for mark, body in _parts(text) if mark[1] == "fragment"}
    return [_query(mark[2], mark[3], _included(body, fragments)) for mark, body in _parts(text) if mark[1] == "name"]


def _parts(text: str) -> list[tuple[re.Match[str], str]]:
    """Each name or fragment, and what stands under it."""
    marks = list(_NAME.finditer(text))
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    return [(mark, text[mark.end() : end]) for mark, end in zip(marks, ends, strict=True)]


def _included(body: str, fragments: dict[str, str]) -> str:
    """The text with all that it includes; what is no fragment stays."""

    def include(found: re.Match[str]) -> str:
        there = fragments if found[1] is None else _fragments(found[1])
        return _included(there[found[2]], there) if found[2] in there else found[0]

    return _INCLUDE.sub(include, body)


@cache
def _fragments(noun: str) -> dict[str, str]:
    return {mark[2]: body.strip() for mark, body in _parts(_text(noun)) if mark[1] == "fragment"}


def _text(noun: str) -> str:
    return (Path(__file__).parent / f"{noun}.sql").read_text("utf-8")


def _query(name: str, row: str | None, body: str) -> Query:
    parameters: list[str] = []

    def number(token: re.Match[str]) -> str:
        if (parameter := token[1]) is None:
            return "" if token[0].startswith("--") else token[0]
        if parameter not in parameters:
            parameters.append(parameter)
        return f"${parameters.index(parameter) + 1}"

    sql = _TOKEN.sub(number, body).strip().rstrip(";")
    return Query(name, sql, tuple(parameters), row)


@cache
def load(noun: str) -> dict[str, Query]:
    """The statements of `<noun>.sql`, by name."""
    return {query.name: query for query in parse(_text(noun))}


def every() -> dict[str, dict[str, Query]]:
    """All files of statements, by noun."""
    return {path.stem: load(path.stem) for path in sorted(Path(__file__).parent.glob("*.sql"))}
