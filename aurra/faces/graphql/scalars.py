"""The scalars beside GraphQL's own."""

from typing import Any

import msgspec
from graphql import GraphQLError, GraphQLScalarType, IntValueNode, StringValueNode, ValueNode

_LEAST, _MOST = -(2**63), 2**63 - 1


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise GraphQLError("BigInt must be a whole number.")
    if not _LEAST <= value <= _MOST:
        raise GraphQLError("BigInt must fit into 64 bits.")
    return value


def _whole_literal(node: ValueNode, variables: dict[str, Any] | None = None) -> int:
    if not isinstance(node, IntValueNode):
        raise GraphQLError("BigInt must be a whole number.", node)
    return _whole(int(node.value))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise GraphQLError("Datetime must be a string.")
    return value


def _text_literal(node: ValueNode, variables: dict[str, Any] | None = None) -> str:
    if not isinstance(node, StringValueNode):
        raise GraphQLError("Datetime must be a string.", node)
    return node.value


def _number_or_text(value: Any) -> int | str:
    return value if isinstance(value, str) else _whole(value)


def _number_or_text_literal(node: ValueNode, variables: dict[str, Any] | None = None) -> int | str:
    return node.value if isinstance(node, StringValueNode) else _whole_literal(node)


BIG_INT = GraphQLScalarType(
    "BigInt",
    description="A whole number of up to 64 bits, written as a JSON number.",
    serialize=lambda value: value,
    parse_value=_whole,
    parse_literal=_whole_literal,
)
DATETIME = GraphQLScalarType(
    "Datetime",
    description="In: an RFC 3339 instant with an offset, or a bare date. Out: UTC, with microseconds.",
    serialize=lambda value: value,
    parse_value=_text,
    parse_literal=_text_literal,
)
INT_OR_STRING = GraphQLScalarType(
    "IntOrString",
    description="A whole number, or a text: a transaction's number, or an instant.",
    serialize=lambda value: value,
    parse_value=_number_or_text,
    parse_literal=_number_or_text_literal,
)
JSON = GraphQLScalarType(
    "JSON",
    description="Any JSON: what has no fields that are known beforehand, or may be of several forms.",
    serialize=msgspec.to_builtins,
)
