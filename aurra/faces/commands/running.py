"""Runs a command: asks for its operation, shows what comes, and says with its exit code what came of it."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any, Protocol

import click
import msgspec

from aurra.faces.commands import lines, showing, stopping
from aurra.faces.commands.asked import Asked
from aurra.faces.commands.lines import Lines, Sent
from aurra.faces.commands.where import Local, reach
from aurra.faces.ways import Json, Reach, Refused, Reply, Unreachable

_PAGE = 200
"""Rows of a page, where all pages are wanted and nothing else is said."""


class Extra(Protocol):
    """What a command does beyond its operation."""

    def options(self) -> list[click.Parameter]:
        """What it is told for that."""
        ...

    def show(self, asked: Asked, answer: Json, plainly: Callable[[], None]) -> int:
        """Shows the answer, `plainly` as every command does or in its own way; the exit code."""
        ...

    def fail(self, asked: Asked, problem: Json) -> None:
        """Tells of a failure in its own way; it is told on standard error besides."""
        ...


def run(asked: Asked, local: Local, extra: Extra | None) -> int:
    """The command is run to its end; its exit code."""
    if asked.asks_first and sys.stdin.isatty() and sys.stderr.isatty():
        click.confirm(f"{asked.command.summary} Go on?", abort=True, err=True)
    try:
        return asyncio.run(_run(asked, local, extra))
    except Refused as error:
        problem, code = error.problem, stopping.code_of(error.status)
        notes = getattr(error, "__notes__", [])
    except Unreachable as error:
        problem, code = stopping.unreachable(str(error)), stopping.UNREACHABLE
        notes = getattr(error, "__notes__", [])
    if extra is not None:
        extra.fail(asked, problem)
    stopping.tell(problem, as_json=asked.as_json)
    for note in notes:
        click.echo(f"aurra: {note}", err=True)
    return code


async def _run(asked: Asked, local: Local, extra: Extra | None) -> int:
    async with reach(asked.where, local) as there:
        if asked.lines is not None:
            return await _send(asked, asked.lines, there)
        if asked.everything:
            return await _show_all(asked, there)
        is_page = asked.command.has_page and not asked.as_json
        reply = await there.reply(asked.command, asked.arguments, asked.idempotency_key, as_page=is_page)
        _warn(asked, reply)
        if extra is not None:
            return extra.show(asked, reply.answer, lambda: _show(asked, reply))
        _show(asked, reply)
        return 0


def _show(asked: Asked, reply: Reply) -> None:
    """The answer as it is, or as people read it."""
    if asked.as_json:
        _echo_json(asked, reply.answer)
    elif reply.page is not None:
        click.echo(showing.safe(reply.page), nl=False)
    elif asked.command.rows is None:
        rest = {name: value for name, value in reply.answer.items() if name != "warnings"}
        _echo(showing.details(rest, showing.width()))
    else:
        _show_page(asked.command.rows, reply.answer)


def _show_page(name: str, answer: Json) -> None:
    rows: list[Json] = answer[name]
    shape = showing.layout(rows, showing.width())
    _echo([showing.header(shape), *showing.table(rows, shape)] if rows else [])
    rest = {key: value for key, value in answer.items() if key not in (name, "warnings", "has_more", "next_cursor")}
    _echo(["", *showing.details(rest, showing.width())] if rest and rows else [])
    if not rows:
        click.echo("aurra: there is nothing.", err=True)
    if answer.get("next_cursor"):
        click.echo(f"aurra: there is more: --all, or --cursor {answer['next_cursor']}", err=True)


async def _show_all(asked: Asked, there: Reach) -> int:
    """Every row of every page, as it comes."""
    arguments = dict(asked.arguments)
    if any(field.name == "limit" for field in asked.command.fields):
        arguments.setdefault("limit", _PAGE)
    shape: list[showing.Column] = []
    count = 0
    while True:
        reply = await there.reply(asked.command, arguments)
        _warn(asked, reply)
        rows: list[Json] = reply.answer[asked.command.rows or ""]
        if asked.as_json:
            for row in rows:
                _echo_json(asked, row)
        elif rows:
            if not shape:
                shape = showing.layout(rows, showing.width())
                _echo([showing.header(shape)])
            _echo(showing.table(rows, shape))
        count += len(rows)
        _progress(count)
        cursor = reply.answer.get("next_cursor")
        if cursor is None:
            break
        arguments["cursor"] = cursor
    _progress(None)
    return 0


async def _send(asked: Asked, source: Lines, there: Reach) -> int:
    """All lines, and a summary; exit code 1 where lines were refused, each by itself."""
    sent = Sent()
    try:
        await lines.send(there, asked.command, asked.arguments, source, sent, asked.tenant)
    except asyncio.CancelledError:
        click.echo(
            f"aurra: interrupted; {sent.lines} lines are stored, the same command again goes on there.", err=True
        )
        raise
    summary: dict[str, Any] = {
        "lines": sent.lines,
        "batches": sent.batches,
        "replayed_batches": sent.replayed,
        **sent.counts,
    }
    if asked.as_json:
        _echo_json(asked, {**summary, "refused": sent.refused})
    else:
        _echo(showing.details(summary, showing.width()))
        for one in sent.refused:
            click.echo(f"aurra: line {one['line']}: {stopping.sentence_of(one)}", err=True)
    return stopping.REFUSED if sent.refused else 0


def _warn(asked: Asked, reply: Reply) -> None:
    told: list[str] = [] if asked.as_json else list(reply.answer.get("warnings", []))
    told += [reply.plan_warning] if reply.plan_warning else []
    for warning in told:
        click.echo(f"aurra: warning: {showing.safe(warning)}", err=True)


def _progress(count: int | None) -> None:
    """How far it is, on a terminal that is not written to otherwise; None is the end."""
    if sys.stderr.isatty() and not sys.stdout.isatty():
        click.echo("\r\033[K" if count is None else f"\r{count:,} so far", nl=False, err=True)


def _echo(lines_: list[str]) -> None:
    for line in lines_:
        click.echo(line)


def _echo_json(asked: Asked, value: Json) -> None:
    encoded = msgspec.json.encode(value)
    click.echo(msgspec.json.format(encoded, indent=asked.indent) if asked.indent else encoded)
