"""`aurra plan status` as a check: thresholds, a verdict, and the formats that CI systems read."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import click
import msgspec

from aurra.faces.commands import showing, stopping
from aurra.faces.commands.asked import Asked
from aurra.faces.ways import Json

_TITLE = "Aurra plan"
_OUTPUTS = ("writes_used", "writes_remaining", "blocked", "in_grace_period")


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    name: str
    ok: bool
    said: str
    code: int
    """The exit code where it does not hold."""


def judge(
    status: Json, *, min_remaining: int | None, max_used_percent: float | None, fail_on_grace: bool
) -> list[Check]:
    """The checks that were asked for; that writes are not blocked is always one. Pure."""
    used, limit, remaining = status["writes_used"], status["writes_limit"], status["writes_remaining"]
    percent = 100 * used / limit if limit else 100.0
    said = "writes are blocked" if status["blocked"] else "writes are not blocked"
    checks = [Check(name="blocked", ok=not status["blocked"], said=said, code=stopping.BLOCKED)]
    if fail_on_grace:
        is_grace = status["in_grace_period"]
        said = f"the grace period ends at {status['grace_ends_at']}" if is_grace else "there is no grace period"
        checks.append(_check("grace", not is_grace, said))
    if min_remaining is not None:
        said = f"{remaining:,} writes remain; at least {min_remaining:,} are wanted"
        checks.append(_check("min-remaining", remaining >= min_remaining, said))
    if max_used_percent is not None:
        said = f"{percent:.1f} % of {limit:,} writes are used; at most {max_used_percent:g} % are wanted"
        checks.append(_check("max-used-percent", percent <= max_used_percent, said))
    return checks


def code_of(checks: list[Check]) -> int:
    """0 where all hold; else the largest of their exit codes: blocked comes before a threshold."""
    return max((check.code for check in checks if not check.ok), default=0)


def _check(name: str, ok: bool, said: str) -> Check:
    return Check(name=name, ok=ok, said=said, code=stopping.THRESHOLD)


class PlanGate:
    """What `plan status` does beyond its operation; see `Extra`."""

    def options(self) -> list[click.Parameter]:
        """The thresholds, and the format."""
        percent = click.FloatRange(0, 1000)
        return [
            click.Option(["--min-remaining"], type=click.IntRange(0), help="Fail (3) where fewer writes remain."),
            click.Option(["--max-used-percent"], type=percent, help="Fail (3) where more of the limit is used."),
            click.Option(["--fail-on-grace"], is_flag=True, help="Fail (3) in the grace period."),
            click.Option(
                ["--format", "shape"],
                type=click.Choice([*_FORMATS]),
                default="text",
                show_default=True,
                help="json has the verdict too; github also writes $GITHUB_STEP_SUMMARY and $GITHUB_OUTPUT.",
            ),
        ]

    def show(self, asked: Asked, answer: Json, plainly: Callable[[], None]) -> int:
        """Shows the status and the verdict."""
        more = dict(asked.more)
        shape = more.pop("shape")
        checks = judge(answer, **more)
        if shape == "text":
            plainly()
        if not (shape == "text" and asked.as_json):
            _FORMATS[shape](answer, checks)
        return code_of(checks)

    def fail(self, asked: Asked, problem: Json) -> None:
        """The failure as the one check that does not hold."""
        shape = asked.more["shape"]
        if shape != "text":
            check = Check(name="asked", ok=False, said=stopping.sentence_of(problem), code=stopping.REFUSED)
            _FORMATS[shape]({}, [check])


def _as_text(status: Json, checks: list[Check]) -> None:
    for check in checks:
        click.echo(f"{'ok  ' if check.ok else 'FAIL'} {check.name}: {check.said}")


def _as_json(status: Json, checks: list[Check]) -> None:
    shown = [{"name": check.name, "ok": check.ok, "said": check.said} for check in checks]
    verdict = {"ok": all(check.ok for check in checks), "checks": shown, "status": status or None}
    click.echo(msgspec.json.encode(verdict))


def _as_junit(status: Json, checks: list[Check]) -> None:
    failed = sum(not check.ok for check in checks)
    suite = ElementTree.Element("testsuite", name=_TITLE, tests=str(len(checks)), failures=str(failed), errors="0")
    for check in checks:
        case = ElementTree.SubElement(suite, "testcase", classname="aurra.plan", name=check.name)
        if not check.ok:
            ElementTree.SubElement(case, "failure", message=check.said)
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites)
    click.echo(ElementTree.tostring(suites, encoding="unicode", xml_declaration=True))


def _as_github(status: Json, checks: list[Check]) -> None:
    """An annotation for each check that does not hold, or one that says that all do; a summary; outputs."""
    for check in checks:
        if not check.ok:
            click.echo(f"::error title={_property(f'{_TITLE}: {check.name}')}::{_escaped(check.said)}")
    if all(check.ok for check in checks):
        click.echo(f"::notice title={_TITLE}::{_escaped('; '.join(check.said for check in checks))}")
    rows = [f"| {'✅' if check.ok else '❌'} | {check.name} | {_cell(check.said)} |" for check in checks]
    _append("GITHUB_STEP_SUMMARY", ["### Aurra plan", "", "| | check | |", "|---|---|---|", *rows, ""])
    outputs = {name: status[name] for name in _OUTPUTS if name in status}
    _append("GITHUB_OUTPUT", [f"{name.replace('_', '-')}={_plain(value)}" for name, value in outputs.items()])


_FORMATS: dict[str, Callable[[Json, list[Check]], None]] = {
    "text": _as_text,
    "json": _as_json,
    "junit": _as_junit,
    "github": _as_github,
}


def _escaped(text: str) -> str:
    """What a workflow command says: one line."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else showing.cell(value)


def _append(variable: str, lines: list[str]) -> None:
    """The lines stand at the end of the file that the variable names, if there is one."""
    if (name := os.environ.get(variable)) and lines:
        with Path(name).open("a", encoding="utf-8") as file:
            file.write("\n".join([*lines, ""]))
