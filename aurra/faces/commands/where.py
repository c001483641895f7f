"""Where a command asks: at a service's address, or in this very process."""

import contextlib
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager

import click
import msgspec

from aurra.faces.ways import Reach

DEFAULT_URL = "http://127.0.0.1:8000"
Local = Callable[[str | None], AbstractAsyncContextManager[Reach]]
"""Opens the service of this process for the account of a name, or the only one."""


class Where(msgspec.Struct, frozen=True, kw_only=True):
    """A service's address and key; or, without an address, an account of the service in this process."""

    url: str | None
    key: str | None
    account: str | None
    seconds: float


def where(ctx: click.Context, url: str | None, key: str | None, account: str | None, seconds: float) -> Where:
    """Where to ask: --account means here; else an address or a key, given or from the environment, means a service.

    Raises UsageError for what contradicts itself, and for what is no address or no key.
    """
    if account is not None:
        given = [name for name in ("url", "key") if _is_given(ctx, name)]
        if given:
            raise click.UsageError(f"Give --account or --{given[0]}, not both: --account is of this process.")
        return Where(url=None, key=None, account=account, seconds=seconds)
    if not url and not key:
        return Where(url=None, key=None, account=None, seconds=seconds)
    url, key = (url or DEFAULT_URL).strip(), (key or "").strip()
    scheme, _, rest = url.partition("://")
    if scheme not in ("http", "https") or not rest.strip("/"):
        raise click.BadParameter("it begins with http:// or https:// and names a host", param_hint="--url")
    if not (key.isascii() and all(character.isprintable() and character != " " for character in key)):
        raise click.BadParameter("it has characters that no key has; was it copied whole?", param_hint="--key")
    return Where(url=url, key=key or None, account=None, seconds=seconds)


@contextlib.asynccontextmanager
async def reach(place: Where, local: Local) -> AsyncGenerator[Reach]:
    """The way there. Raises Unreachable where the service of this process cannot be opened."""
    if place.url is None:
        async with local(place.account) as here:
            yield here
        return
    # Half of what a command takes to start; completion and --help do without.
    from aurra.faces.remote import remote

    secret = os.environ.get("AURRA_SIGNING_SECRET", "").strip() or None
    async with remote(place.url, place.key, signing_secret=secret, seconds=place.seconds) as there:
        yield there


def _is_given(ctx: click.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
