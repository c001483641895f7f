"""Client library for Aurra: `Aurra` and `AsyncAurra`; typed answers in `types`, what can go wrong in `errors`."""

from aurra_sdk import errors, types
from aurra_sdk._async.client import AsyncAurra
from aurra_sdk._operation import RawResponse
from aurra_sdk._sync.client import Aurra
from aurra_sdk._version import __version__
from aurra_sdk.errors import (
    APIConnectionError,
    APITimeoutError,
    AurraError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    LLMProviderError,
    NotFoundError,
    PermissionDeniedError,
    PlanLimitError,
    RateLimitError,
    ServerError,
    UnexpectedAnswerError,
    UnprocessableError,
)

__all__ = [
    "APIConnectionError",
    "APITimeoutError",
    "AsyncAurra",
    "Aurra",
    "AurraError",
    "AuthenticationError",
    "BadRequestError",
    "ConflictError",
    "LLMProviderError",
    "NotFoundError",
    "PermissionDeniedError",
    "PlanLimitError",
    "RateLimitError",
    "RawResponse",
    "ServerError",
    "UnexpectedAnswerError",
    "UnprocessableError",
    "__version__",
    "errors",
    "types",
]
