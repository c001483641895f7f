"""Connections and transactions. Nothing else in the product holds a connection, and only this file imports asyncpg.

A `Transaction` is always of one account: it begins by becoming the role `aurra_app`, which cannot bypass row-level
security, and by naming the account that the policies compare with.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any, TypeVar
from uuid import UUID

import asyncpg as _asyncpg
import numpy as np
from numpy.typing import NDArray
from pgvector import HalfVector
from pgvector.asyncpg import register_vector as _register_vector

from aurra.errors import AurraError, BadRequest, CannotStart, Unavailable
from aurra.guard import transaction_open
from aurra.store.queries import Query

# The driver has no types of its own; the untyped surface ends in this file.
asyncpg: Any = _asyncpg
register_vector: Any = _register_vector

Row = TypeVar("Row")
InsufficientPrivilege: type[Exception] = asyncpg.InsufficientPrivilegeError
AlreadyThere: tuple[type[Exception], ...] = (asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError)
LockNotAvailable: type[Exception] = asyncpg.LockNotAvailableError
APP_ROLE = "aurra_app"
OWNER_ROLE = "aurra_owner"
ERASER_ROLE = "aurra_eraser"
NEWEST = 2**63 - 1
"""Of a transaction's numbers; what `:ceiling` is where there is none."""

_STATEMENT_SECONDS = 10
_ACQUIRE_SECONDS = 2.0
# Sent with BEGIN in one message. LOCAL, so that it holds behind a pooler too, which hands a session's connection to
# another transaction after COMMIT.
_LOCAL = (
    # Instants inside JSON are hashed as they come.
    f"SET LOCAL ROLE {APP_ROLE}; SET LOCAL timezone = 'UTC'; "
    f"SET LOCAL statement_timeout = '{_STATEMENT_SECONDS}s'; SET LOCAL lock_timeout = '1s'; "
    "SET LOCAL idle_in_transaction_session_timeout = '30s'; SET LOCAL plan_cache_mode = force_generic_plan; "
)
_READ = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {_LOCAL}"
_WRITE = f"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; {_LOCAL}"

# Classes of SQLSTATE that mean "not now": connection, resources, operator intervention, the operating system, lock,
# deadlock, serialization.
_AWAY = ("08", "53", "57", "58", "55P03", "40")
# Data that cannot be stored: wrong or out of range (22), past a limit of the program (54).
_UNSTORABLE = ("22", "54")


class ConstraintBroken(Exception):
    """The database refused a write; `constraint` names the rule."""

    def __init__(self, constraint: str) -> None:
        super().__init__(constraint)
        self.constraint = constraint


class Transaction:
    """One open transaction of one account; statements are named queries with named arguments.

    `:company_id` and `:ceiling` are its own, whoever asks: no caller can forget them, or give another.
    """

    def __init__(self, connection: Any, company_id: UUID, up_to: int | None = None) -> None:
        self._connection = connection
        self.company_id = company_id
        self.up_to = up_to
        """The newest transaction that may be known of; None is no ceiling."""
        self._own = {"company_id": company_id, "ceiling": NEWEST if up_to is None else up_to}

    async def rows(self, query: Query, row: type[Row], /, **arguments: Any) -> list[Row]:
        """All rows, each as the query's Struct."""
        records = await self._connection.fetch(query.sql, *self._bind(query, arguments))
        return [row(*record) for record in records]

    async def stream(self, query: Query, row: type[Row], /, **arguments: Any) -> AsyncGenerator[Row]:
        """All rows, one by one, through a cursor: however many they are, few are in memory."""
        async for record in self._connection.cursor(query.sql, *self._bind(query, arguments), prefetch=500):
            yield row(*record)

    async def row(self, query: Query, row: type[Row], /, **arguments: Any) -> Row | None:
        """The first row, or None."""
        record = await self._connection.fetchrow(query.sql, *self._bind(query, arguments))
        return None if record is None else row(*record)

    async def execute(self, query: Query, /, **arguments: Any) -> None:
        """Runs a statement for its effect."""
        await self._connection.execute(query.sql, *self._bind(query, arguments))

    async def run(self, statement: str, *arguments: Any) -> None:
        """Runs a statement that a query made of what the catalogue says."""
        await self._connection.execute(statement, *arguments)

    def _bind(self, query: Query, arguments: dict[str, Any]) -> list[Any]:
        own = self._own
        return [own[name] if name in own else arguments[name] for name in query.parameters]


class Database:
    """A pool of connections that act as `aurra_app`. Made by `open_database`."""

    def __init__(self, pool: Any, up_to: int | None = None) -> None:
        self._pool = pool
        self._up_to = up_to

    def within(self, up_to: int | None) -> "Database":
        """The same, knowing of nothing later than a transaction; None is no ceiling."""
        return self if up_to is None else Database(self._pool, up_to)

    def begin(self, company_id: UUID) -> "Opening":
        """A READ COMMITTED transaction of the account, committed at the end, rolled back on any error.

        Raises `Unavailable` when the database is away; code `write_outcome_unknown` when it went during COMMIT.
        """
        return Opening(self._pool, _WRITE, f"SET LOCAL aurra.company_id = '{company_id}'", company_id, self._up_to)

    def read(self, company_id: UUID) -> "Opening":
        """A read-only snapshot of the account (REPEATABLE READ)."""
        return Opening(self._pool, _READ, f"SET LOCAL aurra.company_id = '{company_id}'", company_id, self._up_to)

    def look_up(self, key_id: str) -> "Opening":
        """A read-only snapshot that sees the rows of one API key, before its account is known."""
        if not key_id.isalnum():
            raise ValueError("a key id is alphanumeric")
        return Opening(self._pool, _READ, f"SET LOCAL aurra.key_id = '{key_id}'", UUID(int=0))

    @property
    def size(self) -> int:
        """How many connections are open."""
        return self._pool.get_size()

    async def is_ready(self) -> bool:
        """Whether a connection answers within two seconds."""
        try:
            async with asyncio.timeout(_ACQUIRE_SECONDS), self._pool.acquire() as connection:
                return await connection.fetchval("SELECT 1") == 1
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            return False

    async def close(self) -> None:
        """Closes the pool, waiting at most ten seconds for work under way."""
        try:
            async with asyncio.timeout(10):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()


