"""What belongs to one GraphQL request while it is executed."""

import contextlib
from collections.abc import AsyncGenerator, Hashable, Mapping, Sequence
from typing import Any

import msgspec

from aurra.context import Caller, Context, Service
from aurra.errors import BadRequest
from aurra.faces.graphql.loading import Loader
from aurra.ops import OPERATIONS, collections, news
from aurra.ops.collections import Asked, Page
from aurra.ops.listings import TRANSACTIONS, Collection
from aurra.ops.nodes import Fetch, Node, Reader, Reading, Times
from aurra.ops.registry import require_may
from aurra.store.collections import Name


class State:
    """Who asks, the reads of the request, and what its answer tells beside the data."""

    def __init__(self, service: Service, caller: Caller, request_id: str) -> None:
        self.service = service
        self.caller = caller
        """As its key was when it was looked up last."""
        self.request_id = request_id
        self.begin()
        self.replayed: list[str] = []
        """Fields whose answer is the stored one of an earlier request."""
        self.plan_warning: str | None = None
        self.asked: dict[Hashable, Asked] = {}
        """The pages that fields ask for, by their places in the document."""

    def begin(self) -> None:
        """What is read from now on belongs to another answer of the same subscription."""
        ctx = Context(service=self.service, caller=self.caller, request_id=self.request_id)
        self.reader = Reader(ctx)
        self._loaders: dict[Hashable, Loader[str, Any]] = {}

    async def transactions(self, since: int | None) -> AsyncGenerator[Node]:
        """The transactions of the account that the caller may know of, as they are committed."""

        def current() -> Context:
            self.require_may(TRANSACTIONS.operation)
            self.begin()
            return self.reader.ctx

        async with contextlib.aclosing(news.transactions(current, since)) as nodes:
            async for node in nodes:
                # Each with reads of its own.
                self.begin()
                yield node

    def require_may(self, operation: str) -> None:
        """Returns when the caller may see what the operation shows; else raises Forbidden."""
        require_may(self.caller, OPERATIONS[operation])

    async def page(self, of: Collection, times: Times, tenant: str | None, asked: Asked) -> Page:
        """A page of all that the caller sees, or of a tenant."""
        self.require_may(of.operation)
        ctx = self.reader.ctx
        # Where all tenants are meant, None is all of them; else it is the default one.
        is_all = of.is_of_all_tenants and tenant is None and self.caller.tenant_id is None
        return await collections.read_page(self.reader, of, times, None if is_all else ctx.tenant(tenant), asked)

    async def page_of(self, of: Collection, name: Name, reading: Reading, parent: str, asked: Asked) -> Page:
        """The page of one parent, read with those of others."""
        self.require_may(of.operation)

        async def load(parents: Sequence[str]) -> Mapping[str, Page | BadRequest]:
            return await collections.read_pages(self.reader, of, name, reading, parents, asked)

        page = await self._loader((name, reading, asked), load).load(parent)
        assert page is not None
        return page

    async def one(self, operation: str, fetch: Fetch, what: Hashable, reading: Reading, id_: str | None) -> Any:
        """What one thing leads to, read with what others lead to; None where there is nothing."""
        self.require_may(operation)
        if id_ is None:
            return None

        async def load(ids: Sequence[str]) -> Mapping[str, Any]:
            async with self.reader.snapshot() as tx:
                at = reading
                if at.moment is None:
                    at = msgspec.structs.replace(at, moment=await self.reader.moment(tx, Times()))
                return await fetch(self.reader, tx, at, ids)

        return await self._loader((what, reading), load).load(id_)

    def _loader(self, key: Hashable, load: Any) -> Loader[str, Any]:
        if key not in self._loaders:
            self._loaders[key] = Loader(load)
        return self._loaders[key]
