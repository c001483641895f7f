"""Faults that were found by reading and by trying, each kept out by its test."""

import asyncio
import datetime as dt
import sys
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

from aurra.changes import Head
from aurra.context import Service
from aurra.drafts import Draft
from aurra.errors import CannotStart
from aurra.planning.asserting import Planner
from aurra.planning.world import World
from aurra.plans import UNLIMITED
from aurra.store import pool
from aurra.store.accounts import open_directory
from aurra.store.queries import Query
from tests.conftest import Account, HandClock, MakeAccount
from tests.plain import connected
from tests.running import running


class Facts(msgspec.Struct, frozen=True):
    name: str
    statement: str
    lock: str
    plans: str


SLOT = {"subject": "kim", "attribute": "city"}


async def test_a_closed_version_names_the_memory_that_took_it_and_no_other(account: Account, dsn: str) -> None:
    """Two items of one request take two pieces of one memory: each closed piece is replaced by its own taker."""
    first = await account.add("A", valid_from="2026-01-01", valid_to="2026-03-01", **SLOT)
    await account.add("B", valid_from="2026-02-01", valid_to="2026-02-10", **SLOT)
    items = [
        {"content": "C", "valid_from": "2026-01-01", "valid_to": "2026-02-01", **SLOT},
        {"content": "D", "valid_from": "2026-02-15", "valid_to": "2026-02-20", **SLOT},
    ]
    written = await account.post("/agent/memories/bulk", memories=items)
    async with connected(dsn) as connection:
        replaced = await connection.fetchval(
            "SELECT replaced_by::text FROM version WHERE memory_id::text = $1 AND replaced_by IS NOT NULL", first
        )
    assert replaced == written["items"][0]["memory_id"]


def test_planning_many_pieces_of_one_slot_is_not_quadratic_in_time_that_matters() -> None:
    """A bulk of 500 into a slot of 500 is planned in the time of a request: counted in calls, which no other process
    makes longer."""
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    head = Head(0, b"", start, 0, None, "enterprise", UNLIMITED, start, start + dt.timedelta(days=2000))

    def plan(number: int) -> int:
        planner = Planner(head, World(), {})
        calls = 0

        def count(*_: object) -> None:
            nonlocal calls
            calls += 1

        sys.setprofile(count)
        for day in range(number):
            draft = Draft(
                text=f"v{day}",
                tenant_id="",
                source="agent",
                topic="General",
                importance=5,
                valid_from=start + dt.timedelta(days=day),
                valid_to=start + dt.timedelta(days=day + 1),
                subject="kim",
                attribute="city",
            )
            planner.assert_draft(draft, None)
        planner.changes()
        sys.setprofile(None)
        return calls

    # Four times the items: 16 times the time is quadratic, 64 times was what stopped the service.
    assert plan(800) < 24 * plan(200)


async def test_the_role_and_the_limits_are_set_in_each_transaction(service: Service, account: Account) -> None:
    """Behind a pooler a session changes hands after COMMIT: what binds a transaction is set inside it."""
    query = Query(
        "facts",
        "SELECT current_user::text AS name, current_setting('statement_timeout') AS statement, "
        "current_setting('lock_timeout') AS lock, current_setting('plan_cache_mode') AS plans",
        (),
        None,
    )
    for opened in (service.database.read, service.database.begin):
        async with opened(account.row.id) as tx:
            assert await tx.row(query, Facts) == Facts("aurra_app", "10s", "1s", "force_generic_plan")


async def test_a_page_carries_no_more_text_than_an_answer_should(account: Account) -> None:
    """Ten texts of a megabyte: pages are cut, and the cursor brings the rest."""
    for number in range(6):
        await account.add(f"{number} " + "lorem ipsum " * 80_000)
    seen, cursor = 0, {}
    pages = 0
    while True:
        page = await account.get("/agent/memories", limit=100, **cursor)
        pages, seen = pages + 1, seen + len(page["memories"])
        if not page["has_more"]:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == 6 and pages > 1


async def test_a_dialog_is_cut_in_lists_and_whole_by_id(account: Account) -> None:
    """Each fact names its conversation; beside a hundred facts it is not repeated in full a hundred times."""
    messages = [{"role": "user", "content": f"Fact number {n} is about the harbour of Oslo. " * 10} for n in range(60)]
    written = await account.post("/agent/memories", messages=messages)
    page = await account.get("/agent/memories", limit=1)
    assert len(page["memories"][0]["source_citation"]["original_message"]) == 10_000
    whole = (await account.get(f"/memories/{written['memory_ids'][0]}"))["memory"]
    assert whole["source_citation"]["original_message"].count("User: ") == 60


async def test_an_item_of_a_bulk_cannot_be_a_dry_run(account: Account) -> None:
    """`dry_run` and `reason` are the request's; in an item they are refused, and nothing is stored."""
    for field in ({"dry_run": True}, {"reason": "because"}):
        refused = await account.client.post("/agent/memories/bulk", json={"memories": [{"content": "x", **field}]})
        assert refused.status_code == 400 and "whole request" in refused.json()["detail"]
    assert (await account.get("/plan/status"))["writes_used"] == 0


