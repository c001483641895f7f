"""A database and a service of its own, without vectors: two askers' words then weigh the same."""

from collections.abc import AsyncIterator

import pytest

from aurra import sealing
from aurra.app import open_service
from aurra.context import Service
from aurra.settings import read_settings
from aurra.store import migrate
from tests.conftest import HandClock
from tests.plain import own_database


@pytest.fixture(scope="module")
async def dsn(dsn: str) -> AsyncIterator[str]:
    """An empty database on the tests' server."""
    async with own_database(dsn) as own:
        yield own


@pytest.fixture(scope="module")
async def service(dsn: str, clock: HandClock) -> AsyncIterator[Service]:
    """A service on it."""
    await migrate.migrate(dsn)
    settings = {"AURRA_EMBEDDER": "none", "AURRA_SECRET_KEYS": sealing.new_key()}
    async with open_service(read_settings(settings), dsn, clock) as running:
        yield running
