"""What the telephone hears on the way to an answer, while the far end holds, and when it falls silent for good."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from agent.core.terms import CallPhase, Cause, Party, Tone
from firmware_bridge.g711 import encode_alaw
from firmware_bridge.tonemeter import tone
from tests.e2e.peers.play import Callee

pytestmark = [pytest.mark.e2e, pytest.mark.peer("kamailio", "sipp")]

VOICE_HZ, MUSIC_HZ, TONE_HZ = 900, 1400, 425
_numbers = itertools.count(22000301)


@pytest.fixture
def friend(operator, sipp, tmp_path):
    """Somebody with a number of his own who plays these steps; returns the number as it is dialled."""
    (tmp_path / "music.al").write_bytes(encode_alaw(tone(MUSIC_HZ, 2000, -13.0)))

    def start(steps, **options):
        number = str(next(_numbers))
        peer = sipp(steps.write(tmp_path, f"friend-{number}"), **options)
        operator.route(f"+47{number}", peer.uri)
        return number, peer

    return start


def invited():
    return Callee().invited()


def test_ringing_after_other_words_gives_the_ringback_tone(adapter, friend):
    steps = invited().says("181 Call Is Being Forwarded").says("182 Queued").says("183 Session Progress")
    number, peer = friend(steps.says("180 Ringing").waits(800).answers().is_left())
    phone = adapter.dial(number)
    assert adapter.plays(Tone.RINGBACK)
    assert adapter.hears(TONE_HZ)
    call = adapter.agent.call(phase=CallPhase.ANSWERED)
    assert call.ringing_ms <= call.answered_ms
    assert adapter.agent.lines[0].tone is None
    phone.speak(VOICE_HZ)
    assert adapter.hears(VOICE_HZ)
    phone.on_hook()
    peer.finish()


def test_sound_of_the_network_is_not_replaced_by_our_own_ringing(adapter, friend):
    steps = invited().says("183 Session Progress", sound=True).says("180 Ringing").waits(1500)
    number, peer = friend(steps.answers().is_left())
    phone = adapter.dial(number)
    call = adapter.agent.call(phase=CallPhase.RINGING)
    phone.speak(VOICE_HZ)
    assert adapter.hears(VOICE_HZ)
    assert peer.sees("180 Ringing")
    assert (adapter.agent.lines[0].tone, adapter.agent.calls[call.call_id].answered_ms) == (None, None)
    assert phone.hears(TONE_HZ) < -40
    adapter.agent.call(phase=CallPhase.ANSWERED)
    phone.on_hook()
    peer.finish()


def test_sound_that_comes_after_the_ringing_silences_our_tone(adapter, friend):
    steps = invited().rings().waits(700).says("183 Session Progress", sound=True).waits(1500)
    number, peer = friend(steps.answers().is_left())
    phone = adapter.dial(number)
    assert adapter.plays(Tone.RINGBACK)
    phone.speak(VOICE_HZ)
    assert adapter.hears(VOICE_HZ)
    assert adapter.agent.lines[0].tone is None
    adapter.agent.call(phase=CallPhase.ANSWERED)
    phone.on_hook()
    peer.finish()


@pytest.mark.parametrize(
    ("held", "answer", "options"),
    [
        ("sendonly", "recvonly", {}),
        ("sendonly", "recvonly", {"method": "UPDATE"}),
        ("inactive", "inactive", {}),
        ("sendrecv", "sendrecv", {"address": "0.0.0.0"}),  # the hold of RFC 2543 §B.5
    ],
)
def test_the_music_of_a_far_end_that_holds_is_heard_and_its_speech_again_afterwards(
    adapter, friend, held, answer, options
):
    steps = (
        invited().rings().answers().waits(1000).offers(held, answer, **options).plays("music.al").waits(2500).stops()
    )
    number, peer = friend(steps.offers("sendrecv", "sendrecv").is_left())
    phone = adapter.dial(number)
    call = adapter.agent.call(phase=CallPhase.ANSWERED)
    phone.speak(VOICE_HZ)
    assert adapter.hears(VOICE_HZ)
    if held == "sendonly":
        assert adapter.hears(MUSIC_HZ)
    assert adapter.hears_no(VOICE_HZ), "our own voice does not come back while it does not listen"
    phone.speak(1900)
    assert adapter.hears(1900)
    assert adapter.agent.calls[call.call_id].phase is CallPhase.ANSWERED
    remote = [log.detail for log in adapter.agent.logs if log.event == "remote_hold" and log.call_id == call.call_id]
    assert remote == ["held", "resumed"]
    phone.on_hook()
    peer.finish()


def test_a_far_end_that_says_nothing_any_more_ends_the_call_with_its_cause(adapter, friend):
    was = adapter.agent.configuration
    adapter.agent.configure(msgspec.structs.replace(was, revision="impatient", rtp_timeout_s=3))
    number, peer = friend(invited().rings().answers().is_left(), echo=False)
    adapter.dial(number)
    ended = adapter.agent.call(phase=CallPhase.ENDED)
    peer.finish()
    adapter.agent.configure(was)
    assert (ended.cause, ended.released_by) == (Cause.MEDIA_LOST, Party.SYSTEM)
    assert 3000 <= ended.ended_ms - ended.answered_ms < 8000
    assert [log.call_id for log in adapter.agent.logs if log.event == "media_lost"] == [ended.call_id]


def test_a_held_call_may_be_silent_for_longer(adapter, friend):
    was = adapter.agent.configuration
    adapter.agent.configure(msgspec.structs.replace(was, revision="impatient", rtp_timeout_s=3))
    steps = invited().rings().answers().offers("inactive", "inactive").waits(5500).offers("sendrecv", "sendrecv")
    number, peer = friend(steps.waits(500).leaves())
    adapter.dial(number)
    ended = adapter.agent.call(phase=CallPhase.ENDED)
    peer.finish()
    adapter.agent.configure(was)
    assert (ended.cause, ended.released_by) == (Cause.NORMAL, Party.REMOTE)
