"""Operations as tools: how each is described, and what a call of it gives."""

import inspect
import re
from functools import cache

import msgspec

from aurra.errors import PayloadTooLarge, Unprocessable
from aurra.faces.asking import Asked
from aurra.faces.mcp.telling import Asker, Json, in_words, problem
from aurra.ops import OPERATIONS, Operation
from aurra.ops.registry import MIB

_KEY = "idempotency_key"
_KEY_SCHEMA: Json = {
    "description": "The same key with the same arguments gets the stored answer within 24 hours, and has no second "
    "effect: use it where a call may be tried again.",
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
}


def find(name: str) -> Operation | None:
    """The operation of a tool."""
    return _by_id().get(name)


def all_for(asker: Asker) -> list[Json]:
    """The tools that the asker may call, in the registry's order."""
    return [described(op) for op in OPERATIONS.values() if asker.may(op)]


@cache
def _by_id() -> dict[str, Operation]:
    return {op.id: op for op in OPERATIONS.values()}


@cache
def described(op: Operation) -> Json:
    """The tool as `tools/list` shows it."""
    return {
        "name": op.id,
        "title": _title(op),
        "description": description(op),
        "inputSchema": _input_schema(op),
        "outputSchema": _self_contained(op.answer),
        "annotations": {
            "readOnlyHint": op.is_read_only,
            "destructiveHint": op.is_destructive,
            # What takes no key and yet changes something says in `keyless` that again it changes nothing more.
            "idempotentHint": op.is_read_only or op.keyless is not None,
            "openWorldHint": False,
        },
    }


def description(op: Operation) -> str:
    """All that its docstring says, and who may call it."""
    ceiling = "" if op.keeps_ceiling else " Refused to keys with a ceiling."
    return f"{inspect.getdoc(op.run)}\n\nScope: `{op.scope}`.{ceiling}"


def _title(op: Operation) -> str:
    """The first clause of its docstring."""
    return re.split(r"[.;:](?=\s|$)", " ".join((op.run.__doc__ or "").split()))[0]


def _input_schema(op: Operation) -> Json:
    schema = _self_contained(op.request)
    if op.is_idempotent:
        schema["properties"] = {**schema.get("properties", {}), _KEY: _KEY_SCHEMA}
    if not op.ignores_unknown:
        schema["additionalProperties"] = False
    return schema


def _self_contained(type_: type[msgspec.Struct]) -> Json:
    """The Struct's schema with an object at its root, as MCP wants it, and all that it refers to in `$defs`."""
    schema = msgspec.json.schema(type_, ref_template="#/$defs/{name}")
    components: Json = schema["$defs"]
    name = schema["$ref"].rpartition("/")[2]
    rest = {other: component for other, component in components.items() if other != name}
    return {**components[name], **({"$defs": rest} if rest else {})}


async def call(asker: Asker, op: Operation, arguments: Json) -> Json:
    """The result of a call: the answer, or the error of the operation for the model to read. Raises nothing."""
    try:
        asked = await ask(asker, op, arguments)
    except Exception as raised:
        found = problem(raised, asker.request_id, f"tools/call {op.id}")
        return {
            "content": [{"type": "text", "text": in_words(found)}],
            "isError": True,
            # Not structured content: clients hold that against the schema of an answer.
            "_meta": {"aurra/problem": found},
        }
    return _told(op, asked)


async def ask(asker: Asker, op: Operation, arguments: Json) -> Asked:
    """Runs the operation. Raises AurraError or Refused as the asker does, and PayloadTooLarge where REST would."""
    fields, key = dict(arguments), None
    if op.is_idempotent:
        key = fields.pop(_KEY, None)
        if not isinstance(key, str | None):
            raise Unprocessable(f"`{_KEY}` is text.", param=_KEY)
    encoded = msgspec.json.encode(fields)
    if len(encoded) > op.body_limit:
        raise PayloadTooLarge(f"The arguments are over {op.body_limit // MIB} MiB.")
    return await asker.run(op, encoded, key)


def _told(op: Operation, asked: Asked) -> Json:
    """The answer, structured and as text: its page where it has one, else the same JSON."""
    encoded = msgspec.json.encode(asked.answer)
    text = encoded.decode() if op.markdown is None else op.markdown(asked.answer)
    meta: Json = {}
    if asked.replayed:
        meta["aurra/replayed"] = True
    if asked.plan_warning:
        meta["aurra/plan_warning"] = asked.plan_warning
    return {
        "content": [{"type": "text", "text": text}],
        "structuredContent": msgspec.json.decode(encoded),
        "isError": False,
        **({"_meta": meta} if meta else {}),
    }
