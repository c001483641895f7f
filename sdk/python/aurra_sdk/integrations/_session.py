"""The turns of one conversation as a list that can be added to, cut at its end and emptied, written once for both
clients.

Nothing that was said is taken away: that a turn is removed, or that all are, is a turn of its own, which takes its
place in the ledger. What shall be gone for good is erased.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast
from uuid import uuid4

from aurra_sdk import types
from aurra_sdk._async.client import AsyncAurra
from aurra_sdk._given import Moment
from aurra_sdk._sync.client import Aurra
from aurra_sdk.errors import NotFoundError
from aurra_sdk.integrations._either import Calls

Extraction = Literal["now", "later", "never"]
_MARK = "aurra_session"
_MOST_TURNS = 500
"""In one transaction."""


class Session:
    """One conversation, now, or, for reading alone, as it was at a transaction or an instant."""

    def __init__(
        self,
        client: Aurra | AsyncAurra,
        session_id: str,
        *,
        extraction: Extraction = "never",
        transaction_as_of: int | Moment | None = None,
    ) -> None:
        self._calls = Calls(client)
        self._session_id = session_id
        self._extraction: Extraction = extraction
        self._moment = {} if transaction_as_of is None else {"transaction_as_of": transaction_as_of}

    async def read(self) -> list[types.ConversationMessage]:
        """The turns that are in it, in order."""
        turns: list[types.ConversationMessage] = []
        cursor: str | None = None
        while True:
            try:
                page = await self._calls.list_turns(self._session_id, limit=1000, cursor=cursor, **self._moment)
            except NotFoundError:
                return turns
            for turn in page.messages:
                _apply(turn, turns)
            cursor = page.next_cursor
            if cursor is None:
                return turns

    async def add(self, turns: Sequence[types.Message]) -> None:
        """Afterwards the turns are at its end, in order; up to 500 are one transaction."""
        self._require_now()
        for start in range(0, len(turns), _MOST_TURNS):
            await self._calls.add_turns(
                self._session_id,
                turns[start : start + _MOST_TURNS],
                extraction=self._extraction,
            )

    async def pop(self) -> types.ConversationMessage | None:
        """Takes the last turn from its end and returns it; None of an empty one. Each turn is taken once, whoever else
        pops at the same time."""
        self._require_now()
        while turns := await self.read():
            last = turns[-1]
            name = _name_of(last)
            # A turn of this id is stored once: who comes second is told so.
            done = await self._mark({"removes": name}, "A turn was removed.", f"removes:{name}")
            if done.turns_saved:
                return last
        return None

    async def clear(self) -> None:
        """Afterwards there is none of the turns that were there before; those added meanwhile stay."""
        self._require_now()
        if await self.read():
            await self._mark({"clears": True}, "The session was cleared.", _new_id())

    async def erase(self, reason: str | None = None) -> None:
        """Removes all turns, and all memories made of them, for good and from every transaction. Needs the scope
        `memories:erase`."""
        self._require_now()
        while (await self._calls.erase_matching(session_id=self._session_id, reason=reason)).remaining:
            pass

    async def _mark(self, mark: Mapping[str, Any], text: str, turn_id: str) -> types.ConversationAdded:
        turn = types.Message(role="system", content=text, id=turn_id, metadata={_MARK: mark})
        return await self._calls.add_turns(self._session_id, [turn], extraction="never")

    def _require_now(self) -> None:
        if self._moment:
            raise ValueError("This is the session as of another moment: it can be read, not changed.")


def turn_of(role: str, content: str, metadata: Mapping[str, Any], name: str | None = None) -> types.Message:
    """A turn to add, with an id of its own."""
    return types.Message(role=role, content=content, name=name, metadata=metadata, id=_new_id())


def _new_id() -> str:
    return uuid4().hex


def _name_of(turn: types.ConversationMessage) -> str:
    """How a mark names a turn; of one that came without an id, by its place among all."""
    return turn.id if turn.id is not None else f"#{turn.position}"


def _apply(turn: types.ConversationMessage, turns: list[types.ConversationMessage]) -> None:
    """Adds the turn, or does what it says of those before."""
    mark = (turn.metadata or {}).get(_MARK)
    if not isinstance(mark, dict):
        turns.append(turn)
    elif cast("dict[str, Any]", mark).get("clears"):
        turns.clear()
    else:
        removed = cast("dict[str, Any]", mark).get("removes")
        turns[:] = [kept for kept in turns if _name_of(kept) != removed]
