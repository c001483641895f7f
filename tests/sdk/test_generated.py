"""The SDK says what the registry says."""

import datetime as dt
import inspect
import keyword
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeGuard, Union, get_args, get_origin
from uuid import UUID

import msgspec
import pytest
from aurra_sdk import AsyncAurra, Aurra, types
from aurra_sdk import _operations as operations
from aurra_sdk._operation import Operation as SdkOperation
from aurra_sdk._records import Input

from aurra.ops import OPERATIONS, Operation

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = {f"memories.{verb}" for verb in ("add", "list", "query", "get_audit", "supersede", "timeline")}
BY_POSITION = {"memories.add": {"messages"}}
NEW_OPERATION = '''
from typing import Annotated
import msgspec
from msgspec import Meta
from aurra.ops.registry import operation
from aurra.types.common import Answer, Request

class Step(msgspec.Struct, kw_only=True):
    """Sent and answered."""
    at: Annotated[str, Meta(description="When.", extra_json_schema={"format": "date-time"})]
    note: str | None = None

class Changes(Request, kw_only=True):
    ledger_id: str
    cursor: str | None = None
    from_: str | None = msgspec.field(default=None, name="from")
    steps: list[Step] = msgspec.field(default_factory=list)

class ChangePage(Answer, kw_only=True):
    steps: list[Step]
    next_cursor: str | None

@operation("ledger.import", "POST", "/ledger/{ledger_id}/import", scope="memories:write", keyless="A test.")
async def import_(ctx, request: Changes) -> ChangePage:
    """Imports."""

@operation("ledger.changes", "GET", "/ledger/{ledger_id}/changes", scope="memories:read")
async def changes(ctx, request: Changes) -> ChangePage:
    """Changes."""

import generate
raise SystemExit(generate.main())
'''
USE_IT = """
import inspect, datetime as dt
import aurra_sdk
from aurra_sdk import Aurra, AsyncAurra, types
from aurra_sdk._operation import prepare
from aurra_sdk import _operations as all
for kind in (Aurra, AsyncAurra):
    ledger = kind("aurra_x").ledger
    for name in ("import_", "changes", "iterate_changes"):
        print(*inspect.signature(getattr(ledger, name)).parameters)
step = types.Step(at="2026-01-01")
options = Aurra("aurra_x")._transport.options
sent = prepare(all.LEDGER_IMPORT, {"ledger_id": "a", "from": dt.date(2026, 1, 1), "steps": [step]}, options)
print(sent.url, sent.content.decode(), all.LEDGER_IMPORT.is_repeatable, all.LEDGER_CHANGES.is_repeatable)
"""


def _method(kind: type[Aurra | AsyncAurra], op: Operation) -> Any:
    noun, _, verb = op.name.partition(".")
    return getattr(getattr(kind("aurra_x"), noun), verb)


def _safe(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) else name


@pytest.mark.parametrize("op", OPERATIONS.values(), ids=list(OPERATIONS))
@pytest.mark.parametrize("kind", [Aurra, AsyncAurra])
def test_every_operation_is_a_method_with_the_fields_of_its_request(
    kind: type[Aurra | AsyncAurra], op: Operation
) -> None:
    """The same names, nothing more than an idempotency key where one is taken; required fields by position, and what
    the published client takes so."""
    method = _method(kind, op)
    parameters = inspect.signature(method).parameters
    extra = {"idempotency_key"} if op.is_idempotent else set[str]()
    assert set(parameters) == {*op.request.__struct_fields__, *extra}
    by_position = {name for name, parameter in parameters.items() if parameter.kind is parameter.POSITIONAL_OR_KEYWORD}
    required = {name for name, parameter in parameters.items() if parameter.default is parameter.empty}
    assert by_position == required | BY_POSITION.get(op.name, set())
    assert required == {field.name for field in msgspec.structs.fields(op.request) if field.required}
    answer = getattr(types, op.answer.__name__)
    assert inspect.signature(method).return_annotation is answer
    assert set(answer.__struct_encode_fields__) == set(op.answer.__struct_encode_fields__)
    assert inspect.iscoroutinefunction(method) is (kind is AsyncAurra)
    assert op.summary.split(".")[0][:40] in (method.__doc__ or "")


