"""Two ends of a link joined in memory, with a wire that can lose, damage, delay and cut what it carries."""

import functools
import random
from collections import deque

import pytest

from firmware_bridge.link_events import LinkEvent, Received
from firmware_bridge.reference.core import Library
from firmware_bridge.session import CardLink, HostLink
from firmware_bridge.simulator.unkind import Mischief, UnkindWire, garble
from firmware_bridge.terms import CardIdentity
from firmware_bridge.vocabulary import Capability, Kind, Status

BAUDS = (115_200, 460_800, 921_600, 1_000_000, 2_000_000)


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


class RoughWire:
    """Joins two links by wires that may be unkind, on which unequal rates give noise. `deaf`: rates that fail."""

    def __init__(
        self, seed=1, *, baud=1_000_000, bauds=BAUDS, deaf=(), lease=None, card_clock_ms=0, make_card=CardLink
    ):
        self.make_card = make_card
        self.seed, self.baud, self.bauds, self.deaf, self.lease = seed, baud, bauds, deaf, lease
        self.chance = random.Random(seed)
        self.now = 1000
        self.cut = False
        self.host_stalled_until = self.card_stalled_until = 0
        self.card_clock_ms = card_clock_ms
        self.boots = self.hosts = 0
        self.host_events: list[LinkEvent] = []
        self.card_events: list[LinkEvent] = []
        self.on_host_event = self.on_card_event = lambda event: None
        self.make_unkind(None)
        self.restart_host()
        self.restart_card()

    def make_unkind(self, mischief, back=None):
        """`mischief` towards the card, and back from it; `back` for another one there."""
        self.to_card = UnkindWire(self.seed, mischief or Mischief())
        self.to_host = UnkindWire(self.seed + 1, back or mischief or Mischief())

    def restart_host(self):
        self.hosts += 1
        self.host = HostLink(session=1000 * self.hosts, software="test", baud=self.baud, lease=self.lease)
        self.host.start(self.now)

    def restart_card(self):
        self.boots += 1
        capabilities = Capability.BAUD_SWITCH if self.bauds else 0
        self.card = self.make_card(CardIdentity(self.boots, 2, "f1", capabilities=capabilities, bauds=self.bauds))
        self.card.start(self.now + self.card_clock_ms)

    def run(self, ms):
        for _ in range(ms):
            self.step()
            self.now += 1

    def run_until(self, predicate, limit_ms=10_000):
        for _ in range(limit_ms):
            if predicate():
                return True
            self.run(1)
        return predicate()

    def settled(self):
        """Both ends have the session, at one rate, and everything that was said has been heard."""
        host, card = self.host, self.card
        return (
            host.up and card.up and host.rate == card.rate
            and host.session == card.session and not host.waiting and not card.waiting
        )  # fmt: skip

    def step(self):
        if self.now >= self.card_stalled_until:
            self._serve_card(self.now + self.card_clock_ms)
        if self.now >= self.host_stalled_until:
            self._serve_host()

    def _serve_card(self, card_now):
        card = self.card
        if data := self.to_card.take(self.now):
            card.receive(data, card_now)
        if (due := card.next_timer()) is not None and due <= card_now:
            card.on_timer(card_now)
        while (event := card.next_event()) is not None:
            self.card_events.append(event)
            self.on_card_event(event)
            if isinstance(event, Received) and event.kind is Kind.CMD:
                card.respond(event, Status.OK)
        while True:
            rate = card.rate
            if not (data := card.data_to_send(card_now)):
                break
            self._carry(self.to_host, data, rate, self.host.rate)
        if self.to_host.reset_wanted:
            self.to_host.reset_wanted = False
            self.restart_card()

    def _serve_host(self):
        host = self.host
        if data := self.to_host.take(self.now):
            host.receive(data, self.now)
        if (due := host.next_timer()) is not None and due <= self.now:
            host.on_timer(self.now)
        while (event := host.next_event()) is not None:
            self.host_events.append(event)
            self.on_host_event(event)
        while data := host.data_to_send(self.now):
            self._carry(self.to_card, data, host.rate, self.card.rate)

    def _carry(self, wire, data, sent_rate, read_rate):
        if self.cut:
            return
        if sent_rate in self.deaf:
            data = self.chance.randbytes(len(data))
        wire.put(garble(data, sent_rate, read_rate, self.chance), self.now)


@pytest.fixture(scope="module")
def core(reference_device):
    """The C core as a library."""
    return Library(reference_device("library"))


@pytest.fixture(params=["python", pytest.param("c", marks=pytest.mark.peer("gcc", "make"))])
def rough_wire(request):
    """Joins a host to a card of either kind."""
    if request.param == "python":
        return RoughWire
    return functools.partial(RoughWire, make_card=request.getfixturevalue("core").card)


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
