"""Prints the schema that all migrations together make, as `pg_dump` of the embedded server writes it."""

import asyncio
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from aurra.store import migrate
from aurra.store.embedded import EmbeddedPostgres, find_binaries

HEADER = "-- What all migrations together make. Generated: `make generate` writes it, `make check` compares.\n\n"


def dump(dsn: str) -> str:
    """The schema of a migrated database, without what differs from one server or run to the next."""
    done = subprocess.run(
        [find_binaries() / "pg_dump", "--schema-only", "--no-comments", "--exclude-table=migration", dsn],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [
        line
        for line in done.stdout.splitlines()
        if line and not re.match(r"--|SET |SELECT pg_catalog\.set_config|\\(un)?restrict ", line)
    ]
    return HEADER + "\n".join(lines) + "\n"


def main() -> None:
    """Migrates an empty server and prints its schema."""
    with tempfile.TemporaryDirectory(prefix="aurra-schema-") as home:
        postgres = EmbeddedPostgres.open(Path(home) / "home")
        try:
            asyncio.run(migrate.migrate(postgres.dsn))
            sys.stdout.write(dump(postgres.dsn))
        finally:
            postgres.close()


if __name__ == "__main__":
    main()
