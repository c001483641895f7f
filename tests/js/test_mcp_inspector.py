"""The official Inspector's command line against /mcp: what a developer who connects sees first."""

import asyncio
from typing import Any

import msgspec
import pytest

from aurra.ops import OPERATIONS
from tests.conftest import Account
from tests.js import node

pytestmark = [pytest.mark.js, pytest.mark.timeout(300)]

PACKAGE = "@modelcontextprotocol/inspector@2.12.0"


async def inspect(url: str, account: Account, *arguments: str) -> dict[str, Any]:
    """What it prints; it is asked over HTTP, with the account's key."""
    command = ["npx", "-y", PACKAGE, "--cli", f"{url}/mcp", "--transport", "http"]
    command += ["--header", f"Authorization: Bearer {account.key}", *arguments]
    done = await asyncio.to_thread(node.run, *command, oldest=22)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return msgspec.json.decode(done.stdout)


async def test_it_lists_and_calls(url: str, account: Account) -> None:
    """It lists every operation, stores a memory and reads it back; an answer that does not fit its schema would be
    refused by it."""
    listed = await inspect(url, account, "--method", "tools/list")
    assert [tool["name"] for tool in listed["tools"]] == [op.id for op in OPERATIONS.values()]

    fields = '{"content": "Kim lives in Oslo", "subject": "kim", "attribute": "city"}'
    call = ("--method", "tools/call", "--tool-name")
    added = await inspect(url, account, *call, "memories_add", "--tool-args-json", fields)
    assert added["structuredContent"]["status"] == "saved"
    found = await inspect(url, account, *call, "memories_list", "--tool-args-json", "{}")
    assert [memory["decision"] for memory in found["structuredContent"]["memories"]] == ["Kim lives in Oslo"]

    read = await inspect(url, account, "--method", "resources/read", "--uri", "aurra://subjects/kim")
    assert "Kim lives in Oslo" in read["contents"][0]["text"]
