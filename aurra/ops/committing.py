"""Group commit: the waiting writes of one account in this process are planned in order and committed together.

Each is a transaction of its own, with its own number and outcome: one that is refused changes nothing and stops nobody.
When the database refuses the commit, it is rolled back and each write runs alone. A client that goes away changes
nothing for the others; its own write is finished if it was begun, and dropped if it was not.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

import msgspec
import structlog

from aurra import instants, plans
from aurra.changes import Changes, Head, OpenedRow, TransactionRow, Verb, merged, seal
from aurra.context import Context, Service
from aurra.errors import AurraError, NotFound, Unavailable, Unprocessable
from aurra.ops import embedding, growing, metering
from aurra.planning.world import NotLoaded, World
from aurra.store import ledger
from aurra.store import world as world_store
from aurra.store.ledger import Kept
from aurra.store.pool import ConstraintBroken, Transaction
from aurra.store.world import Needs, StoredAnswer
from aurra.types.common import Answer, TransactionRef

log = structlog.get_logger("aurra")

MOST_TOGETHER = 64
"""Writes of one commit."""
WRITTEN_AHEAD = 16
"""Writes after which those decided are sent to the database, while the next are decided."""
MOST_MEMORIES = 500
"""New memories of one commit, unless its first write alone makes more."""
_TRIES = 5
_WAIT_SECONDS = 10


class Decision(msgspec.Struct, kw_only=True):
    """What a write decided under the lock: the rows (None or empty changes nothing), and how to answer."""

    verb: Verb
    changes: Changes | None
    answer: Callable[[TransactionRef], Answer]
    dry_run: bool = False
    quotes: list[UUID] | None = []
    """Memories that the answer names; None where it may name anything."""


Plan = Callable[[World, Head], Decision]
"""Pure: what the write does to what is believed. It may be called again."""
Decide = Callable[[Transaction, Head], Awaitable[Decision]]
"""Reads under the lock what it needs; such a write is committed alone."""


class Fingerprint(msgspec.Struct, frozen=True):
    """An idempotency key and the request it came with."""

    key: str
    digest: bytes


class Write(msgspec.Struct, kw_only=True, eq=False):
    """One write that waits for its commit; `done` gets its answer or its error."""

    ctx: Context
    print_: Fingerprint | None
    answer: type[Answer]
    needs: Needs
    plan: Plan | None = None
    decide: Decide | None = None
    done: asyncio.Future[Answer]
    is_begun: bool = False

    def give_up(self) -> None:
        """Its time to wait for a turn is over."""
        if not (self.is_begun or self.done.done()):
            self.done.set_exception(Unavailable("Too many writes of this account are waiting; nothing was stored."))


class Outcome(msgspec.Struct, kw_only=True):
    """What became of a write, to be told once the commit is through."""

    write: Write
    answer: Answer | None = None
    error: Exception | None = None
    opened: Sequence[OpenedRow] = ()
    """The pieces that it added."""

    def tell(self) -> None:
        """Wakes who waits for it, unless nobody does any more."""
        if self.write.done.done():
            return
        if self.error is not None:
            self.write.done.set_exception(self.error)
        elif self.answer is not None:
            self.write.done.set_result(self.answer)


async def commit(write: Write) -> Answer:
    """The write's answer, once it is committed. Raises its error; Unavailable after ten seconds' wait for a turn."""
    service, company_id = write.ctx.service, write.ctx.company_id
    queue: deque[Write] | None = service.writers.get(company_id)
    if queue is None:
        return await _commit_at_once(service, company_id, write)
    queue.append(write)
    turn = asyncio.get_running_loop().call_later(_WAIT_SECONDS, write.give_up)
    try:
        # Cancelled, this cancels `done` too: what is not begun is then dropped.
        return await write.done
    finally:
        turn.cancel()


async def _commit_at_once(service: Service, company_id: UUID, write: Write) -> Answer:
    """The answer of a write that finds nobody before it; what comes meanwhile waits, and is committed by a task."""
    service.writers[company_id] = queue = deque[Write]()
    try:
        await _commit_together([write])
        return write.done.result()
    finally:
        if queue:
            task = asyncio.create_task(_commit_all(service, company_id, queue))
            service.tasks.add(task)
            task.add_done_callback(service.tasks.discard)
        else:
            del service.writers[company_id]


async def _commit_all(service: Service, company_id: UUID, queue: deque[Write]) -> None:
    """Commits until nothing waits."""
    try:
        while queue:
            if together := _take(queue):
                await _commit_together(together)
            if not queue:
                # Whoever was just answered may have more to write: let them join.
                await asyncio.sleep(0)
    finally:
        del service.writers[company_id]
        for write in queue:
            write.done.cancel()


def _take(queue: deque[Write]) -> list[Write]:
    """The writes at the head of the queue that can be committed together."""
    taken: list[Write] = []
    size = 0
    while queue and len(taken) < MOST_TOGETHER:
        write = queue[0]
        size += write.needs.size
        if taken and (size > MOST_MEMORIES or write.plan is None):
            break
        queue.popleft()
        if write.done.done():
            continue
        write.is_begun = True
        taken.append(write)
        if write.plan is None:
            break
    return taken


async def _commit_together(writes: Sequence[Write]) -> None:
    """Tells every write its outcome."""
    try:
        outcomes = await _outcomes(writes)
    except asyncio.CancelledError:
        # Only when the service ends, or nobody else waits.
        for write in writes:
            write.done.cancel()
        raise
    for outcome in outcomes:
        outcome.tell()
    ctx = writes[0].ctx
    ctx.service.news.tell(ctx.company_id)
    growing.note(ctx.service, ctx.company_id, [row.tenant_id for outcome in outcomes for row in outcome.opened])


async def _outcomes(writes: Sequence[Write]) -> list[Outcome]:
    """Of all writes together or, where the database refuses that, of each alone."""
    try:
        return await _attempt(writes)
    except Exception as error:
        if isinstance(error, Unavailable) or (len(writes) == 1 and isinstance(error, AurraError)):
            return [Outcome(write=write, error=error) for write in writes]
        log.warning("a commit was refused; its writes run alone", writes=len(writes), kind=type(error).__name__)
        return [await _alone(write, error) for write in writes]


async def _alone(write: Write, first: Exception) -> Outcome:
    """The outcome of a write committed by itself; one that met a rule of the database is planned again."""
    error = first
    for _ in range(_TRIES):
        await asyncio.sleep(secrets.randbelow(20) / 1000)
        try:
            return (await _attempt([write]))[0]
        except ConstraintBroken as broken:
            error = Unavailable(f"The write met the rule {broken.constraint} again and again; nothing was stored.")
        except Exception as other:
            return Outcome(write=write, error=other)
    return Outcome(write=write, error=error)


class _Commit:
    """The transactions of one commit, as they are decided one after the other. The database writes some while the next
    are decided."""

    def __init__(self, tx: Transaction, head: Head, service: Service) -> None:
        self.head = head
        self._service = service
        self._tx = tx
        self._before = head.last_tx
        self._entries: list[TransactionRow] = []
        self._changes: list[Changes] = []
        self._answers: list[Kept] = []
        self._writing: asyncio.Task[None] | None = None

    def add(self, verb: Verb, changes: Changes, meter: plans.Meter) -> None:
        """One more transaction."""
        salt = None if verb.reason is None else secrets.token_bytes(32)
        entry = seal(self._tx.company_id, self.head, verb, changes, salt)
        if embedding.lacks_vectors(self._service.vectors_of, changes):
            # Another embedder took over since they were made.
            changes.jobs.append(embedding.fill_job(self._tx.company_id))
        self._entries.append(entry)
        self._changes.append(changes)
        self.head = self.head.after(entry.hash, meter)

    def label(self, changes: Changes) -> None:
        """What is said of conversations beside any transaction."""
        self._changes.append(changes)

    def keep(self, answer: Kept) -> None:
        """An answer to keep for its idempotency key."""
        self._answers.append(answer)

    async def send(self) -> None:
        """What was decided is on its way to the database; returns before it is there."""
        await self.wait()
        self._writing = asyncio.create_task(self._write())
        # Its first step puts it on the wire.
        await asyncio.sleep(0)

    async def wait(self) -> None:
        """Nothing is on its way any more, so that the connection may be used."""
        if (writing := self._writing) is not None:
            self._writing = None
            await writing

    async def finish(self) -> None:
        """All of it is written."""
        await self.wait()
        await self._write()

    async def abandon(self) -> None:
        """After an error, nothing is under way when the transaction is rolled back."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.wait((self._writing,))
            if not self._writing.cancelled():
                self._writing.exception()

    async def _write(self) -> None:
        """What was decided and not yet written, in one statement."""
        before, entries, changes, answers = self._before, self._entries, self._changes, self._answers
        self._before, self._entries, self._changes, self._answers = self.head.last_tx, [], [], []
        head = self.head
        if changes and (erasure := changes[0].erasure):
            await ledger.erase(self._tx, entries[0], erasure)
        elif changes:
            await ledger.apply(self._tx, before, head, entries, merged(changes), answers)
            return
        if answers:
            await ledger.store_answers(self._tx, answers, head.at)


