"""Language models by name: an adapter's own, or a preset of the openai adapter."""

import urllib.parse
from collections.abc import Iterator

import httpx2
import msgspec

from aurra.errors import BadRequest
from aurra.providers.base import LanguageModel, ModelChoice, Secret
from aurra.providers.llm import http
from aurra.providers.outgoing import Networks


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
    choice: ModelChoice,
    *,
    budget_seconds: float = 30.0,
    transport: httpx2.AsyncBaseTransport | None = None,
    reach: Networks | None = None,
) -> LanguageModel:
    """A model ready to be asked; who opens it closes it. Nothing is sent yet.

    With `reach`, it is asked only at addresses of the public Internet and of these networks; `transport` makes the
    connections instead of the usual one, and raises `http.AddressRefused` where it must not.
    Raises BadRequest (`bad_provider`) that says what to change.
    """
    base_url = check(choice)
    if transport is None and reach is not None:
        transport = http.checked(reach)
    key = choice.api_key if choice.api_key and choice.api_key.reveal() else None
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


def check(choice: ModelChoice, prefix: str = "llm.") -> str:
    """The address to ask, where nothing is missing and nothing is given that cannot be.

    Raises BadRequest (`bad_provider`) naming the field, with the prefix, and what to change.
    """
    for field, sentence in _faults(choice):
        raise BadRequest(sentence.replace("llm.", prefix), code="bad_provider", param=f"{prefix}{field}")
    return choice.base_url or PRESETS[choice.provider].base_url or ""


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
        raise BadRequest(
            "anthropic needs an extra: pip install 'aurra-server[anthropic]'.",
            code="bad_provider",
            param="llm.provider",
        ) from None


def _faults(choice: ModelChoice) -> Iterator[tuple[str, str]]:
    """Each field that is wrong, with the sentence that says what to change."""
    preset = PRESETS.get(choice.provider)
    if preset is None:
        yield "provider", f"`llm.provider` is none of: {', '.join(sorted(PRESETS))}."
        return
    key = choice.api_key.reveal() if choice.api_key else ""
    if not choice.model:
        yield "model", f"{choice.provider} needs a model: send `llm.model`."
    if not key and preset.needs_key:
        yield "provider", f"{choice.provider} needs a key: send `llm.api_key`."
    if not all("!" <= character <= "~" for character in key):
        yield "api_key", "`llm.api_key` has a character that no key has; check that it was copied whole."
    if taken := sorted(_OURS & choice.extra.keys()):
        yield "extra", f"`llm.extra` may not set `{taken[0]}`; Aurra does."
    base_url = choice.base_url or preset.base_url
    if base_url is None:
        yield "provider", f"{choice.provider} needs an address: send `llm.base_url`."
    elif sentence := _wrong_address(base_url):
        yield "base_url", sentence


def _wrong_address(base_url: str) -> str:
    """What is wrong with it: it must be http or https with nothing secret in it, for addresses are logged."""
    try:
        parts = urllib.parse.urlsplit(base_url)
        port = parts.port
        httpx2.URL(base_url)
    except (ValueError, httpx2.InvalidURL):
        return "`llm.base_url` is not an address."
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return "`llm.base_url` must begin with http:// or https:// and name a host."
    if parts.username or parts.password or parts.query or parts.fragment:
        return "`llm.base_url` must not hold a user, a password, a query or a fragment."
    return ""
