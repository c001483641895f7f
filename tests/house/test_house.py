"""Documents and declarations that cannot lie."""

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest

from aurra import keys, serving
from aurra.context import Service
from aurra.errors import CODES
from aurra.ops import OPERATIONS
from aurra.settings import Settings
from aurra.store import invariants
from aurra.store.queries import Query, every
from tests.house.schema_dump import dump
from tests.plain import connected

ROOT = Path(__file__).parents[2]
QUERIES = [(noun, query) for noun, queries in every().items() for query in queries.values()]
# What prepares or changes the cluster cannot be prepared as a statement of the service.
OF_PLANS = {"lock_plans", "list_plans", "put_plan", "remove_plan", "accounts_on"}
"""The table `plan` has no account."""
UTILITY = re.compile(r"^(CREATE|GRANT|SET|RESET|LOCK|DROP OWNED|ALTER SYSTEM|CHECKPOINT)\b")


def row_type(noun: str, name: str) -> type[msgspec.Struct]:
    """The Struct of a query's rows, from the module of its noun, or of the pure layer it imports from."""
    module: Any = importlib.import_module(f"aurra.store.{'migrate' if noun == 'cluster' else noun}")
    return getattr(module, name)


@pytest.mark.parametrize(("noun", "query"), QUERIES, ids=lambda value: getattr(value, "name", value))
async def test_every_query_fits_the_schema_and_its_struct(service: Service, dsn: str, noun: str, query: Query) -> None:
    """Each statement prepares against the migrated schema; its columns are its Struct's fields, in order."""
    assert service
    if UTILITY.match(re.sub(r"--[^\n]*\n", "", query.sql).strip()):
        return
    async with connected(dsn) as connection:
        columns = [attribute.name for attribute in (await connection.prepare(query.sql)).get_attributes()]
    if query.row is None:
        assert columns == []
        return
    struct = row_type(noun, query.row)
    fields = msgspec.structs.fields(struct)
    renamed = {"meter_start": "period_start"}
    assert columns == [renamed.get(field.name, field.name) for field in fields[: len(columns)]]
    # Only fields with a default may be filled in afterwards.
    assert not any(field.required for field in fields[len(columns) :])


@pytest.mark.parametrize(("noun", "query"), QUERIES, ids=lambda value: getattr(value, "name", value))
def test_every_query_keeps_the_rules_of_the_store(noun: str, query: Query) -> None:
    """The account is a parameter where tables have one; no clock but the ledger's; no star."""
    sql = re.sub(r"--[^\n]*", "", query.sql)
    assert not re.search(r"SELECT\s+\*|\.\*", sql)
    assert "now()" not in sql or query.name == "create_register"
    if "clock_timestamp" in sql:
        known = {("ledger", "lock"), ("ledger", "head"), ("ledger", "head_up_to"), ("accounts", "now")}
        assert (noun, query.name) in known or noun in ("jobs", "signing", "erasures")
    # Of the whole database: an operator's.
    if noun not in ("accounts", "cluster", "jobs", "embedders", "backups", "finishing"):
        assert "company_id" in query.parameters or query.name in {*invariants.OF_ALL, *OF_PLANS, "fail"}


def test_the_committed_schema_is_what_all_migrations_make(service: Service, dsn: str) -> None:
    """`migrations/schema.sql` equals the dump of a migrated database; `make generate` writes it."""
    assert service
    assert dump(dsn) == (ROOT / "migrations" / "schema.sql").read_text("utf-8")


def test_sql_stands_only_in_the_store() -> None:
    """No statement is written in Python, outside the pool's own BEGIN, COMMIT, ROLLBACK and SET."""
    statement = re.compile(r"[\"'](SELECT|INSERT|UPDATE|DELETE|WITH|CREATE|ALTER|DROP)\s", re.MULTILINE)
    for path in (ROOT / "aurra").rglob("*.py"):
        found = [match[0] for match in statement.finditer(path.read_text("utf-8"))]
        allowed = path.name == "pool.py" or "embedded" in path.parts
        assert allowed or not found, f"{path.relative_to(ROOT)}: {found}"


def test_every_setting_command_operation_and_code_is_documented() -> None:
    """README names each setting, the page of the command line each of the operator's commands; error codes have hints.

    Operations are in the documents that the service makes of them: tests/faces/test_documents.py.
    """
    readme = (ROOT / "README.md").read_text("utf-8")
    for name in Settings.__struct_fields__:
        assert f"`{name.upper()}`" in readme, name.upper()
    page = (ROOT / "aurra" / "cli.md").read_text("utf-8")
    for command in _commands(serving.main, "aurra"):
        assert command in page, command
    assert all(hint and hint[0].isalpha() and hint[-1] in ".…" for _, hint in CODES.values())


def _commands(group: click.Group, words: str) -> Iterator[str]:
    """Every command of a group by its words, but those that are for no person."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command, f"{words} {name}")
        elif not command.hidden:
            yield f"{words} {name}"


def test_paths_named_in_the_architecture_page_exist() -> None:
    """A file that the page names is there."""
    page = (ROOT / "aurra" / "README.md").read_text("utf-8")
    named = re.findall(r"`((?:aurra|migrations|tests|sdk)/[\w./*-]+)`", page)
    assert named
    for name in named:
        assert list(ROOT.glob(name)), name


def test_every_public_function_and_field_of_the_wire_is_described() -> None:
    """Operations have docstrings, and so has every request and answer."""
    for op in OPERATIONS.values():
        assert inspect.getdoc(op.run) and inspect.getdoc(op.request) and inspect.getdoc(op.answer), op.name
        assert op.scope in keys.SCOPES


def test_lock_files_name_no_host_and_hold_hashes() -> None:
    """The locks pin and hash every package, and name no index."""
    for name in ("requirements.lock", "requirements-dev.lock", "requirements-node.lock"):
        text = (ROOT / name).read_text("utf-8")
        assert "://" not in text and "index-url" not in text
        assert text.count("--hash=sha256:") >= text.count("==")
