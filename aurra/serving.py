"""`aurra serve`, its workers, `seed` and `mcp`: the operator's commands that run the service itself."""

import asyncio
import contextlib
import importlib
import importlib.util
import shutil
import socket
import sys
from collections.abc import AsyncGenerator, Callable

import click
import httpx2

from aurra import local
from aurra.app import build_app, open_service, working
from aurra.errors import CannotStart
from aurra.faces import cli, logs, story, workers
from aurra.faces.draining import Server
from aurra.faces.mcp import stdio
from aurra.keys import SCOPES, Terms
from aurra.settings import Settings, read_settings
from aurra.store import migrate, provision
from aurra.store.accounts import Directory, open_directory

main = cli.main


@main.command()
@click.option("--first-key", is_flag=True, help="Where there is no account, make one and print its key.")
@click.option("--workers", "count", type=click.IntRange(1, 64), help="Service processes; else AURRA_WORKERS.")
def serve(first_key: bool, count: int | None) -> None:
    """Serve on AURRA_HOST and PORT until interrupted; applies pending migrations first."""
    settings = read_settings()
    if (count or settings.aurra_workers) > 1:
        asyncio.run(_lead(settings, count or settings.aurra_workers, first_key=first_key))
        return
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(settings, first_key=first_key))


@main.command(hidden=True)
@click.option("--listener", type=int, required=True)
@click.option("--line", type=int, required=True)
def worker(listener: int, line: int) -> None:
    """One of several service processes; `aurra serve --workers` starts them."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_work(read_settings(), workers.inherited_listener(listener), workers.Line(line)))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where it is to be had: it halves what a round trip to the database costs this process."""
    return importlib.import_module("uvloop").new_event_loop if importlib.util.find_spec("uvloop") else None


@main.command()
@click.option("--account", "name", default="story", show_default=True, help="The account to make for it.")
def seed(name: str) -> None:
    """Play a fixed, dated story into an account of its own, and print its key."""
    cli.run(_seed(read_settings(), name))


async def _seed(settings: Settings, name: str) -> None:
    async with provision.database(settings) as dsn:
        async with open_directory(dsn) as directory:
            account = await directory.create_account(name, "enterprise", at=story.BEGINNING)
            key = await directory.create_key(account, Terms(scopes=list(SCOPES)))
        async with open_service(settings, dsn) as service:
            await story.play(service, account.id)
    click.echo(f"Aurra: the account {name!r} has {len(story.STEPS)} transactions of 2026; its key, shown this once:\n")
    click.echo(f"  export AURRA_API_KEY={key.raw}")


@main.command()
@click.option("--url", envvar="AURRA_BASE_URL", help="A service to speak for; else AURRA_BASE_URL.")
@click.option("--key", envvar="AURRA_API_KEY", help="A key of that service; else AURRA_API_KEY.")
@click.option("--account", "name", help="Without a URL: whose memories; else those of the only account.")
def mcp(url: str | None, key: str | None, name: str | None) -> None:
    """Speak MCP on standard input and output, for hosts that start a command.

    With a URL it passes on what it is asked to that service; without, it serves the embedded database itself.
    """
    if url and not key:
        raise click.UsageError("A service at a URL wants a key: give --key, or set AURRA_API_KEY.")
    stdio.run(stdio.to_service(url, key) if url and key else _to_account(name))


@contextlib.asynccontextmanager
async def _to_account(name: str | None) -> AsyncGenerator[httpx2.AsyncClient]:
    """What speaks MCP for an account of this installation, whose jobs are done meanwhile."""
    async with local.kept_open(name) as reach, stdio.to_reach(reach) as http:
        yield http


async def _serve(settings: Settings, *, first_key: bool) -> None:
    logs.configure(settings)
    listener = _listen(settings)
    async with _prepared(settings, listener, first_key=first_key) as dsn, _server(settings, dsn) as server:
        click.echo(f"Aurra: serving on {_address(listener)} (Ctrl-C stops it)")
        await server.serve(sockets=[listener])


