"""Recordings of announcements as WAV files: what a studio delivers, read into the A-law that a telephone is sent.

Source: Multimedia Programming Interface and Data Specifications 1.0 (RIFF, WAVE), RFC 2361 (format tags).
"""

from __future__ import annotations

import struct
from typing import Final

from firmware_bridge.g711 import SILENCE, encode_alaw

RATE: Final = 8000
LONGEST_MS: Final = 10_000
"""Nobody listens to a longer one, and it is kept in memory while it is played."""
MAX_BYTES: Final = 256 * 1024
"""Of a file: ten seconds of 16 bits, and room for what programs write around them."""

_PCM, _ALAW, _ULAW = 0x0001, 0x0006, 0x0007
_EXTENSIBLE = 0xFFFE
"""The format proper is then the first two bytes of a GUID, at offset 24."""
_NAMES = {_PCM: "PCM", _ALAW: "G.711 A-law", _ULAW: "G.711 µ-law"}
_BITS = {_PCM: 16, _ALAW: 8, _ULAW: 8}
_HOW = "convert it, for example with: sox IN -r 8000 -c 1 -e a-law OUT.wav"


class RecordingError(Exception):
    """A file is no recording that a telephone can be sent; the message says what was found and what is allowed."""


def read_recording(body: bytes) -> bytes:
    """The A-law of a WAV file: 8000 Hz, one channel, A-law, µ-law or 16-bit PCM. Raises RecordingError."""
    if len(body) > MAX_BYTES:
        raise RecordingError(
            f"it has more than {MAX_BYTES} bytes; at most {LONGEST_MS // 1000} s of speech are allowed"
        )
    if len(body) < 12 or body[:4] != b"RIFF" or body[8:12] != b"WAVE":
        raise RecordingError(f"it is no WAV file (it does not begin with RIFF and WAVE); {_HOW}")
    form: int | None = None
    data: bytes | None = None
    at = 12
    while at + 8 <= len(body) and data is None:
        name, length = struct.unpack_from("<4sI", body, at)
        chunk = body[at + 8 : at + 8 + length]
        if len(chunk) < length:
            raise RecordingError(f"it is cut off: byte {at} announces {length} bytes and {len(chunk)} follow")
        if name == b"fmt ":
            form = _format(chunk)
        elif name == b"data":
            data = chunk
        at += 8 + length + length % 2
    if form is None:
        raise RecordingError(f"it does not say how it is coded (there is no chunk 'fmt ' before the speech); {_HOW}")
    if not data:
        raise RecordingError("it holds no speech (there is no chunk 'data', or it is empty)")
    return _alaw(form, data)


def write_recording(alaw: bytes) -> bytes:
    """A WAV file of 8000 Hz A-law, the same bytes for the same speech."""
    # RFC 2361 asks for cbSize and a fact chunk where the coding is not PCM.
    form = struct.pack("<HHIIHHH", _ALAW, 1, RATE, RATE, 1, 8, 0)
    fact = struct.pack("<I", len(alaw))
    chunks = b"".join(
        name + struct.pack("<I", len(chunk)) + chunk + bytes(len(chunk) % 2)
        for name, chunk in ((b"fmt ", form), (b"fact", fact), (b"data", alaw))
    )
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def _format(chunk: bytes) -> int:
    if len(chunk) < 16:
        raise RecordingError(f"its chunk 'fmt ' has {len(chunk)} bytes; at least 16 are needed")
    tag, channels, rate = struct.unpack_from("<HHI", chunk)
    bits = struct.unpack_from("<H", chunk, 14)[0]
    if tag == _EXTENSIBLE and len(chunk) >= 26:
        tag = struct.unpack_from("<H", chunk, 24)[0]
    if tag not in _NAMES:
        raise RecordingError(f"its coding is number {tag:#06x}; allowed are A-law, µ-law and 16-bit PCM; {_HOW}")
    if (rate, channels, bits) != (RATE, 1, _BITS[tag]):
        raise RecordingError(
            f"it is {_NAMES[tag]} with {rate} Hz, {channels} channels, {bits} bits;"
            f" allowed are {RATE} Hz, 1 channel, {_BITS[tag]} bits; {_HOW}"
        )
    return int(tag)


def _alaw(form: int, data: bytes) -> bytes:
    if form == _PCM:
        data = encode_alaw(data[: len(data) // 2 * 2])
    elif form == _ULAW:
        data = data.translate(_alaw_of_ulaw())
    if len(data) * 1000 > LONGEST_MS * RATE:
        raise RecordingError(f"it lasts {len(data) / RATE:.1f} s; at most {LONGEST_MS // 1000} s are allowed")
    return data + bytes([SILENCE]) * (-len(data) % 80)


def _alaw_of_ulaw() -> bytes:
    """What each µ-law code is in A-law (ITU-T G.711 table 2a, by way of its 14-bit value)."""
    values = []
    for code in range(256):
        inverted = ~code & 0xFF
        magnitude = ((((inverted & 0x0F) << 3) + 0x84) << ((inverted >> 4) & 7)) - 0x84
        values.append(-magnitude if inverted & 0x80 else magnitude)
    return encode_alaw(struct.pack("<256h", *values))
