"""The examples of the README and of the docstrings run."""

import inspect
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from aurra_sdk import AsyncAurra, Aurra

from tests.conftest import Account

README = Path(__file__).resolve().parents[2] / "sdk" / "python" / "README.md"
PACKAGE = README.parent / "aurra_sdk"


def _blocks(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def _of_docstrings(kind: type[Aurra | AsyncAurra]) -> list[str]:
    said = [kind.__doc__, *(member.__doc__ for name, member in vars(kind).items() if not name.startswith("_"))]
    return [block for text in said for block in _blocks(inspect.cleandoc(text or ""))]


def _as_program(kind: type[Aurra | AsyncAurra], block: str) -> str:
    head = f"import asyncio\nfrom aurra_sdk import {kind.__name__}\n"
    if kind is Aurra:
        return head + block
    return f"{head}async def main():\n{textwrap.indent(block, '    ')}\nasyncio.run(main())\n"


EXAMPLES = {f"README {number}": block for number, block in enumerate(_blocks(README.read_text("utf-8")), 1)} | {
    f"{kind.__name__} {number}": _as_program(kind, block)
    for kind in (Aurra, AsyncAurra)
    for number, block in enumerate(_of_docstrings(kind), 1)
}


def test_there_are_examples() -> None:
    """Of the README and of both clients."""
    assert len(EXAMPLES) == 6 + 3 + 3


@pytest.mark.parametrize("name", list(EXAMPLES))
async def test_an_example_runs(name: str, served: str, account: Account) -> None:
    """As a program of its own, warnings being errors, against the real service; nothing of it imports the server."""
    program = f"{EXAMPLES[name]}\nimport sys; assert 'aurra' not in sys.modules\n"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={"AURRA_API_KEY": account.key, "AURRA_BASE_URL": served, "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_names_the_server_package() -> None:
    """The SDK shares no environment with the server."""
    for path in PACKAGE.rglob("*.py"):
        assert not re.search(r"^\s*(from|import) aurra\b(?!_)", path.read_text("utf-8"), re.MULTILINE), path