class Opening:
    """`async with` it: a transaction from BEGIN to COMMIT, or to ROLLBACK on any error. A class, since every request
    passes here, and nested generators would cost more than what they wrap."""

    def __init__(self, pool: Any, begin: str, setting: str, company_id: UUID, up_to: int | None = None) -> None:
        self._pool = pool
        self._begin = begin
        self._setting = setting
        self._company_id = company_id
        self._up_to = up_to
        self._guard = transaction_open()

    async def __aenter__(self) -> Transaction:
        try:
            # The pool's own time-out would cost a task.
            async with asyncio.timeout(_ACQUIRE_SECONDS):
                self._connection = await self._pool.acquire()
        except Exception as error:
            raise _ours(error) from error
        try:
            await self._connection.execute(self._begin + self._setting)
        except BaseException as error:
            await self._end(error)
            raise _ours(error) from error
        self._guard.__enter__()
        return Transaction(self._connection, self._company_id, self._up_to)

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._guard.__exit__()
        if error is not None:
            await self._end(error)
            if (ours := _ours(error)) is not error:
                raise ours from error
            return
        try:
            await self._connection.execute("COMMIT")
        except BaseException as broken:
            await self._end(broken)
            ours = _ours(broken)
            if isinstance(ours, Unavailable) and self._begin is _WRITE:
                raise Unavailable(
                    "The database went away while the write was being committed; it may or may not be stored.",
                    code="write_outcome_unknown",
                ) from broken
            raise ours from broken
        await self._end(None)

    async def _end(self, error: BaseException | None) -> None:
        """Gives the connection back, rolled back after an error."""
        try:
            if error is not None:
                await _abandon(self._connection)
        finally:
            await _give_back(self._pool, self._connection)


def _ours(error: BaseException) -> BaseException:
    """The driver's error as ours; what this product raised, and what is no error of the driver's, as it is."""
    if isinstance(error, (AurraError, ConstraintBroken)):
        return error
    if isinstance(error, asyncpg.IntegrityConstraintViolationError):
        names = (getattr(error, name, None) for name in ("constraint_name", "sqlstate"))
        return ConstraintBroken(str(next(filter(None, names), "unnamed")))
    if isinstance(error, asyncpg.PostgresError):
        state = str(getattr(error, "sqlstate", ""))
        if state.startswith(_AWAY):
            return Unavailable("The database cannot take this request now; nothing was stored.")
        if state.startswith(_UNSTORABLE):
            return BadRequest("A value of this request is too long, or out of the database's range.")
        return error
    if isinstance(error, TimeoutError):
        return Unavailable("No database connection was free in time; nothing was stored.")
    if isinstance(error, (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError)):
        return Unavailable("The database is unreachable; nothing was stored.")
    return error


async def _abandon(connection: Any) -> None:
    """Rolls back; a connection that cannot be rolled back is cut, so that the pool never hands it out again."""
    try:
        async with asyncio.timeout(2):
            await asyncio.shield(connection.execute("ROLLBACK"))
    except BaseException:
        # A connection that broke is released already, and then cannot be terminated.
        with contextlib.suppress(asyncpg.InterfaceError):
            connection.terminate()


async def _give_back(pool: Any, connection: Any) -> None:
    """Returns the connection to the pool, which shields it from a cancellation; one that cannot be returned is cut.
    What was committed stays committed."""
    try:
        await pool.release(connection)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
        with contextlib.suppress(asyncpg.InterfaceError):
            connection.terminate()


async def _no_reset(connection: Any) -> None:
    """Every use is one explicit transaction with SET LOCAL: nothing to reset, and a reset costs a round trip."""


async def _prepare(connection: Any) -> None:
    await register_vector(connection)


async def open_database(dsn: str, *, size: int = 10) -> Database:
    """A pool on a migrated database. Raises CannotStart with one sentence when it cannot be reached or is not safe."""
    try:
        pool = await asyncpg.create_pool(
            dsn,
            min_size=1,
            max_size=size,
            init=_prepare,
            reset=_no_reset,
            command_timeout=_STATEMENT_SECONDS + 5,
            server_settings={"application_name": "aurra"},
        )
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise _unreachable(error) from None
    return Database(pool)


async def connect(dsn: str) -> Any:
    """One connection as the login of `dsn`, for migrations and the operator's commands. Raises CannotStart."""
    try:
        return await asyncpg.connect(dsn, timeout=10, server_settings={"application_name": "aurra-admin"})
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise _unreachable(error) from None


def _unreachable(error: Exception) -> CannotStart:
    if isinstance(error, ValueError):
        # Its message quotes the URL, password and all.
        return CannotStart("DATABASE_URL is not a URL that can be read; percent-encode special characters in it.")
    return CannotStart(f"The database cannot be reached: {error}")


def half_vector(vector: NDArray[np.floating[Any]]) -> HalfVector:
    """A vector as the driver takes it."""
    return HalfVector(vector)


def vector_bytes(vector: Any) -> bytes:
    """A stored vector's numbers as their hash covers them: half precision, big-endian."""
    return vector.to_numpy().astype(">f2").tobytes()
