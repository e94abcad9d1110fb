"""The SIP stack of the gateway: performs the Switch's SIP actions, posts what the network does as events.

Everything but `wake` happens on the one thread that called `start`. Callbacks only copy, note and post; whatever acts
on a call waits in a queue until the library has returned from its callback.
"""

from __future__ import annotations

import gc
import secrets
import socket
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pjsua2 as pj

from agent.core import actions, events, terms
from agent.core.foreign_text import phrase
from agent.core.place import uri_host
from agent.core.ranges import Ranges
from agent.gateway import protocol
from agent.gateway.daemon.binding import family_of
from agent.gateway.daemon.sip.account import Arrival, SipAccount
from agent.gateway.daemon.sip.calls import Calls
from agent.gateway.daemon.sip.engine import Engine
from agent.gateway.daemon.sip.native import SipError
from agent.gateway.daemon.sip.outside import Observer
from agent.gateway.daemon.sip.port import LinePort, Speech
from agent.gateway.daemon.sip.reasons import reason_of
from agent.gateway.daemon.sip.roster import Roster
from agent.gateway.daemon.sip.sources import Sources
from agent.gateway.daemon.sip.trace import SipTrace
from agent.gateway.daemon.sip.uri import text_of
from agent.gateway.daemon.tls_check import refusal
from agent.gateway.daemon.tls_gate import TlsGate
from agent.gateway.sip_trace import Message

