"""Pairs of calls that no handset is in: they speak through the adapter as soon as both are answered, and end together.

A forwarded call and the one that was placed for it; the two whom a transfer has left together.
"""

from __future__ import annotations

from typing import Final

from agent.core.actions import Connect
from agent.core.call import Call
from agent.core.terms import Cause, Direction, Party
from agent.gateway.daemon.exchange import Exchange
from agent.gateway.daemon.second_calls import SecondCalls

_UNAVAILABLE: Final = 480


class Pairs:
    """Every pair there is."""

    def __init__(self, exchange: Exchange, second: SecondCalls) -> None:
        self._x = exchange
        self._second = second
        self._pairs: dict[str, str] = {}
        """Calls without a handset, each by the one it is for; one of them began the pair."""
        self._joined: set[str] = set()
        """Those pairs whose parties hear each other."""

    def holds(self, call_id: str) -> bool:
        """Whether the call is in a pair."""
        return call_id in self._pairs or call_id in self._pairs.values()

    def pair(self, first: Call, second: Call) -> None:
        """Two calls of no handset belong together from now on."""
        for call in (first, second):
            call.leave_lines()
        for _, one in self._second.all():
            if one.waiting == first.call_id:
                one.lose_waiting()
        self._pairs[first.call_id] = second.call_id

    def partner(self, call_id: str) -> Call | None:
        """The call that another is paired with."""
        other = self._pairs.get(call_id) or next((a for a, b in self._pairs.items() if b == call_id), "")
        return self._x.calls.get(other)

    def settle(self) -> None:
        """Calls have come and gone: bring every pair in step with those that are left."""
        for first, second in list(self._pairs.items()):
            self._settle(first, second)

    def _settle(self, first: str, second: str) -> None:
        x = self._x
        one, other = self._second.live(first), self._second.live(second)
        if one is None or other is None:
            del self._pairs[first]
            self._joined.discard(first)
            survivor = one or other
            gone = x.calls.get(second if survivor is one else first)
            if survivor is not None and not self._given_back(survivor, gone):
                self._end_alone(survivor, gone)
        elif first not in self._joined and one.answered_ms is not None and other.answered_ms is not None:
            self._joined.add(first)
            for call in (one, other):
                x.carry_out(call, call.hold(held=False))
            x.act(Connect((first, second)))

    def _given_back(self, call: Call, gone: Call | None) -> bool:
        """Whoever was to be connected with somebody that nobody could reach is the line's again, on hold."""
        line = self._x.line(call.line) if call.line is not None else None
        if line is None or call.answered_ms is None or gone is None or gone.answered_ms is not None:
            return False
        one, current = self._second.of(line), self._x.call_of(line)
        taken = current is not None and (current.emergency or not line.off_hook)
        if taken or one.held or one.waiting or one.transfer or self._x.stopping:
            return False
        call.come_back(line.index)
        one.held = call.call_id
        return True

    def _end_alone(self, call: Call, gone: Call | None) -> None:
        """The other one of a pair is over; the caller of a forwarded call is told what its target said."""
        code = gone.sip_code if gone is not None and gone.sip_code >= 400 else _UNAVAILABLE
        cause = Cause.NORMAL if call.answered_ms is not None else Cause.CANCELLED
        if call.direction is Direction.INCOMING and call.answered_ms is None:
            cause = gone.cause if gone is not None and gone.cause is not None else Cause.NO_ANSWER
        self._x.end(call, cause, Party.REMOTE, sip_code=code)
