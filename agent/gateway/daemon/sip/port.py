"""The permanent port of one line in the conference bridge: moves frames, does nothing else.

A port is made once and lives as long as the stack: dropping one while the media clock runs crashes the library.
"""

from __future__ import annotations

import ctypes
from typing import Protocol

import pjsua2 as pj

from agent.core.media import SpeechStats
from agent.gateway.daemon.sip.guard import guarded
from agent.gateway.daemon.sip.native import SipError

SAMPLE_RATE = 8000
FRAME_US = 20_000
FRAME_BYTES = 320


class Speech(Protocol):
    """Where a line's speech comes from and goes to: `media_*` 50 times a second on the media clock's thread."""

    @property
    def stats(self) -> SpeechStats | None:
        """What has happened to the speech of the present or last call; None where nobody counts."""
        ...

    def media_put(self, pcm: bytes) -> None:
        """Take 20 ms of 16-bit PCM from SIP (empty: nothing was received)."""

    def media_get(self) -> bytes:
        """Return 20 ms of 16-bit PCM for SIP."""
        ...


def _storage(vector: pj.ByteVector) -> tuple[int, int]:
    """Address and length of a vector's bytes: the first two words of a `std::vector` are begin and end."""
    begin, end = (ctypes.c_size_t * 2).from_address(int(vector.this))
    return begin, end - begin


class LinePort(pj.AudioMediaPort):
    """Joins the bridge with a line's speech. Counts, instead of logging, what goes wrong in its callbacks."""

    def __init__(self, name: str, speech: Speech) -> None:
        super().__init__()
        self.failures = 0
        self.last_failure = ""
        self._speech = speech
        # Kept: filling this vector in place costs 1 us, building one per frame ten times as much.
        self._buffer = pj.ByteVector(FRAME_BYTES)
        self._address, length = _storage(self._buffer)
        if length != FRAME_BYTES:
            raise SipError("this build of the SIP library lays out its buffers in a way that is not understood")
        audio = pj.MediaFormatAudio()
        audio.init(pj.PJMEDIA_FORMAT_PCM, SAMPLE_RATE, 1, FRAME_US, 16)
        self.createPort(name, audio)

    def speech_stats(self) -> SpeechStats | None:
        """What has happened to the speech of the line's present or last call."""
        return self._speech.stats

    def callback_failed(self, callback: str, error: BaseException) -> None:
        """Counted only: this is the media clock's thread, and the stack reads it at leisure."""
        self.failures += 1
        self.last_failure = f"{callback}: {type(error).__name__}"

    @guarded
    def onFrameRequested(self, frame: pj.MediaFrame) -> None:  # noqa: N802  the library's name
        """Give the bridge 20 ms of the line's speech."""
        speech = self._speech.media_get()
        if len(speech) == FRAME_BYTES:
            ctypes.memmove(self._address, speech, FRAME_BYTES)
        else:
            ctypes.memset(self._address, 0, FRAME_BYTES)
        frame.type = pj.PJMEDIA_FRAME_TYPE_AUDIO
        frame.buf = self._buffer

    @guarded
    def onFrameReceived(self, frame: pj.MediaFrame) -> None:  # noqa: N802  the library's name
        """Take 20 ms of what the far end says; an unconnected port gets empty frames."""
        begin, length = _storage(frame.buf)
        self._speech.media_put(ctypes.string_at(begin, length) if length else b"")
