"""T5: the catalogue of a migrated database. Whatever is added to it is bound to an account, or stands in a list here,
with the reason why it is not."""

from typing import Any

import asyncpg
import pytest

from aurra.context import Service
from tests.conftest import MakeAccount
from tests.house.grants_dump import grants
from tests.house.test_house import ROOT
from tests.plain import connected

WITHOUT_ACCOUNT = {
    "address_rate": "networks whose requests had no good key, for seconds",
    "embedder": "whose vectors the installation compares; the operator's choice",
    "job": "the queue of the installation: claimed across accounts, ids and kinds; `account` names whose it is",
    "migration": "which files were applied",
    "plan": "what each plan allows; the operator's table",
    "service_secret": "what the installation signs cursors with",
}
"""Tables without an account, and what they are for; none holds what a memory says."""

ACCOUNT = "(company_id = (NULLIF(current_setting('aurra.company_id'::text, true), ''::text))::uuid)"
OWN = {("own_account", "*", "everybody", ACCOUNT, None)}
DIRECTORY = ("directory", "*", "aurra_owner", "true", "true")
PRESENTED = (
    "presented_key",
    "r",
    "aurra_app",
    "(key_id = NULLIF(current_setting('aurra.key_id'::text, true), ''::text))",
    None,
)
POLICIES = {
    # The operator's commands read and change these across accounts, as the role that owns them.
    "account": {*OWN, DIRECTORY},
    "provider": {*OWN, DIRECTORY},
    "plan_change": {*OWN, DIRECTORY},
    # A key, or a token of one, is found before its account is known: what is of that key, to be read.
    "api_key": {*OWN, DIRECTORY, PRESENTED},
    "oauth_grant": {*OWN, PRESENTED},
    "oauth_token": {*OWN, PRESENTED},
    # A version is opened, read, closed once; only the eraser deletes.
    "version": {
        ("own_account_add", "a", "everybody", None, ACCOUNT),
        ("own_account_read", "r", "everybody", ACCOUNT, None),
        (
            "own_account_close",
            "w",
            "everybody",
            f"({ACCOUNT} AND (tx_to IS NULL))",
            f"({ACCOUNT} AND (tx_to IS NOT NULL))",
        ),
        ("own_account_erase", "d", "aurra_eraser", ACCOUNT, None),
    },
}
"""Policies of the tables that have more than the one."""

KEYS = {("account", "account_plan_fkey"): "a plan is of a table without accounts"}
"""Keys of tables with an account that do not lead with it, and why."""

CASCADING = {"subject_label", "conversation_label"}
"""Earlier labels of what is erased go with it."""

DEFINERS = {"erase": "aurra_eraser"}
"""Functions that act as another role than the caller's, and which."""


@pytest.fixture
async def connection(service: Service, dsn: str) -> Any:
    """A plain connection to the migrated database."""
    assert service
    async with connected(dsn) as opened:
        yield opened


async def test_every_table_is_bound_to_an_account_or_listed(connection: Any) -> None:
    """ENABLE, FORCE and exactly its policies; or in the list of those without an account, and without a company_id."""
    tables = await connection.fetch(
        """SELECT c.oid, c.relname::text AS name, c.relrowsecurity AS enabled, c.relforcerowsecurity AS forced,
                  pg_get_userbyid(c.relowner)::text AS owner,
                  EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'company_id'
                          AND a.attnotnull AND a.atttypid = 'uuid'::regtype AND a.attnum = 1) AS is_bound
           FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'f')"""
    )
    policies: dict[str, set[Any]] = {}
    for record in await connection.fetch(
        """SELECT c.relname::text AS t, p.polname::text, p.polcmd::text, coalesce(r.rolname::text, 'everybody') AS role,
                  pg_get_expr(p.polqual, c.oid), pg_get_expr(p.polwithcheck, c.oid)
           FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid CROSS JOIN unnest(p.polroles) AS named(oid)
           LEFT JOIN pg_roles r ON r.oid = named.oid"""
    ):
        policies.setdefault(record[0], set()).add(tuple(record)[1:])
    assert {table["name"] for table in tables if not table["is_bound"]} == set(WITHOUT_ACCOUNT)
    for table in tables:
        assert table["owner"] == "aurra_owner"
        if table["is_bound"]:
            assert (table["enabled"], table["forced"]) == (True, True), table["name"]
            assert policies[table["name"]] == POLICIES.get(table["name"], OWN), table["name"]


async def test_every_key_leads_with_the_account_on_both_sides(connection: Any) -> None:
    """Primary keys, unique and exclusion constraints, unique indexes; foreign keys pair the two accounts first."""
    led = await connection.fetch(
        """SELECT c.relname::text AS t, i.relname::text AS name, a.attname AS first
           FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
           LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = x.indkey[0]
           WHERE c.relnamespace = 'public'::regnamespace AND (x.indisunique OR x.indisexclusion)"""
    )
    assert len(led) > 25
    loose = {(one["t"], one["name"]) for one in led if one["first"] != "company_id" and one["t"] not in WITHOUT_ACCOUNT}
    referring = await connection.fetch(
        """SELECT c.conrelid::regclass::text AS t, c.conname::text AS name, a.attname AS first, b.attname AS target,
                  c.confdeltype::text || c.confupdtype::text AS actions
           FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
           JOIN pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = c.confkey[1]
           WHERE c.contype = 'f' AND c.connamespace = 'public'::regnamespace"""
    )
    assert len(referring) > 15
    loose |= {(one["t"], one["name"]) for one in referring if (one["first"], one["target"]) != ("company_id",) * 2}
    assert loose == set(KEYS)
    # None but labels cascades: nothing else goes, or is changed, past the policies.
    assert {one["t"] for one in referring if one["actions"] != "aa"} == CASCADING


