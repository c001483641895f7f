"""`/docs.md` and `/llms.txt`: what an agent reads first.

Prose is in `guide.md`; all else is the registry, the Structs, the table of errors and the plans, as they are.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, cast

import msgspec

from aurra import __version__
from aurra.errors import CODES
from aurra.faces import naming, openapi
from aurra.faces.index import FACES
from aurra.ops import OPERATIONS, Operation
from aurra.plans import UNLIMITED
from aurra.store.plans import PlanRow

Schema = dict[str, Any]
PROSE = Path(__file__).with_name("guide.md")
CONTRACT = ("free", "starter", "pro", "enterprise")
"""The plans of a fresh installation. Further ones may be named for customers, and are not told to everybody."""
_COMMON = frozenset({"warnings"})
"""In every answer; said once, in the prose."""
_WHAT = {
    "mcp": "every operation as a tool, for agents that speak MCP",
    "graphql": "every operation as a field",
    "docs": "the operations for people, with a form to try each",
    "docs_md": "everything an agent needs: keys, times, costs, flows, each operation with its fields, errors, plans",
    "openapi": "OpenAPI 3.1, for generators and validators",
}


def page(plans: Sequence[PlanRow]) -> str:
    """`/docs.md`, with the plans as they are now."""
    return "\n".join([PROSE.read_text("utf-8").rstrip(), "", *_generated(), *_plans(plans), ""])


def llms_txt() -> str:
    """`/llms.txt`, in the format of llmstxt.org."""
    first, *_, rest = PROSE.read_text("utf-8").partition("\n\n")
    summary = " ".join(rest.split("\n\n")[0].split())
    links = [f"- [{FACES[name]}]({FACES[name]}): {_WHAT[name]}" for name in ("docs_md", "openapi")]
    index = f"- [/](/): the index as JSON: {len(OPERATIONS)} operations, where each is on every face, and all errors"
    also = [f"- [{FACES[name]}]({FACES[name]}): {_WHAT[name]}" for name in ("docs", "mcp", "graphql")]
    operations = [f"- [{op.name}](/docs.md#{_anchor(op)}): `{op.method} {op.path}` {op.summary}" for op in _sorted()]
    parts = [[first, ""], [f"> {summary}", ""], ["## Read first", "", *links, index, ""]]
    parts += [["## Operations", "", *operations, ""], ["## Optional", "", *also, ""]]
    return "\n".join(line for part in parts for line in part)


def _sorted() -> list[Operation]:
    """The operations, those of a noun together."""
    nouns = list(dict.fromkeys(op.noun for op in OPERATIONS.values()))
    return sorted(OPERATIONS.values(), key=lambda op: nouns.index(op.noun))


def _anchor(op: Operation) -> str:
    return op.name.replace(".", "")


@cache
def _generated() -> list[str]:
    """Operations, types and errors; they are the same for as long as the process lives."""
    schemas: dict[str, Schema] = openapi.document()["components"]["schemas"]
    lines = ["## Operations", ""]
    for op in _sorted():
        lines += _operation(op, schemas)
    requests = {op.request.__name__ for op in OPERATIONS.values()}
    answers = {op.answer.__name__ for op in OPERATIONS.values()}
    lines += ["## Types", "", "What stands inside requests and answers.", ""]
    for name in sorted(set(schemas) - requests - answers - {"Problem"}):
        lines += [
            f"### {name}",
            "",
            *_said(schemas[name]),
            *_table(schemas[name], schemas[name]["properties"], schemas),
            "",
        ]
    lines += ["## Errors", "", "| status | code | what to do |", "|---|---|---|"]
    lines += [f"| {status} | `{code}` | {_cell(hint)} |" for code, (status, hint) in CODES.items()]
    return [*lines, ""]


def _operation(op: Operation, schemas: dict[str, Schema]) -> list[str]:
    request, answer = schemas[op.request.__name__], schemas[op.answer.__name__]
    lines = [f"### {op.name}", "", f"`{op.method} {op.path}`", ""]
    lines += [*" ".join((op.run.__doc__ or "").strip().split("\n\n", 1)[0].split()).splitlines(), ""]
    lines += [" · ".join(_facts(op)), ""]
    fields: dict[str, Schema] = request.get("properties", {})
    lines += (
        ["Takes:", "", *_table(request, fields, schemas, op.path_parameters), ""] if fields else ["Takes nothing.", ""]
    )
    if op.example:
        lines += [f"For example: `{msgspec.json.encode(op.example).decode()}`", ""]
    told = {name: schema for name, schema in answer["properties"].items() if name not in _COMMON}
    said = f" {answer['description']}" if answer.get("description") else ""
    return [*lines, f"Answers:{said}", "", *_table(answer, told, schemas, is_answer=True), ""]


def _facts(op: Operation) -> Iterable[str]:
    """What is to be known of an operation beside its fields."""
    yield f"scope `{op.scope}`"
    yield "destructive" if op.is_destructive else "read-only" if op.is_read_only else "writes"
    if op.is_idempotent:
        yield "takes Idempotency-Key"
    elif op.keyless:
        yield f"takes no Idempotency-Key: {op.keyless.rstrip('.')}"
    if not op.keeps_ceiling:
        yield "not for keys with a ceiling"
    if op.ignores_unknown:
        yield "ignores unknown fields, with a warning"
    if op.markdown:
        yield "a page with `Accept: text/markdown`"
    yield f"body up to {op.body_limit // 1024 // 1024} MiB" if op.method in ("POST", "PATCH") else "no body"
    yield " or ".join(f"`{command}`" for command in naming.commands(op))
    if op.aliases:
        yield "also at " + ", ".join(f"`{path}`" for path in op.aliases)


def _table(
    owner: Schema,
    fields: dict[str, Schema],
    schemas: dict[str, Schema],
    in_path: Sequence[str] = (),
    *,
    is_answer: bool = False,
) -> list[str]:
    """A row a field: its name, its type, whether it must be given and what it is else, and what it says."""
    lines = (
        ["| field | type | what |", "|---|---|---|"]
        if is_answer
        else ["| field | type | default | what |", "|---|---|---|---|"]
    )
    for name, schema in fields.items():
        said = _cell(openapi.description(schema) or openapi.description(schemas.get(_name(schema), {})))
        if is_answer:
            lines.append(f"| `{name}` | {_type(schema)} | {said} |")
        else:
            given = _given(name, schema, owner.get("required", []), in_path)
            lines.append(f"| `{name}` | {_type(_without_null(schema))} | {given} | {said} |")
    return lines


def _given(name: str, schema: Schema, required: Sequence[str], in_path: Sequence[str]) -> str:
    if name in in_path:
        return "required, in the path"
    if name in required:
        return "required"
    default = schema.get("default")
    return "–" if default is None else f"`{_plain(default)}`"


def _type(schema: Schema) -> str:
    """The type in words; a Struct's by its name."""
    if "$ref" in schema:
        return _link(_name(schema))
    if "enum" in schema:
        return " or ".join(f"`{_plain(value)}`" for value in schema["enum"])
    if "anyOf" in schema:
        return _choices(schema)
    kind: Any = schema.get("type", "any")
    if isinstance(kind, list):
        return " or ".join(cast("list[str]", kind))
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if kind == "string":
        return {"date-time": "instant", "uuid": "UUID", "password": "secret"}.get(schema.get("format", ""), "string")
    return f"{kind}{_range(schema)}"


