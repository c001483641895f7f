"""What an operation may touch: who calls, and the service's parts. Operations take nothing else."""

import asyncio
import datetime as dt
import time
from collections import deque
from collections.abc import Callable
from typing import Any
from uuid import UUID

import msgspec

from aurra import networks, texts
from aurra.changes import NORMAL_TRUST, Verb
from aurra.errors import NotFound
from aurra.limiter import Limiter
from aurra.networks import Networks
from aurra.providers.base import Embedder, LanguageModel, ModelChoice
from aurra.providers.breaker import Breaker
from aurra.providers.bulkhead import Bulkhead
from aurra.settings import Settings
from aurra.store import providers
from aurra.store.accounts import KeyRow
from aurra.store.pool import Database
from aurra.store.providers import ProviderRow
from aurra.store.secret_keys import SecretKeys
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
    up_to: int | None = None
    """The newest transaction that this key may know of; None is no ceiling."""
    networks: Networks = ()
    """Where it may be used from; none is anywhere."""
    secret_hash: bytes = b""
    """Of the secret that was presented: the key's own, or the one before its last rotation."""


def caller_of(row: KeyRow, secret_hash: bytes = b"") -> Caller:
    """The caller that a stored key makes, presented by a secret."""
    return Caller(
        company_id=row.company_id,
        key_id=row.key_id,
        scopes=frozenset(row.scopes),
        tenant_id=row.tenant_id,
        trust=row.trust,
        up_to=row.up_to,
        networks=networks.read_networks(row.networks),
        secret_hash=secret_hash,
        settings=msgspec.json.decode(row.settings, type=AgentSettings),
    )


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """A key that was looked up, and accepted."""

    caller: Caller
    begun: float
    """When the look-up began, on this process's own clock."""
    at: dt.datetime | None = None
    """What time it was then; where `ends_at` is."""
    ends_at: dt.datetime | None = None
    """From when on it is refused, as far as that was known."""


class Callers:
    """Keys that were checked lately, by their hash; each is looked up again after `SECONDS`, so that one that is
    revoked is refused everywhere within five, and when it ends, so that it is refused at once."""

    SECONDS = 3.0
    MOST = 10_000

    def __init__(self) -> None:
        self._known: dict[bytes, Checked] = {}
        self.changes = 0
        """How often a key was changed here: what was read before a change must not outlive it."""

    def find(self, secret_hash: bytes, at: dt.datetime | None) -> Caller | None:
        """The caller, if its key was checked within the last seconds and has not ended; `at` is now where a clock other
        than the database's says so."""
        if (known := self._known.get(secret_hash)) is None:
            return None
        passed = time.monotonic() - known.begun
        if passed >= self.SECONDS:
            return None
        if known.at is not None and known.ends_at is not None:
            at = at or known.at + dt.timedelta(seconds=passed)
            if at >= known.ends_at:
                return None
        return known.caller

    def keep(self, secret_hash: bytes, checked: Checked, changes: int) -> None:
        """Remembers a checked key, unless a key was changed here since `changes` was."""
        if changes != self.changes:
            return
        if len(self._known) >= self.MOST:
            self._known.clear()
        self._known[secret_hash] = checked

    def forget(self, key_id: str) -> None:
        """The next request with this key is looked up."""
        self.changes += 1
        self._known = {hash_: known for hash_, known in self._known.items() if known.caller.key_id != key_id}


class LastUses:
    """When each key was used last, as far as that is not written yet: on this process's own clock."""

    def __init__(self) -> None:
        self._noted: dict[tuple[UUID, str], float] = {}

    def note(self, caller: Caller) -> None:
        """The key is used, now."""
        self._noted[caller.company_id, caller.key_id] = time.monotonic()

    def take(self) -> dict[UUID, dict[str, float]]:
        """For each account: seconds since each key was used; nothing is noted afterwards."""
        noted, self._noted = self._noted, {}
        taken: dict[UUID, dict[str, float]] = {}
        for (company_id, key_id), at in noted.items():
            taken.setdefault(company_id, {})[key_id] = time.monotonic() - at
        return taken

    def give_back(self, company_id: UUID, ages: dict[str, float]) -> None:
        """What could not be written is noted again."""
        for key_id, age in ages.items():
            self._noted.setdefault((company_id, key_id), time.monotonic() - age)


