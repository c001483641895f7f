"""The guard that keeps everything outside the database out of its transactions."""

import contextlib
from collections.abc import Generator
from contextvars import ContextVar

_in_transaction: ContextVar[bool] = ContextVar("in_transaction", default=False)


@contextlib.contextmanager
def transaction_open() -> Generator[None]:
    """While this is open, `outside()` raises: a transaction must not wait for the network."""
    token = _in_transaction.set(True)
    try:
        yield
    finally:
        _in_transaction.reset(token)


def outside() -> None:
    """Called by every provider before it leaves the process. Raises RuntimeError inside a transaction."""
    if _in_transaction.get():
        raise RuntimeError("a provider was called inside a database transaction")
