"""The names of the published client (`aurra` on PyPI), so that changing the import is the whole migration."""

from aurra_sdk import types
from aurra_sdk._sync.resources import Memories, Settings
from aurra_sdk.errors import (
    APIConnectionError,
    AuthenticationError,
    BadRequestError,
    LLMProviderError,
    NotFoundError,
    RateLimitError,
    ServerError,
)

__all__ = [
    "AddResult",
    "AurraAuthError",
    "AurraConnectionError",
    "AurraLLMProviderError",
    "AurraNotFoundError",
    "AurraRateLimitError",
    "AurraServerError",
    "AurraValidationError",
    "AutoSupersedeResult",
    "Citation",
    "Memories",
    "QueryResult",
    "Settings",
    "SettingsResult",
    "SupersedeResult",
    "SupersessionEvent",
    "TimelineEntry",
]

AurraAuthError = AuthenticationError
AurraConnectionError = APIConnectionError
AurraLLMProviderError = LLMProviderError
AurraNotFoundError = NotFoundError
AurraRateLimitError = RateLimitError
AurraServerError = ServerError
AurraValidationError = BadRequestError

AddResult = types.MemoryWritten
AutoSupersedeResult = types.AutoSupersede
Citation = types.Citation
QueryResult = types.Answered
SettingsResult = types.AgentSettings
SupersedeResult = types.Superseded
SupersessionEvent = types.Supersession
TimelineEntry = types.Memory
