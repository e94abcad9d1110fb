"""Two ends of the link under all that wire, card and host can do to each other: what must hold all the while."""

from collections import defaultdict

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from firmware_bridge import messages as m
from firmware_bridge.link_events import Answered, LinkUp, Received
from firmware_bridge.reliable import LinkBusyError
from firmware_bridge.simulator import Mischief
from firmware_bridge.vocabulary import Status

share = st.sampled_from([0.0, 0.02, 0.2])
mischiefs = st.builds(
    Mischief, loss=share, repeat=share, cut=share, noise=share, flip=st.sampled_from([0.0, 0.002]),
    delay_ms=st.integers(0, 40), jitter_ms=st.integers(0, 30), stall=st.sampled_from([0.0, 0.02]),
    stall_ms=st.integers(0, 1500), reset=st.sampled_from([0.0, 0.0, 0.01]),
)  # fmt: skip


class Life(RuleBasedStateMachine):
    """Every command and event has a number of its own; both sides write down what they got, by session."""

    make_wire = None

    @initialize(seed=st.integers(0, 1 << 16), baud=st.sampled_from([115_200, 1_000_000, 2_000_000]), mischief=mischiefs)
    def begin(self, seed, baud, mischief):
        self.wire = self.make_wire(seed, baud=baud)
        self.number = 0
        self.ordered = defaultdict(list)
        self.acted = defaultdict(list)
        self.answered = []
        self.told = defaultdict(list)
        self.heard = defaultdict(list)
        self.wire.on_host_event, self.wire.on_card_event = self.host_got, self.card_got
        self.wire.run(100)
        self.wire.make_unkind(mischief)

    # --- what the two owners see ---

    def card_got(self, event):
        if isinstance(event, LinkUp):
            self.card_session = (event.peer.session, self.wire.boots)
            # A host that did not hear the answer asks again with the same number; what was told meanwhile went nowhere.
            self.told[self.card_session] = []
        elif isinstance(event, Received) and isinstance(event.message, m.ToneStart):
            self.acted[self.card_session].append(event.message.duration_ms)

    def host_got(self, event):
        if isinstance(event, LinkUp):
            self.host_session = (event.peer.session, event.peer.boot_id)
        elif isinstance(event, Received) and isinstance(event.message, m.RingPhaseEvent):
            self.heard[self.host_session].append(event.message.burst)
        elif isinstance(event, Answered) and isinstance(event.command, m.ToneStart) and event.status is Status.OK:
            self.answered.append(event.command.duration_ms)

    # --- what may happen ---

    @rule(count=st.integers(1, 12))
    def order(self, count):
        host = self.wire.host
        for _ in range(count):
            self.number += 1
            if host.up:
                try:
                    host.send(m.ToneStart(m.ToneProgram(0, ()), self.number))
                except LinkBusyError:
                    return
                self.ordered[host.session, host._boot_id].append(self.number)

    @rule(count=st.integers(1, 12))
    def tell(self, count):
        card = self.wire.card
        for _ in range(count):
            self.number += 1
            if card.up:
                try:
                    card.send(m.RingPhaseEvent(0, self.number, on=True))
                except LinkBusyError:
                    return
                self.told[card.session, self.wire.boots].append(self.number)

    @rule(ms=st.integers(1, 300))
    def live(self, ms):
        self.wire.run(ms)

    @rule(mischief=mischiefs, count=st.integers(1, 8))
    def talk_both_ways(self, mischief, count):
        """The usual life: orders and events cross on a wire that is bad just now."""
        self.wire.make_unkind(mischief)
        for _ in range(count):
            self.order(2)
            self.tell(2)
            self.wire.run(60)

    @rule(mischief=mischiefs)
    def worsen(self, mischief):
        self.wire.make_unkind(mischief)

    @rule()
    def mend(self):
        self.wire.cut = False
        self.wire.make_unkind(None)

    @rule()
    def cut(self):
        self.wire.cut = True

    @rule()
    def reset_card(self):
        self.wire.restart_card()

    @rule()
    def restart_host(self):
        self.wire.restart_host()

    @rule(ms=st.sampled_from([20, 700, 2500]), host=st.booleans())
    def stall(self, ms, host):
        if host:
            self.wire.host_stalled_until = self.wire.now + ms
        else:
            self.wire.card_stalled_until = self.wire.now + ms
        self.wire.run(ms + 5)

    # --- what always holds ---

    @invariant()
    def no_command_is_acted_on_twice_or_out_of_order(self):
        if hasattr(self, "wire"):
            done = [number for session in self.acted.values() for number in session]
            assert len(done) == len(set(done))
            for session, numbers in self.acted.items():
                assert numbers == self.ordered[session][: len(numbers)]

    @invariant()
    def what_was_answered_was_done(self):
        if hasattr(self, "wire"):
            assert set(self.answered) <= {number for session in self.acted.values() for number in session}

    @invariant()
    def events_arrive_once_in_order_and_without_gaps(self):
        if hasattr(self, "wire"):
            for session, numbers in self.heard.items():
                assert numbers == self.told[session][: len(numbers)]

    def teardown(self):
        """On a good wire the link recovers, and whatever the session still owes is delivered."""
        if not hasattr(self, "wire"):
            return
        self.mend()
        assert self.wire.run_until(self.wire.settled, 8000), "the link did not recover"
        self.wire.run(50)
        session = (self.wire.host.session, self.wire.boots)
        assert self.heard[session] == self.told[session]
        assert self.acted[session] == self.ordered[session]
        self.no_command_is_acted_on_twice_or_out_of_order()


def live(make_wire, examples, steps):
    def machine():
        life = Life()
        life.make_wire = make_wire
        return life

    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, phases=[Phase.generate],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )  # fmt: skip


@pytest.mark.thorough
def test_nothing_is_done_twice_nothing_is_lost_and_the_link_always_recovers(rough_wire):
    live(rough_wire, examples=50, steps=25)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_same_for_a_long_time(rough_wire):
    live(rough_wire, examples=300, steps=50)
