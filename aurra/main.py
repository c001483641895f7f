"""The `aurra` command: the operator's commands, and `serve`."""

import asyncio
import contextlib
import importlib
import importlib.util
import logging
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Generator

import click
import structlog
import uvicorn

from aurra.app import build_app, open_service, working
from aurra.errors import CannotStart
from aurra.faces import cli, story
from aurra.faces.wire import LimitedProtocol
from aurra.keys import SCOPES, Terms
from aurra.settings import Settings, read_settings
from aurra.store import migrate, provision
from aurra.store.accounts import Directory, open_directory

main = cli.main
_DRAIN_SECONDS = 25


@main.command()
@click.option("--first-key", is_flag=True, help="Where there is no account, make one and print its key.")
def serve(first_key: bool) -> None:
    """Serve on AURRA_HOST and PORT until interrupted; applies pending migrations first."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(read_settings(), first_key=first_key))


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


async def _serve(settings: Settings, *, first_key: bool) -> None:
    _configure_logs(settings)
    listener = _listen(settings)
    host, port = listener.getsockname()[:2]
    url = f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}"  # noqa: S104 - compared, not bound
    click.echo(f"Aurra: starting on {'DATABASE_URL' if settings.dsn else f'the embedded database in {settings.home}'}")
    async with provision.database(settings, prepare=False) as dsn:
        # Where nothing is pending, a login that only has the role aurra_app is enough.
        waiting = await migrate.pending(dsn)
        for name in await migrate.migrate(dsn) if waiting else []:
            click.echo(f"Aurra: applied {name}")
        if first_key:
            async with open_directory(dsn) as directory:
                click.echo(await _welcome(directory, url))
        async with (
            open_service(settings, dsn) as service,
            provision.kept_alive(settings, service.database),
            working(service),
        ):
            config = uvicorn.Config(
                build_app(service),
                http=LimitedProtocol,
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                # Who is at the other end is not for a header to say.
                proxy_headers=False,
                lifespan="off",
                timeout_graceful_shutdown=_DRAIN_SECONDS,
                timeout_keep_alive=65,
            )
            click.echo(f"Aurra: serving on http://{host}:{port} (Ctrl-C stops it)")
            await _Server(config).serve(sockets=[listener])


class _Server(uvicorn.Server):
    """uvicorn that ends by returning. Its own way is to raise the signal again, which would kill the process before the
    embedded database is stopped."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """The first SIGTERM or SIGINT drains, a second one stops waiting."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)


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


def _configure_logs(settings: Settings) -> None:
    """Structured lines on standard error; never content, never keys."""
    levels = {"debug": 10, "info": 20, "warning": 30, "error": 40}
    if settings.aurra_log_level.lower() not in levels:
        raise CannotStart(f"AURRA_LOG_LEVEL={settings.aurra_log_level!r} is not one of {', '.join(levels)}.")
    level = levels[settings.aurra_log_level.lower()]
    logging.basicConfig(level=max(level, logging.WARNING), format="%(levelname)s %(name)s %(message)s")
    # The pool tells of a database that is away by a traceback a second; what is wrong is told by us.
    logging.getLogger("asyncpg").setLevel(logging.CRITICAL)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )


if __name__ == "__main__":
    main()