async def test_the_roles_are_what_they_should_be(connection: Any) -> None:
    """No login, no superuser, nothing past the policies; the owner may hand its function to the eraser, and that is all
    that any of them is a member of."""
    roles = await connection.fetch(
        """SELECT rolname::text FROM pg_roles WHERE rolname LIKE 'aurra\\_%'
           AND NOT (rolcanlogin OR rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication)"""
    )
    assert {role[0] for role in roles} == {"aurra_owner", "aurra_app", "aurra_eraser"}
    members = await connection.fetch(
        """SELECT pg_get_userbyid(roleid)::text, pg_get_userbyid(member)::text FROM pg_auth_members
           WHERE pg_get_userbyid(member)::text LIKE 'aurra\\_%'"""
    )
    assert [tuple(member) for member in members] == [("aurra_eraser", "aurra_owner")]


async def test_the_grants_are_those_of_the_committed_list(service: Service, dsn: str) -> None:
    """`migrations/grants.txt` is every privilege there is: a new one shows in a diff. `make generate` writes it."""
    assert service
    assert await grants(dsn) == (ROOT / "migrations" / "grants.txt").read_text("utf-8")


async def test_functions_that_act_as_another_pin_their_path_and_check_the_account(connection: Any) -> None:
    """No view, no rule, no trigger and no event trigger; of functions, those that are listed."""
    functions = await connection.fetch(
        """SELECT f.proname::text AS name, pg_get_userbyid(f.proowner)::text AS owner, f.proconfig AS config,
                  f.prosrc AS body, f.proacl::text AS acl
           FROM pg_proc f WHERE f.prosecdef AND f.pronamespace = 'public'::regnamespace"""
    )
    assert {function["name"]: function["owner"] for function in functions} == DEFINERS
    for function in functions:
        assert function["config"] == ["search_path=pg_catalog, public, pg_temp"]
        assert "IS DISTINCT FROM nullif(current_setting('aurra.company_id', true), '')::uuid" in function["body"]
        # Nobody but the service; an empty grantee would be everybody.
        assert "{=" not in function["acl"] and ",=" not in function["acl"]
    around = await connection.fetch(
        """SELECT relname::text FROM pg_class c
           WHERE relnamespace = 'public'::regnamespace AND relkind IN ('v', 'm', 'f')
             AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
           UNION ALL SELECT evtname::text FROM pg_event_trigger
           UNION ALL SELECT tgname::text FROM pg_trigger WHERE NOT tgisinternal
           UNION ALL SELECT rulename::text FROM pg_rules WHERE schemaname = 'public'"""
    )
    assert around == []


async def test_the_eraser_refuses_the_account_of_another_transaction(make_account: MakeAccount, dsn: str) -> None:
    """With another account's id, with none set, and with an id of rows that are another's."""
    mine, other = await make_account(), await make_account()
    memory = await other.add("a fact")
    entry = '{"id": 1, "at": "2026-01-01T00:00:00Z", "hash": "", "actor": "x", "request_id": "x"}'
    for setting in (f"'{mine.row.id}'", "''"):
        async with connected(dsn) as connection:
            await connection.execute(f"BEGIN; SET LOCAL ROLE aurra_app; SET LOCAL aurra.company_id = {setting}")
            with pytest.raises(asyncpg.RaiseError, match="is not the one of this transaction"):
                await connection.fetchval(
                    "SELECT erase($1, $2, ARRAY[$3::uuid], '{}', '{}', '{}', '[]')", other.row.id, entry, memory
                )
    async with connected(dsn) as connection:
        await connection.execute(f"BEGIN; SET LOCAL ROLE aurra_app; SET LOCAL aurra.company_id = '{mine.row.id}'")
        gone = "SELECT erase($1, $2, ARRAY[$3::uuid], '{}', '{}', '{}', '[]')"
        assert await connection.fetchval(gone, mine.row.id, entry, memory) == 0
    assert await other.decisions() == ["a fact"]


async def test_what_has_no_account_holds_nothing_that_a_memory_says(make_account: MakeAccount, dsn: str) -> None:
    """After writes of every kind, the tables without an account hold no byte of what was said."""
    account = await make_account()
    canary = "quzozabadox"
    await account.post("/agent/conversations", session_id=canary, extraction="later", channel=canary, turns=[
        {"role": "user", "content": f"I keep {canary}.", "name": canary, "id": canary}
    ])  # fmt: skip
    await account.add(canary, subject=canary, attribute=canary, reason=canary, metadata={canary: canary})
    async with connected(dsn) as connection:
        for table in WITHOUT_ACCOUNT:
            query = f"SELECT count(*) FROM {table} t WHERE t::text LIKE '%{canary}%'"
            assert await connection.fetchval(query) == 0, table
