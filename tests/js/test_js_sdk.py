"""The JavaScript SDK against the real service: a story, every operation, the examples of its README."""

import asyncio
import re
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aurra.context import Service
from aurra.ops import OPERATIONS
from tests.conftest import Account, MakeAccount
from tests.isolation import cases
from tests.isolation.planting import plant, word
from tests.js import node

pytestmark = pytest.mark.js
SDK = node.ROOT / "sdk" / "js"
EXAMPLES = re.findall(r"```js\n(.*?)```", (SDK / "README.md").read_text("utf-8"), re.DOTALL)
RunNode = Callable[..., Awaitable[subprocess.CompletedProcess[str]]]


@pytest.fixture
def run_node(url: str, account: Account) -> RunNode:
    """Runs Node.js with the key of a fresh account."""

    async def run(*arguments: str, **given: str) -> subprocess.CompletedProcess[str]:
        own = {"AURRA_API_KEY": account.key, "AURRA_BASE_URL": url}
        # In a thread: the service runs in this process.
        return await asyncio.to_thread(node.run, "node", *arguments, given={**own, **given})

    return run


async def test_a_story_told_to_the_service(run_node: RunNode) -> None:
    """sdk/js/test/service/service.test.ts."""
    done = await run_node("--test", "--test-reporter=tap", "sdk/js/build/service/service.test.js")
    assert done.returncode == 0, done.stdout


async def test_every_operation_is_called(
    run_node: RunNode, service: Service, account: Account, make_account: MakeAccount, tmp_path: Path
) -> None:
    """sdk/js/test/service/operations.test.ts, with the registry's operations and a request of each that means
    something: a method that is missing fails, and so does one that the registry lacks."""
    low = await make_account(of=account.row, trust=1)
    planted = await plant(service, account, low, word())
    asked = [{"name": op.name, "fields": _request(op.name, planted.values)} for op in OPERATIONS.values()]
    file = tmp_path / "operations.json"
    file.write_bytes(msgspec.json.encode(asked))
    done = await run_node(
        "--test", "--test-reporter=tap", "sdk/js/build/service/operations.test.js", AURRA_OPERATIONS=str(file)
    )
    assert done.returncode == 0, done.stdout
    assert int(re.findall(r"^# pass (\d+)$", done.stdout, re.MULTILINE)[0]) == len(OPERATIONS) + 1


def _request(name: str, own: dict[str, list[Any]]) -> dict[str, Any]:
    op = OPERATIONS[name]
    is_dry = "dry_run" in op.request.__struct_fields__ and name not in cases.STORES
    return {**cases.request_of(op, own), **({"dry_run": True} if is_dry else {})}


def test_there_are_examples() -> None:
    """As many as the README is known to have."""
    assert len(EXAMPLES) == 6


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
async def test_an_example_runs(number: int, run_node: RunNode) -> None:
    """As a program of its own, warnings being errors."""
    program = SDK / "build" / f"readme-{number + 1}.mjs"
    program.write_text(EXAMPLES[number], "utf-8")
    done = await run_node("--throw-deprecation", "--unhandled-rejections=strict", str(program))
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
