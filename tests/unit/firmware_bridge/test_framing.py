"""Frames: golden bytes, round trips, and a decoder that no input can break."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.framing import MAX_ENCODED, Decoder, Frame, FramingError, encode, encode_frame, stuff, unstuff

frames = st.builds(
    Frame, st.integers(0, 7), st.integers(0, 7), st.integers(0, 3), st.integers(0, 255), st.integers(0, 255),
    st.integers(0, 255), st.binary(max_size=244),
)  # fmt: skip


@pytest.mark.parametrize(
    ("data", "stuffed"),
    [
        (b"", "01"), (b"\0", "0101"), (b"\0\0", "010101"), (b"\x11\x22\0\x33", "0311220233"),
        (b"\x11\x22\x33\x44", "0511223344"), (b"\x11\0\0\0", "0211010101"),
    ],
)  # fmt: skip
def test_cobs_has_the_bytes_of_its_paper(data, stuffed):
    assert stuff(data).hex() == stuffed
    assert unstuff(bytes.fromhex(stuffed)) == data


@given(st.binary(max_size=1200))
def test_cobs_loses_nothing_and_has_no_zero(data):
    assert 0 not in stuff(data)
    assert unstuff(stuff(data)) == data


@pytest.mark.parametrize("length", [253, 254, 255, 508, 509])
def test_cobs_at_the_edges_of_its_blocks(length):
    assert unstuff(stuff(b"\1" * length)) == b"\1" * length


def test_the_crc_is_the_one_of_the_catalogue():
    # CRC-16/IBM-3740: the check value of "123456789" is 0x29B1.
    assert encode(b"123456789") == b"\x0c123456789\xb1\x29\0"


def test_golden_frames():
    assert encode_frame(Frame(1, 1, 0, 5, 9, 0x22, b"")).hex() == "0724050922372c00"
    assert encode_frame(Frame(3, 0, 1, 0, 1, 0x41, b"\0" * 2)).hex() == "02610301410103814800"


@given(st.lists(frames, max_size=5), st.integers(1, 50))
def test_frames_survive_the_wire_in_pieces_of_any_size(sent, size):
    wire = b"".join(map(encode_frame, sent))
    decoder = Decoder()
    got = [frame for at in range(0, len(wire), size) for frame in decoder.feed(wire[at : at + size])]
    assert got == sent


@given(frames, st.data())
def test_no_single_damaged_byte_goes_unnoticed(frame, data):
    wire = bytearray(encode_frame(frame))
    at = data.draw(st.integers(0, len(wire) - 2))
    wire[at] ^= data.draw(st.integers(1, 255))
    got = Decoder().feed(bytes(wire))
    assert frame not in got


@given(st.lists(st.binary(max_size=2000), max_size=10))
def test_noise_never_raises_and_never_fills_memory(pieces):
    decoder = Decoder()
    for piece in pieces:
        decoder.feed(piece)
        assert len(decoder._partial) <= MAX_ENCODED


def test_after_an_endless_frame_the_next_one_is_heard():
    decoder = Decoder()
    for _ in range(50):
        assert decoder.feed(b"\x55" * 1000) == []
    frame = Frame(4, 0, 0, 0, 0, 0x62, b"\1" * 85)
    assert decoder.feed(b"\0" + encode_frame(frame)) == [frame]
    assert decoder.counters.overruns == 1


def test_what_was_damaged_is_counted_by_its_kind():
    decoder = Decoder()
    good = encode_frame(Frame(1, 0, 0, 0, 0, 1, b"abc"))
    decoder.feed(good[:5] + b"\x7f" + good[6:] + b"\xf0\1\0" + b"\2\1\0")
    counters = decoder.counters
    assert (counters.crc_errors, counters.cobs_errors, counters.short, counters.frames) == (1, 1, 1, 0)


@pytest.mark.parametrize("length", [3, 249])
def test_a_body_of_impossible_length_is_refused(length):
    with pytest.raises(FramingError, match=str(length)):
        encode(bytes(length))
