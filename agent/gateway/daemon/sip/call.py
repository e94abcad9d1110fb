"""One call of the library: its callbacks, copied into plain values at once, and its media."""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from typing import Protocol

import pjsua2 as pj
from msgspec import Struct, structs

from agent.core.foreign_text import phrase
from agent.core.media import MediaStats, SpeechStats
from agent.core.quality import Figures
from agent.core.redirect import Elsewhere
from agent.gateway.daemon.sip.guard import guarded
from agent.gateway.daemon.sip.headers import header, redirections
from agent.gateway.daemon.sip.outside import Outside
from agent.gateway.daemon.sip.port import LinePort
from agent.gateway.daemon.sip.quality import CallMedia
from agent.gateway.daemon.sip.sdp import asks_for_fax, restrict
from agent.gateway.daemon.sip.uri import text_of

STEADY_JITTER_MS = 60
"""Three packets: what a home line's jitter needs, without a change in mid-call that costs a machine its carrier."""
_EVENT_GOES_ON = 3
"""PJMEDIA_STREAM_DTMF_IS_UPDATE and _IS_END."""
_SC_TRYING = 100
_SC_FINAL = 200
_SC_REDIRECTED = 300
_SC_REFUSED = 400
_RETRIED_BY_LIBRARY = frozenset({401, 407, 422})
_SC_NOT_ACCEPTABLE_HERE = 488
_SC_DECLINE = 603
_ENDED = re.compile(r"terminated\b", re.IGNORECASE)
_LISTENING = (pj.PJSUA_CALL_MEDIA_ACTIVE, pj.PJSUA_CALL_MEDIA_REMOTE_HOLD)


class Stage(enum.Enum):
    """How far the library says that a call has come."""

    SETTING_UP = enum.auto()
    EARLY = enum.auto()
    CONFIRMED = enum.auto()
    GONE = enum.auto()


class CallNews(Struct, frozen=True):
    """A state change of a call. `on_wire`: a message of the peer caused it."""

    stage: Stage
    code: int
    reason: str
    on_wire: bool
    contacts: tuple[Elsewhere, ...] = ()


