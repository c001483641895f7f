"""Collections as types: connections, edges and nodes, and what leads from a node to others."""

from collections.abc import Callable
from typing import Any, cast

import msgspec
from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLString,
)

from aurra.errors import BadRequest
from aurra.faces.graphql import paging
from aurra.faces.graphql.paging import Arguments
from aurra.faces.graphql.state import State
from aurra.faces.graphql.types import Resolver, Types, by
from aurra.ops import collections, listings, nodes
from aurra.ops.collections import MOST_ON_A_PAGE
from aurra.ops.listings import CONVERSATIONS, KEYS, MEMORIES, SUBJECTS, TRANSACTIONS, Collection
from aurra.ops.nodes import Node, Reading, Times
from aurra.store.collections import Name
from aurra.types.api_keys import ApiKey
from aurra.types.conversations import Conversation, ConversationMessage
from aurra.types.history import TransactionEntry, Version
from aurra.types.memories import Memory
from aurra.types.subjects import Subject

PAGE = "page"
"""In a field's extensions: how many nodes it stands for, where no argument says so."""
NAMES: dict[Name, str] = {
    "memories": "Memory",
    "subjects": "Subject",
    "transactions": "Transaction",
    "conversations": "Conversation",
    "keys": "Key",
}
"""How the types of each collection's nodes are called, before `Node`, `Edge`, `Connection`, `Filter`, `OrderBy`."""
_ABOUT_VERSIONS = 10
"""How many versions a memory is thought to have."""


