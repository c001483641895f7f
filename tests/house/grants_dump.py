"""Prints every privilege that a role of ours, or everybody, has in a migrated database: one a line, so that a new one
shows in a diff. `python -m tests.house.grants_dump > migrations/grants.txt`."""

import asyncio
import sys
import tempfile
from pathlib import Path

from aurra.store import migrate
from aurra.store.embedded import EmbeddedPostgres
from tests.plain import connected

HEADER = (
    "# What each role may, where it is not the owner. Generated: `make generate` writes it, `make check` compares.\n"
)

# What an extension brings is not ours to grant; what a role owns, it may do.
QUERY = """
WITH ours AS (
  SELECT c.relname AS name, c.relacl AS acl, c.relowner AS owner, 'r'::"char" AS kind, '' AS part
  FROM pg_class c
  WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND NOT EXISTS (
    SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e')
  UNION ALL
  SELECT c.relname, a.attacl, c.relowner, 'c', '(' || a.attname || ')'
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attacl IS NOT NULL
  WHERE c.relnamespace = 'public'::regnamespace
  UNION ALL
  SELECT f.proname || '()', coalesce(f.proacl, acldefault('f', f.proowner)), f.proowner, 'f', ''
  FROM pg_proc f
  WHERE f.pronamespace = 'public'::regnamespace AND NOT EXISTS (
    SELECT 1 FROM pg_depend d WHERE d.objid = f.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e')
  UNION ALL
  SELECT 'schema public', n.nspacl, n.nspowner, 'n', '' FROM pg_namespace n WHERE n.nspname = 'public')
SELECT coalesce(r.rolname::text, 'everybody') || ' ' || x.privilege_type || part || ' ' || name
       || CASE WHEN x.is_grantable THEN ' and grant it' ELSE '' END AS line
FROM ours CROSS JOIN LATERAL aclexplode(acl) AS x LEFT JOIN pg_roles r ON r.oid = x.grantee
WHERE x.grantee <> owner
ORDER BY 1"""


async def grants(dsn: str) -> str:
    """The list of a migrated database."""
    async with connected(dsn) as connection:
        return HEADER + "".join(f"{record['line']}\n" for record in await connection.fetch(QUERY))


async def _grants(dsn: str) -> str:
    await migrate.migrate(dsn)
    return await grants(dsn)


def main() -> None:
    """Migrates an empty server and prints its list."""
    with tempfile.TemporaryDirectory(prefix="aurra-grants-") as home:
        postgres = EmbeddedPostgres.open(Path(home) / "home")
        try:
            sys.stdout.write(asyncio.run(_grants(postgres.dsn)))
        finally:
            postgres.close()


if __name__ == "__main__":
    main()
