"""Keys: form, checksum, scopes."""

import datetime as dt
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurra import keys
from aurra.errors import CannotStart, Forbidden


def test_a_key_has_the_published_form() -> None:
    """`aurra_`, live, 8 characters of id, 43 of secret, 6 of checksum; the hash is not the key."""
    key = keys.make_key()
    assert re.fullmatch(r"aurra_live_[0-9A-Za-z]{57}", key.raw)
    assert keys.key_id_of(key.raw) == key.key_id == key.raw[11:19]
    assert keys.same_secret(keys.hash_secret(key.raw), key.secret_hash)
    assert key.raw.encode() not in key.secret_hash


@given(st.integers(11, 67), st.sampled_from(keys.ALPHABET))
def test_a_mistyped_key_is_refused_without_a_look_up(place: int, character: str) -> None:
    """Any one character changed gives no id at all."""
    raw = keys.make_key().raw
    changed = raw[:place] + character + raw[place + 1 :]
    assert changed == raw or keys.key_id_of(changed) is None


@pytest.mark.parametrize("raw", ["", "aurra_", "sk-123", "aurra_live_short", "aurra_live_" + "é" * 57])
def test_what_is_no_key_has_no_id(raw: str) -> None:
    """Other forms are no keys."""
    assert keys.key_id_of(raw) is None


def test_scopes_come_as_bundles_or_by_name() -> None:
    """`full` and `read_only` are bundles; names may be listed; unknown ones are named in the refusal."""
    assert keys.parse_scopes("full") == list(keys.SCOPES)
    assert "memories:write" not in keys.parse_scopes("read_only")
    assert keys.parse_scopes("query, memories:read") == ["query", "memories:read"]
    with pytest.raises(CannotStart, match="memories:fly"):
        keys.parse_scopes("memories:fly")
    with pytest.raises(CannotStart, match="at least one"):
        keys.parse_scopes(",")


def test_a_missing_scope_is_named() -> None:
    """403 says which scope is needed."""
    with pytest.raises(Forbidden, match="memories:write"):
        keys.require_scope(frozenset({"query"}), "memories:write")


EARLY, LATE = (dt.datetime(2030, 1, day, tzinfo=dt.UTC) for day in (1, 2))
OWN = keys.Terms(
    scopes=["query", "keys:manage"], tenant_id="t", trust=2, expires_at=EARLY, networks=["192.0.2.0/24"], up_to=7
)
FREE = keys.Terms(scopes=list(keys.SCOPES), trust=3)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("scopes", ["query", "memories:read"]),
        ("scopes", list(keys.SCOPES)),
        ("tenant_id", None),
        ("tenant_id", "other"),
        ("tenant_id", ""),
        ("trust", 3),
        ("expires_at", None),
        ("expires_at", LATE),
        ("networks", []),
        ("networks", ["0.0.0.0/0"]),
        ("networks", ["192.0.2.1", "2001:db8::1"]),
        ("up_to", None),
        ("up_to", 8),
    ],
)
def test_terms_that_go_beyond_are_named(field: str, value: Any) -> None:
    """Each field alone, in each way; a key without limits goes beyond nothing."""
    asked = msgspec.structs.replace(OWN, **{field: value})
    assert keys.excess(OWN, asked) == field
    assert keys.excess(FREE, asked) is None


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"scopes": ["query"]},
        {"trust": 1},
        {"expires_at": EARLY - dt.timedelta(days=9)},
        {"networks": ["192.0.2.9"]},
        {"up_to": 0},
        {"name": "another"},
    ],
    ids=str,
)
def test_terms_that_do_not_go_beyond_are_fine(change: dict[str, Any]) -> None:
    """As much, or less."""
    assert keys.excess(OWN, msgspec.structs.replace(OWN, **change)) is None
