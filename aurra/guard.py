"""The guard that keeps everything outside the database out of its transactions."""

from contextvars import ContextVar, Token

_in_transaction: ContextVar[bool] = ContextVar("in_transaction", default=False)


class transaction_open:
    """While this is open, `outside()` raises here: a transaction must not wait for the network."""

    _token: Token[bool]

    def __enter__(self) -> None:
        self._token = _in_transaction.set(True)

    def __exit__(self, *_: object) -> None:
        _in_transaction.reset(self._token)


def outside() -> None:
    """Called by every provider before it leaves the process. Raises RuntimeError inside a transaction."""
    if _in_transaction.get():
        raise RuntimeError("a provider was called inside a database transaction")
