"""Calls from a telephone to SIPp, through Kamailio."""

from __future__ import annotations

import pytest

from agent.core.terms import CallPhase, Cause, Party, Tone

pytestmark = [pytest.mark.e2e, pytest.mark.peer("kamailio", "sipp")]

VOICE_HZ = 900
TONE_HZ = 425


def test_an_answered_call_brings_the_phones_own_voice_back_and_ends_with_our_bye(adapter, callee):
    peer = callee("answer", "22000001")
    phone = adapter.dial("22000001")
    call = adapter.agent.call(phase=CallPhase.ANSWERED)
    assert (call.number, call.account) == ("+4722000001", adapter.subscribers[0].user)
    assert phone.hears(VOICE_HZ) < -50
    phone.speak(VOICE_HZ)
    assert adapter.hears(VOICE_HZ)
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
    adapter.dial("22000002")
    ended = adapter.agent.call(phase=CallPhase.ENDED)
    assert (ended.cause, ended.released_by) == (Cause.NORMAL, Party.REMOTE)
    assert ended.ended_ms - ended.answered_ms == pytest.approx(500, abs=400)
    peer.finish()
    assert adapter.plays(Tone.CONGESTION)
    assert adapter.hears(TONE_HZ)


def test_a_busy_callee_gives_the_busy_tone(adapter, callee):
    peer = callee("busy", "22000003")
    phone = adapter.dial("22000003")
    ended = adapter.agent.call(phase=CallPhase.ENDED)
    assert (ended.cause, ended.sip_code, ended.answered_ms) == (Cause.BUSY, 486, None)
    peer.finish()
    assert adapter.plays(Tone.BUSY)
    assert phone.wait_for(lambda: phone.tone and [part.ms for part in phone.tone.segments] == [500, 500], 10)
    assert adapter.hears(TONE_HZ)


def test_the_caller_hangs_up_while_it_rings_and_the_callee_gets_a_cancel(adapter, callee):
    peer = callee("ring", "22000004")
    before = len(adapter.story())
    phone = adapter.dial("22000004")
    adapter.agent.call(phase=CallPhase.RINGING)
    assert adapter.plays(Tone.RINGBACK)
    phone.on_hook()
    peer.finish()
    ended = adapter.agent.call(phase=CallPhase.ENDED)
    assert (ended.cause, ended.released_by, ended.answered_ms) == (Cause.CANCELLED, Party.LOCAL, None)
    assert "sip_library" not in adapter.story()[before:]


def test_a_number_that_the_operator_does_not_know_gives_the_special_tone(adapter):
    adapter.dial("22000009")
    ended = adapter.agent.call(phase=CallPhase.ENDED)
    assert (ended.cause, ended.sip_code) == (Cause.NO_SUCH_NUMBER, 404)
    assert adapter.plays(Tone.SPECIAL)


def test_both_telephones_speak_at_once_and_each_hears_its_own_voice(adapter, callee):
    peers = [callee("answer", f"2200001{line}") for line in range(2)]
    phones = [adapter.dial(f"2200001{line}", line) for line in range(2)]
    assert adapter.agent.wait(lambda: [call.phase for call in adapter.agent.calls.values()] == [CallPhase.ANSWERED] * 2)
    for phone, hz in zip(phones, (900, 1300), strict=True):
        phone.speak(hz)
    assert adapter.hears(900, 0)
    assert adapter.hears(1300, 1)
    assert (phones[0].hears(1300) < -40, phones[1].hears(900) < -40) == (True, True)
    for phone in phones:
        phone.on_hook()
    for peer in peers:
        peer.finish()


def test_early_media_is_heard_instead_of_the_ringback_tone(adapter, callee):
    peer = callee("early_media", "22000005")
    phone = adapter.dial("22000005")
    call = adapter.agent.call(phase=CallPhase.RINGING)
    phone.speak(VOICE_HZ)
    assert adapter.hears(VOICE_HZ)
    assert (adapter.agent.lines[0].tone, adapter.agent.calls[call.call_id].answered_ms) == (None, None)
    adapter.agent.call(phase=CallPhase.ANSWERED)
    assert adapter.hears(VOICE_HZ)
    phone.on_hook()
    peer.finish()


def test_speech_comes_back_after_the_far_end_has_held_the_call(adapter, callee):
    peer = callee("answer_and_hold", "22000006")
    phone = adapter.dial("22000006")
    call = adapter.agent.call(phase=CallPhase.ANSWERED)
    phone.speak(VOICE_HZ)
    assert adapter.hears(VOICE_HZ)
    assert peer.sees("a=recvonly"), "our answer to a hold"
    assert peer.sees("resumed")
    phone.speak(1300)
    assert adapter.hears(1300)
    assert adapter.agent.calls[call.call_id].phase is CallPhase.ANSWERED
    phone.on_hook()
    peer.finish()
    ended = adapter.agent.call(call_id=call.call_id, phase=CallPhase.ENDED)
    # Every negotiation begins a new stream: the sum counts all three.
    assert ended.stats.rx_packets > 50


def test_a_redirection_to_another_number_is_not_followed(operator, adapter, callee):
    peer = callee("redirect", "22000007")
    adapter.dial("22000007")
    ended = adapter.agent.call(phase=CallPhase.ENDED)
    peer.finish()
    assert (ended.cause, ended.released_by, ended.answered_ms) == (Cause.REDIRECTED, Party.REMOTE, None)
    assert adapter.plays(Tone.CONGESTION)
    assert not operator.log.holding("INVITE", "to=+4782000000")
