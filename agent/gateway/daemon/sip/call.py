"""One call of the library: its callbacks, copied into plain values at once, and its media."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import pjsua2 as pj

from agent.core.events import MediaStats, SpeechStats
from agent.gateway.daemon.sip.guard import guarded
from agent.gateway.daemon.sip.port import LinePort
from agent.gateway.daemon.sip.uri import phrase

_US_PER_MS = 1000
STEADY_JITTER_MS = 60
"""Three packets: what a home line's jitter needs, without a change in mid-call that costs a machine its carrier."""
_EVENT_GOES_ON = 3
"""PJMEDIA_STREAM_DTMF_IS_UPDATE and _IS_END."""
_SC_TRYING = 100
_SC_DECLINE = 603
_LISTENING = (pj.PJSUA_CALL_MEDIA_ACTIVE, pj.PJSUA_CALL_MEDIA_REMOTE_HOLD)


class Stage(enum.Enum):
    """How far the library says that a call has come."""

    SETTING_UP = enum.auto()
    EARLY = enum.auto()
    CONFIRMED = enum.auto()
    GONE = enum.auto()


@dataclass(frozen=True, slots=True)
class CallNews:
    """A state change of a call. `on_wire`: a message of the peer caused it."""

    stage: Stage
    code: int
    reason: str
    on_wire: bool


class CallOwner(Protocol):
    """Who is told of a call; every method runs inside a callback and must neither act on the call nor raise."""

    def call_changed(self, call: SipCall, news: CallNews) -> None:
        """The call's state changed."""

    def key_pressed(self, call: SipCall, digit: str) -> None:
        """The far end pressed a key."""

    def steady(self, line: int) -> bool:
        """Whether a machine is connected to the line, which wants a delay that never changes."""
        ...

    def callback_failed(self, callback: str, error: BaseException) -> None:
        """A callback raised."""


class _Totals:
    """RTP statistics summed over the streams of a call: every re-INVITE begins new ones."""

    def __init__(self) -> None:
        self.rx_packets = self.tx_packets = self.rx_lost = self.tx_lost = 0
        self.rx_jitter_ms = self.rtt_ms = 0
        self.codec = ""

    def result(self) -> MediaStats:
        return MediaStats(
            self.rx_packets, self.tx_packets, self.rx_lost, self.tx_lost, self.rx_jitter_ms, self.rtt_ms, self.codec
        )


