"""Both ends start at 115200, meet at a higher rate, and meet again wherever that fails; unequal rates are noise."""

import pytest

from firmware_bridge import messages as m
from firmware_bridge.link_events import DownReason, LinkDown, LinkUp, Received
from firmware_bridge.rates import BASE_RATE
from firmware_bridge.simulator import Mischief
from firmware_bridge.terms import HostLease

MEGA = 1_000_000


def reasons(events):
    return [event.reason for event in events if isinstance(event, LinkDown)]


def rates(wire):
    return wire.host.rate, wire.card.rate


def test_both_ends_begin_slowly_and_soon_speak_at_the_wanted_rate(rough_wire):
    wire = rough_wire()
    assert rates(wire) == (BASE_RATE, BASE_RATE)
    assert wire.run_until(wire.settled, 50)
    wire.run(50)
    assert rates(wire) == (MEGA, MEGA)
    assert reasons(wire.host_events) == []


@pytest.mark.parametrize(
    ("baud", "bauds", "expected"),
    [
        (2_000_000, (115_200, 1_000_000, 2_000_000), 2_000_000), (1_000_000, (115_200, 2_000_000), 115_200),
        (1_000_000, (115_200, 921_600, 460_800), 921_600), (1_000_000, (), 115_200), (115_200, (1_000_000,), 115_200),
    ],
)  # fmt: skip
def test_the_best_rate_that_both_can_is_taken(rough_wire, baud, bauds, expected):
    wire = rough_wire(baud=baud, bauds=bauds)
    assert wire.run_until(lambda: wire.settled() and rates(wire) == (expected, expected), 100)
    wire.run(1000)
    assert rates(wire) == (expected, expected)
    assert reasons(wire.host_events) == []


@pytest.mark.parametrize(("deaf", "expected"), [((MEGA,), 921_600), ((MEGA, 921_600, 460_800), BASE_RATE)])
def test_a_rate_that_the_wire_cannot_carry_is_given_up_without_losing_the_session(rough_wire, deaf, expected):
    wire = rough_wire(deaf=deaf)
    wire.run_until(lambda: wire.card.up)
    wire.card.send(m.DigitEvent(0, "5"))
    assert wire.run_until(lambda: wire.settled() and wire.host.rate == expected, 2500)
    wire.run(1000)
    assert rates(wire) == (expected, expected)
    assert wire.host.rate_fallbacks >= 2
    assert wire.card.rate_fallbacks >= 2
    assert reasons(wire.host_events) == []
    digits = [e.message.digit for e in wire.host_events if isinstance(e, Received)]
    assert digits == ["5"]


@pytest.mark.parametrize("seed", range(20))
def test_a_lost_answer_to_the_change_of_rate_parts_nobody(rough_wire, seed):
    wire = rough_wire(seed)
    wire.make_unkind(Mischief(loss=0.4, delay_ms=3))
    wire.run(600)
    wire.make_unkind(None)
    assert wire.run_until(wire.settled, 4000)
    wire.run(1000)
    assert wire.host.rate == wire.card.rate


def test_nothing_but_the_question_is_sent_while_the_rate_changes(rough_wire):
    wire = rough_wire()
    wire.make_unkind(None, Mischief(delay_ms=50))
    assert wire.run_until(lambda: wire.host._held, 500)
    wire.host.send(m.RingStop())
    wire.host.send_audio(0, 0, 0, bytes(80))
    held = wire.run_until(lambda: wire.host.rate == MEGA, 500)
    assert held
    assert not [e for e in wire.card_events if isinstance(e, Received)]
    assert wire.run_until(lambda: [e.message for e in wire.card_events if isinstance(e, Received)] == [m.RingStop()])


def test_a_card_that_restarts_at_the_high_rate_is_found_within_half_a_second(rough_wire):
    wire = rough_wire()
    assert wire.run_until(lambda: wire.settled() and wire.card.rate == MEGA)
    wire.run(100)
    wire.restart_card()
    assert wire.run_until(lambda: DownReason.RESET in reasons(wire.host_events), 500)
    assert wire.run_until(lambda: wire.settled() and rates(wire) == (MEGA, MEGA), 200)


def test_a_host_that_restarts_finds_a_card_that_kept_the_high_rate(rough_wire):
    wire = rough_wire()
    assert wire.run_until(lambda: wire.settled() and wire.card.rate == MEGA)
    wire.restart_host()
    assert wire.run_until(wire.settled, 500)
    assert rates(wire) == (MEGA, MEGA)
    assert reasons(wire.card_events) == [DownReason.REPLACED]


def test_a_card_that_kept_the_high_rate_and_missed_one_word_is_found_within_a_second(rough_wire):
    wire = rough_wire()
    assert wire.run_until(lambda: wire.settled() and wire.card.rate == MEGA)
    wire.restart_host()
    wire.cut = True
    wire.run(300)  # The first word at the card's rate is lost with this.
    wire.cut = False
    assert wire.run_until(wire.settled, 500)
    assert rates(wire) == (MEGA, MEGA)


def test_a_host_without_a_card_tries_the_known_rates_in_turn(rough_wire):
    wire = rough_wire()
    wire.cut = True
    seen = []
    for _ in range(3000):
        wire.run(1)
        if not seen or seen[-1] != wire.host.rate:
            seen.append(wire.host.rate)
    assert seen[:8:2] == [BASE_RATE] * 4
    assert seen[1:12:2] == [MEGA, MEGA, 2_000_000, 921_600, 460_800, 230_400], "one lost word is no verdict"


def test_an_abandoned_card_returns_to_the_low_rate(rough_wire):
    wire = rough_wire()
    assert wire.run_until(lambda: wire.card.rate == MEGA)
    wire.cut = True
    wire.run(3200)
    assert wire.card.rate == BASE_RATE


def test_the_card_gives_up_after_the_lease_that_the_host_asked_for(rough_wire):
    wire = rough_wire(lease=HostLease(700))
    assert wire.run_until(wire.settled)
    wire.run(5000)
    assert wire.card.up
    wire.host_stalled_until = 1 << 40
    wire.run(600)
    assert wire.card.up
    wire.run(150)
    assert not wire.card.up
    assert reasons(wire.card_events) == [DownReason.SILENT]


@pytest.mark.parametrize("ms", [0, 499, 60_001])
def test_a_lease_has_bounds(ms, rough_wire):
    with pytest.raises(ValueError, match=f"lease of {ms} ms"):
        HostLease(ms)


def test_an_edge_is_told_on_the_hosts_clock(rough_wire):
    wire = rough_wire(card_clock_ms=987_654_321)
    wire.make_unkind(Mischief(delay_ms=4))
    assert wire.run_until(wire.settled)
    wire.run(3000)
    happened = wire.now
    wire.cut = True
    wire.card.send(m.HookEvent((happened + wire.card_clock_ms) * 1000, off_hook=True))
    wire.run(400)
    wire.cut = False
    assert wire.run_until(lambda: any(isinstance(e, Received) for e in wire.host_events))
    (edge,) = [e for e in wire.host_events if isinstance(e, Received)]
    assert abs(edge.at_ms - happened) <= 4


def test_a_new_session_is_told_with_the_rates_and_capabilities_of_the_card(rough_wire):
    wire = rough_wire()
    assert wire.run_until(wire.settled)
    (up,) = [event for event in wire.host_events if isinstance(event, LinkUp)]
    assert up.peer.bauds == wire.bauds
