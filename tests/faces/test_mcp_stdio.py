"""`aurra mcp`: what hosts start, against the embedded service and against one at a URL."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from click.testing import CliRunner
from mcp import Client, StdioServerParameters

from aurra.context import Service
from aurra.faces.mcp.stdio import Relay, to_service
from aurra.main import main
from aurra.ops import OPERATIONS
from tests.conftest import Account
from tests.running import environment_of

Json = dict[str, Any]
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": "first",
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "host", "version": "1"}},
}


@contextlib.asynccontextmanager
async def official(mode: str, *arguments: str, **settings: Any) -> AsyncGenerator[Client]:
    """The official client, connected over its stdio transport to `aurra mcp`."""
    command = StdioServerParameters(
        command=sys.executable, args=["-m", "aurra.main", "mcp", *arguments], env=environment_of(**settings)
    )
    async with Client(command, mode=mode) as client:
        yield client


@contextlib.asynccontextmanager
async def started(*arguments: str, **settings: Any) -> AsyncGenerator[asyncio.subprocess.Process]:
    """`aurra mcp` with its ends open."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "aurra.main",
        "mcp",
        *arguments,
        env=environment_of(**settings),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=2**24,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def answers(*documents: Json | bytes, arguments: tuple[str, ...], **settings: Any) -> tuple[list[Json], int]:
    """What it wrote until it ended, once its input had; every line of it is JSON."""
    lines = [line if isinstance(line, bytes) else msgspec.json.encode(line) for line in documents]
    async with started(*arguments, **settings) as process:
        out, _ = await process.communicate(b"\n".join(lines))
        assert process.returncode is not None
        return [msgspec.json.decode(line) for line in out.splitlines()], process.returncode


def has_postgres(home: Path) -> bool:
    """Whether a server runs in there."""
    return bool(list(home.rglob("postmaster.pid")))


@pytest.mark.timeout(240)
async def test_the_embedded_service_speaks_to_the_official_client(tmp_path: Path) -> None:
    """Of both generations; what was stored is there the next time; nothing runs in between."""
    home = tmp_path / "home"
    async with official("legacy", aurra_home=home) as client:
        assert has_postgres(home)
        assert [tool.name for tool in (await client.list_tools()).tools] == [op.id for op in OPERATIONS.values()]
        added = await client.call_tool("memories_add", {"content": "Kim lives in Oslo", "subject": "kim"})
        assert not added.is_error
        page = await client.call_tool("transactions_diff", {"from": 0})
        assert getattr(page.content[0], "text", "").startswith("# From transaction 0")
    assert not has_postgres(home)
    async with official("2026-07-28", "--account", "default", aurra_home=home) as client:
        listed = await client.call_tool("memories_list", {})
        assert [memory["decision"] for memory in listed.structured_content["memories"]] == ["Kim lives in Oslo"]
        (read,) = (await client.read_resource("aurra://subjects/kim")).contents
        assert "Oslo" in getattr(read, "text", "")
        wrong = await client.call_tool("memories_search", {"query": 7})
        assert wrong.is_error and wrong.meta and wrong.meta["aurra/problem"]["code"] == "validation_error"
    assert not has_postgres(home)


@pytest.mark.timeout(240)
async def test_a_signal_ends_it_and_its_database(tmp_path: Path) -> None:
    """Though the host holds its end open; in a moment, with 0."""
    home = tmp_path / "home"
    async with started(aurra_home=home) as process:
        assert process.stdin and process.stdout
        process.stdin.write(msgspec.json.encode(INITIALIZE) + b"\n")
        first = msgspec.json.decode(await process.stdout.readline())
        assert (first["id"], first["result"]["serverInfo"]["name"]) == ("first", "aurra")
        assert has_postgres(home)
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    assert not has_postgres(home)


async def test_wrong_use_is_told_on_standard_error(service: Service, dsn: str) -> None:
    """An account that is not there; a URL without a key. Nothing is written where JSON-RPC belongs."""
    assert await answers(arguments=("--account", "nobody"), database_url=dsn) == ([], 2)
    done = CliRunner().invoke(main, ["mcp", "--url", "http://x"], env={"AURRA_API_KEY": None})
    assert (done.exit_code, done.stdout) == (2, "") and "--key" in done.stderr


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_service_at_a_url_is_spoken_for(url: str, account: Account, mode: str) -> None:
    """Its tools, with the key's account and scopes."""
    async with official(mode, aurra_base_url=url, aurra_api_key=account.key) as client:
        assert (await client.call_tool("memories_add", {"content": "Åse bor i Oslo"})).is_error is False
        assert await account.decisions() == ["Åse bor i Oslo"]
        assert len((await client.list_tools()).tools) == len(OPERATIONS)
        many = [client.call_tool("memories_search", {"query": f"Oslo {number}"}) for number in range(10)]
        assert not any(found.is_error for found in await asyncio.gather(*many))


