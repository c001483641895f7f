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
async def own_database(dsn: str) -> AsyncGenerator[str]:
    """The URL of an empty database on the same server, gone afterwards."""
    name = f"own_{uuid4().hex}"
    await execute(dsn, f"CREATE DATABASE {name}")
    try:
        yield dsn.replace("/aurra?", f"/{name}?")
    finally:
        await execute(dsn, f"DROP DATABASE {name} WITH (FORCE)")


async def execute(dsn: str, *statements: str) -> None:
    """Runs statements, one a call."""
    async with connected(dsn) as connection:
        for statement in statements:
            await connection.execute(statement)
