"""OpenAI Agents on Aurra: `AurraSession`, a `Session`.

```python
from agents import Runner
from aurra_sdk import AsyncAurra
from aurra_sdk.integrations.openai_agents import AurraSession

result = await Runner.run(agent, "Hello!", session=AurraSession(AsyncAurra(), "chat-7"))
```
"""

from collections.abc import Mapping
from typing import Any, cast

from aurra_sdk import types
from aurra_sdk._async.client import AsyncAurra
from aurra_sdk._given import Moment
from aurra_sdk._sync.client import Aurra
from aurra_sdk.integrations import _packing
from aurra_sdk.integrations._either import in_time
from aurra_sdk.integrations._frameworks import missing
from aurra_sdk.integrations._session import Extraction, Session, turn_of

try:
    from agents import SessionSettings, TResponseInputItem
except ModuleNotFoundError as error:
    raise missing(error, "OpenAI Agents", "openai-agents") from error

_FORMAT = "openai_agents"
_SPEAKERS = ("user", "assistant", "system", "developer")


class AurraSession:
    """The items of one session, kept as the turns of a conversation; each comes back as it went.

    `pop_item` and `clear_session` take nothing away: what was said stays in the conversation, and a session with
    `transaction_as_of` shows it as it was. `erase` removes it for good. Of turns that were told otherwise, by another
    face or framework, those of people, assistants and systems are messages; others are left out.

    Args:
        client: Over `Aurra` the methods work in threads.
        session_id: Any text; the conversation's.
        session_settings: `limit` is the most items that are read where a call names no limit.
        extraction: Whether facts are made of what is said: `now`, `later` (in the background) or `never`.
        transaction_as_of: Read it as it was then: a transaction's number, or an instant. It cannot be changed.
    """

    def __init__(
        self,
        client: Aurra | AsyncAurra,
        session_id: str,
        *,
        session_settings: SessionSettings | None = None,
        extraction: Extraction = "never",
        transaction_as_of: int | Moment | None = None,
    ) -> None:
        self.session_id = session_id
        self.session_settings = session_settings
        self._client = client
        self._session = Session(client, session_id, extraction=extraction, transaction_as_of=transaction_as_of)

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """All items in order, or the last `limit` of them."""
        if limit is None and self.session_settings is not None:
            limit = self.session_settings.limit
        turns = await in_time(self._client, self._session.read())
        items = [item for turn in turns if (item := _item(turn)) is not None]
        return items if limit is None or limit < 0 else items[max(0, len(items) - limit) :]

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Adds them at the end; up to 500 are one transaction."""
        turns = [_turn(cast("Mapping[str, Any]", item)) for item in items]
        await in_time(self._client, self._session.add(turns))

    async def pop_item(self) -> TResponseInputItem | None:
        """Takes the last item from the session and returns it; each is taken once. What was said stays in the past."""
        while (turn := await in_time(self._client, self._session.pop())) is not None:
            if (item := _item(turn)) is not None:
                return item
        return None

    async def clear_session(self) -> None:
        """Afterwards it is empty; what was said stays in the past."""
        await in_time(self._client, self._session.clear())

    async def erase(self, reason: str | None = None) -> None:
        """Removes all that was said, and the memories made of it, for good. Needs the scope `memories:erase`."""
        await in_time(self._client, self._session.erase(reason))


def _turn(item: Mapping[str, Any]) -> types.Message:
    # What no one said is silent: no facts are made of it.
    role = item.get("role")
    role = role if isinstance(role, str) and role else "function" if item.get("type") == "function_call" else "tool"
    return turn_of(role, _packing.storable(_text(item)), {_FORMAT: _packing.packed(item)})


def _item(turn: types.ConversationMessage) -> TResponseInputItem | None:
    """The item as it went; of a turn that was told otherwise, a message, if somebody said it."""
    if (kept := (turn.metadata or {}).get(_FORMAT)) is not None:
        return _packing.unpacked(kept)
    if turn.role not in _SPEAKERS:
        return None
    return cast("TResponseInputItem", {"role": turn.role, "content": turn.content})


def _text(item: Mapping[str, Any]) -> str:
    """What people read of an item."""
    if item.get("type") == "function_call":
        return f"{item.get('name')}({item.get('arguments')})"
    said = item.get("content", item.get("output", item.get("summary")))
    if isinstance(said, str):
        return said
    parts = cast("list[Any]", said) if isinstance(said, list) else []
    texts = [cast("dict[str, Any]", part).get("text") for part in parts if isinstance(part, dict)]
    return "\n".join(text for text in texts if isinstance(text, str))
