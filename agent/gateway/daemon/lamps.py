"""What the adapter's lamps say: one for each line, and one for the adapter as a whole."""

from __future__ import annotations

from agent.core.actions import SetAdapterLamp, SetLamp
from agent.core.line import Line
from agent.core.terms import Lamp
from agent.gateway.daemon.exchange import Exchange


class Lamps:
    """Tells the card of a lamp when what it has to show has changed."""

    def __init__(self, exchange: Exchange) -> None:
        self._x = exchange
        self._lines: dict[int, Lamp] = {}
        self._adapter = Lamp.OFF

    def forget(self) -> None:
        """The card has restarted: its lamps are dark whatever they were told."""
        self._lines.clear()
        self._adapter = Lamp.OFF

    def show(self) -> None:
        """Set every lamp that shows the wrong thing."""
        for line in self._x.lines:
            lamp = self._of_line(line)
            if self._lines.get(line.index, Lamp.OFF) is not lamp:
                self._lines[line.index] = lamp
                self._x.act(SetLamp(line.index, lamp))
        lamp = self._of_adapter()
        if self._adapter is not lamp:
            self._adapter = lamp
            self._x.act(SetAdapterLamp(lamp))

    def _of_line(self, line: Line) -> Lamp:
        if line.ringing:
            return Lamp.BLINK
        if line.off_hook or line.call_id or line.testing:
            return Lamp.IN_USE
        entry = self._x.entry(line.index)
        registration = self._x.registrations.get(entry.account) if entry else None
        if registration is None:
            return Lamp.OFF
        if registration.registered:
            return Lamp.ON
        # Dark until the registrar has had its chance: red means that somebody has to do something.
        return Lamp.FAULT if registration.attempts else Lamp.OFF

    def _of_adapter(self) -> Lamp:
        x = self._x
        if x.update is not None and not x.update.phase.over:
            return Lamp.UPDATING
        registrations = x.registrations.values()
        if any(not one.registered and one.attempts for one in registrations):
            return Lamp.FAULT
        if not registrations or not x.agent_up:
            # 112 and incoming calls work at most: somebody should look at the page.
            return Lamp.ATTENTION
        return Lamp.ON
