"""What somebody with the handset at his ear makes of what he hears: which tone, which announcement. Pure.

Sound is 16-bit little-endian PCM at 8000 samples per second. A tone is told by its rhythm, in frames of 10 ms, and by
its frequencies, measured with Goertzel's bin over each burst; an announcement by correlation with the recordings that
it could be.
"""

from __future__ import annotations

import array
import itertools
import math
from collections.abc import Mapping, Sequence
from operator import mul
from typing import Final

from msgspec import Struct

from firmware_bridge import tonemeter
from firmware_bridge.messages import ToneProgram

RATE: Final = 8000
FRAME_MS: Final = 10
FRAME_SAMPLES: Final = RATE * FRAME_MS // 1000
AUDIBLE_DBM0: Final = -45.0
TOLERANCE_MS: Final = 30
STEADY_MS: Final = 800
"""So long a continuous tone is listened to before it is believed; a rhythm for a whole round."""
_SHORTEST_MS: Final = 60
"""A shorter stretch is too short for its frequency to be measured."""
_PURE: Final = 0.7
"""So much of what is heard must be at the tone's own frequencies."""
_ALIKE: Final = 0.5
"""Correlation from which a recording is recognised, from -1 to 1."""
_SLACK_SAMPLES: Final = 90
_COMPARED: Final = 4000
_MIN_FRAMES: Final = 30


class Run(Struct, frozen=True):
    """A stretch of sound or silence, in frames."""

    sounds: bool
    first: int
    count: int

    @property
    def ms(self) -> int:
        """How long it lasts."""
        return self.count * FRAME_MS


def which_tone(pcm: bytes, tones: Mapping[str, ToneProgram]) -> str | None:
    """The first of `tones` that the end of `pcm` sounds like, whatever came before it; None: none of them."""
    powers = _powers(pcm)
    return next((name for name, program in tones.items() if _sounds_like(pcm, powers, program)), None)


def which_announcement(pcm: bytes, recordings: Mapping[str, bytes]) -> str | None:
    """The recording whose loudest half second `pcm` holds, at any moment; None: none of them."""
    scores = {name: likeness(pcm, recording) for name, recording in recordings.items()}
    best = max(scores, key=scores.__getitem__, default=None)
    return best if best is not None and scores[best] >= _ALIKE else None


