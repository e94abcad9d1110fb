"""Firmware over the link: host and card in memory, power that fails at every step, telephones that come first."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge import messages as m
from firmware_bridge.image import Version, make_header, parse_image
from firmware_bridge.link_events import Answered, LinkDown, LinkUp
from firmware_bridge.session import HostLink
from firmware_bridge.simulator import SimulatedCard
from firmware_bridge.simulator.flash import Flash
from firmware_bridge.simulator.line import Act, Step
from firmware_bridge.update import Order, Phase, Updater
from firmware_bridge.vocabulary import Capability, FirmwareError, FirmwareState, LineTest, Status

TRIAL_MS = 8_000
V_1_1_0 = Version(1, 1, 0)
OLD, NEW = "sim-1.0.0", "sim-1.1.0"


def image(body=b"\x42" * 9000, version=V_1_1_0, hardware="simulated"):
    return parse_image(make_header(body, hardware, version) + bytes(64) + body)


IMAGE = image()


class Bench:
    """A host with its updater and a card, joined without delay; time moves in ticks of 10 ms."""

    def __init__(self, **card):
        self.flash = Flash(pages=4)
        self.card = SimulatedCard(2, boot_id=5, flash=self.flash, trial_ms=TRIAL_MS, **card)
        self.now = 0
        self.told = []
        self.card.start(0)
        self.restart_host()
        self.run(100)

    def restart_host(self):
        """The gateway was killed: all that it knew of an update is gone."""
        self.host = HostLink(session=1000 + self.now, software="test")
        self.updater = Updater(self.told.append)
        self.host.start(self.now)

    def order(self, wanted=IMAGE, *, forced=False):
        self.updater.order(Order(wanted, "r", forced), self.now)

    @property
    def last(self):
        return self.told[-1]

    @property
    def running(self):
        return self.card.firmware.running

    def run(self, ms):
        for _ in range(ms // 10):
            self.step()

    def run_until(self, predicate, limit_ms=200_000):
        for _ in range(limit_ms // 10):
            if predicate():
                return True
            self.step()
        return predicate()

    def until_over(self):
        assert self.run_until(lambda: self.last.phase in (Phase.DONE, Phase.FAILED, Phase.ABORTED, Phase.REFUSED))
        return self.last

    def step(self):
        self.card.tick(self.now)
        for _ in range(3):
            self._exchange()
        self.now += 10

    def _exchange(self):
        host, updater, now = self.host, self.updater, self.now
        host.on_timer(now)
        updater.tick(now)
        while host.up and (command := updater.wanted(now)) is not None:
            host.send(command)
            updater.sent(command)
        while data := host.data_to_send(now):
            self.card.receive(data, now)
        while data := self.card.data_to_send(now):
            host.receive(data, now)
        while (event := host.next_event()) is not None:
            match event:
                case LinkUp(peer=peer):
                    updater.session(peer, now)
                case LinkDown():
                    updater.lost(now)
                case Answered():
                    updater.answered(event.command, event.status, event.result, now)

    def lift(self, line=0):
        self.card.lines[line].script.append(Step(Act.LIFT))


def test_new_firmware_is_sent_started_tried_and_kept():
    bench = Bench()
    bench.order()
    assert bench.until_over().phase is Phase.DONE
    assert bench.running == NEW
    assert [phase for phase in Phase if any(step.phase is phase for step in bench.told)] == [
        Phase.PREPARING, Phase.SENDING, Phase.VERIFYING, Phase.RESTARTING, Phase.CONFIRMING, Phase.DONE,
    ]  # fmt: skip
    sent = [step.sent for step in bench.told if step.phase is Phase.SENDING]
    assert sent == sorted(sent)
    bench.card.reset(bench.now)
    assert bench.running == NEW, "kept means kept"


def test_the_next_update_goes_into_the_other_slot():
    bench = Bench()
    bench.order()
    bench.until_over()
    bench.order(image(b"third", Version(1, 2, 0)))
    assert bench.until_over().phase is Phase.DONE
    assert bench.running == "sim-1.2.0"


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (image(version=Version(0, 9, 0)), "refused_older"),
        (image(version=Version(1, 0, 0)), "refused_same"),
        (image(hardware="other"), "refused_hardware"),
    ],
)
def test_an_image_that_does_not_suit_the_card_is_refused(wanted, reason):
    bench = Bench()
    bench.order(wanted)
    assert (bench.last.phase, bench.last.reason) == (Phase.REFUSED, reason)


def test_a_downgrade_is_made_where_it_is_forced():
    bench = Bench()
    bench.order(image(version=Version(0, 9, 0)), forced=True)
    assert bench.until_over().phase is Phase.DONE
    assert bench.running == "sim-0.9.0"


def test_a_card_with_an_odd_version_is_updated_only_by_force():
    bench = Bench(firmware="night build")
    bench.order()
    assert bench.last.reason == "refused_unknown_version"
    bench.order(forced=True)
    assert bench.until_over().phase is Phase.DONE


def test_a_card_that_takes_no_firmware_is_not_asked_to():
    bench = Bench(capabilities=Capability.LAMPS)
    bench.order()
    assert (bench.last.phase, bench.last.reason) == (Phase.REFUSED, "refused_unable")


def test_an_image_without_room_is_refused_by_the_card():
    bench = Bench()
    bench.order(image(bytes(17_000)))
    assert bench.until_over().reason == "card_too_large"
    assert bench.running == OLD


def test_a_second_order_does_not_disturb_the_first():
    bench = Bench()
    bench.order()
    bench.run(100)
    bench.order(image(b"x", Version(2, 0, 0)))
    assert bench.last.reason == "refused_updating"
    bench.run_until(lambda: not bench.updater.active)
    assert bench.running == NEW


@pytest.mark.parametrize("body", [b"#mute" + bytes(500), b"#crash" + bytes(500)])
def test_firmware_that_does_not_work_is_undone_by_the_card_itself(body):
    bench = Bench()
    bench.order(image(body))
    over = bench.until_over()
    assert (over.phase, over.reason) == (Phase.FAILED, "rolled_back")
    assert bench.running == OLD
    bench.order()
    assert bench.until_over().phase is Phase.DONE, "and a better one may follow"


def test_firmware_on_trial_is_confirmed_by_a_host_that_knows_nothing_of_it():
    bench = Bench()
    bench.order()
    assert bench.run_until(lambda: bench.last.phase is Phase.CONFIRMING)
    bench.restart_host()
    bench.run(TRIAL_MS + 2000)
    assert bench.running == NEW
    assert bench.flash.record().trial == 0


def test_a_trial_that_nobody_confirms_is_undone():
    bench = Bench()
    bench.order()
    assert bench.run_until(lambda: bench.last.phase is Phase.CONFIRMING)
    for _ in range((TRIAL_MS + 100) // 10):
        bench.card.tick(bench.now)
        bench.now += 10
    assert bench.running == OLD


def test_a_lifted_handset_ends_it_at_once_and_the_same_order_goes_on_there():
    bench = Bench()
    bench.order()
    assert bench.run_until(lambda: bench.last.phase is Phase.SENDING and bench.last.sent > 4500)
    bench.lift()
    over = bench.until_over()
    assert (over.phase, over.reason) == (Phase.ABORTED, "aborted_line_needed")
    assert bench.running == OLD
    bench.card.lines[0].script.append(Step(Act.REPLACE))
    assert bench.run_until(lambda: not bench.card.lines[0].off_hook)
    bench.run(100)
    bench.told.clear()
    bench.order()
    assert bench.until_over().phase is Phase.DONE
    assert min(step.sent for step in bench.told if step.phase is Phase.SENDING) >= 4500


def _lifted(line):
    line.handset_up = True
    for now in (0, 10):
        line.tick(now)


@pytest.mark.parametrize(
    ("use", "status"),
    [
        (_lifted, Status.OFF_HOOK),
        (lambda line: line.ring(m.RingStart((1000, 4000)), 0), Status.BUSY),
        (lambda line: line.start_test(m.LineTestStart(LineTest.RINGER_LOAD), 0), Status.BUSY),
    ],
)
def test_the_card_takes_no_firmware_while_a_line_is_in_use(use, status):
    bench = Bench()
    use(bench.card.lines[1])
    begin = m.FirmwareBegin(IMAGE.header_bytes, IMAGE.signature)
    assert bench.card.firmware.order(begin, bench.now, bench.card._in_use) == (status, None, False)


def test_a_card_that_checks_signatures_does_not_start_an_image_without_one():
    bench = Bench(firmware_key=bytes(32))
    bench.order()
    assert bench.until_over().reason == "card_signature"
    assert bench.running == OLD


def test_a_card_that_stops_answering_is_given_up():
    bench = Bench()
    bench.order()
    assert bench.run_until(lambda: bench.last.phase is Phase.SENDING)
    bench.card.receive = lambda data, now: None
    over = bench.until_over()
    assert (over.phase, over.reason) == (Phase.FAILED, "timeout_interrupted")


def test_a_card_that_says_verified_without_end_is_not_restarted_for_ever():
    hello = m.HelloAck(1, 0, 0, 1, 1, 0, 244, 4, Capability.FIRMWARE_UPDATE, 2, (), OLD, "simulated")
    said = []
    updater = Updater(said.append)
    updater.session(hello, 0)
    updater.order(Order(IMAGE, "r"), 0)
    answer = m.FirmwareProgress(FirmwareState.VERIFIED, FirmwareError.NONE, 9000, 16384, OLD)
    for now in range(0, 60_000, 100):
        command = updater.wanted(now)
        if command is None:
            updater.lost(now)
            updater.session(hello, now)
            continue
        updater.sent(command)
        result = None if isinstance(command, m.FirmwareActivate | m.FirmwareVerify) else answer
        updater.answered(command, Status.OK, result, now)
    assert said[-1].phase is Phase.FAILED


def _operations():
    """How many flash operations a whole update takes."""
    bench = Bench()
    bench.order()
    bench.until_over()
    return bench.flash.operations


OPERATIONS = _operations()


def _always_runs(bench):
    assert bench.running in (OLD, NEW)
    assert bench.flash.whole(bench.card.firmware._slot) or bench.running == OLD


@pytest.mark.parametrize("cut", range(OPERATIONS))
def test_power_may_fail_in_the_middle_of_any_operation(cut):
    bench = Bench()
    bench.flash.cut_after(cut)
    bench.order()
    over = bench.until_over()
    _always_runs(bench)
    assert bench.flash.cuts == 1
    if over.phase is not Phase.DONE:
        bench.order()
        assert bench.until_over().phase is Phase.DONE
    assert bench.running == NEW


@given(st.lists(st.integers(0, 2 * OPERATIONS), min_size=1, max_size=4), st.booleans())
@settings(max_examples=25, deadline=None)
def test_power_may_fail_again_and_again_and_the_host_too(cuts, host_dies):
    bench = Bench()
    for cut in cuts:
        bench.flash.cut_after(cut)
        bench.order()
        if host_dies:
            bench.run(cut * 10 % 3000)
            bench.restart_host()
            bench.run(TRIAL_MS + 1500)
        else:
            bench.run_until(lambda: not bench.updater.active)
        _always_runs(bench)
    bench.flash.cut_after(None)
    bench.run(TRIAL_MS + 5000)
    _always_runs(bench)
    if bench.running == OLD:
        bench.order()
        assert bench.until_over().phase is Phase.DONE
    assert bench.running == NEW


@given(st.integers(0, 3000))
@settings(max_examples=25, deadline=None)
def test_the_card_may_restart_at_any_moment(when_ms):
    bench = Bench()
    bench.order()
    bench.run(when_ms)
    bench.card.reset(bench.now)
    bench.run_until(lambda: not bench.updater.active)
    _always_runs(bench)
    if bench.running == OLD:
        bench.order()
        assert bench.until_over().phase is Phase.DONE
