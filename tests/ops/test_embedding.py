"""Vectors that were made before another embedder took over, and stored after: a job makes the missing ones."""

from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from aurra import jobs
from aurra.context import Service
from aurra.providers.base import Embedder
from aurra.providers.embed import open_embedder
from aurra.providers.embed.in_use import InUse
from tests.conftest import Account
from tests.plain import connected


class Overtaken(InUse):
    """An embedder whose place another takes while it works."""

    def __init__(self, embedder: Embedder, service: Service) -> None:
        super().__init__(embedder)
        self._service = service
        self.next = service.embedder

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """As ever; but then it is not the service's any more."""
        vectors = await super().embed(texts)
        self._service.embedder = self.next
        return vectors


@pytest.fixture
async def overtaken(service: Service) -> AsyncIterator[Overtaken]:
    """Is the service's embedder until it is used once."""
    own = service.embedder
    embedder = await open_embedder("wordllama", service.settings)
    assert embedder is not None
    service.embedder = late = Overtaken(embedder, service)
    yield late
    service.embedder = own
    await late.close()


async def models(dsn: str, account: Account) -> list[tuple[str, int | None]]:
    async with connected(dsn) as connection:
        records = await connection.fetch(
            "SELECT model, tx FROM embedding WHERE company_id = $1 ORDER BY tx, model", account.row.id
        )
    return [(record["model"], record["tx"]) for record in records]


async def test_a_write_that_was_overtaken_gets_the_other_vectors_too(
    service: Service, account: Account, overtaken: Overtaken, dsn: str
) -> None:
    """It is stored with the vectors it has, and the job, which runs as often as you like, adds those it lacks."""
    await account.add("Kim lives in Oslo")
    assert await models(dsn, account) == [(overtaken.name, 1)]
    assert service.embedder is not None
    for _ in range(2):
        await jobs.run_due(service, account.row.id)
        assert await models(dsn, account) == [(overtaken.name, 1), (service.embedder.name, None)]
    found = await account.post("/agent/search", query="Where does Kim live?")
    assert found["memories"][0]["similarity"] > 0.5
    assert (await account.get("/agent/transactions/verify"))["ok"]


async def test_many_writes_that_were_overtaken_need_one_job(
    service: Service, account: Account, overtaken: Overtaken, dsn: str
) -> None:
    """Each leaves one, since it knows of no other; the first that runs does what all would do."""
    for number in range(5):
        service.embedder = overtaken
        await account.add(f"Kim has {number} boats")
    assert await jobs.run_due(service, account.row.id) == 1
    assert service.embedder is not None
    made = [model for model, tx in await models(dsn, account) if tx is None]
    assert made == [service.embedder.name] * 5


async def test_a_question_is_compared_with_vectors_of_the_model_that_read_it(
    service: Service, account: Account, overtaken: Overtaken
) -> None:
    """The name and the vector are one: 256 numbers are never compared with 384, which is an error."""
    meant, service.embedder = service.embedder, overtaken.next
    await account.add("Kim lives in Oslo")
    service.embedder = meant
    found = await account.post("/agent/search", query="Where does Kim live?")
    assert service.embedder is overtaken.next
    assert [memory["decision"] for memory in found["memories"]] == ["Kim lives in Oslo"]


async def test_a_write_that_nobody_overtakes_leaves_no_job(service: Service, account: Account) -> None:
    """Nothing is done twice."""
    await account.add("Kim lives in Oslo")
    assert await jobs.run_due(service, account.row.id) == 0
