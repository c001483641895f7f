"""A login that holds nothing but the service's role is enough to serve."""

from uuid import uuid4

from aurra.context import Service
from aurra.store import migrate, pool
from tests.conftest import Account
from tests.plain import connected, execute


async def test_a_login_with_the_services_role_alone_serves(service: Service, account: Account, dsn: str) -> None:
    """It sees that nothing is pending, passes the start's checks, reads its account, and can become nobody else."""
    login = f"least_{uuid4().hex[:8]}"
    await execute(dsn, f"CREATE ROLE {login} LOGIN PASSWORD 'secret'", f"GRANT aurra_app TO {login}")
    least = f"postgresql://{login}:secret@/aurra?{dsn.split('?')[1]}"
    try:
        assert await migrate.pending(least) == []
        await migrate.require_safe(least)
        database = await pool.open_database(least, size=1)
        async with database.read(account.row.id):
            pass
        await database.close()
        async with connected(least) as connection:
            assert not await connection.fetchval("SELECT pg_has_role(current_user, 'aurra_owner', 'MEMBER')")
    finally:
        await execute(dsn, f"DROP OWNED BY {login}", f"DROP ROLE {login}")


async def test_a_policy_that_lets_everything_through_stops_the_start(service: Service, dsn: str) -> None:
    """Row-level security with a policy that is always true guards nothing."""
    try:
        await execute(dsn, "CREATE POLICY open_door ON source USING (true)")
        try:
            await migrate.require_safe(dsn)
        except Exception as refused:
            assert "source" in str(refused)
        else:
            raise AssertionError("the service would start")
    finally:
        await execute(dsn, "DROP POLICY open_door ON source")