async def test_parameters_in_the_query_and_in_the_body_are_refused_together(account: Account) -> None:
    """A dry run in the query string must not be lost beside a body."""
    memory_id = await account.add("kept")
    refused = await account.client.request("DELETE", f"/memories/{memory_id}?dry_run=true", json={"reason": "x"})
    assert refused.status_code == 400
    assert await account.decisions() == ["kept"]


async def test_a_cursor_remembers_that_nothing_is_left_out(account: Account) -> None:
    """The second page of a list with `include_superseded` has superseded ones too."""
    for number in range(4):
        await account.add(f"value {number}", **SLOT)
    page = await account.get("/agent/memories", include_superseded="true", limit=2)
    rest = await account.get("/agent/memories", cursor=page["next_cursor"])
    assert [memory["decision"] for memory in rest["memories"]] == ["value 1", "value 0"]


async def test_grace_begins_with_the_plan_that_is_exceeded(
    make_account: MakeAccount, dsn: str, hand_clock: HandClock
) -> None:
    """Moved to a smaller plan, the seven days run from then, whether anybody writes or not."""
    account = await make_account()
    items = [{"content": f"note {number}"} for number in range(500)]
    await account.post("/agent/memories/bulk", memories=items)
    async with connected(dsn) as connection:
        await connection.execute("INSERT INTO plan VALUES ('five-hundred', 500) ON CONFLICT DO NOTHING")
    async with open_directory(dsn) as directory:
        await directory.change_plan(account.row.name, "five-hundred")
    first = await account.get("/plan/status")
    assert first["in_grace_period"]
    assert (await account.get("/plan/status"))["grace_ends_at"] == first["grace_ends_at"]


async def test_turns_without_a_session_are_not_duplicates(account: Account) -> None:
    """An id of the caller's own counts inside a session; without one, every turn is stored."""
    turns = [{"role": "user", "content": "First", "id": "1"}, {"role": "user", "content": "Second", "id": "1"}]
    written = await account.post("/agent/memories", messages=turns, extraction="verbatim")
    assert written["saved_count"] == 2


async def test_supersede_answers_the_end_that_is_stored(account: Account) -> None:
    """A memory that ended before its successor began keeps its end."""
    old = await account.add("Oslo", valid_from="2026-01-01", valid_to="2026-02-01")
    new = await account.add("Rome", valid_from="2026-03-01")
    done = await account.post(f"/memories/{old}/supersede", superseded_by=new)
    assert done["valid_to"] == "2026-02-01T00:00:00.000000+00:00"
    assert (await account.get(f"/memories/{old}"))["memory"]["valid_to"] == done["valid_to"]


async def test_a_plus_pasted_into_a_url_is_understood(account: Account) -> None:
    """Every answer prints `+00:00`; unencoded in a query string it arrives as a space."""
    at = (await account.get("/agent/memories"))["as_of"]
    response = await account.client.get(f"/agent/memories?as_of={at}")
    assert response.status_code == 200 and response.json()["as_of"] == at


async def test_one_account_does_not_take_all_connections(make_account: MakeAccount) -> None:
    """While thirty bulks of one account wait for their turn, another account reads."""
    busy, other = await make_account(), await make_account()

    async def write(number: int) -> int:
        items = [{"content": f"{number} {uuid4()}"} for _ in range(20)]
        return (await busy.client.post("/agent/memories/bulk", json={"memories": items})).status_code

    writes = [asyncio.create_task(write(number)) for number in range(30)]
    reads = [(await other.client.get("/agent/memories")).status_code for _ in range(20)]
    assert set(reads) == {200}
    assert set(await asyncio.gather(*writes)) == {200}


async def test_the_password_of_a_url_that_cannot_be_read_is_not_shown() -> None:
    """The sentence says what to do, and quotes nothing."""
    for url in ("postgresql://aurra:s3cr#etword@host/db", "postgresql://aurra:s3cr?etword@host:x/db"):
        with pytest.raises(CannotStart) as refused:
            await pool.connect(url)
        assert "s3cr" not in str(refused.value) and "etword" not in str(refused.value)


def test_a_default_model_that_cannot_be_is_the_operators_error(tmp_path: Path, dsn: str) -> None:
    """The service does not start; the callers never hear of it."""
    settings = {"database_url": dsn, "aurra_embedder": "none", "aurra_llm_provider": "foo"}
    with pytest.raises(RuntimeError, match="AURRA_LLM_PROVIDER"), running(tmp_path / "log", **settings):
        pass


async def test_equal_turn_ids_without_a_session_in_one_bulk_are_all_stored(account: Account) -> None:
    """Two conversations of one request whose turns have the same id, and no session: each keeps its own source."""
    turn = {"role": "user", "content": "I like tea", "id": "1"}
    items = [{"messages": [turn], "extraction": "verbatim"} for _ in range(2)]
    written = await account.client.post("/agent/memories/bulk", json={"memories": items})
    assert written.status_code == 200, written.text
    assert written.json()["saved_count"] == 2
    for item in written.json()["items"]:
        memory = (await account.get(f"/memories/{item['memory_ids'][0]}"))["memory"]
        assert memory["source_citation"]["message_id"] == "1"
