"""The official client's first generation, which hosts in the field have, in an environment of its own."""

import asyncio
import os
import sys

import msgspec
import pytest

from aurra.ops import OPERATIONS
from tests.adapters.environments import python_with
from tests.conftest import Account

pytestmark = [pytest.mark.adapters, pytest.mark.timeout(600)]

REQUIREMENTS = ("mcp>=1.30,<2",)
PROGRAM = """
import asyncio, json, os, sys
from contextlib import asynccontextmanager
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client

@asynccontextmanager
async def connected(way):
    headers = {"Authorization": "Bearer " + os.environ["AURRA_API_KEY"]}
    if way == "http":
        async with streamablehttp_client(os.environ["AURRA_BASE_URL"] + "/mcp", headers=headers) as (read, write, _):
            yield read, write
    else:
        command = StdioServerParameters(command=way, args=["-m", "aurra.main", "mcp"], env=dict(os.environ))
        async with stdio_client(command) as (read, write):
            yield read, write

async def main(way):
    async with connected(way) as (read, write), ClientSession(read, write) as session:
        agreed = await session.initialize()
        tools = (await session.list_tools()).tools
        added = await session.call_tool("memories_add", {"content": "Kim lives in Oslo", "subject": "kim"})
        missing = await session.call_tool("memories_get", {"memory_id": "nothing"})
        read_ = await session.read_resource("aurra://subjects/kim")
        prompt = await session.get_prompt("remember_conversation", {"session_id": "chat-1"})
        print(json.dumps({
            "revision": agreed.protocolVersion,
            "tools": [tool.name for tool in tools],
            "hints": {tool.name: tool.annotations.readOnlyHint for tool in tools},
            "added": added.structuredContent["status"],
            "missing": [missing.isError, missing.content[0].text],
            "read": read_.contents[0].text,
            "prompt": prompt.messages[0].content.text,
        }))

asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.parametrize("way", ["http", sys.executable], ids=["http", "stdio"])
async def test_the_first_generation_works(url: str, account: Account, way: str) -> None:
    """Over HTTP, and over the command: it agrees on its newest revision, lists, calls (and holds each answer against
    its schema), reads and gets the prompt."""
    python = await asyncio.to_thread(python_with, "mcp_1x", REQUIREMENTS)
    process = await asyncio.create_subprocess_exec(
        python,
        "-c",
        PROGRAM,
        way,
        env={**os.environ, "AURRA_BASE_URL": url, "AURRA_API_KEY": account.key},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    said = msgspec.json.decode(out)
    assert said["revision"] == "2025-11-25"
    assert said["tools"] == [op.id for op in OPERATIONS.values()]
    assert said["hints"] == {op.id: op.is_read_only for op in OPERATIONS.values()}
    assert said["added"] == "saved"
    assert said["missing"][0] and said["missing"][1].startswith("not_found: ")
    assert "Kim lives in Oslo" in said["read"] and "chat-1" in said["prompt"]
