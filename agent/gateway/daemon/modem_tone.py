"""Hears the answer tone by which fax machines and modems recognise each other: 2100 Hz, steady (ITU-T V.25, V.8). Pure.

One 10 ms frame in four is looked at, with the one bin that Goertzel's algorithm computes, taken by correlation with
tables because that runs at C speed: 2100 Hz makes exactly 21 turns in a frame. Phase reversals (every 450 ms, ITU-T
V.8) cost one look at most.
"""

from __future__ import annotations

import math
import sys
from array import array
from operator import mul
from typing import Final

from agent.gateway.daemon.buffer_plan import CARD_FRAME
from firmware_bridge.g711 import decode_alaw

ANSWER_TONE_HZ: Final = 2100
LOOK_EVERY: Final = 4
"""Frames from one look to the next: 40 ms."""
STEADY_LOOKS: Final = 12
"""0.48 s: the tone lasts 2.6 to 4 s (ITU-T V.25), and no voice holds one pitch so purely for so long."""
_MISSES: Final = 1
_RATE: Final = 8000
_LOUD: Final = CARD_FRAME * 230**2
"""-37 dBm0: the weakest answer tone that a line delivers, with room."""
_SHARE: Final = 0.8

_STEP: Final = 2 * math.pi * ANSWER_TONE_HZ / _RATE
_COSINE: Final = tuple(math.cos(_STEP * n) for n in range(CARD_FRAME))
_SINE: Final = tuple(math.sin(_STEP * n) for n in range(CARD_FRAME))


def is_answer_tone(alaw: bytes) -> bool:
    """Whether four fifths of the power of a loud frame are at 2100 Hz."""
    samples = array("h", decode_alaw(alaw))
    if sys.byteorder == "big":
        samples.byteswap()
    power = sum(map(mul, samples, samples))
    if power < _LOUD or len(samples) != CARD_FRAME:
        return False
    tone = sum(map(mul, samples, _COSINE)) ** 2 + sum(map(mul, samples, _SINE)) ** 2
    return bool(tone * 2 / CARD_FRAME >= _SHARE * power)


class ModemToneWatch:
    """Listens to one direction of a line."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """A new conversation."""
        self._frames = self._hits = self._misses = 0

    def heard(self, alaw: bytes) -> bool:
        """Take the next frame; true once the tone has been steady."""
        self._frames += 1
        if self._frames % LOOK_EVERY:
            return False
        if is_answer_tone(alaw):
            self._hits += 1
            self._misses = 0
        elif self._hits and self._misses < _MISSES:
            self._misses += 1
        else:
            self._hits = self._misses = 0
        return self._hits >= STEADY_LOOKS
