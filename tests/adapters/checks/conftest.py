"""A service that runs elsewhere (AURRA_BASE_URL, AURRA_API_KEY), and a fresh tenant for each test."""

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest
from aurra_sdk import AsyncAurra, Aurra


@pytest.fixture
def tenant() -> str:
    """A tenant in which there is nothing."""
    return f"test-{uuid4()}"


@pytest.fixture
def client(tenant: str) -> Iterator[Aurra]:
    """A sync client of the tenant."""
    with Aurra(tenant_id=tenant) as made:
        yield made


@pytest.fixture
async def async_client(tenant: str) -> AsyncIterator[AsyncAurra]:
    """An async client of the same tenant."""
    async with AsyncAurra(tenant_id=tenant) as made:
        yield made


@pytest.fixture
def other_client() -> Iterator[Aurra]:
    """A client of another tenant."""
    with Aurra(tenant_id=f"test-{uuid4()}") as made:
        yield made
