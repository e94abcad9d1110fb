"""Data as tones on an analogue line: 1200 bit/s frequency shift keying, made and understood.

ITU-T V.23 sends a one as 1300 Hz and a zero as 2100 Hz, Bell 202 as 1200 and 2200 Hz. A burst is 300 alternating bits
(channel seizure, only while the handset is down), ones for a while, and then each byte with a start bit (zero), eight
bits, the lowest first, and a stop bit (one). Source: ETSI EN 300 659-1 §6 (on-hook), EN 300 659-2 §6 (off-hook).
"""

from __future__ import annotations

import enum
import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
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
_PERIOD: Final = 80
"""Samples in which every frequency of either modem comes round."""
_SCALE: Final = 1024
_CHARACTER_BITS: Final = 10
_WANTED_MARKS: Final = round(10 * _PER_BIT)
_FAINTEST: Final = (amplitude(-42.0) * _SCALE * round(_PER_BIT) / 2) ** 2
"""Below this there is no carrier."""
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


class Receiver:
    """The same as it arrives: `feed` samples, get the bytes that are whole. `carrier`: whether a burst sounds."""

    def __init__(self, modem: Modem = Modem.V23) -> None:
        self._tables = tuple(
            tuple(round(_SCALE * wave(2 * math.pi * hz * n / RATE)) for n in range(_PERIOD))
            for hz in modem.value
            for wave in (math.cos, math.sin)
        )
        self._window: list[tuple[int, int, int, int]] = [(0, 0, 0, 0)] * round(_PER_BIT)
        self._sums = [0, 0, 0, 0]
        self._at = 0
        self._marks = 0
        self._since_start: int | None = None
        self._bits: list[int] = []
        self.carrier = False

    def feed(self, samples: Iterable[int]) -> bytes:
        """The bytes that these samples complete; a byte without its stop bit ends the burst."""
        found = bytearray()
        for sample in samples:
            byte = self._hear(self._level(sample))
            if byte is not None:
                found.append(byte)
        return bytes(found)

    def _level(self, sample: int) -> int:
        place, turn = self._at % len(self._window), self._at % _PERIOD
        self._at += 1
        fresh = (
            sample * self._tables[0][turn],
            sample * self._tables[1][turn],
            sample * self._tables[2][turn],
            sample * self._tables[3][turn],
        )
        old, self._window[place] = self._window[place], fresh
        sums = self._sums
        for part in range(4):
            sums[part] += fresh[part] - old[part]
        one, zero = sums[0] ** 2 + sums[1] ** 2, sums[2] ** 2 + sums[3] ** 2
        return int(one > zero) if max(one, zero) > _FAINTEST else -1

    def _hear(self, level: int) -> int | None:
        if level < 0:
            self.carrier, self._marks, self._since_start = False, 0, None
            return None
        if self._since_start is None:
            if level == 1:
                self._marks += 1
                self.carrier = self.carrier or self._marks >= _WANTED_MARKS
            elif self.carrier:
                self._since_start, self._bits = 0, []
            else:
                self._marks = 0
            return None
        self._since_start += 1
        if self._since_start == round((len(self._bits) + 0.5) * _PER_BIT):
            self._bits.append(level)
            return self._character()
        return None

    def _character(self) -> int | None:
        bits = self._bits
        if bits[0] != 0:
            self._since_start = None  # A glitch, no start bit.
        elif len(bits) == _CHARACTER_BITS:
            self._since_start = None
            if bits[-1] == 1:
                return sum(bit << place for place, bit in enumerate(bits[1:9]))
            self.carrier, self._marks = False, 0
        return None


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
