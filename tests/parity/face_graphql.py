"""GraphQL as a face: one field a request, all fields of its answer selected, over HTTP."""

from typing import Any, cast

import httpx2
import msgspec
from graphql import GraphQLObjectType, GraphQLSchema
from msgspec import inspect as shapes

from aurra.faces.graphql.operations import KEY
from aurra.faces.graphql.schema import schema
from aurra.ops import Operation
from tests.parity.face import Json, Told


class GraphQL:
    """Asks at `/graphql`, with variables for all fields."""

    def __init__(self, client: httpx2.AsyncClient, path: str = "/graphql") -> None:
        self._client = client
        self._path = path

    async def ask(
        self, op: Operation, fields: Json, *, api_key: str | None, idempotency_key: str | None = None
    ) -> Told:
        """The answer, as REST would have it; or the problem."""
        given = fields if idempotency_key is None else {**fields, KEY: idempotency_key}
        query, variables = query_of(op, given)
        headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        sent = {"query": query, "variables": variables}
        response = await self._client.post(self._path, json=sent, headers=headers)
        body = response.json()
        if response.status_code != 200:
            return Told(response.status_code, body)
        if "errors" in body:
            return _problem(body["errors"][0])
        return Told(200, without_unset(shapes.type_info(op.answer), body["data"][op.id]))


def query_of(op: Operation, fields: Json) -> tuple[str, Json]:
    """The document that asks for an operation with these fields, and its variables. A field that it does not have is
    asked for as any client would, and refused."""
    root: Any = schema().query_type if op.is_read_only else schema().mutation_type
    field = root.fields[op.id]
    known = {name: value for name, value in fields.items() if name in field.args}
    declared = ", ".join(f"${name}: {field.args[name].type}" for name in known)
    given = [f"{name}: ${name}" for name in known]
    given += [f"{name}: {_literal(value)}" for name, value in fields.items() if name not in known]
    kind = "query" if op.is_read_only else "mutation"
    arguments = f"({', '.join(given)})" if given else ""
    selected = selection(schema(), field.type)
    return f"{kind} {f'({declared})' if declared else ''} {{ {op.id}{arguments} {selected} }}", known


def selection(of: GraphQLSchema, type_: Any) -> str:
    """All fields of a type, and of the types inside it."""
    while (inner := getattr(type_, "of_type", None)) is not None:
        type_ = inner
    if not isinstance(type_, GraphQLObjectType):
        return ""
    fields: dict[str, Any] = dict(type_.fields)
    return f"{{ {' '.join(f'{name} {selection(of, field.type)}' for name, field in fields.items())} }}"


def without_unset(shape: Any, value: Any) -> Any:
    """The answer without fields that are null here and not there elsewhere."""
    match shape:
        case shapes.Metadata():
            return without_unset(shape.type, value)
        case shapes.UnionType():
            members = [one for one in shape.types if not isinstance(one, shapes.NoneType)]
            return value if value is None or len(members) > 1 else without_unset(members[0], value)
        case shapes.ListType():
            return [without_unset(shape.item_type, one) for one in cast("list[Any]", value)]
        case shapes.StructType():
            kept = {field.encode_name: field for field in shape.fields}
            return {
                name: without_unset(kept[name].type, inner)
                for name, inner in cast("dict[str, Any]", value).items()
                if inner is not None or not _may_be_unset(kept[name])
            }
        case _:
            return value


def _may_be_unset(field: shapes.Field) -> bool:
    nothing = msgspec.NODEFAULT
    return not field.required and field.default is nothing and field.default_factory is nothing


def _literal(value: Any) -> str:
    return msgspec.json.encode(value).decode() if not isinstance(value, dict | list) else '""'


def _problem(error: Json) -> Told:
    members = error["extensions"]
    return Told(members["status"], {"detail": error["message"], **members})
