"""Answers as Markdown, for people. Pure. What callers wrote is escaped, and stays on its line."""

import re

from aurra.types.common import TransactionRef
from aurra.types.history import Change, Difference, Side

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#~|!&])")


def difference(answer: Difference) -> str:
    """A heading with both transactions, then a bullet for each change."""
    heading = f"# From {_transaction(answer.from_)} to {_transaction(answer.to)}"
    lines = [_change(change) for change in answer.changes] or ["Nothing changed."]
    about = [f"As of {_instant(answer.as_of)}.", ""] if answer.as_of else []
    return "\n".join([heading, "", *about, *lines, ""])


def _transaction(ref: TransactionRef) -> str:
    return f"transaction {ref.id} ({ref.at})"


def _change(change: Change) -> str:
    by = ", ".join(filter(None, [f"transaction {change.transaction}", _text(change.actor), _text(change.reason or "")]))
    held = change.after or change.before
    if change.kind == "erased":
        return f"- Memory `{held.memory_id if held else ''}` erased ({by})"
    name = " / ".join(_text(part) for part in (change.subject, change.attribute) if part)
    said = " → ".join(_said(side) for side in _sides(change))
    return f"- {f'**{name}** ' if name else ''}{change.kind}, {_interval(held)}: {said} ({by})"


def _sides(change: Change) -> list[Side | None]:
    return [change.after] if change.before is None else [change.before, change.after]


def _said(side: Side | None) -> str:
    return "nothing" if side is None else _text(side.decision or "")


def _interval(side: Side | None) -> str:
    if side is None or side.valid_from is None:
        return "always"
    until = f" until {_instant(side.valid_to)}" if side.valid_to else ""
    return f"from {_instant(side.valid_from)}{until}"


def _instant(text: str) -> str:
    """A date where it is midnight."""
    return text.removesuffix("T00:00:00.000000+00:00")


def _text(text: str) -> str:
    """The text on one line, none of it being Markdown."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
