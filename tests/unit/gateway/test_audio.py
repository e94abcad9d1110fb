"""Speech between the two clocks: what is said comes out, drift costs single frames, nothing grows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.gateway.daemon.audio import CAPACITY, CARD_FRAME, MEDIA_FRAME, PRIME, LineAudio
from firmware_bridge.g711 import SILENCE, decode_alaw
from firmware_bridge.tonemeter import level_dbm0, tone

SILENT_PCM = bytes(MEDIA_FRAME)
SILENT_ALAW = bytes([SILENCE]) * CARD_FRAME


def alaw(code):
    return bytes([code]) * CARD_FRAME


@pytest.fixture
def line():
    audio = LineAudio()
    audio.open()
    return audio


def test_a_closed_line_says_and_hears_nothing():
    audio = LineAudio()
    audio.media_put(tone(1004, 20, -10))
    assert audio.card_frame(alaw(0x2A)) is None
    assert audio.media_get() == SILENT_PCM
    audio.open()
    assert audio.card_frame(alaw(0x2A)) == SILENT_ALAW


def test_what_the_card_says_reaches_sip_in_order(line):
    codes = [0x10, 0x20, 0x30, 0x40]
    for code in codes:
        line.card_frame(alaw(code))
    assert line.media_get() == decode_alaw(alaw(0x10) + alaw(0x20))
    assert line.media_get() == decode_alaw(alaw(0x30) + alaw(0x40))


def test_a_tone_from_sip_reaches_the_card_at_its_level(line):
    spoken = tone(1004, 400, -10)
    heard = b""
    for at in range(0, len(spoken), MEDIA_FRAME):
        line.media_put(spoken[at : at + MEDIA_FRAME])
        heard += line.card_frame(SILENT_ALAW) + line.card_frame(SILENT_ALAW)
    pcm = decode_alaw(heard[2 * CARD_FRAME * PRIME :])
    assert level_dbm0(pcm, 1004) == pytest.approx(-10, abs=0.5)
    assert line.counters.to_card_slips == 0


def test_speech_waits_until_there_is_enough_to_go_on_with(line):
    for _ in range(PRIME - 1):
        line.card_frame(alaw(0x10))
    assert line.media_get() == SILENT_PCM
    line.card_frame(alaw(0x10))
    assert line.media_get() == decode_alaw(alaw(0x10) * 2)


def test_a_gap_is_silence_and_counted_once(line):
    for _ in range(4):
        line.card_frame(alaw(0x10))
    assert [line.media_get() == SILENT_PCM for _ in range(5)] == [False, False, True, True, True]
    assert line.counters.to_sip_underruns == 1


def test_a_card_that_is_too_fast_costs_the_oldest_frames(line):
    for code in range(CAPACITY + 2):
        line.card_frame(alaw(code))
    assert line.counters.to_sip_slips == 2
    assert line.media_get() == decode_alaw(alaw(2) + alaw(3))


def test_a_far_end_that_is_too_fast_is_bounded_too(line):
    for _ in range(50):
        line.media_put(tone(1004, 20, -10))
    assert line.counters.to_card_slips == 100 - CAPACITY
    played = [line.card_frame(SILENT_ALAW) for _ in range(20)]
    assert sum(frame != SILENT_ALAW for frame in played) == CAPACITY


@pytest.mark.parametrize("frame", [b"", b"\x00", bytes(MEDIA_FRAME - 2), bytes(MEDIA_FRAME + 2), bytes(10_000)])
def test_an_odd_frame_from_sip_is_not_played(line, frame):
    for _ in range(10):
        line.media_put(frame)
    assert line.card_frame(SILENT_ALAW) == SILENT_ALAW
    assert line.counters.to_card_slips == 0


@pytest.mark.parametrize("frame", [b"", bytes(CARD_FRAME - 1), bytes(1000)])
def test_an_odd_frame_from_the_card_is_counted_and_answered(line, frame):
    assert line.card_frame(frame) == SILENT_ALAW
    assert line.counters.bad_frames == 1


def test_opening_again_starts_afresh_and_opening_twice_does_not(line):
    for _ in range(CAPACITY + 1):
        line.card_frame(alaw(0x10))
    line.open()
    assert line.counters.to_sip_slips == 1
    line.close()
    line.open()
    assert line.counters.to_sip_slips == 0
    assert line.media_get() == SILENT_PCM


@given(st.lists(st.sampled_from(["card", "put", "get"]), max_size=300))
def test_whatever_the_clocks_do_every_answer_is_a_whole_frame(steps):
    audio = LineAudio()
    audio.open()
    said = heard = 0
    for step in steps:
        if step == "card":
            assert len(audio.card_frame(alaw(0x10))) == CARD_FRAME
            said += 1
        elif step == "put":
            audio.media_put(tone(1004, 20, -10))
        else:
            frame = audio.media_get()
            assert len(frame) == MEDIA_FRAME
            heard += frame != SILENT_PCM
    # Nothing is invented, and what is neither played nor dropped fits in the buffer.
    waiting = said - 2 * heard - audio.counters.to_sip_slips
    assert 0 <= waiting <= CAPACITY
