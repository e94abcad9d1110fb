"""R and its digits: hold and retrieve, swap, three-way, and the ringing for who was left on hold.

R alone puts the conversation on hold for another number, or brings back who is on hold where nobody else is there (the
other number is busy, has refused or hung up); with nobody at all it ends a tone that says no with fresh dial tone. With
two calls R asks for one digit, the Nordic way (ETSI ETS 300 738 has the procedure, national books the digits):

R0 turns a waiting call away, or ends the one on hold; R1 ends the conversation and takes the other; R2 puts it on hold
and takes the other; R3 joins all three; R4 leaves the other two together.

Emergency numbers come before R1: after R and the beginning of one the digit waits for the next.
"""

from __future__ import annotations

from typing import Final

from agent.core.actions import Connect, PlayTone
from agent.core.call import Call
from agent.core.caller import CallerId
from agent.core.events import HoldDone
from agent.core.line import Dialled, Line
from agent.core.services import Service
from agent.core.terms import Cause, Party, Tone
from agent.gateway.daemon.call_waiting import CallWaiting
from agent.gateway.daemon.exchange import Exchange
from agent.gateway.daemon.outgoing import Outgoing
from agent.gateway.daemon.pairs import Pairs
from agent.gateway.daemon.second_calls import BURST_MS, Beside, SecondCalls
from agent.gateway.daemon.transfers import Transfers

COMMAND_MS: Final = 4_000
"""How long R waits for its digit."""
EMERGENCY_DIGIT_MS: Final = 2_000
"""How long a digit that begins an emergency number waits for the next, before it is the command that it may be."""
_BUSY: Final = 486
_RING_MS: Final = 10_000


