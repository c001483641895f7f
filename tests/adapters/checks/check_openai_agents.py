"""`AurraSession` as the `Session` of OpenAI Agents, and beside its own `SQLiteSession`."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from agents import (
    Agent,
    Model,
    ModelResponse,
    ModelSettings,
    RunConfig,
    Runner,
    SessionSettings,
    SQLiteSession,
    TResponseInputItem,
    Usage,
    function_tool,
)
from agents.items import TResponseStreamEvent
from agents.memory import Session
from aurra_sdk import AsyncAurra, Aurra, NotFoundError
from aurra_sdk.integrations.openai_agents import AurraSession
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

TEXT = {
    "type": "output_text",
    "text": "It rains. 😀",
    "annotations": [],
    "logprobs": [{"token": "It", "logprob": -0.125}],
}
PARTS = [{"type": "input_text", "text": "And here?"}, {"type": "input_image", "image_url": "data:,"}]
THOUGHTS = [{"type": "summary_text", "text": "Look it up."}]
ITEMS = cast(
    "list[TResponseInputItem]",
    [
        {"role": "user", "content": "What is the weather in Oslo?"},
        {"role": "user", "content": PARTS},
        {"type": "reasoning", "id": "rs_1", "summary": THOUGHTS, "encrypted_content": None},
        {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"city":"Oslo"}', "id": "f"},
        {"type": "function_call_output", "call_id": "c1", "output": "rain\0 \ud800"},
        {"type": "message", "role": "assistant", "id": "m", "status": "completed", "content": [TEXT]},
        {"role": "developer", "content": ""},
        {"type": "item_reference", "id": "x"},
    ],
)


def said(text: str) -> TResponseInputItem:
    return {"role": "user", "content": text}


@pytest.fixture(params=["async", "sync"])
def session(request: pytest.FixtureRequest, client: Aurra, async_client: AsyncAurra) -> AurraSession:
    """An empty one, over either client."""
    return AurraSession(async_client if request.param == "async" else client, "chat/7?")


async def test_items_come_back_as_they_went(session: AurraSession) -> None:
    """Each kind, whole, in order, with its keys in theirs."""
    assert isinstance(session, Session)
    assert await session.get_items() == []
    await session.add_items([])
    await session.add_items(ITEMS[:5])
    await session.add_items(ITEMS[5:])
    found = await session.get_items()
    assert found == ITEMS
    assert list(map(str, found)) == list(map(str, ITEMS))


@pytest.mark.parametrize(("limit", "numbers"), [(2, [3, 4]), (9, range(5)), (0, []), (-1, range(5)), (None, [2, 3, 4])])
async def test_the_latest_are_read(async_client: AsyncAurra, limit: int | None, numbers: list[int]) -> None:
    """As many as the call says, else as the settings say."""
    session = AurraSession(async_client, "chat-7", session_settings=SessionSettings(limit=3))
    await session.add_items([said(str(number)) for number in range(5)])
    assert await session.get_items(limit) == [said(str(number)) for number in numbers]


async def test_many_items_keep_their_order(session: AurraSession) -> None:
    """More than a transaction and a page hold."""
    items = [said(str(number)) for number in range(1203)]
    await session.add_items(items)
    assert await session.get_items() == items
    assert await session.get_items(2) == items[-2:]


async def test_popping_takes_the_last_and_the_past_stays(session: AurraSession, client: Aurra) -> None:
    """One after the other, until there is none."""
    await session.add_items([said("a"), said("b")])
    then = client.conversations.messages("chat/7?").transaction.id
    assert await session.pop_item() == said("b")
    await session.add_items([said("c")])
    assert await session.get_items() == [said("a"), said("c")]
    assert [await session.pop_item() for _ in range(3)] == [said("c"), said("a"), None]
    past = AurraSession(client, "chat/7?", transaction_as_of=then)
    assert await past.get_items() == [said("a"), said("b")]
    for change in (past.pop_item(), past.clear_session(), past.erase(), past.add_items([said("d")])):
        with pytest.raises(ValueError, match="can be read, not changed"):
            await change


async def test_each_item_is_popped_once(session: AurraSession) -> None:
    """Whoever else pops at the same time."""
    await session.add_items([said(str(number)) for number in range(12)])
    popped = await asyncio.gather(*(session.pop_item() for _ in range(15)))
    assert sorted(str(item) for item in popped if item) == sorted(str(said(str(number))) for number in range(12))
    assert popped.count(None) == 3


async def test_clearing_and_erasing(session: AurraSession, client: Aurra) -> None:
    """Cleared, it is empty, and the turns stay; erased, they are gone."""
    await session.add_items(ITEMS)
    await session.clear_session()
    assert await session.get_items() == []
    assert await session.pop_item() is None
    assert len(client.conversations.messages("chat/7?").messages) == len(ITEMS) + 1
    await session.add_items([said("a")])
    assert await session.get_items() == [said("a")]
    await session.erase()
    assert await session.get_items() == []
    with pytest.raises(NotFoundError):
        client.conversations.messages("chat/7?")


async def test_sessions_and_tenants_are_apart(session: AurraSession, client: Aurra, other_client: Aurra) -> None:
    """Nothing of one is in the other."""
    await session.add_items([said("a")])
    for other in (
        AurraSession(client, "chat/7"),
        AurraSession(client, "Chat/7?"),
        AurraSession(other_client, "chat/7?"),
    ):
        assert await other.get_items() == []
        await other.clear_session()
    assert await session.get_items() == [said("a")]


async def test_turns_told_otherwise(session: AurraSession, client: Aurra) -> None:
    """Of people and assistants they are messages, and can be popped; what tools said is left out."""
    turns = [{"role": "user", "content": "a"}, {"role": "tool", "content": "b"}, {"role": "assistant", "content": "c"}]
    client.conversations.add("chat/7?", turns, extraction="never")
    assert await session.get_items() == [said("a"), {"role": "assistant", "content": "c"}]
    assert [await session.pop_item() for _ in range(3)] == [{"role": "assistant", "content": "c"}, said("a"), None]


async def test_facts_are_made_where_asked_for(client: Aurra) -> None:
    """Of what people said, not of what tools returned."""
    items = [said("I moved to Lisbon in May."), *ITEMS[3:5]]
    await AurraSession(client, "a").add_items(items)
    assert client.memories.list().memories == []
    await AurraSession(client, "b", extraction="now").add_items(items)
    assert [memory.decision for memory in client.memories.list()] == ["I moved to Lisbon in May."]


@pytest.mark.parametrize("seed", range(4))
async def test_it_does_what_the_frameworks_own_session_does(session: AurraSession, seed: int) -> None:
    """Any calls in any order: the same answers."""
    theirs, chance = SQLiteSession("chat"), random.Random(seed)
    for step in range(25):
        match chance.randrange(8):
            case 0 | 1 | 2:
                items = [chance.choice([*ITEMS[:4], said(f"{step}")]) for _ in range(chance.randrange(4))]
                await session.add_items(items)
                await theirs.add_items(items)
            case 3 | 4:
                assert await session.pop_item() == await theirs.pop_item()
            case 5 | 6:
                limit = chance.choice([None, 1, 2, 5])
                assert await session.get_items(limit) == await theirs.get_items(limit)
            case _:
                if chance.random() < 0.3:
                    await session.clear_session()
                    await theirs.clear_session()
    assert await session.get_items() == await theirs.get_items()
    theirs.close()


class ScriptedModel(Model):
    """Calls the tool first, then says how many items it was given."""

    def __init__(self) -> None:
        self.given: list[int] = []

    async def get_response(
        self, system_instructions: str | None, input: str | list[TResponseInputItem], *args: Any, **kwargs: Any
    ) -> ModelResponse:
        assert isinstance(input, list)
        self.given.append(len(input))
        answer = ResponseOutputText(type="output_text", text=f"{len(input)} items", annotations=[])
        output = (
            ResponseFunctionToolCall(type="function_call", call_id="c", name="weather", arguments='{"city": "Oslo"}')
            if len(self.given) == 1
            else ResponseOutputMessage(id="m", type="message", role="assistant", status="completed", content=[answer])
        )
        return ModelResponse(output=[output], usage=Usage(), response_id=None)

    def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[TResponseStreamEvent]:
        raise NotImplementedError


async def test_an_agent_remembers(session: AurraSession) -> None:
    """Over runs, with the calls of its tools."""

    @function_tool
    def weather(city: str) -> str:
        return f"rain in {city}"

    model = ScriptedModel()
    agent = Agent(name="a", model=model, tools=[weather], model_settings=ModelSettings())
    quiet = RunConfig(tracing_disabled=True)
    first = await Runner.run(agent, "What is the weather?", session=session, run_config=quiet)
    second = await Runner.run(agent, "And now?", session=session, run_config=quiet)
    assert (first.final_output, second.final_output) == ("3 items", "5 items")
    kinds = [cast("dict[str, Any]", item).get("type", "message") for item in await session.get_items()]
    assert kinds == ["message", "function_call", "function_call_output", "message", "message", "message"]