async def _attempt(writes: Sequence[Write]) -> list[Outcome]:
    """One database transaction. First the ledger is locked; what is believed is read in a later statement, since its
    snapshot must not be older than the lock."""
    ctx = writes[0].ctx
    async with ctx.database.begin(ctx.company_id) as tx:
        head = await ledger.lock(tx, ctx.service.clock())
        head, world, answers = await world_store.load_under(tx, [write.needs for write in writes], head)
        return await _decided(tx, writes, head, world, answers)


async def _decided(
    tx: Transaction, writes: Sequence[Write], head: Head, world: World, answers: dict[str, StoredAnswer]
) -> list[Outcome]:
    """The outcome of each write, all of them written."""
    planned = _Commit(tx, head, writes[0].ctx.service)
    outcomes: list[Outcome] = []
    try:
        for number, write in enumerate(writes, 1):
            outcomes.append(await _outcome(tx, write, world, answers, planned, is_only=len(writes) == 1))
            if number % WRITTEN_AHEAD == 0:
                await planned.send()
        await planned.finish()
    except BaseException:
        await planned.abandon()
        raise
    return outcomes


async def _outcome(
    tx: Transaction, write: Write, world: World, answers: dict[str, StoredAnswer], planned: _Commit, *, is_only: bool
) -> Outcome:
    try:
        if write.print_ and (stored := answers.get(write.print_.key)):
            return Outcome(write=write, answer=replay(write.ctx, stored, write.print_, write.answer))
        if write.decide is not None:
            return _accept(write, await write.decide(tx, planned.head), planned)
        child, decision = await _planned(tx, write, world, planned, is_only=is_only)
        outcome = _accept(write, decision, planned)
        if not (is_only or decision.dry_run):
            world.absorb(child)
        return outcome
    except AurraError as error:
        if isinstance(error, Unavailable):
            raise
        return Outcome(write=write, error=error)


