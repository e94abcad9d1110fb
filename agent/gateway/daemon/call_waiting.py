"""Call waiting: who calls a line in conversation is heard in it, and shown, until he is taken or gives up."""

from __future__ import annotations

from typing import Final

from agent.core.actions import PlayTone, ShowWaiting
from agent.core.call import Call
from agent.core.line import Line
from agent.core.services import Service
from agent.core.terms import Tone
from agent.gateway.daemon.exchange import Exchange
from agent.gateway.daemon.second_calls import BURST_MS, Beside, SecondCalls

_PAUSE_MS: Final = 10_000
_AFTER_TONE_MS: Final = 50
"""From the tone that somebody waits to the data that say who (Telcordia GR-30: within 100 ms)."""


class CallWaiting:
    """Calls that wait beside a conversation."""

    def __init__(self, exchange: Exchange, second: SecondCalls) -> None:
        self._x = exchange
        self._second = second

    def deadline(self) -> int | None:
        """When `tick` wants to be called."""
        wanted = [at for _, one in self._second.all() for at in (one.burst_ms, one.show_ms)]
        return min((at for at in wanted if at is not None), default=None)

    def may_wait(self, line: Line) -> bool:
        """Whether a call may wait beside this line's conversation."""
        x = self._x
        call, one = x.call_of(line), self._second.of(line)
        return (
            call is not None and line.off_hook and call.answered_ms is not None and not call.emergency
            and not (one.held or one.waiting or one.transfer or line.machine) and x.serves(line.index)
            and (
                x.awaits_callback(line.index)
                or (self._second.performs(line, Service.CALL_WAITING) and x.settings_of(line.index).call_waiting)
            )
        )  # fmt: skip

    def wait(self, line: Line, call: Call) -> None:
        """A call has come for a line in conversation: it waits there, and is heard in it."""
        x = self._x
        one = self._second.of(line)
        one.waiting, one.burst_ms = call.call_id, x.now
        x.carry_out(call, call.ring([line.index], x.profile.waiting_s * 1000, x.now, waiting=True))

    def take(self, line: Line) -> None:
        """Answer the waiting call with the line's handset."""
        x, one = self._x, self._second.of(line)
        waiting = self._second.live(one.waiting)
        one.lose_waiting()
        if waiting is not None:
            line.join(waiting.call_id)
            x.act(*line.hear(None))
            x.carry_out(waiting, waiting.take(line.index))

    def tick(self) -> None:
        """Time has passed."""
        now = self._x.now
        for line, one in self._second.all():
            if one.show_ms is not None and now >= one.show_ms:
                self._show(line, one)
            if one.burst_ms is not None and now >= one.burst_ms:
                self._sound(line, one)

    def _sound(self, line: Line, one: Beside) -> None:
        one.burst_ms = None
        if self._second.live(one.waiting) is None:
            return
        burst_ms, period_ms = self._x.cadence(Tone.CALL_WAITING, BURST_MS, _PAUSE_MS)
        one.burst_ms = self._x.now + period_ms
        if line.call_id and not line.machine and one.command_ends_ms is None:
            self._x.act(PlayTone(line.index, Tone.CALL_WAITING, burst_ms))
            if one.shown != one.waiting:
                one.shown, one.show_ms = one.waiting, self._x.now + burst_ms + _AFTER_TONE_MS

    def _show(self, line: Line, one: Beside) -> None:
        """Show who waits, to whoever still speaks and has not answered the tone yet."""
        one.show_ms = None
        caller = self._x.callers.get(one.waiting)
        if caller is not None and one.shown == one.waiting and line.call_id and not line.machine:
            self._x.act(ShowWaiting(line.index, caller, self._x.month_day_time()))
