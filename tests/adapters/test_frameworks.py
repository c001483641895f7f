"""Each adapter in an environment of its framework, against a real service over a socket."""

import asyncio
import json
import os
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.adapters.environments import HOME, python_with
from tests.adapters.frameworks import CHECKS, EXAMPLES, FRAMEWORKS, ROOT, Framework
from tests.conftest import Account

pytestmark = [pytest.mark.adapters, pytest.mark.timeout(600)]
each = pytest.mark.parametrize("framework", FRAMEWORKS, ids=lambda framework: framework.module)


@pytest.fixture
def service_at(url: str, account: Account) -> dict[str, str]:
    """How a program finds the service, with the key of a fresh account."""
    return {"AURRA_BASE_URL": url, "AURRA_API_KEY": account.key}


async def run(*command: str | Path, told: Mapping[str, str]) -> str:
    """What the program printed; it must succeed. Of this process's settings it knows none but what it is told."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AURRA_", "PYTHON"))}
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env={**inherited, **told, "PYTHONUTF8": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed = (await process.communicate())[0].decode()
    assert process.returncode == 0, printed
    return printed


async def environment(framework: Framework) -> Path:
    """The Python of the framework's environment, made beside the service that runs in this process."""
    return await asyncio.to_thread(python_with, framework.module, framework.requirements)


@each
async def test_its_checks_pass(framework: Framework, service_at: dict[str, str]) -> None:
    """Its own conformance tests where it has some, and ours."""
    python = await environment(framework)
    checks = CHECKS / f"check_{framework.module}.py"
    settings = ["-c", Path(__file__).with_name("checks.ini"), "--rootdir", CHECKS, "--confcutdir", CHECKS]
    assert " passed" in await run(python, "-m", "pytest", *settings, checks, told=service_at)


@each
async def test_its_example_runs(framework: Framework, service_at: dict[str, str]) -> None:
    """As it stands, warnings being errors, without a key of any model."""
    python = await environment(framework)
    assert await run(python, "-W", "error", EXAMPLES / framework.example, told=service_at)


@each
async def test_its_types_are_right(framework: Framework, tmp_path: Path) -> None:
    """As strictly as everything else, with the framework's own types."""
    await environment(framework)
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pyright"]
    files = [str(file) for file in (*framework.files, CHECKS / "conftest.py")]
    settings |= {"include": files, "exclude": [], "venvPath": str(HOME), "venv": framework.module}
    config = tmp_path / "pyrightconfig.json"
    config.write_text(json.dumps(settings), "utf-8")
    checker = Path(sys.executable).with_name("basedpyright")
    assert "0 errors, 0 warnings" in await run(checker, "--warnings", "--project", config, told={})


@each
async def test_it_is_imported_lazily(framework: Framework) -> None:
    """The SDK imports the framework with its module, not before."""
    python = await environment(framework)
    program = f"""
import sys, aurra_sdk, aurra_sdk.integrations
assert {framework.imported!r} not in sys.modules
import aurra_sdk.integrations.{framework.module}
assert {framework.imported!r} in sys.modules
"""
    await run(python, "-W", "error", "-c", program, told={})