def likeness(pcm: bytes, recording: bytes) -> float:
    """The greatest normalised correlation of `pcm` with `recording`, from -1 to 1, over at most half a second."""
    heard, said = [math.sqrt(one) for one in _powers(pcm)], [math.sqrt(one) for one in _powers(recording)]
    overlap = min(len(heard), len(said), _COMPARED // FRAME_SAMPLES)
    if overlap < _MIN_FRAMES:
        return 0.0
    # The loudest part of the recording: silence is like silence everywhere.
    begin = max(range(len(said) - overlap + 1), key=lambda at: sum(said[at : at + overlap]))
    piece = said[begin : begin + overlap]
    places = sorted(
        range(len(heard) - overlap + 1), key=lambda at: -_cosine(piece, heard[at : at + overlap])
    )[:2]  # fmt: skip
    wanted = _samples(recording)[begin * FRAME_SAMPLES : (begin + overlap) * FRAME_SAMPLES]
    found = _samples(pcm)
    lags = {
        lag
        for place in places
        for lag in range(place * FRAME_SAMPLES - _SLACK_SAMPLES, place * FRAME_SAMPLES + _SLACK_SAMPLES + 1)
        if 0 <= lag <= len(found) - len(wanted)
    }
    best = max(lags, key=lambda lag: sum(map(mul, wanted, found[lag : lag + len(wanted)])), default=None)
    return 0.0 if best is None else _cosine(wanted, found[best : best + len(wanted)])


# --- inside ----------------------------------------------------------------------------------------------------------


def _samples(pcm: bytes) -> array.array[int]:
    return array.array("h", pcm[: len(pcm) // 2 * 2])


def _powers(pcm: bytes) -> list[float]:
    """The mean square of each frame; what is left at the end is too short for one."""
    samples = _samples(pcm)
    return [
        sum(map(mul, frame, frame)) / FRAME_SAMPLES
        for at in range(0, len(samples) - FRAME_SAMPLES + 1, FRAME_SAMPLES)
        for frame in (samples[at : at + FRAME_SAMPLES],)
    ]


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    norm = math.sqrt(sum(map(mul, one, one)) * sum(map(mul, other, other)))
    return sum(map(mul, one, other)) / norm if norm else 0.0


def _runs(powers: Sequence[float]) -> list[Run]:
    threshold = tonemeter.amplitude(AUDIBLE_DBM0) ** 2 / 2
    found = []
    first = 0
    for sounds, group in itertools.groupby(power > threshold for power in powers):
        count = sum(1 for _ in group)
        found.append(Run(sounds, first, count))
        first += count
    return found


def _sounds_like(pcm: bytes, powers: Sequence[float], program: ToneProgram) -> bool:
    runs = _runs(powers)
    if not runs:
        return False
    expected = _rhythm(program)
    if len(expected) == 1:
        return runs[-1].sounds and runs[-1].ms >= STEADY_MS and _is_steady(pcm, powers, runs[-1], program)
    if program.once:
        ended = runs if runs[-1].sounds else runs[:-1]
        return _matches(pcm, powers, ended[-len(expected) :], expected)
    # The last run is not over, so nothing is known of its length but the least; the rounds before it are whole.
    whole = runs[:-1]
    return any(
        _matches(pcm, powers, whole[-len(expected) :], expected[turn:] + expected[:turn])
        for turn in range(len(expected))
    )


class _Expected(Struct, frozen=True):
    """A stretch of sound (in pieces, each with its frequencies) or of silence."""

    pieces: tuple[tuple[tuple[int, ...], int], ...]

    @property
    def sounds(self) -> bool:
        return bool(self.pieces[0][0])

    @property
    def ms(self) -> int:
        return sum(ms for _, ms in self.pieces)


def _rhythm(program: ToneProgram) -> list[_Expected]:
    """Sound and silence in turn; one stretch where it never pauses. A repeated rhythm begins with a sound."""
    pieces = [(segment.frequencies, segment.ms) for segment in program.segments]
    if pieces[-1][1] == 0:
        # What stands before an endless end is heard once: the end tells what it is.
        return [_Expected((pieces[-1],))]
    while not program.once and bool(pieces[0][0]) == bool(pieces[-1][0]) and any(not heard for heard, _ in pieces):
        pieces = [pieces[-1], *pieces[:-1]]
    if program.once and not pieces[-1][0]:
        pieces = pieces[:-1]
    groups = itertools.groupby(pieces, key=lambda piece: bool(piece[0]))
    return [_Expected(tuple(group)) for _, group in groups]


def _matches(pcm: bytes, powers: Sequence[float], runs: Sequence[Run], expected: Sequence[_Expected]) -> bool:
    if len(runs) != len(expected):
        return False
    return all(
        run.sounds is wanted.sounds
        and abs(run.ms - wanted.ms) <= TOLERANCE_MS
        and (not wanted.sounds or _is_made_of(pcm, powers, run, wanted))
        for run, wanted in zip(runs, expected, strict=True)
    )


def _is_made_of(pcm: bytes, powers: Sequence[float], run: Run, wanted: _Expected) -> bool:
    at = run.first * FRAME_MS
    for frequencies, ms in wanted.pieces:
        end = min(at + ms, (run.first + run.count) * FRAME_MS)
        # The edges belong to the neighbours.
        margin = min(FRAME_MS * 2, ms // 4)
        if not _is_pure(pcm, powers, (at + margin) // FRAME_MS, (end - margin) // FRAME_MS, frequencies):
            return False
        at += ms
    return True


def _is_steady(pcm: bytes, powers: Sequence[float], run: Run, program: ToneProgram) -> bool:
    """Whether an unbroken sound is the program's, which may change its frequencies as it goes."""
    heard = [segment for segment in program.segments if segment.frequencies]
    if not heard:
        return False
    if len({segment.frequencies for segment in heard}) == 1 or heard[-1].ms == 0:
        last = run.first + run.count
        return _is_pure(pcm, powers, last - STEADY_MS // FRAME_MS, last, heard[-1].frequencies)
    round_frames = sum(segment.ms for segment in heard) // FRAME_MS
    if run.count < 2 * round_frames:
        return False
    first = run.first + run.count - 2 * round_frames
    wanted = _Expected(tuple((segment.frequencies, segment.ms) for segment in heard))
    return any(
        _is_made_of(pcm, powers, Run(sounds=True, first=first + shift, count=round_frames), wanted)
        for shift in range(round_frames)
    )


def _is_pure(pcm: bytes, powers: Sequence[float], first: int, last: int, frequencies: Sequence[int]) -> bool:
    """Whether the frames `first` to `last` hold little but these frequencies, each of them."""
    count = last - first
    total = sum(powers[first:last]) / count if count > 0 else 0.0
    if total == 0.0 or count * FRAME_MS < min(_SHORTEST_MS, STEADY_MS):
        return False
    piece = pcm[2 * first * FRAME_SAMPLES : 2 * last * FRAME_SAMPLES]
    peaks = [tonemeter.amplitude(tonemeter.level_dbm0(piece, hz)) for hz in frequencies]
    parts = [peak * peak / 2 / total for peak in peaks]
    return sum(parts) >= _PURE and min(parts) >= _PURE / (3 * len(parts))
