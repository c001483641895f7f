"""A database that counts how often it is asked, for what must cost no round trip."""

from uuid import UUID

from aurra.store.pool import Database, Opening


class Counted(Database):
    """Another one, and how many transactions were asked of it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.asked = 0

    def begin(self, company_id: UUID) -> Opening:
        """Counted."""
        self.asked += 1
        return self._database.begin(company_id)

    def read(self, company_id: UUID) -> Opening:
        """Counted."""
        self.asked += 1
        return self._database.read(company_id)

    def look_up(self, key_id: str) -> Opening:
        """Counted."""
        self.asked += 1
        return self._database.look_up(key_id)
