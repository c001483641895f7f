"""The registry of operations: the one list that every face, the OpenAPI document and the SDKs come from."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, TypeVar

import msgspec

from aurra import keys
from aurra.context import Caller, Context
from aurra.errors import Forbidden
from aurra.types.common import Answer, Request

R = TypeVar("R", bound=Request)
A = TypeVar("A", bound=Answer)
MIB = 1024 * 1024


class Operation(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One thing the product does, and how it is reached."""

    name: str
    """`noun.verb`, as the SDKs call it."""
    method: Literal["GET", "POST", "PATCH", "DELETE"]
    path: str
    aliases: tuple[str, ...]
    scope: str
    request: type[Request]
    answer: type[Answer]
    run: Callable[[Context, Any], Awaitable[Answer]]
    ignores_unknown: bool
    """Unknown fields are ignored and named in `warnings` (published clients send more than they should)."""
    is_idempotent: bool
    """Takes an Idempotency-Key: the same request again gets the stored answer, and has no second effect."""
    keyless: str | None
    """Why an operation that is no GET takes none: one sentence."""
    keeps_ceiling: bool
    """Tells a key with a ceiling what was known up to its transaction, and nothing else; without it such a key is
    refused."""
    body_limit: int
    markdown: Callable[[Any], str] | None
    """The answer as a page to read, for those who accept `text/markdown`."""
    is_destructive: bool
    """Takes away what no later operation brings back."""
    command: str | None
    """How the command line knows it too, with the fields that need no name there: `remember {content}` is
    `memories add --content …`."""
    example: Mapping[str, Any]
    """Fields of a request to begin with; those of its path, which are what the caller has, are not among them."""

    @property
    def id(self) -> str:
        """`noun_verb`: the operation's id in OpenAPI and MCP."""
        return self.name.replace(".", "_")

    @property
    def noun(self) -> str:
        """What it is about: the first half of its name."""
        return self.name.partition(".")[0]

    @property
    def summary(self) -> str:
        """The first sentence of its docstring."""
        return (self.run.__doc__ or "").strip().split("\n")[0]

    @property
    def is_read_only(self) -> bool:
        """Whether it changes nothing of what is stored, but for the receipt of an answer."""
        return self.method == "GET" or self.keeps_ceiling

    @property
    def is_repeatable(self) -> bool:
        """Whether sending it twice is the same as sending it once: a read, or what its key makes so."""
        return self.is_idempotent or self.method == "GET" or self.scope in keys.BUNDLES["read_only"]

    @property
    def path_parameters(self) -> tuple[str, ...]:
        return tuple(re.findall(r"{(\w+)}", self.path))


OPERATIONS: dict[str, Operation] = {}


def operation(
    name: str,
    method: Literal["GET", "POST", "PATCH", "DELETE"],
    path: str,
    *,
    scope: str,
    aliases: tuple[str, ...] = (),
    ignores_unknown: bool = False,
    is_idempotent: bool = False,
    keeps_ceiling: bool = False,
    keyless: str | None = None,
    body_limit: int = MIB,
    markdown: Callable[[Any], str] | None = None,
    is_destructive: bool = False,
    command: str | None = None,
    example: Mapping[str, Any] | None = None,
) -> Callable[[Callable[[Context, R], Awaitable[A]]], Callable[[Context, R], Awaitable[A]]]:
    """Registers `async def verb(ctx: Context, request: SomeRequest) -> SomeAnswer`.

    Raises TypeError at import for a function without these annotations or docstring, for an undeclared scope, and for
    what is no GET and says neither `is_idempotent` nor, in `keyless`, why it takes no Idempotency-Key.
    """

    def register(run: Callable[[Context, R], Awaitable[A]]) -> Callable[[Context, R], Awaitable[A]]:
        annotations = run.__annotations__
        if scope not in keys.SCOPES or not run.__doc__ or not {"request", "return"} <= set(annotations):
            raise TypeError(f"operation {name} needs a known scope, a docstring and annotations")
        if (method == "GET") == (is_idempotent or keyless is not None) or (is_idempotent and keyless):
            raise TypeError(f"operation {name} takes an Idempotency-Key, or says in `keyless` why it takes none")
        OPERATIONS[name] = Operation(
            name=name,
            method=method,
            path=path,
            aliases=aliases,
            scope=scope,
            request=annotations["request"],
            answer=annotations["return"],
            run=run,
            ignores_unknown=ignores_unknown,
            is_idempotent=is_idempotent,
            keeps_ceiling=keeps_ceiling,
            keyless=keyless,
            body_limit=body_limit,
            markdown=markdown,
            is_destructive=is_destructive,
            command=command,
            example=example or {},
        )
        return run

    return register


async def call(ctx: Context, op: Operation, request: Request) -> Answer:
    """Runs an operation for a caller; every face goes through here. Raises Forbidden as `require_may` does."""
    require_may(ctx.caller, op)
    return await op.run(ctx, request)


def require_may(caller: Caller, op: Operation) -> None:
    """Returns when the caller may use an operation, and so may see what it shows.

    Raises Forbidden without its scope, and for a key with a ceiling where the operation does not keep it.
    """
    if caller.up_to is not None and not op.keeps_ceiling:
        raise Forbidden(
            f"This key may only read what was known up to transaction {caller.up_to}; `{op.name}` is not for it.",
            code="key_has_ceiling",
        )
    keys.require_scope(caller.scopes, op.scope)
