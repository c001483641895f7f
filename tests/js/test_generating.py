"""sdk/js/generate.mjs: the SDK says what the document says, and a new operation needs no hand edit."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aurra.faces import openapi
from tests.js import node

pytestmark = pytest.mark.js
SDK = node.ROOT / "sdk" / "js"
TEXT = {"type": "string"}
STEP = {"type": "object", "description": "One */ step.", "properties": {"at": {**TEXT, "format": "date-time"}}}
PAGE: dict[str, Any] = {
    "type": "object",
    "properties": {"steps": {"type": "array", "items": {"$ref": "#/components/schemas/Step"}}, "next_cursor": TEXT},
    "required": ["steps", "next_cursor"],
}
ASKED: dict[str, Any] = {
    "type": "object",
    "properties": {
        "ledger_id": TEXT,
        "in": {**TEXT, "description": "Where."},
        "at": {"anyOf": [{**TEXT, "format": "date-time"}, {"type": "null"}], "default": None},
        "cursor": TEXT,
    },
    "required": ["in", "ledger_id"],
}
OPERATION: dict[str, Any] = {
    "description": "Changes.\n\n    Of a ledger.",
    "x-aurra-name": "ledger.all_changes",
    "x-aurra-request": "#/components/schemas/LedgerAsked",
    "x-aurra-repeatable": True,
    "responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/LedgerPage"}}}}},
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A copy of the SDK to spoil."""
    ignored = shutil.ignore_patterns("node_modules", "dist", "build")
    copied = Path(shutil.copytree(SDK, tmp_path / "js", ignore=ignored))
    (copied / "node_modules").symlink_to(SDK / "node_modules")
    return copied


def _generate(home: Path, *arguments: str, document: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["node", str(home / "generate.mjs"), *arguments],
        input=msgspec.json.encode(document),
        env=node.environment(),
        capture_output=True,
        check=False,
    )


def test_check_names_what_is_stale_and_changes_nothing(home: Path) -> None:
    """A changed and a missing file; the exit code is 1, and generating mends both."""
    document = openapi.document()
    changed, missing = home / "src" / "types.ts", home / "src" / "operations.ts"
    changed.write_text(changed.read_text("utf-8").replace("plan_tier", "plan_teir"), "utf-8")
    missing.unlink()
    done = _generate(home, "--check", document=document)
    assert done.returncode == 1
    for line in (b"sdk/js/src/types.ts is stale", b"sdk/js/src/operations.ts is stale", b"make generate"):
        assert line in done.stderr
    assert not missing.exists()
    assert _generate(home, document=document).returncode == 0
    assert (_generate(home, "--check", document=document)).returncode == 0
    assert changed.read_text("utf-8") == (SDK / "src" / "types.ts").read_text("utf-8")


def test_a_new_operation_needs_no_hand_edit(home: Path) -> None:
    """A new noun with a verb of two words, pages, a field that is a word of the language: it compiles, and is used."""
    document = openapi.document()
    document["paths"]["/ledger/{ledger_id}"] = {"get": OPERATION}
    document["components"]["schemas"] |= {"Step": STEP, "LedgerPage": PAGE, "LedgerAsked": ASKED}
    made = _generate(home, document=document)
    assert (made.returncode, made.stderr) == (0, b"")
    (home / "src" / "use.ts").write_text(
        """import { Aurra } from "./client.js";
        export async function use(client: Aurra): Promise<string | undefined> {
          await client.ledger.allChanges("l", "x", { at: new Date() }, { timeout: 5 });
          for await (const step of client.ledger.iterateAllChanges({ ledger_id: "l", in: "x" })) return step.at;
          // @ts-expect-error A read takes no key.
          await client.ledger.allChanges("l", "x", {}, { idempotencyKey: "k" });
          return undefined;
        }"""
    )
    done = subprocess.run(
        ["node", "node_modules/typescript/bin/tsc", "-p", ".", "--noEmit"],
        cwd=home,
        env=node.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_what_the_sdk_could_not_say_is_refused(home: Path) -> None:
    """A first field that is an object, which a call could not tell from all fields; two lists to page through."""
    document = openapi.document()
    document["paths"]["/ledger/{ledger_id}"] = {"get": OPERATION}
    schemas = document["components"]["schemas"]
    schemas |= {"Step": STEP, "LedgerPage": PAGE}
    schemas["LedgerAsked"] = {**ASKED, "properties": {**ASKED["properties"], "ledger_id": {"type": "object"}}}
    assert b"ledger.all_changes begins with an object" in _generate(home, document=document).stderr
    schemas["LedgerAsked"] = ASKED
    schemas["LedgerPage"] = {**PAGE, "properties": {**PAGE["properties"], "more": PAGE["properties"]["steps"]}}
    assert b"not exactly one list" in _generate(home, document=document).stderr
