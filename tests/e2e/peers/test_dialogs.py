"""What can happen between the answer and the end of a call, as SIPp plays it: sessions, keys, and what crosses."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from agent.core.terms import CallPhase, Cause, Party, Tone
from agent.data import load_services
from firmware_bridge.tonemeter import level_dbm0
from tests.e2e.peers.capture import write_keys
from tests.e2e.peers.conftest import PATIENCE_S
from tests.e2e.peers.play import EVENT_TYPE, Callee, Caller

pytestmark = [pytest.mark.e2e, pytest.mark.peer("kamailio", "sipp")]

VOICE_HZ = 900
_numbers = itertools.count(22000701)
_revisions = itertools.count()


@pytest.fixture
def friend(operator, sipp, tmp_path):
    """Somebody with a number of his own who plays these steps; returns the number as it is dialled."""

    def start(steps, *arguments, **options):
        number = str(next(_numbers))
        peer = sipp(steps.write(tmp_path, f"friend-{number}"), *arguments, **options)
        operator.route(f"+47{number}", peer.uri)
        return number, peer

    return start


@pytest.fixture
def sessions(adapter):
    """Let the adapter ask for sessions of so many seconds."""

    def ask(seconds):
        before = adapter.agent.configuration
        revision = f"sessions {next(_revisions)}"
        accounts = [msgspec.structs.replace(one, session_s=seconds) for one in before.accounts]
        adapter.agent.configure(msgspec.structs.replace(before, revision=revision, accounts=accounts))
        assert adapter.agent.wait(lambda: any(log.detail == revision for log in adapter.agent.logs))
        assert adapter.agent.registered()

    was = adapter.agent.configuration
    yield ask
    adapter.rest()
    adapter.agent.configure(was)


def use_services(adapter):
    """Let the R key hold calls."""
    revision = f"services {next(_revisions)}"
    wanted = msgspec.structs.replace(adapter.agent.configuration, revision=revision, services=load_services())
    adapter.agent.configure(wanted)
    assert adapter.agent.wait(lambda: any(log.detail == revision for log in adapter.agent.logs))


def calls(adapter, number, line=0):
    """A call that is answered, and in which each hears the other."""
    phone = adapter.dial(number, line)
    call = adapter.agent.call(number=f"+47{number}", phase=CallPhase.ANSWERED)
    phone.speak(VOICE_HZ)
    assert adapter.hears(VOICE_HZ, line)
    return phone, call


def ended(adapter, call, timeout=PATIENCE_S):
    return adapter.agent.call(timeout, call_id=call.call_id, phase=CallPhase.ENDED)


# --- session timers (RFC 4028) ---------------------------------------------------------------------------------------


def test_a_longer_session_than_ours_is_taken_where_the_far_end_asks_for_it(adapter, friend, sessions):
    sessions(600)
    steps = Callee().invited("Session-Expires: 600").refuses("422 Session Interval Too Small", "Min-SE: 900")
    number, peer = friend(steps.invited("Session-Expires: 900").answers().is_left())
    phone, call = calls(adapter, number)
    phone.on_hook()
    peer.finish()
    assert ended(adapter, call).cause is Cause.NORMAL
    assert peer.messages().count("Min-SE: 900") >= 2, "theirs, and then ours"


def test_a_caller_whose_session_is_too_short_is_told_the_least(adapter, operator, sipp, tmp_path):
    steps = Caller("Supported: timer", "Session-Expires: 30").is_refused(422, "Min-SE: 90")
    sipp(steps.write(tmp_path, "brief"), "-s", adapter.subscribers[0].number, f"127.0.0.1:{operator.port}").finish()
    assert not adapter.phones[0].ringing


def test_a_far_end_that_refreshes_by_update_and_by_invite_is_answered_and_the_call_goes_on(adapter, friend, sessions):
    sessions(90)
    steps = Callee().invited("Session-Expires: 90").rings().answers(refresher="uas", methods="INVITE, ACK, BYE, UPDATE")
    number, peer = friend(steps.waits(500).refreshes("UPDATE").refreshes("INVITE").is_left())
    phone, call = calls(adapter, number)
    assert peer.sees("CSeq: 2 ACK"), peer.story()
    phone.speak(1900)
    assert adapter.hears(1900)
    phone.on_hook()
    peer.finish()
    assert ended(adapter, call).cause is Cause.NORMAL


@pytest.mark.slow  # the shortest session lasts ninety seconds, and is refreshed after half of them
def test_we_refresh_by_what_the_far_end_can_do_and_end_what_it_does_not_refresh(adapter, friend, sessions):
    use_services(adapter)
    sessions(90)
    long, able = ("-timeout", "100s"), "INVITE, ACK, BYE, UPDATE"
    begins = Callee().invited().answers(refresher="uac", methods=able).is_held(refresher="uac")
    updated, one = friend(begins.is_refreshed("UPDATE").is_resumed().is_left(), *long)
    invited, other = friend(Callee().invited().answers(refresher="uac").is_refreshed("INVITE").is_left(), *long)
    lost, third = friend(Callee().invited().answers(refresher="uas").is_left(), *long)
    phone, call = calls(adapter, updated)
    phone.flash()
    assert adapter.plays(Tone.RECALL)
    phone.dial(invited, 50, 50)
    beside = adapter.agent.call(number=f"+47{invited}", phase=CallPhase.ANSWERED)
    _, forgotten = calls(adapter, lost, 1)
    assert ended(adapter, forgotten, 75).cause is Cause.SESSION_EXPIRED
    assert {adapter.agent.calls[name].phase for name in (call.call_id, beside.call_id)} == {CallPhase.ANSWERED}
    third.finish()
    phone.flash()
    assert adapter.plays(Tone.RECALL)
    phone.dial("1", 50, 50)
    other.finish()
    assert adapter.hears(VOICE_HZ)
    phone.on_hook()
    one.finish()


# --- keys ------------------------------------------------------------------------------------------------------------


def test_keys_of_the_far_end_are_heard_as_what_they_are(adapter, friend, tmp_path):
    write_keys(tmp_path / "keys.pcap", "5#", EVENT_TYPE)
    steps = Callee().invited(f"a=rtpmap:{EVENT_TYPE} telephone-event").answers().waits(300).presses("keys.pcap")
    number, peer = friend(steps.is_left(), echo=False)
    phone = adapter.dial(number)
    adapter.agent.call(phase=CallPhase.ANSWERED)
    assert hears_key(adapter, 770, 1336)
    assert hears_key(adapter, 941, 1477)
    phone.on_hook()
    peer.finish()


def test_our_keys_leave_as_telephone_events(adapter, friend):
    # The far end sends every packet back: what it gets as a key comes here as a key of its own, and sounds.
    number, peer = friend(Callee().invited().answers().is_left())
    phone, _ = calls(adapter, number)
    phone.speak(None)
    assert adapter.hears_no(VOICE_HZ)
    phone.dial("7", 80, 50)
    assert hears_key(adapter, 852, 1209)
    phone.on_hook()
    peer.finish()


def hears_key(adapter, low, high):
    """Wait until the two frequencies of a key (ITU-T Q.23) have been heard at once, for 40 ms or more."""
    phone = adapter.phones[0]

    def heard():
        pcm = phone.recording(1_000)
        spells = [pcm[at : at + 640] for at in range(0, len(pcm) - 639, 320)]
        return any(min(level_dbm0(spell, low), level_dbm0(spell, high)) > -20 for spell in spells)

    return phone.wait_to_hear(heard, PATIENCE_S)


# --- what crosses ----------------------------------------------------------------------------------------------------


def test_an_answer_that_crosses_our_cancel_is_acknowledged_and_ended_at_once(adapter, friend):
    number, peer = friend(Callee().answers_although_cancelled().is_left())
    phone = adapter.dial(number)
    call = adapter.agent.call(phase=CallPhase.RINGING)
    phone.on_hook()
    peer.finish()
    assert ended(adapter, call).released_by is Party.LOCAL
    assert len(adapter.agent.calls) == 1


def test_offers_that_cross_are_refused_and_ours_is_made_again(adapter, friend):
    steps = Callee().invited().rings().answers().offers_at_the_same_time("sendonly").is_held().is_resumed()
    number, peer = friend(steps.is_left())
    use_services(adapter)
    phone, call = calls(adapter, number)
    phone.flash()
    assert peer.sees("a=recvonly"), peer.story()
    phone.flash()
    assert adapter.agent.wait(lambda: not adapter.agent.calls[call.call_id].held)
    phone.speak(1900)
    assert adapter.hears(1900)
    phone.on_hook()
    peer.finish()
    assert ended(adapter, call).cause is Cause.NORMAL
