"""The SIP stack of the gateway: performs the Switch's SIP actions, posts what the network does as events.

Everything but `wake` happens on the one thread that called `start`. Callbacks only copy, note and post; whatever acts
on a call waits in a queue until the library has returned from its callback.
"""

from __future__ import annotations

import gc
import socket
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import pjsua2 as pj

from agent.core import events
from agent.gateway import protocol
from agent.gateway.daemon.sip.account import Arrival, RegisterResult, SipAccount, shut_down
from agent.gateway.daemon.sip.call import CallNews, SipCall, Stage
from agent.gateway.daemon.sip.engine import RTP_PORTS, Engine
from agent.gateway.daemon.sip.headers import addressed, called_party
from agent.gateway.daemon.sip.native import SipError
from agent.gateway.daemon.sip.port import LinePort, Speech
from agent.gateway.daemon.sip.trace import SipTrace
from agent.gateway.daemon.sip.uri import address_of, called_user, line_token, one_line, phrase, sip_uri, user_of
from agent.gateway.daemon.sip.ways import Ways
from agent.gateway.sip_trace import Message

MAX_ACCOUNTS = 8
"""PJSUA_MAX_ACC as every known package compiles it. The library cannot be asked, and a ninth account aborts it."""
_CLOSE_BUDGET_MS = 2500
_CLOSE_STEP_MS = 20
_REFUSAL_DELAY_MS = 100
"""A refused INVITE gives its two media sockets back half a second later, and the library aborts when 64 are out: with
four call slots this bounds what strangers can make it open."""
_MAX_LIBRARY_LINE = 500
_STRANGER_LOG_MS = 3_000
"""At most one line in this time tells of refused strangers: a flood is not to fill the log as well."""
_SC_RINGING = 180
_SC_OK = 200
_SC_FORBIDDEN = 403
_SC_TERMINATED = 487


