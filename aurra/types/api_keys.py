"""Keys on the wire. A secret is in the answer to the request that made it, and nowhere else."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from aurra.types.common import (
    SECRET,
    Answer,
    GivenInstant,
    HasMore,
    Instant,
    Limit,
    NextCursor,
    Request,
)

KeyId = Annotated[str, Meta(description="The key's id: the eight characters after `aurra_live_`.")]
Name = Annotated[str, Meta(description="What people call it.")]
Scopes = Annotated[
    list[str],
    Meta(
        description="`full`, `read_only`, or some of `memories:read`, `memories:write`, `memories:erase`, `query`, "
        "`webhooks:manage`, `keys:manage`, `usage:read`, `audit:read`."
    ),
]
GivenTrust = Annotated[
    str,
    Meta(
        description="What it writes never supersedes what a key of higher trust wrote.",
        extra_json_schema={"enum": ["low", "normal", "high"]},
    ),
]
GivenNetworks = Annotated[
    list[str], Meta(description="CIDRs, or single addresses, that it may be used from; an empty list is anywhere.")
]
UpTo = Annotated[
    int,
    Meta(description="The newest transaction that it may know of, by number.", extra_json_schema={"minimum": 0}),
]


class ApiKey(msgspec.Struct, kw_only=True):
    """A key, without anything secret."""

    id: KeyId
    name: Name
    last_four: Annotated[str, Meta(description="The end of its secret, to tell it by.")]
    scopes: Annotated[list[str], Meta(description="What it may.")]
    tenant_id: Annotated[str | None, Meta(description="The one tenant it is pinned to; null is not pinned.")]
    trust: Annotated[
        Literal["low", "normal", "high"],
        Meta(description="What it writes never supersedes what a key of higher trust wrote."),
    ]
    networks: Annotated[list[str], Meta(description="Where it may be used from; empty is anywhere.")]
    up_to: Annotated[int | None, Meta(description="The newest transaction it may know of; null is no ceiling.")]
    is_signed: Annotated[bool, Meta(description="Whether its requests must be signed.")]
    state: Annotated[Literal["active", "expired", "revoked"], Meta(description="Whether it is accepted.")]
    expires_at: Instant | None
    revoked_at: Instant | None
    previous_until: Annotated[
        Instant | None,
        Meta(description="Until when the secret before the last rotation is accepted, where it still is."),
    ]
    created_at: Instant
    created_by: Annotated[str, Meta(description="`operator`, or `key ID`.")]
    last_used_at: Annotated[Instant | None, Meta(description="Within a minute.")]


class ApiKeyList(Request, kw_only=True):
    """All keys that this one sees, newest first."""

    limit: Limit | None = 20
    cursor: Annotated[str | None, Meta(description="`next_cursor` of the page before.")] = None


class ApiKeyPage(Answer, kw_only=True):
    """A page of keys."""

    api_keys: Annotated[list[ApiKey], Meta(description="Newest first.")]
    has_more: HasMore
    next_cursor: NextCursor


class ApiKeyGet(Request, kw_only=True):
    """One key, by its id."""

    key_id: KeyId


class ApiKeyFound(Answer, kw_only=True):
    """One key."""

    api_key: ApiKey


class ApiKeyCreate(Request, kw_only=True):
    """A key to make. What is absent is as far as the key goes that makes it; without a limit there, none."""

    scopes: Scopes
    name: Name = ""
    tenant_id: Annotated[
        str | None,
        Meta(description='The one tenant it shall be pinned to, `""` being the default one; absent is not pinned.'),
    ] = None
    trust: Annotated[GivenTrust | None, Meta(description="Absent is `normal`, or lower where this key is.")] = None
    expires_at: GivenInstant | None = None
    networks: GivenNetworks | None = None
    up_to: UpTo | None = None
    is_signed: Annotated[
        bool | None,
        Meta(description="Whether its requests are signed; they need a signing secret, which is answered beside it."),
    ] = None


class ApiKeyMade(Answer, kw_only=True):
    """A key and its secret, which is shown this once and kept nowhere."""

    key: Annotated[
        str, Meta(description="What callers present: `Authorization: Bearer KEY`.", extra_json_schema=SECRET)
    ]
    signing_secret: Annotated[
        str | None,
        Meta(description="Of a key that signs: what its requests are signed with.", extra_json_schema=SECRET),
    ]
    api_key: ApiKey

    def __repr__(self) -> str:
        return f"ApiKeyMade(key=***, api_key={self.api_key!r})"


class ApiKeyChange(Request, kw_only=True):
    """What to change; what is absent stays. Its tenant never changes."""

    key_id: KeyId
    name: Name | None = None
    scopes: Scopes | None = None
    trust: GivenTrust | None = None
    networks: GivenNetworks | None = None
    expires_at: Annotated[GivenInstant | UnsetType | None, Meta(description="Null is never.")] = UNSET
    up_to: Annotated[UpTo | UnsetType | None, Meta(description="Null is no ceiling.")] = UNSET


class ApiKeyRevoke(Request, kw_only=True):
    """A key to refuse from now on."""

    key_id: KeyId


class ApiKeyRotate(Request, kw_only=True):
    """A key to give a new secret."""

    key_id: KeyId
    overlap_hours: Annotated[
        float,
        Meta(
            description="How long the old secret is accepted beside the new one, 0…168; 0 for one that leaked.",
            extra_json_schema={"minimum": 0, "maximum": 168},
        ),
    ] = 24.0
