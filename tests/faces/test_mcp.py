"""MCP: every operation a tool, the same answers and errors as everywhere, for both generations of the protocol."""

import datetime as dt
import inspect
import re
import subprocess
import sys
from typing import Any

import httpx2
import msgspec
import pytest
from jsonschema import Draft202012Validator

from aurra.ops import OPERATIONS
from tests.conftest import Account, HandClock, MakeAccount
from tests.faces.mcp_client import GENERATIONS, LEGACY, MODERN, Json, call, official, problem_of, result, send
from tests.faces.test_contract_settings_plan import account_on_plan
from tests.parity.face_mcp import McpFace

OPS = list(OPERATIONS.values())
by_revision = pytest.mark.parametrize("revision", GENERATIONS)


async def tools_of(account: Account, revision: str = MODERN) -> dict[str, Json]:
    """The tools that the account's key is shown, by name."""
    return {tool["name"]: tool for tool in (await result(account.client, "tools/list", {}, revision))["tools"]}


# What is listed


@by_revision
async def test_every_operation_is_one_tool(account: Account, revision: str) -> None:
    """In the registry's order, with all that the registry says of it."""
    tools = await tools_of(account, revision)
    assert list(tools) == [op.id for op in OPS]
    for op in OPS:
        tool = tools[op.id]
        assert inspect.getdoc(op.run) in tool["description"]
        assert f"`{op.scope}`" in tool["description"]
        assert ("ceiling" in tool["description"].splitlines()[-1]) == (not op.keeps_ceiling)
        assert tool["title"] and tool["title"][-1] not in ".:;"
        hints = tool["annotations"]
        assert (hints["readOnlyHint"], hints["destructiveHint"]) == (op.is_read_only, op.is_destructive)
        assert hints["openWorldHint"] is False
        assert hints["idempotentHint"] is (op.is_read_only or op.keyless is not None)


async def test_schemas_are_those_of_the_structs_and_whole(account: Account) -> None:
    """An object at the root, every field, nothing that is referred to and not there; where the operation takes an
    Idempotency-Key, one more argument."""
    tools = await tools_of(account)
    for op in OPS:
        for name, type_ in (("inputSchema", op.request), ("outputSchema", op.answer)):
            schema = tools[op.id][name]
            Draft202012Validator.check_schema(schema)
            assert schema["type"] == "object"
            referred = set(re.findall(rb'"\$ref":"([^"]+)"', msgspec.json.encode(schema)))
            assert referred <= {f"#/$defs/{known}".encode() for known in schema.get("$defs", {})}
            fields = {field.encode_name for field in msgspec.structs.fields(type_)}
            extra = {"idempotency_key"} if name == "inputSchema" and op.is_idempotent else set[str]()
            assert "idempotency_key" not in fields
            assert set(schema["properties"]) == fields | extra
        assert tools[op.id]["inputSchema"].get("additionalProperties", True) is op.ignores_unknown


async def test_a_key_is_shown_what_it_may(make_account: MakeAccount, account: Account) -> None:
    """A key that only reads is shown what reads; one with a ceiling what keeps it. The others are refused as 403."""
    reads = await make_account(of=account.row, scopes="read_only")
    shown = await tools_of(reads)
    assert "memories_list" in shown and "memories_add" not in shown
    assert all(
        OPERATIONS[op.name].scope in {"memories:read", "query", "usage:read", "audit:read"}
        for op in OPS
        if op.id in shown
    )
    said = problem_of(await call(reads.client, "memories_add", content="x"), 403, "insufficient_scope")
    assert "memories:write" in said["detail"]

    await account.add("Kim lives in Oslo")
    capped = await make_account(of=account.row, up_to=1)
    assert set(await tools_of(capped)) == {op.id for op in OPS if op.keeps_ceiling}
    problem_of(await call(capped.client, "memories_add", content="x"), 403, "key_has_ceiling")


# What a call gives


@pytest.mark.parametrize("mode", ["auto", "legacy", MODERN])
async def test_the_official_client_works(url: str, account: Account, mode: str) -> None:
    """It connects, lists, calls (and holds each answer against its schema), reads, and gets the prompt."""
    async with official(url, account, mode) as client:
        assert client.protocol_version == (LEGACY if mode == "legacy" else MODERN)
        # Told a revision, it asks nothing before it asks for something.
        assert mode == MODERN or "Read this first" in (client.instructions or "")
        assert len((await client.list_tools()).tools) == len(OPS)
        added = await client.call_tool("memories_add", {"content": "Kim lives in Oslo", "subject": "kim"})
        assert not added.is_error and added.structured_content["status"] == "saved"
        missing = await client.call_tool("memories_get", {"memory_id": "0" * 8})
        assert missing.is_error and missing.meta and missing.meta["aurra/problem"]["status"] == 404
        assert [one.name for one in (await client.list_resources()).resources] == ["kim"]
        (read,) = (await client.read_resource("aurra://subjects/kim")).contents
        assert "Kim lives in Oslo" in getattr(read, "text", "")
        assert [prompt.name for prompt in (await client.list_prompts()).prompts] == ["remember_conversation"]
        prompt = await client.get_prompt("remember_conversation", {"session_id": "chat-1", "subject": "kim"})
        assert "chat-1" in getattr(prompt.messages[0].content, "text", "")


