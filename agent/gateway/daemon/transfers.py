"""R4: the other two of a line are left together, as two calls of this adapter or by the operator's platform.

Where the platform bills what it places for us it is asked to connect them (REFER, RFC 3515), attended where the second
call was answered, else blind; otherwise both stay calls of ours (`pairs`).
"""

from __future__ import annotations

from typing import Final

from agent.core.actions import Connect, PlayTone, Transfer, TransferTo
from agent.core.call import Call
from agent.core.events import TransferProgress
from agent.core.line import Line
from agent.core.terms import Cause, Party, Tone
from agent.gateway.daemon.exchange import Exchange
from agent.gateway.daemon.outgoing import user_part
from agent.gateway.daemon.pairs import Pairs
from agent.gateway.daemon.second_calls import BURST_MS, Beside, SecondCalls

TRANSFER_MS: Final = 40_000
"""How long a transfer may stay without news: SIP itself gives up after 32 s (RFC 3261 Timer F)."""


class Transfers:
    """Every transfer, until it is known how it went."""

    def __init__(self, exchange: Exchange, second: SecondCalls, pairs: Pairs) -> None:
        self._x = exchange
        self._second = second
        self._pairs = pairs

    def deadline(self) -> int | None:
        """When `tick` wants to be called."""
        return min((one.transfer_ends_ms for _, one in self._second.all() if one.transfer is not None), default=None)

    def begin(self, line: Line, call: Call, held: Call) -> None:
        """Leave the line's two calls together."""
        x, one = self._x, self._second.of(line)
        x.act(Connect((), line.index), *line.set_aside())
        if not x.profile.platform_bills or one.conference:
            one.lose_held()
            self._pairs.pair(held, call)
            x.act(*line.reorder(Tone.CONFIRM, x.now))
            return
        x.act(*line.reorder(Tone.CONFIRM, x.now))
        one.held, one.transfer_ends_ms = "", x.now + TRANSFER_MS
        held.leave_lines()
        if call.answered_ms is not None:
            one.transfer = (held.call_id, call.call_id)
            call.leave_lines()
            x.carry_out(call, call.hold(held=True))
            x.act(TransferTo(held.call_id, call.call_id))
        elif x.configuration is not None:
            # Nobody can take the place of us in a call that is none yet (RFC 5589 §6.2): it begins anew.
            one.transfer = (held.call_id, "")
            self._second.end(call.call_id, Cause.CANCELLED, Party.LOCAL)
            x.act(Transfer(held.call_id, user_part(call.number, x.configuration)))

    def progress(self, event: TransferProgress) -> None:
        """News of a transfer."""
        for line, one in self._second.all():
            if one.transfer is not None and event.call_id == one.transfer[0] and event.final:
                self._over(line, one, done=200 <= event.code < 300)

    def tick(self) -> None:
        """Time has passed."""
        for line, one in self._second.all():
            if one.transfer is not None and self._x.now >= one.transfer_ends_ms:
                self._over(line, one, done=False)

    def settle(self) -> None:
        """Calls have come and gone: who was asked may be, or who was to be called."""
        for line, one in self._second.all():
            if one.transfer is not None and self._second.live(one.transfer[0]) is None:
                self._over(line, one, done=False)
            elif one.transfer is not None and self._second.live(one.transfer[1]) is None:
                one.transfer = (one.transfer[0], "")

    def _over(self, line: Line, one: Beside, *, done: bool) -> None:
        x, second = self._x, self._second
        if one.transfer is None:
            return
        asked, other = one.transfer
        one.transfer = None
        held, call = second.live(asked), second.live(other)
        if done:
            second.end(asked, Cause.NORMAL, Party.LOCAL)
            second.end(other, Cause.NORMAL, Party.LOCAL)
            return
        x.log("warning", "transfer_failed", line=line.index)
        one.held = asked if held is not None else ""
        for back in (held, call):
            if back is not None:
                back.come_back(line.index)
        if line.off_hook and not line.call_id and call is not None:
            second.speak_with(line, call)
            x.act(PlayTone(line.index, Tone.SPECIAL, BURST_MS))
        else:
            second.end(other, Cause.NORMAL, Party.LOCAL)
            if line.off_hook and not line.call_id:
                x.act(*line.reorder(Tone.SPECIAL, x.now))
