"""A fixed, dated story, played through the operations: the four scenarios in which the two times part. `aurra seed`.

Every instant in it is fixed, so that the README, a console and a test can all speak of the same transactions.
"""

import datetime as dt
from typing import Any
from uuid import UUID, uuid4

import msgspec

from aurra.context import Caller, Context, Service
from aurra.keys import SCOPES
from aurra.ops import OPERATIONS, call
from aurra.types.accounts import AgentSettings
from aurra.types.memories import MemoryWritten

BEGINNING = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
"""When the story's account is made: its transaction 0."""
SUBJECTS = ("kim", "acme", "alva")


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One transaction: when it happens, and what is sent."""

    day: str
    """The day on which it becomes known, at 09:00 UTC."""
    operation: str = "memories.add"
    of: str | None = None
    """The `content` whose memory it is about, where the operation needs one."""
    request: dict[str, Any]

    @property
    def at(self) -> dt.datetime:
        return dt.datetime.fromisoformat(f"{self.day}T09:00:00+00:00")


def _fact(day: str, content: str, subject: str, attribute: str, **fields: str) -> Step:
    return Step(day=day, request={"content": content, "subject": subject, "attribute": attribute, **fields})


STEPS = [
    _fact("2026-01-05", "Kim lives in Oslo", "kim", "city", valid_from="2020-05-01"),
    _fact("2026-01-10", "Acme pays 100 euros a month", "acme", "price", valid_from="2026-01-01"),
    _fact("2026-01-20", "Kim works for Acme", "kim", "employer", valid_from="2025-09-01"),
    # What February believed about April: a change that is scheduled, and then turns out otherwise.
    _fact("2026-02-10", "Acme pays 120 euros a month", "acme", "price", valid_from="2026-04-01", reason="price list"),
    _fact("2026-03-01", "Alva's number is 555-0200", "alva", "phone", valid_from="2026-03-01"),
    _fact("2026-03-02", "Alva is in Sales", "alva", "team", valid_from="2026-02-01"),
    Step(
        day="2026-03-15",
        operation="memories.correct",
        of="Acme pays 120 euros a month",
        request={"content": "Acme pays 110 euros a month", "reason": "negotiated"},
    ),
    # A bounded retroactive edit leaves no hole: three months in Rome, learned of afterwards.
    _fact("2026-05-02", "Kim lives in Rome", "kim", "city", valid_from="2026-02-01", valid_to="2026-05-01"),
    # A correction with the same start date: the record was wrong, the world did not change.
    Step(
        day="2026-05-10",
        operation="memories.correct",
        of="Kim works for Acme",
        request={"content": "Kim works for Acme Nordic", "reason": "the contract is with the subsidiary"},
    ),
    # An older fact arrives late: without an end it yields to what is known to hold later; with one it stays inside it.
    _fact("2026-05-20", "Alva's number is 555-0100", "alva", "phone", valid_from="2024-06-01"),
    _fact("2026-05-21", "Alva is in Support", "alva", "team", valid_from="2023-01-01", valid_to="2025-12-31"),
]


async def play(service: Service, company_id: UUID) -> None:
    """Every step in an account that was made at `BEGINNING`, each at its own instant, whatever the time is now."""
    caller = Caller(
        company_id=company_id, key_id="story", scopes=frozenset(SCOPES), tenant_id=None, settings=AgentSettings()
    )
    memories: dict[str, str] = {}
    for step in STEPS:
        service.clock = lambda at=step.at: at
        op = OPERATIONS[step.operation]
        given = step.request if step.of is None else {"memory_id": memories[step.of], **step.request}
        ctx = Context(service=service, caller=caller, request_id=uuid4().hex)
        answer = await call(ctx, op, msgspec.convert(given, op.request))
        if isinstance(answer, MemoryWritten) and answer.memory_id:
            memories[step.request["content"]] = answer.memory_id
