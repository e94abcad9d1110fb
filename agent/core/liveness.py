"""Whether the way to a target is alive in both directions: OPTIONS that are answered, at a pace of our own.

A keep-alive that nobody answers (RFC 5626 §3.5.1 over UDP) keeps a router's mapping and notices nothing. A server that
has never answered an OPTIONS is not judged by them: some pass them over, and there the refresh of the binding must do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

LOSSES: Final = 3
"""Unanswered OPTIONS in a row that mean that the way is dead."""
AGAIN_MS: Final = 2_000
"""After an unanswered one the next comes this soon."""
ANSWER_TIMEOUT_MS: Final = 20_000
"""One whose end is never reported counts as unanswered."""


class Liveness:
    """The way of one registration. `period_ms` 0: it is never asked."""

    def __init__(self, period_ms: int, uniform: Callable[[], float]) -> None:
        self._period_ms = period_ms
        self._uniform = uniform
        self._due_ms: int | None = None
        self._ends_ms: int | None = None
        self._unanswered = 0
        self._proven = False
        self.answered_ms: int | None = None
        """When an OPTIONS was answered last."""

    @property
    def next_ms(self) -> int | None:
        """When `due` or `tick` wants to be called; None: not before `start`."""
        return self._due_ms if self._ends_ms is None else self._ends_ms

    def start(self, now: int) -> None:
        """The way is in use: a registrar has just accepted us through it."""
        self._unanswered = 0
        if self._period_ms and self._ends_ms is None:
            self._due_ms = self._later(now)

    def stop(self) -> None:
        """The way is not in use, or has changed: what was learnt of it says nothing any more."""
        self._due_ms = self._ends_ms = None
        self._unanswered, self._proven = 0, False

    def due(self, now: int) -> bool:
        """Whether an OPTIONS is to go out now; it then counts as sent."""
        if self._due_ms is None or now < self._due_ms:
            return False
        self._due_ms, self._ends_ms = None, now + ANSWER_TIMEOUT_MS
        return True

    def heard(self, now: int, *, alive: bool) -> bool:
        """The OPTIONS was answered, or not; true: the way is dead."""
        if self._ends_ms is None:
            return False
        self._ends_ms = None
        if alive:
            self.answered_ms, self._proven, self._unanswered = now, True, 0
            self._due_ms = self._later(now)
            return False
        self._unanswered += 1
        if not self._proven or self._unanswered < LOSSES:
            self._due_ms = now + AGAIN_MS if self._proven else self._later(now)
            return False
        self._unanswered = 0
        self._due_ms = self._later(now)
        return True

    def tick(self, now: int) -> bool:
        """Time has passed; true: the way is dead."""
        return self._ends_ms is not None and now >= self._ends_ms and self.heard(now, alive=False)

    def _later(self, now: int) -> int:
        return now + int(self._period_ms * (0.8 + 0.2 * self._uniform()))