Shape = frozenset[Any]


class ListOf(msgspec.Struct, frozen=True):
    """A list, by what is inside."""

    inside: Shape


def _shape(annotation: Any) -> Shape:
    """What a type is as JSON: kinds, the values it is limited to, what is inside; Structs by their names.

    An instant or an id is text, whatever else the client takes for it; UNSET is nothing that is sent.
    """
    annotation = getattr(annotation, "__value__", annotation)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _limited(_shape(arguments[0]), arguments[1:])
    if origin in (Union, UnionType):
        return frozenset(kind for one in arguments if one not in NOT_SENT for kind in _shape(one))
    if origin is Literal:
        return frozenset(arguments)
    if origin in (list, Sequence):
        return frozenset([ListOf(_shape(arguments[0]))])
    if origin in (dict, Mapping):
        return frozenset(["object"])
    if _is_struct(annotation):
        return frozenset([annotation.__name__])
    return frozenset([KINDS[annotation]])


def _limited(shape: Shape, metas: tuple[Any, ...]) -> Shape:
    """Text that has only the values of an `enum`."""
    for meta in metas:
        schema = (isinstance(meta, msgspec.Meta) and meta.extra_json_schema) or {}
        if "enum" in schema:
            limits = {value for value in schema["enum"] if value is not None}
            shape = (shape - {"text"}) | limits
    return shape


KINDS: dict[Any, str] = {
    str: "text", int: "integer", float: "number", bool: "boolean", type(None): "null", Any: "any",
    dt.datetime: "text", dt.date: "text", UUID: "text",
}  # fmt: skip
NOT_SENT = (dt.datetime, dt.date, UUID, msgspec.UnsetType)
"""What an instant or an id may be beside text; and that nothing is given."""


def _as_answered(shape: Shape) -> Shape:
    """Answers tolerate what a newer service may say: a text that is limited is any text."""
    kinds = {*KINDS.values(), "object"}
    limited = {one for one in shape if isinstance(one, str) and one[0].islower() and one not in kinds}
    lists = {ListOf(_as_answered(one.inside)) for one in shape if isinstance(one, ListOf)}
    rest = {one for one in shape if not isinstance(one, ListOf) and one not in limited}
    return frozenset({*rest, *lists, *(["text"] if limited else [])})


def _without_plain(shape: Shape) -> Shape:
    """A nested input may be a plain dict as well."""
    structs = {one for one in shape if isinstance(one, str) and one[0].isupper()}
    lists = {ListOf(_without_plain(one.inside)) for one in shape if isinstance(one, ListOf)}
    rest = {one for one in shape if not isinstance(one, ListOf)} - ({"object"} if structs else set[str]())
    return frozenset(rest | lists)


@pytest.mark.parametrize("op", OPERATIONS.values(), ids=list(OPERATIONS))
@pytest.mark.parametrize("kind", [Aurra, AsyncAurra])
def test_every_parameter_takes_what_the_field_takes(kind: type[Aurra | AsyncAurra], op: Operation) -> None:
    """The same kinds, the same values where they are limited, the same inside: nothing more, nothing less."""
    parameters = inspect.signature(_method(kind, op)).parameters
    for field in msgspec.structs.fields(op.request):
        theirs, ours = _shape(field.type), _without_plain(_shape(parameters[_safe(field.name)].annotation))
        assert ours == theirs, (op.name, field.name)


def _is_struct(annotation: Any) -> TypeGuard[type[msgspec.Struct]]:
    return isinstance(annotation, type) and issubclass(annotation, msgspec.Struct)


