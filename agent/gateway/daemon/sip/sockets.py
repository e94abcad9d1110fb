"""How many media sockets the library has open: it aborts when it wants a 65th, so arrivals have to wait before that."""

from __future__ import annotations

from collections import deque

_PER_CALL = 2
"""RTP and RTCP."""
_MOST = 60
"""Of PJ_IOQUEUE_MAX_HANDLES, 64 as every known package compiles it."""
_MOST_FOR_OTHERS = 56
"""The rest is for calls of our own."""
_CLOSING_MS = 550
"""PJ_IOQUEUE_KEY_FREE_DELAY, and how late the library may look."""


class MediaSockets:
    """Counts the sockets of calls that go on and of those that have just ended, which the library still holds."""

    def __init__(self) -> None:
        self._ended: deque[int] = deque()

    def ended(self, now: int) -> None:
        """A call has ended."""
        self._ended.append(now)

    def wait_ms(self, live: int, now: int, *, ours: bool = False) -> int:
        """How long must pass with `live` calls before another may come, or this one of `ours` may begin; 0: none.

        Whoever sends INVITE and CANCEL in turn has the library open and close sockets without asking us, dozens in one
        poll; only waiting in the callback holds it back. Speech has a thread of its own and goes on meanwhile.
        """
        while self._ended and self._ended[0] + _CLOSING_MS <= now:
            self._ended.popleft()
        most = _MOST if ours else _MOST_FOR_OTHERS
        too_many = live + len(self._ended) - most // _PER_CALL
        if too_many <= 0 or not self._ended:
            return 0
        return self._ended[min(too_many, len(self._ended)) - 1] + _CLOSING_MS - now
