"""Jobs under a lease: one that takes long is not taken up by another process meanwhile."""

import asyncio
import datetime as dt
from uuid import uuid4

from aurra import jobs
from aurra.context import Service
from aurra.jobs import runner
from aurra.store import jobs as store
from aurra.store.jobs import Job
from tests.conftest import Account

LEASE = dt.timedelta(seconds=0.6)


async def test_a_job_that_outlasts_its_lease_is_not_claimed_by_another(service: Service, account: Account) -> None:
    """While it is being done, the lease is renewed; a process that died leaves it to the others."""
    claimed: list[Job | None] = []
    abandoned = taken = None

    @runner.kind("outlasting")
    async def outlasting(service: Service, job: Job) -> None:
        await asyncio.sleep(2 * LEASE.total_seconds())
        claimed.append(await store.claim(service.database, LEASE, job.account))

    try:
        async with service.database.begin(account.row.id) as tx:
            await store.add(tx, uuid4(), "outlasting", {})
        assert await jobs.run_due(service, account.row.id, LEASE) == 1
        assert claimed == [None]
        async with service.database.begin(account.row.id) as tx:
            await store.add(tx, uuid4(), "outlasting", {})
        abandoned = await store.claim(service.database, dt.timedelta(0), account.row.id)
        taken = await store.claim(service.database, LEASE, account.row.id)
        assert abandoned and taken and abandoned.id == taken.id and taken.attempts == 2
        # Whoever lost it cannot hold it any more.
        await store.renew(service.database, abandoned, dt.timedelta(hours=1))
        await store.postpone(service.database, taken, dt.timedelta(0), "x")
        assert await store.claim(service.database, LEASE, account.row.id)
    finally:
        del runner.KINDS["outlasting"]
        for left in filter(None, (abandoned, taken)):
            await store.finish(service.database, left)