@cache
def _pairs() -> dict[str, tuple[type[msgspec.Struct], type[msgspec.Struct]]]:
    """Every Struct of the SDK with the service's of the same name."""
    found: dict[str, type[msgspec.Struct]] = {}

    def visit(annotation: Any) -> None:
        if _is_struct(annotation) and annotation.__name__ not in found:
            found[annotation.__name__] = annotation
            visit(annotation.__bases__[0])
            for field in msgspec.structs.fields(annotation):
                visit(field.type)
        for argument in get_args(annotation):
            visit(argument)

    for op in OPERATIONS.values():
        visit(op.request)
        visit(op.answer)
    return {name: (getattr(types, name), found[name]) for name in types.__all__}


@pytest.mark.parametrize("name", types.__all__)
def test_every_struct_has_the_fields_of_the_services(name: str) -> None:
    """The same names in the same order on the wire, the same types, and the same of them always there."""
    ours, theirs = _pairs()[name]
    assert ours.__struct_encode_fields__ == theirs.__struct_encode_fields__
    is_input = issubclass(ours, Input)
    for mine, other in zip(msgspec.structs.fields(ours), msgspec.structs.fields(theirs), strict=True):
        expected = _shape(other.type) if is_input else _as_answered(_shape(other.type))
        assert _without_plain(_shape(mine.type)) == expected, mine.name
        assert mine.required == other.required, mine.name
        if not is_input:
            assert (mine.default is msgspec.UNSET) == (other.default is msgspec.UNSET), mine.name


def test_no_method_is_without_an_operation() -> None:
    """The table of operations is the registry's, and the published client's names are in it."""
    table: list[Any] = [value for value in vars(operations).values() if isinstance(value, SdkOperation)]
    assert {one.name: (one.method, one.path, one.is_idempotent) for one in table} == {
        op.name: (op.method, op.path, op.is_idempotent) for op in OPERATIONS.values()
    }
    assert {*PUBLISHED, "settings.get", "settings.update"} <= set(OPERATIONS)


def _run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(home), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"},
        check=False,
    )


def test_what_is_committed_is_what_is_generated() -> None:
    """`generate.py --check` has nothing to say."""
    done = _run(ROOT / "sdk" / "python", str(ROOT / "sdk" / "python" / "generate.py"), "--check")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A copy of the SDK to spoil."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    ignored = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(ROOT / "sdk" / "python", tmp_path / "sdk" / "python", ignore=ignored))


def test_check_names_what_is_stale_and_changes_nothing(home: Path) -> None:
    """A changed, a missing and a superfluous file; the exit code is 1, and generating mends all three."""
    package = home / "aurra_sdk"
    changed, missing, superfluous = package / "types.py", package / "_sync" / "client.py", package / "_sync" / "old.py"
    changed.write_text(changed.read_text("utf-8").replace("plan_tier", "plan_teir"), "utf-8")
    missing.unlink()
    superfluous.touch()
    done = _run(home, str(home / "generate.py"), "--check")
    assert done.returncode == 1
    for path in (changed, missing, superfluous):
        assert f"{path.relative_to(home.parents[1])} is stale" in done.stderr
    assert "make generate" in done.stderr
    assert not missing.exists()
    assert _run(home, str(home / "generate.py")).returncode == 0
    assert _run(home, str(home / "generate.py"), "--check").returncode == 0


def test_a_new_operation_needs_no_hand_edit(home: Path) -> None:
    """A new noun with a verb that is a keyword, pages, a renamed field, a Struct both sent and answered."""
    made = _run(home, "-c", NEW_OPERATION)
    assert (made.returncode, made.stderr) == (0, "")
    used = _run(home, "-c", USE_IT)
    names = ["ledger_id cursor from_ steps"] * 3
    body = '{"from":"2026-01-01","steps":[{"at":"2026-01-01","note":null}]}'
    assert used.stdout.splitlines() == [*names, *names, f"http://127.0.0.1:8000/ledger/a/import {body} False True"], (
        used.stderr
    )
