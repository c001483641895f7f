"""Large tenants are indexed in the background: who writes or searches tells when there is enough to do."""

import time
from asyncio import create_task
from collections import Counter
from collections.abc import Sequence
from uuid import UUID, uuid5

import structlog

from aurra.context import Service
from aurra.errors import AurraError
from aurra.store import jobs, segments
from aurra.store.segments import Gathered

log = structlog.get_logger("aurra")

_KIND = UUID("018f3c5e-7d40-7000-8000-696e64657800")
_STEPS = 2
"""In a threshold of a large tenant: after 1,000 new pieces the index goes on."""
_FURTHEST = 2_000
"""Transactions of the whole account that a search looks through for those that changed the tenant."""
_AGAIN_SECONDS = 10.0
_MOST = 10_000
"""Tenants that are remembered; then all are forgotten, and searches tell."""


def note(service: Service, account: UUID, tenants: Sequence[str]) -> None:
    """Pieces were committed, each of a tenant: where enough came together, a job will see whether to index."""
    if len(service.growth) > _MOST:
        service.growth.clear()
    for tenant_id, pieces in Counter(tenants).items():
        place = (account, tenant_id)
        service.growth[place] = service.growth.get(place, 0) + pieces
        if service.growth[place] * _STEPS >= service.settings.aurra_exact_up_to:
            del service.growth[place]
            _ask(service, account, tenant_id)


def judge(service: Service, account: UUID, tenant_id: str, number: int, gathered: Gathered) -> None:
    """A search found how much of the tenant is in no segment: where that is much, a job indexes it."""
    far = number - gathered.newest_indexed > _FURTHEST
    much = gathered.unindexed * _STEPS >= service.settings.aurra_exact_up_to
    if not (far or much or gathered.is_broken):
        return
    place, now = (account, tenant_id), time.monotonic()
    if now - service.asked_to_index.get(place, -_AGAIN_SECONDS) >= _AGAIN_SECONDS:
        if len(service.asked_to_index) > _MOST:
            service.asked_to_index.clear()
        service.asked_to_index[place] = now
        _ask(service, account, tenant_id)


def _ask(service: Service, account: UUID, tenant_id: str) -> None:
    task = create_task(_add(service, account, tenant_id))
    service.tasks.add(task)
    task.add_done_callback(service.tasks.discard)


async def _add(service: Service, account: UUID, tenant_id: str) -> None:
    """A job that waits already is enough; one that cannot be added now is asked for by the next search. The queue has
    no row-level security, so it knows the tenant by a memory's id alone."""
    try:
        async with service.database.begin(account) as tx:
            if (memory := await segments.find_newest(tx, tenant_id)) is not None:
                await jobs.add(tx, uuid5(_KIND, f"{account} {tenant_id}"), "index", {"memory_id": str(memory)})
    except AurraError as error:
        log.warning("a tenant is not indexed yet", account=str(account), why=error.code)
