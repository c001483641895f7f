"""The operator's commands: migrate, accounts, keys, embeddings, secrets, backups, doctor, conformance. `serving.py`
adds `serve`.

They work while it runs.
"""

import asyncio
import datetime as dt
import re
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, BinaryIO

import click
import msgspec
import structlog
from msgspec import UNSET

from aurra import __version__, keys, proof, sealing
from aurra.conformance import playing, report
from aurra.conformance.expecting import KeyRefused, Unreachable
from aurra.conformance.law import Law
from aurra.conformance.laws import ALL
from aurra.errors import BadRequest, CannotStart, Unavailable
from aurra.faces import examining, key_lines, safekeeping, switching
from aurra.faces.commands.stopping import Commands
from aurra.faces.switching import Progress
from aurra.plans import UNLIMITED
from aurra.settings import read_settings
from aurra.store import migrate as migrations
from aurra.store import provision
from aurra.store.accounts import Directory, open_directory
from aurra.store.plans import Change, PlanRow
from aurra.store.secret_keys import SecretKeys
from aurra.store.verifying import Verdict


def _number_or(word: str, meaning: Any) -> Callable[[Any], Any]:
    """An option that takes a whole number, or a word that means something else; what is unset stays unset."""

    def read(text: Any) -> Any:
        if text is UNSET:
            return UNSET
        if text == word:
            return meaning
        if not re.fullmatch("[0-9]{1,16}", text):
            raise click.BadParameter(f"it is a number, or {word}")
        return int(text)

    return read


@click.group(cls=Commands)
@click.version_option(__version__, prog_name="aurra")
def main() -> None:
    """Aurra: memory infrastructure for AI agents."""


@main.command()
@click.option("--check", is_flag=True, help="Only say what is pending; exit code 1 if anything is.")
def migrate(check: bool) -> None:
    """Apply pending migrations."""

    async def work() -> bool:
        async with provision.database(read_settings(), prepare=False) as dsn:
            names = await (migrations.pending(dsn) if check else migrations.migrate(dsn))
        for name in names:
            click.echo(f"{'pending' if check else 'applied'} {name}")
        if not names:
            click.echo("nothing is pending")
        return check and bool(names)

    if run(work()):
        sys.exit(1)


@main.group()
def accounts() -> None:
    """Accounts: who owns memories."""


@accounts.command("create")
@click.argument("name")
@click.option(
    "--plan", default="enterprise", show_default=True, help="free, starter, pro, enterprise, or one of your own."
)
def create_account(name: str, plan: str) -> None:
    """Make an account."""
    account = _directory(lambda directory: directory.create_account(name, plan))
    click.echo(f"{account.id} {account.name} {account.plan}")


@accounts.command("list")
def list_accounts() -> None:
    """Show all accounts: id, name, plan."""
    for account in _directory(lambda directory: directory.list_accounts()):
        click.echo(f"{account.id} {account.name} {account.plan}")


@accounts.command("plan")
@click.argument("name")
@click.argument("plan")
def change_plan(name: str, plan: str) -> None:
    """Move an account to another plan, at once."""
    _directory(lambda directory: directory.change_plan(name, plan))
    click.echo(f"{name} is on {plan}")


@main.group("plans")
def plans_group() -> None:
    """Plans: what accounts may write a month."""


@plans_group.command("list")
def list_plans() -> None:
    """Show all plans: name, writes a month, requests a minute of a key and of the account, accounts on it."""
    for row in _directory(lambda directory: directory.list_plans()):
        click.echo(_plan_in_words(row))


@plans_group.command("set")
@click.argument("name")
@click.option("--writes", "writes", type=_number_or("unlimited", UNLIMITED), default=UNSET, help="Writes a month.")
@click.option("--key-rpm", type=_number_or("none", None), default=UNSET, help="Requests a minute of each key.")
@click.option("--account-rpm", type=_number_or("none", None), default=UNSET, help="Requests a minute of the account.")
def set_plan(name: str, writes: Any, key_rpm: Any, account_rpm: Any) -> None:
    """Make a plan, or change it for all accounts on it, at once. What is not given stays as it is.

    --writes takes `unlimited`, the others `none`.
    """
    change = Change(writes_limit=writes, key_requests_per_minute=key_rpm, account_requests_per_minute=account_rpm)
    click.echo(_plan_in_words(_directory(lambda directory: directory.set_plan(name, change))))


