"""What a simulated card plays into an earpiece: tones by their program, speech through a short playout buffer."""

from __future__ import annotations

import array
import functools
from collections import deque

from firmware_bridge import tonemeter
from firmware_bridge.g711 import decode_alaw, encode_alaw
from firmware_bridge.messages import ToneProgram, ToneSegment

RATE = 8000
DTMF_DBM0 = -10
"""The level of each of the two tones of a key (ITU-T Q.23; telephones send -4 to -11)."""
TICK_MS = 10
TICK_SAMPLES = RATE * TICK_MS // 1000
SILENT_TICK = bytes(2 * TICK_SAMPLES)
_PLAYOUT_DEPTH = 2
PLAYOUT_LIMIT = 8


@functools.lru_cache(maxsize=64)
def _second(frequencies: tuple[int, ...], level_dbm0: int) -> bytes:
    """One second of a tone: whole hertz fit it without a seam, so that it can be played round and round."""
    return tonemeter.mix(frequencies, RATE, level_dbm0)


def dtmf_program(digits: str, on_ms: int, off_ms: int) -> ToneProgram:
    """Keys one after the other, as a tone to play once. Raises KeyError where there is no such key."""
    parts = [
        (ToneSegment(tonemeter.DTMF_HZ[digit], on_ms), ToneSegment((), off_ms)) for digit in digits
    ]  # fmt: skip
    return ToneProgram(DTMF_DBM0, tuple(segment for pair in parts for segment in pair), once=True)


@functools.lru_cache(maxsize=16)
def key_press(digit: str) -> bytes:
    """One second of a key that is held down, as A-law."""
    return encode_alaw(tonemeter.mix(tonemeter.DTMF_HZ[digit], RATE, DTMF_DBM0))


def amplified(pcm: bytes, cdb: int) -> bytes:
    """PCM louder by `cdb` hundredths of a decibel, clipped."""
    if not cdb:
        return pcm
    factor = 10 ** (cdb / 2000)
    samples = array.array("h", pcm)
    return array.array("h", [max(-32_768, min(32_767, round(factor * sample))) for sample in samples]).tobytes()


class TonePlayer:
    """Plays a tone program sample by sample."""

    def __init__(self, program: ToneProgram, duration_ms: int) -> None:
        self.program = program
        self._left = duration_ms * RATE // 1000 if duration_ms else None
        self._segment = 0
        self._position = 0
        self.done = False

    def tick(self) -> bytes:
        """The next 10 ms; silence once it is done."""
        out = bytearray()
        while len(out) < len(SILENT_TICK) and not self.done:
            wanted = TICK_SAMPLES - len(out) // 2
            if self._left is not None:
                wanted = min(wanted, self._left)
            out += self._run(wanted)
        return bytes(out.ljust(len(SILENT_TICK), b"\0"))

    def _run(self, wanted: int) -> bytes:
        """At most `wanted` samples of the present segment."""
        segment = self.program.segments[self._segment]
        if segment.ms:
            wanted = min(wanted, segment.ms * RATE // 1000 - self._position)
        start = self._position % RATE
        wanted = min(wanted, RATE - start)
        pcm = bytes(2 * wanted)
        if segment.frequencies:
            pcm = _second(segment.frequencies, self.program.level_dbm0)[2 * start : 2 * (start + wanted)]
        self._position += wanted
        if self._left is not None:
            self._left -= wanted
            self.done = self._left <= 0
        if segment.ms and self._position >= segment.ms * RATE // 1000:
            self._position = 0
            self._segment += 1
            if self._segment == len(self.program.segments):
                self._segment = 0
                self.done = self.done or self.program.once
        return pcm


class Playout:
    """Holds speech back for two frames; conceals one missing frame by repeating the last, then falls silent."""

    def __init__(self) -> None:
        self.underruns = 0
        self.overruns = 0
        self._frames: deque[tuple[bytes, bytes]] = deque()
        self._filled = False
        self.last_alaw = b""
        """The frame that was played last, as it came; empty: none came in time."""
        self._last = SILENT_TICK
        self._repeated = True

    @property
    def depth(self) -> int:
        """How many frames wait."""
        return len(self._frames)

    def put(self, alaw: bytes) -> None:
        """A frame came from the host."""
        pcm = decode_alaw(alaw).ljust(len(SILENT_TICK), b"\0")[: len(SILENT_TICK)]
        self._frames.append((alaw, pcm))
        if len(self._frames) > PLAYOUT_LIMIT:
            self._frames.popleft()
            self.overruns += 1

    def tick(self) -> bytes:
        """The next 10 ms for the earpiece."""
        self.last_alaw = b""
        if not self._filled:
            if len(self._frames) < _PLAYOUT_DEPTH:
                return SILENT_TICK
            self._filled = True
        if self._frames:
            (self.last_alaw, self._last), self._repeated = self._frames.popleft(), False
            return self._last
        self.underruns += 1
        if self._repeated:
            self._filled = False
            return SILENT_TICK
        self._repeated = True
        return self._last
