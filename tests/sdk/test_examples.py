"""The examples of the README and of the docstrings run."""

import asyncio
import inspect
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from aurra_sdk import AsyncAurra, Aurra

from tests.conftest import Account, MakeAccount

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


PREPARED = {
    "review_id": """
client.settings.update(auto_supersede_default=True, review_queue=True, min_confidence=1.0)
client.memories.add(content="The limit is 50 requests")
client.memories.add(content="The limit is 60 requests")
review_id = client.reviews.list()[0].id
""",
    "session_id": """
session_id = "call-7"
client.conversations.add(session_id, [{"role": "user", "content": "I moved to Rome in May."}], channel="call")
""",
    "subject": """
subject = client.memories.add(content="Kim lives in Oslo", subject="kim", attribute="city") and "kim"
""",
    "memory_id": """
memory_id = client.memories.add(content="Kim lives in Oslo", valid_from="2026-01-01").memory_id
""",
    "tx": """
tx = client.memories.add(content="Kim prefers tea").transaction.id
""",
    "diff": """
client.memories.add(content="Kim prefers tea")
""",
    "receipt_id": """
receipt_id = client.memories.query("What does Kim prefer?").receipt_id
""",
    "key_id": """
key_id = client.keys.create(["query"]).api_key.id
""",
    "payload": """
payload = json.dumps({"type": "memory.added", "timestamp": "2026-06-02T10:00:00Z", "data": {}})
secret = "whsec_" + base64.b64encode(b"x" * 24).decode()
at = datetime.datetime.now(datetime.timezone.utc)
signature = standardwebhooks.Webhook(secret).sign("msg_1", at, payload)
headers = {"webhook-id": "msg_1", "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signature}
""",
}
"""How a caller comes to what the example of a method names, by a word of it."""


def _methods(kind: type[Aurra | AsyncAurra]) -> dict[str, Any]:
    """Every public method of every noun, by its name as it is called."""
    client = kind("aurra_x")
    return {
        f"client.{noun}.{verb}": method
        for noun, resource in vars(client).items()
        if not noun.startswith("_")
        for verb, method in inspect.getmembers(resource, callable)
        if not verb.startswith("_") and verb != "with_raw_response"
    }


@pytest.mark.parametrize("kind", [Aurra, AsyncAurra])
@pytest.mark.parametrize("name", list(_methods(Aurra)))
def test_every_method_has_an_example_that_calls_it(kind: type[Aurra | AsyncAurra], name: str) -> None:
    """One, in its docstring; with `await` or `async` where it is asynchronous."""
    method = _methods(kind)[name]
    [block] = _blocks(inspect.cleandoc(method.__doc__ or ""))
    assert f"{name}(" in block
    is_async = inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method)
    assert is_async == bool(re.search(r"\b(await|async)\b", block))


@pytest.mark.parametrize("kind", [Aurra, AsyncAurra])
async def test_the_examples_of_the_methods_run(
    kind: type[Aurra | AsyncAurra], served: str, make_account: MakeAccount
) -> None:
    """Each in an account of its own, with what `PREPARED` says that the caller has, against the real service."""
    lines = [
        "import asyncio, base64, datetime, json",
        "import standardwebhooks",
        "from aurra_sdk import Aurra, AsyncAurra",
    ]
    word = "" if kind is Aurra else "async "
    for number, (name, method) in enumerate(_methods(kind).items()):
        [block] = _blocks(inspect.cleandoc(method.__doc__ or ""))
        key = (await make_account()).key
        prepared = "\n".join(made for named, made in PREPARED.items() if re.search(rf"\b{named}\b", block))
        lines += [f"{word}def example_{number}():", f"    with Aurra({key!r}) as client:"]
        lines += [textwrap.indent(f"pass\n{prepared}", " " * 8)]
        lines += [f"    {word}with {kind.__name__}({key!r}) as client:", textwrap.indent(block, " " * 8)]
        call = f"asyncio.run(example_{number}())" if word else f"example_{number}()"
        lines += [f"print({name!r}, flush=True)", call]
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-W", "error", "-c", "\n".join(lines)],
        env={"AURRA_BASE_URL": served, "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout[-200:]


def test_there_are_examples() -> None:
    """Of the README and of both clients."""
    assert len(EXAMPLES) == 8 + 3 + 3


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
