"""Reads the RTP statistics of calls out of the library, once a second while they are answered, on its own thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Protocol

import pjsua2 as pj

from agent.core import events
from agent.core.media import MediaStats, Way
from agent.core.quality import MACHINE_PATIENCE_MS, PATIENCE_MS, SAMPLE_MS, Counters, Figures, Meter
from agent.core.silence import ReceiveWatch
from agent.gateway.daemon.sip import rtp_stat

_US_PER_MS: Final = 1000
_TALKING: Final = pj.PJMEDIA_DIR_ENCODING_DECODING


class CallMedia:
    """The media of one call over all its streams. Every method on the library's thread."""

    def __init__(self, began_ms: int) -> None:
        self.meter = Meter()
        self._began_ms = began_ms
        self._answered_ms: int | None = None
        self.codec = ""
        self.sample_ms: int | None = None
        """When the next sample is due; None: the call is not answered."""
        self._rx_jitter_ms = self._rtt_ms = 0
        self.silent_ms = 0
        """How long nothing has come, by the newest sample."""
        self._receive = ReceiveWatch()

    def answered(self, now: int) -> None:
        """Speech begins: the first sample is due."""
        self.sample_ms = self._answered_ms = now

    def rtp_stat(self, now: int) -> str:
        """The value of the header that tells the far end how it sounded; empty: nobody has answered."""
        if self._answered_ms is None:
            return ""
        return rtp_stat.value(
            self.meter.totals, self.codec, setup_ms=self._answered_ms - self._began_ms,
            talk_ms=now - self._answered_ms, mos_centi=self.meter.overall(Way.HEARD),
        )  # fmt: skip

    @staticmethod
    def audio_of(info: pj.CallInfo) -> int | None:
        """Which of the call's media is the speech; None: there is none."""
        media = info.media
        return next((at for at in range(len(media)) if media[at].type == pj.PJMEDIA_TYPE_AUDIO), None)

    def stream_ended(self, stat: pj.StreamStat, info: pj.StreamInfo, now: int) -> None:
        """Take the last counters of a stream while they still exist."""
        self.meter.stream_ended(_counters(stat, far_talks=False), now)
        rtcp = stat.rtcp
        self._rx_jitter_ms = max(self._rx_jitter_ms, int(rtcp.rxStat.jitterUsec.mean) // _US_PER_MS)
        self._rtt_ms = max(self._rtt_ms, int(rtcp.rttUsec.mean) // _US_PER_MS)
        self.codec = f"{info.codecName}/{info.codecClockRate}"

    def sample(self, call: pj.Call, now: int, *, steady: bool) -> Figures | None:
        """Look at the running stream; None where there is none. `steady`: a machine is connected."""
        due_ms = self.sample_ms if self.sample_ms is not None else now
        # Seconds that were missed are not made up for: two samples at one moment say nothing.
        self.sample_ms = due_ms + SAMPLE_MS * (1 + max(0, now - due_ms) // SAMPLE_MS)
        info = call.getInfo()
        media = info.media
        index = self.audio_of(info)
        if index is None:
            return None
        try:
            stat = call.getStreamStat(index)
            stream = call.getStreamInfo(index)
            self.codec = f"{stream.codecName}/{stream.codecClockRate}"
            far_talks = bool(str(call.getMedTransportInfo(index).srcRtcpName))
        except pj.Error:
            self.meter.watch.pause(now)
            return None
        held = media[index].status != pj.PJSUA_CALL_MEDIA_ACTIVE or media[index].dir != _TALKING
        patience = MACHINE_PATIENCE_MS if steady else PATIENCE_MS
        counters = _counters(stat, far_talks=far_talks)
        # A report is a sign of life, too: a far end that suppresses silence sends nothing else for minutes.
        self.silent_ms = self._receive.look(counters.received + counters.reports, now, held=held)
        return self.meter.sample(counters, now, held=held, patience_ms=patience)

    def stats(self) -> MediaStats | None:
        """Statistics of all streams that have ended; None where the call never had one."""
        if not self.meter.streams:
            return None
        totals, watch = self.meter.totals, self.meter.watch
        return MediaStats(
            rx_packets=totals.received, tx_packets=totals.sent, rx_lost=totals.lost, tx_lost=totals.far_lost,
            rx_jitter_ms=self._rx_jitter_ms, rtt_ms=self._rtt_ms, codec=self.codec,
            rx_discarded=totals.discarded, tx_jitter_ms=totals.far_jitter_us // _US_PER_MS,
            heard_mos_centi=self.meter.overall(Way.HEARD), sent_mos_centi=self.meter.overall(Way.SENT),
            worst=self.meter.worst, one_way=watch.first, one_way_ms=watch.silent_ms,
        )  # fmt: skip


class Sampled(Protocol):
    """A call as the sampler needs it."""

    @property
    def call_id(self) -> str:
        """Its id."""
        ...

    @property
    def media(self) -> CallMedia:
        """Its media."""
        ...

    def look(self, now: int) -> Figures | None:
        """One sample; None where there is no stream."""
        ...


class Sampler:
    """When which call is looked at, and what is told of it. Costs nothing while no call is answered."""

    def __init__(self, post: Callable[[events.TelephoneEvent], None]) -> None:
        self._post = post
        self._told: dict[str, Way] = {}

    def wait_ms(self, calls: Iterable[Sampled], timeout_ms: int, now: int) -> int:
        """At most `timeout_ms`, less where a sample is due before."""
        due = min((call.media.sample_ms for call in calls if call.media.sample_ms is not None), default=None)
        return timeout_ms if due is None else min(timeout_ms, max(0, due - now))

    def look(self, calls: Iterable[Sampled], now: int) -> None:
        """Take the samples that are due, and tell them."""
        for call in calls:
            due_ms = call.media.sample_ms
            if due_ms is None or due_ms > now:
                continue
            figures = call.look(now)
            if figures is not None:
                self._post(events.CallSampled(call.call_id, figures, call.media.silent_ms))
            self._tell(call.call_id, call.media)

    def forget(self, call_id: str) -> None:
        """The call is over."""
        self._told.pop(call_id, None)

    def _tell(self, call_id: str, media: CallMedia) -> None:
        watch = media.meter.watch
        if watch.silent is self._told.get(call_id):
            return
        if watch.silent is None:
            del self._told[call_id]
        else:
            self._told[call_id] = watch.silent
        self._post(events.OneWayAudio(call_id, watch.silent, watch.since_ms))


def _counters(stat: pj.StreamStat, *, far_talks: bool) -> Counters:
    rtcp = stat.rtcp
    received, sent = rtcp.rxStat, rtcp.txStat
    return Counters(
        received=int(received.pkt), received_octets=int(received.bytes), lost=int(received.loss),
        discarded=int(received.discard), jitter_us=int(received.jitterUsec.last), sent=int(sent.pkt),
        sent_octets=int(sent.bytes), reports=int(sent.updateCount), far_lost=int(sent.loss),
        far_jitter_us=int(sent.jitterUsec.last), rtt_us=int(rtcp.rttUsec.last), far_talks=far_talks,
    )  # fmt: skip
