"""Which language model a request uses, if any."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from aurra.context import Context
from aurra.errors import BadRequest
from aurra.providers.base import LanguageModel, ModelChoice, Secret
from aurra.settings import Settings
from aurra.types.common import LlmChoice


def choose(ctx: Context, llm: LlmChoice | None) -> ModelChoice | None:
    """The request's model, else the server's default; None is the extractive mode.

    Raises BadRequest for a `base_url` of the request's own where the server does not allow it.
    """
    settings = ctx.service.settings
    if llm is None:
        return default_model(settings)
    if llm.provider == "extractive":
        return None
    if llm.base_url and not settings.aurra_llm_allow_base_urls:
        raise BadRequest("This server does not take a `base_url` in `llm`.", code="bad_provider", param="llm.base_url")
    key = llm.api_key or llm.key
    return ModelChoice(
        provider=llm.provider,
        model=llm.model,
        api_key=Secret(key) if key else None,
        base_url=llm.base_url,
        extra=llm.extra or {},
    )


def default_model(settings: Settings) -> ModelChoice | None:
    """The server's own model; None is the extractive mode."""
    if settings.aurra_llm_provider == "extractive":
        return None
    return ModelChoice(
        provider=settings.aurra_llm_provider,
        model=settings.aurra_llm_model,
        api_key=Secret(settings.aurra_llm_api_key) if settings.aurra_llm_api_key else None,
        base_url=settings.aurra_llm_base_url or None,
    )


@contextlib.asynccontextmanager
async def opened(ctx: Context, choice: ModelChoice) -> AsyncGenerator[LanguageModel]:
    """The model's client, closed afterwards."""
    # In a thread: the first use of a provider imports its client, which takes about a second.
    model = await asyncio.to_thread(ctx.service.open_model, choice)
    try:
        yield model
    finally:
        await model.close()
