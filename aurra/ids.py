"""UUIDv7 (RFC 9562 §5.7) made in the application: sortable by instant, portable to every PostgreSQL."""

import datetime as dt
import secrets
from uuid import UUID

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


class Ids:
    """Ids of one transaction: by its instant, then in the order they were made."""

    def __init__(self, at: dt.datetime) -> None:
        microseconds = max(0, (at - _EPOCH) // _MICROSECOND)
        self._milliseconds, self._fraction = divmod(microseconds, 1000)
        self._made = 0
        self._random = secrets.randbits(44)

    def new(self) -> UUID:
        """48 bits of milliseconds, 12 of microseconds, 18 of counter, 44 of randomness, the same in one transaction."""
        self._made += 1
        value = (self._milliseconds & (1 << 48) - 1) << 80 | 7 << 76 | self._fraction << 64 | 2 << 62
        return UUID(int=value | (self._made & (1 << 18) - 1) << 44 | self._random)