class SipCall(pj.Call):
    """A call in the registry of the stack, which holds the only lasting reference to it."""

    def __init__(
        self, owner: CallOwner, ports: Sequence[LinePort], account: pj.Account, call_id: str, library_id: int = -1
    ) -> None:
        super().__init__(account, library_id)
        self.call_id = call_id
        self.account_id = ""
        self.outgoing = library_id < 0
        self.line: int | None = None
        self.ended_here = False
        self.over = False
        self.answered = False
        self.early_media = False
        self.last_progress: tuple[int, bool] | None = None
        self.had_media = False
        self._owner = owner
        self._ports = ports
        self._totals = _Totals()
        self._speech: SpeechStats | None = None

    def callback_failed(self, callback: str, error: BaseException) -> None:
        """Passed on to the stack."""
        self._owner.callback_failed(callback, error)

    def stats(self) -> MediaStats | None:
        """Statistics of all streams that have ended; None where the call never had one."""
        self.note_speech()
        return dataclasses.replace(self._totals.result(), speech=self._speech) if self.had_media else None

    def note_speech(self) -> None:
        """Take the counters of the line's speech, once: after the hang-up the line may soon be in another call."""
        if self._speech is None and self.line is not None and self.answered:
            self._speech = self._ports[self.line].speech_stats()

    @guarded
    def onCallState(self, prm: pj.OnCallStateParam) -> None:  # noqa: N802  the library's name
        """Say how far the call has come."""
        event = prm.e
        on_wire = event.type == pj.PJSIP_EVENT_TSX_STATE and event.body.tsxState.type == pj.PJSIP_EVENT_RX_MSG
        # Held in a name: a part of a temporary is freed before it can be read.
        info = self.getInfo()
        self._owner.call_changed(
            self, CallNews(_stage(info.state), int(info.lastStatusCode), phrase(str(info.lastReason)), on_wire)
        )

    @guarded
    def onCallTsxState(self, prm: pj.OnCallTsxStateParam) -> None:  # noqa: N802  the library's name
        """Pass on 100 Trying, which changes no call state: it says that the target lives (RFC 3261 §17.1.1)."""
        event = prm.e
        if event.body.tsxState.type != pj.PJSIP_EVENT_RX_MSG:
            return
        transaction = event.body.tsxState.tsx
        if (
            transaction.role == pj.PJSIP_ROLE_UAC
            and transaction.statusCode == _SC_TRYING
            and self.last_progress is None
        ):
            self._owner.call_changed(self, CallNews(Stage.EARLY, _SC_TRYING, phrase(str(transaction.statusText)), True))

    @guarded
    def onCallMediaState(self, prm: pj.OnCallMediaStateParam) -> None:  # noqa: N802  the library's name
        """Connect the line again: every negotiation makes new streams."""
        del prm
        info = self.getInfo()
        self.join(info)
        if info.state == pj.PJSIP_INV_STATE_EARLY:
            self._owner.call_changed(
                self, CallNews(Stage.EARLY, int(info.lastStatusCode), phrase(str(info.lastReason)), True)
            )

    @guarded
    def onCallTransferRequest(self, prm: pj.OnCallTransferRequestParam) -> None:  # noqa: N802  the library's name
        """Decline a REFER (RFC 3515 §2.4.4): nobody but a handset starts calls here. Left alone the library dials."""
        prm.statusCode = _SC_DECLINE

    @guarded
    def onCallReplaceRequest(self, prm: pj.OnCallReplaceRequestParam) -> None:  # noqa: N802  the library's name
        """Decline an INVITE with Replaces (RFC 3891 §3): left alone the library gives it this call, whoever asks."""
        prm.statusCode = _SC_DECLINE

    @guarded
    def onStreamPreCreate(self, prm: pj.OnStreamPreCreateParam) -> None:  # noqa: N802  the library's name
        """Give a machine's line a jitter buffer that does not adapt; the only part of it that is the call's own."""
        if self.line is not None and self._owner.steady(self.line):
            info = prm.streamInfo
            info.jbInit = info.jbMinPre = info.jbMaxPre = STEADY_JITTER_MS

    @guarded
    def onDtmfEvent(self, prm: pj.OnDtmfEventParam) -> None:  # noqa: N802  the library's name
        """Pass on the beginning of a telephone-event; updates and end repeat what is known (RFC 4733 §2.5.1)."""
        if not prm.flags & _EVENT_GOES_ON:
            self._owner.key_pressed(self, str(prm.digit)[:1])

    @guarded
    def onStreamDestroyed(self, prm: pj.OnStreamDestroyedParam) -> None:  # noqa: N802  the library's name
        """Read the statistics of a stream while they still exist."""
        index = int(prm.streamIdx)
        stat = self.getStreamStat(index)
        received, sent = stat.rtcp.rxStat, stat.rtcp.txStat
        totals = self._totals
        totals.rx_packets += int(received.pkt)
        totals.tx_packets += int(sent.pkt)
        totals.rx_lost += int(received.loss)
        totals.tx_lost += int(sent.loss)
        totals.rx_jitter_ms = max(totals.rx_jitter_ms, int(received.jitterUsec.mean) // _US_PER_MS)
        totals.rtt_ms = max(totals.rtt_ms, int(stat.rtcp.rttUsec.mean) // _US_PER_MS)
        self.had_media = True
        info = self.getStreamInfo(index)
        totals.codec = f"{info.codecName}/{info.codecClockRate}"

    def join(self, info: pj.CallInfo | None = None) -> None:
        """Connect the call's speech with its line, both ways; nothing where there is no line or no media yet."""
        info = info or self.getInfo()
        media = info.media
        for index in range(len(media)):
            part = media[index]
            if part.type != pj.PJMEDIA_TYPE_AUDIO or part.status not in _LISTENING:
                continue
            if not self.answered:
                self.early_media = True
            if self.line is None:
                continue
            far = self.getAudioMedia(index)
            port = self._ports[self.line]
            far.startTransmit(port)
            port.startTransmit(far)


def _stage(state: int) -> Stage:
    if state == pj.PJSIP_INV_STATE_DISCONNECTED:
        return Stage.GONE
    if state == pj.PJSIP_INV_STATE_CONFIRMED:
        return Stage.CONFIRMED
    if state == pj.PJSIP_INV_STATE_EARLY:
        return Stage.EARLY
    return Stage.SETTING_UP
