"""The answer tone of fax machines and modems is known by its purity and patience; voices and other tones are not it."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.gateway.daemon.buffer_plan import CARD_FRAME
from agent.gateway.daemon.modem_tone import ModemToneWatch, is_answer_tone
from firmware_bridge.g711 import encode_alaw
from firmware_bridge.tonemeter import DTMF_HZ, mix, tone


def heard(pcm):
    coded, watch = encode_alaw(pcm), ModemToneWatch()
    return any(watch.heard(coded[at : at + CARD_FRAME]) for at in range(0, len(coded), CARD_FRAME))


@pytest.mark.parametrize("hz", [2085, 2100, 2115])
@pytest.mark.parametrize("level", [-6, -20, -33])
def test_the_answer_tone_is_heard_within_its_tolerance(hz, level):
    assert heard(tone(hz, 700, level))


def test_its_phase_reversals_do_not_hide_it():
    samples = array("h", tone(2100, 2000, -12))
    for at in range(len(samples)):
        if at // 3600 % 2:  # 450 ms
            samples[at] = -samples[at]
    assert heard(samples.tobytes())


def test_a_short_one_is_not_enough():
    assert not heard(tone(2100, 400, -12))


@pytest.mark.parametrize("hz", [425, 1100, 1300, 1850, 2000, 2200, 2250, 2600])
def test_other_tones_are_not_it(hz):
    assert not heard(tone(hz, 3000, -10))


def test_keys_and_chords_are_not_it():
    assert not any(heard(mix(pair, 8000, -10)) for pair in DTMF_HZ.values())
    assert not heard(mix((700, 1400, 2100), 24_000, -10))


@given(st.binary(max_size=200))
def test_any_bytes_are_looked_at_without_an_error(data):
    assert is_answer_tone(data) in (True, False)
