"""The service in this very process, for a command that is given no URL: no key, no server."""

import contextlib
import logging
from collections.abc import AsyncGenerator

import click

from aurra.app import open_service, working
from aurra.context import Service
from aurra.errors import CannotStart
from aurra.faces import logs
from aurra.faces.reaching import Embedded, Reach, Unreachable
from aurra.jobs import runner
from aurra.settings import read_settings
from aurra.store import provision
from aurra.store.accounts import AccountRow, Directory, open_directory

FIRST = "default"
"""The account that is made where there is none."""


@contextlib.asynccontextmanager
async def opened(name: str | None) -> AsyncGenerator[Reach]:
    """A way to the account of that name, or to the only one; without any, `default` is made.

    Works while `aurra serve` runs on the same database. What a write left for later (extraction, the index) is worked
    off before this ends; what falls due after that is the next one's, or the service's. Raises Unreachable where the
    database cannot be opened, UsageError for an account that is not there, or where several are.
    """
    async with _service(name) as (service, account):
        here = Embedded(service, account.id)
        yield here
        if here.has_written:
            await runner.run_due(service, account.id)


@contextlib.asynccontextmanager
async def kept_open(name: str | None) -> AsyncGenerator[Reach]:
    """As `opened`, for as long as somebody asks: jobs are done meanwhile, and the database is kept alive."""
    async with (
        _service(name) as (service, account),
        provision.kept_alive(service.settings, service.database),
        working(service),
    ):
        yield Embedded(service, account.id)


@contextlib.asynccontextmanager
async def _service(name: str | None) -> AsyncGenerator[tuple[Service, AccountRow]]:
    settings = read_settings()
    logs.configure(settings, least=logging.WARNING)
    async with contextlib.AsyncExitStack() as stack:
        try:
            dsn = await stack.enter_async_context(provision.database(settings))
            async with open_directory(dsn) as directory:
                account = await _account(directory, name)
            service = await stack.enter_async_context(open_service(settings, dsn))
        except (CannotStart, OSError) as error:
            raise Unreachable(f"{error} Or give --url and --key of a service that runs.") from error
        yield service, account


async def _account(directory: Directory, name: str | None) -> AccountRow:
    accounts = await directory.list_accounts()
    if name is not None:
        found = next((account for account in accounts if account.name == name), None)
        if found is None:
            raise click.UsageError(f"There is no account {name!r}: `aurra accounts list` shows them.")
        return found
    if len(accounts) > 1:
        names = ", ".join(account.name for account in accounts[:5])
        raise click.UsageError(f"There are several accounts ({names}{', …' if accounts[5:] else ''}): give --account.")
    return accounts[0] if accounts else await _first(directory)


async def _first(directory: Directory) -> AccountRow:
    """The first account; that of another command that was quicker, if one was."""
    try:
        return await directory.create_account(FIRST, "enterprise")
    except CannotStart:
        return await directory.get_account(FIRST)
