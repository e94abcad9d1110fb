"""Speech of one analog line between the card's clock and the media clock: two buffers, and what is done to the frames.

The two clocks are independent crystals; `speech_buffer` follows their drift, `buffer_plan` has the figures.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from agent.core.media import SpeechStats
from agent.core.terms import LineProfile
from agent.gateway.daemon.announcer import Playback
from agent.gateway.daemon.buffer_plan import CARD_FRAME, DATA, MEDIA_FRAME, SPEECH
from agent.gateway.daemon.conceal import SILENT_FRAME
from agent.gateway.daemon.modem_tone import ModemToneWatch
from agent.gateway.daemon.speech_buffer import SpeechBuffer
from firmware_bridge.g711 import decode_alaw, encode_alaw

_SILENT_PCM: Final = bytes(MEDIA_FRAME)


class LineAudio:
    """The speech of one line. `card_frame` belongs to the card's thread, `media_*` to the media clock's thread.

    `clock_us`: a monotonic clock in microseconds, the same for both.
    """

    def __init__(self, clock_us: Callable[[], int]) -> None:
        self._open = False
        self._profile = LineProfile.PHONE
        self._data = False
        self._from_line_tone = ModemToneWatch()
        self._from_far_tone = ModemToneWatch()
        self._dialling = False
        self._bad_frames = self._lost = self._digits = 0
        self._to_sip = SpeechBuffer(clock_us)
        self._to_card = SpeechBuffer(clock_us)
        self._sip_fixed = self._card_fixed = False
        self._playback: Playback | None = None

    def use(self, profile: LineProfile) -> None:
        """What is connected to the line; from the next `open` on."""
        self._profile = profile

    def open(self) -> None:
        """Let speech flow, from empty buffers and counters; opening an open line changes nothing."""
        if self._open:
            return
        self._data = self._profile.is_data
        plan = DATA if self._data else SPEECH
        self._to_sip.clear(plan)
        self._to_card.clear(plan)
        self._sip_fixed = self._card_fixed = self._data
        self._from_line_tone.reset()
        self._from_far_tone.reset()
        self._dialling = False
        self._bad_frames = self._lost = self._digits = 0
        self._open = True

    def close(self) -> None:
        """Stop the speech; the counters stay to be read."""
        self._open = False
        self._playback = None

    def announce(self, playback: Playback | None) -> None:
        """Let the telephone hear an announcement in place of all else; None: no more of it. Speech flows on to SIP."""
        self._playback = playback

    def announced(self) -> int | None:
        """The number of an announcement that has just ended; told once, on the card's thread."""
        playback = self._playback
        if playback is None or not playback.over or playback.told:
            return None
        playback.told = True
        return playback.take

    @property
    def data(self) -> bool:
        """Whether machines speak to each other, by the line's profile or by their answer tone."""
        return self._open and self._data

    @property
    def stats(self) -> SpeechStats:
        """What happened to the speech since `open`."""
        return SpeechStats(
            to_network=self._to_sip.counters, to_line=self._to_card.counters, lost=self._lost,
            bad_frames=self._bad_frames, digits_muted=self._digits, data=self._data,
        )  # fmt: skip

    # --- the card's thread -------------------------------------------------------------------------------------------

    def card_frame(self, alaw: bytes | None, *, dtmf: bool = False, skipped: int = 0) -> bytes | None:
        """Take 10 ms of A-law from the line (None: they were lost) and return 10 ms for it; None while closed and mute.

        `dtmf`: a key is held down. It travels as a telephone-event (RFC 4733), so it is muted here, and what has not
        been sent of it yet with it. `skipped`: so many more were lost before, for which nothing is made up. A frame
        that is not `CARD_FRAME` bytes long is dropped, counted and answered.
        """
        playback = self._playback
        if not self._open:
            return None if playback is None else playback.next(SILENT_FRAME)
        if alaw is None:
            self._lost += 1 + skipped
            self._to_sip.put(None)
        elif len(alaw) != CARD_FRAME:
            self._bad_frames += 1
        else:
            self._to_sip.put(SILENT_FRAME if self._muted(dtmf=dtmf) else alaw)
            if not self._data and self._from_line_tone.heard(alaw):
                self._data = True
        if self._data and not self._card_fixed:
            self._card_fixed = True
            self._to_card.follow(DATA)
        heard = self._to_card.take(1) or SILENT_FRAME
        return heard if playback is None else playback.next(heard)

    def _muted(self, *, dtmf: bool) -> bool:
        if dtmf and not self._dialling:
            self._digits += 1
            self._to_sip.silence_waiting()
        self._dialling = dtmf
        return dtmf

    # --- the media clock's thread ------------------------------------------------------------------------------------

    def media_put(self, pcm: bytes) -> None:
        """Take 20 ms of PCM from SIP; an empty or odd frame (a gap in the stream) is nothing to play."""
        if not self._open or len(pcm) != MEDIA_FRAME:
            return
        alaw = encode_alaw(pcm)
        first, second = alaw[:CARD_FRAME], alaw[CARD_FRAME:]
        self._to_card.put(first, second)
        if not self._data and (self._from_far_tone.heard(first) or self._from_far_tone.heard(second)):
            self._data = True

    def media_get(self) -> bytes:
        """20 ms of PCM for SIP; silence while the line is closed or has nothing to say."""
        if not self._open:
            return _SILENT_PCM
        if self._data and not self._sip_fixed:
            self._sip_fixed = True
            self._to_sip.follow(DATA)
        alaw = self._to_sip.take(MEDIA_FRAME // 2 // CARD_FRAME)
        return _SILENT_PCM if alaw is None else decode_alaw(alaw)