@by_revision
async def test_an_answer_is_the_one_of_rest(account: Account, revision: str) -> None:
    """Structured and as text, nulls and all; it fits the schema that was listed."""
    await account.add("Kim lives in Oslo", subject="kim", attribute="city")
    called = await call(account.client, "memories_list", revision, limit=5)
    rest = await account.get("/agent/memories", limit=5)
    assert called["structuredContent"]["memories"] == rest["memories"]
    assert called["structuredContent"]["memories"][0]["valid_to"] is None
    assert msgspec.json.decode(called["content"][0]["text"]) == called["structuredContent"]
    assert called["isError"] is False
    schema = (await tools_of(account, revision))["memories_list"]["outputSchema"]
    validator: Any = Draft202012Validator(schema)
    assert validator.is_valid(called["structuredContent"])


async def test_a_page_is_the_text_where_there_is_one(account: Account) -> None:
    """Markdown for whoever reads, JSON beside it."""
    await account.add("Kim lives in Oslo", subject="kim", attribute="city")
    called = await call(account.client, "transactions_diff", **{"from": 0})
    assert called["content"][0]["text"].startswith("# From transaction 0")
    assert called["structuredContent"]["changes"]


async def test_path_fields_are_arguments(account: Account) -> None:
    """A memory by its id; a subject whose name has slashes."""
    id_ = await account.add("Kim lives in Oslo", subject="a/b")
    assert (await call(account.client, "memories_get", memory_id=id_))["structuredContent"]["memory"]["id"] == id_
    profile = await call(account.client, "subjects_get", subject="a/b")
    assert profile["structuredContent"]["subject"] == "a/b"


async def test_an_idempotency_key_replays(account: Account) -> None:
    """The same call again has the stored answer, and says so; another call under the same key is refused."""
    first = await call(account.client, "memories_add", content="Kim lives in Oslo", idempotency_key="k1")
    again = await call(account.client, "memories_add", content="Kim lives in Oslo", idempotency_key="k1")
    assert again["structuredContent"] == first["structuredContent"]
    assert again["_meta"]["aurra/replayed"] is True and "aurra/replayed" not in first["_meta"]
    other = await call(account.client, "memories_add", content="Kim lives in Rome", idempotency_key="k1")
    problem_of(other, 422, "idempotency_mismatch")
    problem_of(await call(account.client, "memories_add", content="x", idempotency_key=1), 422, "validation_error")
    problem_of(await call(account.client, "memories_search", query="x", idempotency_key="k1"), 400, "unknown_field")
    # Faces share the keys: what REST stored under one, MCP gets.
    answer = await account.client.post(
        "/agent/memories", json={"content": "Alva sings"}, headers={"Idempotency-Key": "k2"}
    )
    replayed = await call(account.client, "memories_add", content="Alva sings", idempotency_key="k2")
    assert replayed["structuredContent"] == answer.json() and replayed["_meta"]["aurra/replayed"]


async def test_the_plans_warning_is_told(make_account: MakeAccount, hand_clock: HandClock, dsn: str) -> None:
    """In grace a write says so in `_meta`, as its header does in REST."""
    hand_clock.at = dt.datetime(2040, 3, 10, 12, tzinfo=dt.UTC)
    account = await account_on_plan(make_account, dsn, 2)
    first = await call(account.client, "memories_add", content="one")
    assert "aurra/plan_warning" not in first["_meta"]
    second = await call(account.client, "memories_add", content="two")
    assert not second["isError"], second
    assert "2040-03-17" in second["_meta"]["aurra/plan_warning"]


# What goes wrong


@by_revision
async def test_errors_of_operations_are_results(account: Account, revision: str) -> None:
    """Code, detail and what to do as the text that a model reads; the problem in `_meta`, as REST has it."""
    gone = "00000000-0000-4000-8000-000000000000"
    said = problem_of(await call(account.client, "memories_get", revision, memory_id=gone), 404, "not_found")
    rest = (await account.client.get(f"/memories/{gone}")).json()
    assert {**said, "request_id": ""} == {**rest, "request_id": ""}
    cases: list[tuple[str, Json, int, str]] = [
        ("memories_search", {}, 422, "validation_error"),
        ("memories_search", {"query": 7}, 422, "validation_error"),
        ("memories_search", {"query": "x", "nonsense": 1}, 400, "unknown_field"),
        ("memories_add", {"content": "a\0b"}, 400, "invalid_text"),
        ("memories_add", {"content": "x" * 1_048_577}, 413, "body_too_large"),
        ("memories_add", {"content": "x", "metadata": _nested(40)}, 400, "too_deep"),
        ("memories_list", {"cursor": "nonsense"}, 400, "invalid_cursor"),
    ]
    for tool, arguments, status, code in cases:
        problem_of(await call(account.client, tool, revision, **arguments), status, code)


def _nested(levels: int) -> Json:
    return {"in": _nested(levels - 1)} if levels else {}