async def test_every_line_is_answered_before_it_ends(url: str, account: Account) -> None:
    """Input that has ended is still answered; notifications and answers get none; what is no JSON is told so."""
    call: Json = {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "memories_list", "arguments": {}}}
    said, code = await answers(
        INITIALIZE,
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 4, "result": {}},
        b"",
        b"{",
        b"[]",
        {**call, "id": 2},
        {**call, "id": "2"},
        {"jsonrpc": "2.0", "id": 5, "method": "nothing"},
        arguments=("--url", url, "--key", account.key),
    )
    by_id: dict[str | int, Json] = {line["id"]: line for line in said if line["id"] is not None}
    assert code == 0 and len(said) == 6
    assert by_id["first"]["result"]["protocolVersion"] == "2025-11-25"
    for id_ in (2, "2"):
        assert by_id[id_]["result"]["structuredContent"]["memories"] == []
    assert by_id[5]["error"]["code"] == -32601
    assert sorted(line["error"]["code"] for line in said if line["id"] is None) == [-32700, -32600]


async def test_what_the_service_refuses_is_told_under_the_requests_id(url: str) -> None:
    """What was refused before it was read has no id of its own."""
    written: list[bytes] = []

    async def lines() -> AsyncIterator[bytes]:
        yield b'{"jsonrpc": "2.0", "id": 7, "method": "tools/list"}'

    async with to_service(url, "aurra_live_nonsense") as http:
        await Relay(http, written.append).run(lines())
    (said,) = [msgspec.json.decode(line) for line in written]
    assert (said["id"], said["error"]["data"]["code"]) == (7, "invalid_key")


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(502, text="<html>bad gateway</html>"),
        httpx2.Response(404, json={"detail": "nothing here"}),
        httpx2.Response(202),
    ],
)
async def test_what_is_no_aurra_is_told_so(answer: httpx2.Response) -> None:
    """A proxy's page, another service, an answer that is none."""

    def tell(request: httpx2.Request) -> httpx2.Response:
        return answer

    (said,) = await relayed(tell, {"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
    assert said["id"] == 1 and "not as Aurra does" in said["error"]["message"]


async def test_where_nothing_listens_is_told() -> None:
    """After some attempts: what never got there may be sent again."""
    attempts: list[int] = []

    def refuse(request: httpx2.Request) -> httpx2.Response:
        attempts.append(1)
        raise httpx2.ConnectError("refused")

    (said,) = await relayed(refuse, {"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
    assert "cannot be reached" in said["error"]["message"] and len(attempts) == 3


async def test_headers_say_what_each_revision_wants() -> None:
    """The agreed revision after `initialize`; method and name where the request itself says its revision."""
    sent: list[dict[str, str]] = []

    def keep(request: httpx2.Request) -> httpx2.Response:
        sent.append({name: value for name, value in request.headers.items() if name.startswith("mcp-")})
        agreed = {"protocolVersion": "2025-06-18"}
        return httpx2.Response(200, json={"jsonrpc": "2.0", "id": 0, "result": agreed})

    meta = {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}
    await relayed(
        keep,
        INITIALIZE,
        {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
        {"jsonrpc": "2.0", "id": 3, "method": "resources/read", "params": {**meta, "uri": "aurra://subjects/å"}},
    )
    assert sent[0] == {}
    assert sorted(map(repr, sent[1:])) == sorted(
        map(
            repr,
            [
                {"mcp-protocol-version": "2025-06-18"},
                {
                    "mcp-protocol-version": "2026-07-28",
                    "mcp-method": "resources/read",
                    "mcp-name": "=?base64?YXVycmE6Ly9zdWJqZWN0cy/DpQ==?=",
                },
            ],
        )
    )


async def test_a_request_can_be_cancelled() -> None:
    """It has no answer then, and what asked for it is not waited for."""
    begun = asyncio.Event()

    async def endless(request: httpx2.Request) -> httpx2.Response:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async def lines() -> AsyncIterator[bytes]:
        yield b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}'
        await begun.wait()
        yield b'{"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}'

    written: list[bytes] = []
    async with httpx2.AsyncClient(base_url="http://x", transport=httpx2.MockTransport(endless)) as http:
        await Relay(http, written.append).run(lines())
    assert written == []


async def test_a_url_may_name_the_endpoint_or_the_service() -> None:
    """With and without /mcp at its end."""
    for given in ("http://x", "http://x/", "http://x/mcp", "http://x/mcp/"):
        async with to_service(given, "aurra_live_x") as http:
            assert str(http.base_url).rstrip("/") == "http://x/mcp"
            assert http.headers["authorization"] == "Bearer aurra_live_x"


async def relayed(answer: Any, *documents: Json) -> list[Json]:
    """What is written when these documents come, and the service answers so."""
    written: list[bytes] = []

    async def lines() -> AsyncIterator[bytes]:
        for document in documents:
            yield msgspec.json.encode(document)

    async with httpx2.AsyncClient(base_url="http://x/mcp", transport=httpx2.MockTransport(answer)) as http:
        await Relay(http, written.append).run(lines())
    return [msgspec.json.decode(line) for line in written]
