"""Leaving a provider alone that fails: it would only make callers wait, and be hindered from coming back.

A *line* is whose key is used, and where: what one line sees opens no other, so that nobody's failures are anybody
else's. In this process alone, and bounded.
"""

import time
from collections.abc import Callable, Hashable
from types import TracebackType
from typing import Self

import msgspec

FAILURES = 5
"""Outages in a row that open a line; each is a call with all its attempts."""

OPEN_SECONDS = 15.0

LONGEST_SECONDS = 120.0
"""That a line stays open because its provider asked for more than `OPEN_SECONDS`."""

LINES = 10_000
"""That are remembered; the longest unchanged are forgotten first."""

_TRIAL_SECONDS = 1.0
"""What callers are told to wait while one of them tries."""


class LeftAlone(Exception):
    """The line is open; `seconds` from now it is tried again."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"{seconds:g} s")
        self.seconds = seconds


class _State(msgspec.Struct):
    failures: int = 0
    open_until: float | None = None
    is_tried: bool = False


class Breaker:
    """All lines. Closed: calls go. After `FAILURES` in a row open: none goes. Then half open: one goes and decides."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """`now` gives seconds that never run backwards."""
        self._now = now
        self._states: dict[Hashable, _State] = {}

    def __len__(self) -> int:
        """Lines that are remembered: those whose last call failed."""
        return len(self._states)

    def turn(self, line: Hashable) -> "Turn":
        """A call's turn, to be entered. Raises `LeftAlone` while the line is open, or another call tries it."""
        state = self._states.get(line)
        if state is None or state.open_until is None:
            return Turn(self, line, is_trial=False)
        seconds = state.open_until - self._now()
        if seconds > 0 or state.is_tried:
            raise LeftAlone(max(seconds, _TRIAL_SECONDS))
        state.is_tried = True
        return Turn(self, line, is_trial=True)

    def close(self, line: Hashable) -> None:
        """Calls go again, as if none had failed."""
        self._states.pop(line, None)

    def count(self, line: Hashable, *, is_trial: bool, wait: float) -> None:
        """One outage more. A call that began before the line opened changes nothing any more."""
        state = self._states.pop(line, None) or _State()
        self._states[line] = state
        if len(self._states) > LINES:
            del self._states[next(iter(self._states))]
        if state.open_until is not None and not is_trial:
            return
        state.failures += 1
        state.is_tried = False
        if is_trial or state.failures >= FAILURES:
            state.open_until = self._now() + min(max(OPEN_SECONDS, wait), LONGEST_SECONDS)

    def give_back(self, line: Hashable) -> None:
        """The trial told nothing: the next call tries."""
        if state := self._states.get(line):
            state.is_tried = False


class Turn:
    """One call: `with` it, say how it went; saying nothing (cancelled, never sent) leaves the line as it was."""

    def __init__(self, breaker: Breaker, line: Hashable, *, is_trial: bool) -> None:
        self._breaker = breaker
        self._line = line
        self._is_trial = is_trial

    def answered(self) -> None:
        """The provider answered, well or badly."""
        self._breaker.close(self._line)
        self._is_trial = False

    def failed(self, wait: float) -> None:
        """The provider is away, or asks to be left alone for `wait` seconds."""
        self._breaker.count(self._line, is_trial=self._is_trial, wait=wait)
        self._is_trial = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_trial:
            self._breaker.give_back(self._line)
