"""How answers look to people."""

from typing import Any

import pytest

from aurra.faces.commands import showing

ID = "01a22cc9-9841-7213-8000-2b906320dcd7"


def table(rows: list[dict[str, Any]], columns: int) -> list[str]:
    """The lines of a table."""
    shape = showing.layout(rows, columns)
    return [showing.header(shape), *showing.table(rows, shape)]


def test_a_table_has_the_columns_there_is_room_for() -> None:
    """In their order; ids and numbers whole, texts cut; empty, repeated and nested ones left out."""
    decisions = ("Kim lives in Oslo, in the north", "short one")
    rows: list[dict[str, Any]] = [{"id": ID, "decision": text, "summary": text, "gone": None} for text in decisions]
    rows[0] |= {"parts": {"a": 1}, "count": 7, "tags": ["a", "b"], "far": "x" * 30}
    rows[1] |= {"parts": {}, "count": 12345, "tags": []}
    assert table(rows, 80) == [
        "ID                                    DECISION                       COUNT  TAGS",
        f"{ID}  Kim lives in Oslo, in the no…      7  a, b",
        f"{ID}  short one                      12345",
    ]
    assert all(len(line) <= 200 for line in table(rows, 200)) and "FAR" in table(rows, 200)[0]
    assert table(rows, 10)[0] == "ID"


def test_wide_characters_stay_in_their_columns() -> None:
    """Of a terminal: two for a wide one, none for what stands above another."""
    rows = [{"a": "日本語 で", "b": 1}, {"a": "e\u0301te\u0301", "b": 2}, {"a": "plain", "b": 3}]
    assert table(rows, 80) == ["A          B", "日本語 で  1", "e\u0301te\u0301        2", "plain      3"]
    cut = table([{"a": "日本語 " * 10, "b": 1}], 28)
    assert cut[1].endswith("…   1") and sum(2 if ord(one) > 0x3000 else 1 for one in cut[1]) <= 28


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (0, "0"),
        (None, ""),
        (["a", 1], "a, 1"),
        ("2026-04-15T00:00:00.000000+00:00", "2026-04-15"),
        ("2026-04-15T10:11:12.123456+00:00", "2026-04-15T10:11:12Z"),
        ({"id": 7, "at": "2026-04-15T00:00:00.000000+00:00"}, "7 (2026-04-15)"),
        ("a\x1b[2Jb\rc", "a\\x1b[2Jb\\rc"),
    ],
)
def test_a_value_as_text(value: Any, text: str) -> None:
    """Short, and nothing that steers."""
    assert showing.cell(value) == text


def test_details_put_what_is_plain_first() -> None:
    """False and 0 are said, what is empty is not; a text of several lines stands below its name."""
    answer = {
        "parts": {"x": 1, "none": None},
        "ok": False,
        "count": 0,
        "text": "a\nb",
        "rows": [{"a": 1}],
        "odd": [[1]],
    }
    assert showing.details({"empty": [], **answer}, 80) == [
        *("ok: false", "count: 0", "text:", "  a", "  b"),
        *("parts:", "  x: 1", "rows:", "  A", "  1", "odd:", "  [1]"),
    ]
