"""Speech of one analog line between the card's clock and the media clock: two bounded buffers, nothing else.

The two clocks are independent crystals, so each way needs a little room (2-3 media frames, 40-60 ms) and an answer to
drift: an overfull buffer drops its oldest frame (a slip), an empty one plays silence and fills up again before it
speaks (an underrun). Every operation is one atomic step of a deque: no lock is held by a frame callback.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from firmware_bridge.g711 import SILENCE, decode_alaw, encode_alaw

CARD_FRAME = 80
"""Bytes of one A-law frame of the card: 10 ms at 8000 samples per second."""
MEDIA_FRAME = 320
"""Bytes of one frame of the media bridge: 20 ms of 16-bit little-endian PCM at 8000 samples per second."""
CAPACITY = 6
"""Card frames that one direction holds at most: 60 ms, three media frames."""
PRIME = 3
"""Card frames that must wait before speech starts again: covers one media frame and the usual lateness of a tick."""

_SILENT_ALAW = bytes([SILENCE]) * CARD_FRAME
_SILENT_PCM = bytes(MEDIA_FRAME)


@dataclass(frozen=True, slots=True)
class AudioCounters:
    """What happened to the speech of a line since it was opened, in card frames (10 ms)."""

    to_sip_slips: int
    to_sip_underruns: int
    to_card_slips: int
    to_card_underruns: int
    bad_frames: int


class _Buffer:
    """One direction, one producer thread, one consumer thread."""

    def __init__(self) -> None:
        self._frames: deque[bytes] = deque()
        self._primed = False
        self.slips = 0
        self.underruns = 0

    def clear(self) -> None:
        self._frames.clear()
        self._primed = False
        self.slips = 0
        self.underruns = 0

    def put(self, frame: bytes) -> None:
        self._frames.append(frame)
        while len(self._frames) > CAPACITY:
            try:
                self._frames.popleft()
            except IndexError:  # the consumer was quicker: there is room again
                break
            self.slips += 1

    def take(self, count: int) -> bytes | None:
        """`count` frames joined, or None (counted once per gap) until enough have come again."""
        if len(self._frames) < (count if self._primed else max(PRIME, count)):
            if self._primed:
                self.underruns += 1
                self._primed = False
            return None
        self._primed = True
        try:
            return b"".join([self._frames.popleft() for _ in range(count)])
        except IndexError:  # the producer dropped the oldest, or the line was just closed
            return None


class LineAudio:
    """The speech of one line. `card_frame` belongs to the card's thread, `media_*` to the media clock's thread."""

    def __init__(self) -> None:
        self._open = False
        self._bad_frames = 0
        self._to_sip = _Buffer()
        self._to_card = _Buffer()

    def open(self) -> None:
        """Let speech flow, from empty buffers and counters; opening an open line changes nothing."""
        if self._open:
            return
        self._to_sip.clear()
        self._to_card.clear()
        self._bad_frames = 0
        self._open = True

    def close(self) -> None:
        """Stop the speech; the counters stay to be read."""
        self._open = False

    @property
    def counters(self) -> AudioCounters:
        """Slips and underruns since `open`."""
        return AudioCounters(
            self._to_sip.slips, self._to_sip.underruns, self._to_card.slips, self._to_card.underruns, self._bad_frames
        )

    def card_frame(self, alaw: bytes) -> bytes | None:
        """Take 10 ms of A-law from the line and return 10 ms for it; None while the line is closed.

        A frame that is not `CARD_FRAME` bytes long is dropped and counted; it still gets its answer.
        """
        if not self._open:
            return None
        if len(alaw) == CARD_FRAME:
            self._to_sip.put(alaw)
        else:
            self._bad_frames += 1
        return self._to_card.take(1) or _SILENT_ALAW

    def media_put(self, pcm: bytes) -> None:
        """Take 20 ms of PCM from SIP; an empty or odd frame (a gap in the stream) is nothing to play."""
        if not self._open or len(pcm) != MEDIA_FRAME:
            return
        alaw = encode_alaw(pcm)
        self._to_card.put(alaw[:CARD_FRAME])
        self._to_card.put(alaw[CARD_FRAME:])

    def media_get(self) -> bytes:
        """20 ms of PCM for SIP; silence while the line is closed or has nothing to say."""
        if not self._open:
            return _SILENT_PCM
        alaw = self._to_sip.take(MEDIA_FRAME // 2 // CARD_FRAME)
        return _SILENT_PCM if alaw is None else decode_alaw(alaw)
