"""Calls from a telephone to SIPp, through Kamailio."""

from __future__ import annotations

import pytest

from agent.core.events import CallPhase, Cause, Party, Tone

pytestmark = [pytest.mark.e2e, pytest.mark.peer("kamailio", "sipp")]

VOICE_HZ = 900
TONE_HZ = 425


def dials(adapter, digits, line=0):
    phone = adapter.phones[line]
    phone.off_hook()
    assert phone.wait_for(lambda: phone.hears(TONE_HZ, 100) > -20, 5), "no dial tone"
    phone.dial(digits)
    return phone


def hears(phone, hz, timeout=5):
    return phone.wait_for(lambda: phone.hears(hz) > -20, timeout)


def test_an_answered_call_brings_the_phones_own_voice_back_and_ends_with_our_bye(adapter, callee):
    peer = callee("answer", "22000001")
    phone = dials(adapter, "22000001")
    call = adapter.agent.call(phase=CallPhase.ANSWERED)
    assert (call.number, call.account) == ("+4722000001", adapter.subscribers[0].user)
    assert phone.hears(VOICE_HZ) < -50
    phone.speak(VOICE_HZ)
    assert hears(phone, VOICE_HZ)
    assert phone.hears(1300) < -40
    phone.on_hook()
    peer.finish()
    ended = adapter.agent.call(call_id=call.call_id, phase=CallPhase.ENDED)
    assert (ended.cause, ended.released_by) == (Cause.NORMAL, Party.LOCAL)
    assert ended.stats.codec == "PCMA/8000"
    assert ended.stats.rx_packets > 10
    assert ended.stats.rx_lost == 0


def test_the_far_end_hangs_up(adapter, callee):
    peer = callee("answer_and_hang_up", "22000002")
    phone = dials(adapter, "22000002")
    ended = adapter.agent.call(phase=CallPhase.ENDED)
    assert (ended.cause, ended.released_by) == (Cause.NORMAL, Party.REMOTE)
    assert ended.ended_ms - ended.answered_ms == pytest.approx(500, abs=400)
    peer.finish()
    assert adapter.agent.wait(lambda: adapter.agent.lines[0].tone is Tone.CONGESTION)
    assert hears(phone, TONE_HZ)


def test_a_busy_callee_gives_the_busy_tone(adapter, callee):
    peer = callee("busy", "22000003")
    phone = dials(adapter, "22000003")
    ended = adapter.agent.call(phase=CallPhase.ENDED)
    assert (ended.cause, ended.sip_code, ended.answered_ms) == (Cause.BUSY, 486, None)
    peer.finish()
    assert adapter.agent.wait(lambda: adapter.agent.lines[0].tone is Tone.BUSY)
    assert phone.wait_for(lambda: phone.tone and [part.ms for part in phone.tone.segments] == [500, 500], 5)
    assert hears(phone, TONE_HZ)


def test_the_caller_hangs_up_while_it_rings_and_the_callee_gets_a_cancel(adapter, callee):
    peer = callee("ring", "22000004")
    phone = dials(adapter, "22000004")
    adapter.agent.call(phase=CallPhase.RINGING)
    assert adapter.agent.wait(lambda: adapter.agent.lines[0].tone is Tone.RINGBACK)
    phone.on_hook()
    peer.finish()
    ended = adapter.agent.call(phase=CallPhase.ENDED)
    assert (ended.cause, ended.released_by, ended.answered_ms) == (Cause.CANCELLED, Party.LOCAL, None)


def test_a_number_that_the_operator_does_not_know_gives_the_special_tone(adapter):
    dials(adapter, "22000009")
    ended = adapter.agent.call(phase=CallPhase.ENDED)
    assert (ended.cause, ended.sip_code) == (Cause.NO_SUCH_NUMBER, 404)
    assert adapter.agent.wait(lambda: adapter.agent.lines[0].tone is Tone.SPECIAL)


def test_both_telephones_speak_at_once_and_each_hears_its_own_voice(adapter, callee):
    peers = [callee("answer", f"2200001{line}") for line in range(2)]
    phones = [dials(adapter, f"2200001{line}", line) for line in range(2)]
    assert adapter.agent.wait(lambda: [call.phase for call in adapter.agent.calls.values()] == [CallPhase.ANSWERED] * 2)
    for phone, hz in zip(phones, (900, 1300), strict=True):
        phone.speak(hz)
    assert hears(phones[0], 900)
    assert hears(phones[1], 1300)
    assert (phones[0].hears(1300) < -40, phones[1].hears(900) < -40) == (True, True)
    for phone in phones:
        phone.on_hook()
    for peer in peers:
        peer.finish()
