"""The ledger on the wire."""

from typing import Annotated

import msgspec
from msgspec import Meta

from aurra.types.common import Answer, Instant, Request, TransactionRef


class Verify(Request, kw_only=True):
    """Reckon the hash chain again from what is stored."""

    since: Annotated[int | None, Meta(description="Only transactions after this one; its own hash is believed.")] = None


class ChainHead(msgspec.Struct, kw_only=True):
    """The newest transaction, and the hash that all before it lead to."""

    id: Annotated[int, Meta(description="Its number.")]
    hash: Annotated[str, Meta(description="Hex. Kept elsewhere, it shows any later change of what was before it.")]


class Verified(Answer, kw_only=True):
    """Whether every transaction is what its hash says."""

    ok: Annotated[bool, Meta(description="Whether every hash is what it must be.")]
    checked: Annotated[int, Meta(description="Transactions that were found to be right.")]
    head: ChainHead
    first_bad: Annotated[int | None, Meta(description="The first transaction that is not; null when all are.")]
    why: Annotated[str | None, Meta(description="What is wrong with it.")]
    transaction: TransactionRef
    as_of: Instant | None