async def _planned(
    tx: Transaction, write: Write, world: World, planned: _Commit, *, is_only: bool
) -> tuple[World, Decision]:
    """The decision, and the world as it is then; what the plan turns out to need is loaded."""
    assert write.plan is not None
    while True:
        child = world if is_only else world.child()
        try:
            return child, write.plan(child, planned.head)
        except NotLoaded as missing:
            await planned.wait()
            await world_store.load_memory(tx, world, missing.memory, planned.head.at)


def _accept(write: Write, decision: Decision, planned: _Commit) -> Outcome:
    """Adds what was decided to the commit. Raises PlanLimitExceeded."""
    changes = decision.changes
    verdict = metering.admit(planned.head, changes)
    opened: Sequence[OpenedRow] = ()
    if changes is not None and not decision.dry_run:
        if not changes.is_empty:
            planned.add(decision.verb, changes, verdict.meter)
            opened = changes.opened
        elif changes.conversations:
            planned.label(changes)
    head = planned.head
    done = decision.answer(TransactionRef(id=head.last_tx, at=instants.show(head.last_at)))
    write.ctx.plan_warning = plans.warning(verdict)
    if write.ctx.plan_warning:
        done.warnings.append(write.ctx.plan_warning)
    if write.print_ and not decision.dry_run:
        kept = Kept(write.print_.key, write.print_.digest, msgspec.json.encode(done), decision.quotes)
        planned.keep(kept)
    return Outcome(write=write, answer=done, opened=opened)


def replay(ctx: Context, stored: StoredAnswer, print_: Fingerprint, answer: type[Any]) -> Any:
    """The answer stored for the key. Raises Unprocessable for another request, NotFound where it was erased."""
    if not stored.fingerprint:
        raise NotFound("What was answered to this Idempotency-Key was erased for good.", code="memory_erased")
    if stored.fingerprint != print_.digest:
        raise Unprocessable(
            "This Idempotency-Key was used with another request.", code="idempotency_mismatch", param="Idempotency-Key"
        )
    ctx.replayed = True
    return msgspec.json.decode(stored.answer, type=answer)
