"""What an operation may touch: who calls, and the service's parts. Operations take nothing else."""

import asyncio
import datetime as dt
import time
from collections import deque
from collections.abc import Callable
from typing import Any
from uuid import UUID

import msgspec

from aurra import texts
from aurra.changes import NORMAL_TRUST, Verb
from aurra.errors import NotFound
from aurra.providers.base import Embedder, LanguageModel, ModelChoice
from aurra.settings import Settings
from aurra.store.pool import Database
from aurra.types.accounts import AgentSettings

Clock = Callable[[], dt.datetime | None]
"""None means the database's own clock, which is what serves; tests crank one by hand."""


def database_clock() -> None:
    """Leaves the time to the database."""
    return


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """The key that was presented, and what it may."""

    company_id: UUID
    key_id: str
    scopes: frozenset[str]
    tenant_id: str | None
    """The one tenant this key is pinned to; None is not pinned."""
    settings: AgentSettings
    trust: int = NORMAL_TRUST
    """What this key writes never supersedes what one of higher trust wrote."""


class Callers:
    """Keys that were checked lately, by their hash; each is looked up again after `SECONDS`, so that one that is
    revoked is refused everywhere within five."""

    SECONDS = 3.0
    MOST = 10_000

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[float, Caller]] = {}

    def find(self, secret_hash: bytes) -> Caller | None:
        """The caller, if its key was checked within the last seconds."""
        known = self._known.get(secret_hash)
        return known[1] if known and time.monotonic() - known[0] < self.SECONDS else None

    def keep(self, secret_hash: bytes, caller: Caller) -> None:
        """Remembers a checked key."""
        if len(self._known) >= self.MOST:
            self._known.clear()
        self._known[secret_hash] = (time.monotonic(), caller)

    def forget(self, key_id: str) -> None:
        """The next request with this key is looked up."""
        self._known = {hash_: known for hash_, known in self._known.items() if known[1].key_id != key_id}


class Service(msgspec.Struct, kw_only=True):
    """The parts of a running service; made once by `app.py`."""

    settings: Settings
    database: Database
    embedder: Embedder | None
    """The installation's, as far as this process knows; replaced while it runs, so take it once for what belongs
    together: a question's vector and its model's name."""
    vectors_of: str = ""
    """The model whose vectors every content must have, as the installation's row last said: known before its embedder
    is open. Empty where search goes by words alone."""
    open_model: Callable[[ModelChoice], LanguageModel]
    cursor_secret: bytes
    clock: Clock = database_clock
    callers: Callers = msgspec.field(default_factory=Callers)
    writers: dict[UUID, deque[Any]] = msgspec.field(default_factory=dict)
    """The writes of each account that wait for a commit, while one is under way."""
    tasks: set[asyncio.Task[None]] = msgspec.field(default_factory=set)
    """What commits them; awaited before the service ends."""
    in_flight: set[tuple[UUID, str]] = msgspec.field(default_factory=set)
    """Idempotency keys whose first request is still running in this process."""


class Context(msgspec.Struct, kw_only=True):
    """One request: its caller, its id, and what the face should tell beside the answer."""

    service: Service
    caller: Caller
    request_id: str
    idempotency_key: str | None = None
    replayed: bool = False
    """Set when the answer is the stored one of an earlier request."""
    plan_warning: str | None = None

    @property
    def company_id(self) -> UUID:
        return self.caller.company_id

    @property
    def database(self) -> Database:
        return self.service.database

    def verb(self, verb: str, reason: str | None, *, model: str | None = None) -> Verb:
        """What this request enters into the ledger about itself."""
        actor = f"key {self.caller.key_id}"
        return Verb(verb=verb, actor=actor, request_id=self.request_id, reason=reason, model=model)

    def tenant(self, asked: str | None) -> str:
        """The tenant as stored: '' is the default one. Raises NotFound for another than the key is pinned to."""
        pinned = self.caller.tenant_id
        if pinned is None:
            return asked or ""
        if asked not in (None, "", pinned):
            raise NotFound("There is nothing of that id or tenant for this key.")
        return pinned

    def sees(self, tenant: str | bytes) -> bool:
        """Whether a memory of that tenant, by its name or its digest, exists for this key."""
        pinned = self.caller.tenant_id
        if pinned is None:
            return True
        return tenant == (pinned if isinstance(tenant, str) else texts.tenant_digest(self.company_id, pinned))
