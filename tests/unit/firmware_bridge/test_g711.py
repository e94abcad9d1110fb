"""A-law: the codes of ITU-T G.711, both ways."""

import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.g711 import SILENCE, decode_alaw, encode_alaw


def samples(pcm: bytes) -> list[int]:
    return array.array("h", pcm).tolist()


@pytest.mark.parametrize(
    ("code", "value"),
    [(0xD5, 8), (0x55, -8), (0xAA, 32256), (0x2A, -32256), (0xD4, 24), (0xC5, 264), (0xF5, 528), (0x80, 5504)],
)
def test_known_codes_have_the_values_of_the_recommendation(code, value):
    assert samples(decode_alaw(bytes([code]))) == [value]


def test_every_code_survives_the_way_to_pcm_and_back():
    every_code = bytes(range(256))
    assert encode_alaw(decode_alaw(every_code)) == every_code


@given(st.integers(-32768, 32767))
def test_a_sample_comes_back_within_half_a_step(value):
    (back,) = samples(decode_alaw(encode_alaw(array.array("h", [value]).tobytes())))
    assert abs(back - value) <= max(16, abs(value) // 16)
    assert (back >= 0) == (value >= 0)


def test_an_idle_line_sends_the_smallest_positive_value():
    assert encode_alaw(b"\0\0") == bytes([SILENCE])


def test_half_a_sample_is_refused():
    with pytest.raises(ValueError, match="3 bytes"):
        encode_alaw(b"\0\0\0")
