"""What is connected to a line decides what it is spared: a table of all that telephones have and machines have not."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import pytest

from agent.core.caller import CallerId
from agent.core.services import LineServices
from agent.core.terms import LineProfile, Tone
from agent.gateway.daemon.audio import LineAudio
from agent.gateway.daemon.buffer_plan import CARD_FRAME, DATA, SPEECH
from agent.gateway.protocol import Configure, Decide

CALLER = CallerId("+4799000000", "Kari")


@dataclass(frozen=True)
class Spared:
    """What a profile has."""

    words: bool
    caller: bool
    steady: bool


PROFILES = {
    LineProfile.PHONE: Spared(words=True, caller=True, steady=False),
    LineProfile.FAX: Spared(words=False, caller=True, steady=True),
    LineProfile.ALARM: Spared(words=False, caller=False, steady=True),
    LineProfile.CARD_TERMINAL: Spared(words=False, caller=False, steady=True),
}


@pytest.fixture(params=list(LineProfile))
def profile(request) -> LineProfile:
    return request.param


@pytest.fixture
def gateway(make_gateway, configuration: Configure, profile: LineProfile):
    """Line 0 with the profile, a hotline and a message waiting, as far as it has such things."""
    made = make_gateway(recordings=True)
    made.kept_services = {0: LineServices(hotline="+4799000001")}
    made.crash()
    made.connect()
    lines = [msgspec.structs.replace(entry, profile=profile) for entry in configuration.lines]
    made.send(msgspec.structs.replace(configuration, revision="2", lines=lines))
    return made


def _in_conversation(gateway, **lease):
    call_id = gateway.call_number("22334455", 0)
    gateway.send(Decide(call_id=call_id, granted=True, **lease))
    gateway.peer_answers(call_id)
    return call_id


def test_every_profile_stands_in_the_table():
    assert PROFILES.keys() == frozenset(LineProfile)


def test_words_are_for_people(gateway, profile):
    gateway.lift(0)
    gateway.dial("01", 0)
    assert bool(gateway.phones[0].told) is PROFILES[profile].words
    assert (gateway.phones[0].tone is Tone.SPECIAL) is not PROFILES[profile].words


def test_nothing_sounds_into_the_conversation_of_a_machine(gateway, profile):
    _in_conversation(gateway, until_ms=gateway.now + 90_000, warn_at_ms=gateway.now + 30_000)
    waiting = gateway.incoming("+4722000001")
    gateway.advance(40_000)
    phone = gateway.phones[0]
    assert bool(phone.warnings) is PROFILES[profile].words
    assert bool(phone.told) is PROFILES[profile].words
    assert (gateway.call(waiting).sip_code == 486) is not PROFILES[profile].words


def test_nor_does_the_callback_of_an_emergency_service(gateway, profile):
    gateway.peer_answers(gateway.call_number("112", 0))
    gateway.hang_up(0)
    _in_conversation(gateway)
    waiting = gateway.incoming("+4722000001")
    gateway.advance(1_000)
    assert (gateway.call(waiting).sip_code == 486) is not PROFILES[profile].words
    assert bool(gateway.phones[0].bursts) is PROFILES[profile].words


def test_r_is_no_key_of_a_machine(gateway, profile):
    call_id = _in_conversation(gateway)
    gateway.flash(0)
    assert gateway.leg(call_id).held is PROFILES[profile].words


def test_a_machine_that_lifts_and_waits_calls_nobody_by_itself(gateway, profile):
    gateway.lift(0)
    gateway.advance(10_000)
    assert bool(gateway.calls()) is PROFILES[profile].words


def test_caller_id_is_sent_to_what_can_show_it(gateway, profile):
    gateway.incoming("+4722000001", "+4799000000")
    phone = gateway.phones[0]
    assert phone.ringing
    assert bool(phone.caller) is PROFILES[profile].caller


def test_the_buffers_of_a_machine_are_deep_and_left_alone(profile):
    clock = [0]
    audio = LineAudio(lambda: clock[0])
    audio.use(profile)
    audio.open()
    assert audio.data is PROFILES[profile].steady
    waited = 0
    while not any(audio.media_get()):
        audio.card_frame(bytes([0x2A]) * CARD_FRAME)
        clock[0] += 10_000
        waited += 1
        assert waited < 20
    assert waited == ((DATA if PROFILES[profile].steady else SPEECH).begin_us // 10_000 + 1)
