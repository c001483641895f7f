"""A model's text to the object its schema asks for: parsed, repaired where that invents nothing, checked. Pure."""

import re
from collections.abc import Iterator
from typing import Any, cast

import msgspec

REPAIRABLE = 262_144
"""Characters. A longer text must be JSON as it stands."""

_SEVERAL = 16
"""A text with more objects than this side by side is no answer."""

# Every branch matches to the end of the text: a string that failed to match would be tried anew from each quote in it.
_STRING = r'"(?:[^"\\]|\\.?)*+(?:"|\Z)'
_OPENING = re.compile(r"\{")
_INSIDE = re.compile(_STRING + r"|[{}]", re.DOTALL)
_TRAILING_COMMA = re.compile(rf"({_STRING})|,(\s*+[}}\]])", re.DOTALL)

_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
    "integer": int,
    "number": (int, float),
}


class Unusable(ValueError):
    """The text holds no value that fits. The message names places of the schema, never content of the text."""


def read(text: str, schema: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """The object in `text`, without keys that the schema forbids, and whether finding it took repairs.

    Repairs: white space, prose, code fences or thoughts around the object, and trailing commas. What was cut off is not
    completed, and of several objects that fit none is chosen. Raises `Unusable`.
    """
    try:
        value = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return _dug_out(text.rpartition("</think>")[2], schema), True
    return fitted(value, schema), False


def fitted(value: object, schema: dict[str, Any]) -> dict[str, Any]:
    """`value` as the schema asks, without the keys it forbids.

    Checked: type, required, properties, additionalProperties, items, enum, anyOf, oneOf and local $ref. Raises
    `Unusable`, also where the value is no object.
    """
    if not isinstance(value, dict):
        raise Unusable("answered with JSON that is no object")
    try:
        return _fit(value, schema, schema, "the answer")
    except RecursionError:
        raise Unusable("answered with JSON that is nested too deep") from None


def is_strict(schema: dict[str, Any]) -> bool:
    """Whether each object lists all its properties as required and allows no others, as OpenAI's strict mode asks."""
    properties: dict[str, Any] = schema.get("properties", {})
    required = set(schema.get("required", ()))
    if schema.get("type") == "object" and (
        schema.get("additionalProperties") is not False or required != set(properties)
    ):
        return False
    nested = [*properties.values(), *schema.get("$defs", {}).values(), *schema.get("anyOf", ())]
    if "items" in schema:
        nested.append(schema["items"])
    return all(map(is_strict, nested))


def spelled_out(system: str, schema: dict[str, Any]) -> str:
    """`system`, then the demand for one JSON object, then the schema on the last line."""
    return (
        f"{system}\n\nAnswer with one JSON object and nothing else. It must fit this JSON Schema:\n"
        f"{msgspec.json.encode(schema).decode()}"
    )


def _dug_out(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    """The one object inside `text` that parses and fits."""
    fitting: list[dict[str, Any]] = []
    misfit: Unusable | None = None
    for part in _objects(text):
        try:
            value = msgspec.json.decode(_TRAILING_COMMA.sub(r"\1\2", part))
        except (ValueError, RecursionError):
            continue
        try:
            fitting.append(fitted(value, schema))
        except Unusable as unusable:
            misfit = unusable
    match fitting:
        case [only]:
            return only
        case []:
            raise misfit or Unusable("answered with no valid JSON")
        case _:
            raise Unusable("answered with several JSON objects")


def _objects(text: str) -> Iterator[str]:
    """The parts of `text` from an outer `{` to its `}`. Raises `Unusable` when one is never closed."""
    if len(text) > REPAIRABLE:
        raise Unusable("answered with no valid JSON")
    depth = begin = at = found = 0
    while token := (_INSIDE if depth else _OPENING).search(text, at):
        at = token.end()
        if token[0] == "{":
            begin = begin if depth else token.start()
            depth += 1
        elif token[0] == "}":
            depth -= 1
            if depth == 0:
                found += 1
                yield text[begin:at]
        if found > _SEVERAL:
            raise Unusable("answered with several JSON objects")
    if depth:
        raise Unusable("answered with JSON that was cut off")


def _fit(value: Any, schema: dict[str, Any] | bool | None, root: dict[str, Any], path: str) -> Any:
    if not schema or schema is True:
        return value
    if "$ref" in schema:
        return _fit(value, _resolved(schema["$ref"], root), root, path)
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return _fit_any(value, choices, root, path)
    value = _of_type(value, schema.get("type"), path)
    if "enum" in schema and value not in schema["enum"]:
        raise Unusable(f"answered with JSON that does not fit the schema: {path} is none of the values allowed")
    if isinstance(value, dict):
        return _fit_object(cast("dict[str, Any]", value), schema, root, path)
    if isinstance(value, list):
        items = enumerate(cast("list[Any]", value))
        return [_fit(item, schema.get("items"), root, f"{path}[{index}]") for index, item in items]
    return value


def _fit_object(value: dict[str, Any], schema: dict[str, Any], root: dict[str, Any], path: str) -> dict[str, Any]:
    properties: dict[str, Any] = schema.get("properties", {})
    for key in schema.get("required", ()):
        if key not in value:
            raise Unusable(f"answered with JSON that does not fit the schema: {path} lacks `{key}`")
    others = schema.get("additionalProperties", True)
    fit: dict[str, Any] = {}
    for key, inner in value.items():
        if key in properties:
            fit[key] = _fit(inner, properties[key], root, f"{path}.{key}")
        elif others is not False:
            fit[key] = _fit(inner, others, root, f"{path}.*")
    return fit


def _fit_any(value: Any, choices: list[Any], root: dict[str, Any], path: str) -> Any:
    for choice in choices:
        try:
            return _fit(value, choice, root, path)
        except Unusable:
            continue
    raise Unusable(f"answered with JSON that does not fit the schema: {path} is none of the alternatives")


def _of_type(value: Any, names: str | list[str] | None, path: str) -> Any:
    """`value` when it is of one of the types; a whole float counts as an integer, and becomes one."""
    allowed = [names] if isinstance(names, str) else names or list(_TYPES)
    if any(isinstance(value, _TYPES[name]) for name in allowed if not isinstance(value, bool) or name == "boolean"):
        return value
    if "integer" in allowed and isinstance(value, float) and value.is_integer():
        return int(value)
    raise Unusable(f"answered with JSON that does not fit the schema: {path} is not of type {' or '.join(allowed)}")


def _resolved(reference: str, root: dict[str, Any]) -> Any:
    """What `#/a/b` names inside the schema; KeyError when it names nothing, which is a fault of the schema."""
    found: Any = root
    for part in reference.removeprefix("#").split("/")[1:]:
        found = found[part]
    return found
