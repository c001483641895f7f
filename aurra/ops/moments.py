"""Which moment a read speaks of: its transaction, the instant it tests validity at, and the one for flags."""

import datetime as dt

import msgspec

from aurra import instants
from aurra.changes import Head
from aurra.errors import BadRequest, Unprocessable
from aurra.store import ledger
from aurra.store.pool import Transaction
from aurra.types.common import TransactionRef


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """A point of the plane."""

    number: int
    """The transaction read at."""
    at: dt.datetime
    """Its instant."""
    valid_at: dt.datetime | None
    """Only what is valid then; None drops the test."""
    flags_at: dt.datetime
    """When flags and freshness are evaluated."""
    as_of: dt.datetime | None
    """What the answer names: asked again with it and the number, the answer is the same."""
    newest: int
    """The newest transaction that may be known of."""
    is_latest: bool
    """Whether what is believed now is what is read."""
    now: dt.datetime
    """When it was read: the later of the newest transaction's instant and the clock."""

    @property
    def transaction(self) -> TransactionRef:
        return TransactionRef(id=self.number, at=instants.show(self.at))

    @property
    def shown_as_of(self) -> str | None:
        return instants.show_optional(self.as_of)


async def resolve(
    tx: Transaction,
    clock: dt.datetime | None,
    as_of: str | None,
    transaction_as_of: int | str | None,
    *,
    everything: bool = False,
) -> Moment:
    """The moment asked for; must be the first thing a read transaction does.

    `everything` drops the test of validity, as `transaction_as_of` without `as_of` does. Raises BadRequest for a
    transaction that has not happened, Unprocessable for text that is neither a number nor an instant.
    """
    asked = instants.parse_optional(as_of, "as_of")
    head = await ledger.head(tx, clock)
    if transaction_as_of is None:
        at = asked or head.at
        return Moment(
            number=head.last_tx,
            at=head.last_at,
            valid_at=None if everything else at,
            flags_at=at,
            as_of=at,
            newest=head.last_tx,
            is_latest=tx.up_to is None,
            now=head.at,
        )
    found = await find(tx, head, transaction_as_of, "transaction_as_of")
    return Moment(
        number=found.id,
        at=found.at,
        valid_at=None if everything else asked,
        flags_at=asked or found.at,
        as_of=asked,
        newest=head.last_tx,
        is_latest=tx.up_to is None and found.id == head.last_tx,
        now=head.at,
    )


async def find(tx: Transaction, head: Head, asked: int | str, param: str) -> ledger.Numbered:
    """The transaction of a number, or the newest at or before an instant.

    Raises BadRequest for one that has not happened, Unprocessable for text that is neither a number nor an instant.
    """
    if isinstance(asked, str) and not (asked.isascii() and asked.isdigit()):
        at = instants.parse(asked, param)
        if at > head.at:
            raise _future(param, f"{asked} is later than now ({instants.show(head.at)}).")
        return await ledger.newest_until(tx, min(at, head.last_at))
    # A number of more digits than any transaction has is not even read.
    number = asked if isinstance(asked, int) else int(asked[-20:]) if not asked[:-20].strip("0") else head.last_tx + 1
    if number < 0:
        raise BadRequest(f"`{param}` must not be negative.", code="out_of_range", param=param)
    if number > head.last_tx:
        raise _future(param, f"the newest transaction is {head.last_tx}.")
    found = await ledger.find_transaction(tx, number)
    if found is None:
        raise Unprocessable(f"There is no transaction {number}.", param=param)
    return found


def _future(param: str, why: str) -> BadRequest:
    return BadRequest(f"`{param}` lies in the future: {why}", code="transaction_in_the_future", param=param)
