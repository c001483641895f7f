"""The key's settings."""

import msgspec

from aurra.changes import Head
from aurra.context import Context
from aurra.errors import BadRequest
from aurra.ops import writing
from aurra.ops.committing import Decision
from aurra.ops.registry import operation
from aurra.store import accounts
from aurra.store.pool import Transaction
from aurra.types.accounts import AgentSettings, AgentSettingsChange, Nothing


@operation("settings.get", "GET", "/agent/settings", scope="memories:read", keeps_ceiling=True, ignores_unknown=True)
async def get_settings(ctx: Context, request: Nothing) -> AgentSettings:
    """This key's settings, defaults filled in."""
    async with ctx.database.read(ctx.company_id) as tx:
        return msgspec.json.decode(await accounts.read_settings(tx, ctx.caller.key_id), type=AgentSettings)


@operation(
    "settings.update",
    "PATCH",
    "/agent/settings",
    scope="memories:write",
    ignores_unknown=True,
    is_idempotent=True,
    example={"min_confidence": 0.9, "auto_supersede_default": True},
)
async def update_settings(ctx: Context, request: AgentSettingsChange) -> AgentSettings:
    """Changes what is given; `excluded_categories` is replaced whole.

    Takes effect at once in this process, within five seconds in others.
    """
    _require_range(request.min_confidence, "min_confidence", 0.85, 1.0)
    _require_range(request.freshness_half_life_days, "freshness_half_life_days", 1, 3650)
    change = {name: value for name in request.__struct_fields__ if (value := getattr(request, name)) is not None}

    async def decide(tx: Transaction, head: Head) -> Decision:
        merged = await accounts.change_settings(tx, ctx.caller.key_id, msgspec.json.encode(change).decode())
        answer = msgspec.json.decode(merged, type=AgentSettings)
        return writing.beside_the_ledger(ctx, lambda _: answer)

    # Settings are the key's own: with another key, the same request changes something else.
    print_ = writing.fingerprint(ctx, "settings.update", request, ctx.caller.key_id)
    answer = await writing.once_alone(ctx, print_, AgentSettings, decide)
    ctx.service.callers.forget(ctx.caller.key_id)
    return answer


def _require_range(value: float | None, name: str, low: float, high: float) -> None:
    if value is not None and not low <= value <= high:
        raise BadRequest(
            f"`{name}` must lie in {low}…{high}; it is {value}.",
            code="validation_failed",
            param=name,
            extra={"status": "error", "error": "validation failed"},
        )
