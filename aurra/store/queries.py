"""Named queries: each `.sql` file beside this one is a library of statements.

A statement begins with `-- name: do_something -> RowStruct` (or without an arrow when it returns nothing), is
explained by the comment under it, and names its parameters `:like_this`. `-- fragment: part` is text that statements
of the same file include as `{part}`. Columns come in the order of the Struct's fields; a test
prepares every statement against the migrated schema and compares.
"""

import re
from functools import cache
from pathlib import Path

import msgspec

_NAME = re.compile(r"^-- (name|fragment): (\w+)(?: -> (\w+))?\s*$", re.MULTILINE)
_INCLUDE = re.compile(r"{(\w+)}")
_TOKEN = re.compile(r"'(?:[^']|'')*'|--[^\n]*|::\w+|(?<![:\w]):([a-z_]\w*)")


class Query(msgspec.Struct, frozen=True):
    """One statement, ready for the driver: `sql` with $1, $2 …, and the parameters' names in that order."""

    name: str
    sql: str
    parameters: tuple[str, ...]
    row: str | None


def parse(text: str) -> list[Query]:
    """All statements of one file, in order."""
    marks = list(_NAME.finditer(text))
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    bodies = [(mark, text[mark.end() : end]) for mark, end in zip(marks, ends, strict=True)]
    fragments = {mark[2]: body.strip() for mark, body in bodies if mark[1] == "fragment"}
    return [
        _query(mark[2], mark[3], _INCLUDE.sub(lambda include: fragments.get(include[1], include[0]), body))
        for mark, body in bodies
        if mark[1] == "name"
    ]


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
    return {query.name: query for query in parse((Path(__file__).parent / f"{noun}.sql").read_text("utf-8"))}


def every() -> dict[str, dict[str, Query]]:
    """All files of statements, by noun."""
    return {path.stem: load(path.stem) for path in sorted(Path(__file__).parent.glob("*.sql"))}
