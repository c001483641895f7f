"""What a restore must know of a transaction."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from aurra.store.pool import Transaction
from aurra.store.queries import load
from aurra.store.world import StoredPiece, Text

_Q = load("restoring")


class ReceiptVersion(StoredPiece, frozen=True):
    """A version that the transaction opened or closed."""

    tx_from: int
    tx_to: int | None


class Number(msgspec.Struct, frozen=True):
    number: int


async def find_verb(tx: Transaction, number: int) -> str | None:
    """What the transaction did; None where there is none."""
    found = await tx.row(_Q["verb_of"], Text, tx=number)
    return found and found.value


async def receipt(tx: Transaction, number: int) -> list[ReceiptVersion]:
    """The versions that the transaction opened or closed and that were not erased since."""
    return await tx.rows(_Q["receipt"], ReceiptVersion, tx=number)


async def touched_later(tx: Transaction, number: int, memories: Sequence[UUID]) -> list[int]:
    """Later transactions that touched one of the memories, or erased something of this one, in order."""
    return [row.number for row in await tx.rows(_Q["touched_later"], Number, tx=number, memories=memories)]


async def opened_by(tx: Transaction, versions: Sequence[UUID]) -> list[int]:
    """The transactions that opened the versions, in order."""
    return [row.number for row in await tx.rows(_Q["opened_by"], Number, versions=versions)]
