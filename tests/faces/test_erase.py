"""Erase: gone from every transaction, table and answer; the rest stays, and the chain verifies. time.md §3."""

import re
import subprocess
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from aurra.store.embedded import find_binaries
from tests.conftest import Account, MakeAccount
from tests.faces.wire import MEMORIES, list_of, nothing_stored, ok, problem
from tests.plain import connected, execute


def dump(dsn: str) -> bytes:
    """All data of the database, as `pg_dump` writes it; what is hexadecimal there is the bytes themselves here."""
    done = subprocess.run(
        [find_binaries() / "pg_dump", "--data-only", "--inserts", dsn], capture_output=True, check=True
    )
    return re.sub(rb"\\x((?:[0-9a-f]{2})+)", lambda found: bytes.fromhex(found[1].decode()), done.stdout)


async def canary(account: Account, word: str) -> str:
    """A memory with the word in every place that a caller can put it."""
    answer = await account.client.post(
        MEMORIES,
        json={
            "messages": [
                {"role": "user", "content": f"My plan is {word}.", "name": f"name {word}", "id": f"id {word}"}
            ],
            "extraction": "verbatim",
            "session_id": f"session {word}",
            "subject": f"subject {word}",
            "metadata": {"note": word},
            "external_id": f"external {word}",
            "reason": f"reason {word}",
            "source": f"source {word}",
        },
        headers={"Idempotency-Key": str(uuid4())},
    )
    memory = ok(answer)["memory_ids"][0]
    await account.post(f"/memories/{memory}/correct", content=f"The plan was {word}", reason=f"because {word}")
    await account.post(f"/memories/{memory}/supersede", valid_to="2099-01-01", reason=f"until {word}")
    return memory


async def test_property_06_no_byte_of_an_erased_memory_is_left(account: Account, dsn: str) -> None:
    """Property 6: no canary is in a dump or an answer any more; nothing else is gone, and the chain verifies."""
    words = [f"canary{uuid4().hex}" for _ in range(4)]
    memories = [await canary(account, word) for word in words]
    kept = await account.add("stays", subject="kim", attribute="city")
    before = await list_of(account, include_superseded="true")
    assert all(dump(dsn).count(word.encode()) >= 8 for word in words[:1])
    answer = await account.post(f"/memories/{memories[0]}/erase", reason="asked to")
    certificate = answer["certificate"]
    assert (answer["status"], answer["count"], answer["remaining"]) == ("erased", 1, 0)
    assert certificate["memory_ids"] == [memories[0]]
    assert (certificate["versions"], certificate["contents"], certificate["turns"]) == (3, 2, 1)
    assert certificate["reasons"] == [1, 2, 3]
    assert words[0].encode() not in dump(dsn)
    assert words[1].encode() in dump(dsn)
    after = await list_of(account, include_superseded="true")
    assert after == [memory for memory in before if memory["id"] != memories[0]]
    for number in range(1, 15):
        shown = await list_of(account, transaction_as_of=number, limit=100)
        assert all(memory["id"] != memories[0] for memory in shown)
    verified = await account.get("/agent/transactions/verify")
    assert (verified["ok"], verified["checked"]) == (True, answer["transaction"]["id"])
    assert (await account.get("/plan/status"))["writes_used"] == 5
    assert (await account.get(f"/memories/{kept}"))["memory"]["decision"] == "stays"


async def test_a_reason_from_before_hashes_goes_too(account: Account, dsn: str) -> None:
    """A transaction of a database that was made before reasons were hashed: its reason is erased all the same."""
    word = f"canary{uuid4().hex}"
    memory = await account.add("secret", reason=word)
    await execute(dsn, f"UPDATE transaction SET reason_hash = NULL WHERE company_id = '{account.row.id}'")
    await account.post(f"/memories/{memory}/erase")
    assert word.encode() not in dump(dsn)


async def test_every_use_of_an_erased_memory_is_404_memory_erased(account: Account) -> None:
    """Later use of the id says by which transaction it was erased, at earlier transactions too."""
    memory, other = await account.add("secret"), await account.add("other")
    number = (await account.post(f"/memories/{memory}/erase"))["transaction"]["id"]
    reads = ["", "/timeline", "/audit"]
    responses = [await account.client.get(f"/memories/{memory}{path}") for path in reads]
    responses += [await account.client.get(f"/memories/{memory}", params={"transaction_as_of": 1})]
    writes: list[tuple[str, dict[str, Any]]] = [
        (f"/memories/{memory}/correct", {"content": "x", "reason": "r"}),
        (f"/memories/{memory}/retract", {}),
        (f"/memories/{memory}/supersede", {"valid_to": "2030-01-01"}),
        (f"/memories/{other}/supersede", {"superseded_by": memory}),
        (f"/memories/{memory}/erase", {}),
    ]
    async with nothing_stored(account):
        responses += [await account.client.post(path, json=body) for path, body in writes]
    for response in responses:
        assert f"transaction {number}" in problem(response, 404, "memory_erased")["detail"]


