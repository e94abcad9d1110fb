"""Who has called for help, and may be called back: nothing that a user has set turns that call away.

The memory outlives the process that heard the call: an emergency centre calls back whatever has crashed meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

MAX_CALLBACK_S: Final = 3600
"""No configuration waits longer."""
Helped = Mapping[int, int | None]
"""By line, when its last emergency call ended, in ms of the boot clock; None: it goes on."""


def after_restart(kept: Helped, now: int, longest_ms: int, *, cold: bool) -> dict[int, int]:
    """When each call is taken to have ended, by a process that begins at `now` and knows what one before it kept.

    A call that went on then has ended by now. After another boot (`cold`) nobody knows how long ago it was: what was
    kept had not expired, so that it counts as now. What is older than `longest_ms` has expired.
    """
    ends = {line: now if cold or ended_ms is None else ended_ms for line, ended_ms in kept.items()}
    return {line: ended_ms for line, ended_ms in ends.items() if now - longest_ms < ended_ms <= now}


class Callbacks:
    """The emergency calls of each line, as far as a callback may still come. Times in ms of the boot clock."""

    def __init__(self, ended: Mapping[int, int]) -> None:
        self._ended = dict(ended)
        self._going: set[int] = set()

    def began(self, line: int) -> None:
        """An emergency call has begun."""
        self._going.add(line)

    def ended(self, line: int, now: int) -> None:
        """It is over."""
        self._going.discard(line)
        self._ended[line] = now

    def awaits(self, line: int, now: int, wait_ms: int) -> bool:
        """Whether the line may be about to be called back."""
        ended_ms = self._ended.get(line)
        return ended_ms is not None and now < ended_ms + wait_ms

    def expire(self, now: int, wait_ms: int) -> None:
        """Forget what lies too far back."""
        self._ended = {line: ended_ms for line, ended_ms in self._ended.items() if now < ended_ms + wait_ms}

    def kept(self) -> dict[int, int | None]:
        """What a process after this one has to know."""
        return {**self._ended, **dict.fromkeys(self._going)}
