"""What the parity test asks of a face: one class a face, one line in `test_parity.py`."""

from typing import Any, Protocol

import msgspec

from aurra.ops import Operation

Json = dict[str, Any]


class Told(msgspec.Struct, frozen=True):
    """What came back, without what is the face's own."""

    status: int
    """200, or the status of the problem, as REST has it."""
    body: Json
    """The answer's JSON with all of its fields; or the problem, of which at least `code`, `detail` and `hint`."""


class Face(Protocol):
    """A way to ask for an operation, as its users go it: over its own protocol, from outside."""

    async def ask(
        self, op: Operation, fields: Json, *, api_key: str | None, idempotency_key: str | None = None
    ) -> Told:
        """The answer to an operation with these fields, those of its path too, asked with the key, or with none."""
        ...
