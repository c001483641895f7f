import asyncio

from aurra_sdk import AsyncAurra
from aurra_sdk.integrations.pydantic_ai import AurraToolset
from pydantic_ai import Agent
from pydantic_ai.models.test import TestModel

toolset = AurraToolset(AsyncAurra())
agent = Agent(TestModel(call_tools=["remember", "recall", "ask"]), toolsets=[toolset])
print(asyncio.run(agent.run("What do you know of Kim?")).output)
