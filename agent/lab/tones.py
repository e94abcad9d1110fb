"""A subscriber's ear and mouth: a tone, then an echo of what is heard, and a name for what is heard."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from msgspec import Struct

from firmware_bridge.tonemeter import level_dbm0, tone

FRAME_BYTES = 320
FRAME_MS = 20
_BLOCK_FRAMES = 5
_BLOCK_BYTES = _BLOCK_FRAMES * FRAME_BYTES
_ECHO_FRAMES = 4
_LOOP_MS = 1000
"""A whole number of periods of any frequency in whole hertz: the loop has no seam."""
_AUDIBLE_DBM0 = -40.0
_SEND_DBM0 = -13.0
_STEADY_BLOCKS = 2


class Heard(Struct, frozen=True):
    """A steady tone: its frequency in hertz (0: silence) and level in dBm0."""

    hz: int
    level: float


class ToneLine:
    """The speech of one simulated telephone: `tone_hz` for `tone_ms` (0: for ever), then an echo."""

    def __init__(self, listen_hz: Sequence[int]) -> None:
        self._listen_hz = tuple(listen_hz)
        self._frames: tuple[bytes, ...] = ()
        self._sent = 0
        self._tone_frames: int | None = 0
        self._echo: deque[bytes] = deque(maxlen=_ECHO_FRAMES)
        self._ear: deque[bytes] = deque(maxlen=50)
        self._block = bytearray()
        self._same = (0, 0)
        self._reported = 0
        self._lock = threading.Lock()

    @property
    def stats(self) -> None:
        """There is no clock but the media clock here, so nothing happens to the speech that would be counted."""
        return

    def lift(self, tone_hz: int, tone_ms: int) -> None:
        """Begin a call: forget what was heard, start the tone (0 Hz: echo at once)."""
        loop = tone(tone_hz, _LOOP_MS, _SEND_DBM0) if tone_hz else b""
        with self._lock:
            self._frames = tuple(loop[at : at + FRAME_BYTES] for at in range(0, len(loop), FRAME_BYTES))
            self._tone_frames = (None if tone_ms == 0 else tone_ms // FRAME_MS) if tone_hz else 0
            self._sent = 0
            self._echo.clear()
            self._ear.clear()
            self._block.clear()
            self._same, self._reported = (0, 0), 0

    def media_put(self, pcm: bytes) -> None:
        """Hear 20 ms."""
        if len(pcm) == FRAME_BYTES:
            self._echo.append(pcm)
            self._ear.append(pcm)

    def media_get(self) -> bytes:
        """Say 20 ms."""
        with self._lock:
            if self._frames and (self._tone_frames is None or self._sent < self._tone_frames):
                self._sent += 1
                return self._frames[self._sent % len(self._frames)]
        try:
            return self._echo.popleft()
        except IndexError:
            return bytes(FRAME_BYTES)

    def heard(self) -> Heard | None:
        """The tone that has become steady since the last call, None where nothing has changed; not a callback."""
        news: Heard | None = None
        while self._ear:
            self._block += self._ear.popleft()
            if len(self._block) < _BLOCK_BYTES:
                continue
            block = bytes(self._block)
            self._block.clear()
            level, hz = max((level_dbm0(block, hz), hz) for hz in self._listen_hz)
            hz = hz if level > _AUDIBLE_DBM0 else 0
            self._same = (hz, self._same[1] + 1 if self._same[0] == hz else 1)
            if self._same[1] >= _STEADY_BLOCKS and hz != self._reported:
                self._reported = hz
                news = Heard(hz, round(level, 1))
        return news
