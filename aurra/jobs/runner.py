"""The worker: claims jobs one after the other, runs each by its kind, and tries again what failed, ever later."""

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncGenerator, Awaitable, Callable
from uuid import UUID

import structlog

from aurra.context import Service
from aurra.errors import AurraError, Unavailable
from aurra.store import jobs
from aurra.store.jobs import Job

log = structlog.get_logger("aurra")

Run = Callable[[Service, Job], Awaitable[None]]
KINDS: dict[str, Run] = {}
"""How each kind of job is run; it may be run again after a kill, so it must find what is done already."""

LEASE = dt.timedelta(minutes=5)
_IDLE_SECONDS = 2.0
_LONGEST_PAUSE = dt.timedelta(hours=1)


def kind(name: str) -> Callable[[Run], Run]:
    """Registers `async def run(service, job)` for jobs of that kind."""

    def register(run: Run) -> Run:
        KINDS[name] = run
        return run

    return register


async def work(service: Service) -> None:
    """Runs jobs as they fall due, until cancelled. A database that is away, or refuses, is waited for."""
    while True:
        try:
            done = await run_due(service)
        except Exception as error:
            # Whatever it is, this process would do no job ever after.
            log.warning("jobs wait", why=_why(error))
            done = 0
        if not done:
            await asyncio.sleep(_IDLE_SECONDS)


async def run_due(service: Service, account: UUID | None = None, lease: dt.timedelta = LEASE) -> int:
    """Runs what is due now, of every account or of one; how many jobs were tried."""
    tried = 0
    while (job := await jobs.claim(service.database, lease, account)) is not None:
        tried += 1
        try:
            async with _leased(service, job, lease):
                await KINDS[job.kind](service, job)
        except Exception as error:
            # Whatever it is, the next job must not wait for it; it is told, and tried again.
            why = _why(error)
            log.warning("a job failed", kind=job.kind, id=str(job.id), attempts=job.attempts, why=why)
            await jobs.postpone(service.database, job, _pause(job.attempts), why)
        else:
            await jobs.finish(service.database, job)
    return tried


@contextlib.asynccontextmanager
async def _leased(service: Service, job: Job, lease: dt.timedelta) -> AsyncGenerator[None]:
    """However long the job takes, no other process takes it up meanwhile."""
    renewing = asyncio.create_task(_renew(service, job, lease))
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.wait((renewing,))


async def _renew(service: Service, job: Job, lease: dt.timedelta) -> None:
    while True:
        await asyncio.sleep(lease.total_seconds() / 3)
        # Where the database is away the lease may run out: each kind bears to be run twice.
        with contextlib.suppress(Unavailable):
            await jobs.renew(service.database, job, lease)


def _why(error: Exception) -> str:
    """Without content."""
    return error.code if isinstance(error, AurraError) else type(error).__name__


def _pause(attempts: int) -> dt.timedelta:
    """2, 4, 8 … seconds, an hour at most, for as long as it takes: what was accepted is not given up because a model is
    away or a plan is full. The doctor tells of what failed three times."""
    return min(_LONGEST_PAUSE, dt.timedelta(seconds=2 ** min(attempts, 12)))