class SipStack:
    """Accounts and calls of one process. A process has one stack at a time; another may follow after `close`."""

    def __init__(
        self,
        *,
        bind: str,
        port: int,
        rtp_port: int,
        audio: Sequence[Speech],
        post: Callable[[events.TelephoneEvent], None],
        new_call_id: Callable[[], str],
        clock: Callable[[], int],
        log: Callable[[str, str, str], None],
    ) -> None:
        self._trace = SipTrace()
        self._engine = Engine(bind, port, self._library_says, lambda line: self._trace.take(line, self._clock()))
        self._rtp_port = rtp_port
        self._audio = audio
        self._deliver = post
        self._new_call_id = new_call_id
        self._clock = clock
        self._log = log
        self._ports: list[LinePort] = []
        self._accounts: dict[str, SipAccount] = {}
        self._wanted: tuple[protocol.Account, ...] = ()
        self._ways = Ways(self._engine, self._accounts, self._post, log)
        self._calls: dict[str, SipCall] = {}
        self._strangers: list[SipCall] = []
        self._graveyard: list[SipCall] = []
        self._refusals: deque[tuple[int, SipCall]] = deque()
        self._jobs: deque[Callable[[], None]] = deque()
        self._steady_lines: set[int] = set()
        self._waking = False
        self._running = False
        self.refused_strangers = 0
        """INVITEs refused because they came from an address that is no account's target."""
        self._told_strangers = 0
        self._tell_strangers_ms = 0
        self._last_stranger = ""
        self.callback_failures = 0
        self._speech_failures = 0
        self._slots_held = 0
        self._bell = socket.socket(socket.AF_INET6 if ":" in bind else socket.AF_INET, socket.SOCK_DGRAM)
        self._bell.setblocking(False)

    # --- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the library and make one port per line; posts SipReady. Raises SipError, with nothing left running."""
        self._engine.start()
        self._running = True
        try:
            self._ports.extend(LinePort(f"line{at}", speech) for at, speech in enumerate(self._audio))
        except (pj.Error, SipError) as error:
            self.close()
            raise SipError(f"the speech ports cannot be made: {_reason(error)}") from error
        engine = self._engine
        if not engine.transactions_shortened:
            self._log("warning", "sip_transaction_timer_unchanged", "a dead target holds a call slot for 32 s")
        self._post(events.SipReady(engine.max_calls, engine.version, engine.local_port))

    def poll(self, timeout_ms: int) -> None:
        """Let the library work for at most `timeout_ms`; returns early after anything happened or `wake`."""
        if self._running:
            if self._refusals:
                timeout_ms = min(timeout_ms, max(0, self._refusals[0][0] - self._clock()))
            if self.refused_strangers > self._told_strangers:
                timeout_ms = min(timeout_ms, max(0, self._tell_strangers_ms - self._clock()))
            self._engine.poll(0 if self._jobs else timeout_ms)
            self._after_callbacks()
            self._refuse_strangers()
            self._look_after()
        self._waking = False

    def trace(self) -> tuple[str, list[Message]]:
        """Our own address and port, and the last messages on the wire, without credentials, oldest first."""
        address, port = self._engine.bell_address
        return f"[{address}]:{port}" if ":" in address else f"{address}:{port}", self._trace.messages()

    def wake(self) -> None:
        """Make `poll` return at once. The only method for any thread."""
        if self._waking or not self._running:
            return
        self._waking = True
        try:
            # An empty keep-alive (RFC 5626 §3.5.1) to our own SIP socket: read, and dropped by the library.
            self._bell.sendto(b"\r\n", self._engine.bell_address)
        except OSError:
            self._waking = False

    def close(self) -> None:
        """End every call, remove every binding, stop the library: at most 4 s. Closing twice is allowed."""
        if not self._running:
            return
        self._say_goodbye()
        deadline = self._clock() + _CLOSE_BUDGET_MS
        while self._clock() < deadline and not self._quiet():
            self._engine.poll(_CLOSE_STEP_MS)
            self._after_callbacks()
        self._running = False
        # The order is the library's: no clock, then no calls and ports, then no accounts, then no library.
        # No name in this frame may still hold one of them at the end: it would abort the library.
        self._engine.stop_clock()
        self._forget_calls()
        gc.collect()
        self._forget_accounts()
        gc.collect()
        self._engine.destroy()
        for account in self._accounts.values():
            account.this.disown()
        self._accounts.clear()
        self._bell.close()

    def _say_goodbye(self) -> None:
        for call in (*self._calls.values(), *self._strangers):
            self._hang_up(call, 0)
        for account in self._accounts.values():
            self._attempt_unregister(account)

    def _forget_calls(self) -> None:
        for call in tuple(self._calls.values()):
            self._over(call, 0, "shutdown", remote=False, on_wire=False)
        self._strangers.clear()
        self._refusals.clear()
        self._jobs.clear()
        self._graveyard.clear()
        self._ports.clear()

    def _forget_accounts(self) -> None:
        """All but those with an unanswered OPTIONS, whose end the library tells while it dies."""
        for account in [account for account in self._accounts.values() if not account.asking]:
            shut_down(self._accounts.pop(account.record.id))

    def _quiet(self) -> bool:
        busy = any(account.registering for account in self._accounts.values())
        return not self._calls and not self._strangers and not busy

    def free_slots(self) -> int:
        """Call slots that a call could take now; a hung-up call keeps its slot until its transaction is dead."""
        known = len(self._calls) + len(self._strangers)
        return max(0, self._engine.max_calls - self._engine.native.calls_in_use(known))

    # --- accounts -----------------------------------------------------------------------------------------------------

    def configure(self, accounts: Sequence[protocol.Account]) -> None:
        """Use exactly these accounts. One that cannot be used is refused by name: RegistrationFailed, and a log line.

        An account that is gone stays until its last call has ended. Registering is the Switch's decision.
        """
        self._wanted = tuple(accounts)
        self._reconcile()

    def use_lines(self, profiles: Mapping[int, events.LineProfile]) -> None:
        """What is connected to each line; from the next stream on."""
        self._steady_lines = {line for line, profile in profiles.items() if profile.is_data}

    def _reconcile(self) -> None:
        wanted = {record.id: record for record in self._wanted}
        for account in tuple(self._accounts.values()):
            record = wanted.get(account.record.id)
            account.retiring = record is None or (record.user, record.domain) != account.aor
            if account.retiring:
                self._retire(account)
        for record in self._wanted:
            self._use(record)

    def _use(self, record: protocol.Account) -> None:
        account = self._accounts.get(record.id)
        if account is not None and account.retiring:
            return  # its successor is made when its last call has ended
        if account is None and len(self._accounts) >= MAX_ACCOUNTS:
            self._refuse_account(record, f"this adapter holds at most {MAX_ACCOUNTS} registrations")
            return
        try:
            if account is not None:
                account.use(record)
            else:
                self._accounts[record.id] = SipAccount(
                    self, record, self._media(), self._ways.transport, self._engine.port_of
                )
        except (ValueError, pj.Error) as error:
            self._refuse_account(record, _reason(error))

    def _refuse_account(self, record: protocol.Account, reason: str) -> None:
        self._log("error", "sip_account_refused", f"account {record.id}: {reason}")
        self._post(events.RegistrationFailed(record.id, 0, reason, on_wire=False))

    def _retire(self, account: SipAccount) -> bool:
        """Remove the account, unless a call, or the dead transaction of one, may still use it: the library would not
        notice that its account is gone.
        """
        live = len(self._calls) + len(self._strangers)
        calls = (*self._calls.values(), *self._strangers)
        used = any(call.account_id == account.record.id for call in calls)
        if used or account.asking or self._engine.native.calls_in_use(live) > live:
            return False
        self._accounts.pop(account.record.id)
        shut_down(account)
        return True

    def _media(self) -> pj.TransportConfig:
        config = pj.TransportConfig()
        config.port = self._rtp_port
        config.portRange = RTP_PORTS
        config.boundAddress = self._engine.bound_address
        return config

    # --- actions ------------------------------------------------------------------------------------------------------

    def perform(self, action: events.SipAction) -> None:
        """Do what the Switch decided. Never raises: what fails comes back as CallOver or RegistrationFailed."""
        if not self._running:
            return
        match action:
            case events.Register(name, target):
                self._register(name, target)
            case events.Unregister(name):
                self._unregister(name)
            case events.ProbePath() | events.NewPort() | events.MoveAddress():
                self._on_way(action)
            case events.Invite():
                self._invite(action)
            case events.Ringing(call_id):
                self._with_call(call_id, lambda call: _answer(call, _SC_RINGING))
            case events.Answer(call_id, line):
                self._with_call(call_id, lambda call: self._take(call, line))
            case events.Reject(call_id, code):
                self._with_call(call_id, lambda call: self._hang_up(call, code))
            case events.HangUp(call_id):
                self._with_call(call_id, lambda call: self._hang_up(call, 0))
            case events.SendDtmf(call_id, digit):
                self._with_call(call_id, lambda call: self._dtmf(call, digit))

    def _on_way(self, action: events.ProbePath | events.NewPort | events.MoveAddress) -> None:
        match action:
            case events.ProbePath(name):
                self._ways.probe(name)
            case events.NewPort(name):
                self._ways.new_port(name)
            case events.MoveAddress():
                self._ways.move_address()

    def _register(self, name: str, target: int) -> None:
        account = self._accounts.get(name)
        if account is None or account.retiring:
            self._post(events.RegistrationFailed(name, 0, "there is no such account", on_wire=False))
            return
        try:
            account.register(target)
        except IndexError:
            self._post(events.RegistrationFailed(name, 0, f"the account has no target {target}", on_wire=False))
        except pj.Error as error:
            self._post(events.RegistrationFailed(name, int(error.status), _reason(error), on_wire=False))

    def _unregister(self, name: str) -> None:
        account = self._accounts.get(name)
        if account is None or not self._attempt_unregister(account):
            self._post(events.Unregistered(name))

    def _attempt_unregister(self, account: SipAccount) -> bool:
        try:
            return account.unregister()
        except pj.Error as error:
            self._log("warning", "sip_unregister_failed", f"account {account.record.id}: {_reason(error)}")
            return False

    def _invite(self, action: events.Invite) -> None:
        account = self._accounts.get(action.account)
        if account is None or account.retiring:
            self._never(action, 0, "there is no such account")
            return
        if not 0 <= action.line < len(self._ports):
            self._never(action, 0, f"there is no line {action.line}")
            return
        try:
            account.route_to(action.target)
            uri = sip_uri(action.user, account.record.domain)
        except (IndexError, ValueError) as error:
            self._never(action, 0, str(error))
            return
        except pj.Error as error:
            self._never(action, int(error.status), _reason(error))
            return
        self._make_room()
        call = SipCall(self, self._ports, account, action.call_id)
        call.account_id = account.record.id
        call.line = action.line
        self._calls[action.call_id] = call
        try:
            call.makeCall(uri, _voice())
        except pj.Error as error:
            self._over(call, int(error.status), _reason(error), remote=False, on_wire=False)

    def _never(self, action: events.Invite, code: int, reason: str) -> None:
        self._post(events.CallOver(action.call_id, code, reason, remote=False, on_wire=False))

    def _with_call(self, call_id: str, act: Callable[[SipCall], None]) -> None:
        call = self._calls.get(call_id)
        if call is None or call.over:
            self._log("debug", "sip_action_for_an_ended_call", call_id)
            return
        try:
            act(call)
        except pj.Error as error:
            self._log("warning", "sip_action_failed", f"call {call_id}: {_reason(error)}")
            self._hang_up(call, 0)

    def _take(self, call: SipCall, line: int) -> None:
        if not 0 <= line < len(self._ports):
            self._log("error", "sip_answer_on_unknown_line", f"there is no line {line}")
            self._hang_up(call, 0)
            return
        call.line = line
        _answer(call, _SC_OK)
        call.join()

    def _hang_up(self, call: SipCall, code: int) -> None:
        call.ended_here = True
        call.note_speech()
        if call.getId() < 0:  # never made: the library would abort
            self._over(call, 0, "the call was never made", remote=False, on_wire=False)
            return
        parameters = pj.CallOpParam()
        parameters.statusCode = code
        try:
            call.hangup(parameters)
        except pj.Error as error:
            self._over(call, int(error.status), _reason(error), remote=False, on_wire=False)

    def _dtmf(self, call: SipCall, digit: str) -> None:
        try:
            call.dialDtmf(digit)
        except pj.Error as error:  # the far end took no telephone-event: the call itself goes on
            self._log("warning", "sip_dtmf_not_sent", f"call {call.call_id}: {_reason(error)}")

    # --- told by accounts and calls, inside callbacks -----------------------------------------------------------------

    def register_done(self, account: SipAccount, result: RegisterResult) -> None:
        """AccountOwner: the outcome of a REGISTER as an event."""
        name = account.record.id
        if self._accounts.get(name) is not account:
            return
        if not result.accepted:
            self._post(
                events.RegistrationFailed(name, result.code, result.reason, result.on_wire, result.retry_after_s)
            )
        elif result.granted_s:
            self._post(events.Registered(name, result.granted_s))
        else:
            self._post(events.Unregistered(name))

    def path_probed(self, account: SipAccount, *, alive: bool) -> None:
        """AccountOwner: the end of an OPTIONS as an event."""
        if self._accounts.get(account.record.id) is account:
            self._post(events.PathProbed(account.record.id, alive))

    def call_arrived(self, account: SipAccount, arrival: Arrival) -> None:
        """AccountOwner: an INVITE of a target becomes an event, one of a stranger is refused from the queue."""
        call = SipCall(self, self._ports, account, self._new_call_id(), arrival.library_id)
        call.account_id = account.record.id
        source = address_of(arrival.source)
        if all(target.address != source for known in self._accounts.values() for target in known.targets):
            call.ended_here = True
            self._strangers.append(call)
            self._refusals.append((self._clock() + _REFUSAL_DELAY_MS, call))
            self.refused_strangers += 1
            self._last_stranger = source
            self._tell_strangers()
            self.wake()
            return
        token = line_token(arrival.message)
        owner = next((known for known in self._accounts.values() if known.token == token), None)
        record = (owner or account).record
        self._calls[call.call_id] = call
        called, caller = called_user(arrival.message), user_of(str(call.getInfo().remoteUri))
        self._post(
            events.IncomingInvite(
                call.call_id, record.id, caller, "" if owner and called == record.user else called, arrival.source,
                called_party(arrival.message), addressed(arrival.message), bound=owner is not None,
            )
        )  # fmt: skip

    def call_changed(self, call: SipCall, news: CallNews) -> None:
        """CallOwner: a state change as an event."""
        if call.over:
            return
        if news.stage is Stage.GONE:
            # A CANCEL is seen only by what the library answers to it (RFC 3261 §9.2).
            cancelled = news.code == _SC_TERMINATED and not (call.outgoing or call.answered or call.ended_here)
            on_wire = news.on_wire or cancelled
            self._over(call, news.code, news.reason, remote=on_wire and not call.ended_here, on_wire=on_wire)
        elif call.call_id not in self._calls:
            return
        elif news.stage is Stage.CONFIRMED and not call.answered:
            call.answered = True
            self._post(events.CallAnswered(call.call_id, self._clock()))
        elif news.stage is Stage.EARLY and call.outgoing and (news.code, call.early_media) != call.last_progress:
            call.last_progress = (news.code, call.early_media)
            self._post(events.Progress(call.call_id, news.code, call.early_media))

    def key_pressed(self, call: SipCall, digit: str) -> None:
        """CallOwner: a key of the far end as an event."""
        if call.call_id in self._calls:
            self._post(events.DtmfReceived(call.call_id, digit))

    def steady(self, line: int) -> bool:
        """CallOwner: whether a machine is connected to the line."""
        return line in self._steady_lines

    def callback_failed(self, callback: str, error: BaseException) -> None:
        """Every owner: count it, say where; the text of the error may hold what a peer sent."""
        self.callback_failures += 1
        self._log("error", "sip_callback_failed", f"{callback}: {type(error).__name__}: {phrase(str(error))}")

    def later(self, job: Callable[[], None]) -> None:
        """AccountOwner: run `job` when no callback is running."""
        self._jobs.append(job)
        self.wake()

    # --- the rest -----------------------------------------------------------------------------------------------------

    def _refuse_strangers(self) -> None:
        while self._refusals and self._refusals[0][0] <= self._clock():
            self._hang_up(self._refusals.popleft()[1], _SC_FORBIDDEN)

    def _make_room(self) -> None:
        """Refuse a stranger now if he holds the last call slot: no flood may keep our own calls off the wire.

        One for each call of ours, and nothing is read from the network before the slot is taken: the bound on the
        sockets that strangers can make the library open stands.
        """
        live = len(self._calls) + len(self._strangers)
        if self._strangers and self._engine.native.calls_in_use(live) >= self._engine.max_calls:
            self._hang_up(self._strangers[0], _SC_FORBIDDEN)

    def _tell_strangers(self) -> None:
        now = self._clock()
        fresh = self.refused_strangers - self._told_strangers
        if not fresh or now < self._tell_strangers_ms:
            return
        self._told_strangers, self._tell_strangers_ms = self.refused_strangers, now + _STRANGER_LOG_MS
        others = "" if fresh == 1 else f" and {fresh - 1} before it"
        self._log(
            "warning",
            "sip_stranger_refused",
            f"INVITE from {self._last_stranger}{others}, {self.refused_strangers} in all",
        )

    def _over(self, call: SipCall, code: int, reason: str, *, remote: bool, on_wire: bool) -> None:
        if call.over:
            return
        call.over = True
        self._graveyard.append(call)
        if call in self._strangers:
            self._strangers.remove(call)
            self._refusals = deque(refusal for refusal in self._refusals if refusal[1] is not call)
        if self._calls.pop(call.call_id, None) is not None:
            # First: whoever hears that the call is over must not take its slot for free.
            self._tell_slots_held()
            self._post(events.CallOver(call.call_id, code, reason, remote, on_wire, call.stats()))

    def _after_callbacks(self) -> None:
        while self._jobs:
            job = self._jobs.popleft()
            try:
                job()
            except (pj.Error, IndexError) as error:
                self._log("error", "sip_job_failed", _reason(error))
        # Only here: a call that is dropped inside its own callback takes the callback's object with it.
        if self._graveyard:
            self._bury()

    def _bury(self) -> None:
        """Drop ended calls. A native object whose slot already holds a new call is left behind instead: its
        destructor would cut the new call off from its callbacks.
        """
        taken = {call.getId() for call in (*self._calls.values(), *self._strangers)}
        for call in self._graveyard:
            if call.getId() in taken:
                call.this.disown()
        self._graveyard.clear()

    def _tell_slots_held(self) -> None:
        # A stranger is refused at once when one of our own calls needs his slot: he holds none.
        live = len(self._calls) + len(self._strangers)
        held = max(0, self._engine.native.calls_in_use(live) - live)
        if held != self._slots_held:
            self._slots_held = held
            self._post(events.SlotsHeld(held))

    def _look_after(self) -> None:
        self._tell_slots_held()
        self._tell_strangers()
        if not self._calls and not self._strangers and not self._engine.native.calls_in_use(0):
            self._ways.close_unused()
        retiring = [account for account in self._accounts.values() if account.retiring]
        retired = [account for account in retiring if self._retire(account)]
        if retired:
            self._reconcile()
        failures = sum(port.failures for port in self._ports)
        if failures > self._speech_failures:
            self._speech_failures = failures
            last = next(port.last_failure for port in self._ports if port.last_failure)
            self._log("error", "speech_callback_failed", f"{last}, {failures} in all")

    def _post(self, event: events.TelephoneEvent) -> None:
        self._deliver(event)
        # A timer of the library may have brought it: its poll would sleep on before the Switch could see the event.
        self.wake()

    def _library_says(self, level: int, text: str) -> None:
        self._log("warning" if level > 1 else "error", "sip_library", phrase(text, _MAX_LIBRARY_LINE))


def _answer(call: SipCall, code: int) -> None:
    parameters = pj.CallOpParam()
    parameters.statusCode = code
    call.answer(parameters)


def _voice() -> pj.CallOpParam:
    parameters = pj.CallOpParam(True)
    parameters.opt.audioCount = 1
    parameters.opt.videoCount = 0
    return parameters


def _reason(error: Exception) -> str:
    """What a technician may read: the library's own words may hold a number, ours do not."""
    return phrase(str(error.reason)) if isinstance(error, pj.Error) else one_line(str(error))
