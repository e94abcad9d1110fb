"""A subscriber's ear and mouth."""

import pytest

from agent.lab.tones import FRAME_BYTES, ToneLine
from firmware_bridge.tonemeter import level_dbm0, tone

LISTEN = (425, 1004, 1700)


def feed(line, pcm):
    for at in range(0, len(pcm), FRAME_BYTES):
        line.media_put(pcm[at : at + FRAME_BYTES])


@pytest.mark.parametrize("hz", LISTEN)
def test_a_steady_tone_is_named_once_with_its_level(hz):
    line = ToneLine(LISTEN)
    line.lift(0, 0)
    feed(line, tone(hz, 400, -15))
    heard = line.heard()
    assert (heard.hz, heard.level) == (hz, pytest.approx(-15, abs=0.3))
    feed(line, tone(hz, 400, -15))
    assert line.heard() is None


def test_a_click_and_a_whisper_are_not_a_tone_and_the_end_of_a_tone_is_silence():
    line = ToneLine(LISTEN)
    line.lift(0, 0)
    feed(line, tone(1004, 100, -15) + tone(1004, 400, -50))
    assert line.heard() is None
    feed(line, tone(1004, 300, -15))
    assert line.heard().hz == 1004
    feed(line, bytes(30 * FRAME_BYTES))
    assert line.heard().hz == 0


def test_it_plays_its_tone_for_its_time_and_then_echoes():
    line = ToneLine(LISTEN)
    line.lift(1004, 100)
    said = b"".join(line.media_get() for _ in range(5))
    assert level_dbm0(said, 1004) == pytest.approx(-13, abs=0.5)
    assert line.media_get() == bytes(FRAME_BYTES)
    spoken = tone(1700, 20, -10)
    feed(line, spoken)
    assert line.media_get() == spoken


def test_a_new_call_forgets_the_last_one():
    line = ToneLine(LISTEN)
    line.lift(0, 0)
    feed(line, tone(1004, 400, -15))
    line.lift(0, 0)
    assert line.heard() is None
    assert line.media_get() == bytes(FRAME_BYTES)