@plans_group.command("remove")
@click.argument("name")
def remove_plan(name: str) -> None:
    """Remove a plan that no account is on."""
    _directory(lambda directory: directory.remove_plan(name))
    click.echo(f"the plan {name} is gone")


def _plan_in_words(row: PlanRow) -> str:
    writes = "unlimited" if row.writes_limit >= UNLIMITED else row.writes_limit
    rates = [rate or "none" for rate in (row.key_requests_per_minute, row.account_requests_per_minute)]
    return f"{row.plan} writes={writes} key-rpm={rates[0]} account-rpm={rates[1]} accounts={row.accounts}"


@main.group("keys")
def keys_group() -> None:
    """Keys: what callers present."""


@keys_group.command("create")
@click.option("--account", "account_name", required=True, help="Whose key.")
@click.option("--scopes", default="full", show_default=True, help="full, read_only, or scopes with commas.")
@click.option(
    "--trust",
    type=click.Choice(list(keys.TRUSTS)),
    default="normal",
    show_default=True,
    help="What it writes never supersedes what a key of higher trust wrote.",
)
@click.option("--name", default="", help="What people call it.")
@click.option("--tenant", help='The one tenant it is pinned to; "" is the default one. Not pinned if absent.')
@click.option("--expires-in", metavar="TIME", help="How long it lives: 90d, 12h, 30m, 2w.")
@click.option(
    "--expires-at", metavar="INSTANT", help="Until when it lives, as 2027-01-01 or with a time and an offset."
)
@click.option("--network", "networks", multiple=True, metavar="CIDR", help="Where it may be used from; several times.")
@click.option("--up-to", type=click.IntRange(0, 10**18), help="The newest transaction it may know of; it only reads.")
@click.option(
    "--signed", "is_signed", is_flag=True, help="Its requests are signed; prints the signing secret too, once."
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print {key, id, account}, and {signing_secret} of one that signs."
)
def create_key(account_name: str, scopes: str, trust: str, as_json: bool, **given: Any) -> None:
    """Make a key and print it, once."""

    async def work(directory: Directory) -> keys.NewKey:
        terms = key_lines.terms(await directory.now(), scopes=scopes, trust=trust, **given)
        account = await directory.get_account(account_name)
        return await directory.create_key(account, terms, _ring() if terms.is_signed else None)

    _show_key(_directory(work), as_json, account=account_name)


def _show_key(key: keys.NewKey, as_json: bool, **more: str) -> None:
    shown = {"key": key.raw, "id": key.key_id, **more}
    if key.signing_secret is not None:
        shown["signing_secret"] = key.signing_secret
    plain = "\n".join(filter(None, (key.raw, key.signing_secret)))
    click.echo(msgspec.json.encode(shown).decode() if as_json else plain)


def _ring() -> sealing.KeyRing:
    """The installation's secret keys. Raises CannotStart where the operator has to give one."""
    # What is printed is for whoever reads it by machine; that a key was made is told beside.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(file=sys.stderr))
    try:
        return SecretKeys(read_settings()).get()
    except (BadRequest, Unavailable) as error:
        raise CannotStart(str(error)) from error


@keys_group.command("list")
def list_keys() -> None:
    """Show all keys: id, account, last four characters, scopes, state, and what else limits each."""
    for key in _directory(lambda directory: directory.list_keys()):
        click.echo(key_lines.line(key))


@keys_group.command("rotate")
@click.argument("key_id", metavar="ID")
@click.option(
    "--overlap-hours",
    type=click.FloatRange(0, 168),
    default=24,
    show_default=True,
    help="How long the old secret is accepted beside the new one; 0 for one that leaked.",
)
@click.option("--json", "as_json", is_flag=True, help="Print {key, id}, and {signing_secret} of one that signs.")
def rotate_key(key_id: str, overlap_hours: float, as_json: bool) -> None:
    """Give a key a new secret, and one that signs a new signing secret; print them, once. Id and settings stay."""
    overlap = dt.timedelta(hours=overlap_hours)
    _show_key(_directory(lambda directory: directory.rotate_key(key_id, overlap, _ring)), as_json)


@keys_group.command("revoke")
@click.argument("key_id", metavar="ID")
def revoke_key(key_id: str) -> None:
    """Refuse a key from now on (within five seconds, everywhere)."""
    account = _directory(lambda directory: directory.revoke_key(key_id))
    click.echo(f"{key_id} of {account} is revoked")


