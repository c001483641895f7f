"""Settings, the plan and the service itself on the wire."""

from typing import Annotated

import msgspec
from msgspec import Meta

from aurra.types.common import Answer, Instant, Request


class Nothing(Request, kw_only=True):
    """No parameters."""


class AgentSettings(Answer, kw_only=True):
    """How this key's agent works; one flat object."""

    auto_supersede_default: Annotated[
        bool, Meta(description="Whether a new memory supersedes what it replaces without being asked to.")
    ] = False
    excluded_categories: Annotated[list[str], Meta(description="Never superseded automatically.")] = msgspec.field(
        default_factory=lambda: ["health_medical", "legal_status"]
    )
    min_confidence: Annotated[float, Meta(description="0.85…1.0.")] = 0.85
    classifier_model: Annotated[
        str | None, Meta(description="The model for automatic supersession; null is the default one.")
    ] = None
    freshness_half_life_days: Annotated[float, Meta(description="1…3650.")] = 30.0
    review_queue: Annotated[
        bool, Meta(description="Whether supersessions that are not sure, or not trusted enough, wait for a person.")
    ] = False


class AgentSettingsChange(Request, kw_only=True):
    """What to change; what is absent stays. `excluded_categories` is replaced whole."""

    auto_supersede_default: Annotated[
        bool | None, Meta(description="Supersede what a new memory replaces, without being asked.")
    ] = None
    excluded_categories: Annotated[list[str] | None, Meta(description="Never superseded automatically.")] = None
    min_confidence: Annotated[
        float | None, Meta(description="0.85…1.0.", extra_json_schema={"minimum": 0.85, "maximum": 1.0})
    ] = None
    classifier_model: Annotated[str | None, Meta(description="Model for automatic supersession.")] = None
    freshness_half_life_days: Annotated[
        float | None, Meta(description="1…3650.", extra_json_schema={"minimum": 1, "maximum": 3650})
    ] = None
    review_queue: Annotated[
        bool | None, Meta(description="Keep what is not sure, or not trusted enough, for GET /agent/reviews.")
    ] = None


class PlanStatus(Answer, kw_only=True):
    """The plan and its meter."""

    plan_tier: Annotated[str, Meta(description="The plan's name.")]
    writes_used: Annotated[int, Meta(description="Memories stored in the calendar month.")]
    writes_limit: Annotated[int, Meta(description="Writes a month; 9007199254740991 is unlimited.")]
    writes_remaining: Annotated[int, Meta(description="Writes up to the limit; never below 0.")]
    in_grace_period: Annotated[bool, Meta(description="Whether the limit is reached and writes go on.")]
    blocked: Annotated[bool, Meta(description="Whether writes are refused (402); reads never are.")]
    period_start: Instant
    period_end: Instant
    grace_ends_at: Instant | None
