"""The model of an account on the wire."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from aurra.types.common import SECRET, Answer, Instant, Request


class ProviderSettings(Answer, kw_only=True):
    """The account's own model; all null where none is set. Its key is never shown."""

    provider: Annotated[str | None, Meta(description="As in `llm`; `extractive` is none at all.")] = None
    model: Annotated[str | None, Meta(description="The provider's name of the model.")] = None
    base_url: Annotated[str | None, Meta(description="Where it answers, if not at its usual place.")] = None
    extra: Annotated[dict[str, Any] | None, Meta(description="Further fields for the provider's request.")] = None
    last_four: Annotated[str | None, Meta(description="The end of the stored key, to tell it by.")] = None
    changed_at: Annotated[Instant | None, Meta(description="When it was set or last changed.")] = None


class ProviderChange(Request, kw_only=True):
    """What to change; what is absent stays. Another `provider` begins anew: nothing of the old one stays."""

    provider: Annotated[
        str | None, Meta(description="`openai`, `anthropic`, a preset such as `groq`, or `extractive` for none at all.")
    ] = None
    model: Annotated[str | None, Meta(description="The provider's name of the model.")] = None
    api_key: Annotated[
        str | UnsetType | None,
        Meta(
            description="Stored encrypted, never shown. Must be given again with another provider or base_url; null "
            "removes it.",
            extra_json_schema={**SECRET, "writeOnly": True},
        ),
    ] = UNSET
    base_url: Annotated[
        str | UnsetType | None, Meta(description="Where it answers; null is the provider's usual place.")
    ] = UNSET
    extra: Annotated[
        dict[str, Any] | UnsetType | None,
        Meta(description="Further fields for the provider's request; replaced whole."),
    ] = UNSET

    def __repr__(self) -> str:
        return f"ProviderChange(provider={self.provider!r}, model={self.model!r}, api_key=***)"
