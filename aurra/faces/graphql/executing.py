"""Executing a document: what comes of it, and errors as the contract has them."""

import inspect
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, cast

import graphql
import msgspec
from graphql import (
    ExecutionResult,
    GraphQLError,
    IntValueNode,
    OperationDefinitionNode,
    OperationType,
    VariableDefinitionNode,
)

from aurra.errors import CODES, AurraError, BadRequest
from aurra.faces import problems
from aurra.faces.graphql.documents import CODE, Document, Documents, Wrong
from aurra.faces.graphql.limits import require_modest
from aurra.faces.graphql.schema import schema
from aurra.faces.graphql.state import State

MOST_COERCION_ERRORS = 20
# The library's types are generic over what no type of ours is.
_library: Any = graphql


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A GraphQL request."""

    query: str
    variables: dict[str, Any] | None = None
    operationName: str | None = None
    extensions: dict[str, Any] | None = None


class Chosen(msgspec.Struct, frozen=True):
    """What a request asks to be executed."""

    document: Document
    operation: OperationDefinitionNode
    asked: Asked

    @property
    def kind(self) -> OperationType:
        """Whether it reads, writes, or goes on."""
        return self.operation.operation


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, and the status of a request of which nothing was executed."""

    body: dict[str, Any]
    refused: int | None = None


class Refused(Exception):
    """Nothing was executed, and this is what is answered."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__("refused")
        self.outcome = outcome


def choose(documents: Documents, asked: Asked) -> Chosen:
    """What is asked for, held to the schema and to its limits. Raises Wrong, or BadRequest."""
    document = documents.find(asked.query)
    operation = document.operation(asked.operationName)
    require_modest(schema(), operation, document.fragments, _numbers(operation, asked.variables or {}))
    return Chosen(document, operation, asked)


def _numbers(operation: OperationDefinitionNode, given: Mapping[str, Any]) -> dict[str, Any]:
    """The variables as given, or else the numbers that are their defaults."""
    defaults = {node.variable.name.value: node.default_value for node in operation.variable_definitions or ()}
    usual = {name: int(node.value) for name, node in defaults.items() if isinstance(node, IntValueNode)}
    return usual | dict(given)


async def run(state: State, chosen: Chosen) -> Outcome:
    """What comes of a query or a mutation."""
    return told(state, await _played(_library.execute, state, chosen))


async def follow(state: State, chosen: Chosen) -> AsyncGenerator[ExecutionResult] | Outcome:
    """The results of a subscription, as they come; or why it cannot begin."""
    results: AsyncGenerator[ExecutionResult] | ExecutionResult = await _played(_library.subscribe, state, chosen)
    return told(state, results) if isinstance(results, ExecutionResult) else results


async def _played(play: Callable[..., Any], state: State, chosen: Chosen) -> Any:
    found = play(
        schema(),
        chosen.document.node,
        context_value=state,
        variable_values=chosen.asked.variables,
        operation_name=chosen.asked.operationName,
        max_coercion_errors=MOST_COERCION_ERRORS,
    )
    return await found if inspect.isawaitable(found) else found


def told(state: State, result: ExecutionResult) -> Outcome:
    """The answer that a result is."""
    errors = [problem(error, state.request_id) for error in result.errors or ()]
    if result.data is None and errors and not any("path" in error for error in errors):
        return refused(errors)
    body: dict[str, Any] = {"data": result.data}
    if errors:
        body["errors"] = errors
    beside = {"replayed": state.replayed, "plan_warning": state.plan_warning}
    if extensions := {name: value for name, value in beside.items() if value}:
        body["extensions"] = extensions
    return Outcome(body=body)


def not_chosen(error: Exception, request_id: str) -> Outcome:
    """The answer to a request that was refused, or that failed."""
    if isinstance(error, Refused):
        return error.outcome
    if isinstance(error, Wrong):
        return refused([problem(one, request_id) for one in error.errors])
    return refused([problem(GraphQLError(str(error), original_error=error), request_id)])


def refused(errors: list[dict[str, Any]]) -> Outcome:
    """The answer to a request of which nothing was executed."""
    return Outcome(body={"errors": errors}, refused=errors[0]["extensions"]["status"])


def problem(error: GraphQLError, request_id: str) -> dict[str, Any]:
    """An error as GraphQL has it, with the members of the contract's problem in `extensions`."""
    document = cast("dict[str, Any]", dict(error.formatted))
    original = error.original_error
    if original is None or isinstance(original, GraphQLError):
        document["extensions"] = _of_the_query(error, request_id)
        return document
    ours = problems.told(original, request_id, "GraphQL")
    document["message"] = str(ours)
    document["extensions"] = _members(ours, request_id)
    return document


def _of_the_query(error: GraphQLError, request_id: str) -> dict[str, Any]:
    """The members of what the library says of a query."""
    extensions = error.extensions or {}
    variable = next((node for node in error.nodes or () if isinstance(node, VariableDefinitionNode)), None)
    code = cast(str, extensions.get(CODE) or ("validation_error" if variable or error.path else "invalid_query"))
    status, hint = CODES[code]
    param = variable.variable.name.value if variable else None
    return {CODE: code, "status": status, "hint": hint, "param": param, "request_id": request_id}


def _members(error: AurraError, request_id: str) -> dict[str, Any]:
    # Where a problem has a `status` of its own, as that of the settings, the number is what is told here.
    members: dict[str, Any] = {
        **error.extra,
        CODE: error.code,
        "status": error.status,
        "hint": error.hint,
        "param": error.param,
        "request_id": request_id,
    }
    if error.errors:
        members["errors"] = error.errors
    if not isinstance(error.detail, str):
        members["detail"] = error.detail
    if error.retry_after is not None:
        members["retry_after"] = error.retry_after
    return members


def not_over_http() -> BadRequest:
    """Why a subscription has no answer over plain HTTP."""
    return BadRequest(
        "A subscription goes on: ask for it over a WebSocket at the same path (graphql-transport-ws).",
        code="invalid_query",
    )