def _name(schema: Schema) -> str:
    """Of the Struct that the schema refers to; empty for one that refers to none."""
    return schema.get("$ref", "").rpartition("/")[2]


def _link(name: str) -> str:
    """The name of a Struct, which leads to where its fields are."""
    home = next((op for op in OPERATIONS.values() if name in (op.request.__name__, op.answer.__name__)), None)
    return f"[{name}](#{_anchor(home) if home else name.lower()})"


def _choices(schema: Schema) -> str:
    """The members of a union, which what is said of the whole is said of too; null last."""
    of_all = {name: value for name, value in schema.items() if name in ("format", "minimum", "maximum", "enum")}
    members = [member if "$ref" in member else {**of_all, **member} for member in schema["anyOf"]]
    types = dict.fromkeys(_type(member) for member in members if member.get("type") != "null")
    return " or ".join([*types, *(["null"] if len(members) > len(types) else [])])


def _without_null(schema: Schema) -> Schema:
    """The schema of what may be given: where null is the default, it is as good as nothing."""
    if schema.get("default", ...) is not None:
        return schema
    shown = {name: value for name, value in schema.items() if name not in ("anyOf", "enum")}
    if "enum" in schema:
        return {**shown, "enum": [value for value in schema["enum"] if value is not None]}
    members = [member for member in schema.get("anyOf", []) if member.get("type") != "null"]
    return {**shown, **members[0]} if len(members) == 1 else {**shown, "anyOf": members}


def _range(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is None and high is None:
        return ""
    return f" {'' if low is None else low}…{'' if high is None else high}"


def _said(schema: Schema) -> list[str]:
    return [schema["description"], ""] if schema.get("description") else []


def _plans(plans: Sequence[PlanRow]) -> list[str]:
    lines = [
        "## Plans",
        "",
        "| plan | writes a month (UTC) | requests a minute of a key | of an account |",
        "|---|---|---|---|",
    ]
    for plan in plans:
        if plan.plan in CONTRACT:
            numbers = (plan.writes_limit, plan.key_requests_per_minute, plan.account_requests_per_minute)
            lines.append(f"| {plan.plan} | {' | '.join(_number(number) for number in numbers)} |")
    return [*lines, "", f"Yours is what `GET /plan/status` says. Aurra {__version__}."]


def _number(count: int | None) -> str:
    return "unlimited" if count is None or count >= UNLIMITED else f"{count:,}"


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else str(value)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
