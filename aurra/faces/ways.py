"""What a way to the operations is, and how it fails: the same at a service's address and in this very process."""

from typing import Any, Protocol

import msgspec

Json = dict[str, Any]
SECONDS = 60.0
"""How long an answer may take."""


class Refused(Exception):
    """The service refused: its problem, as the contract has it (`detail`, `status`, `code`, `hint`, …)."""

    def __init__(self, status: int, problem: Json) -> None:
        super().__init__(f"{status} {problem.get('code')}")
        self.status = status
        self.problem = problem


class Unreachable(Exception):
    """Nothing answers there, or what answers is no Aurra."""


class Endpoint(Protocol):
    """What a way to the operations needs to know of one; the registry's `Operation` is such."""

    @property
    def name(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def path_parameters(self) -> tuple[str, ...]: ...
    @property
    def is_idempotent(self) -> bool: ...
    @property
    def is_read_only(self) -> bool: ...


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, and what is told beside it."""

    answer: Json
    """Empty where it came as a page."""
    page: str | None = None
    """Markdown, where that was asked for and the operation has it."""
    plan_warning: str | None = None
    replayed: bool = False
    """It is the stored one of an earlier request under the same key."""


class Reach(Protocol):
    """A way to the operations."""

    async def ask(self, op: Endpoint, arguments: Json, idempotency_key: str | None = None) -> Json:
        """The answer to an operation with all of its fields, those of its path too. Raises Refused or Unreachable."""
        ...

    async def reply(
        self, op: Endpoint, arguments: Json, idempotency_key: str | None = None, *, as_page: bool = False
    ) -> Reply:
        """The same, with what is told beside it; as a page of Markdown where that is wanted and to be had."""
        ...
