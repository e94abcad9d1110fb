"""Making tones and measuring them: levels in dBm0, as the tone plans and the line tests state them.

A sine of digital full scale is +3.14 dBm0 in A-law (ITU-T G.711 note to table 5), so 0 dBm0 has a peak of 22,827.
"""

from __future__ import annotations

import array
import functools
import itertools
import math
import sys
from collections.abc import Sequence
from operator import mul

FULL_SCALE_DBM0 = 3.14
SILENCE_DBM0 = -120.0
"""The level reported where there is nothing to measure."""

DTMF_HZ = {
    key: (low, high)
    for low, row in ((697, "123A"), (770, "456B"), (852, "789C"), (941, "*0#D"))
    for key, high in zip(row, (1209, 1336, 1477, 1633), strict=True)
}
"""The two frequencies of each key (ITU-T Q.23)."""

_FULL_SCALE = 32_768
_SAMPLE_MAX = 32_767


def amplitude(level_dbm0: float) -> float:
    """The peak sample value of a sine of this level."""
    return _FULL_SCALE * 10 ** ((level_dbm0 - FULL_SCALE_DBM0) / 20)


@functools.lru_cache(maxsize=64)
def _bin(hz: float, rate: int, count: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Hann-windowed cosine and sine of one frequency, scaled so that their correlation is the peak amplitude."""
    step = 2 * math.pi * hz / rate
    window = [0.5 - 0.5 * math.cos(2 * math.pi * (n + 0.5) / count) for n in range(count)]
    scale = 2 / sum(window)
    return (
        tuple(scale * weight * math.cos(step * n) for n, weight in enumerate(window)),
        tuple(scale * weight * math.sin(step * n) for n, weight in enumerate(window)),
    )


def level_dbm0(pcm: bytes, hz: float, rate: int = 8000) -> float:
    """The level of the component at `hz` in 16-bit little-endian PCM; SILENCE_DBM0 where there is none.

    It is the one bin that Goertzel's algorithm computes, taken by correlation with cached tables because that runs
    at C speed; the Hann window keeps neighbours more than 4/duration hertz away out of the result.
    """
    samples = _samples(pcm)
    if not samples:
        return SILENCE_DBM0
    cosine, sine = _bin(hz, rate, len(samples))
    peak = math.hypot(sum(map(mul, samples, cosine)), sum(map(mul, samples, sine)))
    if peak <= 0:
        return SILENCE_DBM0
    return max(SILENCE_DBM0, FULL_SCALE_DBM0 + 20 * math.log10(peak / _FULL_SCALE))


def mix(frequencies: Sequence[float], samples: int, level: float, rate: int = 8000) -> bytes:
    """The sum of sines of `level` dBm0 each, as 16-bit little-endian PCM, clipped at full scale."""
    peak = amplitude(level)
    steps = [2 * math.pi * hz / rate for hz in frequencies]
    pcm = array.array("h", bytes(2 * samples))
    for n in range(samples):
        value = round(peak * sum(math.sin(step * n) for step in steps))
        pcm[n] = max(-_SAMPLE_MAX, min(_SAMPLE_MAX, value))
    if sys.byteorder == "big":
        pcm.byteswap()
    return pcm.tobytes()


def tone(hz: float, ms: int, level_dbm0: float, rate: int = 8000) -> bytes:
    """A sine of `hz` for `ms` milliseconds, as 16-bit little-endian PCM."""
    return mix((hz,), ms * rate // 1000, level_dbm0, rate)


def find(heard: bytes, wanted: bytes, step: int = 80, at_least: float = 0.0) -> tuple[float, int]:
    """Where `wanted` fits best in `heard`: how like it is (1: unchanged, about 0: something else), and at which sample.

    Both are 16-bit little-endian PCM. It is the normalised correlation, sought at whole `step`s of samples: the place
    by the power of each step, then the samples piece by piece, each of which may have slipped by some steps: a step
    that was lost on the way moves what follows, but is no other word. Who asks for `at_least` so much gets 0 as soon as
    it is out of reach.
    """
    ears, words = _samples(heard), _samples(wanted)
    words = words[: len(words) // step * step]
    if not any(words):
        return 0.0, 0
    # What is cut off at its end by less than half is still found.
    ears.extend([0] * (max(0, len(words) - len(ears)) + len(words) // 2 // step * step))
    powers, pattern = _powers(ears, step), _powers(words, step)
    energy, loudness = (list(itertools.accumulate(map(mul, one, one), initial=0.0)) for one in (powers, pattern))

    def fit(at: int) -> float:
        """The square of the correlation, but for what all places have in common: nothing here is negative."""
        heard_here = energy[at + len(pattern)] - energy[at]
        return sum(map(mul, powers[at : at + len(pattern)], pattern)) ** 2 / heard_here if heard_here else 0.0

    place = max(range(len(powers) - len(pattern) + 1), key=fit)
    cuts = range(0, len(pattern), _PIECE)
    weights = {first: math.sqrt(loudness[min(first + _PIECE, len(pattern))] - loudness[first]) for first in cuts}
    total = sum(weights.values())
    unlike = 0.0
    # The loudest first: they tell soonest that it is something else.
    for first in sorted(cuts, key=weights.__getitem__, reverse=True):
        piece = words[first * step : (first + _PIECE) * step]
        steps = len(piece) // step
        best = -1.0
        for at in range(max(0, place + first - _SLIP), min(place + first + _SLIP, len(powers) - steps) + 1):
            both = math.sqrt(max(0.0, energy[at + steps] - energy[at])) * weights[first]
            alike = sum(map(mul, ears[at * step : at * step + len(piece)], piece))
            best = max(best, alike / both if both else 0.0)
        unlike += (1 - best) * weights[first]
        if at_least and unlike > (1 - at_least) * total:
            return 0.0, place * step
    return 1 - unlike / total, place * step


_PIECE = 20
_SLIP = 16


def _samples(pcm: bytes) -> array.array[int]:
    samples = array.array("h", pcm[: len(pcm) & ~1])
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


def _powers(samples: Sequence[int], step: int) -> list[float]:
    cut = (samples[at : at + step] for at in range(0, len(samples) - step + 1, step))
    return [math.sqrt(sum(map(mul, part, part))) for part in cut]
