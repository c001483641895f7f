"""Addresses of callers, and networks. Pure.

An IPv4 address that comes as IPv6 (`::ffff:192.0.2.1`) is that IPv4 address, and so is a network of such addresses.
"""

import ipaddress
from collections.abc import Iterable, Sequence

from aurra.errors import CannotStart

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Networks = tuple[Network, ...]

UNKNOWN = ipaddress.IPv6Address("::")
"""Of a caller whose address nobody says; no real caller has it."""

_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


def read_address(text: str) -> Address | None:
    """The address, without a port, brackets or a zone; None for text that is none."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found


def read_network(text: str) -> Network:
    """The network of a CIDR, or of a single address. Raises ValueError for text that is none."""
    if "%" in text:
        raise ValueError("a network has no zone")
    found = ipaddress.ip_network(text.strip())
    if isinstance(found, ipaddress.IPv6Network) and found.subnet_of(_MAPPED):
        start = int(found.network_address) - int(_MAPPED.network_address)
        return ipaddress.IPv4Network((start, found.prefixlen - _MAPPED.prefixlen))
    return found


def read_networks(texts: Iterable[str]) -> Networks:
    """As `read_network`, of each."""
    return tuple(read_network(text) for text in texts)


def read_setting(text: str, setting: str) -> Networks:
    """Networks from a list with commas. Raises CannotStart naming the setting."""
    try:
        return read_networks(filter(None, (part.strip() for part in text.split(","))))
    except ValueError as error:
        raise CannotStart(f"{setting}={text!r} cannot be used: networks such as 10.0.0.0/8, with commas.") from error


def contains(networks: Networks, address: Address) -> bool:
    """Whether the address is in one of them."""
    return any(address in network for network in networks)


def cover(outer: Networks, inner: Networks) -> bool:
    """Whether every address of `inner` is one of `outer`."""
    joined = [
        *ipaddress.collapse_addresses(one for one in outer if isinstance(one, ipaddress.IPv4Network)),
        *ipaddress.collapse_addresses(one for one in outer if isinstance(one, ipaddress.IPv6Network)),
    ]
    return all(any(_is_inside(one, wide) for wide in joined) for one in inner)


def _is_inside(one: Network, wide: Network) -> bool:
    if isinstance(one, ipaddress.IPv4Network):
        return isinstance(wide, ipaddress.IPv4Network) and one.subnet_of(wide)
    return isinstance(wide, ipaddress.IPv6Network) and one.subnet_of(wide)


def first_stranger(hops: Sequence[str], trusted: Networks) -> Address:
    """The last of the hops that is not trusted; of hops that are all trusted, the first. UNKNOWN where a trusted hop
    names what is no address: whoever is before it cannot be told."""
    found: Address = UNKNOWN
    for hop in reversed(hops):
        address = read_address(hop)
        if address is None:
            return UNKNOWN
        found = address
        if not contains(trusted, address):
            break
    return found
