"""The code by which somebody at a telephone of the house shows that he is there: six digits from the status page.

Whoever reads the page and dials `*99*` and the code on a handset is in the house twice, in its network and at its
telephone. The code changes after each use and every ten minutes; guessing is worth nobody's while.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable
from hmac import compare_digest
from typing import Final

CODE_LIFE_MS: Final = 10 * 60_000
MAX_WRONG: Final = 5
WRONG_WINDOW_MS: Final = 15 * 60_000
"""After `MAX_WRONG` wrong codes in so long even the right one is refused, until the oldest of them is as old."""
UNLOCKED_MS: Final = 60 * 60_000
"""How long a technician's session may last without another code."""
CODES: Final = 1_000_000


class CodeVerdict(enum.StrEnum):
    """What became of a dialled code."""

    ACCEPTED = "accepted"
    WRONG = "wrong"
    LOCKED = "locked"


class UnlockDesk:
    """The current code and who has got past it. `draw` gives unpredictable numbers 0 ≤ n < `CODES`.

    Times are milliseconds of a clock that never goes back.
    """

    def __init__(self, draw: Callable[[], int]) -> None:
        self._draw = draw
        self._code = ""
        self._code_ends_ms = 0
        self._wrong: deque[int] = deque(maxlen=MAX_WRONG)
        self._unlocked_until_ms: int | None = None

    def code(self, now_ms: int) -> tuple[str, int]:
        """The six digits to show, and until when they hold."""
        if not self._code or now_ms >= self._code_ends_ms:
            self._renew(now_ms)
        return self._code, self._code_ends_ms

    def dialled(self, code: str, now_ms: int) -> CodeVerdict:
        """Somebody has dialled a code."""
        current, _ = self.code(now_ms)
        # Compared before anything else, so that the time it takes tells nothing.
        right = compare_digest(current.encode(), code.encode())
        if self.locked_until(now_ms) is not None:
            return CodeVerdict.LOCKED
        if not right:
            self._wrong.append(now_ms)
            return CodeVerdict.WRONG
        self._wrong.clear()
        self._renew(now_ms)
        self._unlocked_until_ms = now_ms + UNLOCKED_MS
        return CodeVerdict.ACCEPTED

    def unlocked_until(self, now_ms: int) -> int | None:
        """When the technician's session ends; None: there is none."""
        until_ms = self._unlocked_until_ms
        return until_ms if until_ms is not None and now_ms < until_ms else None

    def locked_until(self, now_ms: int) -> int | None:
        """Until when every code is refused; None: a right one is accepted."""
        if len(self._wrong) < MAX_WRONG:
            return None
        until_ms = self._wrong[0] + WRONG_WINDOW_MS
        return until_ms if now_ms < until_ms else None

    def lock(self) -> None:
        """End the technician's session."""
        self._unlocked_until_ms = None

    def _renew(self, now_ms: int) -> None:
        """Another code; the same again would let a watcher of the last one in."""
        before = self._code
        while self._code == before:
            self._code = f"{self._draw() % CODES:06d}"
        self._code_ends_ms = now_ms + CODE_LIFE_MS
