"""Data as tones on an analogue line: 1200 bit/s frequency shift keying, made and understood.

ITU-T V.23 sends a one as 1300 Hz and a zero as 2100 Hz, Bell 202 as 1200 and 2200 Hz. A burst is 300 alternating bits
(channel seizure, only while the handset is down), ones for a while, and then each byte with a start bit (zero), eight
bits, the lowest first, and a stop bit (one). Source: ETSI EN 300 659-1 §6 (on-hook), EN 300 659-2 §6 (off-hook).
"""

from __future__ import annotations

import enum
import math
from array import array
from collections.abc import Iterator, Sequence
from typing import Final

from firmware_bridge.tonemeter import amplitude

RATE: Final = 8000
BIT_RATE: Final = 1200
SEIZURE_BITS: Final = 300
MARK_BITS_ON_HOOK: Final = 180
MARK_BITS_OFF_HOOK: Final = 80
LEVEL_DBM0: Final = -13.5
"""EN 300 659-1 §6.3: -13.5 dBV at the terminal, within 1.5 dB."""

_PER_BIT: Final = RATE / BIT_RATE
_QUIET: Final = 0.15
"""Below this part of the strongest correlation a stretch is silence."""


class Modem(enum.Enum):
    """The frequencies in hertz of a one and of a zero."""

    V23 = (1300, 2100)
    BELL_202 = (1200, 2200)


def modulate(message: bytes, *, off_hook: bool = False, modem: Modem = Modem.V23, level: float = LEVEL_DBM0) -> bytes:
    """A burst that carries `message`, as 16-bit little-endian PCM at 8000 samples per second, phase continuous."""
    peak = amplitude(level)
    one, zero = modem.value
    pcm = array("h")
    phase, sent = 0.0, 0
    for bits, bit in enumerate(_bits(message, off_hook=off_hook), 1):
        step = 2 * math.pi * (one if bit else zero) / RATE
        until = round(bits * _PER_BIT)
        for _ in range(until - sent):
            pcm.append(round(peak * math.sin(phase)))
            phase = (phase + step) % (2 * math.pi)
        sent = until
    return pcm.tobytes()


def demodulate(pcm: bytes, *, modem: Modem = Modem.V23) -> bytes:
    """The bytes of the first burst in 16-bit little-endian PCM; empty where there is none.

    Bits are taken where an asynchronous receiver would: in their middle, counted from each start bit.
    """
    samples = array("h")
    samples.frombytes(pcm[: len(pcm) // 2 * 2])
    levels = _discriminate(samples, modem)
    return bytes(_characters(levels))


def _bits(message: bytes, *, off_hook: bool) -> Iterator[int]:
    if not off_hook:
        for index in range(SEIZURE_BITS):
            yield index % 2
    for _ in range(MARK_BITS_OFF_HOOK if off_hook else MARK_BITS_ON_HOOK):
        yield 1
    for byte in message:
        yield 0
        for place in range(8):
            yield byte >> place & 1
        yield 1
    yield 1


def _discriminate(samples: Sequence[int], modem: Modem) -> list[int]:
    """For each sample what is heard around it: 1, 0, or -1 for silence."""
    one, zero = (_power(samples, hz) for hz in modem.value)
    loudest = max([*one, *zero], default=0.0)
    return [
        -1 if max(a, b) < loudest * _QUIET or loudest == 0.0 else int(a > b) for a, b in zip(one, zero, strict=True)
    ]


def _power(samples: Sequence[int], hz: int) -> list[float]:
    """The power of one frequency in the bit-long window around each sample."""
    width = round(_PER_BIT)
    step = 2 * math.pi * hz / RATE
    real = [value * math.cos(step * index) for index, value in enumerate(samples)]
    imaginary = [value * math.sin(step * index) for index, value in enumerate(samples)]
    found = []
    for index in range(len(samples)):
        first, last = max(0, index - width // 2), min(len(samples), index - width // 2 + width)
        found.append(sum(real[first:last]) ** 2 + sum(imaginary[first:last]) ** 2)
    return found


def _characters(levels: Sequence[int]) -> Iterator[int]:
    """Characters behind the first ten ones in a row, until one has no stop bit or the line is silent."""
    at = _after_marks(levels)
    while at is not None and at < len(levels):
        while at < len(levels) and levels[at] == 1:
            at += 1
        middles = [round(at + (place + 0.5) * _PER_BIT) for place in range(10)]
        if middles[-1] >= len(levels):
            return
        bits = [levels[middle] for middle in middles]
        if bits[0] != 0 or bits[-1] != 1 or -1 in bits:
            return
        yield sum(bit << place for place, bit in enumerate(bits[1:9]))
        at = middles[-1]


def _after_marks(levels: Sequence[int]) -> int | None:
    wanted = round(10 * _PER_BIT)
    run = 0
    for index, level in enumerate(levels):
        run = run + 1 if level == 1 else 0
        if run == wanted:
            return index
    return None
