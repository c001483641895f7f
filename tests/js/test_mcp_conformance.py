"""The official conformance suite of MCP against /mcp, in both generations of the protocol."""

import asyncio
import contextlib
import socket
import subprocess
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvicorn

from tests.conftest import Account
from tests.js import node

pytestmark = [pytest.mark.js, pytest.mark.timeout(600)]

PACKAGE = "@modelcontextprotocol/conformance@0.2.0-alpha.12"
"""The first versions that know 2026-07-28 are these."""
APPLY = {
    "server-initialize",
    "server-stateless",
    "ping",
    "tools-list",
    "resources-list",
    "sep-2164-resource-not-found",
    "prompts-list",
    "caching",
    "http-header-validation",
    "input-required-result-unsupported-methods",
    "input-required-result-ignore-extra-params",
}
"""Scenarios that must hold; of their checks, those may be left that need a tool of the reference server."""
OF_THE_REFERENCE_SERVER = "it calls tools, prompts or resources that only the reference server has"
NO_SESSION = "there are no sessions and no streams: each answer is one JSON document"
NOT_OFFERED = "the capability is not offered, and not advertised"
APPLY_NOT = {
    "server-session-lifecycle": NO_SESSION,
    "server-sse-polling": NO_SESSION,
    "server-sse-multiple-streams": NO_SESSION,
    "logging-set-level": NOT_OFFERED,
    "completion-complete": NOT_OFFERED,
    "resources-subscribe": NOT_OFFERED,
    "resources-unsubscribe": NOT_OFFERED,
    "http-custom-header-server-validation": "no tool wants its arguments in headers",
    "dns-rebinding-protection": "keys guard the service, under any host's name: decision 0020",
    "json-schema-2020-12": OF_THE_REFERENCE_SERVER,
    "elicitation-sep1034-defaults": OF_THE_REFERENCE_SERVER,
    "elicitation-sep1330-enums": OF_THE_REFERENCE_SERVER,
}
_OF_THE_REFERENCE_SERVER = ("tools-call-", "resources-read-", "resources-templates-", "prompts-get-", "input-required-")
UNTESTABLE = "Not testable"
"""How the suite says that it did not find what it calls."""


class Check(msgspec.Struct):
    """What the suite says of one requirement."""

    id: str
    status: str
    errorMessage: str | None = None


@contextlib.asynccontextmanager
async def keyed(app: Any, account: Account) -> AsyncGenerator[str]:
    """The application where everybody who comes presents the account's key: the suite knows of none."""

    async def with_key(scope: Any, receive: Any, send: Any) -> None:
        authorization = (b"authorization", f"Bearer {account.key}".encode())
        await app({**scope, "headers": [*scope["headers"], authorization]}, receive, send)

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(with_key, log_level="error", lifespan="off"))
        serving = asyncio.create_task(server.serve([listener]))
        yield f"http://localhost:{listener.getsockname()[1]}/mcp"
        server.should_exit = True
        await serving


async def checks(url: str, revision: str, home: Path) -> dict[str, list[Check]]:
    """What the suite found, by scenario."""
    command = ["npx", "-y", PACKAGE, "server", "--url", url, "--suite", "all"]
    command += ["--spec-version", revision, "--output-dir", str(home)]
    done = await asyncio.to_thread(node.run, *command, oldest=22)
    found: dict[str, list[Check]] = {}
    for file in home.glob("server-*/checks.json"):
        scenario = file.parent.name.removeprefix("server-")
        # The instant at which it ran comes last.
        found[scenario[: -len("-2026-01-01T00-00-00-000Z")]] = msgspec.json.decode(file.read_bytes(), type=list[Check])
    assert found, _said(done)
    return found


def _said(done: subprocess.CompletedProcess[str]) -> str:
    return f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def reason(scenario: str) -> str | None:
    """Why a scenario does not apply; None where nobody has decided."""
    if scenario.startswith(_OF_THE_REFERENCE_SERVER):
        return OF_THE_REFERENCE_SERVER
    return APPLY_NOT.get(scenario)


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
async def test_the_official_suite_holds(app: Any, account: Account, tmp_path: Path, revision: str) -> None:
    """What applies holds; what does not apply is known by name, so that a new scenario is decided about."""
    await account.add("Kim lives in Oslo", subject="kim", attribute="city")
    async with keyed(app, account) as url:
        found = await checks(url, revision, tmp_path)
    failed = {
        f"{scenario}: {check.id}: {check.errorMessage}"
        for scenario in APPLY & set(found)
        for check in found[scenario]
        if check.status == "FAILURE" and not (check.errorMessage or "").startswith(UNTESTABLE)
    }
    assert not failed
    assert len(APPLY & set(found)) >= 4
    assert not [scenario for scenario in found if scenario not in APPLY and reason(scenario) is None]
