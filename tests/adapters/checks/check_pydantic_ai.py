"""`AurraToolset` in agents of PydanticAI, with models that are functions."""

from typing import Any

import pytest
from aurra_sdk import AsyncAurra, Aurra, PermissionDeniedError
from aurra_sdk.integrations.pydantic_ai import INSTRUCTIONS, AurraToolset
from pydantic_ai import Agent, ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.messages import ModelRequest, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.test import TestModel

Call = tuple[str, dict[str, Any]]


async def played(client: AsyncAurra, *calls: Call, **options: Any) -> list[Any]:
    """What the tools returned to a model that makes the calls, one after the other; of a retry, what it was told."""
    left = list(calls)

    async def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[ToolCallPart(*left.pop(0)) if left else TextPart("done")])

    agent = Agent(FunctionModel(model), toolsets=[AurraToolset(client, **options)], retries=3)
    run = await agent.run("Go on.")
    parts = [part for message in run.all_messages() if isinstance(message, ModelRequest) for part in message.parts]
    return [part.content for part in parts if isinstance(part, ToolReturnPart)]


async def test_what_is_remembered_is_recalled(async_client: AsyncAurra, client: Aurra) -> None:
    """By words and meaning, and in answers with citations."""
    saved, again, recalled, answer, refusal = await played(
        async_client,
        ("remember", {"content": "Kim lives in Oslo", "subject": "Kim", "attribute": "city"}),
        ("remember", {"content": "Kim lives in Oslo", "subject": "Kim", "attribute": "city"}),
        ("recall", {"query": "Where does Kim live?"}),
        ("ask", {"question": "Where does Kim live?"}),
        ("ask", {"question": "What does Bo eat?"}),
    )
    assert (saved.status, again.status) == ("saved", "duplicate")
    assert [(one.memory_id, one.content, one.subject, one.attribute) for one in recalled] == [
        (saved.memory_id, "Kim lives in Oslo", "Kim", "city")
    ]
    assert (answer.answer, answer.refused) == ("Kim lives in Oslo.", False)
    assert [one.memory_id for one in answer.citations] == [saved.memory_id]
    assert (refusal.refused, refusal.citations) == (True, [])
    assert client.memories.get(saved.memory_id).memory.source == "pydantic_ai"


async def test_a_change_and_a_correction(async_client: AsyncAurra, client: Aurra) -> None:
    """What changed takes the place of what was; what was wrong is put right, with its reason. Both pasts stay."""
    (oslo,) = await played(
        async_client, ("remember", {"content": "Kim lives in Oslo", "subject": "kim", "attribute": "city"})
    )
    (rome,) = await played(
        async_client, ("remember", {"content": "Kim lives in Roma", "subject": "kim", "attribute": "city"})
    )
    fixed, recalled = await played(
        async_client,
        ("correct", {"memory_id": rome.memory_id, "content": "Kim lives in Rome", "reason": "a typo"}),
        ("recall", {"query": "Where does Kim live?"}),
    )
    assert (fixed.status, fixed.memory_id) == ("corrected", rome.memory_id)
    assert [one.content for one in recalled] == ["Kim lives in Rome"]
    told = [memory.decision for memory in client.memories.timeline(oslo.memory_id).timeline]
    assert told == ["Kim lives in Oslo", "Kim lives in Rome"]
    assert client.transactions.list(limit=1).transactions[0].reason == "a typo"


async def test_the_model_is_told_what_it_may_do_better(async_client: AsyncAurra) -> None:
    """What the service refuses because of what was asked."""
    told = await played(
        async_client,
        ("remember", {"content": "Kim lives in Oslo", "attribute": "city"}),
        ("recall", {"query": " "}),
        ("correct", {"memory_id": "nothing", "content": "x", "reason": "y"}),
        ("recall", {"query": "Oslo"}),
    )
    assert "`attribute` needs `subject`" in told[0]
    assert "must not be empty" in told[1]
    assert "no such memory" in told[2]
    assert told[3] == []


async def test_without_the_tools_that_write(async_client: AsyncAurra) -> None:
    """The others are there, each parameter described; and the agent is told of its memory."""
    model = TestModel(call_tools=[])
    for read_only, names in ((True, {"recall", "ask"}), (False, {"recall", "ask", "remember", "correct"})):
        agent = Agent(model, toolsets=[AurraToolset(async_client, read_only=read_only)])
        run = await agent.run("Hello")
        assert model.last_model_request_parameters is not None
        tools = model.last_model_request_parameters.function_tools
        assert {tool.name for tool in tools} == names
        assert all(tool.description for tool in tools)
        assert all(
            "description" in field for tool in tools for field in tool.parameters_json_schema["properties"].values()
        )
        request = run.all_messages()[0]
        assert isinstance(request, ModelRequest)
        assert request.instructions == INSTRUCTIONS


async def test_it_can_be_wrapped(async_client: AsyncAurra) -> None:
    """As any toolset: here with a prefix, two in one agent."""
    both = [
        AurraToolset(async_client, id="one").prefixed("one"),
        AurraToolset(async_client.with_options(tenant_id="two"), id="two", instructions=None).prefixed("two"),
    ]
    run = await Agent(TestModel(call_tools=["one_recall", "two_ask"]), toolsets=both).run("Hello")
    assert "two_ask" in run.output


async def test_other_failures_are_raised(async_client: AsyncAurra, client: Aurra) -> None:
    """Such as a key that may not write: no model can help that."""
    key = client.keys.create(["read_only"]).key
    async with AsyncAurra(key, base_url=client.base_url) as reader:
        with pytest.raises(PermissionDeniedError):
            await played(reader, ("remember", {"content": "Kim lives in Oslo"}))
        assert await played(reader, ("recall", {"query": "Oslo"}), read_only=True) == [[]]