class Connections:
    """The types of collections, made once."""

    def __init__(self, types: Types) -> None:
        self._types = types
        self._arguments = Arguments(types)
        self._nodes = {of.name: self._node(of) for of in listings.COLLECTIONS}
        self._connections = {of.name: self._connection(of) for of in listings.COLLECTIONS}

    def node(self, of: Collection) -> GraphQLObjectType:
        """The type of a collection's nodes."""
        return self._nodes[of.name]

    def roots(self, *, at: bool) -> dict[str, GraphQLField]:
        """The collections of all that a key sees; `at` a moment, those that have one."""
        return {f"{of.name}Collection": self._root(of) for of in listings.COLLECTIONS if of.has_moment or not at}

    def _root(self, of: Collection) -> GraphQLField:
        async def resolve(source: Any, info: Any, /, **given: Any) -> Any:
            state: State = info.context
            times = source if isinstance(source, Times) else Times()
            return await state.page(of, times, paging.tenant(given), paging.asked(of, info, given))

        arguments = self._arguments.of(NAMES[of.name], of)
        if of.has_moment:
            said = "Of this tenant; absent is all of them." if of.is_of_all_tenants else "Absent is the default one."
            arguments["tenant_id"] = GraphQLArgument(GraphQLString, description=said)
        return self._field(of, arguments, resolve)

    def _nested(self, of: Collection, name: Name, parent: Callable[[Node], str]) -> GraphQLField:
        async def resolve(node: Node, info: Any, /, **given: Any) -> Any:
            state: State = info.context
            asked = paging.asked(of, info, given)
            return await state.page_of(of, name, node.reading, parent(node), asked)

        return self._field(of, self._arguments.of(NAMES[of.name], of), resolve)

    def _field(self, of: Collection, arguments: dict[str, GraphQLArgument], resolve: Any) -> GraphQLField:
        return GraphQLField(
            self._connections[of.name],
            arguments,
            resolve=resolve,
            description=f"Needs what `{of.operation}` needs.",
            extensions={PAGE: collections.DEFAULT_ON_A_PAGE},
        )

    def _connection(self, of: Collection) -> GraphQLObjectType:
        name = NAMES[of.name]
        edge = GraphQLObjectType(
            f"{name}Edge",
            {
                "cursor": GraphQLField(
                    GraphQLNonNull(GraphQLString),
                    resolve=by(lambda edge, info: collections.cursor_of(info.context.reader, edge)),
                ),
                "node": GraphQLField(GraphQLNonNull(self._nodes[of.name]), resolve=by(lambda edge, _info: edge.node)),
            },
        )
        return GraphQLObjectType(
            f"{name}Connection",
            {
                "totalCount": GraphQLField(
                    GraphQLNonNull(GraphQLInt),
                    resolve=by(lambda page, _info: page.total),
                    description="All that the filter lets through; counted where it is asked for.",
                ),
                "edges": GraphQLField(
                    GraphQLNonNull(GraphQLList(GraphQLNonNull(edge))), resolve=by(lambda page, _info: page.edges)
                ),
                "pageInfo": GraphQLField(GraphQLNonNull(paging.PAGE_INFO), resolve=by(lambda page, _info: page)),
            },
        )

    def _node(self, of: Collection) -> GraphQLObjectType:
        return GraphQLObjectType(f"{NAMES[of.name]}Node", lambda: self._fields(of), description=of.shown.__doc__)

    def _fields(self, of: Collection) -> dict[str, GraphQLField]:
        """The fields of the Struct, and what leads from it to others. Raises TypeError where a name is of both."""
        shown = self._types.outputs_of(of.shown, read=_shown)
        leading = {
            "memories": self._of_memory,
            "subjects": self._of_subject,
            "transactions": self._of_transaction,
            "conversations": self._of_conversation,
            "keys": self._of_key,
        }[of.name]()
        if both := shown.keys() & leading.keys():
            raise TypeError(f"{of.shown.__name__} has {both}, which lead from its nodes to others")
        return shown | leading

    def _of_memory(self) -> dict[str, GraphQLField]:
        versions = GraphQLList(GraphQLNonNull(self._types.object_of(Version)))
        return {
            "about": self._one(
                SUBJECTS,
                "subjects.get",
                lambda node: nodes.subject_of(cast(Memory, node.shown)),
                "The subject that it is about.",
            ),
            "conversation": self._one(
                CONVERSATIONS,
                "conversations.get",
                lambda node: cast(Memory, node.shown).session_id,
                "The conversation that it came from.",
            ),
            "openedBy": self._one(
                TRANSACTIONS,
                "transactions.get",
                lambda node: str(node.opened_by),
                "The transaction that opened what is shown of it.",
            ),
            "successor": GraphQLField(
                self._nodes["memories"], resolve=_successor, description="The memory that took over, as it stands."
            ),
            "versions": GraphQLField(
                versions,
                resolve=_versions,
                description=f"All that was believed of it, in the order of belief; the first {nodes.MOST_VERSIONS}.",
                extensions={PAGE: _ABOUT_VERSIONS},
            ),
        }

    def _of_subject(self) -> dict[str, GraphQLField]:
        def key(node: Node) -> str:
            return nodes.key_of(cast(Subject, node.shown))

        return {"memoriesCollection": self._nested(MEMORIES, "memories_of_subjects", key)}

    def _of_conversation(self) -> dict[str, GraphQLField]:
        def key(node: Node) -> str:
            return cast(Conversation, node.shown).session_id

        messages = GraphQLList(GraphQLNonNull(self._types.object_of(ConversationMessage)))
        return {
            "memoriesCollection": self._nested(MEMORIES, "memories_of_conversations", key),
            "messages": GraphQLField(
                messages,
                {"first": GraphQLArgument(GraphQLInt, description=f"The first so many, up to {MOST_ON_A_PAGE}.")},
                resolve=_messages,
                description="Its turns as they were said, from the first; `conversations_messages` has them all.",
                extensions={PAGE: collections.DEFAULT_ON_A_PAGE},
            ),
        }

    def _of_transaction(self) -> dict[str, GraphQLField]:
        def number(node: Node) -> str:
            return str(cast(TransactionEntry, node.shown).id)

        return {
            "memoriesCollection": self._nested(MEMORIES, "memories_of_transactions", number),
            "key": self._one(
                KEYS,
                "keys.get",
                lambda node: _key_id(cast(TransactionEntry, node.shown).actor),
                "The key that made it.",
            ),
        }

    def _of_key(self) -> dict[str, GraphQLField]:
        def id_(node: Node) -> str:
            return cast(ApiKey, node.shown).id

        return {"transactionsCollection": self._nested(TRANSACTIONS, "transactions_of_keys", id_)}

    def _one(self, of: Collection, operation: str, id_: Callable[[Node], str | None], description: str) -> GraphQLField:
        async def resolve(node: Node, info: Any, /) -> Any:
            state: State = info.context
            reading = node.reading
            if of.is_of_all_tenants:
                reading = msgspec.structs.replace(reading, tenant_id=state.caller.tenant_id)
            return await state.one(operation, of.fetch, of.name, reading, id_(node))

        said = f"{description} Needs what `{operation}` needs."
        return GraphQLField(self._nodes[of.name], resolve=resolve, description=said, extensions={PAGE: 1})


def _shown(name: str) -> Resolver:
    return lambda node, _info: getattr(node.shown, name)


def _key_id(actor: str) -> str | None:
    kind, _, id_ = actor.partition(" ")
    return id_ if kind == "key" else None


async def _successor(node: Node, info: Any, /) -> Any:
    state: State = info.context
    id_ = cast(Memory, node.shown).superseded_by
    return await state.one("memories.get", nodes.successor_nodes, "successor", node.reading, id_)


async def _versions(node: Node, info: Any, /) -> Any:
    state: State = info.context
    id_ = cast(Memory, node.shown).id
    return await state.one("memories.versions", nodes.versions_of, "versions", node.reading, id_) or []


async def _messages(node: Node, info: Any, /, first: int | None = None) -> Any:
    state: State = info.context
    limit = collections.DEFAULT_ON_A_PAGE if first is None else first
    if not 0 <= limit <= MOST_ON_A_PAGE:
        raise BadRequest(f"`first` must lie in 0…{MOST_ON_A_PAGE}.", code="out_of_range", param="first")
    reading: Reading = node.reading
    id_ = cast(Conversation, node.shown).session_id
    found = await state.one("conversations.messages", nodes.messages_of(limit), ("messages", limit), reading, id_)
    return found or []
