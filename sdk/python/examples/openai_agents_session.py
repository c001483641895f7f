import asyncio

from aurra_sdk import Aurra
from aurra_sdk.integrations.openai_agents import AurraSession

session = AurraSession(Aurra(), "chat-8")
asyncio.run(session.add_items([{"role": "user", "content": "Hello!"}, {"role": "assistant", "content": "Hi."}]))
print(asyncio.run(session.pop_item()))
print(asyncio.run(session.get_items()))
asyncio.run(session.clear_session())
