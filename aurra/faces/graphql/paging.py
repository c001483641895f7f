"""What a collection's field is asked with: a page, a filter, an order; and the types of these, in pg_graphql's form."""

from collections.abc import Hashable, Iterator
from typing import Any, cast

from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLString,
    InlineFragmentNode,
    SelectionSetNode,
)

from aurra.errors import BadRequest
from aurra.faces.graphql.scalars import BIG_INT, DATETIME
from aurra.faces.graphql.types import Types, by
from aurra.ops import collections, filtering
from aurra.ops.collections import DEFAULT_ON_A_PAGE, MOST_ON_A_PAGE, Asked, Page
from aurra.ops.listings import Collection

FILTER_IS = GraphQLEnumType("FilterIs", {name: name for name in filtering.IS})
DIRECTION = GraphQLEnumType(
    "OrderByDirection",
    {name: name for name in filtering.ORDERS},
    description="Ascending or descending, and where rows without a value come.",
)
PAGE_INFO = GraphQLObjectType(
    "PageInfo",
    {
        "hasNextPage": GraphQLField(GraphQLNonNull(GraphQLBoolean), resolve=by(lambda page, _info: page.has_next)),
        "hasPreviousPage": GraphQLField(
            GraphQLNonNull(GraphQLBoolean), resolve=by(lambda page, _info: page.has_previous)
        ),
        "startCursor": GraphQLField(GraphQLString, resolve=by(lambda page, info: _end_cursor(page, info, 0))),
        "endCursor": GraphQLField(GraphQLString, resolve=by(lambda page, info: _end_cursor(page, info, -1))),
    },
)
_SCALARS: dict[str, Any] = {
    "text": GraphQLString,
    "number": BIG_INT,
    "instant": DATETIME,
    "truth": GraphQLBoolean,
    "texts": GraphQLString,
}
_NAMES = {
    "text": "StringFilter",
    "number": "BigIntFilter",
    "instant": "DatetimeFilter",
    "truth": "BooleanFilter",
    "texts": "StringListFilter",
}
_SAID = {
    "eq": "Equal.",
    "neq": "Not equal; what is absent is neither.",
    "in": "One of these.",
    "like": "As LIKE has it: % is any text, _ any character, a backslash takes the next as it is.",
    "ilike": "As `like`, without regard to case.",
    "is": "Whether there is a value.",
    "contains": "Holds all of these.",
    "overlaps": "Holds one of these.",
}


def _end_cursor(page: Page, info: Any, place: int) -> str | None:
    return collections.cursor_of(info.context.reader, page.edges[place]) if page.edges else None


