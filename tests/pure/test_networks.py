"""Addresses and networks of callers: what is read, what covers what, whom to believe."""

import ipaddress

import pytest

from aurra import networks
from aurra.errors import CannotStart

PROXIES = networks.read_networks(["10.0.0.0/8", "fd00::/8", "192.0.2.7"])


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        (" 192.0.2.1 ", "192.0.2.1"),
        ("192.0.2.1:443", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("[::ffff:c000:201]:1", "192.0.2.1"),
        ("", None),
        ("unknown", None),
        ("_hidden", None),
        ("127.1", None),
        ("0x7f000001", None),
        ("192.0.2.256", None),
        ("１９２.0.2.1", None),
        ("192.0.2.1 192.0.2.2", None),
        ("192.0.2.0/24", None),
    ],
)
def test_an_address_is_read_in_every_form_that_proxies_write(text: str, address: str | None) -> None:
    """With and without port, brackets and zone; an IPv4 address inside IPv6 is that IPv4 address; no guessing."""
    assert networks.read_address(text) == (address and ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("192.0.2.9", "192.0.2.9/32"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::/0", "::/0"),
    ],
)
def test_a_network_is_read(text: str, network: str) -> None:
    """A single address is a network of one; IPv4 inside IPv6 is IPv4."""
    assert str(networks.read_network(text)) == network


@pytest.mark.parametrize("text", ["", "192.0.2.1/24", "192.0.2.0/33", "office", "192.0.2", "fe80::1%eth0/64"])
def test_what_is_no_network_is_refused(text: str) -> None:
    """Bits beyond the mask too: whoever wrote them meant something else."""
    with pytest.raises(ValueError):
        networks.read_network(text)


def test_a_setting_that_cannot_be_read_stops_the_start() -> None:
    """It is named; empty is none."""
    assert networks.read_setting("", "X") == ()
    assert len(networks.read_setting("10.0.0.0/8, ::1", "X")) == 2
    with pytest.raises(CannotStart, match="AURRA_TRUSTED_PROXIES"):
        networks.read_setting("proxy", "AURRA_TRUSTED_PROXIES")


@pytest.mark.parametrize(
    ("hops", "client"),
    [
        (["203.0.113.9"], "203.0.113.9"),
        (["10.0.0.1"], "10.0.0.1"),
        (["198.51.100.1", "203.0.113.9"], "203.0.113.9"),
        (["198.51.100.1", "10.0.0.1"], "198.51.100.1"),
        (["10.9.9.9", "198.51.100.1", "10.0.0.1"], "198.51.100.1"),
        (["127.0.0.1", "198.51.100.1", "10.0.0.2", "10.0.0.1"], "198.51.100.1"),
        (["198.51.100.1:1234", "::ffff:10.0.0.1"], "198.51.100.1"),
        (["2001:db8::1", "fd00::1", "192.0.2.7"], "2001:db8::1"),
        (["10.0.0.3", "10.0.0.2", "10.0.0.1"], "10.0.0.3"),
        (["198.51.100.1", "unknown", "10.0.0.1"], "::"),
        (["198.51.100.1", "", "10.0.0.1"], "::"),
        ([""], "::"),
        ([], "::"),
    ],
)
def test_the_client_is_the_last_hop_that_no_proxy_is(hops: list[str], client: str) -> None:
    """What stands left of it anybody may have written; behind what is no address nobody can be told."""
    assert networks.first_stranger(hops, PROXIES) == ipaddress.ip_address(client)


def test_without_proxies_only_the_peer_counts() -> None:
    """Whatever was forwarded."""
    assert str(networks.first_stranger(["10.0.0.1", "203.0.113.9"], ())) == "203.0.113.9"


@pytest.mark.parametrize(
    ("outer", "inner", "covers"),
    [
        (["192.0.2.0/24"], ["192.0.2.0/24"], True),
        (["192.0.2.0/24"], ["192.0.2.5", "192.0.2.128/25"], True),
        (["192.0.2.0/24"], ["192.0.2.0/23"], False),
        (["192.0.2.0/24"], ["192.0.2.5", "198.51.100.1"], False),
        (["192.0.2.0/25", "192.0.2.128/25"], ["192.0.2.0/24"], True),
        (["0.0.0.0/0"], ["::/0"], False),
        (["::/0"], ["192.0.2.1"], False),
        (["::/0", "0.0.0.0/0"], ["192.0.2.1", "2001:db8::1"], True),
        (["192.0.2.0/24"], ["::ffff:192.0.2.1"], True),
    ],
)
def test_one_list_covers_another(outer: list[str], inner: list[str], covers: bool) -> None:
    """Every address of the inner one is of the outer one, joined."""
    assert networks.cover(networks.read_networks(outer), networks.read_networks(inner)) is covers


def test_a_network_has_no_zone() -> None:
    """What stands behind % is no part of a network, and may be anything."""
    for text in ("fe80::1%eth0", "fe80::1%x\nFORGED", "::1%"):
        with pytest.raises(ValueError, match="zone"):
            networks.read_network(text)
