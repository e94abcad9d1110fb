"""A host link and a simulated card joined in memory, on a clock of their own."""

from __future__ import annotations

import threading

from firmware_bridge.link_events import Answered, Received
from firmware_bridge.session import HostLink
from firmware_bridge.simulator import SimulatedCard, SimulatedPhone
from firmware_bridge.simulator.player import TICK_MS


class CardBench:
    """Joined without delay; `run` lets time pass in ticks of 10 ms. `card`: of the simulated card."""

    def __init__(self, settle_ms=20, **card):
        self.card = SimulatedCard(2, boot_id=5, **card)
        self.host = HostLink(session=1, software="test")
        self.phones = [SimulatedPhone(line, threading.Condition()) for line in self.card.lines]
        self.now = 0
        self.seen = []
        self.card.start(0)
        self.host.start(0)
        self.run(settle_ms)

    def run(self, ms):
        for _ in range(ms // TICK_MS):
            self.card.tick(self.now)
            self.exchange()
            self.now += TICK_MS

    def exchange(self):
        for _ in range(4):
            self.card.receive(self.host.data_to_send(self.now), self.now)
            self.host.receive(self.card.data_to_send(self.now), self.now)
            self.host.on_timer(self.now)
            while (event := self.host.next_event()) is not None:
                self.hear(event)

    def hear(self, event):
        self.seen.append(event)

    def order(self, message, line=0):
        """Send a command; the status of its answer."""
        self.host.send(message, line)
        self.exchange()
        (status,) = [one.status for one in self.seen if isinstance(one, Answered) and one.command is message][-1:]
        return status

    def told(self, kind):
        """The messages of a kind that the host has received."""
        return [one.message for one in self.seen if isinstance(one, Received) and isinstance(one.message, kind)]
