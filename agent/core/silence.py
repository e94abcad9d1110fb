"""How long nothing at all has come from the far end of an answered call, although it should: its other end is gone."""

from __future__ import annotations


class ReceiveWatch:
    """Fed with what a call has received so far, in any unit that grows; times in ms of the boot clock."""

    def __init__(self) -> None:
        self._received: int | None = None
        self._since_ms = 0

    def look(self, received: int, now: int, *, held: bool = False) -> int:
        """How long nothing has arrived; 0 while the call is `held` by either side, and where something has just come.

        A counter that starts anew with another stream has changed, which counts as an arrival.
        """
        if held:
            self._received = None
            return 0
        if received != self._received:
            self._received, self._since_ms = received, now
        return now - self._since_ms
