"""`AurraRetriever` against LangChain's own tests for retrievers and ours; `AurraChatMessageHistory`."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from aurra_sdk import AsyncAurra, Aurra
from aurra_sdk.integrations.langchain import AurraChatMessageHistory, AurraRetriever
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_tests.integration_tests import RetrieversIntegrationTests


class TestRetriever(RetrieversIntegrationTests):
    """LangChain's own."""

    @pytest.fixture(autouse=True)
    def told(self) -> Iterator[None]:
        """Some memories, and a client that sees them."""
        with Aurra(tenant_id=f"test-{uuid4()}") as self.client:
            for city in ("Oslo", "Rome", "Bern", "Lima"):
                self.client.memories.add(content=f"{city} is a city")
            yield

    @property
    def retriever_constructor(self) -> type[AurraRetriever]:
        return AurraRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"client": self.client}

    @property
    def retriever_query_example(self) -> str:
        return "Which cities are there?"


def test_documents_say_where_they_are_from(client: Aurra) -> None:
    """The best first, with ids that the service knows."""
    written = client.memories.add(
        content="Kim lives in Oslo", subject="kim", attribute="city", metadata={"from": "a form"}
    )
    client.memories.add(content="Bo plays the cello", subject="bo")
    first, second = AurraRetriever(client=client).invoke("Where does Kim live?")
    assert (first.id, first.page_content) == (written.memory_id, "Kim lives in Oslo")
    assert first.metadata["subject"] == "kim"
    assert first.metadata["metadata"] == {"from": "a form"}
    assert first.metadata["citation"]["type"] == "agent"
    assert first.metadata["transaction"] == written.transaction.id + 1
    assert first.metadata["valid_from"] == written.transaction.at
    assert first.metadata["similarity"] > second.metadata["similarity"]
    assert [document.page_content for document in AurraRetriever(client=client, subject="bo").invoke("Kim?")] == [
        "Bo plays the cello"
    ]


async def test_documents_of_the_past(client: Aurra, async_client: AsyncAurra) -> None:
    """What was true, and what was believed; said by the retriever or by the call, sync or async."""
    oslo = client.memories.add(content="Kim lives in Oslo", subject="kim", attribute="city").transaction
    client.memories.add(content="Kim lives in Rome", subject="kim", attribute="city")
    now, then = AurraRetriever(client=client), AurraRetriever(client=client, as_of=oslo.at)
    for retriever in (now, AurraRetriever(client=async_client)):
        assert [one.page_content for one in await retriever.ainvoke("Kim?")] == ["Kim lives in Rome"]
        found = await retriever.ainvoke("Kim?", as_of=oslo.at, transaction_as_of=oslo.id)
        assert [one.page_content for one in found] == ["Kim lives in Oslo"]
    assert [one.page_content for one in then.invoke("Kim?")] == ["Kim lives in Oslo"]
    assert [one.page_content for one in now.invoke("Kim?", as_of=datetime(2020, 1, 1, tzinfo=UTC))] == []
    with pytest.raises(TypeError, match="async methods only"):
        AurraRetriever(client=async_client).invoke("Kim?")


