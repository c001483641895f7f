"""Rules between fields, and ranges: what a type cannot say. Each raises an error that names the field."""

from uuid import UUID

from aurra import texts
from aurra.context import Context
from aurra.errors import BadRequest, Forbidden, NotFound, Unprocessable
from aurra.planning.changing import erased_by
from aurra.store import memories
from aurra.store.pool import Transaction

MOST_RESULTS = 1000
IMPORTANCE = {"low": 2, "medium": 5, "high": 8}


def clamp(limit: int | None, default: int) -> int:
    """A limit inside 1…1000, never refused."""
    return default if limit is None else max(1, min(MOST_RESULTS, limit))


def require_whole_account(ctx: Context, what: str) -> None:
    """Returns when the key sees every tenant; raises Forbidden for what is not for one of them alone to see or set."""
    if ctx.caller.tenant_id is not None:
        raise Forbidden(f"This key is pinned to a tenant; {what} the whole account's.")


def choice(value: str | None, allowed: tuple[str, ...], param: str) -> None:
    """Returns when the value is absent or one of those allowed."""
    if value is not None and value not in allowed:
        raise BadRequest(f"`{param}` must be one of {', '.join(allowed)}.", code="out_of_range", param=param)


def short(value: str | None, param: str) -> None:
    """Returns when a name fits an index entry."""
    if value is not None and len(value.encode()) > texts.LONGEST_NAME:
        raise BadRequest(
            f"`{param}` must be at most {texts.LONGEST_NAME} bytes long.", code="out_of_range", param=param
        )


def name(value: str | None, param: str) -> str | None:
    """A name that is not empty, or None."""
    short(value, param)
    if value is not None and not value.strip():
        raise BadRequest(f"`{param}` must not be empty; leave it out instead.", param=param)
    return value


def importance(score: int | None, word: str | None) -> int:
    """1…10: the score, else the legacy word, else 5."""
    if score is not None:
        if not 1 <= score <= 10:
            raise BadRequest("`importance_score` must lie in 1…10.", code="out_of_range", param="importance_score")
        return score
    choice(word, tuple(IMPORTANCE), "importance")
    return IMPORTANCE[word] if word else 5


def is_storable(text: str) -> bool:
    """Whether a text can be stored at all; one that cannot is the name of nothing."""
    try:
        texts.require_storable(text)
    except BadRequest:
        return False
    return True


def missing(what: str = "memory") -> NotFound:
    """The one 404: the same for what never was, for another account's, and for another tenant's."""
    return NotFound(f"There is no such {what}.")


def parse_id(text: str, what: str = "memory") -> UUID:
    """An id in a path. Text that is no UUID is the id of nothing: the same 404."""
    try:
        return UUID(text)
    except ValueError:
        raise missing(what) from None


def parse_number(number: int | str) -> int:
    """A transaction's number in a path. What is no number is the number of nothing: the same 404."""
    text = str(number)
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise missing("transaction")
    return int(text)


async def get_identity(ctx: Context, tx: Transaction, memory_id: UUID) -> memories.Identity:
    """The memory, if this key sees it; else the one 404, or that of what was erased."""
    identity = await memories.find_identity(tx, memory_id)
    if identity is None:
        erased = await memories.find_erased(tx, memory_id)
        if erased and ctx.sees(erased.tenant):
            raise erased_by(erased.number)
    if identity is None or not ctx.sees(identity.tenant_id):
        raise missing()
    return identity


def parse_uuid(text: str, param: str) -> UUID:
    """A UUID in a body. Raises Unprocessable for text that is none."""
    try:
        return UUID(text)
    except ValueError:
        raise Unprocessable(f"`{param}` must be a UUID.", param=param) from None
