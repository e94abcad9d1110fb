"""Tones have the level and the frequency that were asked for."""

from array import array
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.g711 import decode_alaw, encode_alaw
from firmware_bridge.tonemeter import SILENCE_DBM0, find, level_dbm0, mix, tone


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


def _noise(seed: int, ms: int) -> bytes:
    """Bursts of noise, as uneven as speech."""
    random = Random(seed)
    bursts = [(random.randrange(100, 4000), random.randrange(80, 800)) for _ in range(ms // 20)]
    samples = [round(random.gauss(0, level)) for level, length in bursts for _ in range(length)][: 8 * ms]
    return array("h", [max(-32768, min(32767, sample)) for sample in samples]).tobytes()


def test_words_are_found_wherever_they_begin_and_other_words_are_not():
    words, others = _noise(1, 1000), _noise(2, 1000)
    heard = bytes(160 * 37) + decode_alaw(encode_alaw(words)) + tone(425, 700, -10)
    likeness, at = find(heard, words)
    assert (likeness > 0.98, at) == (True, 80 * 37)
    assert find(heard, others)[0] < 0.3
    torn = heard[: 160 * 60] + heard[160 * 62 : 160 * 100] + bytes(160) + heard[160 * 101 :]
    assert find(torn, words)[0] > 0.85, "some of it was lost, and the rest came earlier"
    assert find(heard[: 160 * 87], words)[0] < 0.8, "half of them"


def test_who_asks_for_so_much_is_told_of_less_as_nothing():
    words, others = _noise(1, 1000), _noise(2, 1000)
    heard = bytes(160 * 37) + words
    assert find(heard, words, at_least=0.75) == find(heard, words)
    assert find(heard, others)[0] > 0
    assert find(heard, others, at_least=0.75)[0] == 0


def test_silence_is_like_nothing():
    assert find(b"", _noise(1, 200))[0] == 0
    assert find(_noise(1, 200), bytes(320)) == (0, 0)
