"""T5: a database whose roles, policies or privileges are not as they should be is not served from."""

from collections.abc import AsyncIterator

import pytest

from aurra.errors import CannotStart
from aurra.store import migrate
from tests.plain import execute, own_database

ACCOUNT = "company_id = nullif(current_setting('aurra.company_id', true), '')::uuid"


@pytest.fixture(scope="module")
async def whole(dsn: str) -> AsyncIterator[str]:
    """A migrated database of this file's own; each test puts back what it breaks."""
    async with own_database(dsn) as own:
        await migrate.migrate(own)
        yield own


BROKEN = {
    "a superuser": ("ALTER ROLE aurra_app SUPERUSER", "ALTER ROLE aurra_app NOSUPERUSER", "is a superuser"),
    "past all policies": ("ALTER ROLE aurra_app BYPASSRLS", "ALTER ROLE aurra_app NOBYPASSRLS", "bypasses RLS"),
    "a member of the owner": (
        "GRANT aurra_owner TO aurra_app",
        "REVOKE aurra_owner FROM aurra_app",
        "a member of another",
    ),
    "a member of the eraser": (
        "GRANT aurra_eraser TO aurra_app",
        "REVOKE aurra_eraser FROM aurra_app",
        "a member of another",
    ),
    "the owner of a view": (
        "CREATE VIEW mine AS SELECT 1 AS x; ALTER VIEW mine OWNER TO aurra_app",
        "DROP VIEW mine",
        "owns tables",
    ),
    "no row-level security": (
        "ALTER TABLE content DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE content ENABLE ROW LEVEL SECURITY",
        "on content",
    ),
    "not forced": (
        "ALTER TABLE ledger NO FORCE ROW LEVEL SECURITY",
        "ALTER TABLE ledger FORCE ROW LEVEL SECURITY",
        "on ledger",
    ),
    "no policy": (
        "DROP POLICY own_account ON memory",
        f"CREATE POLICY own_account ON memory USING ({ACCOUNT})",
        "on memory",
    ),
    "a new table without any": ("CREATE TABLE stray (company_id uuid)", "DROP TABLE stray", "on stray"),
    "a policy that is open": (
        "CREATE POLICY wide ON source TO aurra_app USING (true)",
        "DROP POLICY wide ON source",
        "on source",
    ),
    "a policy that is open to everybody": (
        "CREATE POLICY wide ON source FOR SELECT USING (true)",
        "DROP POLICY wide ON source",
        "on source",
    ),
    "the account, or something else": (
        f"CREATE POLICY wide ON source USING ({ACCOUNT} OR role = 'user')",
        "DROP POLICY wide ON source",
        "on source",
    ),
    "open to be written": (
        f"CREATE POLICY wide ON source USING ({ACCOUNT}) WITH CHECK (true)",
        "DROP POLICY wide ON source",
        "on source",
    ),
    "open to be added to": (
        "CREATE POLICY wide ON source FOR INSERT WITH CHECK (true)",
        "DROP POLICY wide ON source",
        "on source",
    ),
    "a setting that anybody may set": (
        "CREATE POLICY wide ON source USING (company_id = nullif(current_setting('other', true), '')::uuid)",
        "DROP POLICY wide ON source",
        "on source",
    ),
    "the presented key to be changed": (
        "CREATE POLICY wide ON api_key FOR UPDATE USING (key_id = nullif(current_setting('aurra.key_id', true), ''))",
        "DROP POLICY wide ON api_key",
        "on api_key",
    ),
    "a column of what was said": (
        "GRANT UPDATE (text) ON content TO aurra_app",
        "REVOKE UPDATE (text) ON content FROM aurra_app",
        "UPDATE on content",
    ),
    "its own plan": (
        "GRANT UPDATE (plan) ON account TO aurra_app",
        "REVOKE UPDATE (plan) ON account FROM aurra_app",
        "UPDATE on account",
    ),
    "the plans": ("GRANT INSERT ON plan TO aurra_app", "REVOKE INSERT ON plan FROM aurra_app", "INSERT on plan"),
    "tombstones": (
        "GRANT INSERT ON tombstone TO PUBLIC",
        "REVOKE INSERT ON tombstone FROM PUBLIC",
        "INSERT on tombstone",
    ),
    "everything at once": (
        "GRANT TRUNCATE ON provider TO aurra_app",
        "REVOKE TRUNCATE ON provider FROM aurra_app",
        "TRUNCATE on provider",
    ),
    "triggers": ("GRANT TRIGGER ON job TO aurra_app", "REVOKE TRIGGER ON job FROM aurra_app", "TRIGGER on job"),
    "a materialized view": (
        "CREATE MATERIALIZED VIEW seen AS SELECT text FROM content; GRANT SELECT ON seen TO aurra_app",
        "DROP MATERIALIZED VIEW seen",
        "the view seen",
    ),
    "a view of its owner's": (
        "CREATE VIEW seen AS SELECT text FROM content; GRANT SELECT ON seen TO aurra_app",
        "DROP VIEW seen",
        "the view seen",
    ),
    "a function without a search path": (
        "CREATE FUNCTION peek() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM content'",
        "DROP FUNCTION peek()",
        "the function peek",
    ),
}
"""What is broken, what mends it, and what the refusal names."""


@pytest.mark.parametrize(("broken", "mended", "named"), BROKEN.values(), ids=BROKEN)
async def test_serving_is_refused(whole: str, broken: str, mended: str, named: str) -> None:
    """The start stops with one sentence that names what is wrong; once it is mended, it goes on."""
    await execute(whole, broken)
    try:
        with pytest.raises(CannotStart, match=f"Refusing to serve.*{named}"):
            await migrate.require_safe(whole)
    finally:
        await execute(whole, mended)
    await migrate.require_safe(whole)


async def test_what_narrows_is_no_fault(whole: str) -> None:
    """A restrictive policy, the account with a further condition, and a view that reads as who asks."""
    await execute(
        whole,
        "CREATE POLICY narrow ON source AS RESTRICTIVE USING (role <> 'hidden')",
        f"CREATE POLICY users ON source FOR SELECT USING ({ACCOUNT} AND (role = 'user' OR role = 'assistant'))",
        "CREATE VIEW said WITH (security_invoker = true) AS SELECT text FROM source",
        "GRANT SELECT ON said TO aurra_app",
    )
    try:
        await migrate.require_safe(whole)
    finally:
        await execute(whole, "DROP VIEW said", "DROP POLICY narrow ON source", "DROP POLICY users ON source")
