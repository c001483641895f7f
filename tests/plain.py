"""Plain connections to the tests' database, past the product: for what only SQL can show."""

import contextlib
from collections.abc import AsyncGenerator
from typing import Any
from uuid import uuid4

import asyncpg as _asyncpg

# The driver has no types of its own.
asyncpg: Any = _asyncpg


@contextlib.asynccontextmanager
async def connected(dsn: str) -> AsyncGenerator[Any]:
    """A connection as the login of the URL, closed at the end."""
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def own_database(dsn: str, template: str | None = None) -> AsyncGenerator[str]:
    """The URL of a database on the same server, gone afterwards: empty, or a copy of the one of another URL."""
    name = f"own_{uuid4().hex}"
    like = "" if template is None else " TEMPLATE " + template.partition("@/")[2].partition("?")[0]
    await execute(dsn, f"CREATE DATABASE {name}{like}")
    try:
        yield dsn.replace("/aurra?", f"/{name}?")
    finally:
        await execute(dsn, f"DROP DATABASE {name} WITH (FORCE)")


async def execute(dsn: str, *statements: str) -> None:
    """Runs statements, one a call."""
    async with connected(dsn) as connection:
        for statement in statements:
            await connection.execute(statement)
