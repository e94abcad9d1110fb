"""Makes up speech that did not come: repeats the last pitch period and fades, after ITU-T G.711 Appendix I. Pure.

Unlike the appendix nothing is delayed: the joint is smoothed behind it. Good frames pass untouched, at no cost.
"""

from __future__ import annotations

import array
import sys
from operator import mul
from typing import Final

from agent.gateway.daemon.buffer_plan import CARD_FRAME, FADE_AFTER, MUTE_AFTER
from firmware_bridge.g711 import SILENCE, decode_alaw, encode_alaw

SILENT_FRAME: Final = bytes([SILENCE]) * CARD_FRAME
_HISTORY_FRAMES: Final = 3
_LAG_MIN: Final = 40
_LAG_MAX: Final = 120
"""Pitch from 200 Hz down to 66 Hz at 8000 samples per second."""
_COMPARED: Final = 80
_QUIETER: Final = 0.2
_JOINT: Final = 40
"""Samples (5 ms) over which made-up speech gives way to real speech."""
_CORRECTED: Final = 24


def _samples(alaw: bytes) -> list[int]:
    values = array.array("h", decode_alaw(alaw))
    if sys.byteorder == "big":
        values.byteswap()
    return values.tolist()


_SQUARES: Final = tuple(value * value for value in _samples(bytes(range(256))))
_SILENT_POWER: Final = CARD_FRAME * 90**2
"""-45 dBm0: below speech, above the noise of a quiet room (0 dBm0 has an rms of 16,141)."""


def is_silent(alaw: bytes) -> bool:
    """Whether a frame carries no speech: the place where one more or one less is not heard."""
    squares = _SQUARES
    return sum([squares[code] for code in alaw]) < _SILENT_POWER


def _coded(samples: list[float]) -> bytes:
    values = array.array("h", [max(-32_768, min(32_767, round(sample))) for sample in samples])
    if sys.byteorder == "big":
        values.byteswap()
    return encode_alaw(values.tobytes())


def blend(first: bytes, second: bytes) -> bytes:
    """One frame that begins as `first` and ends as `second`."""
    step = 1 / CARD_FRAME
    pairs = zip(_samples(first), _samples(second), strict=True)
    return _coded([a + (b - a) * n * step for n, (a, b) in enumerate(pairs)])


def _pitch(history: list[int]) -> int:
    """The lag at which the end of `history` most resembles what went before it; coarse, then fine."""
    recent = history[-_COMPARED:]

    def likeness(lag: int) -> float:
        before = history[-_COMPARED - lag : -lag]
        power = sum(map(mul, before, before))
        return sum(map(mul, recent, before)) / power**0.5 if power else 0.0

    coarse = max(range(_LAG_MIN, _LAG_MAX + 1, 2), key=likeness)
    return max(range(max(_LAG_MIN, coarse - 1), min(_LAG_MAX, coarse + 1) + 1), key=likeness)


class Concealer:
    """One direction of speech, frame by frame: `good` or `lost`, each gives the frame to play."""

    def __init__(self) -> None:
        self._history: tuple[bytes, ...] = (SILENT_FRAME,) * _HISTORY_FRAMES
        self._period: list[float] = []
        self._at = 0
        self._correction = 0.0
        self.missing = 0
        """Frames made up since the last good one."""

    def reset(self) -> None:
        """Forget what was said."""
        self._history = (SILENT_FRAME,) * _HISTORY_FRAMES
        self._period = []
        self.missing = 0

    def good(self, alaw: bytes) -> bytes:
        """A frame came; behind made-up ones it is faded in."""
        if self.missing:
            alaw = self._join(alaw)
            self.missing = 0
            self._period = []
        self._history = (*self._history[1:], alaw)
        return alaw

    def lost(self) -> bytes:
        """A frame did not come: what to play instead."""
        if self.missing >= MUTE_AFTER:
            self.missing += 1
            return SILENT_FRAME
        if not self.missing:
            self._begin()
        made_up = self._extend(CARD_FRAME)
        self.missing += 1
        return _coded(made_up)

    def _begin(self) -> None:
        history = _samples(b"".join(self._history))
        lag = _pitch(history)
        quarter = lag // 4
        period = [float(sample) for sample in history[-lag:]]
        # The end of the period is led over to what came before its beginning, so that it can go round.
        for n in range(quarter):
            weight = (n + 1) / quarter
            period[lag - quarter + n] += weight * (history[-lag - quarter + n] - period[lag - quarter + n])
        self._period, self._at = period, 0
        self._correction = float(history[-1] - history[-lag - 1])

    def _extend(self, count: int) -> list[float]:
        """The next `count` samples of the repetition, weaker and weaker."""
        period, at, missing = self._period, self._at, self.missing
        fading = max(0.0, 1 - _QUIETER * max(0, missing - FADE_AFTER))
        step = _QUIETER / CARD_FRAME if missing >= FADE_AFTER else 0.0
        made_up = []
        for n in range(count):
            value = period[at]
            if not missing and n < _CORRECTED:
                value += self._correction * (1 - n / _CORRECTED)
            made_up.append(value * max(0.0, fading - n * step))
            at = at + 1 if at + 1 < len(period) else 0
        self._at = at
        return made_up

    def _join(self, alaw: bytes) -> bytes:
        tail = self._extend(_JOINT) if self.missing < MUTE_AFTER else [0.0] * _JOINT
        real = _samples(alaw)
        joint = [old + (new - old) * n / _JOINT for n, (old, new) in enumerate(zip(tail, real[:_JOINT], strict=True))]
        return _coded([*joint, *map(float, real[_JOINT:])])