@main.group("ledger")
def ledger_group() -> None:
    """The ledger: every change there was, chained by hashes."""


@ledger_group.command("verify")
@click.option("--account", "account_name", help="Whose; all accounts if absent.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def verify_ledger(account_name: str | None, as_json: bool) -> None:
    """Reckon the hash chains again from what is stored; exit code 1 if one is not what it says."""

    async def work(directory: Directory) -> bool:
        accounts = [await directory.get_account(account_name)] if account_name else await directory.list_accounts()
        well = True
        for account in accounts:
            verdict = await directory.verify(account)
            well = well and verdict.first_bad is None
            click.echo(_as_json(account.name, verdict) if as_json else _in_words(account.name, verdict))
        return well

    if not _directory(work):
        sys.exit(1)


def _in_words(account: str, verdict: Verdict) -> str:
    if verdict.first_bad is None:
        return f"ok   {account}: {verdict.checked} transactions, head {verdict.head.last_hash.hex()}"
    return f"FAIL {account}: transaction {verdict.first_bad}: {verdict.why}"


def _as_json(account: str, verdict: Verdict) -> str:
    shown = {
        "account": account,
        "ok": verdict.first_bad is None,
        "checked": verdict.checked,
        "head": {"id": verdict.head.last_tx, "hash": verdict.head.last_hash.hex()},
        "first_bad": verdict.first_bad,
        "why": verdict.why,
    }
    return msgspec.json.encode(shown).decode()


@main.group("secrets")
def secrets_group() -> None:
    """The installation's secret keys: they seal what is stored of models' keys and signing secrets."""


@secrets_group.command("new")
def new_secret() -> None:
    """Print a fresh key for AURRA_SECRET_KEYS; nothing is changed."""
    click.echo(sealing.new_key())


@secrets_group.command("rewrap")
def rewrap_secrets() -> None:
    """Seal all that is stored with the first of AURRA_SECRET_KEYS again; the others may go afterwards.

    Exit code 1 if something cannot be opened; it stays as it is.
    """
    if not run(examining.rewrap(read_settings())):
        sys.exit(1)


@main.command("verify-proof")
@click.argument("file", type=click.File("rb"))
@click.option("--json", "as_json", is_flag=True, help="Print {ok, why, answer_hash, evaluated, cited}.")
def verify_proof(file: BinaryIO, as_json: bool) -> None:
    """Check a saved answer of POST /agent/query against its proof tree; `-` reads standard input.

    Needs no service, no key and no database. Exit code 1 if it does not hold.
    """
    proven = proof.check(file.read())
    if as_json:
        shown = {
            "ok": proven.holds,
            "why": proven.why,
            "answer_hash": proven.answer_hash or None,
            "evaluated": proven.evaluated,
            "cited": proven.cited,
        }
        click.echo(msgspec.json.encode(shown).decode())
    elif proven.why is None:
        click.echo(f"ok: the answer rests on {proven.cited} of {proven.evaluated} memories, hash {proven.answer_hash}")
    else:
        click.echo(f"FAIL: {proven.why}.")
    if not proven.holds:
        sys.exit(1)


@main.group("embeddings")
def embeddings_group() -> None:
    """Embeddings: whose vectors search compares."""


_json_lines = click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")


@embeddings_group.command("status")
@_json_lines
def show_embeddings(as_json: bool) -> None:
    """Show which embedder is active, which is on its way, and of which others vectors are kept."""
    run(switching.status(read_settings(), Progress(as_json=as_json)))


@embeddings_group.command("switch")
@click.argument("name")
@click.option("--prune", "prunes", is_flag=True, help="Remove the vectors of other models afterwards.")
@_json_lines
def switch_embedder(name: str, prunes: bool, as_json: bool) -> None:
    """Make the vectors of another embedder, then search by it: minilm, wordllama, multilingual, openai, openai:MODEL,
    or none.

    The service goes on with the old one meanwhile. It may be interrupted and run again, and goes on where it was.
    """
    run(switching.switch(read_settings(), name, Progress(as_json=as_json), prunes=prunes))


@embeddings_group.command("prune")
@_json_lines
def prune_embeddings(as_json: bool) -> None:
    """Remove the vectors of models that are not active."""
    run(switching.prune(read_settings(), Progress(as_json=as_json)))


_file = click.Path(path_type=Path, dir_okay=False)


@main.command()
@click.argument("file", type=_file)
def backup(file: Path) -> None:
    """Write everything that is stored into one file, as of one instant; the service goes on meanwhile.

    It holds memories, keys' hashes and the installation's secrets. AURRA_HOME/secret-keys is not in it.
    """
    run(safekeeping.backup(read_settings(), file))


@main.command()
@click.argument("file", type=_file)
@click.option("--replace", "replaces", is_flag=True, help="Put it in the place of what the database holds.")
@click.option(
    "--erasures-from",
    "known_from",
    type=_file,
    multiple=True,
    help="What `aurra erasures export` wrote; may be repeated.",
)
@click.option("--without-erasures", is_flag=True, help="Restore although nothing is known of later erasures.")
def restore(file: Path, replaces: bool, known_from: tuple[Path, ...], without_erasures: bool) -> None:
    """Make the database what a backup holds: all of it or nothing, verified. The service must be stopped.

    What was erased since the backup is erased again: known from the database that is replaced, and from the files
    given. Keys stay as they stand there: revoked ones revoked, newer ones valid.
    """
    run(
        safekeeping.restore(
            read_settings(), file, replaces=replaces, known_from=known_from, without_erasures=without_erasures
        )
    )


@main.group("erasures")
def erasures_group() -> None:
    """Erasures: what a restored backup must not bring back."""


@erasures_group.command("export")
@click.argument("file", type=_file)
def export_erasures(file: Path) -> None:
    """Write what was erased so far, by its ids, and how keys stand; for a restore where this database is lost."""
    run(safekeeping.export_erasures(read_settings(), file))


@main.command()
@click.option("--finish", is_flag=True, help="Needed: the operations erase by themselves, this ends it on disk.")
def erase(finish: bool) -> None:
    """Make what was erased unreadable in the database's files as well: tables are written anew, the log is left.

    Says what it cannot reach: replicas, archives, backups.
    """
    if not finish:
        raise click.UsageError(
            "Give --finish; memories are erased by POST /memories/{memory_id}/erase and /agent/erase."
        )
    run(safekeeping.finish_erasing(read_settings()))


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print {ok, findings: [{check, ok, account, what}]}.")
def doctor(as_json: bool) -> None:
    """Check the installation and the invariants of its data; exit code 1 if something is wrong."""
    if not run(examining.examine(read_settings(), as_json=as_json)):
        sys.exit(1)


@main.command()
@click.option("--url", envvar="AURRA_BASE_URL", help="Where the service answers; else AURRA_BASE_URL.")
@click.option("--key", envvar="AURRA_API_KEY", help="A key with all scopes; else AURRA_API_KEY.")
@click.option("--law", "names", multiple=True, metavar="NAME", help="Only this law; may be given several times.")
@click.option("--list", "only_list", is_flag=True, help="Only show the laws.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end, and nothing else.")
def conformance(url: str | None, key: str | None, names: tuple[str, ...], only_list: bool, as_json: bool) -> None:
    """Play the laws of time against a service that speaks the contract.

    Exit code 1 if one does not hold, 5 if the key is refused, 6 if nothing answers.
    """
    chosen = _chosen_laws(names)
    if only_list:
        click.echo(report.as_json_list(chosen) if as_json else report.laws(chosen))
        return
    if not url or not key:
        raise click.UsageError("Give --url and --key.")
    if not url.startswith(("http://", "https://")):
        raise click.BadParameter("it must begin with http:// or https://", param_hint="--url")
    try:
        played = run(
            playing.play(url, key, chosen, lambda found: None if as_json else click.echo(report.finding(found)))
        )
    except (KeyRefused, Unreachable) as error:
        click.echo(f"aurra: {error}", err=True)
        sys.exit(5 if isinstance(error, KeyRefused) else 6)
    click.echo(report.as_json(played) if as_json else report.count(played))
    if played.count("passed") < len(chosen):
        sys.exit(1)


def _chosen_laws(names: tuple[str, ...]) -> list[Law]:
    unknown = [name for name in names if name not in ALL]
    if unknown:
        raise click.BadParameter(f"there is no law {unknown[0]!r}; --list shows them", param_hint="--law")
    return [law for law in ALL.values() if not names or law.name in names]


def _directory(work: Callable[[Directory], Coroutine[Any, Any, Any]]) -> Any:
    async def inside() -> Any:
        async with provision.database(read_settings()) as dsn, open_directory(dsn) as directory:
            return await work(directory)

    return run(inside())


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Runs a command's work to its end."""
    return asyncio.run(work)