async def test_only_keys_that_saw_it_are_told(account: Account, make_account: MakeAccount) -> None:
    """To another account's key, and to one pinned to another tenant, an erased memory never was."""
    memory = await account.add("secret", tenant_id="b")
    await account.post(f"/memories/{memory}/erase")
    mine = await make_account(of=account.row, tenant_id="b")
    pinned = await make_account(of=account.row, tenant_id="a")
    other = await make_account()
    problem(await mine.client.get(f"/memories/{memory}"), 404, "memory_erased")
    for one in (pinned, other):
        problem(await one.client.get(f"/memories/{memory}"), 404, "not_found")


async def test_a_dry_run_counts_and_erases_nothing(account: Account) -> None:
    """The certificate of a dry run is the one that the real run then gives."""
    for number in range(5):
        await account.add(f"secret {number}", subject="eve", attribute=f"a{number}")
    async with nothing_stored(account):
        planned = ok(await account.client.post("/agent/erase", json={"subject": " EVE ", "dry_run": True}))
    done = await account.post("/agent/erase", subject="eve")
    assert (planned["count"], planned["certificate"]["slots"]) == (5, 5)
    assert planned["certificate"] == done["certificate"]
    assert (planned["transaction"]["id"], done["transaction"]["id"]) == (5, 6)
    assert await account.decisions() == []
    again = await account.post("/agent/erase", subject="eve")
    assert (again["status"], again["count"], again["transaction"]["id"]) == ("nothing", 0, 6)


async def test_by_session_by_tenant_and_by_both(account: Account, dsn: str) -> None:
    """All that is given must match; with a session or tenant go its turns, of which no memory was made too."""
    word = f"canary{uuid4().hex}"
    for tenant, session in (("a", "s"), ("a", "t"), ("b", "s"), (None, "s")):
        fact = f"In {session} I moved to Oslo {word}."
        said = [{"role": "user", "content": f"Hello {word}?"}, {"role": "user", "content": fact}]
        await account.post(MEMORIES, messages=said, session_id=session, tenant_id=tenant)
    assert (await account.post("/agent/erase", tenant_id="a", session_id="s"))["count"] >= 1
    left = {
        (tenant, session)
        for tenant in ("a", "b", "")
        for memory in await list_of(account, tenant_id=tenant)
        for session in [memory["session_id"]]
    }
    assert left == {("a", "t"), ("b", "s"), ("", "s")}
    await account.post("/agent/erase", session_id="s")
    assert await list_of(account) == []
    await account.post("/agent/erase", tenant_id="b")
    await account.post("/agent/erase", tenant_id="a")
    assert word.encode() not in dump(dsn)
    assert (await account.get("/agent/transactions/verify"))["ok"]


async def test_what_to_erase_must_be_said(account: Account) -> None:
    """Without tenant, session or subject nothing is erased; the default tenant is erased by its name, the empty one."""
    await account.add("stays", tenant_id="a")
    await account.add("goes")
    async with nothing_stored(account):
        for body in ({}, {"tenant_id": None}, {"reason": "r"}):
            problem(await account.client.post("/agent/erase", json=body), 400, "invalid_request")
        problem(await account.client.post("/agent/erase", json={"subject": " "}), 400, "invalid_request")
    assert (await account.post("/agent/erase", tenant_id=""))["count"] == 1
    assert await account.decisions(tenant_id="a") == ["stays"]


async def test_other_memories_of_an_erased_turn_stay_and_say_so(account: Account) -> None:
    """They are listed in the certificate; their source says `erased`, and quotes nothing any more."""
    text = "I live in Oslo. I work at the harbour."
    made = (await account.post(MEMORIES, messages=[{"role": "user", "content": text}], session_id="s"))["memory_ids"]
    assert len(made) == 2
    answer = await account.post(f"/memories/{made[0]}/erase")
    assert answer["certificate"]["affected_memory_ids"] == [made[1]]
    left = (await account.get(f"/memories/{made[1]}"))["memory"]
    assert left["decision"]
    assert left["source_citation"]["erased"] is True
    assert left["source_citation"]["original_message"] is None
    assert left["original_message"] is None
    assert (await account.get("/agent/transactions/verify"))["ok"]


async def test_the_scope_is_its_own(make_account: MakeAccount) -> None:
    """Who may write may not erase."""
    writer = await make_account(scopes="memories:read,memories:write")
    memory = await writer.add("mine")
    problem(await writer.client.post(f"/memories/{memory}/erase", json={}), 403, "insufficient_scope")
    problem(await writer.client.post("/agent/erase", json={"session_id": "s"}), 403, "insufficient_scope")


async def test_a_stored_answer_goes_with_its_memory(account: Account) -> None:
    """The idempotency key that made it answers 404, and never makes it again."""
    body, headers = {"content": "secret"}, {"Idempotency-Key": "k"}
    memory = ok(await account.client.post(MEMORIES, json=body, headers=headers))["memory_id"]
    await account.post(f"/memories/{memory}/erase")
    async with nothing_stored(account):
        problem(await account.client.post(MEMORIES, json=body, headers=headers), 404, "memory_erased")


