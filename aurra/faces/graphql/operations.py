"""Every operation of the registry as a field: its request as arguments, its answer as a type."""

from typing import Any, cast

import msgspec
from graphql import GraphQLArgument, GraphQLField, GraphQLString

from aurra.errors import PayloadTooLarge
from aurra.faces import asking
from aurra.faces.graphql.state import State
from aurra.faces.graphql.types import Types
from aurra.ops import Operation, checks
from aurra.ops.nodes import Times

LIST = "list"
"""In a field's extensions: how many nodes it stands for where `limit` is absent."""
KEY = "idempotency_key"
TIMES = ("as_of", "transaction_as_of")


def has_both_times(op: Operation) -> bool:
    """Whether it can be asked as of both times."""
    return op.is_read_only and set(TIMES) <= set(op.request.__struct_fields__)


def field_of(op: Operation, types: Types, *, at: bool = False) -> GraphQLField:
    """The field of an operation; `at` a moment that stands above it. Raises TypeError where its request has a field of
    the name that its Idempotency-Key has here."""
    arguments = types.arguments_of(op.request)
    if op.is_idempotent:
        if KEY in arguments:
            raise TypeError(f"{op.name} has a field `{KEY}`, and takes an Idempotency-Key")
        arguments[KEY] = GraphQLArgument(
            GraphQLString, description="The same again gets the stored answer, for 24 hours."
        )
    if at:
        arguments = {name: argument for name, argument in arguments.items() if name not in TIMES}
    ceiling = "" if op.keeps_ceiling else " Refused to keys with a ceiling."
    keyless = f" Takes no Idempotency-Key: {op.keyless}" if op.keyless else ""
    return GraphQLField(
        types.object_of(op.answer),
        arguments,
        resolve=_resolver(op),
        description=f"{(op.run.__doc__ or '').strip()}\n\nScope: `{op.scope}`.{ceiling}{keyless}",
        extensions={LIST: _usual(op)} if "limit" in arguments else {},
    )


def _usual(op: Operation) -> int:
    field = next(field for field in msgspec.structs.fields(op.request) if field.name == "limit")
    return checks.MOST_RESULTS if field.default in (msgspec.NODEFAULT, None) else cast(int, field.default)


def _resolver(op: Operation) -> Any:
    async def resolve(source: Any, info: Any, /, **given: Any) -> Any:
        state: State = info.context
        key = given.pop(KEY, None) if op.is_idempotent else None
        if isinstance(source, Times):
            given |= {name: getattr(source, name) for name in TIMES}
        arguments = msgspec.json.encode(given)
        if len(arguments) > op.body_limit:
            raise PayloadTooLarge(f"The arguments of `{op.id}` are over {op.body_limit // 1024 // 1024} MiB.")
        async with state.reader.place():
            asked = await asking.ask(
                state.service, state.caller, op, arguments, request_id=state.request_id, idempotency_key=key
            )
        if asked.replayed:
            state.replayed.append(info.path.key)
        state.plan_warning = asked.plan_warning or state.plan_warning
        return asked.answer

    return resolve
