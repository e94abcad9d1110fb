"""`*99*` and six digits: a technician proves to the agent, by a telephone of the house, that he is there.

The gateway does not know the code. It asks the agent, and the handset hears whether it was right. Nothing of it is
logged or kept, nobody is called, and no record is written.
"""

from __future__ import annotations

from typing import Final

from agent.core.announcement import Announcement
from agent.core.dialplan import unlock_code
from agent.core.line import Line
from agent.core.terms import Tone
from agent.gateway.daemon.actions import Publish
from agent.gateway.daemon.exchange import Exchange
from agent.gateway.protocol import UNLOCK_PATIENCE_MS, Unlock, Unlocked

_NOBODY: Final = (Tone.CONGESTION, Announcement.UNAVAILABLE)


class Unlocking:
    """Codes that have been dialled and wait for the agent's word, by line."""

    def __init__(self, exchange: Exchange) -> None:
        self._x = exchange
        self._asked: dict[int, int] = {}

    def deadline(self) -> int | None:
        """When `tick` wants to be called."""
        return min(self._asked.values(), default=None)

    def dialled(self, line: Line, code: str) -> None:
        """A code is whole; the `#` that some dial behind it is none of its digits."""
        x = self._x
        if line.index in self._asked:
            return
        x.log("info", "technician_code_dialled", line=line.index)
        if not x.agent_up:
            self._tell(line, *_NOBODY)
            return
        self._asked[line.index] = x.now + UNLOCK_PATIENCE_MS
        x.act(Publish(Unlock(line=line.index, code=unlock_code(code), at_ms=x.now)))

    def answered(self, order: Unlocked) -> None:
        """The agent's word; too late for a handset that does something else by now."""
        line = self._x.line(order.line)
        if line is None or self._asked.pop(order.line, None) is None:
            return
        if order.accepted:
            self._tell(line, Tone.CONFIRM, Announcement.CODE_ACCEPTED)
        else:
            self._tell(line, Tone.SPECIAL, Announcement.CODE_REFUSED)

    def tick(self) -> None:
        """Time has passed: forget who has hung up, and tell who has waited long enough."""
        for index, ends_ms in list(self._asked.items()):
            line = self._x.lines[index]
            if not unlock_code(line.digits):
                del self._asked[index]
            elif self._x.now >= ends_ms:
                del self._asked[index]
                self._tell(line, *_NOBODY)

    def _tell(self, line: Line, tone: Tone, announcement: Announcement) -> None:
        self._x.act(*line.reorder(tone, self._x.now, announcement))
