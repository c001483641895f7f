"""What parameters accept."""

from datetime import date, datetime
from typing import TypeAlias
from uuid import UUID

Moment: TypeAlias = datetime | date | str
"""An instant: an aware `datetime`, a `date` (00:00 UTC), or RFC 3339 text with an offset. A naive one is refused."""

Id: TypeAlias = UUID | str
