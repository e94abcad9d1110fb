"""What is heard in a call while the adapter's own parts stop, die and come back."""

from __future__ import annotations

import signal

import pytest

from agent.core.terms import Cause, Tone
from agent.lab.scene import NEAR_TONE_HZ, SWEDEN_DIALLED
from firmware_bridge.g711 import encode_alaw
from firmware_bridge.tonemeter import tone

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

FRAME = 80
STOPPED_S = 2.0
_LOUD = 0x40
"""A magnitude of A-law, some 30 dB below full scale."""
_VOICE = encode_alaw(tone(NEAR_TONE_HZ, 1000, -10))


class Ear:
    """Speaks a steady tone, and notes in each 10 ms whether the far end's echo of it came."""

    def __init__(self) -> None:
        self.heard: list[bool] = []
        self._at = 0

    def mouth(self, _now: int) -> bytes:
        self._at = (self._at + FRAME) % len(_VOICE)
        return _VOICE[self._at : self._at + FRAME]

    def ear(self, _now: int, alaw: bytes) -> None:
        self.heard.append(any((code ^ 0x55) & 0x7F > _LOUD for code in alaw))


async def test_speech_does_not_notice_that_the_agent_stands_still(home) -> None:
    await home.call(0, SWEDEN_DIALLED)
    ear, phone = Ear(), home.phone(0)
    phone.converse(ear.mouth, ear.ear)
    await home.phone_shows(0, "the echo", lambda: ear.heard[-20:] == [True] * 20)
    home.world.agent.signal(signal.SIGSTOP)
    try:
        ear.heard.clear()
        frames = round(100 * STOPPED_S)
        await home.phone_shows(0, "two seconds of speech", lambda: len(ear.heard) >= frames)
    finally:
        home.world.agent.signal(signal.SIGCONT)
    heard = ear.heard[:frames]
    phone.converse(None, None)
    assert sum(heard) >= 0.8 * frames, "a busy machine may cost some frames, a stopped agent would cost all"
    await home.hang_up(0)
    await home.all_acknowledged()


async def test_a_killed_gateway_is_silence_and_then_dial_tone(home) -> None:
    await home.call(0, SWEDEN_DIALLED)
    phone, since = home.phone(0), home.mark()
    home.world.gateway.signal(signal.SIGKILL)
    await home.hears("gateway", "process", since, what="ended with signal SIGKILL")
    # The telephone's own buffer repeats one frame; nothing rattles on.
    await home.phone_shows(0, "silence", lambda: phone.hears(NEAR_TONE_HZ, 200) < -50, 2)
    await home.plays_tone(0, Tone.DIAL)
    await home.hang_up(0)
    await home.ready()
    await home.call(0, SWEDEN_DIALLED)
    await home.hang_up(0)


async def test_a_pulled_cable_ends_the_call_and_the_line_is_back_with_it(home) -> None:
    since = len(await home.received())
    await home.call(0, SWEDEN_DIALLED)
    phone = home.phone(0)
    home.world.card.unplug()
    cdr = await home.record(since, line=0)
    assert cdr.cause is Cause.CARD_LOST
    assert phone.wait_for(lambda: phone.hears(NEAR_TONE_HZ, 200) < -50, 10)
    home.world.card.plug()
    await home.plays_tone(0, Tone.DIAL)
    await home.hang_up(0)
    await home.ready()
    await home.call(0, SWEDEN_DIALLED)
    await home.hang_up(0)
    await home.record(since, line=0, cause=Cause.NORMAL)
    await home.all_acknowledged()


async def test_the_record_says_what_happened_to_the_speech(home) -> None:
    since = len(await home.received())
    await home.call(1, SWEDEN_DIALLED)
    await home.hang_up(1)
    cdr = await home.record(since, line=1)
    assert cdr.quality.codec == "PCMA/8000"
    assert not cdr.quality.machine
    assert cdr.quality.heard_concealed_ms < 1000
