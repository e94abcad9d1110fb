"""The simulated card measures its lines: each loop shows its fault, and the telephone comes first."""

from __future__ import annotations

import pytest

from firmware_bridge import messages as m
from firmware_bridge.simulator import LOOPS, Loop
from firmware_bridge.vocabulary import Capability, LineTest, LineTestStatus, Status, Unit
from tests.unit.firmware_bridge.card_bench import CardBench


class Bench(CardBench):
    """With a technician."""

    def __init__(self, **card):
        super().__init__(30, **card)

    def results(self):
        return self.told(m.LineTestResultEvent)

    def measure(self, test, loop):
        self.phones[0].wire(loop)
        self.run(800)
        assert self.order(m.LineTestStart(test, closed_loop=True)) is Status.OK
        self.run(1000)
        return {(value.between.name, value.unit): value.value for value in self.results()[-1].values}


@pytest.fixture
def bench():
    return Bench()


def near(value, true):
    return value == pytest.approx(true, rel=0.02, abs=1)


def test_each_fault_is_measured_where_it_is(bench):
    leak = bench.measure(LineTest.RESISTIVE_FAULT, Loop(tip_ring_ohm=40_000, tip_ground_ohm=90_000))
    assert near(leak["TIP_RING", Unit.OHM], 40_000)
    assert near(leak["TIP_GROUND", Unit.OHM], 90_000)
    assert near(leak["RING_GROUND", Unit.OHM], 10_000_000)
    mains = bench.measure(LineTest.HAZARDOUS_VOLTAGE, LOOPS["mains"])
    assert near(mains["TIP_GROUND", Unit.MILLIVOLT_RMS], 120_000)
    assert near(bench.measure(LineTest.RINGER_LOAD, LOOPS["ringers"])["TIP_RING", Unit.MILLI_REN], 6_400)
    assert bench.measure(LineTest.RECEIVER_OFF_HOOK, LOOPS["off-hook"])["TIP_RING", Unit.PERMILLE] > 800
    assert bench.measure(LineTest.RECEIVER_OFF_HOOK, LOOPS["short"])["TIP_RING", Unit.PERMILLE] < 100


def test_a_short_circuit_looks_like_a_lifted_handset_and_is_tested_on_demand_only(bench):
    bench.phones[0].wire(LOOPS["short"])
    bench.run(20)
    assert bench.card.lines[0].off_hook
    assert bench.order(m.LineTestStart(LineTest.RESISTIVE_FAULT)) is Status.OFF_HOOK
    assert bench.order(m.LineTestStart(LineTest.RESISTIVE_FAULT, closed_loop=True)) is Status.OK
    bench.phones[0].wire(Loop())
    bench.run(800)
    assert not bench.card.lines[0].off_hook
    assert bench.results()[-1].status is LineTestStatus.ABORTED


def test_a_hand_on_the_hook_ends_the_test(bench):
    bench.order(m.LineTestStart(LineTest.RINGER_LOAD))
    bench.phones[0].off_hook()
    bench.run(20)
    assert [one.status for one in bench.results()] == [LineTestStatus.ABORTED]
    bench.order(m.LineTestStart(LineTest.RINGER_LOAD, closed_loop=True))
    bench.phones[0].on_hook()
    bench.run(900)
    assert [one.status for one in bench.results()] == [LineTestStatus.ABORTED] * 2


def test_ringing_ends_the_test(bench):
    bench.order(m.LineTestStart(LineTest.RINGER_LOAD))
    assert bench.order(m.RingStart((1000, 4000))) is Status.OK
    assert bench.results()[-1].status is LineTestStatus.ABORTED


def test_an_abort_is_answered_and_told(bench):
    bench.order(m.LineTestStart(LineTest.RINGER_LOAD))
    assert bench.order(m.LineTestAbort()) is Status.OK
    assert bench.results()[-1].status is LineTestStatus.ABORTED
    assert bench.order(m.LineTestAbort()) is Status.OK, "and again does no harm"


@pytest.mark.parametrize(
    "busy",
    [
        lambda bench: bench.order(m.RingStart((1000, 4000))),
        lambda bench: bench.order(m.AudioStart()),
        lambda bench: bench.order(m.LineTestStart(LineTest.RINGER_LOAD)),
    ],
)
def test_a_line_that_does_something_is_not_tested(bench, busy):
    busy(bench)
    assert bench.order(m.LineTestStart(LineTest.RINGER_LOAD)) is Status.BUSY


def test_a_lost_session_lets_go_of_the_wires(bench):
    bench.order(m.LineTestStart(LineTest.RINGER_LOAD))
    bench.card.link.close(bench.now)
    bench.run(20)
    assert not bench.card.lines[0].tester.running


def test_a_card_that_cannot_measure_says_so():
    bench = Bench(capabilities=Capability.LAMPS)
    assert bench.order(m.LineTestStart(LineTest.RINGER_LOAD)) is Status.UNSUPPORTED
