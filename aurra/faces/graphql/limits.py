"""What a query may ask for: so deep, by so many other names, so many nodes. Found before anything is read."""

from collections.abc import Mapping
from typing import Any, cast

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
)

from aurra.errors import BadRequest
from aurra.faces.graphql.collections import PAGE
from aurra.faces.graphql.operations import LIST
from aurra.ops import checks

MOST_TOKENS = 2_000
MOST_LEVELS = 12
MOST_LEVELS_OF_SCHEMA = 18
"""Of what asks for the schema; the usual question goes 15 levels deep."""
MOST_ALIASES = 30
MOST_PAGES = 12
"""Collections and lists that are no node's own: each may read all that there is."""
MOST_NODES = 10_000
MOST_FIELDS = 20_000
"""That are looked at, each as often as fragments repeat it."""


class _Measure:
    def __init__(
        self, schema: GraphQLSchema, fragments: Mapping[str, FragmentDefinitionNode], variables: Mapping[str, Any]
    ) -> None:
        self._schema = schema
        self._fragments = fragments
        self._variables = variables
        self._fields = 0
        self._aliases = 0
        self._pages = 0
        self.nodes = 0
        self.widest = ("", 0)

    def walk(
        self, selections: SelectionSetNode | None, parent: Any, path: tuple[str, ...], times: int, *, schema: bool
    ) -> None:
        """Counts what stands under a field, which stands for `times` nodes. Raises BadRequest past a limit."""
        for selection in selections.selections if selections else ():
            match selection:
                case FieldNode():
                    self._field(selection, parent, path, times, schema=schema)
                case InlineFragmentNode():
                    self.walk(selection.selection_set, parent, path, times, schema=schema)
                case FragmentSpreadNode():
                    inner = self._fragments[selection.name.value]
                    self.walk(inner.selection_set, parent, path, times, schema=schema)
                case _:
                    pass

    def _field(self, node: FieldNode, parent: Any, path: tuple[str, ...], times: int, *, schema: bool) -> None:
        name = node.name.value
        path = (*path, name)
        schema = schema or name in ("__schema", "__type")
        self._count(node, path, schema=schema)
        field = self._schema.get_field(parent, name) if isinstance(parent, GraphQLObjectType) else None
        if field is None:
            self.walk(node.selection_set, None, path, times, schema=schema)
            return
        stands_for = self._size(field, node)
        if stands_for is not None:
            self._pages += times == 1
            if self._pages > MOST_PAGES:
                raise _too_large(f"The query names more than {MOST_PAGES} collections and lists.")
            self.nodes += times * stands_for
            self.widest = max(self.widest, (".".join(path), times * stands_for), key=lambda one: one[1])
            times *= stands_for
        self.walk(node.selection_set, _named(field), path, times, schema=schema)

    def _count(self, node: FieldNode, path: tuple[str, ...], *, schema: bool) -> None:
        self._fields += 1
        self._aliases += node.alias is not None
        deepest = MOST_LEVELS_OF_SCHEMA if schema else MOST_LEVELS
        if len(path) > deepest:
            raise _too_large(f"The query is nested deeper than {deepest} levels, at `{'.'.join(path)}`.")
        if self._aliases > MOST_ALIASES:
            raise _too_large(f"The query has more than {MOST_ALIASES} aliases.")
        if self._fields > MOST_FIELDS:
            raise _too_large(f"The query names more than {MOST_FIELDS:,} fields, fragments counted as often as spread.")

    def _size(self, field: GraphQLField, node: FieldNode) -> int | None:
        """How many nodes a field stands for; None where it is part of one."""
        given = {argument.name.value: self._number(argument.value) for argument in node.arguments or ()}
        if PAGE in field.extensions:
            asked = next((given[name] for name in ("first", "last") if given.get(name) is not None), None)
            # One that is empty is looked for all the same.
            return max(1, field.extensions[PAGE] if asked is None else asked)
        if LIST in field.extensions:
            return checks.clamp(given.get("limit"), field.extensions[LIST])
        return None

    def _number(self, value: ValueNode) -> int | None:
        if isinstance(value, IntValueNode):
            return int(value.value)
        found = self._variables.get(value.name.value) if isinstance(value, VariableNode) else None
        # JSON knows 100.0 as a whole number, and so does GraphQL.
        if isinstance(found, float) and found.is_integer():
            return int(found)
        return found if isinstance(found, int) else None


def _named(field: GraphQLField) -> Any:
    """The type of what a field holds, inside lists and what is never null."""
    type_: Any = cast(Any, field).type
    while (inner := getattr(type_, "of_type", None)) is not None:
        type_ = inner
    return type_


def require_modest(
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    variables: Mapping[str, Any],
) -> None:
    """Returns when an operation, with these coerced variables, asks for no more than one may; else raises BadRequest
    (query_too_large)."""
    measure = _Measure(schema, fragments, variables)
    root = schema.get_root_type(operation.operation)
    measure.walk(operation.selection_set, root, (), 1, schema=False)
    if measure.nodes > MOST_NODES:
        where, nodes = measure.widest
        raise _too_large(
            f"The query may read {measure.nodes:,} nodes; {MOST_NODES:,} are allowed. Most of them are `{where}` with "
            f"{nodes:,}: give it, or what it is nested in, a smaller `first`."
        )


def _too_large(message: str) -> BadRequest:
    return BadRequest(message, code="query_too_large")