@by_revision
async def test_what_is_no_call_is_a_protocol_error(account: Account, revision: str) -> None:
    """An unknown tool, prompt or method, and parameters that are none."""
    cases: list[tuple[str, Json, int]] = [
        ("tools/call", {"name": "memories_forget", "arguments": {}}, -32602),
        ("tools/call", {"name": "memories_list", "arguments": []}, -32602),
        ("prompts/get", {"name": "forget"}, -32602),
        ("prompts/get", {"name": "remember_conversation"}, -32602),
        ("memories/list", {}, -32601),
        ("resources/read", {"uri": "https://example.com/"}, -32602 if revision == MODERN else -32002),
    ]
    for method, params, code in cases:
        answer = (await send(account.client, method, params, revision)).json()
        assert answer["error"]["code"] == code, (method, answer)
        assert "result" not in answer


async def test_hosts_without_a_revision_and_of_older_ones(account: Account) -> None:
    """With `initialize` and without it, tools are called alike."""
    for revision in (None, "2024-11-05", "2025-03-26", "2025-06-18", LEGACY):
        agreed = await result(
            account.client,
            "initialize",
            {
                "protocolVersion": revision or LEGACY,
                "capabilities": {},
                "clientInfo": {"name": "host", "version": "1"},
            },
            None,
        )
        assert agreed["protocolVersion"] == (revision or LEGACY)
        assert agreed["serverInfo"]["name"] == "aurra" and "memories_query" in agreed["instructions"]
        document = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        told = await account.client.post("/mcp", json=document, headers={"Accept": "application/json"})
        assert told.status_code == 202
        called = await call(account.client, "memories_list", revision)
        assert msgspec.json.decode(called["content"][0]["text"])["memories"] == []
        assert called["structuredContent"]["memories"] == []


# Resources and the prompt


async def test_subjects_are_listed_by_pages(account: Account) -> None:
    """A hundred at a time, in the order of their names, each readable at its URI."""
    memories = [{"content": f"about {number}", "subject": f"s/{number:03} å"} for number in range(101)]
    await account.post("/agent/memories/bulk", memories=memories)
    first = await result(account.client, "resources/list")
    second = await result(account.client, "resources/list", {"cursor": first["nextCursor"]})
    listed = [*first["resources"], *second["resources"]]
    assert [one["name"] for one in listed] == [memory["subject"] for memory in memories]
    assert "nextCursor" not in second
    read = await result(account.client, "resources/read", {"uri": listed[7]["uri"]})
    (content,) = read["contents"]
    assert content["mimeType"] == "application/json"
    assert msgspec.json.decode(content["text"])["subject"] == "s/007 å"
    bad = (await send(account.client, "resources/list", {"cursor": "nonsense"})).json()
    assert bad["error"]["data"]["code"] == "invalid_cursor"


async def test_memories_are_readable_where_the_key_may(account: Account, make_account: MakeAccount) -> None:
    """By template; not those of another account, and nothing for a key that reads no memories."""
    id_ = await account.add("Kim lives in Oslo")
    uri = f"aurra://memories/{id_}"
    read = await result(account.client, "resources/read", {"uri": uri})
    assert msgspec.json.decode(read["contents"][0]["text"])["memory"]["id"] == id_
    templates = (await result(account.client, "resources/templates/list"))["resourceTemplates"]
    assert {one["uriTemplate"] for one in templates} == {"aurra://subjects/{subject}", "aurra://memories/{memory_id}"}

    stranger = await make_account()
    answer = (await send(stranger.client, "resources/read", {"uri": uri})).json()
    assert answer["error"]["data"]["code"] == "not_found"
    writes = await make_account(of=account.row, scopes="memories:write")
    assert (await result(writes.client, "resources/list"))["resources"] == []
    assert (await result(writes.client, "resources/templates/list"))["resourceTemplates"] == []
    answer = (await send(writes.client, "resources/read", {"uri": uri})).json()
    assert answer["error"]["data"]["code"] == "insufficient_scope"


# The face, and what it costs to have it


async def test_the_face_of_the_parity_test(account: Account, app: Any) -> None:
    """Answers, problems and the want of a key, as they are told to it."""
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://aurra") as http:
        face = McpFace(http)
        add, get = OPERATIONS["memories.add"], OPERATIONS["memories.get"]
        told = await face.ask(add, {"content": "Kim lives in Oslo"}, api_key=account.key, idempotency_key="k")
        assert (told.status, told.body["status"]) == (200, "saved")
        told = await face.ask(get, {"memory_id": "x"}, api_key=account.key)
        assert (told.status, told.body["code"]) == (404, "not_found") and told.body["hint"]
        told = await face.ask(get, {"memory_id": "x"}, api_key=None)
        assert (told.status, told.body["code"]) == (401, "not_authenticated")


def test_the_library_is_not_imported_before_it_is_asked_for() -> None:
    """A service that nobody asks for MCP does without its memory."""
    code = "import sys, aurra.main; sys.exit(any(name in sys.modules for name in ('mcp', 'pydantic', 'starlette')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
