"""T4: whoever asks for what is another account's, or another tenant's, is told what is told of nothing at all.

Generated from the registry: every operation, every field that names something, every face. Two askers are alike in all
but the names they send: of one, names that another owner has, in every text of whose a word is planted; of the other,
names that nobody has. Their answers are the same byte by byte, up to request ids and what they sent themselves.
"""

import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from aurra.context import Service
from aurra.ops import OPERATIONS
from aurra.ops.registry import Operation
from aurra.types.common import Answer, Request
from tests.conftest import Account, HandClock, MakeAccount
from tests.isolation import cases
from tests.isolation.asking import Reader, faces
from tests.isolation.planting import Planted, plant, word
from tests.isolation.stored import changed, rows_of, rows_of_tenant
from tests.isolation.trying import Asker, Case, Trial, cases_of
from tests.plain import execute

START = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
MakePlanted = Callable[..., Awaitable[tuple[Account, Planted]]]


def test_every_operation_and_every_field_of_every_request_has_a_case() -> None:
    """A new one fails here, and the message says where to add it."""
    kinds = {field.kind for op in OPERATIONS.values() for field in cases.fields_of(op)}
    assert kinds == set(cases.NAMES.values())
    for op in OPERATIONS.values():
        cases.request_of(op, {kind: ["x"] for kind in kinds})
    assert set(cases.REQUESTS) <= set(OPERATIONS)


def test_a_new_field_and_a_new_operation_fail_the_build() -> None:
    """The messages name the field or the operation, and the file."""

    class Inside(msgspec.Struct):
        parcel_id: str = ""

    class Parcels(Request, kw_only=True):
        parcels: list[Inside] | None = None
        weight: int

    async def run(ctx: Any, request: Any) -> Answer:
        return Answer()

    op = msgspec.structs.replace(OPERATIONS["memories.list"], name="parcels.list", request=Parcels, run=run)
    assert isinstance(op, Operation)
    with pytest.raises(cases.Unknown, match=r"`parcels\.0\.parcel_id` of parcels\.list \(Inside\).*cases\.py"):
        cases.fields_of(op)
    with pytest.raises(cases.Unknown, match=r"parcels\.list requires weight.*cases\.py"):
        cases.request_of(op, {})


@pytest.fixture
async def planted(service: Service, make_account: MakeAccount, hand_clock: HandClock, dsn: str) -> MakePlanted:
    """Makes an account in which there is something of everything; the same at the same instants each time."""

    async def make(known: str, **more: Any) -> tuple[Account, Planted]:
        hand_clock.at = START
        account = await make_account(name=f"key of {known}")
        await execute(dsn, f"UPDATE account SET created_at = '{START}' WHERE company_id = '{account.row.id}'")
        low = await make_account(of=account.row, trust=1, name=f"low key of {known}")
        return account, await plant(service, account, low, known, **more)

    return make


SHORT = {"names": 1}
LONG = {"names": 8, "with_forms": True, "pairs": True}
SIZES = [pytest.param(SHORT, id="short"), pytest.param(LONG, id="long", marks=pytest.mark.long)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.timeout(3600)
async def test_t4_another_account_is_nobody(
    planted: MakePlanted, hand_clock: HandClock, app: Any, dsn: str, size: dict[str, Any]
) -> None:
    """Account B names all that is account A's: 0 bytes of A, the answers of a random name, and A stays as it is."""
    prying, own = await planted(known := word())
    guessing, own_too = await planted(known)
    owner, foreign = await planted(
        word(),
        more=2 if size is SHORT else 8,
        fillers=100 if size is SHORT else 4000,
        with_model=True,
    )
    await execute(dsn, f"UPDATE account SET name = 'account of {foreign.word}' WHERE company_id = '{owner.row.id}'")
    before = await rows_of(dsn, owner.row.id)
    hand_clock.at = START + dt.timedelta(hours=1)
    trial = Trial(
        hand_clock,
        Asker(faces(prying, app), own, Reader()),
        Asker(faces(guessing, app), own_too, Reader()),
        foreign,
    )
    await require_nothing_told(trial, cases_of(foreign, **size), everywhere=size is LONG)
    assert changed(before, await rows_of(dsn, owner.row.id)) == []
    for account in (owner, prying, guessing):
        assert (await account.get("/agent/transactions/verify"))["ok"]
    # The cases are cases: the owner is told otherwise, wherever something is read.
    reading = [case for case in cases_of(foreign, names=1) if case.op.method == "GET"]
    owning = Trial(
        hand_clock, Asker(faces(owner, app), foreign, Reader()), Asker(faces(guessing, app), own_too, Reader()), foreign
    )
    told: set[str] = set()
    for case in reading:
        if case.op.name not in told and await owning.play(case, "rest") is not None:
            told.add(case.op.name)
    assert told == {case.op.name for case in reading} - NAMED_BY_NOTHING


NAMED_BY_NOTHING = {"keys.list", "usage.summary", "usage.details", "usage.by_key", "plan.history"}
"""Of the asker's own account as a whole: but for a place in it, a request names nothing."""


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.timeout(3600)
async def test_t4_another_tenant_is_nobody(
    service: Service,
    make_account: MakeAccount,
    hand_clock: HandClock,
    app: Any,
    dsn: str,
    size: dict[str, Any],
) -> None:
    """A key pinned to one tenant names all that is another tenant's of its account: as between accounts."""
    known, other = word(), word()
    askers: list[tuple[Account, Planted, Planted]] = []
    for _ in range(2):
        hand_clock.at = START
        whole = await make_account()
        await execute(dsn, f"UPDATE account SET created_at = '{START}' WHERE company_id = '{whole.row.id}'")
        low = await make_account(of=whole.row, trust=1)
        pinned = await make_account(of=whole.row, tenant_id=known)
        pinned_low = await make_account(of=whole.row, trust=1, tenant_id=known)
        theirs = await plant(service, whole, low, other, tenant=f"tenant {other}", more=2 if size is SHORT else 8)
        own = await plant(service, pinned, pinned_low, known, tenant=known)
        askers.append((pinned, own, theirs))
    (prying, own, foreign), (guessing, own_too, _) = askers
    before = await rows_of_tenant(dsn, prying.row.id, f"tenant {other}")
    assert len(before) > 10
    hand_clock.at = START + dt.timedelta(hours=1)
    trial = Trial(
        hand_clock,
        Asker(faces(prying, app), own, Reader()),
        Asker(faces(guessing, app), own_too, Reader()),
        foreign,
        moments_are_shared=True,
    )
    await require_nothing_told(trial, cases_of(foreign, **size), everywhere=size is LONG)
    assert changed(before, await rows_of_tenant(dsn, prying.row.id, f"tenant {other}")) == []
    assert (await prying.get("/agent/transactions/verify"))["ok"]


async def require_nothing_told(trial: Trial, all_cases: list[Case], *, everywhere: bool) -> None:
    """Fails with the first of what was told, and how much it is. Each case is played by one face in turn, or by all."""
    told: list[str] = []
    for number, case in enumerate(all_cases):
        names = trial.faces if everywhere else [trial.faces[number % len(trial.faces)]]
        told += [said for face in names if (said := await trial.play(case, face)) is not None]
    print(f"{trial.requests} requests, {len(told)} told")
    assert not told, f"{len(told)} told of {len(all_cases)} cases; the first:\n" + "\n\n".join(told[:5])
