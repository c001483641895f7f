"""Documents: parsed, held to the schema, and kept for the next time that the same text comes."""

from collections import OrderedDict
from typing import Any

import msgspec
from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    parse,
    specified_rules,
    validate,
)
from graphql.validation import (
    ASTValidationRule,
    KnownArgumentNamesRule,
    ProvidedRequiredArgumentsRule,
    ValuesOfCorrectTypeRule,
)

from aurra.errors import BadRequest
from aurra.faces.graphql.limits import MOST_TOKENS

LONGEST = 100_000
"""Characters of a document; what is longer belongs into its variables."""
MOST_COMMENTS = 1_000
MOST_KEPT = 100
LONGEST_KEPT = 8_000
"""Characters; a parsed one takes some hundred times as many bytes."""
MOST_ERRORS = 20
CODE = "code"
_ABORTED = "Validation aborted."
"""What the library says where fields that may be the same are too many to compare."""


class Document(msgspec.Struct, frozen=True):
    """A document that the schema allows."""

    node: DocumentNode
    operations: dict[str | None, OperationDefinitionNode]
    fragments: dict[str, FragmentDefinitionNode]

    def operation(self, name: str | None) -> OperationDefinitionNode:
        """The one that is asked for. Raises BadRequest where that is not one."""
        if name is None and len(self.operations) == 1:
            return next(iter(self.operations.values()))
        if name is None:
            raise BadRequest("The document has several operations: name one in `operationName`.", code="invalid_query")
        if name not in self.operations:
            raise BadRequest("The document has no operation of that `operationName`.", code="invalid_query")
        return self.operations[name]


class Wrong(Exception):
    """A document that cannot be executed, with what is wrong with it."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__(f"{len(errors)} errors")
        self.errors = errors


class _Telling:
    """What a rule sees of a document, whose errors have a code."""

    def __init__(self, context: Any, code: str) -> None:
        self._context = context
        self._code = code

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def report_error(self, error: GraphQLError) -> None:
        error.extensions = {CODE: self._code}
        self._context.report_error(error)


def _told_as(rule: Any, code: str) -> type[ASTValidationRule]:
    """The rule: what is wrong with an argument is told as it is of a request's field."""

    def begin(self: Any, context: Any) -> None:
        rule.__init__(self, _Telling(context, code))

    return type(rule.__name__, (rule,), {"__init__": begin})


_TOLD: dict[type[ASTValidationRule], type[ASTValidationRule]] = {
    KnownArgumentNamesRule: _told_as(KnownArgumentNamesRule, "unknown_field"),
    ProvidedRequiredArgumentsRule: _told_as(ProvidedRequiredArgumentsRule, "validation_error"),
    ValuesOfCorrectTypeRule: _told_as(ValuesOfCorrectTypeRule, "validation_error"),
}
RULES = tuple(_TOLD.get(rule, rule) for rule in specified_rules)


class Documents:
    """The documents that came lately, by their text."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._kept: OrderedDict[str, Document] = OrderedDict()

    def find(self, text: str) -> Document:
        """The document of a text. Raises Wrong."""
        if (kept := self._kept.get(text)) is not None:
            self._kept.move_to_end(text)
            return kept
        document = self._read(text)
        if len(text) <= LONGEST_KEPT:
            self._kept[text] = document
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return document

    def _read(self, text: str) -> Document:
        if len(text) > LONGEST:
            raise BadRequest(
                f"The query has {len(text):,} characters; {LONGEST:,} are allowed: send long texts in `variables`.",
                code="query_too_large",
            )
        try:
            node = parse(text, max_lexical_tokens=MOST_TOKENS, max_comments=MOST_COMMENTS)
        except GraphQLError as error:
            # The library tells these apart in its messages only.
            is_long = "tokens" in error.message or "comments" in error.message or "too deeply" in error.message
            error.extensions = {CODE: "query_too_large" if is_long else "malformed_query"}
            raise Wrong([error]) from None
        errors = validate(self._schema, node, RULES, max_errors=MOST_ERRORS)
        if any(error.message == _ABORTED for error in errors):
            raise BadRequest("The query names too many fields alike to compare them all.", code="query_too_large")
        if errors:
            raise Wrong(errors)
        return Document(
            node=node,
            operations={
                one.name.value if one.name else None: one
                for one in node.definitions
                if isinstance(one, OperationDefinitionNode)
            },
            fragments={one.name.value: one for one in node.definitions if isinstance(one, FragmentDefinitionNode)},
        )


def is_subscription(operation: OperationDefinitionNode) -> bool:
    """Whether it goes on."""
    return operation.operation is OperationType.SUBSCRIPTION
