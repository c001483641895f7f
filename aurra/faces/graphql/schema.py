"""The schema: what the registry and the collections make of it."""

from functools import cache
from typing import Any

from graphql import GraphQLArgument, GraphQLField, GraphQLNonNull, GraphQLObjectType, GraphQLSchema

from aurra.faces.graphql import operations
from aurra.faces.graphql.collections import Connections
from aurra.faces.graphql.scalars import BIG_INT, DATETIME, INT_OR_STRING
from aurra.faces.graphql.types import Types
from aurra.ops import OPERATIONS, listings
from aurra.ops.nodes import Times


@cache
def schema() -> GraphQLSchema:
    """The schema of this installation. Raises TypeError where the registry cannot be told in GraphQL."""
    types = Types()
    connections = Connections(types)
    reads = [op for op in OPERATIONS.values() if op.is_read_only]
    writes = [op for op in OPERATIONS.values() if not op.is_read_only]
    at = GraphQLObjectType(
        "At",
        lambda: {
            **connections.roots(at=True),
            **{op.id: operations.field_of(op, types, at=True) for op in reads if operations.has_both_times(op)},
        },
        description="What is read as of both times.",
    )
    query = GraphQLObjectType(
        "Query",
        lambda: {
            "at": GraphQLField(
                GraphQLNonNull(at),
                {
                    "asOf": GraphQLArgument(DATETIME, description="What was true then."),
                    "transactionAsOf": GraphQLArgument(
                        INT_OR_STRING, description="What was believed then: a transaction's number, or an instant."
                    ),
                },
                resolve=_at,
                description="All that is under it is read as of both times.",
            ),
            **connections.roots(at=False),
            **{op.id: operations.field_of(op, types) for op in reads},
        },
    )
    mutation = GraphQLObjectType("Mutation", lambda: {op.id: operations.field_of(op, types) for op in writes})
    subscription = GraphQLObjectType(
        "Subscription",
        lambda: {
            "transactions": GraphQLField(
                GraphQLNonNull(connections.node(listings.TRANSACTIONS)),
                {
                    "since": GraphQLArgument(
                        BIG_INT, description="After this number; absent is from now on. Keep the last `id` that came."
                    )
                },
                subscribe=_transactions,
                resolve=_itself,
                description="The account's transactions as they are committed, none left out. Needs `audit:read`.",
            )
        },
    )
    return GraphQLSchema(query, mutation, subscription)


def _at(_source: Any, _info: Any, /, asOf: str | None = None, transactionAsOf: int | str | None = None) -> Times:
    return Times(asOf, transactionAsOf)


def _itself(node: Any, _info: Any, /, **_given: Any) -> Any:
    return node


def _transactions(_source: Any, info: Any, /, since: int | None = None) -> Any:
    return info.context.transactions(since)
