"""The plan, asked and shown."""

import msgspec

from aurra import instants, plans
from aurra.changes import Changes, Head
from aurra.errors import PlanLimitExceeded
from aurra.types.accounts import PlanStatus


def admit(head: Head, changes: Changes | None) -> plans.Allowed | plans.InGrace:
    """The plan's verdict on what would be written. Raises PlanLimitExceeded."""
    cost = len(changes.memories) if changes else 0
    match plans.admit(head.writes_limit, head.meter, cost, head.at):
        case plans.Blocked():
            raise plan_exceeded(head, cost)
        case verdict:
            return verdict


def plan_status(head: Head) -> PlanStatus:
    """The plan and its meter at the head's instant."""
    state = plans.state(head.writes_limit, head.meter, head.at)
    return PlanStatus(
        plan_tier=head.plan,
        writes_used=state.meter.writes_used,
        writes_limit=state.writes_limit,
        writes_remaining=state.writes_remaining,
        in_grace_period=state.in_grace_period,
        blocked=state.blocked,
        period_start=instants.show(state.meter.period_start),
        period_end=instants.show(state.period_end),
        grace_ends_at=instants.show_optional(state.grace_ends_at),
    )


def plan_exceeded(head: Head, cost: int) -> PlanLimitExceeded:
    """The 402, with the fields of /plan/status."""
    fields = msgspec.to_builtins(plan_status(head))
    del fields["warnings"]
    state = plans.state(head.writes_limit, head.meter, head.at)
    left = 0 if state.blocked else state.hard_limit - state.meter.writes_used
    message = (
        f"The plan {head.plan} allows {head.writes_limit} writes a month; this request makes {cost}, and {left} are "
        f"left. Reads still work; the next period begins at {fields['period_end']}."
    )
    return PlanLimitExceeded({"error": "plan_limit_exceeded", "message": message, **fields})