class StoredModels:
    """The accounts' own models, as stored: each is looked up again after `SECONDS`, as keys are."""

    SECONDS = 3.0
    MOST = 10_000

    def __init__(self) -> None:
        self._known: dict[UUID, tuple[float, ProviderRow | None]] = {}
        self._changes = 0

    async def find(self, database: Database, company_id: UUID) -> ProviderRow | None:
        """The account's model; None where it has none of its own."""
        known = self._known.get(company_id)
        if known and time.monotonic() - known[0] < self.SECONDS:
            return known[1]
        begun, changes = time.monotonic(), self._changes
        async with database.read(company_id) as tx:
            row = await providers.find(tx)
        # What was read before a change must not outlive it.
        if changes == self._changes:
            if len(self._known) >= self.MOST:
                self._known.clear()
            self._known[company_id] = (begun, row)
        return row

    def forget(self, company_id: UUID) -> None:
        """It has changed: the next request looks it up."""
        self._changes += 1
        self._known.pop(company_id, None)


class Watch:
    """The newest transaction of an account that somebody follows, as far as this process knows."""

    def __init__(self) -> None:
        self.newest = 0
        self.moved = asyncio.Event()
        """Set when there is a newer one; and then another event takes its place."""
        self.look = asyncio.Event()
        """Asks for a look at once."""
        self.followers = 0
        self.task: asyncio.Task[None] | None = None

    def saw(self, newest: int) -> None:
        """Wakes all followers where there is a newer transaction."""
        if newest > self.newest:
            self.newest = newest
            moved, self.moved = self.moved, asyncio.Event()
            moved.set()


class News:
    """Accounts of which somebody follows the transactions."""

    def __init__(self) -> None:
        self.watches: dict[UUID, Watch] = {}

    def tell(self, company_id: UUID) -> None:
        """This process committed something: whoever follows the account sees it at once."""
        if (watch := self.watches.get(company_id)) is not None:
            watch.look.set()


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
    secret_keys: SecretKeys
    clock: Clock = database_clock
    trusted_proxies: Networks = ()
    """Whose X-Forwarded-For is believed."""
    is_draining: bool = False
    """Set once the process was told to end: it finishes what was begun, and is not ready for more."""
    callers: Callers = msgspec.field(default_factory=Callers)
    last_uses: LastUses = msgspec.field(default_factory=LastUses)
    stored_models: StoredModels = msgspec.field(default_factory=StoredModels)
    breaker: Breaker = msgspec.field(default_factory=Breaker)
    bulkhead: Bulkhead = msgspec.field(default_factory=Bulkhead)
    limiter: Limiter = msgspec.field(default_factory=Limiter)
    news: News = msgspec.field(default_factory=News)
    writers: dict[UUID, deque[Any]] = msgspec.field(default_factory=dict)
    """The writes of each account that wait for a commit, while one is under way."""
    tasks: set[asyncio.Task[None]] = msgspec.field(default_factory=set)
    """What commits them; awaited before the service ends."""
    growth: dict[tuple[UUID, str], int] = msgspec.field(default_factory=dict)
    """Pieces that this process has committed since it last had each tenant's index looked at."""
    asked_to_index: dict[tuple[UUID, str], float] = msgspec.field(default_factory=dict)
    """When a search last asked that each tenant be indexed."""
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
    def owner(self) -> bytes:
        """Whose its cursors and idempotency keys are: the account's, or the one tenant's that it is pinned to."""
        pinned = self.caller.tenant_id
        return self.company_id.bytes if pinned is None else texts.tenant_digest(self.company_id, pinned)

    @property
    def database(self) -> Database:
        """The database as far as this caller may know of it: the one door to it that operations have."""
        return self.service.database.within(self.caller.up_to)

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