_CLOSE_BUDGET_MS = 2500
_CLOSE_STEP_MS = 20
_MAX_LIBRARY_LINE = 500
_TELL_REQUESTS_MS = 10_000
"""Whoever watches wants to know whether the operator reaches us, not how often it does."""


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
        ca_file: Path | None = None,
        contact_seed: bytes = b"",
        observer: Observer | None = None,
    ) -> None:
        self._trace = SipTrace()
        self._engine = Engine(bind, port, self._library_says, self._on_wire, self._account_of, ca_file)
        self._told_request_ms: dict[str, int] = {}
        self._audio = audio
        self._deliver = post
        self._clock = clock
        self._log = log
        self._ports: list[LinePort] = []
        gate = TlsGate(lambda target: refusal(target, ca_file, self._engine.bound_address), self.later, clock)
        self._roster = Roster(
            self, self._engine, rtp_port, gate, contact_seed or secrets.token_bytes(16), self._post, log
        )
        self._calls = Calls(
            self._engine, self._ports, self._roster, new_call_id=new_call_id, clock=clock, post=self._post, log=log,
            failed=self.callback_failed, later=self.later, wake=self.wake, observer=observer,
        )  # fmt: skip
        self._sources = Sources(log)
        self._jobs: deque[Callable[[], None]] = deque()
        self._waking = False
        self._running = False
        self.callback_failures = 0
        self._speech_failures = 0
        self._bell = socket.socket(family_of(bind), socket.SOCK_DGRAM)
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
            raise SipError(f"the speech ports cannot be made: {reason_of(error)}") from error
        engine = self._engine
        if not engine.transactions_shortened:
            self._log("warning", "sip_transaction_timer_unchanged", "a dead target holds a call slot for 32 s")
        self._post(events.SipReady(engine.max_calls, engine.version, engine.local_port, engine.codecs))

    def poll(self, timeout_ms: int) -> None:
        """Let the library work for at most `timeout_ms`; returns early after anything happened or `wake`."""
        if self._running:
            self._engine.poll(0 if self._jobs else self._calls.wait_ms(timeout_ms))
            self._after_callbacks()
            self._calls.look_after()
            self._look_after()
        self._waking = False

    def trace(self) -> tuple[str, list[Message]]:
        """Our own address and port, and the last messages on the wire, without credentials, oldest first."""
        address, port = self._engine.bell_address
        return f"{uri_host(address)}:{port}", self._trace.messages()

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
        self._calls.hang_up_all()
        self._roster.say_goodbye()
        deadline = self._clock() + _CLOSE_BUDGET_MS
        while self._clock() < deadline and not self._quiet():
            self._engine.poll(_CLOSE_STEP_MS)
            self._after_callbacks()
        self._running = False
        # The order is the library's: no clock, then no calls and ports, then no accounts, then no library.
        # No name in this frame may still hold one of them at the end: it would abort the library.
        self._engine.stop_clock()
        self._calls.forget()
        self._jobs.clear()
        self._ports.clear()
        gc.collect()
        self._roster.forget()
        gc.collect()
        self._engine.destroy()
        self._roster.abandon()
        self._bell.close()

    def _quiet(self) -> bool:
        return not self._calls and not self._roster.busy

    def free_slots(self) -> int:
        """Call slots that a call could take now; a hung-up call keeps its slot until its transaction is dead."""
        return self._calls.free_slots

    # --- accounts -----------------------------------------------------------------------------------------------------

    @property
    def library(self) -> str:
        """Which SIP library this is: its version, and the length of its file."""
        return self._engine.library

    def out_of_reach(self, address: str) -> str:
        """Why an IP address can't be spoken to from here, whatever the network is like; '' where it can."""
        return self._engine.out_of_reach(address)

    def carry(self, accounts: int) -> None:
        """So many accounts the library carries; any more are refused by name."""
        self._roster.limit = accounts

    def configure(self, accounts: Sequence[protocol.Account]) -> None:
        """Use exactly these accounts, and the codecs that they list; `Roster.configure`, `Codecs.use`."""
        self._calls.lists.use(accounts)
        self._roster.configure(accounts)

    def uses(self, name: str) -> bool:
        """RosterOwner: whether a call, or the dead transaction of one, may still use the account."""
        return self._calls.uses(name) or self._calls.dead_slots > 0

    def ports(self) -> tuple[int, ...]:
        """The UDP ports on which SIP is spoken."""
        return self._roster.ports

    def tell_quality(self, *, wanted: bool) -> None:
        """Whether our BYEs say how the call sounded."""
        self._calls.tells_quality = wanted

    def use_ranges(self, ranges: Ranges) -> None:
        """Who may speak beside the accounts' targets, from now on; without any, others' INVITEs are refused.

        With ranges nothing of anybody else reaches the library. To be called after `configure`.
        """
        self._calls.strangers.known = ranges
        self._sources.use(ranges.networks)
        self._tend_sources()

    def use_lines(self, profiles: Mapping[int, terms.LineProfile]) -> None:
        """What is connected to each line; from the next stream on."""
        self._calls.steady_lines = frozenset(line for line, profile in profiles.items() if profile.is_data)

    # --- actions ------------------------------------------------------------------------------------------------------

    def perform(self, action: actions.SipAction) -> None:
        """Do what the Switch decided. Never raises: what fails comes back as CallOver or RegistrationFailed."""
        if not self._running:
            return
        match action:
            case (
                actions.Register() | actions.Unregister() | actions.ProbePath()
                | actions.NewPort() | actions.MoveAddress()
            ):  # fmt: skip
                self._roster.perform(action)
                if isinstance(action, actions.NewPort | actions.MoveAddress):
                    self._sources.look_again()
            case actions.ProbeTarget():
                pass  # the prober's
            case _:
                self._calls.perform(action)

    # --- told by accounts and calls, inside callbacks -----------------------------------------------------------------

    def call_arrived(self, account: SipAccount, arrival: Arrival) -> None:
        """RosterOwner: passed on."""
        self._trace.complete(arrival.message)
        self._calls.arrived(account, arrival)

    def contact_changed(self, account: SipAccount) -> None:
        """RosterOwner: passed on."""
        self._calls.contact_changed(account)

    def callback_failed(self, callback: str, error: BaseException) -> None:
        """Every owner: count it, say where; the text of the error may hold what a peer sent."""
        self.callback_failures += 1
        self._log("error", "sip_callback_failed", f"{callback}: {type(error).__name__}: {phrase(str(error))}")

    def later(self, job: Callable[[], None]) -> None:
        """RosterOwner, Calls: run `job` when no callback is running."""
        self._jobs.append(job)
        self.wake()

    # --- the rest -----------------------------------------------------------------------------------------------------

    def _after_callbacks(self) -> None:
        while self._jobs:
            job = self._jobs.popleft()
            try:
                job()
            except (pj.Error, IndexError) as error:
                self._log("error", "sip_job_failed", reason_of(error))
        self._calls.bury()

    def _tend_sources(self) -> None:
        def targets() -> list[str]:
            return [self._engine.bell_address[0], *(one.address for known in self._roster for one in known.targets)]

        self._sources.tend(self._clock(), self.ports, targets)

    def _look_after(self) -> None:
        self._tend_sources()
        self._calls.tell_slots_held()
        self._calls.strangers.tell()
        if not self._calls and not self._calls.dead_slots:
            self._roster.close_unused()
        self._roster.look_after()
        failures = sum(port.failures for port in self._ports)
        if failures > self._speech_failures:
            self._speech_failures = failures
            last = next(port.last_failure for port in self._ports if port.last_failure)
            self._log("error", "speech_callback_failed", f"{last}, {failures} in all")

    def _post(self, event: events.TelephoneEvent) -> None:
        self._deliver(event)
        # A timer of the library may have brought it: its poll would sleep on before the Switch could see the event.
        self.wake()

    def _account_of(self, message: str) -> int | None:
        account = self._roster.bound(text_of(message))
        return None if account is None else account.getId()

    def _on_wire(self, line: str) -> None:
        """Keep a message in the trace; one that came to a contact of ours says that the operator reaches us."""
        now = self._clock()
        message = self._trace.take(line, now)
        account = self._roster.bound(message.text) if message is not None and not message.sent else None
        if account is not None:
            name = account.record.id
            if now - self._told_request_ms.get(name, -_TELL_REQUESTS_MS) >= _TELL_REQUESTS_MS:
                self._told_request_ms[name] = now
                self._post(events.RequestSeen(name))

    def _library_says(self, level: int, text: str) -> None:
        self._log("warning" if level > 1 else "error", "sip_library", phrase(text, _MAX_LIBRARY_LINE))
