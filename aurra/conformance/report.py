"""Findings as text for a person, and as JSON for a machine."""

from collections.abc import Iterable

import msgspec

from aurra.conformance.law import Law
from aurra.conformance.playing import Finding, Report

_WORDS = {"passed": "passed", "failed": "FAILED", "error": "error "}


def laws(chosen: Iterable[Law]) -> str:
    """Names and sentences of laws, one a line."""
    return "\n".join(f"{law.name}: {law.sentence}" for law in chosen)


def finding(found: Finding) -> str:
    """One law: its name, its sentence and what became of it; what went wrong on lines of its own."""
    lines = [f"{_WORDS[found.outcome]} {found.name}: {found.law}"]
    if found.what is not None:
        lines.append(f"       {found.what}")
    if found.outcome == "failed":
        lines += [f"       expected: {found.expected}", f"       came:     {found.came}"]
    return "\n".join(lines)


def count(report: Report) -> str:
    """How many laws came out how, and what is left behind."""
    said = (
        f"{_counted(len(report.laws), 'law')}: {report.count('passed')} passed, {report.count('failed')} failed, "
        f"{report.count('error')} with errors"
    )
    if report.tenants_left:
        left = _counted(len(report.tenants_left), "tenant")
        said += f"\n{left} named conformance-… left behind; a key with the scope memories:erase removes them"
    return said


def as_json_list(chosen: Iterable[Law]) -> str:
    """Names and sentences of laws as one JSON object."""
    return msgspec.json.encode({"laws": [{"name": law.name, "law": law.sentence} for law in chosen]}).decode()


def as_json(report: Report) -> str:
    """All of it as one JSON object."""
    counts = {"passed": report.count("passed"), "failed": report.count("failed"), "errors": report.count("error")}
    return msgspec.json.encode({**msgspec.structs.asdict(report), **counts}).decode()


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
