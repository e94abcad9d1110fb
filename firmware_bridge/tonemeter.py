"""Making tones and measuring them: levels in dBm0, as the tone plans and the line tests state them.

A sine of digital full scale is +3.14 dBm0 in A-law (ITU-T G.711 note to table 5), so 0 dBm0 has a peak of 22,827.
"""

from __future__ import annotations

import array
import functools
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
    samples = array.array("h", pcm[: len(pcm) & ~1])
    if sys.byteorder == "big":
        samples.byteswap()
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
