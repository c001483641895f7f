"""Whether the database can be served from, through the pool that requests use."""

from functools import cache
from uuid import UUID

import msgspec

from aurra.store import migrate
from aurra.store.migrate import RoleFacts, TableName
from aurra.store.pool import Database
from aurra.store.queries import load

_Q = load("cluster")
_NOBODY = UUID(int=0)


class Found(msgspec.Struct, frozen=True):
    """What a transaction of the service's found."""

    role: str
    is_bound: bool
    """Whether row-level security binds the role."""
    pending: list[str]
    """Migrations of this release that the database lacks; those of a newer one do no harm."""


async def look(database: Database) -> Found:
    """Raises Unavailable when no connection is free, or the database does not answer."""
    async with database.read(_NOBODY) as tx:
        role = await tx.row(_Q["role_facts"], RoleFacts)
        applied = {row.name for row in await tx.rows(_Q["applied_names"], TableName)}
    assert role is not None
    return Found(
        role=role.name,
        is_bound=role.is_bound,
        pending=[name for name in _ours() if name not in applied],
    )


@cache
def _ours() -> tuple[str, ...]:
    return tuple(migration.name for migration in migrate.read_migrations())
