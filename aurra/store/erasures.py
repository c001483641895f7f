"""What was erased, and how keys stand: what a restored backup must not bring back.

Read from the database that a backup replaces, or from a file that `aurra erasures export` wrote. It holds ids,
and keys as they stand (hashes and sealed secrets among it): nothing that was said.
"""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from aurra.errors import CannotStart
from aurra.store.accounts import Directory, now
from aurra.store.backups import Statement, new_file
from aurra.store.pool import Transaction
from aurra.store.queries import load

_Q = load("erasures")
_BACKUPS = load("backups")
_FORMAT = "aurra-erasures"


class Gone(msgspec.Struct, frozen=True):
    kind: str
    id: UUID


class Instant(msgspec.Struct, frozen=True):
    at: dt.datetime | None


class Kept(msgspec.Struct, frozen=True):
    keys: str
    providers: str
    nonces: str
    last_tx: int
    last_at: dt.datetime


class Name(msgspec.Struct, frozen=True):
    name: str


class OfAccount(msgspec.Struct, frozen=True, kw_only=True):
    """Of one account."""

    company_id: UUID
    erased_at: dt.datetime | None
    """When something was erased last."""
    memories: list[UUID]
    turns: list[UUID]
    keys: list[dict[str, Any]]
    """Its keys as they stand, column by column."""
    providers: list[dict[str, Any]]
    nonces: list[dict[str, Any]] = []
    """Of signed requests, as long as these would be accepted."""
    last_tx: int | None = None
    last_at: dt.datetime | None = None
    """Where its ledger stood."""


class Erasures(msgspec.Struct, frozen=True, kw_only=True):
    """Of every account of a database, at one instant."""

    made_at: dt.datetime
    accounts: list[OfAccount]
    format: str = _FORMAT
    version: int = 1

    def of(self, account: UUID) -> OfAccount | None:
        """The account's; None where it was not known there."""
        return next((one for one in self.accounts if one.company_id == account), None)

    def since(self, account: UUID, made_at: dt.datetime, last_at: dt.datetime) -> OfAccount | None:
        """The account's, if it stands here as it was after a backup, which found its ledger at `last_at`."""
        found = self.of(account)
        if found is None or self.made_at < made_at or (found.last_at is not None and found.last_at < last_at):
            return None
        return found


async def read(directory: Directory) -> Erasures:
    """What the database knows, of every account."""
    found: list[OfAccount] = []
    made_at: dt.datetime | None = None
    for account in await directory.list_accounts():
        async with directory.act_on(account) as tx:
            made_at = made_at or await now(tx)
            gone = await tx.rows(_Q["erased"], Gone)
            last = await tx.row(_Q["last_erasure"], Instant)
            kept = await tx.row(_Q["keys"], Kept)
            assert kept is not None
        found.append(
            OfAccount(
                company_id=account.id,
                erased_at=last.at if last else None,
                memories=[row.id for row in gone if row.kind == "memory"],
                turns=[row.id for row in gone if row.kind == "source"],
                keys=msgspec.json.decode(kept.keys),
                providers=msgspec.json.decode(kept.providers),
                nonces=msgspec.json.decode(kept.nonces),
                last_tx=kept.last_tx,
                last_at=kept.last_at,
            )
        )
    return Erasures(made_at=made_at or dt.datetime.now(dt.UTC), accounts=found)


def write_file(erasures: Erasures, file: Path) -> None:
    """The file is there, readable by its owner alone. Raises CannotStart."""
    unfinished = file.with_name(f"{file.name}.part")
    try:
        with new_file(unfinished) as output:
            output.write(msgspec.json.encode(erasures))
        unfinished.replace(file)
    except OSError as error:
        raise CannotStart(f"The erasures cannot be written to {file} ({error.strerror}).") from error


def read_file(file: Path) -> Erasures:
    """What an exported file says. Raises CannotStart."""
    try:
        erasures = msgspec.json.decode(file.read_bytes(), type=Erasures)
    except OSError as error:
        raise CannotStart(f"The erasures in {file} cannot be read ({error.strerror}).") from error
    except msgspec.DecodeError as error:
        raise CannotStart(f"{file} is not what `aurra erasures export` writes, or is damaged.") from error
    if erasures.format != _FORMAT or erasures.version != 1:
        raise CannotStart(f"{file} is not what `aurra erasures export` of this release writes.")
    return erasures


async def put_keys(tx: Transaction, of: OfAccount, columns: dict[str, list[str]], last_tx: int) -> None:
    """The account's keys, their nonces and the model it keeps are those of `of`; `columns` are those of the tables.
    What the backup has as revoked stays so. Numbers after its `last_tx` are given out again: no ceiling stands there.
    """
    revoked = [row.name for row in await tx.rows(_Q["revoked"], Name)]
    await tx.execute(_Q["forget_keys"])
    await _refill(tx, "api_key", of.keys, columns["api_key"])
    await tx.execute(_Q["stay_revoked"], key_ids=revoked)
    await tx.execute(_Q["lower_ceilings"], last_tx=last_tx, known=of.last_tx)
    await tx.execute(_Q["forget_provider"])
    await _refill(tx, "provider", of.providers, columns["provider"])
    await tx.execute(_Q["forget_nonces"])
    await _refill(tx, "signature_nonce", of.nonces, columns["signature_nonce"])


async def _refill(tx: Transaction, table: str, rows: list[dict[str, Any]], columns: Sequence[str]) -> None:
    if not rows:
        return
    known = [column for column in columns if column in rows[0]]
    made = await tx.row(_BACKUPS["refilling"], Statement, name=table, columns=known)
    assert made is not None
    await tx.run(made.text, msgspec.json.encode(rows).decode())


async def emptied_tenants(tx: Transaction) -> list[str]:
    """Tenants of which nothing is left but labels and receipts."""
    return [row.name for row in await tx.rows(_Q["emptied_tenants"], Name)]
