"""Vectors of contents that were written with another embedder than the one that search compares by now."""

from aurra.context import Service
from aurra.jobs.runner import kind
from aurra.ops import embedding
from aurra.store.jobs import Job


@kind(embedding.FILL)
async def fill(service: Service, job: Job) -> None:
    """Every content of the account has the vectors of this process's embedder."""
    if service.embedder is not None:
        await embedding.fill(service.database, job.account, service.embedder)
