"""What requests and answers share."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

Instant = Annotated[str, Meta(description="UTC instant, microseconds.", extra_json_schema={"format": "date-time"})]
GivenInstant = Annotated[
    str,
    Meta(
        description="RFC 3339 instant with an offset, or a bare date (00:00 UTC).",
        extra_json_schema={"format": "date-time"},
    ),
]
TransactionAsOf = Annotated[
    int | str,
    Meta(
        description="What was believed then: a transaction's number, or an instant.",
        extra_json_schema={"format": "date-time"},
    ),
]
TenantId = Annotated[str, Meta(description="Whose memories; absent or null is the default tenant only.")]
Limit = Annotated[
    int, Meta(description="Most results; clamped into 1…1000.", extra_json_schema={"minimum": 1, "maximum": 1000})
]


HasMore = Annotated[bool, Meta(description="Whether there is another page.")]
NextCursor = Annotated[str | None, Meta(description="What to send as `cursor` for the page after; null on the last.")]
OfTenant = Annotated[str | None, Meta(description="Whose it is; null is the default tenant.")]
CompanyId = Annotated[str, Meta(description="The account.")]
WasDry = Annotated[bool, Meta(description="Whether nothing was committed.")]
SECRET = {"format": "password"}
"""Of a field that no client shows: it is left out of what a log or a debugger might see."""


class Request(msgspec.Struct, kw_only=True):
    """What an operation takes. Fields come from the path, then the query string or the JSON body."""


class Answer(msgspec.Struct, kw_only=True):
    """What an operation returns; always a JSON object."""

    warnings: Annotated[list[str], Meta(description="What was ignored, or is about to matter.")] = []


class TransactionRef(msgspec.Struct, kw_only=True):
    """A transaction: its number in the account, and its instant."""

    id: Annotated[int, Meta(description="Dense number in the account; 0 is the empty state.")]
    at: Instant


class LlmChoice(msgspec.Struct, kw_only=True):
    """A model of the caller's own, used for this request; never stored, never logged."""

    provider: Annotated[str, Meta(description="`openai`, `anthropic`, or a preset such as `ollama`.")] = "openai"
    model: Annotated[str, Meta(description="The provider's name of the model.")] = ""
    api_key: Annotated[str | None, Meta(description="The provider's key.", extra_json_schema=SECRET)] = None
    key: Annotated[str | None, Meta(description="Accepted for `api_key`.", extra_json_schema=SECRET)] = None
    base_url: Annotated[str | None, Meta(description="Where the provider answers, if not at its usual place.")] = None
    extra: Annotated[dict[str, Any] | None, Meta(description="Further fields for the provider's request.")] = None

    def __repr__(self) -> str:
        return f"LlmChoice(provider={self.provider!r}, model={self.model!r}, api_key=***)"
