"""What the card sends of a caller, as sound on the wires, and what a telephone makes of it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge import messages as m
from firmware_bridge.caller_id import Absence, Caller, CallerIdError, call_setup, dtmf, message_waiting, read_dtmf
from firmware_bridge.link_events import AudioReceived
from firmware_bridge.simulator.display import Display
from firmware_bridge.tonemeter import level_dbm0
from firmware_bridge.v23 import Modem, demodulate
from firmware_bridge.vocabulary import CidPlacement, CidStandard, DoneResult, PolarityMode, Status, VmwiMode
from tests.unit.firmware_bridge.card_bench import CardBench

KARI = Caller("22334455", "Kari Nordmann", "11291830")
PUBLISHED = bytes.fromhex("80 20 01 08 3033323430393032 07 08 4A4F484E20444F45 02 0A 38303035353531323132 84")
"""JOHN DOE, 800-555-1212, 24 March 09:02, as manufacturers print it; see test_caller_id.py."""
RING = m.RingStart((1000, 4000))


class Bench(CardBench):
    """With one telephone that is called."""

    def __init__(self):
        super().__init__()
        self.phone, self.other = self.phones
        self.line = self.card.lines[0]

    def ends(self):
        return [one.result for one in self.told(m.CidDoneEvent)]

    def bursts(self):
        return [(one.t_us // 1000, one.on) for one in self.told(m.RingPhaseEvent)]


@pytest.fixture
def bench():
    return Bench()


def send(message, standard=CidStandard.ETSI_FSK, placement=CidPlacement.AFTER_FIRST_RING):
    return m.CidSend(standard, placement, message)


def test_a_published_message_sounds_between_the_first_and_the_second_ring_and_is_demodulated(bench):
    assert bench.order(send(PUBLISHED)) is Status.OK
    assert bench.order(RING) is Status.OK
    bench.run(1000)
    assert (bench.phone.shows, bench.phone.wires()) == (None, b"")
    bench.run(3900)
    assert [on for _, on in bench.bursts()] == [True, False]
    assert bench.ends() == [DoneResult.COMPLETE]
    assert demodulate(bench.phone.wires()) == PUBLISHED
    assert bench.phone.shows == Caller("8005551212", "JOHN DOE", "03240902")
    first_ended, shown_ms = bench.bursts()[1][0], bench.told(m.CidDoneEvent)[0].t_us // 1000
    assert first_ended + 500 < shown_ms < first_ended + 4000, "between two rings, and clear of both"


@pytest.mark.parametrize(
    ("standard", "modem"), [(CidStandard.ETSI_FSK, Modem.V23), (CidStandard.BELLCORE_FSK, Modem.BELL_202)]
)
def test_either_modem_is_shown(bench, standard, modem):
    bench.order(send(call_setup(KARI), standard))
    bench.order(RING)
    bench.run(4000)
    assert bench.phone.shows == KARI
    assert demodulate(bench.phone.wires(), modem=modem) == call_setup(KARI)


@pytest.mark.parametrize(
    "caller", [KARI, Caller(Absence.WITHHELD), Caller(Absence.UNAVAILABLE), Caller(Absence.WITHHELD, Absence.WITHHELD)]
)
def test_a_telephone_shows_who_calls_or_why_not(bench, caller):
    bench.order(send(call_setup(caller)))
    bench.order(RING)
    bench.run(4000)
    assert bench.phone.shows == caller
    assert bench.phone.display == (caller.number if isinstance(caller.number, str) else "")


def test_before_the_ring_a_tone_wakes_the_telephone_and_the_bell_waits_for_the_data(bench):
    bench.order(send(call_setup(KARI), placement=CidPlacement.BEFORE_RING))
    bench.order(RING)
    assert bench.phone.ringing
    bench.run(100)
    assert all(level_dbm0(bench.phone.wires()[:1600], hz) > -18 for hz in (2130, 2750))
    bench.run(1500)
    assert bench.phone.shows == KARI
    assert bench.ends() == [DoneResult.COMPLETE]
    shown_ms = bench.told(m.CidDoneEvent)[0].t_us // 1000
    bench.run(2000)
    assert bench.bursts()[0][1]
    assert bench.bursts()[0][0] >= shown_ms


@pytest.mark.parametrize("caller", [Caller("22334455"), Caller(Absence.WITHHELD), Caller(Absence.UNAVAILABLE)])
def test_keys_show_a_caller_too_after_the_wires_have_changed_places(bench, caller):
    assert bench.order(m.SetPolarity(PolarityMode.REVERSE)) is Status.OK
    assert bench.line.reversed
    bench.order(send(dtmf(caller).encode(), CidStandard.DTMF, CidPlacement.BEFORE_RING))
    bench.order(RING)
    bench.run(3000)
    assert bench.phone.shows == caller
    assert bench.ends() == [DoneResult.COMPLETE]
    assert bench.order(m.SetPolarity(PolarityMode.FORWARD)) is Status.OK
    assert not bench.line.reversed


def test_whoever_lifts_at_the_first_ring_sees_nothing_and_hears_no_data(bench):
    bench.order(send(call_setup(KARI)))
    bench.order(RING)
    bench.run(1800)
    bench.phone.off_hook()
    bench.run(2000)
    assert bench.ends() == [DoneResult.OFF_HOOK]
    assert bench.phone.shows is None
    assert level_dbm0(bench.phone.recording(1500), 1300) < -80


def test_a_cadence_without_a_pause_that_is_long_enough_shows_nothing_and_the_next_call_is_not_confused(bench):
    bench.order(send(call_setup(KARI)))
    bench.order(m.RingStart((500, 500)))
    bench.run(4000)
    bench.order(m.RingStop())
    assert bench.ends() == [DoneResult.STOPPED]
    bench.order(RING)
    bench.run(4000)
    assert bench.phone.shows is None


def test_the_british_ringing_shows_it_in_its_long_pause(bench):
    bench.order(send(call_setup(Caller("22334455"))))
    bench.order(m.RingStart((400, 200, 400, 2000)))
    bench.run(3000)
    assert bench.phone.display == "22334455"


def test_the_number_that_the_order_to_ring_brings_is_shown_unless_there_is_a_message(bench):
    bench.order(m.RingStart((1000, 4000), caller="+4722334455"))
    bench.run(4000)
    assert bench.phone.display == "+4722334455"
    bench.order(m.RingStop())
    bench.order(send(call_setup(KARI)))
    bench.order(m.RingStart((1000, 4000), caller="0"))
    assert bench.phone.shows is None
    bench.run(4000)
    assert bench.phone.shows == KARI


def said(bench, first, last=None):
    """The frames of speech that the far end got."""
    return [one.data for one in bench.seen if isinstance(one, AudioReceived)][first:last]


def silent(frames):
    return bool(frames) and all(frame == b"\xd5" * 80 for frame in frames)


def talking(bench):
    bench.phone.off_hook()
    bench.run(50)
    bench.order(m.AudioStart())
    bench.phone.speak(600)
    bench.run(300)


def test_in_a_conversation_the_telephone_is_asked_answers_and_shows_the_call_that_waits(bench):
    talking(bench)
    before = len(said(bench, 0))
    assert bench.order(send(call_setup(KARI), placement=CidPlacement.NOW)) is Status.OK
    bench.run(80)
    assert all(level_dbm0(bench.phone.recording(60), hz) > -18 for hz in (2130, 2750))
    bench.run(1500)
    assert bench.ends() == [DoneResult.COMPLETE]
    assert bench.phone.shows == KARI
    assert bench.told(m.DigitEvent) == [], "the telephone's answer is nobody's key"
    assert silent(said(bench, before + 2, before + 60)), "the far end hears neither tone nor answer"
    now = len(said(bench, 0))
    bench.run(100)
    assert not silent(said(bench, now)), "and then goes on as before"


def test_a_telephone_that_cannot_show_it_in_mid_call_costs_a_moment_of_silence(bench):
    talking(bench)
    bench.line.display.in_calls = False
    bench.order(send(call_setup(KARI), placement=CidPlacement.NOW))
    bench.run(600)
    assert bench.ends() == [DoneResult.FAILED]
    assert bench.phone.shows is None
    now = len(said(bench, 0))
    bench.run(100)
    assert not silent(said(bench, now)), "speech goes on"


def test_the_lamp_for_messages_is_lit_and_put_out(bench):
    for on in (True, False):
        bench.order(send(message_waiting(waiting=on), placement=CidPlacement.NOW))
        bench.run(1500)
        assert bench.phone.message_lamp is on


def test_the_card_waits_with_the_lamp_for_messages_until_the_handset_is_down(bench):
    bench.phone.off_hook()
    bench.run(50)
    assert bench.order(m.SetVmwi(VmwiMode.FSK)) is Status.OK
    bench.run(1500)
    assert not bench.phone.message_lamp
    bench.phone.on_hook()
    bench.run(2500)
    assert bench.phone.message_lamp
    assert bench.order(m.SetVmwi(VmwiMode.NEON)) is Status.UNSUPPORTED


@pytest.mark.parametrize(
    ("message", "standard", "status"),
    [(b"", CidStandard.ETSI_FSK, Status.INVALID), (b"A22x4C", CidStandard.DTMF, Status.INVALID)],
)
def test_what_cannot_be_sent_is_refused(bench, message, standard, status):
    assert bench.order(send(message, standard)) is status


def test_a_call_that_comes_while_the_lamp_is_lit_rings_at_once_and_shows_its_number(bench):
    bench.order(m.SetVmwi(VmwiMode.FSK))
    bench.run(300)
    assert bench.order(send(call_setup(KARI))) is Status.BUSY
    bench.order(m.RingStart((1000, 4000), caller="22334455"))
    bench.run(4500)
    assert bench.bursts()[0][1]
    assert bench.phone.display == "22334455"


def test_one_thing_at_a_time(bench):
    assert bench.order(send(call_setup(KARI), placement=CidPlacement.NOW)) is Status.OK
    assert bench.order(send(call_setup(KARI), placement=CidPlacement.NOW)) is Status.BUSY
    bench.run(2000)
    bench.order(RING)
    assert bench.order(send(call_setup(KARI), placement=CidPlacement.NOW)) is Status.BUSY
    assert bench.order(send(call_setup(KARI), placement=CidPlacement.BEFORE_RING)) is Status.BUSY


@pytest.mark.parametrize("keys", ["", "C", "AC", "A12", "B11C", "22334455C", "A1B2C"])
def test_keys_that_announce_nobody_are_refused(keys):
    with pytest.raises(CallerIdError, match="where the keys of a caller stand"):
        read_dtmf(keys)


@given(st.text("0123456789*#ABCD", max_size=30) | st.text(max_size=30))
def test_any_keys_announce_somebody_or_are_refused(keys):
    try:
        caller = read_dtmf(keys)
    except CallerIdError:
        return
    assert isinstance(caller.number, Absence) or dtmf(caller) == keys[: len(dtmf(caller)) - 1] + "C"


@settings(deadline=None, max_examples=25)
@given(st.lists(st.binary(min_size=160, max_size=160), max_size=12), st.booleans())
def test_any_sound_on_the_wires_shows_nobody_and_harms_nothing(ticks, in_a_conversation):
    display = Display()
    for pcm in ticks:
        if in_a_conversation:
            display.in_ear(pcm)
        else:
            display.on_wires(pcm)
    assert display.caller is None


def test_a_message_that_arrives_damaged_is_counted_and_the_next_is_read(bench):
    damaged = bytearray(call_setup(KARI))
    damaged[-1] ^= 0xFF
    bench.order(send(bytes(damaged)))
    bench.order(RING)
    bench.run(4000)
    assert (bench.phone.shows, bench.line.display.damaged) == (None, 1)
    bench.order(m.RingStop())
    bench.order(send(call_setup(KARI)))
    bench.order(RING)
    bench.run(4000)
    assert bench.phone.shows == KARI