async def _lead(settings: Settings, count: int, *, first_key: bool) -> None:
    """The parent of several workers: it prepares the database and listens, and they serve."""
    logs.configure(settings)
    listener = _listen(settings)
    said = f"Aurra: serving on {_address(listener)} with {count} workers (Ctrl-C stops them)"
    async with _prepared(settings, listener, first_key=first_key):
        await workers.Parent(count, listener, lambda: click.echo(said)).lead()


async def _work(settings: Settings, listener: socket.socket, line: workers.Line) -> None:
    logs.configure(settings)
    async with provision.database(settings, prepare=False) as dsn, _server(settings, dsn) as server:
        # Another goes on with the socket, until the parent says otherwise.
        server.is_alone = False
        with line.heeded(server):
            line.tell_serving()
            await server.serve(sockets=[listener])


@contextlib.asynccontextmanager
async def _prepared(settings: Settings, listener: socket.socket, *, first_key: bool) -> AsyncGenerator[str]:
    """The URL of the database, migrated, with a first key where that is asked for."""
    click.echo(f"Aurra: starting on {'DATABASE_URL' if settings.dsn else f'the embedded database in {settings.home}'}")
    async with provision.database(settings, prepare=False) as dsn:
        # Where nothing is pending, a login that only has the role aurra_app is enough.
        waiting = await migrate.pending(dsn)
        for name in await migrate.migrate(dsn) if waiting else []:
            click.echo(f"Aurra: applied {name}")
        if first_key:
            async with open_directory(dsn) as directory:
                click.echo(await _welcome(directory, _address(listener, reached=True)))
        yield dsn


@contextlib.asynccontextmanager
async def _server(settings: Settings, dsn: str) -> AsyncGenerator[Server]:
    """A server over a running service, which does its jobs and keeps an embedded database alive."""
    async with (
        open_service(settings, dsn) as service,
        provision.kept_alive(settings, service.database),
        working(service),
    ):
        yield Server(service, build_app(service))


def _address(listener: socket.socket, *, reached: bool = False) -> str:
    """Where it listens; or an address at which a client of this machine reaches that."""
    host, port = listener.getsockname()[:2]
    everywhere = reached and host in ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
    return f"http://{'127.0.0.1' if everywhere else host}:{port}"


def _listen(settings: Settings) -> socket.socket:
    """The listening socket. Raises CannotStart before anything else is started when the port is taken."""
    family = socket.AF_INET6 if ":" in settings.aurra_host else socket.AF_INET
    # With the protocol named, asyncio sets TCP_NODELAY; without it small answers wait 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.aurra_host, settings.port))
    except OSError as error:
        listener.close()
        raise CannotStart(
            f"Cannot listen on {settings.aurra_host}:{settings.port} ({error.strerror}): set PORT or AURRA_HOST."
        ) from error
    listener.set_inheritable(True)
    return listener


async def _welcome(directory: Directory, url: str) -> str:
    """What a person who starts the service by hand sees: a first key, or what is there already."""
    accounts = await directory.list_accounts()
    if accounts:
        counts = [(account.name, (await directory.count(account)).memories) for account in accounts]
        kept = ", ".join(f"{memories} memories of account {name!r}" for name, memories in counts)
        another = f"{_command()} keys create --account {counts[0][0]}"
        return f"Aurra: your data is kept: {kept}\n       for another key: {another}"
    account = await directory.create_account("default", "enterprise")
    key = await directory.create_key(account, Terms(scopes=list(SCOPES)))
    return f"""
Aurra: made the account 'default'; its key, shown this once:

  export AURRA_API_KEY={key.raw}

Store a memory, then ask for it:

  curl -s {url}/agent/memories -H "Authorization: Bearer {key.raw}" \\
    -H "Content-Type: application/json" \\
    -d '{{"content": "Kim lives in Oslo", "subject": "kim", "attribute": "city"}}'

  curl -s {url}/agent/query -H "Authorization: Bearer {key.raw}" \\
    -H "Content-Type: application/json" -d '{{"question": "Where does Kim live?"}}'
"""


def _command() -> str:
    """How this command is called from here."""
    return "aurra" if shutil.which("aurra") or not sys.argv[0].endswith("aurra") else sys.argv[0]
