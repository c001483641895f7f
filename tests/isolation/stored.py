"""What the database holds of an account, or of a tenant, past the product: to compare before and after."""

from collections import Counter
from typing import Any
from uuid import UUID

from tests.plain import connected

TABLES = """SELECT c.relname::text AS name, EXISTS (
    SELECT 1 FROM pg_attribute t WHERE t.attrelid = c.oid AND t.attname = 'tenant_id') AS has_tenant
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'company_id'
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' ORDER BY 1"""
OF_TENANT = {
    "content": "memory_id IN (SELECT id FROM memory m WHERE m.company_id = $1 AND m.tenant_id = $2)",
    "embedding": """content_id IN (SELECT c.id FROM content c JOIN memory m ON m.id = c.memory_id
                    WHERE m.company_id = $1 AND m.tenant_id = $2)""",
    "receipt_evidence": "receipt_id IN (SELECT id FROM receipt r WHERE r.company_id = $1 AND r.tenant_id = $2)",
    "transaction": """id IN (SELECT v.tx_from FROM version v WHERE v.company_id = $1 AND v.tenant_id = $2
                      UNION SELECT v.tx_to FROM version v WHERE v.company_id = $1 AND v.tenant_id = $2)""",
}
"""How the rows of a tenant are known where the table does not name it."""
Rows = Counter[tuple[str, str]]


async def rows_of(dsn: str, company_id: UUID) -> Rows:
    """Every row of every table that the account has."""
    async with connected(dsn) as connection:
        found: Rows = Counter()
        for table in await connection.fetch(TABLES):
            found += await _rows(connection, table["name"], "company_id = $1", company_id)
        return found


async def rows_of_tenant(dsn: str, company_id: UUID, tenant_id: str) -> Rows:
    """Every row that is the tenant's. Keys and the ledger are the account's."""
    async with connected(dsn) as connection:
        found: Rows = Counter()
        for table in await connection.fetch(TABLES):
            of_tenant = "tenant_id = $2" if table["has_tenant"] else OF_TENANT.get(table["name"])
            if of_tenant is not None and table["name"] != "api_key":
                found += await _rows(
                    connection, table["name"], f"company_id = $1 AND {of_tenant}", company_id, tenant_id
                )
        return found


async def _rows(connection: Any, table: str, where: str, *arguments: Any) -> Rows:
    query = f"SELECT md5(t::text) FROM {table} t WHERE {where}"
    return Counter((table, record[0]) for record in await connection.fetch(query, *arguments))


def changed(before: Rows, after: Rows) -> list[str]:
    """The tables of rows that were changed, added or removed."""
    return sorted({table for table, _ in ((before - after) + (after - before))})
