"""Calls that do not stay here: forwarding at once, where the line is busy, and where nobody lifts.

Money decides how (`ServiceProfile.platform_bills`): where the platform bills what it places for us, and the customer
agreed to that, it is asked to place the call (302). Otherwise the second leg is a call of ours to the number: asked of
the agent, priced, capped and recorded like one from the handset, and joined with the first when it is answered.

Each call that is sent on says from where, and from where before: so others, and we, see when it goes round in a circle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from agent.core.call import Call
from agent.core.diversion import DiversionReason, Diverted, stays_because
from agent.core.services import Service
from agent.core.terms import CallPhase, Direction
from agent.gateway.daemon.exchange import Exchange
from agent.gateway.daemon.outgoing import Outgoing, user_part
from agent.gateway.daemon.pairs import Pairs

_REASONS: Final = {
    Service.FORWARD_ALL: DiversionReason.UNCONDITIONAL,
    Service.FORWARD_NO_ANSWER: DiversionReason.NO_ANSWER,
    Service.FORWARD_BUSY: DiversionReason.USER_BUSY,
}


class Target(Struct, frozen=True):
    """Where a line's user wants calls, and by which of his services."""

    line: int
    number: str
    service: Service


class Diversion:
    """Sends incoming calls on to where a line's user wants them."""

    def __init__(self, exchange: Exchange, outgoing: Outgoing, pairs: Pairs) -> None:
        self._x = exchange
        self._outgoing = outgoing
        self._pairs = pairs
        self._no_answer_ms: dict[str, int] = {}

    def deadline(self) -> int | None:
        """When `tick` wants to be called."""
        return min(self._no_answer_ms.values(), default=None)

    def target(self, lines: Sequence[int], service: Service) -> Target | None:
        """The first of these lines that forwards by `service`, and where to; None: none does.

        Forwarding at once and where busy hold where every line does so: another telephone of the house may be free.
        """
        x = self._x
        found = [Target(line, self._number(line, service), service) for line in lines]
        if not found or not all(x.serves(one.line) for one in found):
            return None
        if service is Service.FORWARD_NO_ANSWER:
            return next((one for one in found if one.number), None)
        return found[0] if all(one.number for one in found) else None

    def send_on(self, call: Call, target: Target) -> bool:
        """Send an incoming call that nobody has taken on; False where that is not possible, or not wise, now."""
        x = self._x
        line, number = target.line, target.number
        entry = x.entry(line)
        if x.configuration is None or entry is None or number in x.emergency_numbers:
            return False
        here = call.own_number or entry.number
        why = stays_because(
            call.diversions, here=here, target=number, most=x.profile.max_diversions, read=x.number
        )  # fmt: skip
        if why:
            x.log("warning", "call_not_forwarded", why, line=line, call_id=call.call_id)
            return False
        x.log("info", "call_forwarded", line=line, call_id=call.call_id)
        hidden = self._outgoing.withholds(line)
        by = Diverted(user_part(here, x.configuration), reason=_REASONS[target.service], hidden=hidden)
        past = (by, *call.diversions)
        if x.profile.platform_bills:
            x.carry_out(call, call.redirect(user_part(number, x.configuration), x.now, past))
            return True
        onward = self._outgoing.forward(line, number, past)
        if onward is None:
            return False
        self._silence(call)
        self._pairs.pair(call, onward)
        call.stand_by()
        return True

    def rings(self, call: Call, lines: Sequence[int]) -> None:
        """An incoming call rings on these lines: it may go on from there when nobody lifts."""
        if self.target(lines, Service.FORWARD_NO_ANSWER) is not None:
            self._no_answer_ms[call.call_id] = self._x.now + self._x.profile.no_answer_s * 1000

    def tick(self) -> None:
        """Time has passed."""
        x = self._x
        for call_id, at_ms in list(self._no_answer_ms.items()):
            call = x.calls.get(call_id)
            if call is None or not call.live or call.line is not None or self._pairs.partner(call_id) is not None:
                del self._no_answer_ms[call_id]
            elif x.now >= at_ms:
                del self._no_answer_ms[call_id]
                found = self.target(call.lines, Service.FORWARD_NO_ANSWER)
                if found is not None:
                    self.send_on(call, found)

    def progressed(self, call: Call) -> None:
        """A call of ours has come further: the caller for whom it was placed hears that it rings, or is answered."""
        other = self._pairs.partner(call.call_id)
        if other is None or other.direction is not Direction.INCOMING or not other.live or other.taken:
            return
        if call.answered_ms is not None and call.live:
            self._x.carry_out(other, other.take(None))
        elif call.phase is CallPhase.RINGING:
            self._x.carry_out(other, other.rings_elsewhere(self._x.now))

    def _number(self, line: int, service: Service) -> str:
        return self._x.settings_of(line).number_of(service) if self._x.profile.performs(service) else ""

    def _silence(self, call: Call) -> None:
        """What rang for the call falls silent."""
        x = self._x
        for index in call.lines:
            if x.lines[index].call_id == call.call_id:
                x.act(*x.lines[index].replace())
