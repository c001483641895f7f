"""aurra_sdk/codes.py: every code of the service's table, and an error class for each."""

from collections.abc import Mapping

from generator.texts import docstring

STATUSES = {
    400: "BadRequestError",
    401: "AuthenticationError",
    402: "PlanLimitError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    409: "ConflictError",
    422: "UnprocessableError",
    429: "RateLimitError",
}
"""The class of a status; 5xx is a ServerError, and any other an AurraError."""
_HEADER = '''"""Every code that an error of the service can have: as a type, and as a class to catch.

`except MemoryErasedError` is `except NotFoundError` with `error.code == "memory_erased"`.
"""

from typing import Literal, TypeAlias

from aurra_sdk import errors
'''


def codes_module(codes: Mapping[str, tuple[int, str]]) -> str:
    """The source of codes.py."""
    names = {code: _name(code, status) for code, (status, _) in codes.items()}
    classes = [_class(names[code], code, *codes[code]) for code in codes if not names[code].startswith("errors.")]
    shown = sorted([*(name for name in names.values() if not name.startswith("errors.")), "ErrorCode"])
    literal = ", ".join(repr(code) for code in codes)
    statuses = ", ".join(f"{status}: errors.{name}" for status, name in STATUSES.items())
    by_code = ", ".join(f"{code!r}: {name}" for code, name in names.items())
    return "\n\n".join(
        [
            f"{_HEADER}\n__all__ = {shown!r}",
            f'ErrorCode: TypeAlias = Literal[{literal}]\n"""A newer service may have more."""',
            *classes,
            f"BY_STATUS: dict[int, type[errors.AurraError]] = {{{statuses}}}",
            f"BY_CODE: dict[str, type[errors.AurraError]] = {{{by_code}}}",
        ]
    )


def _name(code: str, status: int) -> str:
    """What the code's class is called; a class of its own only where its status has none of that name."""
    name = "".join(part.title() for part in code.removesuffix("_error").split("_")) + "Error"
    base = _base(code, status)
    return base if name.lower() == base.removeprefix("errors.").lower() else name


def _base(code: str, status: int) -> str:
    if code.startswith("llm_provider_"):
        return "errors.LLMProviderError"
    return f"errors.{STATUSES.get(status, 'ServerError' if status >= 500 else 'AurraError')}"


def _class(name: str, code: str, status: int, hint: str) -> str:
    return f"class {name}({_base(code, status)}):\n{docstring(f'{status} `{code}`: {hint}', 4)}"
