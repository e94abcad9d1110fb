"""What a household's telephone hears, shows and dials, with a real operator and real peers behind it."""

from __future__ import annotations

import msgspec
import pytest

from agent.core.terms import CallPhase, Direction, Tone
from agent.data import load_tones
from firmware_bridge import Absence, Caller
from firmware_bridge.caller_id import read_message
from firmware_bridge.messages import ToneProgram, ToneSegment
from firmware_bridge.simulator.ear import which_tone
from firmware_bridge.v23 import demodulate

pytestmark = [pytest.mark.e2e, pytest.mark.peer("kamailio", "sipp")]

TONES = {
    tone.value: ToneProgram(
        spec.level_dbm0, tuple(ToneSegment(tuple(part.frequencies), part.ms) for part in spec.segments), spec.once
    )
    for tone, spec in load_tones().tones.items()
}


def hears(phone, tone, timeout=20):
    """By rhythm and frequencies alone."""
    return phone.wait_to_hear(lambda: which_tone(phone.recording(), TONES) == tone, timeout)


def called(adapter, caller, sender, more="X-Nothing: here"):
    """Somebody calls the second telephone; it rings."""
    peer = caller("call_as", adapter.subscribers[1].number, "-key", "sender", sender, "-key", "more", more)
    phone = adapter.phones[1]
    assert phone.wait_for(lambda: phone.ringing, 10)
    return peer, phone


def taken(adapter, peer, phone):
    """The call is answered and ended at the telephone."""
    phone.off_hook()
    adapter.agent.call(direction=Direction.INCOMING, phase=CallPhase.ANSWERED, line=1)
    phone.on_hook()
    peer.finish()


@pytest.mark.parametrize(
    ("sender", "shown"),
    [
        ('"Kåre Bjørnson" <sip:+4722000098@peers.example>', Caller("22000098", "Kare Bjornson")),
        ("<sip:+46812345678@peers.example>", Caller("0046812345678")),
        ('"Anonymous" <sip:anonymous@anonymous.invalid>', Caller(Absence.WITHHELD)),
        ("<sip:unavailable@unknown.invalid>", Caller(Absence.UNAVAILABLE)),
    ],
)
def test_who_calls_is_on_the_wires_behind_the_first_ring_and_on_the_display(adapter, caller, sender, shown):
    peer, phone = called(adapter, caller, sender)
    assert phone.wait_to_hear(lambda: phone.shows is not None, 15)
    assert phone.shows == shown
    assert read_message(demodulate(phone.wires())).caller == shown
    taken(adapter, peer, phone)


@pytest.mark.parametrize(
    ("more", "cadence"),
    [
        ("Alert-Info: <http://127.0.0.1/Bellcore-dr3>", (400, 200, 400, 200, 800, 4000)),
        ("Alert-Info: <urn:alert:source:internal>", (800, 400, 800, 4000)),
        ("Alert-Info: <http://example.com/melody.wav>", (1000, 4000)),
    ],
)
def test_the_telephone_rings_as_the_invite_asks(adapter, caller, more, cadence):
    peer, phone = called(adapter, caller, "<sip:+4722000098@peers.example>", more)
    assert phone.cadence == cadence
    taken(adapter, peer, phone)


def test_a_dial_with_finger_holes_calls_and_the_ear_knows_each_tone(adapter, callee):
    peer = callee("busy", "22000031")
    phone = adapter.phones[0]
    phone.off_hook()
    assert hears(phone, "dial")
    phone.dial_by_pulses("22000031", gap_ms=400)
    assert adapter.agent.call(timeout=30, phase=CallPhase.ENDED).number == "+4722000031"
    peer.finish()
    assert adapter.plays(Tone.BUSY)
    assert hears(phone, "busy")


def test_a_hook_pressed_too_long_hangs_up_and_gives_dial_tone_again(adapter, callee):
    peer = callee("answer", "22000032")
    phone = adapter.dial("22000032")
    adapter.agent.call(phase=CallPhase.ANSWERED)
    phone.flash(700)
    peer.finish()
    assert hears(phone, "dial")


def test_a_withheld_number_is_seen_by_the_operator_and_not_by_the_called_party(adapter, callee):
    configured = adapter.agent.configuration
    first, second = configured.lines
    hidden = [msgspec.structs.replace(first, clir=True), second]
    adapter.agent.configure(msgspec.structs.replace(configured, revision="clir", lines=hidden))
    assert adapter.agent.wait(lambda: any(log.event == "configuration_in_force" and log.detail == "clir"
                                          for log in adapter.agent.logs))  # fmt: skip
    try:
        peer = callee("answer", "22000033")
        phone = adapter.dial("22000033")
        adapter.agent.call(phase=CallPhase.ANSWERED)
        invite = peer.messages().partition("\r\n\r\n")[0]
        phone.on_hook()
        peer.finish()
    finally:
        adapter.agent.configure(msgspec.structs.replace(configured, revision="clir-over"))
    assert 'From: "Anonymous" <sip:anonymous@anonymous.invalid>' in invite
    assert "Privacy: id" in invite
    assert f"P-Preferred-Identity: <sip:{adapter.subscribers[0].number}@" in invite