async def test_an_erasure_cannot_be_restored_nor_what_it_touched(account: Account) -> None:
    """409: of the erasure itself, and of the transactions whose rows it took, naming it."""
    memory = await account.add("secret")
    await account.add("other")
    await account.post(f"/memories/{memory}/erase")
    problem(await account.client.post("/agent/transactions/3/restore", json={}), 409, "not_restorable")
    said = problem(await account.client.post("/agent/transactions/1/restore", json={}), 409, "in_the_way")
    assert said["in_the_way"] == [3]


async def test_the_function_erases_for_its_own_account_only(
    account: Account, make_account: MakeAccount, dsn: str
) -> None:
    """The service's role cannot delete; the one function that can is bound to the account and to the ledger's order."""
    other = await make_account()
    memory = await account.add("mine")
    call = "SELECT erase($1, $2, $3, '{}', '{}', '{}', '[]')"
    entry = '{"id": 2, "at": "2026-01-01T00:00:00Z", "actor": "a", "request_id": "r", "hash": "AAAA"}'
    attempts = [
        (other.row.id, account.row.id, entry),
        (None, account.row.id, entry),
        (account.row.id, account.row.id, entry.replace('"id": 2', '"id": 7')),
        (account.row.id, account.row.id, entry),
    ]
    for setting, target, given in attempts:
        async with connected(dsn) as connection:
            await connection.execute("BEGIN; SET LOCAL ROLE aurra_app")
            if setting:
                await connection.execute(f"SET LOCAL aurra.company_id = '{setting}'")
            with pytest.raises((asyncpg.RaiseError, asyncpg.ForeignKeyViolationError)):
                await connection.execute(call, target, given, [memory])
    assert await account.decisions() == ["mine"]


async def test_the_function_sees_no_table_of_its_callers(account: Account, dsn: str) -> None:
    """A temporary table of the service's role hides none of the real ones: what is erased leaves its tombstones."""
    memory = await account.add("mine")
    entry = '{"id": 7, "at": "2026-01-01T00:00:00Z", "actor": "a", "request_id": "r", "hash": "AAAA"}'
    async with connected(dsn) as connection:
        await connection.execute("BEGIN; SET LOCAL ROLE aurra_app")
        await connection.execute(f"SET LOCAL aurra.company_id = '{account.row.id}'")
        await connection.execute(
            "CREATE TEMP TABLE ledger AS SELECT company_id, 6::bigint AS last_tx, last_at, last_hash FROM public.ledger"
        )
        await connection.execute("GRANT ALL ON ledger TO aurra_eraser")
        with pytest.raises(asyncpg.RaiseError, match="does not follow the head"):
            await connection.execute(
                "SELECT erase($1, $2, $3, '{}', '{}', '{}', '[]')", account.row.id, entry, [memory]
            )


async def test_many_kept_answers_do_not_hold_an_erasure_up(account: Account, dsn: str) -> None:
    """The answers of a day of bulk writes are looked through in a second, not each name against each that goes."""
    entry = '{"id": 1, "at": "2126-01-01T00:00:00Z", "actor": "a", "request_id": "r", "hash": "AAAA"}'
    async with connected(dsn) as connection:
        await connection.execute("BEGIN")
        await connection.execute(
            "INSERT INTO idempotency SELECT $1, key::text, '\\x01', '\\x01', '2126-01-01', "
            "ARRAY(SELECT gen_random_uuid() FROM generate_series(1, 500) WHERE key > 0) "
            "FROM generate_series(1, 600) AS key",
            account.row.id,
        )
        named = await connection.fetchval("SELECT quotes[7] FROM idempotency WHERE key = '5'")
        await connection.execute("SET LOCAL ROLE aurra_app; SET LOCAL plan_cache_mode = force_generic_plan")
        await connection.execute(f"SET LOCAL aurra.company_id = '{account.row.id}'; SET LOCAL statement_timeout = '3s'")
        going = [named, *(uuid4() for _ in range(4_999))]
        await connection.execute("SELECT erase($1, $2, $3, '{}', '{}', '{}', '[]')", account.row.id, entry, going)
        assert await connection.fetch("SELECT key FROM idempotency WHERE answer = ''") == [("5",)]
        await connection.execute("ROLLBACK")


async def test_an_error_kept_with_an_answer_does_not_name_the_slot(account: Account, dsn: str) -> None:
    """An item that was refused is told apart by its index: the names of a slot that is erased are in no answer."""
    word = f"canary{uuid4().hex}"
    slot = {"subject": f"subject {word}", "attribute": f"attribute {word}"}
    memory = await account.add("secret", **slot)
    items: list[dict[str, Any]] = [{"content": "stays"}, {"content": "refused", "cardinality": "many", **slot}]
    body = {"memories": items, "mode": "partial"}
    answer = await account.client.post("/agent/memories/bulk", json=body, headers={"Idempotency-Key": "k"})
    assert ok(answer)["items"][1]["error"]["param"] == "cardinality"
    await account.post(f"/memories/{memory}/erase")
    assert word.encode() not in dump(dsn)
