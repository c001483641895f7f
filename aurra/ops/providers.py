"""The account's own model, used where a request brings none; its key is sealed, and bound to its address."""

import datetime as dt
from typing import Any

import msgspec
from msgspec import UNSET

from aurra import instants
from aurra.changes import Head
from aurra.context import Context
from aurra.errors import BadRequest
from aurra.ops import checks, models, writing
from aurra.ops.committing import Decision
from aurra.ops.registry import operation
from aurra.providers import llm
from aurra.providers.base import ModelChoice, Secret
from aurra.sealing import KeyRing
from aurra.store import providers
from aurra.store.pool import Transaction
from aurra.store.providers import ProviderRow
from aurra.types.accounts import Nothing
from aurra.types.providers import ProviderChange, ProviderSettings

LONGEST_EXTRA = 16_384
"""Bytes of `extra` as JSON."""

LONGEST_KEY = 4096

_TELLING = 12
"""Characters from which on a key's last four give nothing away."""


@operation("provider.get", "GET", "/agent/provider", scope="keys:manage")
async def get_provider(ctx: Context, request: Nothing) -> ProviderSettings:
    """The model that this account uses where a request brings none; all null where none is set."""
    _require_whole_account(ctx)
    async with ctx.database.read(ctx.company_id) as tx:
        return _shown(await providers.find(tx))


@operation(
    "provider.update",
    "PATCH",
    "/agent/provider",
    scope="keys:manage",
    is_idempotent=True,
    example={"provider": "ollama", "model": "llama3.2"},
)
async def update_provider(ctx: Context, request: ProviderChange) -> ProviderSettings:
    """Sets or changes the account's model. Its key is stored encrypted, and sent only to the address given with it.

    Takes effect at once in this process, within five seconds in others. Nothing is sent to the provider.
    """
    _require_whole_account(ctx)
    _check_sizes(request)
    ring = ctx.service.secret_keys.get() if request.api_key else ctx.service.secret_keys.find()

    async def decide(tx: Transaction, head: Head) -> Decision:
        row = _row(ctx, ring, _changed(ctx, await providers.lock(tx), request), head.at)
        await providers.put(tx, row)
        return writing.beside_the_ledger(ctx, lambda _: _shown(row))

    # Under the ring's first key: the digest of a key that could be guessed must not stand in the database.
    key = request.api_key
    told = "kept" if key is UNSET else ring.digest(key) if key and ring else "none"
    print_ = writing.fingerprint(ctx, "provider.update", request, told)
    answer = await writing.once_alone(ctx, print_, ProviderSettings, decide)
    ctx.service.stored_models.forget(ctx.company_id)
    return answer


@operation("provider.delete", "DELETE", "/agent/provider", scope="keys:manage", is_idempotent=True, is_destructive=True)
async def delete_provider(ctx: Context, request: Nothing) -> ProviderSettings:
    """Forgets the account's model and its key; from now on the server's default is used."""
    _require_whole_account(ctx)

    async def decide(tx: Transaction, head: Head) -> Decision:
        await providers.remove(tx)
        return writing.beside_the_ledger(ctx, lambda _: ProviderSettings())

    print_ = writing.fingerprint(ctx, "provider.delete", request)
    answer = await writing.once_alone(ctx, print_, ProviderSettings, decide)
    ctx.service.stored_models.forget(ctx.company_id)
    return answer


def _row(ctx: Context, ring: KeyRing | None, choice: ModelChoice, at: dt.datetime) -> ProviderRow:
    """The choice as it is stored, its key sealed. Raises BadRequest for one that cannot be used."""
    _check(ctx, choice)
    key = choice.api_key.reveal() if choice.api_key else None
    bound_to = providers.bound_to(ctx.company_id, choice.provider, choice.base_url)
    sealed = ring.seal(key, bound_to) if key and ring else None
    return ProviderRow(
        provider=choice.provider,
        model=choice.model,
        base_url=choice.base_url,
        extra=msgspec.json.encode(choice.extra).decode() if choice.extra else None,
        sealed_key=sealed and sealed.value,
        sealed_by=sealed and sealed.by,
        last_four=key[-4:] if key and len(key) >= _TELLING else None,
        changed_at=at,
    )


def _require_whole_account(ctx: Context) -> None:
    """Whoever sets the model reads all that is asked and told in the account; a tenant's key must not."""
    checks.require_whole_account(ctx, "the model is")


def _check_sizes(request: ProviderChange) -> None:
    for param in ("provider", "model"):
        checks.short(getattr(request, param), param)
    if isinstance(request.base_url, str):
        checks.short(request.base_url, "base_url")
    if isinstance(request.api_key, str) and len(request.api_key) > LONGEST_KEY:
        raise BadRequest("`api_key` is too long.", code="out_of_range", param="api_key")
    if isinstance(request.extra, dict) and len(msgspec.json.encode(request.extra)) > LONGEST_EXTRA:
        raise BadRequest(f"`extra` is over {LONGEST_EXTRA} bytes.", code="out_of_range", param="extra")


def _changed(ctx: Context, kept: ProviderRow | None, request: ProviderChange) -> ModelChoice:
    """The model as it shall be. Raises Unavailable where the kept key is needed and cannot be opened."""
    if kept is None or (request.provider or kept.provider) != kept.provider:
        kept = None
    base_url = _given(request.base_url, kept and kept.base_url) or None
    old_extra: dict[str, Any] = msgspec.json.decode(kept.extra) if kept and kept.extra else {}
    return ModelChoice(
        provider=request.provider or (kept.provider if kept else ""),
        model=request.model or (kept.model if kept else ""),
        base_url=base_url,
        extra=_given(request.extra, old_extra) or {},
        api_key=_key(ctx, kept, request, base_url),
    )


def _key(ctx: Context, kept: ProviderRow | None, request: ProviderChange, base_url: str | None) -> Secret | None:
    if request.api_key is not UNSET:
        return Secret(request.api_key) if request.api_key else None
    if kept is None or kept.sealed is None:
        return None
    if kept.base_url != base_url:
        raise BadRequest(
            "The stored key belongs to the address it was given with: send `api_key` with another `base_url`.",
            code="bad_provider",
            param="api_key",
        )
    return models.stored_key(ctx, kept)


def _check(ctx: Context, choice: ModelChoice) -> None:
    if not choice.provider:
        raise BadRequest("No model is set: send `provider`.", code="bad_provider", param="provider")
    if choice.provider != "extractive":
        models.require_base_url_allowed(ctx, choice.base_url, "/agent/provider")
        llm.check(choice, prefix="")
    elif choice.model or choice.base_url or choice.extra or choice.api_key:
        raise BadRequest("`extractive` takes nothing else.", code="bad_provider", param="provider")


def _given(value: Any, kept: Any) -> Any:
    return kept if value is UNSET else value


def _shown(row: ProviderRow | None) -> ProviderSettings:
    if row is None:
        return ProviderSettings()
    return ProviderSettings(
        provider=row.provider,
        model=row.model or None,
        base_url=row.base_url,
        extra=msgspec.json.decode(row.extra) if row.extra else None,
        last_four=row.last_four,
        changed_at=instants.show(row.changed_at),
    )
