"""The OpenAPI 3.1 document, from the registry."""

import inspect
import re
from collections.abc import Iterator
from typing import Any, cast, get_args

import msgspec
from msgspec import UNSET

from aurra import __version__
from aurra.errors import CODES
from aurra.ops import OPERATIONS, Operation

_REFERENCE = "#/components/schemas/{name}"
_NAMED = re.compile(r'"#/components/schemas/(\w+)"')
_ONCE = "The same key with the same request is answered as the first was, for 24 hours, and has no second effect."


def document() -> dict[str, Any]:
    """OpenAPI of every operation."""
    types = [type_ for op in OPERATIONS.values() for type_ in (op.request, op.answer)]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    by_type = dict(zip(types, schemas, strict=True))
    _require_what_is_answered(components)
    paths: dict[str, dict[str, Any]] = {}
    for op in OPERATIONS.values():
        paths.setdefault(op.path, {})[op.method.lower()] = _operation(op, by_type, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Aurra",
            "version": __version__,
            "description": "Memory infrastructure for AI agents: bitemporal, tenant-scoped, grounded in citations.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"key": []}],
        "tags": [{"name": noun} for noun in dict.fromkeys(op.noun for op in OPERATIONS.values())],
        "paths": paths,
        "components": {
            "schemas": {**components, "Problem": _problem()},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "A key: aurra_…"}},
        },
    }


def _operation(op: Operation, schemas: dict[Any, Any], components: dict[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = components[op.request.__name__].get("properties", {})
    inside_path = [_parameter(name, "path", properties[name], required=True) for name in op.path_parameters]
    said = inspect.cleandoc(op.run.__doc__ or "")
    ceiling = "" if op.keeps_ceiling else " Refused to keys with a ceiling."
    rest = {name: schema for name, schema in properties.items() if name not in op.path_parameters}
    described: dict[str, Any] = {
        "operationId": op.id,
        "summary": op.summary,
        "description": f"{said}\n\nScope: `{op.scope}`.{ceiling}"
        + (f" Takes no Idempotency-Key: {op.keyless}" if op.keyless else ""),
        "tags": [op.noun],
        "x-aurra-name": op.name,
        "x-aurra-request": _REFERENCE.format(name=op.request.__name__),
        "x-aurra-repeatable": op.is_repeatable,
        **({"x-aurra-aliases": list(op.aliases)} if op.aliases else {}),
        "responses": {
            "200": {"description": "Done.", "content": _content(op, schemas)},
            "default": {
                "description": "An error; `code` says which.",
                "content": {"application/problem+json": {"schema": {"$ref": _REFERENCE.format(name="Problem")}}},
            },
        },
    }
    parameters = list(inside_path)
    if op.method in ("GET", "DELETE"):
        required = components[op.request.__name__].get("required", [])
        parameters += [_parameter(name, "query", schema, required=name in required) for name, schema in rest.items()]
    else:
        described["requestBody"] = {
            "required": True,
            "content": {
                "application/json": {"schema": _body(op, rest, schemas, components), "example": dict(op.example)}
            },
        }
    if op.is_idempotent:
        header = {"type": "string", "minLength": 1, "maxLength": 255}
        parameters.append({"name": "Idempotency-Key", "in": "header", "description": _ONCE, "schema": header})
    return {**described, "parameters": parameters} if parameters else described


def description(schema: Any) -> str:
    """What a schema says of what it describes, the outermost first; else nothing."""
    if not isinstance(schema, dict):
        return ""
    given = cast("dict[str, Any]", schema)
    choices: list[Any] = given.get("anyOf", [])
    said = [str(given.get("description", "")), *(description(choice) for choice in choices)]
    return next(filter(None, said), "")


def _parameter(name: str, place: str, schema: dict[str, Any], *, required: bool) -> dict[str, Any]:
    said = description(schema)
    return {
        "name": name,
        "in": place,
        **({"required": True} if required else {}),
        **({"description": said} if said else {}),
        "schema": schema,
    }


def _require_what_is_answered(components: dict[str, Any]) -> None:
    """In what is only answered, a field with a default is always there; its default is what an older service, which
    lacks it, would have said."""
    asked = _reached(components, [op.request.__name__ for op in OPERATIONS.values()])
    answered = {struct.__name__: struct for op in OPERATIONS.values() for struct in _structs_in(op.answer)}
    for name in answered.keys() - asked:
        fields = msgspec.structs.fields(answered[name])
        components[name]["required"] = [field.encode_name for field in fields if field.default is not UNSET]


def _structs_in(type_: Any) -> Iterator[type[msgspec.Struct]]:
    """Every Struct that a type is made of, itself first."""
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        yield type_
        for field in msgspec.structs.fields(type_):
            yield from _structs_in(field.type)
    for argument in get_args(type_):
        yield from _structs_in(argument)


def _reached(components: dict[str, Any], names: list[str]) -> set[str]:
    """The names, and those of all that their schemas refer to."""
    found: set[str] = set()
    while names:
        if (name := names.pop()) not in found:
            found.add(name)
            names += _NAMED.findall(msgspec.json.encode(components[name]).decode())
    return found


def _content(op: Operation, schemas: dict[Any, Any]) -> dict[str, Any]:
    """The answer's schema, and that it is a page of Markdown for those who ask for one."""
    as_json = {"application/json": {"schema": schemas[op.answer]}}
    return as_json if op.markdown is None else {**as_json, "text/markdown": {"schema": {"type": "string"}}}


def _body(op: Operation, rest: dict[str, Any], schemas: dict[Any, Any], components: dict[str, Any]) -> dict[str, Any]:
    """The request's schema, without what stands in the path."""
    if not op.path_parameters:
        return schemas[op.request]
    required = [name for name in components[op.request.__name__].get("required", []) if name in rest]
    return {"type": "object", "properties": rest, **({"required": required} if required else {})}


def _problem() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "type": "object",
        "description": "RFC 9457, with the code, the field and what to do.",
        "required": ["detail", "status", "code", "request_id"],
        "properties": {
            "type": {**text, "description": "The code as a URN."},
            "title": {**text, "description": "What HTTP calls the status."},
            "status": {"type": ["integer", "string"], "description": "The status; `error` for settings out of range."},
            "detail": {
                "type": ["string", "object"],
                "description": "A sentence; an object with a `message` where the plan blocks or a model failed.",
            },
            "code": {**text, "enum": list(CODES), "description": "Stable; branch on it."},
            "param": {"type": ["string", "null"], "description": "The field that is wrong, if it is one."},
            "errors": {"type": "array", "items": {"type": "object"}, "description": "Every field that is wrong."},
            "request_id": {**text, "description": "What the service's log calls this request."},
            "hint": {**text, "description": "What to do next."},
        },
    }
