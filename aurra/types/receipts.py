"""What every verb answers with: the versions that its transaction opened and closed."""

from typing import Annotated

import msgspec
from msgspec import Meta

from aurra.types.common import Instant

MemoryId = Annotated[str, Meta(description="The memory's id.", extra_json_schema={"format": "uuid"})]
TransactionNumber = Annotated[int | str, Meta(description="The transaction's number.")]
Reason = Annotated[str, Meta(description="Why; kept with the transaction.")]
DryRun = Annotated[bool, Meta(description="Return the receipt, commit nothing.")]


class VersionRef(msgspec.Struct, kw_only=True):
    """A version in a receipt."""

    memory_id: Annotated[str | None, Meta(description="Null for a memory that a dry run would make.")]
    version: Annotated[str | None, Meta(description="Null for a version that a dry run would open.")]
    valid_from: Instant
    valid_to: Instant | None
    op: Annotated[
        str,
        Meta(description="`assert`, `supersede`, `end`, `correct`, `restore`, `leftover`; `closed` for what closed."),
    ]
    superseded_by: Annotated[str | None, Meta(description="The memory that took over; null is none.")]


class Receipt(msgspec.Struct, kw_only=True):
    """What a transaction opened and closed."""

    opened: Annotated[list[VersionRef], Meta(description="Versions that are believed from it on.")]
    closed: Annotated[list[VersionRef], Meta(description="Versions that are believed up to it.")]
