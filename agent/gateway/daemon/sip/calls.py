"""The calls of the stack: performs what the Switch decided about them, tells what the network did to them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

import pjsua2 as pj

from agent.core import actions, events
from agent.core.redirect import Elsewhere
from agent.gateway.daemon.sip import diverted, rtp_stat
from agent.gateway.daemon.sip.account import Arrival, SipAccount
from agent.gateway.daemon.sip.added import add_header
from agent.gateway.daemon.sip.alert import alert_words
from agent.gateway.daemon.sip.call import CallNews, SipCall, Stage, voice
from agent.gateway.daemon.sip.caller import caller_of, identified
from agent.gateway.daemon.sip.codecs import Codecs
from agent.gateway.daemon.sip.contact_news import ContactNews
from agent.gateway.daemon.sip.engine import Engine
from agent.gateway.daemon.sip.headers import addressed, called_party
from agent.gateway.daemon.sip.holds import Holds
from agent.gateway.daemon.sip.native import SipError
from agent.gateway.daemon.sip.outside import Nobody, Observer
from agent.gateway.daemon.sip.port import LinePort
from agent.gateway.daemon.sip.privacy import show, withhold
from agent.gateway.daemon.sip.quality import Sampler
from agent.gateway.daemon.sip.reasons import reason_of
from agent.gateway.daemon.sip.roster import Roster
from agent.gateway.daemon.sip.sockets import MediaSockets
from agent.gateway.daemon.sip.strangers import Strangers
from agent.gateway.daemon.sip.transfers import Transfers
from agent.gateway.daemon.sip.uri import address_of, called_user, sip_uri
from agent.gateway.daemon.sip.wiring import Wiring

CallAction = (
    actions.Invite | actions.Ringing | actions.Answer | actions.Reject | actions.HangUp | actions.SendDtmf
    | actions.Hold | actions.Resume | actions.Connect | actions.Transfer | actions.TransferTo | actions.Redirect
    | actions.SpeakPlainly
)  # fmt: skip

_SC_RINGING = 180
_SC_QUEUED = 182
_SC_OK = 200
_SC_MOVED = 302
_SC_FORBIDDEN = 403
_SC_UNAVAILABLE = 480
_SC_TERMINATED = 487
_CALL_WAITING: Final = "<urn:alert:service:call-waiting>"
"""RFC 7462 §9.2; in the Alert-Info of a 180 (3GPP TS 24.615 §4.5.5.3)."""


class Calls:
    """The registry of calls, ours and those of strangers: it holds the only lasting reference to each.

    `ports` are those of the lines; `failed` is told of a callback that raised, `later` runs a job when no callback is
    running, `wake` ends the present poll, `observer` says from where our sockets are seen.
    """

    def __init__(
        self,
        engine: Engine,
        ports: Sequence[LinePort],
        accounts: Roster,
        *,
        new_call_id: Callable[[], str],
        clock: Callable[[], int],
        post: Callable[[events.TelephoneEvent], None],
        log: Callable[[str, str, str], None],
        failed: Callable[[str, BaseException], None],
        later: Callable[[Callable[[], None]], None],
        wake: Callable[[], None],
        observer: Observer | None = None,
    ) -> None:
        self._engine = engine
        self._ports = ports
        self._accounts = accounts
        self._new_call_id = new_call_id
        self._clock = clock
        self._post = post
        self._log = log
        self._failed = failed
        self._later = later
        self._wake = wake
        self._observer = observer or Nobody()
        self._calls: dict[str, SipCall] = {}
        self._held_up: dict[str, actions.Invite] = {}
        """Calls that are to leave when the certificate of their target has been checked."""
        self._wiring = Wiring(ports, self._calls, log)
        self._holds = Holds(self._calls, clock, post, log)
        self._transfers = Transfers(self._calls, post, log)
        self._graveyard: list[SipCall] = []
        self._sampler = Sampler(post)
        self._contact_news = ContactNews(clock, log)
        self.lists = Codecs(engine.use_codecs, lambda: engine.codecs, log)
        """Which codecs the accounts list."""
        self.tells_quality = False
        """Whether our BYEs say how the call sounded."""
        self._sockets = MediaSockets()
        self._slots_held = 0
        self.strangers = Strangers(lambda call: self._hang_up(call, _SC_FORBIDDEN), clock, log)
        self.steady_lines: frozenset[int] = frozenset()
        """Lines with a machine."""

    # --- questions ----------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Calls that have not ended, those of strangers included."""
        return len(self._calls) + len(self.strangers)

    @property
    def free_slots(self) -> int:
        """Call slots that a call could take now; a hung-up call keeps its slot until its transaction is dead."""
        return max(0, self._engine.max_calls - self._in_use())

    @property
    def dead_slots(self) -> int:
        """Call slots that the transactions of ended calls still hold."""
        return max(0, self._in_use() - len(self))

    def uses(self, account: str) -> bool:
        """Whether a call belongs to the account."""
        return any(call.account_id == account for call in (*self._calls.values(), *self.strangers))

    def _in_use(self) -> int:
        return self._engine.native.calls_in_use(len(self))

    # --- life ---------------------------------------------------------------------------------------------------------

    def wait_ms(self, timeout_ms: int) -> int:
        """How long a poll may wait until something is to be done here, at most `timeout_ms`."""
        due_ms = self._holds.deadline()
        if due_ms is not None:
            timeout_ms = min(timeout_ms, max(0, due_ms - self._clock()))
        timeout_ms = self._sampler.wait_ms(self._calls.values(), timeout_ms, self._clock())
        return self.strangers.wait_ms(self._contact_news.wait_ms(timeout_ms))

    def look_after(self) -> None:
        """Do what is due. Not from a callback."""
        self._sampler.look(self._calls.values(), self._clock())
        self.strangers.refuse_due()
        self._contact_news.tell()
        self._holds.look_after()

    def hang_up_all(self) -> None:
        """End every call, of which the far end is told."""
        for call in (*self._calls.values(), *self.strangers):
            self._hang_up(call, 0)

    def forget(self) -> None:
        """Drop every call: the library is about to end. Its clock must have been stopped."""
        for call in tuple(self._calls.values()):
            self._over(call, 0, "shutdown", remote=False, on_wire=False)
        self.strangers.clear()
        self._contact_news.forget()
        self._graveyard.clear()

    def bury(self) -> None:
        """Drop ended calls; never from a callback: such a call would take the callback's object with it.

        A native object whose slot already holds a new call is left behind instead: its destructor would cut the new
        call off from its callbacks.
        """
        if not self._graveyard:
            return
        taken = {call.getId() for call in (*self._calls.values(), *self.strangers)}
        for call in self._graveyard:
            if call.getId() in taken:
                call.this.disown()
        self._graveyard.clear()

    def tell_slots_held(self) -> None:
        """Post SlotsHeld where that has changed. A stranger yields his slot at once to any call: he holds none."""
        held = self.dead_slots
        if held != self._slots_held:
            self._slots_held = held
            self._post(events.SlotsHeld(held))

    # --- actions ------------------------------------------------------------------------------------------------------

    def perform(self, action: CallAction) -> None:
        """Do what the Switch decided. Never raises: what fails comes back as CallOver."""
        match action:
            case actions.Invite():
                self._invite(action)
            case actions.Ringing(call_id, waiting):
                self._with_call(call_id, lambda call: _ring(call, waiting=waiting))
            case actions.Answer(call_id, line):
                self._with_call(call_id, lambda call: self._take(call, line))
            case actions.Reject(call_id, code):
                self._with_call(call_id, lambda call: self._hang_up(call, code))
            case actions.HangUp(call_id) if call_id in self._held_up:
                self._never(self._held_up.pop(call_id), 0, "hung up before it left")
            case actions.HangUp(call_id):
                self._with_call(call_id, lambda call: self._hang_up(call, 0))
            case actions.SendDtmf(call_id, digit):
                self._with_call(call_id, lambda call: self._dtmf(call, digit))
            case actions.Redirect(call_id):
                self._with_call(call_id, lambda call: self._redirect(call, action))
            case actions.SpeakPlainly(call_id):
                self._with_call(call_id, self._speak_plainly)
            case _:
                self._serve(action)

    def _serve(
        self, action: actions.Hold | actions.Resume | actions.Connect | actions.Transfer | actions.TransferTo
    ) -> None:
        match action:
            case actions.Hold(call_id):
                self._with_call(call_id, lambda call: self._hold(call, held=True))
            case actions.Resume(call_id):
                self._with_call(call_id, lambda call: self._hold(call, held=False))
            case actions.Connect(call_ids, line):
                self._wiring.connect(call_ids, line)
            case actions.Transfer(call_id, user):
                self._with_call(call_id, lambda call: self._transfer(call, user))
            case actions.TransferTo(call_id, other):
                self._with_call(call_id, lambda call: self._transfers.to_call(call, other))

    def _invite(self, action: actions.Invite) -> None:
        account = self._accounts.ready(action.account)
        if account is None:
            self._never(action, 0, "there is no such account")
            return
        if not self._wiring.has_line(action.line):
            self._never(action, 0, f"there is no line {action.line}")
            return
        self._held_up[action.call_id] = action
        self._accounts.cleared(account, action.target, lambda refusal: self._invite_by(action, refusal))

    def _invite_by(self, action: actions.Invite, refusal: str) -> None:
        if self._held_up.pop(action.call_id, None) is None:
            return  # hung up while the certificate of its target was checked
        account = self._accounts.ready(action.account)
        if account is None or (refusal and not action.emergency):
            self._never(action, 0, refusal or "there is no such account")
            return
        if refusal:
            # A wrong clock makes every certificate a bad one. Whoever answers there, it is better than nobody.
            self._log("warning", "emergency_call_by_an_unproven_server", refusal)
        try:
            account.route_to(action.target, unverified=bool(refusal), urgent=action.emergency)
            uri = sip_uri(action.user, account.record.domain)
            parameters = voice()
            if action.withhold and not action.emergency:
                withhold(parameters.txOption, action.own_user or account.record.user, account.record.domain)
            elif action.own_user:
                show(parameters.txOption, action.own_user, account.record.domain)
            for value in diverted.written(action.diversions, account.record.domain):
                add_header(parameters.txOption.headers, diverted.NAME, value)
        except (IndexError, ValueError, OSError, SipError) as error:
            self._never(action, 0, reason_of(error))
            return
        except pj.Error as error:
            self._never(action, int(error.status), reason_of(error))
            return
        self._make_room()
        call = SipCall(self, self._ports, account, action.call_id)
        call.account_id = account.record.id
        call.emergency = action.emergency
        self._calls[action.call_id] = call
        self._wiring.connect((action.call_id,), action.line)
        try:
            time.sleep(self._sockets.wait_ms(len(self), self._clock(), ours=True) / 1000)
            with self.lists.for_call(emergency=action.emergency):
                call.makeCall(uri, parameters)
            account.settle()
        except pj.Error as error:
            self._over(call, int(error.status), reason_of(error), remote=False, on_wire=False)

    def _never(self, action: actions.Invite, code: int, reason: str) -> None:
        self._post(events.CallOver(action.call_id, code, reason, remote=False, on_wire=False))

    def _make_room(self) -> None:
        """Refuse a stranger now if he holds the last call slot: no flood may keep our own calls off the wire."""
        if self._in_use() >= self._engine.max_calls:
            self.strangers.refuse_one()

    def _with_call(self, call_id: str, act: Callable[[SipCall], None]) -> None:
        call = self._calls.get(call_id)
        if call is None or call.over:
            self._log("debug", "sip_action_for_an_ended_call", call_id)
            return
        try:
            act(call)
        except pj.Error as error:
            self._log("warning", "sip_action_failed", f"call {call_id}: {reason_of(error)}")
            self._hang_up(call, 0)

    def _take(self, call: SipCall, line: int | None) -> None:
        if not self._wiring.has_line(line):
            self._log("error", "sip_answer_on_unknown_line", f"there is no line {line}")
            self._hang_up(call, 0)
            return
        self._wiring.connect((call.call_id,), line)
        _answer(call, _SC_OK)

    def _hang_up(self, call: SipCall, code: int, *extra: tuple[str, str]) -> None:
        call.ended_here = True
        call.note_speech()
        self._holds.forget(call.call_id)
        if call.getId() < 0:  # never made: the library would abort
            self._over(call, 0, "the call was never made", remote=False, on_wire=False)
            return
        parameters = pj.CallOpParam()
        parameters.statusCode = code
        for name, value in extra:
            add_header(parameters.txOption.headers, name, value)
        if not extra and self.tells_quality and call.answered and not call.over:
            call.look(self._clock())
            add_header(parameters.txOption.headers, rtp_stat.NAME, call.media.rtp_stat(self._clock()))
        try:
            call.hangup(parameters)
        except pj.Error as error:
            self._over(call, int(error.status), reason_of(error), remote=False, on_wire=False)

    def _speak_plainly(self, call: SipCall) -> None:
        call.machine = True
        self._keep_to_codecs(call)

    def _keep_to_codecs(self, call: SipCall) -> None:
        try:
            if not call.over:
                call.keep_to_codecs()
        except pj.Error as error:  # another offer is under way, or there is no stream: the call itself goes on
            self._log("warning", "sip_codec_not_changed", f"call {call.call_id}: {reason_of(error)}")

    def _dtmf(self, call: SipCall, digit: str) -> None:
        try:
            call.dialDtmf(digit)
        except pj.Error as error:  # the far end took no telephone-event: the call itself goes on
            self._log("warning", "sip_dtmf_not_sent", f"call {call.call_id}: {reason_of(error)}")

    def _redirect(self, call: SipCall, action: actions.Redirect) -> None:
        account = self._accounts.ready(call.account_id)
        if account is None:
            self._hang_up(call, _SC_UNAVAILABLE)
            return
        domain = account.record.domain
        try:
            contact = ("Contact", f"<{sip_uri(action.user, domain)}>")
            past = [(diverted.NAME, value) for value in diverted.written(action.diversions, domain)]
        except ValueError as error:
            self._log("error", "sip_redirect_impossible", f"call {call.call_id}: {error}")
            self._hang_up(call, _SC_UNAVAILABLE)
            return
        self._hang_up(call, _SC_MOVED, contact, *past)

    # --- in mid-call --------------------------------------------------------------------------------------------------

    def _hold(self, call: SipCall, *, held: bool) -> None:
        if not call.answered:
            self._post(events.HoldDone(call.call_id, held, ok=False))
            return
        if held:
            self._wiring.cut(call.call_id)
        self._holds.want(call, held=held)

    def _transfer(self, call: SipCall, user: str) -> None:
        account = self._accounts.ready(call.account_id)
        self._transfers.to_number(call, user, account.record.domain if account is not None else "")

    # --- told by accounts and calls, inside callbacks -----------------------------------------------------------------

    def arrived(self, account: SipAccount, arrival: Arrival) -> None:
        """An INVITE of a target becomes an event, one of a stranger is refused from the queue."""
        call = SipCall(self, self._ports, account, self._new_call_id(), arrival.library_id)
        call.account_id = account.record.id
        # Before the library reads the next INVITE, which may already lie there.
        time.sleep(self._sockets.wait_ms(len(self) + 1, self._clock()) / 1000)
        source = address_of(arrival.source)
        targets = {target.address for known in self._accounts for target in known.targets}
        if source not in targets and source not in self.strangers.known:
            self.strangers.came(call, source)
            self._wake()
            return
        owner = self._accounts.bound(arrival.message)
        record = (owner or account).record
        self._calls[call.call_id] = call
        called, claimed = called_user(arrival.message), caller_of(str(call.getInfo().remoteUri))
        caller = identified(claimed, arrival.message, trusted=record.trust_identity)
        self._post(
            events.IncomingInvite(
                call.call_id, record.id, caller, "" if owner and called in owner.users else called, arrival.source,
                called_party(arrival.message), addressed(arrival.message), bound=owner is not None,
                diverted_from=diverted.diverted_from(arrival.message) if record.trust_identity else "",
                diversions=diverted.diversions(arrival.message),
                alert=alert_words(arrival.message),
            )
        )  # fmt: skip

    def contact_changed(self, account: SipAccount) -> None:
        """Let the far ends of the account's calls know where we are now."""
        for call in self._calls.values():
            if call.account_id == account.record.id and call.answered:
                self._contact_news.owe(call)

    def call_changed(self, call: SipCall, news: CallNews) -> None:
        """CallOwner: a state change as an event."""
        if call.over:
            return
        if news.stage is Stage.GONE:
            # A CANCEL is seen only by what the library answers to it (RFC 3261 §9.2).
            cancelled = news.code == _SC_TERMINATED and not (call.outgoing or call.answered or call.ended_here)
            on_wire = news.on_wire or cancelled
            remote = on_wire and not call.ended_here
            self._over(call, news.code, news.reason, remote=remote, on_wire=on_wire, contacts=news.contacts)
        elif call.call_id not in self._calls:
            return
        elif news.stage is Stage.CONFIRMED and not call.answered:
            call.answered = True
            call.media.answered(self._clock())
            if not call.outgoing:
                # Our answer's codecs were fixed before it was known which line takes the call.
                self._later(lambda: self._keep_to_codecs(call))
            self._post(events.CallAnswered(call.call_id, self._clock()))
        elif news.stage is Stage.EARLY and call.outgoing and (news.code, call.early_media) != call.last_progress:
            call.last_progress = (news.code, call.early_media)
            self._post(events.Progress(call.call_id, news.code, call.early_media))

    def media_changed(self, call: SipCall) -> None:
        """CallOwner: connect again what is to be connected; tell whether the far end holds."""
        self._wiring.again(call.call_id)
        if call.answered and call.call_id in self._calls and call.remote_held != call.told_held:
            call.told_held = call.remote_held
            self._post(events.RemoteHold(call.call_id, call.remote_held))

    def offer_answered(self, call: SipCall, code: int) -> None:
        """CallOwner: from the queue, because what follows may be another offer."""
        self._later(lambda: self._holds.answered(call.call_id, code))

    def transfer_progressed(self, call: SipCall, code: int, *, final: bool) -> None:
        """CallOwner: as an event."""
        self._transfers.progressed(call, code, final=final)

    def transfer_ended(self, call: SipCall) -> None:
        """CallOwner: from the queue, because the library may be about to tell how it ended."""
        self._later(lambda: self._transfers.progressed(call, 0, final=True))

    def key_pressed(self, call: SipCall, digit: str) -> None:
        """CallOwner: a key of the far end as an event."""
        if call.call_id in self._calls:
            self._post(events.DtmfReceived(call.call_id, digit))

    def now(self) -> int:
        """CallOwner: the time."""
        return self._clock()

    def codecs(self, call: SipCall) -> Sequence[str]:
        """CallOwner: what its account lists; of that a machine has G.711 only."""
        machine = call.machine or (call.line is not None and call.line in self.steady_lines)
        return self.lists.of(call.account_id, machine=machine, emergency=call.emergency)

    def described(self, call: SipCall, sdp: str) -> str:
        """CallOwner: with what a STUN server says of our sockets, which is asked for nobody who will be refused."""
        return sdp if call in self.strangers else call.outside.described(sdp, self._observer)

    def fax_refused(self, call: SipCall) -> None:
        """CallOwner: for the log."""
        self._log("info", "sip_fax_refused", f"call {call.call_id}: T.38 was offered; it goes on in G.711")

    def steady(self, line: int) -> bool:
        """CallOwner: whether a machine is connected to the line."""
        return line in self.steady_lines

    def callback_failed(self, callback: str, error: BaseException) -> None:
        """CallOwner: passed on to the stack."""
        self._failed(callback, error)

    def _over(
        self, call: SipCall, code: int, reason: str, *, remote: bool, on_wire: bool,
        contacts: tuple[Elsewhere, ...] = (),
    ) -> None:  # fmt: skip
        if call.over:
            return
        call.over = True
        self._graveyard.append(call)
        self._sockets.ended(self._clock())
        self.strangers.over(call)
        self._contact_news.over(call)
        self._wiring.forget(call.call_id)
        self._holds.forget(call.call_id)
        if self._calls.pop(call.call_id, None) is not None:
            self._sampler.forget(call.call_id)
            # First: whoever hears that the call is over must not take its slot for free.
            self.tell_slots_held()
            self._post(events.CallOver(call.call_id, code, reason, remote, on_wire, call.stats(), contacts))


def _answer(call: SipCall, code: int, extra: tuple[str, str] | None = None) -> None:
    parameters = pj.CallOpParam()
    parameters.statusCode = code
    if extra is not None:
        add_header(parameters.txOption.headers, *extra)
    call.answer(parameters)


def _ring(call: SipCall, *, waiting: bool) -> None:
    if waiting:
        _answer(call, _SC_QUEUED)
    _answer(call, _SC_RINGING, ("Alert-Info", _CALL_WAITING) if waiting else None)
