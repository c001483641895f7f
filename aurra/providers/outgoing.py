"""Requests to addresses that a stranger named: resolved once, every address checked, connected to the checked one.

Whatever is sent where a caller says goes through `Checked`: models now, and all else that will be.
"""

import asyncio
import functools
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2

from aurra.errors import CannotStart

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Networks = tuple[Network, ...]

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""A host and a port to addresses as text; raises OSError or UnicodeError where there are none."""

MOST_ADDRESSES = 4
"""Of a name, that are tried one after the other."""

_RESOLVE_SECONDS = 5.0

# Of their own: names that a stranger makes slow must not hold up the look-ups of the database, nor work in threads.
_resolvers = ThreadPoolExecutor(max_workers=16, thread_name_prefix="resolver")

_PUBLIC_IPV6 = ipaddress.IPv6Network("2000::/3")
"""All that was ever given to the Internet; translated (64:ff9b::/96), mapped, local and multicast lie outside."""

_SPECIAL: Networks = tuple(
    ipaddress.ip_network(network)
    for network in (
        # https://www.iana.org/assignments/iana-ipv4-special-registry, and what follows it
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        # Azure's host, reachable from each of its machines and from nowhere else.
        "168.63.129.16/32",
        # https://www.iana.org/assignments/iana-ipv6-special-registry, inside 2000::/3: Teredo, examples, 6to4
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
    )
)


class AddressRefused(httpx2.ConnectError):
    """This server may not connect there. Trying again cannot help."""


def networks(text: str, setting: str) -> Networks:
    """CIDR networks from a list with commas. Raises CannotStart naming the setting for one that cannot be read."""
    found: list[Network] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            found.append(ipaddress.ip_network(part))
        except ValueError as error:
            raise CannotStart(f"{setting}: {part!r} is not a network such as 10.0.0.0/8 or fd00::/8.") from error
    return tuple(found)


def is_allowed(address: str, allowed: Networks) -> bool:
    """Whether it is an address of the public Internet, or lies in a network that the operator allows."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return _is_public(parsed) or any(parsed in network for network in allowed)


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and (address not in _PUBLIC_IPV6 or address.scope_id):
        return False
    return not any(address in network for network in _SPECIAL)


async def resolve(host: str, port: int) -> list[str]:
    """What the system's resolver says, in its order, each address once."""
    found = await asyncio.get_running_loop().run_in_executor(
        _resolvers, functools.partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    )
    return list(dict.fromkeys(str(address[4][0]) for address in found))


class Checked(httpx2.AsyncBaseTransport):
    """Connects where it may, and nowhere else: no proxies, one look-up a request, the right name in TLS and Host.

    Raises `AddressRefused` before any connection is made when one of the host's addresses is not allowed; the other
    errors of httpx2's own transport as they are.
    """

    def __init__(
        self,
        tls: ssl.SSLContext,
        allowed: Networks = (),
        *,
        resolve: Resolve = resolve,
        inner: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """`inner` makes the connections, to addresses only."""
        self._allowed = allowed
        self._resolve = resolve
        self._inner = inner or httpx2.AsyncHTTPTransport(verify=tls, trust_env=False)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """The first answer of the host's addresses, tried in order."""
        host = request.url.raw_host.decode("ascii")
        addresses = await self._addresses(request, host)
        if not addresses:
            raise httpx2.ConnectError("the name has no address", request=request)
        for address in addresses[:-1]:
            try:
                return await self._inner.handle_async_request(_to(address, host, request))
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                continue
        return await self._inner.handle_async_request(_to(addresses[-1], host, request))

    async def aclose(self) -> None:
        """Closes connections."""
        await self._inner.aclose()

    async def _addresses(self, request: httpx2.Request, host: str) -> list[str]:
        """All of them are allowed."""
        port = request.url.port or (443 if request.url.scheme == "https" else 80)
        timeouts: Mapping[str, Any] = request.extensions.get("timeout", {})
        try:
            async with asyncio.timeout(timeouts.get("connect") or _RESOLVE_SECONDS):
                found = await self._resolve(host, port)
        except TimeoutError:
            raise httpx2.ConnectTimeout("the name was not resolved in time", request=request) from None
        except (OSError, UnicodeError):
            raise httpx2.ConnectError("the name cannot be resolved", request=request) from None
        _require_allowed(found, self._allowed, request)
        return found[:MOST_ADDRESSES]


def _require_allowed(addresses: Iterable[str], allowed: Networks, request: httpx2.Request) -> None:
    if not all(is_allowed(address, allowed) for address in addresses):
        raise AddressRefused("this server may not connect to that address", request=request)


def _to(address: str, host: str, request: httpx2.Request) -> httpx2.Request:
    """The same request to an address; Host stays as it was, and the certificate must be the host's."""
    return httpx2.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": host},
    )
