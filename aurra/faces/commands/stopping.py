"""How a command ends: its exit codes, and the one sentence for what stopped it."""

import sys
from typing import Any, cast

import click
import msgspec

from aurra.errors import CannotStart
from aurra.faces.commands import showing

REFUSED, THRESHOLD, BLOCKED, KEY_REFUSED, UNREACHABLE, INTERRUPTED = 1, 3, 4, 5, 6, 130
_CODES = {401: KEY_REFUSED, 402: BLOCKED, 403: KEY_REFUSED}
_KNOWN = frozenset({"type", "title", "status", "detail", "code", "param", "errors", "request_id", "hint"})


class Commands(click.Group):
    """Shows what stops a command as one sentence, with exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command."""
        try:
            return super().invoke(ctx)
        except CannotStart as error:
            click.echo(f"aurra: {error}", err=True)
            sys.exit(1)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)


def code_of(status: int) -> int:
    """The exit code for what the service refused with this status."""
    return _CODES.get(status, REFUSED)


def sentence_of(problem: dict[str, Any]) -> str:
    """A problem as people read it: what is wrong, its code, what to do."""
    detail: Any = problem.get("detail", "")
    said: str = cast("dict[str, Any]", detail)["message"] if isinstance(detail, dict) else detail
    code: str | None = problem.get("code")
    parts = [said, f"({code})" if code else "", problem.get("hint") or ""]
    return showing.safe(" ".join(filter(None, parts)))


def tell(problem: dict[str, Any], *, as_json: bool) -> None:
    """Says a problem on standard error: as it came, or as one sentence, with what else it names below."""
    if as_json:
        click.echo(msgspec.json.encode(problem), err=True)
        return
    click.echo(f"aurra: {sentence_of(problem)}", err=True)
    more = {name: value for name, value in problem.items() if name not in _KNOWN}
    for line in showing.details(more, showing.width(), indent="  "):
        click.echo(line, err=True)


def unreachable(why: str) -> dict[str, Any]:
    """A problem for what never came to a service; it has no status, and no code of the service's."""
    return {"detail": why, "status": None, "code": None, "hint": "Check --url and that the service runs."}