class Features:
    """What R and on-hook do to the two calls of each line."""

    def __init__(
        self, exchange: Exchange, outgoing: Outgoing, second: SecondCalls, waiting: CallWaiting, pairs: Pairs,
        transfers: Transfers,
    ) -> None:  # fmt: skip
        self._x = exchange
        self._outgoing = outgoing
        self._second = second
        self._waiting = waiting
        self._pairs = pairs
        self._transfers = transfers

    def deadline(self) -> int | None:
        """When `tick` wants to be called."""
        wanted = [at for _, one in self._second.all() for at in (one.command_ends_ms, one.recall_ends_ms)]
        return min((at for at in wanted if at is not None), default=None)

    # --- what is heard -----------------------------------------------------------------------------------------------

    def lifted(self, line: Line) -> bool:
        """A handset was lifted; True where that was for a call that is on hold."""
        one = self._second.of(line)
        if not line.ringing or not one.held or line.call_id != one.held:
            return False
        self._x.act(*line.answer())
        self._retrieve(line, one)
        return True

    def replaced(self, line: Line) -> None:
        """The handset was replaced: a conference ends, R waits for nothing any more; who is on hold stays."""
        one = self._second.get(line.index)
        if one is None:
            return
        self._close(line, one)
        if one.conference:
            held = self._x.calls.get(one.held)
            one.lose_held()
            if held is not None:
                self._x.end(held, Cause.NORMAL, Party.LOCAL)

    def flash(self, line: Line) -> bool:
        """R was pressed. Where nothing can be done, nothing happens; True where the line begins anew with dial tone."""
        x = self._x
        call, one = x.call_of(line), self._second.of(line)
        if not line.off_hook or line.ringing or line.machine or one.transfer or not x.serves(line.index):
            return False
        if call is not None and call.emergency:
            return False
        if one.command_ends_ms is not None:
            self._close(line, one)
        elif call is None:
            if one.held:
                self._retrieve(line, one)
            elif one.waiting:
                self._waiting.take(line)
            else:
                return self._start_afresh(line)
        elif one.held or one.waiting:
            one.command_ends_ms, one.typed, one.heard = x.now + COMMAND_MS, "", line.tone
            x.act(*line.hear(Tone.RECALL))
        elif call.answered_ms is not None and self._second.performs(line, Service.HOLD):
            self._hold_for_number(line, one, call)
        return False

    def digit(self, line: Line, digit: str) -> bool:
        """One digit of a lifted handset; True where it was for a service, and for no call."""
        one = self._second.get(line.index)
        if one is None:
            return False
        if one.command_ends_ms is None:
            return self._after_command(line, one, digit)
        typed = one.typed + digit
        if typed in self._x.emergency_numbers:
            self._close(line, one)
            self.emergency(line, typed)
        elif any(number.startswith(typed) for number in self._x.emergency_numbers):
            one.typed, one.command_ends_ms = typed, self._x.now + EMERGENCY_DIGIT_MS
        else:
            self._close(line, one)
            self._command(line, one, typed[0])
        return True

    def emergency(self, line: Line, number: str) -> None:
        """An emergency number has been dialled in the middle of something: that ends, all of it."""
        x = self._x
        call = x.call_of(line)
        x.act(*line.set_aside())
        if call is not None:
            x.end(call, Cause.PREEMPTED, Party.SYSTEM)
        self.make_way(line)
        self._outgoing.dialled(Dialled(line.index, number, emergency=True))

    def make_way(self, line: Line) -> None:
        """An emergency number has been dialled: nobody else stays on this line."""
        one = self._second.take(line)
        if one is None:
            return
        for call_id in dict.fromkeys((one.held, one.waiting, *(one.transfer or ()))):
            self._second.end(call_id, Cause.PREEMPTED, Party.SYSTEM)

    def hold_done(self, event: HoldDone) -> None:
        """The far end has agreed, or refused, to be held or to come back.

        Whoever refuses to be held hears silence all the same, and is taken back without being asked. Whoever refuses to
        come back is on hold still: the handset hears that it was not possible, and R tries again.
        """
        x = self._x
        call = self._second.live(event.call_id)
        if event.ok or call is None:
            return
        x.log("warning", "hold_refused" if event.held else "resume_refused", call_id=call.call_id)
        if event.held or call.held or call.answered_ms is None:
            return
        call.still_held()
        if self._pairs.holds(call.call_id):
            # Nobody is there to try again, and both cost what they cost.
            x.end(call, Cause.NETWORK_FAILURE, Party.SYSTEM)
            return
        for line, one in self._second.all():
            if one.conference and one.held == call.call_id:
                one.conference = False
                x.act(Connect((line.call_id,), line.index), PlayTone(line.index, Tone.SPECIAL, BURST_MS))
        for line in x.lines:
            if line.call_id == call.call_id and line.off_hook and not line.ringing:
                self._stays_on_hold(line, self._second.of(line), call)

    # --- time --------------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Time has passed."""
        now = self._x.now
        for line, one in self._second.all():
            if one.command_ends_ms is not None and now >= one.command_ends_ms:
                typed = one.typed
                self._close(line, one)
                if len(typed) == 1:
                    one.trail, one.trail_ends_ms = typed, now + COMMAND_MS
                    self._command(line, one, typed)
            if one.recall_ends_ms is not None and now >= one.recall_ends_ms:
                self._second.end(one.held, Cause.NORMAL, Party.LOCAL)

    def settle(self) -> None:
        """Calls have come and gone: bring every line in step with those that are left."""
        for line, one in self._second.all():
            self._forget_ended(line, one)
            self._ring_again(line, one)
        self._second.tidy()

    # --- inside: commands --------------------------------------------------------------------------------------------

    def _command(self, line: Line, one: Beside, digit: str) -> None:
        performs = self._second.performs
        call = self._x.call_of(line)
        other = self._second.live(one.held) or self._second.live(one.waiting)
        if call is None or other is None:
            return
        match digit:
            case "0":
                self._turn_away(one)
            case "1":
                self._end_and_take(line, one, call)
            case "2":
                self._swap(line, one, call)
            case "3" if one.held and performs(line, Service.THREE_WAY) and call.answered_ms is not None:
                self._confer(line, one, call, other)
            case "4" if one.held and performs(line, Service.TRANSFER):
                self._transfers.begin(line, call, other)
            case _:
                self._x.log("debug", "service_digit_without_meaning", digit, line=line.index)

    def _turn_away(self, one: Beside) -> None:
        if one.waiting:
            self._second.end(one.waiting, Cause.BUSY, Party.LOCAL, sip_code=_BUSY)
        elif not one.conference:
            self._second.end(one.held, Cause.NORMAL, Party.LOCAL)

    def _end_and_take(self, line: Line, one: Beside, call: Call) -> None:
        self._x.act(*line.set_aside())
        self._second.end(
            call.call_id, Cause.NORMAL if call.answered_ms is not None else Cause.CANCELLED, Party.LOCAL
        )  # fmt: skip
        if one.held:
            self._retrieve(line, one)
        else:
            self._waiting.take(line)

    def _swap(self, line: Line, one: Beside, call: Call) -> None:
        x = self._x
        if one.waiting:
            x.carry_out(call, call.hold(held=True))
            one.held = call.call_id
            self._waiting.take(line)
        elif one.conference:
            held = x.calls[one.held]
            one.conference = False
            x.carry_out(held, held.hold(held=True))
            x.act(Connect((call.call_id,), line.index))
        elif call.answered_ms is None:
            self._end_and_take(line, one, call)
        else:
            x.carry_out(call, call.hold(held=True))
            held = x.calls[one.held]
            one.held = call.call_id
            self._second.speak_with(line, held)

    def _confer(self, line: Line, one: Beside, call: Call, held: Call) -> None:
        if not one.conference:
            one.conference = True
            self._x.carry_out(held, held.hold(held=False))
            self._x.act(Connect((held.call_id, call.call_id), line.index))

    # --- inside: hold ------------------------------------------------------------------------------------------------

    def _hold_for_number(self, line: Line, one: Beside, call: Call) -> None:
        x = self._x
        one.held = call.call_id
        x.carry_out(call, call.hold(held=True))
        x.act(Connect((), line.index), *line.recall(x.plan, x.now))

    def _retrieve(self, line: Line, one: Beside) -> None:
        held = self._second.live(one.held)
        one.lose_held()
        if held is not None:
            self._second.speak_with(line, held)

    def _stays_on_hold(self, line: Line, one: Beside, call: Call) -> None:
        x = self._x
        self._close(line, one)
        other = self._second.live(one.held)
        one.held, one.conference = call.call_id, False
        if other is not None:
            self._second.speak_with(line, other)
            x.act(PlayTone(line.index, Tone.SPECIAL, BURST_MS))
        else:
            x.act(*line.set_aside(), Connect((), line.index), *line.reorder(Tone.SPECIAL, x.now))

    def _start_afresh(self, line: Line) -> bool:
        actions = line.start_afresh(self._x.plan, self._x.now)
        self._x.act(*actions)
        return bool(actions)

    # --- inside: the rest --------------------------------------------------------------------------------------------

    def _close(self, line: Line, one: Beside) -> None:
        """R waits for no digit any more."""
        if one.command_ends_ms is not None:
            one.command_ends_ms, one.typed = None, ""
            if line.call_id and line.tone is Tone.RECALL:
                self._x.act(*line.hear(one.heard))

    def _after_command(self, line: Line, one: Beside, digit: str) -> bool:
        """R1 was perhaps the beginning of 112: whoever goes on with it means that."""
        if not one.trail:
            return False
        trail = one.trail + digit
        one.trail = ""
        if self._x.now < one.trail_ends_ms and any(n.startswith(trail) for n in self._x.emergency_numbers):
            if trail in self._x.emergency_numbers:
                self.emergency(line, trail)
                return True
            one.trail, one.trail_ends_ms = trail, self._x.now + COMMAND_MS
        return False

    def _forget_ended(self, line: Line, one: Beside) -> None:
        second = self._second
        if one.waiting and second.live(one.waiting) is None:
            one.lose_waiting()
        if one.held and second.live(one.held) is None:
            one.lose_held()
        if one.conference and not line.call_id:
            held = self._x.calls[one.held]
            one.lose_held()
            if line.off_hook:
                second.speak_with(line, held)
        if one.command_ends_ms is not None and not (line.call_id and (one.held or one.waiting)):
            self._close(line, one)

    def _ring_again(self, line: Line, one: Beside) -> None:
        """The handset is down while somebody is on hold, or waits: the telephone rings for him."""
        x = self._x
        held = self._second.live(one.held)
        call = held or self._second.live(one.waiting)
        if call is None or not line.free or x.stopping:
            return
        caller = x.callers.get(call.call_id) or CallerId(x.shown(call.number))
        if held is not None:
            one.recall_ends_ms = x.now + x.profile.recall_s * 1000
        else:
            one.lose_waiting()
            x.carry_out(call, call.ring([line.index], self._ring_ms(), x.now))
        x.ring(line, call.call_id, caller, "recall" if held is not None else "")

    def _ring_ms(self) -> int:
        configuration = self._x.configuration
        return configuration.ring_timeout_ms if configuration is not None else _RING_MS
