"""Two ends of a link joined in memory, with a wire that can lose, damage, delay and cut what it carries."""

import random
from collections import deque

import pytest

from firmware_bridge.session import CardIdentity, CardLink, HostLink


class Wire:
    """Joins two links; time moves only with `run`. `piece` bytes at a time; `loss`: share of chunks damaged."""

    def __init__(self, *, delay_ms=0, loss=0.0, piece=0, seed=1, boot_id=7):
        self.host = HostLink(session=99, software="test")
        self.card = CardLink(CardIdentity(boot_id=boot_id, lines=2, firmware="f1"))
        self.delay_ms, self.loss, self.piece = delay_ms, loss, piece
        self.cut = False
        self.now = 1000
        self.host_events, self.card_events = [], []
        self.answer = None
        self._random = random.Random(seed)
        self._flying = deque()
        self.host.start(self.now)
        self.card.start(self.now)

    def run(self, ms):
        """Let `ms` milliseconds pass, one at a time."""
        for _ in range(ms):
            self._step()
            self.now += 1

    def run_until(self, predicate, limit_ms=10_000):
        for _ in range(limit_ms):
            if predicate():
                return True
            self.run(1)
        return predicate()

    def restart_card(self, boot_id):
        self.card = CardLink(CardIdentity(boot_id=boot_id, lines=2, firmware="f1"))
        self.card.start(self.now)

    def of(self, events, kind):
        return [event for event in events if isinstance(event, kind)]

    def _step(self):
        while self._flying and self._flying[0][0] <= self.now:
            _, to_card, data = self._flying.popleft()
            self._deliver(self.card if to_card else self.host, data)
        for link in (self.host, self.card):
            if (due := link.next_timer()) is not None and due <= self.now:
                link.on_timer(self.now)
        self._events(self.host, self.host_events)
        self._events(self.card, self.card_events)
        for link in (self.host, self.card):
            while data := link.data_to_send(self.now):
                self._carry(data, to_card=link is self.host)

    def _events(self, link, seen):
        while (event := link.next_event()) is not None:
            seen.append(event)
            if self.answer is not None and link is self.card:
                self.answer(link, event)

    def _carry(self, data, *, to_card):
        if self.cut:
            return
        # Frame by frame, so that loss takes single frames.
        for frame in data.split(b"\0"):
            hit = self._random.random() < self.loss
            carried = bytes([self._random.randrange(1, 256)]) + frame[1:] if hit else frame
            self._flying.append((self.now + self.delay_ms, to_card, carried + b"\0"))

    def _deliver(self, link, data):
        size = self.piece or len(data)
        for at in range(0, len(data), size):
            link.receive(data[at : at + size], self.now)


@pytest.fixture
def wire_factory():
    return Wire


@pytest.fixture
def wire():
    joined = Wire()
    joined.run(5)
    assert joined.host.up
    assert joined.card.up
    return joined
