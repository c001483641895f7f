"""Language models by name: an adapter's own, or a preset of the openai adapter."""

import urllib.parse

import httpx2
import msgspec

from aurra.errors import BadRequest
from aurra.providers.base import LanguageModel, ModelChoice, Secret


class Preset(msgspec.Struct, frozen=True):
    """Where a provider is when the request does not say, and whether it wants a key. No address: it must be given."""

    base_url: str | None
    needs_key: bool = True


PRESETS: dict[str, Preset] = {
    "openai": Preset("https://api.openai.com/v1"),
    "azure": Preset(None),
    "groq": Preset("https://api.groq.com/openai/v1"),
    "gemini": Preset("https://generativelanguage.googleapis.com/v1beta/openai"),
    "xai": Preset("https://api.x.ai/v1"),
    "ollama": Preset("http://127.0.0.1:11434/v1", needs_key=False),
    "vllm": Preset("http://127.0.0.1:8000/v1", needs_key=False),
    "lmstudio": Preset("http://127.0.0.1:1234/v1", needs_key=False),
    "openai_compatible": Preset(None, needs_key=False),
    "anthropic": Preset("https://api.anthropic.com"),
}
"""All but `anthropic` are spoken to by the openai adapter."""

_OURS = {"model", "messages", "system", "stream", "n", "response_format", "tools", "tool_choice"}


def open_model(
    choice: ModelChoice, *, budget_seconds: float = 30.0, transport: httpx2.AsyncBaseTransport | None = None
) -> LanguageModel:
    """A model ready to be asked; who opens it closes it. Nothing is sent yet.

    `transport` makes the connections instead of the usual one; it raises `http.AddressRefused` where it must not.
    Raises BadRequest (`bad_provider`) that says what to change.
    """
    preset = PRESETS.get(choice.provider)
    if preset is None:
        raise _bad("provider", f"`llm.provider` is none of: {', '.join(sorted(PRESETS))}.")
    if not choice.model:
        raise _bad("model", f"{choice.provider} needs a model: send `llm.model`.")
    key = _checked_key(choice, preset)
    if taken := sorted(_OURS & choice.extra.keys()):
        raise _bad("extra", f"`llm.extra` may not set `{taken[0]}`; Aurra does.")
    base_url = _checked_base_url(choice, preset)
    if choice.provider == "anthropic" and key is not None:
        return _open_anthropic(choice, base_url, key, budget_seconds, transport)
    # Imported here: it takes a second, and `extractive` needs none of it.
    from aurra.providers.llm.openai import OpenAIModel

    return OpenAIModel(
        provider=choice.provider,
        model=choice.model,
        base_url=base_url,
        api_key=key,
        extra=choice.extra,
        budget_seconds=budget_seconds,
        transport=transport,
    )


def _open_anthropic(
    choice: ModelChoice,
    base_url: str,
    key: Secret,
    budget_seconds: float,
    transport: httpx2.AsyncBaseTransport | None,
) -> LanguageModel:
    from aurra.providers.llm.anthropic import AnthropicModel

    try:
        return AnthropicModel(
            provider=choice.provider,
            model=choice.model,
            base_url=base_url,
            api_key=key,
            extra=choice.extra,
            budget_seconds=budget_seconds,
            transport=transport,
        )
    except ImportError:
        raise _bad("provider", "anthropic needs an extra: pip install 'aurra-server[anthropic]'.") from None


def _checked_key(choice: ModelChoice, preset: Preset) -> Secret | None:
    if choice.api_key is None or not choice.api_key.reveal():
        if preset.needs_key:
            raise _bad("provider", f"{choice.provider} needs a key: send `llm.api_key`.")
        return None
    if not all("!" <= character <= "~" for character in choice.api_key.reveal()):
        raise _bad("api_key", "`llm.api_key` has a character that no key has; check that it was copied whole.")
    return choice.api_key


def _checked_base_url(choice: ModelChoice, preset: Preset) -> str:
    """An http or https address with nothing secret in it, for addresses are logged."""
    base_url = choice.base_url or preset.base_url
    if base_url is None:
        raise _bad("provider", f"{choice.provider} needs an address: send `llm.base_url`.")
    try:
        parts = urllib.parse.urlsplit(base_url)
        port = parts.port
    except ValueError:
        raise _bad("base_url", "`llm.base_url` is not an address.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise _bad("base_url", "`llm.base_url` must begin with http:// or https:// and name a host.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise _bad("base_url", "`llm.base_url` must not hold a user, a password, a query or a fragment.")
    return base_url


def _bad(field: str, sentence: str) -> BadRequest:
    return BadRequest(sentence, code="bad_provider", param=f"llm.{field}")
