"""Vectors of contents that were written with another embedder than the one that search compares by now."""

from aurra.context import Service
from aurra.errors import Unavailable
from aurra.jobs.runner import kind
from aurra.ops import embedding
from aurra.store import jobs
from aurra.store.jobs import Job


@kind(embedding.FILL)
async def fill(service: Service, job: Job) -> None:
    """Every content of the account has the vectors that search compares. Raises Unavailable while the embedder that
    makes them is being opened."""
    embedder = service.embedder
    if service.vectors_of and (embedder is None or embedder.name != service.vectors_of):
        raise Unavailable("The embedder is being opened.", code="embedder_unavailable")
    # While an embedder is being opened, each write leaves a job; one look over the account is enough for all.
    await jobs.absorb(service.database, job)
    if embedder is not None:
        await embedding.fill(service.database, job.account, embedder)
