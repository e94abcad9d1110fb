"""What a studio delivers becomes what a telephone is sent, or a sentence about why not."""

from __future__ import annotations

import contextlib
import io
import struct
import wave

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.gateway.recording import LONGEST_MS, MAX_BYTES, RATE, RecordingError, read_recording, write_recording
from firmware_bridge.g711 import SILENCE, decode_alaw, encode_alaw
from firmware_bridge.tonemeter import level_dbm0, tone

SECOND = encode_alaw(tone(1000, 1000, -10))


def wav(tag: int, rate: int, channels: int, bits: int, data: bytes, *, before: bytes = b"") -> bytes:
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * channels * bits // 8, channels * bits // 8, bits)
    body = b"WAVE" + before + b"fmt " + struct.pack("<I", len(form)) + form
    body += b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def test_what_is_written_is_read_and_other_programs_find_the_speech():
    body = write_recording(SECOND)
    assert read_recording(body) == SECOND
    assert len(body) - len(SECOND) < 64
    at = body.index(b"data") + 8
    assert body[at : at + len(SECOND)] == SECOND
    assert struct.unpack_from("<I", body, 4)[0] == len(body) - 8


def test_sixteen_bits_as_every_studio_delivers_them():
    pcm = tone(440, 500, -20)
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(pcm)
    assert read_recording(out.getvalue()) == encode_alaw(pcm)


def test_mu_law_keeps_pitch_and_level():
    def mu_law(sample: int) -> int:
        magnitude = min(abs(sample) // 4, 8158) + 33
        segment = magnitude.bit_length() - 6
        code = segment << 4 | magnitude >> segment + 1 & 0x0F
        return ~(code | (0x80 if sample < 0 else 0)) & 0xFF

    samples = struct.unpack("<8000h", tone(1000, 1000, -10))
    heard = decode_alaw(read_recording(wav(7, RATE, 1, 8, bytes(map(mu_law, samples)))))
    assert level_dbm0(heard, 1000) == pytest.approx(-10, abs=0.3)
    assert level_dbm0(heard, 1700) < -45


def test_a_recording_is_whole_frames_and_ends_in_silence():
    alaw = read_recording(wav(6, RATE, 1, 8, SECOND[:81]))
    assert alaw == SECOND[:81] + bytes([SILENCE]) * 79


def test_chunks_that_say_nothing_about_the_speech_are_passed_over():
    note = b"LIST" + struct.pack("<I", 3) + b"abc" + b"\0"
    assert read_recording(wav(6, RATE, 1, 8, SECOND, before=note)) == SECOND


def test_the_extensible_format_names_its_coding_in_a_guid():
    form = struct.pack("<HHIIHHHHI", 0xFFFE, 1, RATE, RATE, 1, 8, 22, 8, 4) + struct.pack("<H", 6) + bytes(14)
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(SECOND)) + SECOND
    assert read_recording(b"RIFF" + struct.pack("<I", len(body)) + body) == SECOND


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"ID3\x03" + bytes(100), "no WAV file"),
        (b"", "no WAV file"),
        (bytes(MAX_BYTES + 1), "more than 262144 bytes"),
        (wav(85, RATE, 1, 8, SECOND), "coding is number 0x0055; allowed are A-law, µ-law and 16-bit PCM"),
        (wav(1, 44_100, 2, 16, bytes(400)), "44100 Hz, 2 channels, 16 bits; allowed are 8000 Hz, 1 channel, 16 bits"),
        (wav(6, RATE, 1, 16, SECOND), "16 bits; allowed are 8000 Hz, 1 channel, 8 bits"),
        (wav(6, RATE, 1, 8, b""), "holds no speech"),
        (wav(6, RATE, 1, 8, SECOND)[:-5], "cut off: byte 36 announces 8000 bytes and 7995 follow"),
        (wav(6, RATE, 1, 8, SECOND * (LONGEST_MS // 1000) + b"x"), "lasts 10.0 s; at most 10 s"),
        (b"RIFF\0\0\0\0WAVEdata" + struct.pack("<I", 80) + bytes(80), "no chunk 'fmt ' before the speech"),
        (b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<I", 4) + bytes(4), "has 4 bytes; at least 16"),
    ],
)
def test_a_file_that_no_telephone_can_be_sent_is_refused_with_a_sentence(body, sentence):
    with pytest.raises(RecordingError) as refusal:
        read_recording(body)
    assert sentence in str(refusal.value)


@given(st.binary(max_size=300) | st.builds(lambda head, tail: head + tail, st.just(write_recording(SECOND[:160])[:58]),
       st.binary(max_size=200)))  # fmt: skip
def test_whatever_lies_there_is_a_recording_or_a_sentence(body):
    with contextlib.suppress(RecordingError):
        assert len(read_recording(body)) % 80 == 0


@given(st.data())
def test_a_damaged_recording_never_becomes_something_else_than_speech(data):
    body = bytearray(write_recording(SECOND[:800]))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, 60))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(RecordingError):
        assert len(read_recording(bytes(body))) <= 1600
