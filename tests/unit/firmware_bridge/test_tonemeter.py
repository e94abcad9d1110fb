"""Tones have the level and the frequency that were asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.g711 import decode_alaw, encode_alaw
from firmware_bridge.tonemeter import SILENCE_DBM0, level_dbm0, mix, tone


@given(hz=st.integers(300, 3400), level=st.integers(-40, 0))
def test_a_tone_is_measured_at_the_level_it_was_made(hz, level):
    assert level_dbm0(tone(hz, 200, level), hz) == pytest.approx(level, abs=0.3)


def test_a_tone_is_not_heard_at_another_frequency():
    assert level_dbm0(tone(425, 200, -10), 1000) < -60


def test_both_frequencies_of_a_pair_are_measured():
    pair = mix((1400, 2060), 1600, -13)
    assert level_dbm0(pair, 1400) == pytest.approx(-13, abs=0.3)
    assert level_dbm0(pair, 2060) == pytest.approx(-13, abs=0.3)


def test_a_law_keeps_the_level():
    assert level_dbm0(decode_alaw(encode_alaw(tone(1000, 200, -10))), 1000) == pytest.approx(-10, abs=0.3)


@pytest.mark.parametrize("pcm", [b"", b"\0", bytes(3200)])
def test_silence_has_the_lowest_level(pcm):
    assert level_dbm0(pcm, 425) == SILENCE_DBM0


def test_a_tone_lasts_as_long_as_asked():
    assert len(tone(425, 10, -10)) == 2 * 80
