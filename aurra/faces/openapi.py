"""The OpenAPI 3.1 document and the index, both from the registry."""

from typing import Any

import msgspec

from aurra import __version__
from aurra.errors import CODES
from aurra.ops import OPERATIONS, Operation

_REFERENCE = "#/components/schemas/{name}"


def document() -> dict[str, Any]:
    """OpenAPI of every operation."""
    types = [type_ for op in OPERATIONS.values() for type_ in (op.request, op.answer)]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    by_type = dict(zip(types, schemas, strict=True))
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
        "paths": paths,
        "components": {
            "schemas": {**components, "Problem": _problem()},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "A key: aurra_…"}},
        },
    }


def index() -> dict[str, Any]:
    """What this service does and where, for a machine to read first."""
    return {
        "name": "aurra",
        "version": __version__,
        "description": "Memory infrastructure for AI agents. Authorization: Bearer aurra_…",
        "openapi": "/openapi.json",
        "graphql": "/graphql",
        "health": {"live": "/health/live", "ready": "/health/ready"},
        "operations": [
            {
                "id": op.id,
                "name": op.name,
                "method": op.method,
                "path": op.path,
                "scope": op.scope,
                "idempotent": op.is_idempotent,
                "summary": op.summary,
                "request": f"/openapi.json{_REFERENCE.format(name=op.request.__name__)}",
                "answer": f"/openapi.json{_REFERENCE.format(name=op.answer.__name__)}",
            }
            for op in OPERATIONS.values()
        ],
        "errors": {code: {"status": status, "hint": hint} for code, (status, hint) in CODES.items()},
    }


def _operation(op: Operation, schemas: dict[Any, Any], components: dict[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = components[op.request.__name__].get("properties", {})
    inside_path = [
        {"name": name, "in": "path", "required": True, "schema": properties[name]} for name in op.path_parameters
    ]
    ceiling = "" if op.keeps_ceiling else " Refused to keys with a ceiling."
    rest = {name: schema for name, schema in properties.items() if name not in op.path_parameters}
    described: dict[str, Any] = {
        "operationId": op.id,
        "summary": op.summary,
        "description": f"{(op.run.__doc__ or '').strip()}\n\nScope: `{op.scope}`.{ceiling}"
        + (f" Takes no Idempotency-Key: {op.keyless}" if op.keyless else ""),
        "x-aurra-name": op.name,
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
        parameters += [{"name": name, "in": "query", "schema": schema} for name, schema in rest.items()]
    else:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _body(op, rest, schemas, components)}},
        }
    if op.is_idempotent:
        header = {"type": "string", "minLength": 1, "maxLength": 255}
        parameters.append({"name": "Idempotency-Key", "in": "header", "schema": header})
    return {**described, "parameters": parameters} if parameters else described


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
            "type": text,
            "title": text,
            "status": {"type": ["integer", "string"]},
            "detail": {"type": ["string", "object"]},
            "code": {"type": "string", "enum": list(CODES)},
            "param": {"type": ["string", "null"]},
            "errors": {"type": "array", "items": {"type": "object"}},
            "request_id": text,
            "hint": text,
        },
    }
