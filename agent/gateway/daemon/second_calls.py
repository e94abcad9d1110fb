"""The second call of each line, beside the one that its handset is in: who is on hold or waits, and what R is about.

A line has at most two calls (`Line.call_id`, and one here). What is done with them is decided in `features`,
`call_waiting`, `transfers` and `pairs`, which share this.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from agent.core.actions import Connect
from agent.core.call import Call
from agent.core.line import Line
from agent.core.services import Service
from agent.core.terms import Cause, Party, Tone
from agent.gateway.daemon.exchange import Exchange

BURST_MS: Final = 1_000
"""A tone that is heard in a conversation, where the operator's tones do not say for how long."""
_UNAVAILABLE: Final = 480


class Beside(Struct):
    """What a line has beside the call of its handset. Ids of calls; empty: none."""

    held: str = ""
    waiting: str = ""
    conference: bool = False
    """Whether the held one takes part in the conversation."""
    command_ends_ms: int | None = None
    typed: str = ""
    heard: Tone | None = None
    """What the handset heard before R asked for a digit."""
    trail: str = ""
    trail_ends_ms: int = 0
    """Digits since a command that may have been the beginning of an emergency number."""
    burst_ms: int | None = None
    """When the waiting call is heard next."""
    shown: str = ""
    """The waiting call that the telephone was told of, or is about to be."""
    show_ms: int | None = None
    """When it is."""
    recall_ends_ms: int | None = None
    transfer: tuple[str, str] | None = None
    """The call that was asked to take the place of us, and the one it is to speak to."""
    transfer_ends_ms: int = 0

    def lose_held(self) -> None:
        """Nobody is on hold any more."""
        self.held, self.conference, self.recall_ends_ms = "", False, None

    def lose_waiting(self) -> None:
        """Nobody waits any more."""
        self.waiting, self.burst_ms = "", None


class SecondCalls:
    """What each line has beside its call, and what everybody does who deals with that."""

    def __init__(self, exchange: Exchange) -> None:
        self._x = exchange
        self._beside: dict[int, Beside] = {}

    def of(self, line: Line) -> Beside:
        """What the line has, to be changed."""
        return self._beside.setdefault(line.index, Beside())

    def get(self, index: int) -> Beside | None:
        """What the line of this number has; None: nothing."""
        return self._beside.get(index)

    def take(self, line: Line) -> Beside | None:
        """What the line has, which has it no longer."""
        return self._beside.pop(line.index, None)

    def all(self) -> list[tuple[Line, Beside]]:
        """Every line that has something."""
        return [(self._x.lines[index], one) for index, one in self._beside.items()]

    def tidy(self) -> None:
        """Forget lines that have nothing."""
        self._beside = {index: one for index, one in self._beside.items() if one != Beside()}

    def holds(self, call_id: str) -> bool:
        """Whether some line has this call."""
        return any(call_id in (one.held, one.waiting, *(one.transfer or ())) for one in self._beside.values())

    # --- calls -------------------------------------------------------------------------------------------------------

    def live(self, call_id: str) -> Call | None:
        """The call, where it goes on."""
        call = self._x.calls.get(call_id)
        return call if call is not None and call.live else None

    def end(self, call_id: str, cause: Cause, party: Party, *, sip_code: int = _UNAVAILABLE) -> None:
        """End the call, where it goes on."""
        call = self.live(call_id)
        if call is not None:
            self._x.end(call, cause, party, sip_code=sip_code)

    def performs(self, line: Line, service: Service) -> bool:
        """Whether the line's user has `service`, and we perform it."""
        return self._x.serves(line.index) and self._x.profile.performs(service)

    def speak_with(self, line: Line, call: Call) -> None:
        """The handset is in this call, and no other."""
        x = self._x
        line.join(call.call_id)
        x.carry_out(call, call.hold(held=False))
        x.act(Connect((call.call_id,), line.index), *line.speak())
