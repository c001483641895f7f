"""`aurra backup`, `restore`, `erasures export` and `erase --finish`."""

from collections.abc import Sequence
from pathlib import Path

import click

from aurra.errors import CannotStart
from aurra.faces import examining
from aurra.ops.replaying import replay
from aurra.settings import Settings
from aurra.store import backups, erasures, finishing, migrate, provision, rebuilding
from aurra.store.accounts import open_directory
from aurra.store.backups import Manifest
from aurra.store.erasures import Erasures
from aurra.store.secret_keys import SecretKeys


async def backup(settings: Settings, file: Path) -> None:
    """Writes the file, and says what is in it."""
    # Not migrated for it: whoever is about to upgrade wants what there was before.
    async with provision.database(settings, prepare=False) as dsn:
        await migrate.require_safe(dsn)
        made = await backups.take(dsn, file)
    click.echo(
        f"{file}: {len(made.accounts)} accounts, {made.count('memory')} memories, "
        f"{made.count('transaction')} transactions, as of {_shown(made)}"
    )


async def restore(
    settings: Settings, file: Path, *, replaces: bool, known_from: Sequence[Path], without_erasures: bool
) -> None:
    """The database is what the backup holds, but for what was erased since, by all that is known of it; says what of it
    cannot be opened here."""
    secret_keys = SecretKeys(settings)
    exported = [erasures.read_file(path) for path in known_from]
    with backups.opened(file) as found:
        made = found.manifest
        async with provision.database(settings, prepare=False) as dsn:
            async with rebuilding.rebuilt(dsn, found, replaces=replaces) as rebuilt:
                known = [*exported, *([rebuilt.replaced] if rebuilt.replaced else [])]
                if not without_erasures:
                    _require_known(made, known)
                gone = await replay(rebuilt, made, known)
            click.echo(
                f"restored: {len(made.accounts)} accounts, {made.count('memory')} memories, as of {_shown(made)}; "
                "every ledger verifies"
            )
            newest = max((one.made_at.isoformat(timespec="seconds") for one in known), default="never")
            click.echo(f"erased again: {gone} memories and turns; erasures are known up to: {newest}")
            await migrate.require_safe(dsn)
            if gone:
                # For a moment they were there.
                await finishing.finish(dsn, click.echo, is_ours=not settings.dsn)
            await _warn(dsn, secret_keys)


async def _warn(dsn: str, secret_keys: SecretKeys) -> None:
    """Says what is sealed by keys that are not here: they are in no backup."""
    async with open_directory(dsn) as directory:
        closed = [
            finding
            for account in await directory.list_accounts()
            async for finding in examining.sealed(directory, account, secret_keys)
            if not finding.is_well
        ]
    for finding in closed:
        click.echo(f"WARNING account {finding.account}: {finding.what}")
    if closed:
        click.echo(
            "WARNING these need the secret keys of the installation that was backed up: AURRA_SECRET_KEYS, or "
            "AURRA_HOME/secret-keys; with them back, `aurra doctor` is content."
        )


def _require_known(made: Manifest, known: Sequence[Erasures]) -> None:
    """Raises CannotStart where an account's erasures since the backup would come back unnoticed."""
    unknown = [
        head for head in made.accounts if not any(one.since(head.account, made.made_at, head.last_at) for one in known)
    ]
    if unknown:
        raise CannotStart(
            f"What was erased since {_shown(made)} in {len(unknown)} accounts is not known here, and would come back: "
            "give --erasures-from FILE (`aurra erasures export`), or --without-erasures."
        )


def _shown(made: Manifest) -> str:
    return made.made_at.isoformat(timespec="seconds")


async def export_erasures(settings: Settings, file: Path) -> None:
    """Writes what is erased so far, and how keys stand, and says how much it is."""
    async with provision.database(settings) as dsn, open_directory(dsn) as directory:
        found = await erasures.read(directory)
    erasures.write_file(found, file)
    memories = sum(len(account.memories) for account in found.accounts)
    turns = sum(len(account.turns) for account in found.accounts)
    click.echo(f"{file}: {memories} erased memories and {turns} erased turns of {len(found.accounts)} accounts")


async def finish_erasing(settings: Settings) -> None:
    """Nothing erased is left in the files, as far as they can be reached from here; says what was done."""
    async with provision.database(settings) as dsn:
        await finishing.finish(dsn, click.echo, is_ours=not settings.dsn)
