"""The queue of jobs: claimed with a lease, so that what a killed process had begun is done by another."""

import datetime as dt
from typing import Any
from uuid import UUID

import msgspec

from aurra.store.pool import Database, Transaction
from aurra.store.queries import load

_Q = load("jobs")
_NOBODY = UUID(int=0)


class Job(msgspec.Struct, frozen=True):
    """A job as claimed; `arguments` is a JSON object of ids."""

    id: UUID
    account: UUID
    kind: str
    arguments: str
    attempts: int
    """This one included."""


class Taken(msgspec.Struct, frozen=True):
    id: UUID


async def claim(database: Database, lease: dt.timedelta, account: UUID | None = None) -> Job | None:
    """The job that is due longest, of any account or of one; nobody else gets it while the lease lasts."""
    async with database.begin(_NOBODY) as tx:
        return await tx.row(_Q["claim"], Job, lease=lease, account=account)


async def renew(database: Database, job: Job, lease: dt.timedelta) -> None:
    """Nobody else gets the job while the lease lasts from now on, if nobody has got it already."""
    async with database.begin(_NOBODY) as tx:
        await tx.execute(_Q["renew"], id=job.id, attempts=job.attempts, lease=lease)


async def finish(database: Database, job: Job) -> None:
    """The job is done, and gone."""
    async with database.begin(_NOBODY) as tx:
        await tx.execute(_Q["finish"], id=job.id)


async def take(tx: Transaction, job: Job) -> bool:
    """The job is done when the transaction commits, once; false where another process did it."""
    return await tx.row(_Q["take"], Taken, id=job.id) is not None


async def absorb(database: Database, job: Job) -> None:
    """No other job of its account and kind waits: what this one does from now on is all that they would do."""
    async with database.begin(_NOBODY) as tx:
        await tx.execute(_Q["absorb"], id=job.id, account=job.account, kind=job.kind)


async def postpone(database: Database, job: Job, pause: dt.timedelta, failure: str) -> None:
    """The job is due again after the pause; `failure` says why, without content."""
    async with database.begin(_NOBODY) as tx:
        await tx.execute(_Q["postpone"], id=job.id, pause=pause, failure=failure)


async def add(tx: Transaction, id_: UUID, kind: str, arguments: dict[str, Any]) -> None:
    """A job of the transaction's account, due when it commits; nothing where one of that id waits already."""
    encoded = msgspec.json.encode(arguments).decode()
    await tx.execute(_Q["add"], id=id_, account=tx.company_id, kind=kind, arguments=encoded)
