"""What is sealed opens under its key, for what it was sealed for, whole; and in no other way."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurra import sealing
from aurra.errors import CannotStart
from aurra.sealing import CannotOpen, KeyRing, Sealed

OLD, NEW = bytes(range(32)), bytes(range(32, 64))


@given(st.text(st.characters(exclude_categories=["Cs"])), st.binary())
def test_what_was_sealed_opens(secret: str, bound_to: bytes) -> None:
    """The same text comes back, also under a ring in which its key is not the first any more."""
    sealed = KeyRing([OLD]).seal(secret, bound_to)
    assert KeyRing([NEW, OLD]).open(sealed, bound_to) == secret
    assert sealed.by == sealing.key_id(OLD)


def test_the_first_key_seals() -> None:
    """Exchange the order, and what is sealed from now on needs the other."""
    sealed = KeyRing([NEW, OLD]).seal("secret", b"")
    assert sealed.by == sealing.key_id(NEW)
    with pytest.raises(CannotOpen):
        KeyRing([OLD]).open(sealed, b"")


def test_it_is_worth_nothing_elsewhere() -> None:
    """Bound to account and address: beside anything else it does not open."""
    ring = KeyRing([OLD])
    sealed = ring.seal("secret", b"account 1, address 1")
    for other in (b"account 2, address 1", b"account 1, address 2", b""):
        with pytest.raises(CannotOpen):
            ring.open(sealed, other)


def test_every_altered_bit_is_noticed() -> None:
    """Also one that was cut off, or of which nothing is left."""
    ring = KeyRing([OLD])
    sealed = ring.seal("secret", b"x")
    altered = [
        sealed.value[:at] + bytes([sealed.value[at] ^ 1 << bit]) + sealed.value[at + 1 :]
        for at in range(len(sealed.value))
        for bit in range(8)
    ]
    for value in (*altered, *(sealed.value[:length] for length in range(len(sealed.value)))):
        with pytest.raises(CannotOpen):
            ring.open(Sealed(value, sealed.by), b"x")


def test_sealing_twice_gives_two_texts() -> None:
    """A nonce is never used again, and equal secrets do not show."""
    ring = KeyRing([OLD])
    assert len({ring.seal("secret", b"x").value for _ in range(100)}) == 100


def test_keys_are_nowhere_in_what_is_shown() -> None:
    """The ring's repr, and the message about keys that cannot be used, hold none."""
    text = base64.b64encode(OLD).decode()
    assert repr(sealing.parse(f" {text},\n{sealing.new_key()} ", "X")).startswith("KeyRing(7b39b592")
    for bad in (text[:-5], f"{text},short", "", ",", f"{text}é"):
        with pytest.raises(CannotStart, match="AURRA_SECRET_KEYS must hold keys of 32 bytes") as raised:
            sealing.parse(bad, "AURRA_SECRET_KEYS")
        assert text[:8] not in str(raised.value)
