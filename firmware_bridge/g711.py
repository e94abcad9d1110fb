"""G.711 A-law by table: the coding of speech between the line card and the media bridge.

Source: ITU-T G.711 (11/88) table 1a; 13-bit values scaled to 16 bits, even bits inverted on the wire.
"""

from __future__ import annotations

import array
import sys

SILENCE = 0xD5
"""The code of the smallest positive value: what an idle line sends."""

_INVERT_EVEN_BITS = 0x55
_SIGN = 0x80


def _expand(code: int) -> int:
    """The 16-bit value of one A-law code."""
    code ^= _INVERT_EVEN_BITS
    segment, step = (code >> 4) & 7, code & 0x0F
    magnitude = (step << 4) + 8
    if segment:
        magnitude = (magnitude + 0x100) << (segment - 1)
    return magnitude if code & _SIGN else -magnitude


def _compress(value: int) -> int:
    """The A-law code of a 16-bit value."""
    sign = _SIGN if value >= 0 else 0
    magnitude = (value if value >= 0 else ~value) >> 4
    segment = max(magnitude.bit_length() - 4, 1)
    step = (magnitude >> (segment - 1)) & 0x0F
    code = step if magnitude < 0x10 else (segment << 4) | step
    return (code | sign) ^ _INVERT_EVEN_BITS


def _native(pcm: array.array[int]) -> array.array[int]:
    """Swap a little-endian array to the machine's order, or back."""
    if sys.byteorder == "big":
        pcm.byteswap()
    return pcm


_EXPANDED = tuple(_expand(code) for code in range(256))
# Sixteen neighbouring values always share a code, so the table is indexed by the upper 12 bits, negative ones last.
_COMPRESSED = bytes(_compress((index if index < 2048 else index - 4096) << 4) for index in range(4096))


def decode_alaw(data: bytes) -> bytes:
    """A-law codes as 16-bit little-endian PCM, twice as many bytes."""
    expanded = _EXPANDED
    return _native(array.array("h", [expanded[code] for code in data])).tobytes()


def encode_alaw(pcm: bytes) -> bytes:
    """16-bit little-endian PCM as A-law codes. Raises ValueError where half a sample is left over."""
    if len(pcm) % 2:
        raise ValueError(f"PCM has {len(pcm)} bytes, which is not a whole number of 16-bit samples")
    samples = array.array("H", pcm)
    compressed = _COMPRESSED
    return bytes([compressed[sample >> 4] for sample in _native(samples)])
