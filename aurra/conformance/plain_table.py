"""What a slot says on each day, kept in the plainest way: one cell a day. The last day stands for the end of time."""

import random

from aurra.conformance.client import Json
from aurra.conformance.tenant import covers, day

DAYS = 12


class PlainTable:
    """Asserts applied to cells."""

    def __init__(self) -> None:
        self.cells: list[str | None] = [None] * (DAYS + 1)

    def assert_(self, value: str, start: int, end: int | None) -> None:
        """With an end: all of [start, end). Open: every day from `start` on that nothing starting later holds."""
        before = list(self.cells)
        for cell in range(start, DAYS + 1 if end is None else end):
            holder = before[cell]
            if end is not None or holder is None or before.index(holder) <= start:
                self.cells[cell] = value


def read(pieces: list[Json]) -> list[str | None]:
    """The cells as the pieces of a slot have them."""
    return [
        next((piece["decision"] for piece in pieces if covers(piece, day(cell + 0.5))), None)
        for cell in range(DAYS + 1)
    ]


def seeded(number: int) -> random.Random:
    """Chance that is the same in each play."""
    return random.Random(number)  # noqa: S311 - no secret


def random_interval(chance: random.Random) -> tuple[int, int | None]:
    """A start, and an end or none."""
    start = chance.randrange(DAYS)
    return start, chance.choice([None, min(start + 1 + chance.randrange(5), DAYS)])