class Arguments:
    """The arguments of collections, of which types are made once."""

    def __init__(self, types: Types) -> None:
        self._types = types
        self._filters: dict[str, GraphQLInputObjectType] = {}

    def of(self, named: str, collection: Collection) -> dict[str, GraphQLArgument]:
        """The arguments of a collection whose nodes are called so."""
        return {
            "first": GraphQLArgument(
                GraphQLInt, description=f"The first so many, up to {MOST_ON_A_PAGE}; {DEFAULT_ON_A_PAGE} if absent."
            ),
            "last": GraphQLArgument(GraphQLInt, description="The last so many, in the same order."),
            "after": GraphQLArgument(GraphQLString, description="What comes after this cursor; with `first`."),
            "before": GraphQLArgument(GraphQLString, description="What comes before this cursor; with `last`."),
            "filter": GraphQLArgument(self._filter(named, collection)),
            "orderBy": GraphQLArgument(
                GraphQLList(GraphQLNonNull(self._order(named, collection))),
                description="By each in turn; what is alike in all comes in an order of its own, always the same.",
            ),
        }

    def _filter(self, named: str, collection: Collection) -> GraphQLInputObjectType:
        name = f"{named}Filter"
        if name not in self._filters:
            self._filters[name] = GraphQLInputObjectType(
                name,
                lambda: {
                    **{
                        column: GraphQLInputField(self._condition(collection, column, kind))
                        for column, kind in collection.kinds.items()
                    },
                    "and": GraphQLInputField(GraphQLList(GraphQLNonNull(self._filters[name]))),
                    "or": GraphQLInputField(GraphQLList(GraphQLNonNull(self._filters[name]))),
                    "not": GraphQLInputField(self._filters[name]),
                },
                description="All of it must hold.",
            )
        return self._filters[name]

    def _order(self, named: str, collection: Collection) -> GraphQLInputObjectType:
        name = f"{named}OrderBy"
        if name not in self._filters:
            fields = {column: GraphQLInputField(DIRECTION) for column in collection.sortable}
            self._filters[name] = GraphQLInputObjectType(name, fields)
        return self._filters[name]

    def _condition(self, collection: Collection, column: str, kind: filtering.Kind) -> GraphQLInputObjectType:
        """The operators of a column's kind."""
        if kind == "choice":
            scalar: Any = self._types.enum_of(collection.shown, column)
            name = f"{scalar.name}Filter"
        else:
            scalar, name = _SCALARS[kind], _NAMES[kind]
        if name not in self._filters:
            several: Any = GraphQLList(GraphQLNonNull(scalar))
            taken: dict[str, Any] = {"in": several, "contains": several, "overlaps": several, "is": FILTER_IS}
            if kind in ("text", "choice"):
                taken |= {"like": GraphQLString, "ilike": GraphQLString}
            self._filters[name] = GraphQLInputObjectType(
                name,
                {
                    operator: GraphQLInputField(taken.get(operator, scalar), description=_SAID.get(operator))
                    for operator in filtering.OPERATORS[kind]
                },
            )
        return self._filters[name]


def asked(collection: Collection, info: Any, given: dict[str, Any]) -> Asked:
    """The page that the arguments ask for, reckoned once for all parents of a request. Raises BadRequest for what
    cannot be meant."""
    known: dict[Hashable, Asked] = info.context.asked
    place = tuple(id(node) for node in info.field_nodes)
    if place not in known:
        known[place] = _asked(collection, info, given)
    return known[place]


def _asked(collection: Collection, info: Any, given: dict[str, Any]) -> Asked:
    backward = given.get("last") is not None or given.get("before") is not None
    refused = ("first", "after") if backward else ("last", "before")
    if wrong := next((name for name in refused if given.get(name) is not None), None):
        raise BadRequest("Ask with `first` and `after`, or with `last` and `before`, not with both.", param=wrong)
    name = "last" if backward else "first"
    limit = given.get(name)
    place = "before" if backward else "after"
    if limit is not None and not 0 <= limit <= MOST_ON_A_PAGE:
        raise BadRequest(
            f"`{name}` must lie in 0…{MOST_ON_A_PAGE}: go on from page to page with `{place}`.",
            code="out_of_range",
            param=name,
        )
    return Asked(
        limit=DEFAULT_ON_A_PAGE if limit is None else limit,
        backward=backward,
        cursor=given.get(place),
        chosen=filtering.selection(given.get("filter"), collection.kinds),
        orders=filtering.orders(given.get("orderBy")),
        counted="totalCount" in _selected(info, [node.selection_set for node in info.field_nodes], set()),
    )


def _selected(info: Any, sets: "list[SelectionSetNode | None]", seen: set[str]) -> Iterator[str]:
    """Names of the fields that are selected, in fragments too, each of which is looked at once."""
    for selection in (one for selections in sets if selections for one in selections.selections):
        match selection:
            case FieldNode():
                yield selection.name.value
            case InlineFragmentNode():
                yield from _selected(info, [selection.selection_set], seen)
            case FragmentSpreadNode() if selection.name.value not in seen:
                seen.add(selection.name.value)
                yield from _selected(info, [info.fragments[selection.name.value].selection_set], seen)
            case _:
                pass


def tenant(given: dict[str, Any]) -> str | None:
    """The tenant that is asked for."""
    return cast("str | None", given.get("tenant_id"))