class CallOwner(Protocol):
    """Who is told of a call; every method runs inside a callback and must neither act on the call nor raise."""

    def call_changed(self, call: SipCall, news: CallNews) -> None:
        """The call's state changed."""

    def media_changed(self, call: SipCall) -> None:
        """Streams have begun or ended: what was connected with the old ones no longer is."""

    def offer_answered(self, call: SipCall, code: int) -> None:
        """The re-INVITE of `offer` has its final status."""

    def transfer_progressed(self, call: SipCall, code: int, *, final: bool) -> None:
        """The far end, or the library for it, says how the transfer is getting on."""

    def transfer_ended(self, call: SipCall) -> None:
        """No more will be heard of the transfer (RFC 6665 §4.1.3)."""

    def key_pressed(self, call: SipCall, digit: str) -> None:
        """The far end pressed a key."""

    def steady(self, line: int) -> bool:
        """Whether a machine is connected to the line, which wants a delay that never changes."""
        ...

    def now(self) -> int:
        """Milliseconds of the boot clock."""
        ...

    def codecs(self, call: SipCall) -> Sequence[str]:
        """What the call may use, the best first."""
        ...

    def described(self, call: SipCall, sdp: str) -> str:
        """Our SDP with the addresses at which the far end reaches us."""
        ...

    def fax_refused(self, call: SipCall) -> None:
        """The far end has asked for T.38 in place of speech, and gets 488."""

    def callback_failed(self, callback: str, error: BaseException) -> None:
        """A callback raised."""


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
        self.remote_held = False
        """Whether the far end wants to hear nothing."""
        self.told_held = False
        self._last_key = ("", 0)
        self._offering = False
        self.transferring = False
        self.media = CallMedia(owner.now())
        self.outside = Outside()
        self.emergency = False
        self.machine = False
        """Whether a machine was heard in it."""
        self._owner = owner
        self._ports = ports
        self._speech: SpeechStats | None = None

    def callback_failed(self, callback: str, error: BaseException) -> None:
        """Passed on to the stack."""
        self._owner.callback_failed(callback, error)

    def stats(self) -> MediaStats | None:
        """Statistics of all streams that have ended; None where the call never had one."""
        self.note_speech()
        stats = self.media.stats()
        return structs.replace(stats, speech=self._speech) if stats is not None else None

    def look(self, now: int) -> Figures | None:
        """How the call sounds at this moment; None where it has no stream."""
        return self.media.sample(self, now, steady=self.line is not None and self._owner.steady(self.line))

    def keep_to_codecs(self) -> None:
        """Offer again where the stream uses a codec that the call may not. Raises pj.Error."""
        index = self.media.audio_of(self.getInfo())
        if index is not None and str(self.getStreamInfo(index).codecName) not in self._owner.codecs(self):
            self.reinvite(voice())

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
        code, reason = int(info.lastStatusCode), phrase(str(info.lastReason))
        contacts: tuple[Elsewhere, ...] = ()
        transaction = event.body.tsxState.tsx if on_wire else None
        if transaction is not None and _SC_REDIRECTED <= transaction.statusCode < _SC_REFUSED:
            # The library, which follows none, calls it terminated (487).
            code, reason = int(transaction.statusCode), phrase(str(transaction.statusText))
            contacts = redirections(text_of(str(event.body.tsxState.src.rdata.wholeMsg)))
        elif transaction is not None and _SC_FINAL <= transaction.statusCode < _SC_REDIRECTED <= code:
            # An answer that cannot be used, without SDP or with one that fits nothing: the library has ended the call.
            self.ended_here = True
        self._owner.call_changed(self, CallNews(_stage(info.state), code, reason, on_wire, contacts))

    @guarded
    def onCallTsxState(self, prm: pj.OnCallTsxStateParam) -> None:  # noqa: N802  the library's name
        """Pass on the end of an offer, that of a transfer, and 100 Trying.

        That changes no call state, but says that the target lives (RFC 3261 §17.1.1).
        """
        change = prm.e.body.tsxState
        transaction = change.tsx
        if self.transferring and transaction.method == "NOTIFY" and change.type == pj.PJSIP_EVENT_RX_MSG:
            if _ENDED.match(header(text_of(str(change.src.rdata.wholeMsg)), "Subscription-State")):
                self._owner.transfer_ended(self)
            return
        if transaction.role != pj.PJSIP_ROLE_UAC or transaction.method != "INVITE":
            return
        code = int(transaction.statusCode)
        if self._offering:
            over = transaction.state >= pj.PJSIP_TSX_STATE_COMPLETED > change.prevState
            if over and code >= _SC_FINAL and code not in _RETRIED_BY_LIBRARY:
                self._offering = False
                self._owner.offer_answered(self, code)
        elif change.type == pj.PJSIP_EVENT_RX_MSG and code == _SC_TRYING and self.last_progress is None:
            self._owner.call_changed(self, CallNews(Stage.EARLY, _SC_TRYING, phrase(str(transaction.statusText)), True))

    @guarded
    def onCallMediaState(self, prm: pj.OnCallMediaStateParam) -> None:  # noqa: N802  the library's name
        """Say that what was connected has to be connected again: every negotiation makes new streams."""
        del prm
        info = self.getInfo()
        self._note_media(info)
        self._owner.media_changed(self)
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
    def onCallSdpCreated(self, prm: pj.OnCallSdpCreatedParam) -> None:  # noqa: N802  the library's name
        """Offer, or answer with, what this call may use, at the address where it is heard.

        The library knows one list of codecs for all calls, and our own addresses.
        """
        sdp = restrict(str(prm.sdp.wholeSdp), self._owner.codecs(self))
        prm.sdp.wholeSdp = sdp
        prm.sdp.wholeSdp = self._owner.described(self, sdp)

    @guarded
    def onCallRxOffer(self, prm: pj.OnCallRxOfferParam) -> None:  # noqa: N802  the library's name
        """Refuse T.38 in place of speech with 488 (ITU-T T.38 Annex D.2.2.4): the call goes on as it is."""
        if asks_for_fax(str(prm.offer.wholeSdp)):
            prm.statusCode = _SC_NOT_ACCEPTABLE_HERE
            self._owner.fax_refused(self)

    @guarded
    def onStreamPreCreate(self, prm: pj.OnStreamPreCreateParam) -> None:  # noqa: N802  the library's name
        """Give a machine's line a jitter buffer that does not adapt; the only part of it that is the call's own."""
        if self.line is not None and self._owner.steady(self.line):
            info = prm.streamInfo
            info.jbInit = info.jbMinPre = info.jbMaxPre = STEADY_JITTER_MS

    @guarded
    def onDtmfEvent(self, prm: pj.OnDtmfEventParam) -> None:  # noqa: N802  the library's name
        """Pass on a telephone-event once, by whichever of its packets comes first (RFC 4733 §2.5.1.2)."""
        if prm.method != pj.PJSUA_DTMF_METHOD_RFC2833:
            return
        event = (str(prm.digit)[:1], int(prm.timestamp))
        if not prm.flags & _EVENT_GOES_ON or event != self._last_key:
            self._owner.key_pressed(self, event[0])
        self._last_key = event

    @guarded
    def onStreamDestroyed(self, prm: pj.OnStreamDestroyedParam) -> None:  # noqa: N802  the library's name
        """Read the statistics of a stream while they still exist."""
        index = int(prm.streamIdx)
        self.media.stream_ended(self.getStreamStat(index), self.getStreamInfo(index), self._owner.now())

    @guarded
    def onCallTransferStatus(self, prm: pj.OnCallTransferStatusParam) -> None:  # noqa: N802  the library's name
        """Pass on what a NOTIFY, or the refusal of the REFER, says (RFC 3515 §2.4.5)."""
        self._owner.transfer_progressed(self, int(prm.statusCode), final=bool(prm.finalNotify))

    def offer(self, *, held: bool) -> None:
        """Send a re-INVITE that holds or resumes the call (RFC 3264 §8.4). Raises pj.Error where none can be sent."""
        parameters = voice()
        if held:
            self.setHold(parameters)
        else:
            parameters.opt.flag = pj.PJSUA_CALL_UNHOLD
            self.reinvite(parameters)
        self._offering = True

    def tell_contact(self) -> None:
        """Offer again what there is, with the Contact of now (RFC 3261 §12.2.1.2, target refresh). Raises pj.Error."""
        parameters = voice()
        parameters.opt.flag = pj.PJSUA_CALL_UPDATE_CONTACT | pj.PJSUA_CALL_UPDATE_VIA
        self.reinvite(parameters)

    def audio(self) -> pj.AudioMedia | None:
        """Where the call's speech comes from and goes to; None where none may flow: no media yet, or held from here."""
        if self.getId() < 0 or self.over:
            return None
        # Held in a name: a part of a temporary is freed before it can be read.
        info = self.getInfo()
        index = _speaking(info)
        return None if index is None else self.getAudioMedia(index)

    def _note_media(self, info: pj.CallInfo) -> None:
        index = _speaking(info)
        if index is None:
            return
        if not self.answered:
            self.early_media = True
        self.remote_held = info.media[index].status == pj.PJSUA_CALL_MEDIA_REMOTE_HOLD


def voice() -> pj.CallOpParam:
    """What an offer of ours asks for: one stream of speech, and nothing to see."""
    parameters = pj.CallOpParam(True)
    parameters.opt.audioCount, parameters.opt.videoCount = 1, 0
    return parameters


def _speaking(info: pj.CallInfo) -> int | None:
    """The first audio stream that is not held from here."""
    media = info.media
    for index in range(len(media)):
        part = media[index]
        if part.type == pj.PJMEDIA_TYPE_AUDIO and part.status in _LISTENING:
            return index
    return None


def _stage(state: int) -> Stage:
    if state == pj.PJSIP_INV_STATE_DISCONNECTED:
        return Stage.GONE
    if state == pj.PJSIP_INV_STATE_CONFIRMED:
        return Stage.CONFIRMED
    if state == pj.PJSIP_INV_STATE_EARLY:
        return Stage.EARLY
    return Stage.SETTING_UP