MESSAGES: list[BaseMessage] = [
    SystemMessage(content="Be brief.", additional_kwargs={"cache": {"ttl": 5}}),
    HumanMessage(content="What is the weather in Oslo?", name="Kim", id="m-1"),
    HumanMessage(
        content=[
            {"type": "text", "text": "And here?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
        ]
    ),
    AIMessage(
        content="",
        tool_calls=[
            {"name": "weather", "args": {"city": "Oslo", "days": [1, 2.5]}, "id": "call-1", "type": "tool_call"}
        ],
        invalid_tool_calls=[
            {"name": "weather", "args": "{", "id": "call-2", "error": "no JSON", "type": "invalid_tool_call"}
        ],
        additional_kwargs={"reasoning": None},
        response_metadata={"model": "m", "logprobs": [-0.1]},
        usage_metadata={"input_tokens": 3, "output_tokens": 5, "total_tokens": 8},
    ),
    ToolMessage(content="rain\0", tool_call_id="call-1", artifact={"mm": 3}, status="error", name="weather"),
    FunctionMessage(content="", name="old"),
    ChatMessage(content="ahoy", role="pirate"),
    RemoveMessage(id="m-1"),
    AIMessage(content="It rains. \ud800 😀"),
]


@pytest.fixture
def history(client: Aurra) -> AurraChatMessageHistory:
    """An empty one."""
    return AurraChatMessageHistory(client, "chat/7?")


def test_messages_come_back_as_they_went(history: AurraChatMessageHistory) -> None:
    """Each kind, whole and in order, over several calls."""
    assert history.messages == []
    history.add_messages(MESSAGES[:4])
    history.add_messages(MESSAGES[4:])
    history.add_user_message("Thanks!")
    history.add_ai_message("You are welcome.")
    assert history.messages == [*MESSAGES, HumanMessage(content="Thanks!"), AIMessage(content="You are welcome.")]


def test_turns_read_well(history: AurraChatMessageHistory, client: Aurra) -> None:
    """To people, and to whoever makes facts of them; of tools none are made."""
    history.add_messages(MESSAGES)
    turns = client.conversations.messages("chat/7?").messages
    assert [(turn.role, turn.name, turn.content) for turn in turns][:4] == [
        ("system", None, "Be brief."),
        ("user", "Kim", "What is the weather in Oslo?"),
        ("user", None, "And here?"),
        ("assistant", None, ""),
    ]
    assert {turn.role for turn in turns[4:]} == {"tool", "function", "pirate", "remove", "assistant"}


def test_many_messages_keep_their_order(history: AurraChatMessageHistory) -> None:
    """More than a transaction and a page hold."""
    told: list[BaseMessage] = [HumanMessage(content=str(number)) for number in range(1203)]
    history.add_messages(told)
    assert history.messages == told


def test_clearing_empties_and_the_past_stays(history: AurraChatMessageHistory, client: Aurra) -> None:
    """Until it is erased."""
    history.clear()
    history.add_user_message("My name is Kim.")
    then = client.conversations.messages("chat/7?").transaction.id
    history.clear()
    history.clear()
    assert history.messages == []
    history.add_user_message("Hello?")
    assert history.messages == [HumanMessage(content="Hello?")]
    assert str(history) == "Human: Hello?"
    past = AurraChatMessageHistory(client, "chat/7?", transaction_as_of=then)
    assert past.messages == [HumanMessage(content="My name is Kim.")]
    for change in (past.clear, past.erase, lambda: past.add_user_message("No.")):
        with pytest.raises(ValueError, match="can be read, not changed"):
            change()
    history.erase("asked for")
    assert history.messages == past.messages == []
    history.add_user_message("Again.")
    assert history.messages == [HumanMessage(content="Again.")]


def test_facts_are_made_where_asked_for(client: Aurra) -> None:
    """Of what was said; not else."""
    AurraChatMessageHistory(client, "a").add_user_message("I moved to Lisbon in May.")
    assert client.memories.list().memories == []
    AurraChatMessageHistory(client, "b", extraction="now").add_user_message("I moved to Lisbon in May.")
    assert [memory.session_id for memory in client.memories.list()] == ["b"]


def test_turns_told_otherwise_are_messages(history: AurraChatMessageHistory, client: Aurra) -> None:
    """Of their role; and sessions and tenants are apart."""
    roles = {"user": HumanMessage, "assistant": AIMessage, "system": SystemMessage, "agent": ChatMessage}
    turns = [{"role": role, "content": f"as {role}", "name": "N"} for role in roles]
    client.conversations.add("chat/7?", turns, extraction="never")
    assert [type(message) for message in history.messages] == list(roles.values())
    assert {message.name for message in history.messages} == {"N"}
    assert AurraChatMessageHistory(client, "chat/8").messages == []
    assert AurraChatMessageHistory(client.with_options(tenant_id="other"), "chat/7?").messages == []


async def test_the_async_methods_are_the_same(client: Aurra, async_client: AsyncAurra) -> None:
    """Over either client; the sync ones are refused over the async client."""
    for history in (AurraChatMessageHistory(client, "a"), AurraChatMessageHistory(async_client, "b")):
        await history.aadd_messages(MESSAGES)
        assert await history.aget_messages() == MESSAGES
        await history.aclear()
        assert await history.aget_messages() == []
        await asyncio.gather(*(history.aadd_messages([HumanMessage(content=str(number))]) for number in range(10)))
        assert {message.text for message in await history.aget_messages()} == set(map(str, range(10)))
        await history.aerase()
        assert await history.aget_messages() == []
    with pytest.raises(TypeError, match="async methods only"):
        _ = AurraChatMessageHistory(async_client, "b").messages
