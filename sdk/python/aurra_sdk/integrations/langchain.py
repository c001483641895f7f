"""LangChain on Aurra: `AurraRetriever` and `AurraChatMessageHistory`.

```python
from aurra_sdk import Aurra
from aurra_sdk.integrations.langchain import AurraRetriever

documents = AurraRetriever(client=Aurra(), k=3).invoke("Where does Kim live?")
```
"""

from collections.abc import Sequence
from typing import Any

from aurra_sdk import types
from aurra_sdk._async.client import AsyncAurra
from aurra_sdk._given import Moment
from aurra_sdk._sync.client import Aurra
from aurra_sdk.integrations import _packing
from aurra_sdk.integrations._either import Calls, at_once, in_time
from aurra_sdk.integrations._frameworks import missing
from aurra_sdk.integrations._session import Extraction, Session, turn_of

try:
    from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
    from langchain_core.chat_history import BaseChatMessageHistory
    from langchain_core.documents import Document
    from langchain_core.messages import (
        AIMessage,
        BaseMessage,
        ChatMessage,
        HumanMessage,
        SystemMessage,
        message_to_dict,
        messages_from_dict,
    )
    from langchain_core.retrievers import BaseRetriever
except ModuleNotFoundError as error:
    raise missing(error, "LangChain", "langchain") from error

_HISTORY = "AurraChatMessageHistory"
_FORMAT = "langchain"
_ROLES = {"human": "user", "ai": "assistant"}


class AurraRetriever(BaseRetriever):
    """Memories as documents, the best first: `page_content` is what a memory says, `metadata` where it is from, since
    when it is true, and the transaction at which it was read.

    `k`, `as_of` and `transaction_as_of` may be given to `invoke` as well. Over `Aurra` both `invoke` and `ainvoke` work
    (this in a thread); over `AsyncAurra` `ainvoke` alone.
    """

    client: Aurra | AsyncAurra
    k: int = 10
    """Most documents, 1…1000."""
    subject: str | None = None
    session_id: str | None = None
    sources: Sequence[str] | None = None
    topics: Sequence[str] | None = None
    as_of: Moment | None = None
    """What was true then."""
    transaction_as_of: int | Moment | None = None
    """What was believed then: a transaction's number, or an instant."""

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
        k: int | None = None,
        as_of: Moment | None = None,
        transaction_as_of: int | Moment | None = None,
    ) -> list[Document]:
        return at_once(self.client, self._find(query, k, as_of, transaction_as_of), "AurraRetriever")

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,
        k: int | None = None,
        as_of: Moment | None = None,
        transaction_as_of: int | Moment | None = None,
    ) -> list[Document]:
        return await in_time(self.client, self._find(query, k, as_of, transaction_as_of))

    async def _find(
        self, query: str, k: int | None, as_of: Moment | None, transaction_as_of: int | Moment | None
    ) -> list[Document]:
        found = await Calls(self.client).search(
            query,
            limit=self.k if k is None else k,
            subject=self.subject,
            session_id=self.session_id,
            sources=self.sources,
            topics=self.topics,
            as_of=self.as_of if as_of is None else as_of,
            transaction_as_of=self.transaction_as_of if transaction_as_of is None else transaction_as_of,
        )
        return [_document(memory, found.transaction.id) for memory in found.memories]


class AurraChatMessageHistory(BaseChatMessageHistory):
    """The messages of one session, kept as the turns of a conversation; each comes back as it went.

    `clear` empties the history and takes nothing away: what was said stays in the conversation, and a history with
    `transaction_as_of` shows it as it was. `erase` removes it for good. Turns that were told otherwise, by another face
    or framework, are messages of their role.

    Args:
        client: Over `Aurra` both the sync and the async methods work; over `AsyncAurra` the async ones alone.
        session_id: Any text; the conversation's.
        extraction: Whether facts are made of what is said: `now`, `later` (in the background) or `never`.
        transaction_as_of: Read it as it was then: a transaction's number, or an instant. It cannot be changed.
    """

    def __init__(
        self,
        client: Aurra | AsyncAurra,
        session_id: str,
        *,
        extraction: Extraction = "never",
        transaction_as_of: int | Moment | None = None,
    ) -> None:
        self.session_id = session_id
        self._client = client
        self._session = Session(client, session_id, extraction=extraction, transaction_as_of=transaction_as_of)

    @property
    def messages(self) -> list[BaseMessage]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """All of them, in order."""
        return [_message(turn) for turn in at_once(self._client, self._session.read(), _HISTORY)]

    async def aget_messages(self) -> list[BaseMessage]:
        """All of them, in order."""
        return [_message(turn) for turn in await in_time(self._client, self._session.read())]

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Adds them at the end; up to 500 are one transaction."""
        at_once(self._client, self._session.add([_turn(message) for message in messages]), _HISTORY)

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Adds them at the end; up to 500 are one transaction."""
        await in_time(self._client, self._session.add([_turn(message) for message in messages]))

    def clear(self) -> None:
        """Afterwards it is empty; what was said stays in the past."""
        at_once(self._client, self._session.clear(), _HISTORY)

    async def aclear(self) -> None:
        """Afterwards it is empty; what was said stays in the past."""
        await in_time(self._client, self._session.clear())

    def erase(self, reason: str | None = None) -> None:
        """Removes all that was said, and the memories made of it, for good. Needs the scope `memories:erase`."""
        at_once(self._client, self._session.erase(reason), _HISTORY)

    async def aerase(self, reason: str | None = None) -> None:
        """Removes all that was said, and the memories made of it, for good. Needs the scope `memories:erase`."""
        await in_time(self._client, self._session.erase(reason))


def _document(memory: types.ScoredMemory, transaction: int) -> Document:
    told: dict[str, Any] = {
        "memory_id": memory.id,
        "version": memory.version,
        "similarity": memory.similarity,
        "score": memory.score,
        "subject": memory.subject,
        "attribute": memory.attribute,
        "topic": memory.topic,
        "source": memory.source,
        "session_id": memory.session_id,
        "external_id": memory.external_id,
        "valid_from": memory.valid_from,
        "valid_to": memory.valid_to,
        "created_at": memory.created_at,
        "citation": memory.source_citation.to_dict(),
        "metadata": memory.metadata,
        "transaction": transaction,
    }
    return Document(id=memory.id, page_content=memory.decision, metadata=told)


def _turn(message: BaseMessage) -> types.Message:
    role = message.role if isinstance(message, ChatMessage) else _ROLES.get(message.type, message.type)
    metadata = {_FORMAT: _packing.packed(message_to_dict(message))}
    return turn_of(role, _packing.storable(message.text), metadata, message.name and _packing.storable(message.name))


def _message(turn: types.ConversationMessage) -> BaseMessage:
    """The message as it went; of a turn that was told otherwise, one of its role."""
    if (kept := (turn.metadata or {}).get(_FORMAT)) is not None:
        return messages_from_dict([_packing.unpacked(kept)])[0]
    match turn.role:
        case "user":
            return HumanMessage(content=turn.content, name=turn.name)
        case "assistant":
            return AIMessage(content=turn.content, name=turn.name)
        case "system":
            return SystemMessage(content=turn.content, name=turn.name)
        case role:
            return ChatMessage(content=turn.content, role=role, name=turn.name)
