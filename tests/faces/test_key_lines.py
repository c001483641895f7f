"""Keys on the command line: what options mean, what a line shows; and what an operator does to a key."""

import datetime as dt
from typing import Any

import msgspec
import pytest

from aurra.errors import CannotStart
from aurra.faces import key_lines
from aurra.store.accounts import ListedKey, open_directory
from tests.conftest import Account
from tests.faces.wire import PLAN, problem

NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
GIVEN: dict[str, Any] = {"scopes": "query", "trust": "normal"}
LISTED = ListedKey(
    id="abcdefgh",
    account="acme",
    name="",
    scopes=["query"],
    tenant_id=None,
    trust=2,
    networks=[],
    up_to=None,
    last_four="wxyz",
    created_at=NOW,
    expires_at=None,
    revoked_at=None,
    last_used_at=None,
    has_ended=False,
    is_signed=False,
)


@pytest.mark.parametrize(
    ("given", "end"),
    [
        ({}, None),
        ({"expires_in": "90d"}, NOW + dt.timedelta(days=90)),
        ({"expires_in": "12h"}, NOW + dt.timedelta(hours=12)),
        ({"expires_in": "30m"}, NOW + dt.timedelta(minutes=30)),
        ({"expires_in": "2w"}, NOW + dt.timedelta(weeks=2)),
        ({"expires_at": "2031-01-01"}, dt.datetime(2031, 1, 1, tzinfo=dt.UTC)),
        ({"expires_at": "2031-01-01T02:00:00+02:00"}, dt.datetime(2031, 1, 1, tzinfo=dt.UTC)),
    ],
)
def test_an_end_is_said_by_a_time_or_an_instant(given: dict[str, Any], end: dt.datetime | None) -> None:
    """Minutes, hours, days, weeks; or as everywhere."""
    assert key_lines.terms(NOW, **GIVEN, **given).expires_at == end


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"expires_in": "soon"}, "use 90d, 12h, 30m or 2w"),
        ({"expires_in": "-1d"}, "use 90d, 12h, 30m or 2w"),
        ({"expires_in": "0d"}, "later than now"),
        ({"expires_at": "2020-01-01"}, "later than now"),
        ({"expires_at": "2099-01-01T00:00"}, "with an offset"),
        ({"expires_in": "1d", "expires_at": "2099-01-01"}, "not both"),
        ({"networks": ("office",)}, "192.0.2.0/24"),
    ],
)
def test_an_option_that_cannot_be_says_what_to_use(given: dict[str, Any], said: str) -> None:
    """In one sentence."""
    with pytest.raises(CannotStart, match=said):
        key_lines.terms(NOW, **GIVEN, **given)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({}, "abcdefgh acme …wxyz query active"),
        ({"revoked_at": NOW, "has_ended": True}, "abcdefgh acme …wxyz query revoked"),
        (
            {"expires_at": NOW, "has_ended": True},
            "abcdefgh acme …wxyz query expired expires=2030-01-01T00:00Z",
        ),
        (
            {"name": "a\nb\x1b[2J", "tenant_id": "", "last_used_at": NOW},
            r"abcdefgh acme …wxyz query active name='a\nb\x1b[2J' tenant='' used=2030-01-01T00:00Z",
        ),
    ],
)
def test_a_key_is_one_line_whatever_it_is_called(change: dict[str, Any], line: str) -> None:
    """What limits it follows; a name cannot break the line or command the terminal."""
    assert key_lines.line(msgspec.structs.replace(LISTED, **change)) == line


async def test_an_operator_rotates_any_key_that_has_not_ended(account: Account, dsn: str) -> None:
    """With an overlap or none; a revoked one and one that is not there are refused."""
    async with open_directory(dsn) as directory:
        key_id = account.key[11:19]
        new = await directory.rotate_key(key_id, dt.timedelta())
        async with open_directory(dsn) as other:
            assert (await other.rotate_key(key_id, dt.timedelta(hours=1))).raw != new.raw
        problem(await account.client.get(PLAN), 401, "invalid_key")
        await directory.revoke_key(key_id)
        with pytest.raises(CannotStart, match="was revoked"):
            await directory.rotate_key(key_id, dt.timedelta())
        with pytest.raises(CannotStart, match="no key 'nothing'"):
            await directory.rotate_key("nothing", dt.timedelta())
