"""Calls from SIPp to a telephone, through Kamailio, and from strangers who try without it."""

from __future__ import annotations

import msgspec
import pytest

from agent.core.terms import CallPhase, Cause, Direction, Party
from agent.gateway.protocol import Route

pytestmark = [pytest.mark.e2e, pytest.mark.peer("kamailio", "sipp")]

VOICE_HZ = 900


def rings(phone):
    return phone.wait_for(lambda: phone.ringing, 5)


def in_conversation(adapter, callee, dialled="22000021"):
    """The first telephone in a call with itself: it hears its own voice."""
    peer = callee("answer", dialled)
    phone = adapter.dial(dialled)
    call = adapter.agent.call(phase=CallPhase.ANSWERED)
    phone.speak(VOICE_HZ)
    assert adapter.hears(VOICE_HZ, phone.line)
    return peer, phone, call


def test_an_incoming_call_rings_its_own_telephone_and_ends_with_our_bye(adapter, caller):
    peer = caller("call", adapter.subscribers[1].number)
    silent, phone = adapter.phones
    assert rings(phone)
    assert phone.wait_for(lambda: phone.display == "22000099", 10)
    assert not silent.ringing
    phone.off_hook()
    call = adapter.agent.call(direction=Direction.INCOMING, phase=CallPhase.ANSWERED, line=1)
    assert call.account == adapter.subscribers[1].user
    phone.speak(VOICE_HZ)
    assert adapter.hears(VOICE_HZ, phone.line)
    phone.on_hook()
    peer.finish()
    ended = adapter.agent.call(call_id=call.call_id, phase=CallPhase.ENDED)
    assert (ended.cause, ended.released_by) == (Cause.NORMAL, Party.LOCAL)


def test_each_number_of_one_registration_rings_its_own_telephone(operator, household, new_adapter, caller):
    one, other = household()
    operator.route(other.number, f"aor:{one.user}")
    adapter = new_adapter([one]).ready()
    both = [Route(number=one.number, account=one.user, lines=[0]),
            Route(number=other.number, account=one.user, lines=[1])]  # fmt: skip
    adapter.agent.configure(msgspec.structs.replace(adapter.agent.configuration, revision="both", routes=both))
    assert adapter.agent.wait(lambda: any(log.detail == "both" for log in adapter.agent.logs))
    for at, number in enumerate((one.number, other.number)):
        peer = caller("call_and_cancel", number)
        assert rings(adapter.phones[at])
        assert not adapter.phones[1 - at].ringing
        peer.finish()
        assert adapter.phones[at].wait_for(lambda phone=adapter.phones[at]: not phone.ringing, 10)
        assert adapter.agent.call(own_number=number, phase=CallPhase.ENDED).cause is Cause.CANCELLED


def test_an_incoming_call_ends_when_the_caller_hangs_up(adapter, caller):
    peer = caller("call_and_hang_up", adapter.subscribers[0].number)
    phone = adapter.phones[0]
    assert rings(phone)
    phone.off_hook()
    peer.finish()
    ended = adapter.agent.call(phase=CallPhase.ENDED)
    assert (ended.cause, ended.released_by, ended.line) == (Cause.NORMAL, Party.REMOTE, 0)
    assert ended.ended_ms - ended.answered_ms == pytest.approx(500, abs=400)


def test_a_caller_who_gives_up_stops_the_ringing(adapter, caller):
    peer = caller("call_and_cancel", adapter.subscribers[0].number)
    phone = adapter.phones[0]
    assert rings(phone)
    peer.finish()
    assert phone.wait_for(lambda: not phone.ringing, 10)
    ended = adapter.agent.call(phase=CallPhase.ENDED)
    assert (ended.cause, ended.released_by, ended.answered_ms) == (Cause.CANCELLED, Party.REMOTE, None)


def test_a_caller_finds_the_line_busy_while_its_telephone_speaks(adapter, callee, caller):
    peer, phone, call = in_conversation(adapter, callee, "22000022")
    caller("call_busy_line", adapter.subscribers[0].number).finish()
    refused = adapter.agent.call(direction=Direction.INCOMING, phase=CallPhase.ENDED)
    assert (refused.cause, refused.sip_code) == (Cause.NO_LINE_FREE, 486)
    assert adapter.agent.calls[call.call_id].phase is CallPhase.ANSWERED
    phone.on_hook()
    peer.finish()


def test_a_delayed_offer_through_the_registrar_becomes_a_call_with_speech(adapter, caller):
    peer = caller("call_without_offer", adapter.subscribers[0].number)
    phone = adapter.phones[0]
    assert rings(phone)
    phone.off_hook()
    adapter.agent.call(direction=Direction.INCOMING, phase=CallPhase.ANSWERED)
    phone.speak(VOICE_HZ)
    assert adapter.hears(VOICE_HZ, phone.line)
    phone.on_hook()
    peer.finish()
    assert adapter.agent.call(phase=CallPhase.ENDED).cause is Cause.NORMAL


def test_a_strangers_invite_without_sdp_is_refused_and_a_call_goes_on_undisturbed(operator, adapter, callee, sipp):
    peer, phone, call = in_conversation(adapter, callee)
    contact = operator.contacts(adapter.subscribers[0].user)[0]
    process = adapter.process.pid
    for user in ("stranger", adapter.subscribers[1].user):
        sipp("stranger", "-s", user, contact.split("@")[1].split(";")[0], address="127.0.0.2").finish()
    assert adapter.agent.wait(lambda: sum(log.event == "sip_stranger_refused" for log in adapter.agent.logs) >= 2)
    assert not any(one.ringing for one in adapter.phones)
    # A new pitch shows that speech still flows now, not what was heard before.
    phone.speak(1300)
    assert adapter.hears(1300)
    assert adapter.hears_no(VOICE_HZ)
    assert (adapter.process.poll(), adapter.process.pid) == (None, process)
    assert list(adapter.agent.calls) == [call.call_id]
    phone.on_hook()
    peer.finish()
