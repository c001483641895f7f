"""A file of JSON lines, of any length: sent in batches, each under an Idempotency-Key that its content and place give,
so that sending the file again after an interruption stores nothing twice."""

import contextlib
import hashlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import click
import msgspec

from aurra.faces.commands import values
from aurra.faces.commands.catalogue import Command
from aurra.faces.ways import Json, Reach, Refused, Unreachable

MOST = 500
"""Lines of one request."""
_ROOM = 64 * 1024
"""Of the largest body, what is left to the fields beside the lines."""


class Line(msgspec.Struct, frozen=True):
    """An object, and where it stands in its file."""

    number: int
    content: bytes


class Lines(msgspec.Struct, frozen=True):
    """A file of lines that can be read, once; how many there are, where that is known before."""

    lines: Iterator[Line]
    total: int | None


class Sent(msgspec.Struct):
    """What became of the lines."""

    lines: int = 0
    batches: int = 0
    replayed: int = 0
    """Batches that an earlier run had stored."""
    counts: dict[str, int] = {}
    """The sums of the numbers that the answers name."""
    refused: list[dict[str, Any]] = []
    """Lines that were refused, where each stands for itself."""


def opened(command: Command, name: str) -> Lines | bytes:
    """The lines of a file, or its whole content where it is one JSON document. `-` is standard input.

    A file is looked through before anything is sent; BadParameter names the line that is no JSON object.
    """
    try:
        with contextlib.ExitStack() as stack:
            is_stdin = name == values.STDIN
            stream: BinaryIO = sys.stdin.buffer if is_stdin else stack.enter_context(Path(name).open("rb"))
            first = _first(stream)
            if not _is_line(command, first):
                return first + stream.read()
            if not Path(name).is_file():
                # A pipe is read once.
                stack.pop_all()
                return Lines(_checked(_chained(first, stream)), None)
        return Lines(_checked(_of_file(name)), sum(1 for _ in _checked(_of_file(name))))
    except OSError as error:
        raise click.BadParameter(f"{name!r} cannot be read ({error.strerror})", param_hint="--from-file") from None


def _first(stream: BinaryIO) -> bytes:
    """The first line that is not empty."""
    line = stream.readline()
    while line and not line.strip():
        line = stream.readline()
    return line


def _of_file(name: str) -> Iterator[bytes]:
    with Path(name).open("rb") as stream:
        yield from stream


def _is_line(command: Command, first: bytes) -> bool:
    """Whether the first line is an object by itself, and not a request that fits one line."""
    if command.lines is None:
        return False
    try:
        return command.lines.name not in msgspec.json.decode(first, type=dict[str, Any])
    except msgspec.DecodeError:
        return False


def _chained(first: bytes, stream: Iterable[bytes]) -> Iterator[bytes]:
    yield first
    yield from stream


def _checked(stream: Iterable[bytes]) -> Iterator[Line]:
    for number, content in enumerate(stream, 1):
        if not content.strip():
            continue
        try:
            msgspec.json.decode(content, type=dict[str, msgspec.Raw])
        except msgspec.DecodeError as error:
            raise click.BadParameter(f"line {number} is no JSON object ({error})", param_hint="--from-file") from None
        yield Line(number, content.strip())


def batches(lines: Iterable[Line], most_bytes: int) -> Iterator[list[Line]]:
    """The lines in their order, as many together as one request takes."""
    batch: list[Line] = []
    size = 0
    for line in lines:
        if batch and (len(batch) == MOST or size + len(line.content) > most_bytes):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += len(line.content) + 1
    if batch:
        yield batch


def key_of(command: Command, arguments: Json, batch: list[Line]) -> str:
    """The batch's Idempotency-Key: the same for the same operation, fields, lines and place."""
    fields = msgspec.json.encode(arguments, order="deterministic")
    parts = [command.name.encode(), fields, str(batch[0].number).encode(), *(line.content for line in batch)]
    return f"lines-{hashlib.sha256(msgspec.json.encode(parts)).hexdigest()}"


async def send(there: Reach, command: Command, arguments: Json, source: Lines, sent: Sent, tenant: str | None) -> None:
    """Sends all lines, batch by batch, and counts in `sent` what came of them.

    Raises Refused or Unreachable at the first batch that is refused whole; what is before it is stored.
    """
    field = command.lines
    assert field is not None
    inside = tenant if tenant and field.name in command.tenant_inside else None
    with _progress(source.total) as bar:
        for batch in batches(source.lines, command.body_limit - _ROOM):
            items = [msgspec.json.decode(line.content) for line in batch]
            items = [values.tenanted(item, inside) for item in items] if inside else items
            key = key_of(command, {**arguments, "": inside}, batch)
            try:
                reply = await there.reply(command, {**arguments, field.name: items}, key)
            except (Refused, Unreachable) as error:
                error.add_note(_how_far(batch, sent))
                raise
            _count(sent, batch, reply.answer, replayed=reply.replayed)
            bar.update(len(batch))


def _count(sent: Sent, batch: list[Line], answer: Json, *, replayed: bool) -> None:
    sent.lines += len(batch)
    sent.batches += 1
    sent.replayed += replayed
    for name, value in answer.items():
        if isinstance(value, int) and not isinstance(value, bool):
            sent.counts[name] = sent.counts.get(name, 0) + value
    # An answer that tells of each item says with `index` which it is, and in `error` why it was refused.
    lists = [cast("list[Any]", value) for value in answer.values() if isinstance(value, list)]
    items = [cast("Json", item) for told in lists for item in told if isinstance(item, dict)]
    refused = [item for item in items if item.get("error")]
    sent.refused += [{"line": batch[int(item["index"])].number, **item["error"]} for item in refused]


def _how_far(batch: list[Line], sent: Sent) -> str:
    return (
        f"Lines {batch[0].number} to {batch[-1].number} were not stored, {sent.lines} before them were; "
        "the same command again goes on there."
    )


def _progress(total: int | None) -> Any:
    """A bar on a terminal, of lines."""
    hidden = total is None or not sys.stderr.isatty()
    return click.progressbar(length=total or 0, label="lines", show_pos=True, file=sys.stderr, hidden=hidden)
