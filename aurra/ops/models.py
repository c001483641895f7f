"""Which language model a request uses, if any; and how it is called without making others wait."""

import asyncio
import contextlib
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Generic, TypeVar

import msgspec

from aurra import texts
from aurra.context import Context
from aurra.errors import BadRequest, CannotStart, ProviderError, Unavailable
from aurra.providers.base import Completion, LanguageModel, ModelChoice, Secret
from aurra.providers.breaker import LeftAlone
from aurra.providers.bulkhead import Full
from aurra.sealing import CannotOpen
from aurra.settings import Settings
from aurra.store import providers
from aurra.store.providers import ProviderRow
from aurra.types.common import LlmChoice

T = TypeVar("T")
WAIT_SHARE = 0.1
"""Of the budget, that a call waits for a place among those of its account."""


async def choose(ctx: Context, llm: LlmChoice | None) -> ModelChoice | None:
    """The request's model, else the account's stored one, else the server's default; None is the extractive mode.

    Raises BadRequest for a `base_url` where the server does not allow it, Unavailable (`stored_key_unreadable`) for a
    stored key that cannot be opened.
    """
    if llm is not None:
        return _of_request(ctx, llm)
    row = await ctx.service.stored_models.find(ctx.database, ctx.company_id)
    return default_model(ctx.service.settings) if row is None else _of_account(ctx, row)


def default_model(settings: Settings) -> ModelChoice | None:
    """The server's own model; None is the extractive mode."""
    if settings.aurra_llm_provider == "extractive":
        return None
    return ModelChoice(
        provider=settings.aurra_llm_provider,
        model=settings.aurra_llm_model,
        api_key=Secret(settings.aurra_llm_api_key) if settings.aurra_llm_api_key else None,
        base_url=settings.aurra_llm_base_url or None,
        is_operators=True,
    )


def require_base_url_allowed(ctx: Context, base_url: str | None, param: str) -> None:
    """Returns when there is none, or callers of this server may name one. Raises BadRequest (`bad_provider`)."""
    if base_url and not ctx.service.settings.aurra_llm_allow_base_urls:
        raise BadRequest(
            f"This server does not take a `base_url` in `{param}`.", code="bad_provider", param=f"{param}.base_url"
        )


def stored_key(ctx: Context, row: ProviderRow) -> Secret | None:
    """The account's key; None where it needs none. Raises Unavailable (`stored_key_unreadable`)."""
    if row.sealed is None:
        return None
    try:
        ring = ctx.service.secret_keys.find()
        key = ring and providers.opened(ctx.company_id, row, ring)
    except (CannotOpen, CannotStart):
        key = None
    if key is None:
        # Outside `except`, so that nothing of the sealed key hangs on it.
        raise Unavailable(
            "The stored key of this account's model cannot be opened by this server.",
            code="stored_key_unreadable",
            retry_after=60,
        )
    return Secret(key)


@contextlib.asynccontextmanager
async def opened(ctx: Context, choice: ModelChoice) -> AsyncGenerator[LanguageModel]:
    """The model's client, closed afterwards. Its calls keep to the account's bounds."""
    # In a thread: the first use of a provider imports its client, which takes about a second.
    model = await asyncio.to_thread(ctx.service.open_model, choice)
    try:
        yield _Bounded(ctx, choice, model)
    finally:
        await model.close()


class Listed(msgspec.Struct, Generic[T], frozen=True):
    """What a model answered: the items of the one list that was asked for; its name, and the rung of the ladder."""

    items: list[T]
    model: str
    rung: str


async def ask(
    ctx: Context,
    choice: ModelChoice,
    kind: type[T],
    *,
    field: str,
    system: str,
    user: str,
    schema: dict[str, Any],
    schema_name: str,
) -> Listed[T]:
    """The items of the list `field` of the model's answer. No connection to the database is held while it thinks.

    Raises ProviderError, also where the answer does not have the form, or holds text that cannot be stored.
    """
    async with opened(ctx, choice) as model:
        completion = await model.complete(system=system, user=user, schema=schema, schema_name=schema_name)
        name = model.model
    try:
        texts.require_storable(completion.value)
        items = msgspec.convert(completion.value.get(field), list[kind])
    except (msgspec.ValidationError, BadRequest):
        raise ProviderError(choice.provider, "The model's answer does not have the form that was asked for.") from None
    return Listed(items, name, completion.rung)


def _of_request(ctx: Context, llm: LlmChoice) -> ModelChoice | None:
    if llm.provider == "extractive":
        return None
    require_base_url_allowed(ctx, llm.base_url, "llm")
    key = llm.api_key or llm.key
    return ModelChoice(
        provider=llm.provider,
        model=llm.model,
        api_key=Secret(key) if key else None,
        base_url=llm.base_url,
        extra=llm.extra or {},
    )


def _of_account(ctx: Context, row: ProviderRow) -> ModelChoice | None:
    if row.provider == "extractive":
        return None
    require_base_url_allowed(ctx, row.base_url, "/agent/provider")
    return ModelChoice(
        provider=row.provider,
        model=row.model,
        api_key=stored_key(ctx, row),
        base_url=row.base_url,
        extra=msgspec.json.decode(row.extra, type=dict[str, Any]) if row.extra else {},
    )


class _Bounded:
    """A LanguageModel whose calls take a turn of the breaker and a place of the account, all within one budget."""

    def __init__(self, ctx: Context, choice: ModelChoice, model: LanguageModel) -> None:
        self.provider = model.provider
        self.model = model.model
        self._model = model
        self._service = ctx.service
        self._account = ctx.company_id
        # The key is a part of it: what befalls one says nothing of another. As a hash: it is remembered.
        key = choice.api_key.reveal() if choice.api_key else ""
        self._line = hash((ctx.company_id, choice.provider, choice.base_url, key))

    async def complete(self, *, system: str, user: str, schema: dict[str, Any], schema_name: str) -> Completion:
        """See LanguageModel; ProviderError, too, when the provider is left alone or the account has too many calls."""

        def call() -> Awaitable[Completion]:
            return self._model.complete(system=system, user=user, schema=schema, schema_name=schema_name)

        try:
            with self._service.breaker.turn(self._line) as turn:
                outcome = await self._within_budget(call)
                if isinstance(outcome, ProviderError) and outcome.is_outage:
                    turn.failed(outcome.retry_after or 0)
                else:
                    turn.answered()
        except LeftAlone as alone:
            outcome = self._error("failed several times in a row and is left alone for now", alone.seconds)
        except Full:
            outcome = self._error(f"this account has {self._service.bulkhead.most} calls in flight already")
        if isinstance(outcome, ProviderError):
            raise outcome
        return outcome

    async def close(self) -> None:
        """Closes connections."""
        await self._model.close()

    async def _within_budget(self, call: Callable[[], Awaitable[Completion]]) -> Completion | ProviderError:
        """What the call came to, the wait for a place included. Raises `Full`."""
        seconds = self._service.settings.aurra_llm_budget_seconds
        try:
            async with (
                asyncio.timeout(seconds),
                self._service.bulkhead.place(self._account, seconds * WAIT_SHARE),
            ):
                return await call()
        except TimeoutError:
            return self._error(f"timed out after {seconds:g} s")
        except ProviderError as error:
            return error

    def _error(self, what: str, seconds: float = 1) -> ProviderError:
        return ProviderError(self.provider, f"{self.provider}: {what}", retry_after=math.ceil(seconds))
